"""A sample on its way from a server: what it has said so far, and what it has cost.

Owns the text of a completion and the bill of its order. Knows nothing of HTTP, of other samples or of the budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .chat import Order
from .protocol import Request, Tokens
from .reading import Usage

OPEN, CLOSE = "<think>\n", "\n</think>\n\n"  # how thoughts given apart stand in a completion's text


@dataclass(slots=True)
class Flight:
    """One request's progress. `most`: prompt tokens of the order under way, at most; it may generate `limit`.

    `before` is the cost of its orders that are over, `announced` what of the present one was charged so far.
    """

    request: Request
    limit: int
    most: int
    order: Order | None = None
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
        """More text of the order under way."""
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

    def begin(self, order: Order) -> None:
        self.order = order
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
        """Whether it pays for the prompt of an order that it shares with others."""
        return self.order is not None and self.order.ids[0] == self.request.id

    def pay(self, cost: Tokens) -> None:
        """The order under way is over."""
        self.before += cost
        self.order = None
        self.chunks = self.size = self.announced = 0

    def bound(self, reason: str | None, dropped: bool = False) -> Tokens:
        """What the order has cost at most, where the server does not say.

        Every token is a byte at least, every chunk was a token at least. What was `dropped` unseen may have been
        generated nevertheless.
        """
        if not (self.chunks or (dropped and self.accepted)):
            return Tokens()
        generated = max(self.chunks, min(self.limit, self.size))
        if reason == "length" or (dropped and self.blind):
            generated = max(generated, self.limit)
        return Tokens(self.most if self.first else 0, generated, 0 if self.first else self.most)

    def reply(self) -> str:
        """The whole completion; of a reply to a request for an answer, one line without what it repeats."""
        if self.reply_from < 0:
            return self.text
        head, said = self.text[: self.reply_from], self.text[self.reply_from :].strip()
        if self.label and said.lower().startswith(self.label.lower()):
            said = said[len(self.label) :].strip()
        for stop in self.stop:
            said = said.partition(stop)[0]
        return f"{head} {said}"


def shares(usage: Usage, flights: Sequence[Flight]) -> list[Tokens]:
    """The server's bill of one order, divided among its completions by the chunks that came of each.

    The prompt was evaluated once: the first pays for it, for the others it is reused.
    """
    weights = [max(1, flight.chunks or flight.size) for flight in flights]
    total, done, given = sum(weights), 0, 0
    divided = []
    for place, weight in enumerate(weights):
        done += weight
        part = usage.generated * done // total - given
        given += part
        paid = usage.prompt - usage.cached if place == 0 else 0
        divided.append(Tokens(paid, part, usage.prompt - paid))
    return divided
