"""A stored run's past, put into the state of the run that goes on with it.

Owns the order in which samples are put back, and what follows for those that never came back: they were in flight when
the run stopped, and are drawn again under the same numbers. Knows nothing of engines or of how a run is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.answers.extract import Answer
from dynscale_cli.answers.vote import Ballot

from .events import Answered, Event, Notice, SampleFinished, SampleStarted, Stopped
from .sink import Dropped, Ended, Sampled
from .stored import StoredRun

if TYPE_CHECKING:
    from .state import RunState


class Past:
    """What is stored of a run. `replay` it once, which takes the results out of `stored`: they are told and not needed
    again. `told`: all of it is in the state.
    """

    def __init__(self, stored: StoredRun) -> None:
        self._stored = stored
        self.told = False

    def account(self, budget: int) -> Ended | None:
        """How a part ends that is left before the past is `told`: as the one before did, if that is known."""
        ended = self._stored.ended
        if ended is None:
            return None
        return replace(ended, how=ended.how if budget <= ended.budget else "interrupted", budget=budget)

    def replay(self, state: RunState) -> Iterator[Event]:
        """Move `state` as the run did, and tell it as events."""
        stored = self._stored
        for time, draw in stored.draws():
            state.time = max(state.time, time)
            if not state.answered[draw.q]:
                yield from self._sampled(state, draw) if isinstance(draw, Sampled) else self._dropped(state, draw)
            else:  # paid for, though its question needed it no more
                state.tokens += draw.tokens if isinstance(draw, Dropped) else draw.sample.tokens
        for start in stored.in_flight():
            if not state.answered[start.q]:
                state.question(start.q).expect(start.number)
        for q in sorted(stored.final):  # such as a question that no prompt could be made of
            yield from self._finish(state, q, stored.results[q].stopped)
        if stored.ended is not None:
            state.time = max(state.time, stored.ended.time)
        spent = max(state.tokens.billed, stored.spent)
        state.lost = spent - state.tokens.billed
        state.ledger = Ledger(state.settings.budget, min(spent, state.settings.budget))
        state.ledger.overdrawn = spent - state.ledger.spent  # by a server that did not keep to what it was asked for
        stored.results.clear()
        self.told = True
        yield Notice(self._summary(state))

    def _sampled(self, state: RunState, sampled: Sampled) -> Iterator[Event]:
        q, sample, question = sampled.q, sampled.sample, state.questions[sampled.q]
        state.begin(q, sample.number)
        yield SampleStarted(q, question.id, question.text, sample.number, sample.kind, state.standing(q))
        answer = None if sample.key is None else Answer(sample.key, sample.answer or "")
        ballot = Ballot(sample.number, answer, sample.tokens.generated, sample.weight, sample.logprob)
        state.pay(q, sample.kind, sample.tokens)
        stopped = state.count(q, sample, ballot)
        yield SampleFinished(q, sample, state.standing(q))
        if stopped is not None:
            yield from self._finish(state, q, stopped)

    def _dropped(self, state: RunState, dropped: Dropped) -> Iterator[Event]:
        q = dropped.q
        state.pay(q, dropped.kind, dropped.tokens)
        if dropped.failed is None:
            state.question(q).expect(dropped.number)
            return
        state.begin(q, dropped.number)
        stopped = state.fail(q, dropped.tokens, dropped.failed, final=dropped.final)
        if stopped is not None:
            yield from self._finish(state, q, stopped)

    def _finish(self, state: RunState, q: int, stopped: Stopped) -> Iterator[Event]:
        """A question is done: as it was told then, where it was."""
        if not state.answered[q]:
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
