"""Admission: whether a question's next sample may start, on which terms, and whether what is in flight still fits.

An engine that asks before every step needs the prompt and an answer's reserve to be certain, and is stopped when the
budget is. A server takes a request with all that it may cost: so where the budget is low, the request is made smaller
instead. And budget forcing, which that reserve is for: taking a sample further than it went, its thought closed, its
answer asked for.

Owns these decisions, the forecast of lengths, which questions are too dear for what is left, and what is said to a
sample that cannot go on. The ledger still says yes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.engine.protocol import Engine, Finished, Request
from dynscale_cli.sampling.prompts import Prompts
from dynscale_cli.sampling.sampler import Draft, Sampler

from .state import InFlight, QuestionState, RunState

# A sample is given three times the length expected of it before others have to wait for it: of lengths that are as
# spread as waiting times are, one in twenty is longer, and that one is asked for its answer.
PATIENCE = 3
REFUSED = 64  # questions laid out for nothing before the budget is said to be at its end
ANSWER_TOKENS = 24  # what a sample that was cut off gets to say its answer


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
        granted = self._admit(self._price(question, draft), question, in_flight)
        if granted is None and not in_flight and self._engine.info.upfront and draft.kind == "chain":
            # A parallel sample in the place of a chain that is too dear: its prompt is bounded, often by four times it.
            draft = self._sampler.parallel(question.asked, number, id)
            granted = self._admit(self._price(question, draft), question, in_flight)
        if granted is None and not in_flight:
            self._refused += 1
            if not question.samples:
                least = self._price(question, draft).least
                self.cheapest = min(least, self.cheapest or least)
        return granted

    def _admit(
        self, asked: Reservation, question: QuestionState, in_flight: Collection[InFlight]
    ) -> Reservation | None:
        """What to reserve for a sample that may start now; None where it may not.

        What is certain has to fit, and what everything in flight is expected to need. A question's first sample is
        worth having even when it may be cut short, if nothing else runs.
        """
        free, first = self._state.ledger.free, not question.samples
        expected = min(self._expected(question), asked.draft.request.max_tokens)
        if asked.bounded:
            return _upfront(asked, free, expected, self._engine.free_slots, running=bool(in_flight), first=first)
        if asked.least > free:
            return None
        if first and not in_flight:
            return asked
        return asked if asked.least - 1 + sum(map(self.remaining, in_flight)) + expected <= free else None

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

    def resting(self, in_flight: Sequence[InFlight]) -> Sequence[InFlight]:
        """Those that have to rest: the budget is not expected to see them to their ends beside the older ones.

        `in_flight`: the oldest first, which goes on in any case.
        """
        if self._engine.info.upfront:  # all that they may cost is reserved
            return ()
        free = float(self._state.ledger.free)
        if len(in_flight) * self._state.settings.max_tokens <= free:  # the budget's end is far off at most steps
            return ()
        for place, sample in enumerate(in_flight):
            free -= self.remaining(sample)
            if free < 0 and place:
                return in_flight[place:]
        return ()

    def remaining(self, sample: InFlight) -> float:
        """Tokens that a sample in flight is expected to generate yet, beside its reserve for being asked.

        Lengths are heavy-tailed: one is expected to go on for as long as it has lived, if its forecast is not longer.
        """
        if sample.closing:
            return 0.0
        expected = self._expected(self._state.open[sample.question])
        left = max(expected - sample.generated, sample.generated)
        return min(left, sample.draft.request.max_tokens - sample.generated)

    def _expected(self, question: QuestionState) -> float:
        """Tokens of one more sample: the question's own mean, shrunk to the run's by one sample."""
        state = self._state
        guess = min(self._engine.info.expected, state.settings.max_tokens)
        run = state.generated / state.finished if state.finished else guess
        return (question.generated + run) / (len(question.samples) + 1)

    def _price(self, question: QuestionState, draft: Draft) -> Reservation:
        """What a sample costs before it generates anything, and to be asked for its answer."""
        upfront = self._engine.info.upfront
        answer = 0 if upfront and question.kind.long else self._forcing.spare(draft.request)
        return Reservation(draft, self._engine.prefill_cost(draft.request), answer, bounded=upfront)


def _upfront(
    asked: Reservation, free: int, expected: float, free_slots: int, *, running: bool, first: bool
) -> Reservation | None:
    """All that the sample may cost, its limit lowered to a fair share where tokens are few.

    While others run, it waits rather than be cut short; alone, it takes what is left. A question's first sample is
    worth having even when its answer's reserve is not there: then half of what is left is kept for that. A later one
    goes without where it has room to end by itself.
    """
    fixed, most = asked.prompt + asked.answer, asked.draft.request.max_tokens
    roomy = min(most, round(PATIENCE * expected))
    limit = max(roomy, min(most, free // max(1, free_slots) - fixed))
    if limit > free - fixed and running:
        return None
    if limit > free - fixed:
        limit = min(most, free - fixed)
        if first and limit < min(most, expected):
            fixed = asked.prompt
            limit = max(limit, min(most, (free - fixed + 1) // 2))
        elif limit < min(most, expected) and roomy <= free - asked.prompt:
            fixed, limit = asked.prompt, roomy
        if limit < (1 if first else min(most, expected)):
            return None
    draft = replace(asked.draft, request=replace(asked.draft.request, max_tokens=max(1, limit)))
    return Reservation(draft, 0, 0, fixed + max(1, limit))


class Forcing:
    """Takes samples of one engine further, out of what the ledger holds for them."""

    def __init__(self, engine: Engine, prompts: Prompts) -> None:
        self._engine, self._prompts = engine, prompts
        # The newest token, a thought closed twice (by its limit, then for the answer), the question, the answer.
        asking = 2 * engine.count(engine.reasoning.closing) + engine.count(prompts.answer)
        self.reserve = 1 + asking + ANSWER_TOKENS

    def spare(self, request: Request) -> int:
        """Tokens to set aside before a request starts, so that it can be asked for its answer."""
        if not self._engine.info.upfront:
            return self.reserve
        return self._engine.extend_cost(request, self._prompts.answer, ANSWER_TOKENS, self._prompts.finish)

    def is_answered(self, said: str) -> bool:
        """Whether a sample that was cut off has stated its answer before, as it was told to.

        What else it said of an answer may have been on the way to another, or in a thought that nobody marked.
        """
        return self._prompts.answer.strip().lower() in said.lower()

    def ask(self, sample: InFlight, ledger: Ledger, over: Finished | None = None) -> bool:
        """Close the thought if one is open, and have the sample say its answer out of its reserve.

        False where that cannot be paid for: a server has taken more than it was given, or came with too little.
        """
        id, turn = sample.draft.request.id, self._prompts.finish
        text = (sample.thoughts.closing if sample.thoughts.thinking else "") + self._prompts.answer
        if over is not None:
            ledger.correct(id, over.tokens.billed)
        held = self._hold(ledger, sample, text, ANSWER_TOKENS, turn, over.text if over else "")
        if held is None:
            return False
        sample.closing = True
        ledger.close(id)
        self._engine.extend(id, text, ANSWER_TOKENS, stop=("\n",), turn=turn, held=held)
        return True

    def close_thoughts(self, in_flight: Mapping[int, InFlight], limit: int | None, ledger: Ledger) -> None:
        """End the thoughts of `limit` tokens or more, once it is known whose sample is over with its newest token."""
        for id in sorted(in_flight) if limit is not None else ():
            sample = in_flight[id]
            if sample.thoughts.thinking and sample.generated >= (limit or 0) and not sample.thought_closed:
                sample.thought_closed = True
                self._close_thought(sample, ledger)

    def _close_thought(self, sample: InFlight, ledger: Ledger) -> None:
        """End a thought that has reached its limit, where the rest can be paid for."""
        request, turn = sample.draft.request, self._prompts.conclude
        left = request.max_tokens - sample.generated
        if left <= 0 or sample.closing:
            return
        # What a server may have generated until its stream is closed is paid for as well.
        more = self._engine.prefill_cost(request) + request.max_tokens - self._engine.usage(request.id).billed
        closing = sample.thoughts.closing
        held = self._hold(ledger, sample, closing, left, turn, sample.text, more)
        if held is not None:
            self._engine.extend(request.id, closing, left, turn=turn, held=held)

    def _hold(
        self, ledger: Ledger, sample: InFlight, text: str, tokens: int, turn: str, written: str, more: int = 0
    ) -> int | None:
        """Hold what the extension takes, all that is free if need be; None where that is too little."""
        if not self._engine.info.upfront:
            return 0  # it will ask
        request = sample.draft.request
        least = self._engine.extend_cost(request, text, tokens, turn, "")
        whole = self._engine.extend_cost(request, text, tokens, turn, written)
        held = ledger.top_up(request.id, more + whole) - more
        return min(held, whole) if held >= least else None
