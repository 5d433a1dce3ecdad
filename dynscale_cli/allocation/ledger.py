"""The budget: the only place that can say yes to a token.

Owns what was spent, what is reserved, and the invariant spent + reserved ≤ budget after every
operation. Pure: knows nothing of engines, questions or clocks.

A pull reserves what is certain (its prompt, and enough to be asked for its answer) and pays the
rest token by token, so that slots are not kept empty for tokens that are never generated.
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
    closing: bool = False  # it was asked for its answer, and pays out of `answer`
    spent: int = 0


class Ledger:
    """A hard cap of `budget` tokens over all pulls.

    The order of use: `reserve`, then for each engine step `affords` and `charge`, at last `release`.
    """

    def __init__(self, budget: int, spent: int = 0) -> None:
        if budget < 0 or spent < 0 or spent > budget:
            raise ValueError(f"a budget of {budget} with {spent} spent")
        self.budget = budget
        self.spent = spent
        self.reserved = 0
        self._holds: dict[int, Hold] = {}

    @property
    def free(self) -> int:
        """Tokens neither spent nor reserved."""
        return self.budget - self.spent - self.reserved

    def reserve(self, pull: int, prompt: int, answer: int) -> bool:
        """Set tokens aside for a new pull. False, and nothing happens, when they are not there."""
        if pull in self._holds:
            raise ValueError(f"pull {pull} is already open")
        if prompt + answer > self.free:
            return False
        self._holds[pull] = Hold(prompt, answer)
        self.reserved += prompt + answer
        return True

    def affords(self, charges: Iterable[Charge]) -> bool:
        """Whether a step can be paid for, out of reserves and what is free."""
        return sum(self._split(charge)[2] for charge in charges) <= self.free

    def charge(self, charges: Iterable[Charge]) -> None:
        """Pay for a step, before it runs. Raises ValueError, and nothing happens, when it is not affordable."""
        charges = list(charges)
        if not self.affords(charges):
            raise ValueError("a step was charged that the budget does not cover")
        for charge in charges:
            prompt, answer, _ = self._split(charge)
            hold = self._holds[charge.id]
            hold.prompt -= prompt
            hold.answer -= answer
            hold.spent += charge.prompt + charge.generated
            self.reserved -= prompt + answer
            self.spent += charge.prompt + charge.generated
            if charge.generated and not hold.closing:
                self._return_prompt(hold)

    def close(self, pull: int) -> None:
        """The pull is asked for its answer: from now on it pays out of its answer reserve."""
        self._holds[pull].closing = True

    def refund(self, pull: int, tokens: int) -> None:
        """Take back a charge for tokens that were not evaluated after all."""
        if not 0 <= tokens <= self._holds[pull].spent:
            raise ValueError(f"a refund of {tokens} tokens to pull {pull}")
        self._holds[pull].spent -= tokens
        self.spent -= tokens

    def release(self, pull: int) -> int:
        """End a pull and give back what it did not use. Returns the tokens it spent."""
        hold = self._holds.pop(pull)
        self.reserved -= hold.prompt + hold.answer
        return hold.spent

    def _split(self, charge: Charge) -> tuple[int, int, int]:
        """Where a charge is paid from: (prompt reserve, answer reserve, free tokens)."""
        hold = self._holds[charge.id]
        tokens = charge.prompt + charge.generated
        # A pull that generates has its prompt behind it: what reuse saved of the reserve pays first.
        prompt = min(tokens if charge.generated else charge.prompt, hold.prompt)
        answer = min(tokens - prompt, hold.answer) if hold.closing else 0
        return prompt, answer, tokens - prompt - answer

    def _return_prompt(self, hold: Hold) -> None:
        """What is left of the prompt reserve once the prompt is behind: reuse saved it."""
        self.reserved -= hold.prompt
        hold.prompt = 0
