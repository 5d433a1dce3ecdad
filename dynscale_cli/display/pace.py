"""How fast a run goes and when it may end, from a few readings of its account a second. Pure: times are handed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

WINDOW: Final = 6.0  # seconds over which speed is averaged: longer than one prefill, shorter than a change of mind
SOONEST: Final = 1.0  # seconds before which no speed is told


@dataclass(slots=True)
class Pace:
    """Readings of (time, tokens generated, tokens spent), the oldest at most WINDOW seconds old."""

    readings: deque[tuple[float, int, int]] = field(default_factory=deque)
    began: float | None = None

    def read(self, now: float, generated: int, spent: int) -> None:
        if self.began is None:
            self.began = now
        self.readings.append((now, generated, spent))
        while now - self.readings[0][0] > WINDOW:
            self.readings.popleft()

    def speed(self) -> float | None:
        """Generated tokens a second, None before there is anything to tell."""
        return self._rate(1)

    def left(self, now: float, budget_left: int, settled: int, unsettled: int) -> float | None:
        """Seconds until the budget is spent at this pace, or until the questions settle as they did so far."""
        rate = self._rate(2)
        ends = [budget_left / rate] if rate else []
        if settled and self.began is not None:
            ends.append((now - self.began) / settled * unsettled)
        return min(ends, default=None)

    def _rate(self, column: int) -> float | None:
        if len(self.readings) < 2:
            return None
        first, last = self.readings[0], self.readings[-1]
        seconds = last[0] - first[0]
        return (last[column] - first[column]) / seconds if seconds >= SOONEST else None
