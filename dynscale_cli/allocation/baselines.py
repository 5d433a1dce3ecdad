"""The policies of the literature, for comparison and for those who want them.

    uniform      self-consistency with a shared budget: fewest pulls first
    ucb          a bandit on the entropy of the answers (the idea of DynScaling, arXiv 2506.16043; our reading)
    adaptive     Adaptive-Consistency (arXiv 2305.11860): round-robin over questions whose leader is not sure
    early-stop   ESC (arXiv 2401.10480): round-robin until a window of samples is unanimous

Each sees pulls in flight as pulls. Knows nothing of budgets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dynscale_cli.allocation.arms import Arm
from dynscale_cli.allocation.policy import Totals

if TYPE_CHECKING:
    from dynscale_cli.allocation.policy import Floats

SURE = -1e9  # below every question that is not sure; what is added orders the sure ones by doubt


@dataclass(frozen=True, slots=True)
class Uniform:
    """Fewest pulls first, to the end of the budget."""

    name: ClassVar[str] = "uniform"
    settles: ClassVar[bool] = False

    def sure(self, arm: Arm, confidence: float) -> bool:
        return False

    def terms(self, arm: Arm) -> tuple[float, float]:
        return float(-arm.pulls), 0.0

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        return first


@dataclass(frozen=True, slots=True)
class Ucb:
    """Uncertainty plus `c` times an exploration bonus: u + c * sqrt(ln t / n), to the end of the budget.

    u is the entropy of the answers seen, as a share of the most that as many samples could have; t and n count pulls,
    of the run and of the question.
    """

    c: float = 1.0
    settles: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return "ucb" if self.c == 1.0 else f"ucb:{self.c:g}"

    def sure(self, arm: Arm, confidence: float) -> bool:
        return False

    def terms(self, arm: Arm) -> tuple[float, float]:
        return _uncertainty(arm), self.c / math.sqrt(max(arm.pulls, 1))

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        return first + math.sqrt(math.log(max(totals.pulls, 1))) * second


def _uncertainty(arm: Arm) -> float:
    """Entropy of the votes over ln(samples), from 0 to 1. Samples but no vote at all: 1, nothing is known."""
    total = sum(arm.votes.values())
    if not total:
        return 1.0
    entropy = -sum(w / total * math.log(w / total) for w in arm.votes.values() if w > 0)
    return min(1.0, entropy / math.log(max(arm.samples, 2)))


def _round_robin(arm: Arm) -> float:
    """Fewest pulls first; once sure (which only matters where a run must spend everything), most doubt first."""
    if not arm.sure:
        return float(-arm.pulls)
    return SURE + math.log(max(arm.doubt, 1e-300) / (1 + arm.pending))


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Round-robin over the questions whose leader does not yet lead with the confidence asked for."""

    name: ClassVar[str] = "adaptive"
    settles: ClassVar[bool] = True

    def sure(self, arm: Arm, confidence: float) -> bool:
        return arm.first > arm.second and arm.doubt <= 1.0 - confidence

    def terms(self, arm: Arm) -> tuple[float, float]:
        return _round_robin(arm), 0.0

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        return first


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """Round-robin over the questions without a unanimous window: `window` samples in a row that all say the same."""

    window: int = 5
    settles: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "early-stop" if self.window == 5 else f"early-stop:{self.window}"

    def sure(self, arm: Arm, confidence: float) -> bool:
        """Windows follow each other and do not overlap; the confidence asked for plays no part."""
        return arm.sure or (arm.samples % self.window == 0 and arm.streak >= self.window)

    def terms(self, arm: Arm) -> tuple[float, float]:
        return _round_robin(arm), 0.0

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        return first
