"""The default policy: a cost-aware knowledge gradient on the race between leader and runner-up.

A pull is worth what it is expected to add to being right about the answer that the model would settle on, per token to
the power of 1/2. One vote rarely turns a lead, so it looks several votes ahead and takes the best rate. Two things keep
a hopeless question from drawing tokens: only the share of samples that lands in the race counts, and finding the
model's favourite is worth the more, the larger the share of samples that it has.
Knows nothing of budgets. What else was tried is in TRIED.md.
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

LOOKAHEAD = 16  # votes, and always to twice the lead: fewer could hardly turn it
FARTHEST = 1024  # votes; a lead beyond it is past any doubt
GRAIN = 16  # votes are rounded to 1/GRAIN before the gain is looked up: fractional weights have too many states


@dataclass(frozen=True, slots=True)
class Race:
    """Pull where the expected gain per square root of a token is highest; stop where the leader is sure."""

    name: ClassVar[str] = "race"
    settles: ClassVar[bool] = True

    def sure(self, arm: Arm, confidence: float) -> bool:
        return arm.first > arm.second and arm.doubt <= 1.0 - confidence

    def terms(self, arm: Arm) -> tuple[float, float]:
        """(worth of a pull)^2 * (n + 1), and the tokens of all n samples: see `scores`."""
        worth = pull_worth(arm)
        return worth * worth * (arm.samples + 1), float(arm.cost)

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        """The index squared, in the same order: worth^2 over a mean cost shrunk to the run's by one pseudo-sample."""
        return first / (second + max(totals.mean_cost, 1.0))


def pull_worth(arm: Arm) -> float:
    """What one more pull is expected to add to being right, tokens aside.

    The gain counts only if the model's favourite is right at all. What stands for that chance is the leader's share of
    the samples, as the mean of a Dirichlet posterior with one place for every answer seen and one for those unseen.
    """
    first, second = round(arm.first * GRAIN) / GRAIN, round(arm.second * GRAIN) / GRAIN
    leader = (first + 1) / (arm.samples + len(arm.votes) + 1)
    return leader * gain_rate(first, second, arm.samples, arm.pending)


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
    while votes <= max(LOOKAHEAD, min(2 * (first - second), FARTHEST)):
        best = max(best, (gain_at(first, second, coming + votes) - already) * share / votes)
        votes *= 2
    return best
