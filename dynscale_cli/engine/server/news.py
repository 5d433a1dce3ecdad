"""What goes to a chat server and what is heard of it: requests, and news of them in their order.

Owns the records and the way from the thread that reads streams to the one that runs. Knows nothing of HTTP.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dynscale_cli.engine.protocol import Message, Sampling

from .faults import Fault
from .stream import Delta, Usage


@dataclass(frozen=True, slots=True, eq=False)
class ChatRequest:
    """One request to a server: a conversation, to be gone on with once for each of `ids`."""

    ids: tuple[int, ...]
    messages: tuple[Message, ...]
    max_tokens: int
    sampling: Sampling
    seed: int
    logprobs: bool = False
    ignore_end: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)  # what else it says, such as whether to think


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has begun to answer. `blind`: nothing will be heard of it before it is done."""

    chat: ChatRequest
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more will come of a chat. `reasons`: for each id, None where its completion broke off."""

    chat: ChatRequest
    reasons: tuple[str | None, ...] = ()
    usage: Usage | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """A chat was given up. `sent`: a server has it; `noticed`: that has let go of it, and nothing more comes."""

    chat: ChatRequest
    sent: bool
    noticed: bool


@dataclass(frozen=True, slots=True)
class Alone:
    """The server does not answer several times at once: these are still to be answered, each by itself."""

    chat: ChatRequest
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """Something to tell the user."""

    message: str


@dataclass(frozen=True, slots=True)
class Dead:
    """There is no endpoint left, or an error of our own."""

    fault: Fault


News: TypeAlias = Accepted | Delta[ChatRequest] | Over | Closed | Alone | Said | Dead


class Inbox:
    """News in their order, from the loop's thread to another.

    That is woken by what a run waits for. Text alone it finds when it looks again: to look at each token of many
    streams by itself would take the processor from those who read them.
    """

    def __init__(self) -> None:
        self._news: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self._pressing = threading.Event()

    def put(self, news: News | None) -> None:
        self._news.put(news)
        if not isinstance(news, Delta):
            self._pressing.set()

    def wait(self, seconds: float) -> None:
        """Until something came that a run waits for, or for so many seconds."""
        self._pressing.wait(seconds)
        self._pressing.clear()

    def get(self, seconds: float = 0.0) -> News | None:
        """The next of the news. Raises queue.Empty where none comes in so many seconds."""
        return self._news.get(seconds > 0, seconds or None)
