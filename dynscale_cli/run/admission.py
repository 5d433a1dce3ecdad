"""Admission: on which terms a sample may start, and how long those in flight are expected to become.

An engine that asks before every step needs the prompt and an answer's reserve to be certain, and is stopped when the
budget is. A server takes a request with all that it may cost: so where the budget is low, the request is made smaller
instead. Owns that decision and the forecast of lengths behind it. Pure; the ledger still says yes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dynscale_cli.sampling.sampler import Draft

# A sample is given three times the length expected of it before others have to wait for it: of lengths that are as
# spread as waiting times are, one in twenty is longer, and that one is asked for its answer.
PATIENCE = 3


class Forecast:
    """Expected generated tokens of samples: the question's own mean, shrunk to the run's by one sample.

    `guess`: of a sample before the run has seen one.
    """

    def __init__(self, guess: int, max_tokens: int) -> None:
        self.samples = 0
        self.generated = 0
        self._guess = min(guess, max_tokens)

    def finished(self, generated: int) -> None:
        self.samples += 1
        self.generated += generated

    def length(self, samples: int, generated: int) -> float:
        """Of one more sample of a question with so many samples, which took `generated` tokens together."""
        run = self.generated / self.samples if self.samples else self._guess
        return (generated + run) / (samples + 1)

    @staticmethod
    def remaining(length: float, generated: int, most: int) -> float:
        """Of a sample in flight that may have `most` tokens in all.

        Lengths are heavy-tailed: one that has outlived its forecast is expected to go on for as long as it has lived.
        """
        return min(length - generated if generated < length else generated, most - generated)


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
