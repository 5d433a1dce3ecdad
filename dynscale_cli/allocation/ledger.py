"""The budget: the only place that can say yes to a token.

Owns what was spent, what is reserved, and the invariant spent + reserved ≤ budget after every
operation. Pure: knows nothing of engines, questions or clocks.

A pull reserves what is certain (its prompt, and enough to be asked for its answer) and pays the
rest token by token, so that slots are not kept empty for tokens that are never generated. Where
nobody can be asked from token to token, as on a server, it reserves all that it may cost, and is
settled by what it did.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dynscale_cli.engine.protocol import Charge


@dataclass(slots=True)
class Hold:
    """Tokens set aside for one pull."""

    prompt: int
    answer: int
    ahead: int = 0  # all that it may cost: every charge is paid out of it first
    closing: bool = False  # it was asked for its answer, and pays out of `answer`
    spent: int = 0
    over: int = 0  # what it cost beyond all that was there

    @property
    def reserved(self) -> int:
        return self.prompt + self.answer + self.ahead


class Ledger:
    """A hard cap of `budget` tokens over all pulls.

    The order of use: `reserve`, then for each engine step `affords` and `charge`, at last `settle`. `overdrawn` counts
    tokens that others spent without having been asked to, beyond all that is there: a server that does not keep to
    what it was asked for. They are not in `spent`, until other pulls give back what pays for them.
    """

    def __init__(self, budget: int, spent: int = 0) -> None:
        if budget < 0 or spent < 0 or spent > budget:
            raise ValueError(f"a budget of {budget} with {spent} spent")
        self.budget = budget
        self.spent = spent
        self.reserved = 0
        self.overdrawn = 0
        self._holds: dict[int, Hold] = {}

    @property
    def free(self) -> int:
        """Tokens neither spent nor reserved."""
        return self.budget - self.spent - self.reserved

    @property
    def settled(self) -> int:
        """Tokens that pulls have cost that are over, those among them that nobody asked for."""
        return self.spent + self.overdrawn - sum(hold.spent + hold.over for hold in self._holds.values())

    def reserve(self, pull: int, prompt: int, answer: int, ahead: int = 0) -> bool:
        """Set tokens aside for a new pull. False, and nothing happens, when they are not there."""
        if pull in self._holds:
            raise ValueError(f"pull {pull} is already open")
        hold = Hold(prompt, answer, ahead)
        if hold.reserved > self.free:
            return False
        self._holds[pull] = hold
        self.reserved += hold.reserved
        return True

    def top_up(self, pull: int, ahead: int) -> int:
        """Set aside up to `ahead` tokens for all that the pull may still cost. Returns how many there are now."""
        hold = self._holds[pull]
        more = min(max(0, ahead - hold.ahead), self.free)
        hold.ahead += more
        self.reserved += more
        return hold.ahead

    def affords(self, charges: Iterable[Charge]) -> bool:
        """Whether a step can be paid for, out of reserves and what is free."""
        return sum(self._split(charge)[3] for charge in charges) <= self.free

    def charge(self, charges: Iterable[Charge]) -> None:
        """Pay for a step, before it runs. Raises ValueError, and nothing happens, when it is not affordable."""
        parts = [(charge, self._split(charge)) for charge in charges]
        if sum(free for _, (_, _, _, free) in parts) > self.free:
            raise ValueError("a step was charged that the budget does not cover")
        for charge, (ahead, prompt, answer, _) in parts:
            hold = self._holds[charge.id]
            hold.ahead -= ahead
            hold.prompt -= prompt
            hold.answer -= answer
            hold.spent += charge.prompt + charge.generated
            self.reserved -= ahead + prompt + answer
            self.spent += charge.prompt + charge.generated
            if charge.generated and not hold.closing:
                self._return_prompt(hold)

    def close(self, pull: int) -> None:
        """The pull is asked for its answer: from now on it pays out of its answer reserve."""
        self._holds[pull].closing = True

    def correct(self, pull: int, tokens: int) -> int:
        """All that the pull was charged turned out to be `tokens`. Returns those that the budget does not cover.

        What was charged too much goes back into its hold; what is missing is paid out of the hold, then of free tokens.
        """
        hold = self._holds[pull]
        missing = tokens - hold.spent - hold.over
        held = min(missing, hold.ahead)  # negative: goes back
        over = max(0, missing - held - self.free)
        hold.ahead -= held
        self.reserved -= held
        self.spent += missing - over
        hold.spent += missing - over
        hold.over += over
        self.overdrawn += over
        return over

    def settle(self, pull: int, tokens: int) -> int:
        """End a pull that has cost `tokens` in all; the rest is free. Returns those that the budget does not cover."""
        hold = self._holds[pull]
        self.reserved -= hold.prompt + hold.answer
        hold.prompt = hold.answer = 0
        over = self.correct(pull, tokens)
        self.release(pull)
        return over

    def release(self, pull: int) -> int:
        """End a pull and give back what it did not use. Returns the tokens it spent."""
        hold = self._holds.pop(pull)
        self.reserved -= hold.reserved
        repaid = min(self.overdrawn, self.free)
        self.overdrawn -= repaid
        self.spent += repaid
        return hold.spent

    def _split(self, charge: Charge) -> tuple[int, int, int, int]:
        """Where a charge is paid from: (reserved for all, prompt reserve, answer reserve, free tokens)."""
        hold = self._holds[charge.id]
        tokens = charge.prompt + charge.generated
        ahead = min(tokens, hold.ahead)
        rest = tokens - ahead
        # A pull that generates has its prompt behind it: what reuse saved of the reserve pays first.
        prompt = min(rest if charge.generated else min(rest, charge.prompt), hold.prompt)
        answer = min(rest - prompt, hold.answer) if hold.closing else 0
        return ahead, prompt, answer, rest - prompt - answer

    def _return_prompt(self, hold: Hold) -> None:
        """What is left of the prompt reserve once the prompt is behind: reuse saved it."""
        self.reserved -= hold.prompt
        hold.prompt = 0
