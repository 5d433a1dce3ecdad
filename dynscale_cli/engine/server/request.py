"""A sample on its way from a server: what it has said so far, what it has cost, and what it may cost at most.

Owns the text of a completion, the bill of a chat request, and the counting of tokens where only a server can count.
Pure: knows nothing of HTTP, of other samples or of the budget.

A token of a byte-level vocabulary stands for one byte at least, so text has at most as many tokens as UTF-8 bytes. What
a chat template puts around the turns nobody can see from here: an allowance covers those of the common model families,
the system prompts among them that some add by themselves.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dynscale_cli.engine.protocol import Message, Request, Tokens
from dynscale_cli.engine.reasoning import ReasoningFormat

from .news import ChatRequest, Closed
from .stream import Usage

OPEN, CLOSE = "<think>\n", "\n</think>\n\n"  # how thoughts given apart stand in a completion's text
PER_REQUEST = 128  # tokens of template and built-in system prompt: gpt-oss puts in about 80, Llama 3 about 30
PER_MESSAGE = 16  # role, separators, end of turn
BYTES_PER_TOKEN = 3.0  # before anything is known: English has about 4, Chinese 2 to 3, digits 1 to 3
FIRST_BYTES = 600  # weight of that guess
UNSENT = 8  # tokens that a server has generated, and not sent, when it lets go of a request that was closed
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
    counted: Usage | None = None  # by the server, so far

    def hear(self, text: str, thought: bool, logprobs: Sequence[float] = (), counted: Usage | None = None) -> None:
        """More text of the chat under way."""
        self.counted = counted or self.counted
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
        self._clear()

    def progress(self) -> int:
        """Tokens that came since the last call, as far as they can be counted; never more than were asked for."""
        came = min(max(self.chunks, self.counted.generated if self.counted else 0), self.limit) - self.announced
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
        self._clear()

    def _clear(self) -> None:
        self.chunks = self.size = self.announced = 0
        self.counted = None

    def bound(self, reason: str | None) -> Tokens:
        """What a chat that is over has cost at most, where the server does not say.

        Every token is a byte at least, every chunk was a token at least. A stream that broke off may have been counted.
        """
        if not self.chunks:
            return Tokens()
        if reason is None and self.counted is not None:
            return self._counted_cost(self.counted)
        generated = max(self.chunks, min(self.limit, self.size), self.limit if reason == "length" else 0)
        return Tokens(self.most if self.first else 0, generated, 0 if self.first else self.most)

    def closed(self, closed: Closed, *, counting: bool) -> Tokens:
        """What a chat has cost at most that was closed before its end: all that it might have become.

        Only where the server counts as it goes and has let go of it, it is what was counted then. One of which nothing
        has come has its prompt evaluated at most.
        """
        if not closed.sent and not self.chunks:
            return Tokens()
        heard = closed.noticed and (self.counted is not None or not self.chunks)
        counted = self.counted or Usage(self.most, 0)
        if not counting or (self.accepted and not heard):
            counted = replace(counted, generated=self.limit)
        return self._counted_cost(counted)

    def _counted_cost(self, counted: Usage) -> Tokens:
        """What was counted, and what may have been on its way then."""
        generated = min(self.limit, max(self.chunks, counted.generated) + UNSENT)
        if not self.first:
            return Tokens(0, generated, self.most)
        return Tokens(counted.prompt - counted.cached, generated, counted.cached)

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


def tail(text: str, room: int) -> str:
    """The end of a text in at most `room` bytes: what leads to an answer stands there."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= room else data[len(data) - max(0, room) :].decode("utf-8", "ignore") if room > 0 else ""


def asking(messages: tuple[Message, ...], written: str, turn: str) -> tuple[Message, ...]:
    """The conversation, with what the assistant has written, and the user's next turn."""
    if written:
        return (*messages, Message("assistant", written), Message("user", turn))
    last = messages[-1]
    return (*messages[:-1], Message(last.role, f"{last.content}\n\n{turn}"))


class TokenEstimator:
    """Token counts of one served model, by what it has reported so far."""

    def __init__(self) -> None:
        self._hidden = 0  # tokens that the server adds beyond every allowance
        self._known: OrderedDict[tuple[Message, ...], int] = OrderedDict()
        self._seen: set[tuple[Message, ...]] = set()  # of these, the ones that the server has evaluated
        self._bytes, self._tokens = float(FIRST_BYTES), FIRST_BYTES / BYTES_PER_TOKEN

    def knows(self, messages: tuple[Message, ...]) -> bool:
        """Whether this very conversation was counted."""
        return messages in self._known

    def seen(self, messages: tuple[Message, ...]) -> bool:
        """Whether the server has evaluated this very conversation."""
        return messages in self._seen

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
        self.tell(messages, tokens)
        self._seen.add(messages)

    def tell(self, messages: tuple[Message, ...], tokens: int) -> None:
        """A conversation that was not evaluated yet has so many tokens."""
        self._known[messages] = tokens
        if len(self._known) > REMEMBERED:
            self._seen.discard(self._known.popitem(last=False)[0])
