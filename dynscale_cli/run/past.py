"""A run's past, from its journal into the books of the run that goes on with it.

Owns the order in which entries are put back, and what follows for pulls of which no sample came back: they were in
flight when the run stopped, and are drawn again, with the same numbers and the same prompts. Knows nothing of engines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.answers.extract import Answer
from dynscale_cli.answers.vote import Ballot
from dynscale_cli.engine.protocol import Tokens

from .catchup import Again, CatchUp
from .events import Answered, Event, Notice, Result, SampleFinished, SampleStarted, Stopped
from .sink import Dropped, Ended, Sampled, Spoke, Start
from .stored import Stored

if TYPE_CHECKING:
    from .books import Books


class Past:
    """What a journal knows of its run. `replay` it once, which takes the results out of `stored`: they are told and not
    needed again. Then `catch_up` tells what is to be drawn again.

    `told`: all of it is in the books.
    """

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._open: dict[tuple[int, int], Again] = {}
        self._known: set[int] = set()  # questions whose prompts were evaluated
        self._counted: dict[int, set[int]] = {}  # numbers of samples, by the question
        self._step = 0
        self.told = False

    def account(self, budget: int) -> Ended | None:
        """How a part ends that is left before the past is `told`: as the one before did, if that is known."""
        ended = self._stored.ended
        if ended is None:
            return None
        return replace(ended, how=ended.how if budget <= ended.budget else "interrupted", budget=budget)

    def catch_up(self) -> CatchUp:
        """The pulls whose samples never came back, in the order in which they began."""
        return CatchUp(self._open.values(), self._known, self._step)

    def replay(self, books: Books) -> Iterator[Event]:
        """Move `books` as the run did, and tell it as events."""
        for index in sorted(self._stored.lost):
            books.track(index).error = "its line in the journal is damaged"
        for time, entry in self._stored.entries():
            if time >= 0:
                books.time = time
            if isinstance(entry, Result):
                yield from self._finish(books, entry.index, entry.stopped)
            elif isinstance(entry, Spoke):
                self._spoke(entry)
            elif not books.answered[entry.q]:
                yield from self._pull(books, entry)
            elif not isinstance(entry, Start):  # paid for, though its question needed it no more
                books.tokens += entry.tokens if isinstance(entry, Dropped) else entry.sample.tokens
        if (ended := self._stored.ended) is not None:
            books.time = max(books.time, ended.time)
        spent = max(books.tokens.billed, self._stored.spent)
        books.lost = spent - books.tokens.billed
        books.ledger = Ledger(books.settings.budget, min(spent, books.settings.budget))
        books.ledger.overdrawn = spent - books.ledger.spent  # by a server that did not keep to what it was asked for
        self._stored.results.clear()
        self.told = True
        yield Notice(self._summary(books))

    def _pull(self, books: Books, entry: Start | Sampled | Dropped) -> Iterator[Event]:
        q = entry.q
        if isinstance(entry, Start):
            self._step = max(self._step, entry.step)
            self._begin(books, entry)
        elif isinstance(entry, Dropped):
            books.pay(q, entry.kind, entry.tokens)
            if entry.failed is not None and self._open.pop((q, entry.number), None) is not None:
                stopped = books.fail(q, entry.tokens, entry.failed, final=entry.final)
                if stopped is not None:
                    yield from self._finish(books, q, stopped)
        elif entry.sample.number not in (counted := self._counted.setdefault(q, set())):
            sample = entry.sample
            counted.add(sample.number)
            self._step = max(self._step, entry.step)
            self._known.add(q)
            if self._open.pop((q, sample.number), None) is None:  # the line of its start is damaged
                self._begin(books, Start(q, sample.number, sample.kind, sample.seen, entry.step))
                del self._open[q, sample.number]
            yield from self._count(books, entry)

    def _begin(self, books: Books, start: Start) -> None:
        if (start.q, start.number) not in self._open:
            books.begin(start.q, start.number)
            self._open[start.q, start.number] = Again(start)

    def _spoke(self, spoke: Spoke) -> None:
        self._step = max(self._step, spoke.step)
        self._known.add(spoke.q)
        if again := self._open.get((spoke.q, spoke.number)):
            self._open[spoke.q, spoke.number] = replace(again, spoke=spoke)

    def _count(self, books: Books, sampled: Sampled) -> Iterator[Event]:
        q, sample, question = sampled.q, sampled.sample, books.questions[sampled.q]
        yield SampleStarted(q, question.id, question.text, sample.number, sample.kind, books.standing(q))
        answer = None if sample.key is None else Answer(sample.key, sample.answer or "", sampled.committed)
        ballot = Ballot(sample.number, answer, sample.tokens.generated, sample.weight, sample.logprob)
        books.pay(q, sample.kind, sample.tokens)
        stopped = books.count(q, sample, ballot, sampled.cost)
        yield SampleFinished(q, sample, books.standing(q))
        if stopped is not None:
            yield from self._finish(books, q, stopped)

    def _finish(self, books: Books, q: int, stopped: Stopped) -> Iterator[Event]:
        """A question is done: as it was told then, where it was."""
        if books.answered[q]:
            return
        self._counted.pop(q, None)
        for name in [name for name in self._open if name[0] == q]:
            books.drop(q, Tokens())
            del self._open[name]
        known = self._stored.results[q] if q in self._stored.final else None
        yield Answered(books.finish(q, stopped, known), replayed=True)

    def _summary(self, books: Books) -> str:
        done, left = sum(books.answered), books.ledger.free
        lost = f", {books.lost:,} of them lost with the process" if books.lost else ""
        spent = f"{books.ledger.spent:,} tokens spent{lost}, {left:,} left"
        ended = self._stored.ended
        if ended is not None and ended.how == "finished" and books.settings.budget <= ended.budget:
            return f"run {self._stored.id} is finished: {spent}; --budget +20k would buy more"
        return f"run {self._stored.id} goes on: {done:,} of {len(books.questions):,} questions are done, {spent}"
