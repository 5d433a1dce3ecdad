"""What the votes say about the leader: how sure it is, and what more votes would be worth.

The model of a race: of the votes that go to the two, the leader gets a share theta with a uniform prior, so that after
`first` and `second` votes theta ~ Beta(first + 1, second + 1). Being wrong is theta < 1/2. Exact with whole votes; with
fractional ones (a chain's vote may weigh less than 1) the same by the incomplete beta function.
Against more than one rival, the shares of all K answers are Dirichlet, and being wrong is that any other is ahead:
`doubt_of`. The prior has the weight of two votes in all, as the race's has, so 2 / K for each answer; with one rival
that is the race.
Knows nothing of questions, costs or policies.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEGLIGIBLE = 1e-3  # below it the pairwise doubts overlap by less than their square
MOST_NEEDED = 1024  # votes; whoever asks to be surer than that wants everything spent
EXACT_UP_TO = 256  # votes; beyond it whole numbers get long and the continued fraction is as good


@lru_cache(maxsize=1 << 17)
def doubt(first: float, second: float) -> float:
    """P(theta < 1/2): the probability that whoever has `first` votes is behind in the long run.

    Kept as the small tail rather than as 1 - P, so that near-certain races still differ from each other.
    """
    total = first + second
    if first == second:
        return 0.5
    if total <= EXACT_UP_TO and float(first).is_integer() and float(second).is_integer():
        return _exact_doubt(int(first), int(second))
    return _half_beta(first + 1, second + 1)


def doubt_of(votes: Iterable[float]) -> float:
    """P(any other answer is ahead of the leader in the long run), with so many votes for each answer, in any order.

    Ten answers of one vote each leave a doubt of 9/10. 1 without votes.
    """
    ranked = sorted(votes, reverse=True)
    if not ranked:
        return 1.0
    return _doubt_of(tuple(ranked))


def is_sure(votes: Mapping[str, float], first: float, second: float, target: float) -> bool:
    """Whether the leader, of so many `votes` of each answer, would lead with the confidence `target`, against all.

    As `doubt_of` says it, and seldom as dear: the race with the runner-up alone tells of most that they are not.
    """
    if first <= second:
        return False
    prior = _prior(len(votes))
    return doubt(first + prior, second + prior) <= 1.0 - target and doubt_of(votes.values()) <= 1.0 - target


def _prior(answers: int) -> float:
    """What each answer's share is given beyond the race's own prior, in votes: never more than nothing."""
    return 2.0 / max(answers, 2) - 1.0


@lru_cache(maxsize=1 << 14)
def _doubt_of(ranked: tuple[float, ...]) -> float:
    """The race, for two answers. For more, the sum of the pairwise doubts where that is small enough to be all."""
    first, *rest = ranked
    if len(rest) < 2:
        return doubt(first, rest[0] if rest else 0.0)
    prior = _prior(len(ranked))
    pairs = [doubt(first + prior, other + prior) for other in rest]
    return (
        sum(pairs) if sum(pairs) < NEGLIGIBLE else max(_doubt_among(first + prior, [v + prior for v in rest]), pairs[0])
    )


def _doubt_among(first: float, rest: Sequence[float]) -> float:
    """1 - the integral of the leader's Gamma density times the other answers' distributions, on a grid.

    Shares that are Dirichlet are Gamma variables over their sum, so the largest share is the largest variable.
    """
    import numpy as np

    x = np.linspace(0.0, first + 1 + 12 * math.sqrt(first + 1) + 12, 1025)[1:]
    step, logs = float(x[0]), np.log(x)

    def density(votes: float) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.exp(votes * logs - x - math.lgamma(votes + 1))
        return found

    def distribution(votes: float) -> NDArray[np.float64]:
        """By trapezoids, but for the first step: below one vote the density has no bound at 0."""
        own = density(votes)
        begin = step ** (votes + 1) * math.exp(-step / 2 - math.lgamma(votes + 2))
        found: NDArray[np.float64] = begin + (np.cumsum(own) - (own + own[0]) / 2) * step
        return np.minimum(found, 1.0)

    ahead = density(first)
    for votes, times in Counter(rest).items():
        ahead = ahead * distribution(votes) ** times
    return float(min(max(1.0 - ahead.sum() * step, 0.0), 1.0))


def confidence(first: float, second: float) -> float:
    """P(theta > 1/2): the probability that the leader would lead in the long run; 1/2 with a tie."""
    return doubt(second, first)


@lru_cache(maxsize=1 << 14)
def need(first: float, second: float, target: float) -> int:
    """The fewest further votes for the leader after which it would lead with the confidence `target`, 1 at least."""
    for votes in range(1, MOST_NEEDED):
        if doubt(first + votes, second) <= 1.0 - target:
            return votes
    return MOST_NEEDED


def _exact_doubt(first: int, second: int) -> float:
    """The binomial form of the tail: 2^-N times the sum of C(N, k) for k = 0 .. second, N = first + second + 1."""
    tosses = first + second + 1
    term = total = 1
    for k in range(second):
        term = term * (tosses - k) // (k + 1)
        total += term
    return total / (1 << tosses)


def _half_beta(a: float, b: float) -> float:
    """The regularised incomplete beta function at 1/2, by its continued fraction (Lentz's method)."""
    if a < b:
        return 1.0 - _half_beta(b, a)
    scale = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - (a + b) * math.log(2)) / a
    numerator, denominator = 1.0, 1.0 / _nonzero(1.0 - 0.5 * (a + b) / (a + 1))
    value = denominator
    for m in range(1, 20_000):
        even = 0.5 * m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -0.5 * (a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1))
        for coefficient in (even, odd):
            denominator = 1.0 / _nonzero(1.0 + coefficient * denominator)
            numerator = _nonzero(1.0 + coefficient / numerator)
            change = numerator * denominator
            value *= change
        if abs(change - 1.0) < 1e-15:
            break
    return scale * value


def _nonzero(x: float) -> float:
    return x if abs(x) > 1e-300 else 1e-300


@lru_cache(maxsize=1 << 17)
def gain(first: float, second: float, votes: int) -> float:
    """What `votes` more votes in the race are worth: the expected rise of P(right about the leader).

    E[max(P', 1 - P')] - max(P, 1 - P) with `first` >= `second`. As P is a martingale, only the outcomes that turn
    the lead count, each with 1 - 2P'. Summing those alone keeps tiny gains exact.
    """
    a, b = first + 1, second + 1
    chance = math.prod((b + i) / (a + b + i) for i in range(votes))  # of no vote for the leader
    total = 0.0
    for k in range(votes + 1):
        leader, other = first + k, second + votes - k
        if other <= leader:
            break
        total += chance * (1.0 - 2.0 * doubt(other, leader))
        chance *= (votes - k) / (k + 1) * (a + k) / (b + votes - k - 1)
    return total


def gain_at(first: float, second: float, votes: float) -> float:
    """`gain` for a fractional expected number of votes, on the line between its whole neighbours."""
    whole = int(votes)
    below = gain(first, second, whole)
    if votes == whole:
        return below
    return below + (votes - whole) * (gain(first, second, whole + 1) - below)
