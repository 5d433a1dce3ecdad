"""A run's past, from its journal into the state of the run that goes on with it.

Owns the order in which entries are put back, and what follows for samples that never came back: they were in flight
when the run stopped, and are drawn again under the same numbers. Knows nothing of engines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.answers.extract import Answer
from dynscale_cli.answers.vote import Ballot

from .events import Answered, Event, Notice, Result, SampleFinished, SampleStarted, Stopped
from .sink import Dropped, Ended, Sampled, Start
from .stored import Stored

if TYPE_CHECKING:
    from .state import RunState


class Past:
    """What a journal knows of its run. `replay` it once, which takes the results out of `stored`: they are told and not
    needed again. `told`: all of it is in the state.
    """

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._counted: dict[int, set[int]] = {}  # numbers of samples, by the question
        self.told = False

    def account(self, budget: int) -> Ended | None:
        """How a part ends that is left before the past is `told`: as the one before did, if that is known."""
        ended = self._stored.ended
        if ended is None:
            return None
        return replace(ended, how=ended.how if budget <= ended.budget else "interrupted", budget=budget)

    def replay(self, state: RunState) -> Iterator[Event]:
        """Move `state` as the run did, and tell it as events."""
        for time, entry in self._stored.entries():
            if time >= 0:
                state.time = time
            if isinstance(entry, Result):
                yield from self._finish(state, entry.index, entry.stopped)
            elif not state.answered[entry.q]:
                yield from self._sample(state, entry)
            elif not isinstance(entry, Start):  # paid for, though its question needed it no more
                state.tokens += entry.tokens if isinstance(entry, Dropped) else entry.sample.tokens
        for index in sorted(self._stored.lost):
            if not state.answered[index]:
                state.question(index).error = "its line in the journal is damaged"
        if (ended := self._stored.ended) is not None:
            state.time = max(state.time, ended.time)
        spent = max(state.tokens.billed, self._stored.spent)
        state.lost = spent - state.tokens.billed
        state.ledger = Ledger(state.settings.budget, min(spent, state.settings.budget))
        state.ledger.overdrawn = spent - state.ledger.spent  # by a server that did not keep to what it was asked for
        self._stored.results.clear()
        self.told = True
        yield Notice(self._summary(state))

    def _sample(self, state: RunState, entry: Start | Sampled | Dropped) -> Iterator[Event]:
        q = entry.q
        if isinstance(entry, Start):
            state.question(q).expect(entry.number)
        elif isinstance(entry, Dropped):
            state.pay(q, entry.kind, entry.tokens)
            if entry.failed is not None:
                state.begin(q, entry.number)
                stopped = state.fail(q, entry.tokens, entry.failed, final=entry.final)
                if stopped is not None:
                    yield from self._finish(state, q, stopped)
        elif entry.sample.number not in (counted := self._counted.setdefault(q, set())):
            counted.add(entry.sample.number)
            yield from self._count(state, entry)

    def _count(self, state: RunState, sampled: Sampled) -> Iterator[Event]:
        q, sample, question = sampled.q, sampled.sample, state.questions[sampled.q]
        state.begin(q, sample.number)
        yield SampleStarted(q, question.id, question.text, sample.number, sample.kind, state.standing(q))
        answer = None if sample.key is None else Answer(sample.key, sample.answer or "", sampled.committed)
        ballot = Ballot(sample.number, answer, sample.tokens.generated, sample.weight, sample.logprob)
        state.pay(q, sample.kind, sample.tokens)
        stopped = state.count(q, sample, ballot)
        yield SampleFinished(q, sample, state.standing(q))
        if stopped is not None:
            yield from self._finish(state, q, stopped)

    def _finish(self, state: RunState, q: int, stopped: Stopped) -> Iterator[Event]:
        """A question is done: as it was told then, where it was."""
        if not state.answered[q]:
            self._counted.pop(q, None)
            known = self._stored.results[q] if q in self._stored.final else None
            yield Answered(state.finish(q, stopped, known), replayed=True)

    def _summary(self, state: RunState) -> str:
        done, left = sum(state.answered), state.ledger.free
        lost = f", {state.lost:,} of them lost with the process" if state.lost else ""
        spent = f"{state.ledger.spent:,} tokens spent{lost}, {left:,} left"
        ended = self._stored.ended
        if ended is not None and ended.how == "finished" and state.settings.budget <= ended.budget:
            return f"run {self._stored.id} is finished: {spent}; --budget +20k would buy more"
        return f"run {self._stored.id} goes on: {done:,} of {len(state.questions):,} questions are done, {spent}"
