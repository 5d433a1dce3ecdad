"""A sample on its way from a server: what it has said so far, what it has cost, and what it may cost at most.

Owns the text of a completion, the bill of a chat request, and the counting of tokens where only a server can count.
Pure: knows nothing of HTTP, of other samples or of the budget.

A token of a byte-level vocabulary stands for one byte at least, so text has at most as many tokens as UTF-8 bytes. What
a chat template puts around the turns nobody can see from here: an allowance covers those of the common model families,
the system prompts among them that some add by themselves.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from dynscale_cli.engine.protocol import Message, Request, Tokens
from dynscale_cli.engine.reasoning import ReasoningFormat

from .client import ChatRequest
from .stream import Usage

OPEN, CLOSE = "<think>\n", "\n</think>\n\n"  # how thoughts given apart stand in a completion's text
PER_REQUEST = 128  # tokens of template and built-in system prompt: gpt-oss puts in about 80, Llama 3 about 30
PER_MESSAGE = 16  # role, separators, end of turn
BYTES_PER_TOKEN = 3.0  # before anything is known: English has about 4, Chinese 2 to 3, digits 1 to 3
FIRST_BYTES = 600  # weight of that guess
UNNOTICED = 8  # tokens that a server generates before it notices that nobody listens any more, and a quarter more
ENDS = 4  # tokens of an answer that come in no chunk: the end of each of those that share a request
REMEMBERED = 4096  # conversations whose length is known


@dataclass(slots=True)
class RemoteRequest:
    """One request's progress. `most`: prompt tokens of the chat under way, at most; it may generate `limit`.

    `before` is the cost of its orders that are over, `announced` what of the present one was charged so far.
    """

    request: Request
    limit: int
    most: int
    chat: ChatRequest | None = None
    text: str = ""
    pieces: list[str] = field(default_factory=list)
    thinking: bool = False  # thoughts given apart are under way
    extended: bool = False
    reply_from: int = -1  # where in the text the reply to a request for an answer begins
    label: str = ""  # what that reply may repeat
    stop: tuple[str, ...] = ()
    before: Tokens = field(default_factory=Tokens)
    accepted: bool = False
    blind: bool = False
    chunks: int = 0
    size: int = 0  # bytes
    announced: int = 0
    logprob: float = 0.0
    scored: int = 0

    def hear(self, text: str, thought: bool, logprobs: Sequence[float]) -> None:
        """More text of the chat under way."""
        self.chunks += max(1, len(logprobs))
        self.size += len(text.encode())
        self.logprob += sum(logprobs)
        self.scored += len(logprobs)
        if thought and self.stop:  # asked for its answer, it thinks again: that is paid for, and not part of it
            return
        if thought != self.thinking:
            self.write(OPEN if thought else CLOSE)
            self.thinking = thought
        self.write(text)

    def write(self, text: str) -> None:
        self.text += text
        self.pieces.append(text)

    def begin(self, chat: ChatRequest) -> None:
        self.chat = chat
        self.accepted = self.blind = False
        self.chunks = self.size = self.announced = 0

    def progress(self) -> int:
        """Tokens that came since the last call, as far as they can be counted; never more than were asked for."""
        came = min(self.chunks, self.limit) - self.announced
        self.announced += came
        return came

    @property
    def mean_logprob(self) -> float | None:
        return self.logprob / self.scored if self.scored else None

    @property
    def first(self) -> bool:
        """Whether it pays for the prompt of a chat that it shares with others."""
        return self.chat is not None and self.chat.ids[0] == self.request.id

    def pay(self, cost: Tokens) -> None:
        """The chat under way is over."""
        self.before += cost
        self.chat = None
        self.chunks = self.size = self.announced = 0

    def bound(self, reason: str | None, dropped: bool = False, chunk: float | None = None) -> Tokens:
        """What the chat has cost at most, where the server does not say.

        Every token is a byte at least, every chunk was a token at least, and not more than `chunk` where the server
        has counted before. What was `dropped` unseen may have been generated nevertheless: until the server has
        noticed, or all of it where nothing is heard before the end.
        """
        if not (self.chunks or (dropped and self.accepted)):
            return Tokens()
        generated = max(self.chunks, min(self.limit, self.size))
        if dropped and chunk is not None:
            generated = max(self.chunks, min(self.limit, math.ceil(1.25 * self.chunks * chunk) + UNNOTICED))
        if reason == "length" or (dropped and self.blind):
            generated = max(generated, self.limit)
        return Tokens(self.most if self.first else 0, generated, 0 if self.first else self.most)

    def reply(self) -> str:
        """The whole completion; of a reply to a request for an answer, the line behind the label that it repeats."""
        if self.reply_from < 0:
            return self.text
        head, said = self.text[: self.reply_from], ReasoningFormat().split(self.text[self.reply_from :]).said.strip()
        if self.label:
            at = said.lower().rfind(self.label.lower())
            said = said[at + len(self.label) :].strip() if at >= 0 else said
        for stop in self.stop:
            said = said.partition(stop)[0]
        return f"{head} {said}"


def shares(usage: Usage, remotes: Sequence[RemoteRequest]) -> list[Tokens]:
    """The server's bill of one chat, divided among its completions by the chunks that came of each.

    The prompt was evaluated once: the first pays for it, for the others it is reused.
    """
    weights = [max(1, remote.chunks or remote.size) for remote in remotes]
    total, done, given = sum(weights), 0, 0
    divided = []
    for place, weight in enumerate(weights):
        done += weight
        part = usage.generated * done // total - given
        given += part
        paid = usage.prompt - usage.cached if place == 0 else 0
        divided.append(Tokens(paid, part, usage.prompt - paid))
    return divided


def size(text: str) -> int:
    """Bytes of a text as it is sent."""
    return len(text.encode("utf-8", "replace"))


class TokenEstimator:
    """Token counts of one served model, by what it has reported so far."""

    def __init__(self) -> None:
        self._hidden = 0  # tokens that the server adds beyond every allowance
        self._known: OrderedDict[tuple[Message, ...], int] = OrderedDict()
        self._chunk: float | None = None
        self._bytes, self._tokens = float(FIRST_BYTES), FIRST_BYTES / BYTES_PER_TOKEN

    def knows(self, messages: tuple[Message, ...]) -> bool:
        """Whether the server has counted, and so seen, this very conversation."""
        return messages in self._known

    def most(self, messages: Sequence[Message]) -> int:
        """Prompt tokens at most; exactly, once the very same conversation was counted."""
        known = self._known.get(tuple(messages))
        if known is not None:
            return known
        return PER_REQUEST + self._hidden + sum(PER_MESSAGE + size(m.content) for m in messages)

    def likely(self, messages: Sequence[Message]) -> int:
        """Prompt tokens to expect."""
        known = self._known.get(tuple(messages))
        return known if known is not None else PER_MESSAGE + sum(PER_MESSAGE + self.count(m.content) for m in messages)

    def count(self, text: str) -> int:
        """Tokens of a text to expect."""
        return round(size(text) * self._tokens / self._bytes + 0.5)

    @property
    def chunk(self) -> float | None:
        """Tokens of one chunk of a stream at most, as far as it was counted; None before that."""
        return self._chunk

    def learn_chunks(self, tokens: int, chunks: int) -> None:
        """The server counted `tokens` that came in so many chunks; the last, which ends an answer, is seldom seen."""
        if chunks > 0:
            self._chunk = max(1.0, self._chunk or 0.0, (tokens - ENDS) / chunks)

    def learn(self, messages: tuple[Message, ...], tokens: int, most: int) -> None:
        """The server counted `tokens` for a prompt that was thought to have `most` at most."""
        if messages not in self._known:
            self._hidden += max(0, tokens - most)
            self._bytes += sum(size(m.content) for m in messages)
            self._tokens += max(0, tokens - PER_MESSAGE * (1 + len(messages)))
        self._known[messages] = tokens
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
