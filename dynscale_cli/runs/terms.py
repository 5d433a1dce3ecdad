"""On what terms a pull may start: what has to be certain of it beforehand, and how long it may become.

An engine that asks before every step needs the prompt and an answer's reserve to be certain, and is stopped when the
budget is. A server takes a request with all that it may cost: so where the budget is low, the request is made smaller
instead. Owns that decision. Pure; the ledger still says yes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dynscale_cli.sampling.sampler import Draft

# A sample is given three times the length expected of it before others have to wait for it: of lengths that are as
# spread as waiting times are, one in twenty is longer, and that one is asked for its answer.
PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Terms:
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
        """Below this the pull cannot start: there must be one token to generate."""
        return self.prompt + 1 + (0 if self.bounded else self.answer)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known when a pull is to start, in tokens: what is `free`, how long it is `expected` to become, what those
    in flight are expected to take beside their reserves; how many could start, whether any runs, whether it is the
    question's `first`."""

    free: int
    expected: float
    ahead: float
    free_slots: int
    running: bool
    first: bool


def offer(terms: Terms, now: Outlook) -> Terms | None:
    """On which terms a pull may start now; None where it may not."""
    return _upfront(terms, now) if terms.bounded else _stepwise(terms, now)


def _stepwise(terms: Terms, now: Outlook) -> Terms | None:
    """The terms, if what is certain fits, and what everything in flight is expected to need.

    A question's first sample is worth having even when it may be cut short, if nothing else runs.
    """
    if terms.least > now.free:
        return None
    if not now.running and now.first:
        return terms
    return terms if terms.least - 1 + now.ahead + now.expected <= now.free else None


def _upfront(terms: Terms, now: Outlook) -> Terms | None:
    """The terms with all that the pull may cost, its limit lowered to a fair share where tokens are few.

    While others run, it waits rather than be cut short; alone, it takes what is left. A question's first sample is
    worth having even when its answer's reserve is not there: then half of what is left is kept for that.
    """
    fixed, most = terms.prompt + terms.answer, terms.draft.request.max_tokens
    limit = min(most, max(round(PATIENCE * now.expected), now.free // max(1, now.free_slots) - fixed))
    if limit > now.free - fixed and now.running:
        return None
    if limit > now.free - fixed:
        limit = min(most, now.free - fixed)
        if now.first and limit < min(most, now.expected):
            fixed = terms.prompt
            limit = max(limit, min(most, (now.free - fixed + 1) // 2))
        if limit < (1 if now.first else min(most, now.expected)):
            return None
    draft = replace(terms.draft, request=replace(terms.draft.request, max_tokens=max(1, limit)))
    return Terms(draft, 0, 0, fixed + max(1, limit))
