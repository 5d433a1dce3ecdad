"""The second engine: the same protocol over OpenAI-compatible chat servers.

Owns the life of a request from `submit` to its last event, and its bill: all that it may cost is quoted beforehand, the
server's own count settles it. Requests of one prompt that start together go out as one. Knows nothing of HTTP (that is
`chat`), of questions or of the budget.
"""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from dynscale_cli.errors import EngineError

from .chat import Accepted, Alone, Courier, Dead, News, Order, Over, Said
from .flights import Flight, shares
from .gauge import PER_MESSAGE, Gauge, size
from .protocol import (
    Aborted,
    Charge,
    EngineEvent,
    EngineInfo,
    Failed,
    Finished,
    Message,
    Piece,
    Prompt,
    Reason,
    Remark,
    Request,
    Tokens,
)
from .reading import ABSURD, Delta, Usage
from .reasoning import ReasoningFormat

DEFAULT_WIDTH = 16
TOGETHER = 4  # requests in one: they end when the longest of them does, and hold their places until then
LEAST_SHOWN = 256  # bytes of what a sample has written that it is shown again, at least, to be asked for its answer
FEW = 4  # requests in flight before it is known whether the server counts: they may have to be billed by their bytes
WAIT = 0.1  # seconds that a step waits for news
UNBELIEVABLE = 1 << 17  # prompt tokens beyond every bound that no hidden system prompt explains


class ServerEngine:
    """`Engine` over a `Courier`. `together`: whether requests of one prompt may share an order."""

    def __init__(
        self,
        courier: Courier,
        *,
        context: int,
        width: int = DEFAULT_WIDTH,
        together: bool = True,
        logprobs: bool = False,
    ) -> None:
        self.info = EngineInfo(_shown(courier.model), width, context, upfront=True)
        self.reasoning = ReasoningFormat()
        self._courier, self._together = courier, together
        self._gauge = Gauge()
        self._flights: dict[int, Flight] = {}
        self._waiting: list[tuple[int, tuple[Message, ...]]] = []
        self._ended: list[int] = []
        self._arrived: deque[News | None] = deque()
        self._events: list[EngineEvent] = []
        self._told: set[str] = set()
        self._error: EngineError | None = None
        self._aborted = False
        self._due: dict[int, int] | None = None  # what came since the last step, not yet told

    @property
    def free_slots(self) -> int:
        width = self.info.width if self._courier.counts is not None else min(FEW, self.info.width)
        return max(0, width - len(self._flights) + len(self._ended))

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        clean = tuple(replace(m, content=m.content.encode("utf-8", "replace").decode()) for m in messages)
        return Prompt(messages=clean, likely=self._gauge.likely(clean))

    def count(self, text: str) -> int:
        return self._gauge.count(text)

    def prefill_cost(self, request: Request) -> int:
        return self._gauge.most(request.prompt.messages)

    def extend_cost(
        self, request: Request, text: str, max_tokens: int, turn: str = "", written: str | None = None
    ) -> int:
        shown = LEAST_SHOWN if written is None else size(written)
        return self.prefill_cost(request) + 2 * PER_MESSAGE + size(turn) + shown + max_tokens

    def submit(self, request: Request) -> None:
        self._flights[request.id] = Flight(request, request.max_tokens, self.prefill_cost(request))
        self._waiting.append((request.id, request.prompt.messages))

    def extend(
        self, id: int, text: str, max_tokens: int, stop: tuple[str, ...] = (), turn: str = "", held: int = 0
    ) -> None:
        """See `Engine`. What was written goes back as the assistant's turn, its end if that is all that `held` pays."""
        flight = self._flights.get(id)
        if flight is None:
            raise ValueError(f"request {id} is not active")
        room = held - self.extend_cost(flight.request, text, max_tokens, turn, written="")
        if room < 0:
            raise ValueError(f"request {id} needs {-room} tokens more to be extended")
        if id in self._ended:
            self._ended.remove(id)
        else:
            self._leave(flight)
        thought, said, _ = self.reasoning.split(flight.text)
        shown = _tail(f"{thought}\n\n{said}".strip(), room)
        flight.thinking = False
        flight.write(text)
        flight.limit, flight.stop, flight.extended = max_tokens, stop, True
        flight.most = self.extend_cost(flight.request, text, max_tokens, turn, written=shown) - max_tokens
        if stop:
            flight.reply_from, flight.label = len(flight.text), text.strip().rpartition("\n")[2]
        self._waiting.append((id, _asking(flight.request.prompt.messages, shown, turn)))

    def cancel(self, id: int) -> Tokens:
        flight = self._flights.get(id)
        if flight is None:
            return Tokens()
        self._leave(flight)
        self._forget(id)
        return flight.before

    def usage(self, id: int) -> Tokens:
        flight = self._flights.get(id)
        return flight.before + Tokens(0, flight.announced) if flight else Tokens()

    def plan_step(self) -> list[Charge]:
        """What has come since the last step."""
        if self._due is None:
            for id in list(self._ended):
                self._forget(id)
            self._drain()
            self._due = {id: flight.progress() for id, flight in self._flights.items()}
        return [Charge(id, 0, tokens) for id, tokens in self._due.items()]

    @property
    def max_committed(self) -> int:
        """See `Engine`. An order that is under way may cost its limit, and its prompt once for all that share it."""
        waiting = {id for id, _ in self._waiting}
        total, seen = 0, set()
        for id, flight in self._flights.items():
            total += flight.before.billed
            if id in waiting:
                total += flight.most + flight.limit
            elif flight.order is not None:
                total += flight.limit + (flight.most if flight.order not in seen else 0)
                seen.add(flight.order)
        return total

    def step(self) -> list[EngineEvent]:
        """Send what waits, and tell what `plan_step` has charged; wait for news a moment where there is none."""
        self.plan_step()
        self._due = None
        self._launch()
        if not self._events and self._flights and not self._aborted and self._error is None:
            with contextlib.suppress(queue.Empty):
                self._arrived.append(self._courier.inbox.get(timeout=WAIT))
        if not any(isinstance(event, (Finished, Failed)) for event in self._events):  # what is over is told first
            if self._aborted:
                raise Aborted
            if self._error is not None:
                raise self._error
        events, self._events = self._events, []
        return events

    def abort(self) -> None:
        """Stop waiting, from any thread: the step under way raises Aborted."""
        self._aborted = True
        self._courier.inbox.put(None)

    def close(self) -> None:
        self._courier.close()

    # Orders

    def _launch(self) -> None:
        """Send the waiting requests, those of one prompt and limit together."""
        groups: list[Order] = []
        for id, messages in self._waiting:
            flight = self._flights.get(id)
            if flight is not None:
                groups = self._join(groups, flight, id, messages)
        self._waiting = []
        for order in groups:
            for id in order.ids:
                self._flights[id].begin(order)
            self._courier.send(order)

    def _join(self, groups: list[Order], flight: Flight, id: int, messages: tuple[Message, ...]) -> list[Order]:
        request = flight.request
        for place, order in enumerate(groups):
            same = (
                order.messages == messages and order.max_tokens == flight.limit and order.sampling == request.sampling
            )
            if same and self._together and len(order.ids) < TOGETHER:
                return [*groups[:place], replace(order, ids=(*order.ids, id)), *groups[place + 1 :]]
        order = Order(
            (id,), messages, flight.limit, request.sampling, request.seed, request.logprobs, request.ignore_end
        )
        return [*groups, order]

    def _leave(self, flight: Flight) -> None:
        """Let go of the order under way; what came of it is paid for."""
        id, order = flight.request.id, flight.order
        self._waiting = [(waiting, messages) for waiting, messages in self._waiting if waiting != id]
        if order is None:
            return
        flight.pay(flight.bound(None, dropped=True))
        if not any(other.order is order for other in self._flights.values()):
            self._courier.recall(order)

    def _forget(self, id: int) -> None:
        self._flights.pop(id, None)
        if self._due is not None:
            self._due.pop(id, None)
        if id in self._ended:
            self._ended.remove(id)

    # News

    def _drain(self) -> None:
        """Take in all news there are."""
        while True:
            try:
                news = self._arrived.popleft() if self._arrived else self._courier.inbox.get_nowait()
            except queue.Empty:
                break
            if news is not None:
                self._take(news)
        for id, flight in self._flights.items():
            self._speak(id, flight)

    def _take(self, news: News) -> None:
        if isinstance(news, Said):
            self._say(news.message)
        elif isinstance(news, Dead):
            self._error = EngineError(news.fault.message, news.fault.hint)
        elif isinstance(news, Delta):
            flight = self._of(news.order, news.order.ids[news.place])
            if flight is not None:
                flight.hear(news.text, news.thought, news.logprobs)
        elif isinstance(news, Accepted):
            for flight in filter(None, (self._of(news.order, id) for id in news.order.ids)):
                flight.accepted, flight.blind = True, news.blind
        elif isinstance(news, Alone):
            self._together = False
            for id in news.ids:
                if (flight := self._of(news.order, id)) is not None:
                    flight.order = None
                    self._waiting.append((id, news.order.messages))
        else:
            self._over(news)

    def _of(self, order: Order, id: int) -> Flight | None:
        """The request's flight, where it is still with this order."""
        flight = self._flights.get(id)
        return flight if flight is not None and flight.order is order else None

    def _over(self, over: Over) -> None:
        order = over.order
        flights = [flight for id in order.ids if (flight := self._of(order, id)) is not None]
        answered = [f for f in flights if over.fault is not None or over.reasons[order.ids.index(f.request.id)]]
        bill = self._bill(order, answered, over.usage, over.reasons)
        for flight, cost in zip(answered, bill, strict=True):
            place = order.ids.index(flight.request.id)
            reason = over.reasons[place] if over.reasons else None
            scored = bool(flight.scored or not flight.chunks)
            flight.pay(cost)
            self._end(flight, reason, over)
            if flight.request.logprobs and not scored:
                self._say("the server gives no log-probabilities: every vote weighs the same")

    def _bill(
        self, order: Order, flights: list[Flight], usage: Usage | None, reasons: Sequence[str | None]
    ) -> list[Tokens]:
        if not flights:
            return []
        if usage is not None and self._believable(usage, order, flights):
            most = flights[0].most
            if usage.prompt > most:
                self._say("the server counts more prompt tokens than the text can have: they are billed as counted")
            if usage.generated > len(flights) * order.max_tokens:
                self._say("the server generates more tokens than it was asked for: they are billed as counted")
            self._gauge.learn(order.messages, usage.prompt, most)
            return shares(usage, flights)
        return [flight.bound(reasons[order.ids.index(flight.request.id)] if reasons else None) for flight in flights]

    def _believable(self, usage: Usage, order: Order, flights: list[Flight]) -> bool:
        """Whether a server's count can be: not more tokens than were asked for and came, not none for some text."""
        came = sum(flight.size for flight in flights)
        asked = len(order.ids) * order.max_tokens
        believable = usage.prompt <= flights[0].most + UNBELIEVABLE and (usage.generated > 0 or not came)
        if believable and usage.generated <= max(asked, came + len(flights)):
            return True
        self._say(ABSURD)
        return False

    def _end(self, flight: Flight, reason: str | None, over: Over) -> None:
        """Tell how a request ended. One that was asked to go on, and could not, ends with what it had."""
        id = flight.request.id
        self._speak(id, flight)
        self._ended.append(id)
        if reason is None and not flight.extended and over.fault is not None:
            hopeless = over.fault.kind == "request"
            self._events.append(Failed(id, over.fault.message, flight.before, hopeless))
            return
        why: Reason = "stop" if reason == "stop" else "length"
        self._events.append(Finished(id, why, flight.reply(), flight.before, flight.mean_logprob))

    def _speak(self, id: int, flight: Flight) -> None:
        if flight.pieces:
            self._events.append(Piece(id, "".join(flight.pieces)))
            flight.pieces.clear()

    def _say(self, message: str) -> None:
        """Tell the user, once."""
        if message not in self._told:
            self._told.add(message)
            self._events.append(Remark(message))


def _shown(model: str) -> str:
    """A served model's name for people: some servers call it by the path of its file."""
    return PurePosixPath(model).stem if model.startswith("/") and model.endswith(".gguf") else model


def _tail(text: str, room: int) -> str:
    """The end of a text in at most `room` bytes: what leads to an answer stands there."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= room else data[len(data) - max(0, room) :].decode("utf-8", "ignore") if room > 0 else ""


def _asking(messages: tuple[Message, ...], written: str, turn: str) -> tuple[Message, ...]:
    """The conversation, with what the assistant has written, and the user's next turn."""
    if written:
        return (*messages, Message("assistant", written), Message("user", turn))
    last = messages[-1]
    return (*messages[:-1], Message(last.role, f"{last.content}\n\n{turn}"))
