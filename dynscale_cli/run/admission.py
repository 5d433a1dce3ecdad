"""Admission: whether a question's next sample may start, and on which terms.

An engine that asks before every step needs the prompt and an answer's reserve to be certain, and is stopped when the
budget is. A server takes a request with all that it may cost: so where the budget is low, the request is made smaller
instead. Owns that decision, and which questions are too dear for what is left. The ledger still says yes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from dynscale_cli.engine.protocol import Engine
from dynscale_cli.sampling.sampler import Draft, Sampler

from .forcing import Forcing, InFlight
from .state import QuestionState, RunState

# A sample is given three times the length expected of it before others have to wait for it: of lengths that are as
# spread as waiting times are, one in twenty is longer, and that one is asked for its answer.
PATIENCE = 3
REFUSED = 64  # questions laid out for nothing before the budget is said to be at its end


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens to reserve: for the new prompt and for asking for the answer, or for all of it `ahead`.

    `bounded`: nobody can be asked later, and of the prompt a bound is known.
    """

    draft: Draft
    prompt: int
    answer: int
    ahead: int = 0
    bounded: bool = False

    @property
    def least(self) -> int:
        """Below this the sample cannot start: there must be one token to generate."""
        return self.prompt + 1 + (0 if self.bounded else self.answer)


@dataclass(frozen=True, slots=True)
class AdmissionState:
    """What is known when a sample is to start, in tokens: what is `free`, how long it is `expected` to become, what
    those in flight are expected to take beside their reserves; how many could start, whether any runs, whether it is
    the question's `first`."""

    free: int
    expected: float
    ahead: float
    free_slots: int
    running: bool
    first: bool


class Admission:
    """Prices the next samples of a run, and admits them. `cheapest`: of the first samples that it refused."""

    def __init__(self, engine: Engine, sampler: Sampler, forcing: Forcing, state: RunState) -> None:
        self._engine, self._sampler, self._forcing, self._state = engine, sampler, forcing, state
        self._refused = 0  # questions that were laid out and are too dear for what is left of the budget
        self.cheapest: int | None = None

    def grant(self, question: QuestionState, id: int, in_flight: Collection[InFlight]) -> Reservation | None:
        """What to reserve for the question's next sample, request `id`. None where it may not start, or not yet."""
        assert question.asked is not None
        number, votes = question.next_number, list(question.votes)
        combine = self._state.is_combined(question)
        draft = self._sampler.draft(question.asked, number, id, question.samples, votes, combine=combine)
        now = AdmissionState(
            free=self._state.ledger.free,
            expected=min(self._state.expected(question, in_flight), draft.request.max_tokens),
            ahead=sum(map(self._state.remaining, in_flight)),
            free_slots=self._engine.free_slots,
            running=bool(in_flight),
            first=not question.samples,
        )
        asked = self._price(question, draft)
        granted = admit(asked, now)
        if granted is None and not in_flight and asked.bounded and draft.kind == "chain":
            # A parallel sample in the place of a chain that is too dear: its prompt is bounded, often by four times it.
            asked = self._price(question, self._sampler.parallel(question.asked, number, id))
            granted = admit(asked, now)
        if granted is None and not in_flight:
            self._refused += 1
            if not question.samples:
                self.cheapest = min(asked.least, self.cheapest or asked.least)
        return granted

    def is_out_of_reach(self, q: int) -> bool:
        """Once the budget is at its end, with nothing in flight: whether a question need not be laid out to know that
        it is too dear.

        There may be a hundred thousand of them, which end as they are; a cheaper one among them is still looked for.
        """
        if not self._refused or q in self._state.open:
            return False
        if self._refused >= REFUSED:
            return True
        if self._engine.info.upfront:  # of a server's prompts, only upper bounds are known
            return False
        room = self._state.ledger.free - self._forcing.reserve
        return self._sampler.outgrows(self._state.questions[q], room, compared=not self._state.kind(q).long)

    def _price(self, question: QuestionState, draft: Draft) -> Reservation:
        """What a sample costs before it generates anything, and to be asked for its answer."""
        upfront = self._engine.info.upfront
        answer = 0 if upfront and question.kind.long else self._forcing.spare(draft.request)
        return Reservation(draft, self._engine.prefill_cost(draft.request), answer, bounded=upfront)


def admit(asked: Reservation, now: AdmissionState) -> Reservation | None:
    """What to reserve for a sample that may start now; None where it may not."""
    return _upfront(asked, now) if asked.bounded else _stepwise(asked, now)


def _stepwise(asked: Reservation, now: AdmissionState) -> Reservation | None:
    """As asked, if what is certain fits, and what everything in flight is expected to need.

    A question's first sample is worth having even when it may be cut short, if nothing else runs.
    """
    if asked.least > now.free:
        return None
    if not now.running and now.first:
        return asked
    return asked if asked.least - 1 + now.ahead + now.expected <= now.free else None


def _upfront(asked: Reservation, now: AdmissionState) -> Reservation | None:
    """All that the sample may cost, its limit lowered to a fair share where tokens are few.

    While others run, it waits rather than be cut short; alone, it takes what is left. A question's first sample is
    worth having even when its answer's reserve is not there: then half of what is left is kept for that. A later one
    goes without where it has room to end by itself.
    """
    fixed, most = asked.prompt + asked.answer, asked.draft.request.max_tokens
    roomy = min(most, round(PATIENCE * now.expected))
    limit = max(roomy, min(most, now.free // max(1, now.free_slots) - fixed))
    if limit > now.free - fixed and now.running:
        return None
    if limit > now.free - fixed:
        limit = min(most, now.free - fixed)
        if now.first and limit < min(most, now.expected):
            fixed = asked.prompt
            limit = max(limit, min(most, (now.free - fixed + 1) // 2))
        elif limit < min(most, now.expected) and roomy <= now.free - asked.prompt:
            fixed, limit = asked.prompt, roomy
        if limit < (1 if now.first else min(most, now.expected)):
            return None
    draft = replace(asked.draft, request=replace(asked.draft.request, max_tokens=max(1, limit)))
    return Reservation(draft, 0, 0, fixed + max(1, limit))
