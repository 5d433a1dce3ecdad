"""Means of few values with their 95% intervals. Knows nothing of what the values are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # 97.5% point, 1 to 10 degrees


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the ends of its 95% interval; both ends are the mean where one value is all there is."""

    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2


def interval(values: Sequence[float]) -> Interval:
    """Student's interval for the mean. For a comparison give it the differences of the pairs."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Interval(mean, mean, mean)
    half = student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def student(degrees: int) -> float:
    """The 97.5% point of Student's t: a table up to 10 degrees of freedom, then three terms of its expansion."""
    if degrees <= len(STUDENT):
        return STUDENT[degrees - 1]
    z = statistics.NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3
