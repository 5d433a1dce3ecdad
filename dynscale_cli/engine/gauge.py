"""How many tokens a conversation takes, where only a server can count them.

Two answers: what it takes at most, which is what may be reserved, and what it is likely to take, which is good enough
to plan with and is learned from what the server reports. Pure; knows nothing of requests.

A token of a byte-level vocabulary stands for one byte at least, so text has at most as many tokens as UTF-8 bytes. What
a chat template puts around the turns nobody can see from here: an allowance covers those of the common model families,
the system prompts among them that some add by themselves.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from .protocol import Message

PER_REQUEST = 128  # tokens of template and built-in system prompt: gpt-oss puts in about 80, Llama 3 about 30
PER_MESSAGE = 16  # role, separators, end of turn
BYTES_PER_TOKEN = 3.0  # before anything is known: English has about 4, Chinese 2 to 3, digits 1 to 3
FIRST_BYTES = 600  # weight of that guess
REMEMBERED = 4096  # conversations whose length is known


def size(text: str) -> int:
    """Bytes of a text as it is sent."""
    return len(text.encode("utf-8", "replace"))


class Gauge:
    """Token counts of one served model, by what it has reported so far."""

    def __init__(self) -> None:
        self._hidden = 0  # tokens that the server adds beyond every allowance
        self._known: OrderedDict[tuple[Message, ...], int] = OrderedDict()
        self._bytes, self._tokens = float(FIRST_BYTES), FIRST_BYTES / BYTES_PER_TOKEN

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

    def learn(self, messages: tuple[Message, ...], tokens: int, most: int) -> None:
        """The server counted `tokens` for a prompt that was thought to have `most` at most."""
        if messages not in self._known:
            self._hidden += max(0, tokens - most)
            self._bytes += sum(size(m.content) for m in messages)
            self._tokens += max(0, tokens - PER_MESSAGE * (1 + len(messages)))
        self._known[messages] = tokens
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
