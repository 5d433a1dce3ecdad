"""The default policy: a cost-aware knowledge gradient on the race between leader and runner-up.

A pull is worth what it is expected to add to being right about the answer that the model would settle on, per token to
the power of 1/2. One vote rarely turns a lead, so it looks several votes ahead and takes the best rate. Only the share
of samples that lands in the race counts, so a question whose every answer differs stops drawing tokens.
Knows nothing of budgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from dynscale_cli.allocation.arms import Arm
from dynscale_cli.allocation.policy import Totals
from dynscale_cli.allocation.posterior import gain_at

if TYPE_CHECKING:
    from dynscale_cli.allocation.policy import Floats

LOOKAHEAD = 16  # votes
FARTHEST = 4096  # where no vote within LOOKAHEAD can turn the lead, look on in doubling steps up to here
GRAIN = 16  # votes are rounded to 1/GRAIN before the gain is looked up: fractional weights have too many states


@dataclass(frozen=True, slots=True)
class Race:
    """Pull where the expected gain per square root of a token is highest; stop where the leader is sure."""

    name: ClassVar[str] = "race"
    settles: ClassVar[bool] = True

    def sure(self, arm: Arm, confidence: float) -> bool:
        return arm.first > arm.second and arm.doubt <= 1.0 - confidence

    def terms(self, arm: Arm) -> tuple[float, float]:
        """(gain per pull)^2 * (n + 1), and the tokens of all n samples: see `scores`."""
        first, second = round(arm.first * GRAIN) / GRAIN, round(arm.second * GRAIN) / GRAIN
        rate = gain_rate(first, second, arm.samples, arm.pending)
        return rate * rate * (arm.samples + 1), float(arm.cost)

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        """The index squared, in the same order: rate^2 over the mean cost, shrunk to the run's by one pseudo-sample."""
        return first / (second + max(totals.mean_cost, 1.0))


@lru_cache(maxsize=1 << 17)
def gain_rate(first: float, second: float, samples: int, pending: int) -> float:
    """The best expected gain per pull over all lookaheads, with `pending` pulls already on their way.

    A share f = (first + second + 1) / (samples + 1) of pulls lands in the race, so m votes take m / f pulls, and what
    is in flight will bring pending * f votes of its own, whose gain is not ours to count.
    """
    share = min(1.0, (first + second + 1) / (samples + 1))
    coming = pending * share
    already = gain_at(first, second, coming)
    best, votes = 0.0, 1
    while votes <= LOOKAHEAD or (best <= 0.0 and votes <= FARTHEST):
        best = max(best, (gain_at(first, second, coming + votes) - already) * share / votes)
        votes *= 2
    return best
