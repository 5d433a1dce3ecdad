"""How fast a run goes and when it may end, from a few readings of its account a second. Pure: times are handed in.

Two ends are in sight. The budget's is certain but far: most runs settle before it. The questions' is known only once
some of them are answered, for they all get their first samples before any is settled; from then on it goes by how fast
they were answered of late. What is told moves towards the newest estimate rather than jumping there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

WINDOW: Final = 6.0  # seconds over which speed is averaged: longer than one prefill, shorter than a change of mind
SOONEST: Final = 1.0  # seconds before which no speed is told
PATIENCE: Final = 3.0  # seconds before which no end is told: at first, cheap prompts are most of what is spent
LONG: Final = 60.0  # seconds over which spending and answering are averaged for the end
ENOUGH: Final = 0.05  # the share of the questions whose answers tell how fast the others may come
FEW: Final = 3  # and at least so many of them
CALM: Final = 4.0  # seconds in which the end that is told covers two thirds of the way to a new estimate


@dataclass(slots=True)
class Pace:
    """Readings of (time, tokens generated, tokens spent, questions answered), the oldest at most LONG seconds old."""

    readings: deque[tuple[float, int, int, int]] = field(default_factory=deque)
    began: float | None = None
    sure: bool = False  # whether the end that was told last is the questions', or only the budget's
    _end: float | None = None
    _told: float = 0.0

    def read(self, now: float, generated: int, spent: int, answered: int = 0) -> None:
        if self.began is None:
            self.began = now
        self.readings.append((now, generated, spent, answered))
        while now - self.readings[0][0] > LONG:
            self.readings.popleft()

    def skip(self, seconds: float) -> None:
        """The run stood still for so long."""
        self.readings = deque((then + seconds, *rest) for then, *rest in self.readings)  # type: ignore[misc]
        if self.began is not None:
            self.began += seconds
        if self._end is not None:
            self._end, self._told = self._end + seconds, self._told + seconds

    def speed(self) -> float | None:
        """Generated tokens a second, None before there is anything to tell."""
        return self._rate(1, WINDOW, SOONEST)

    def left(self, now: float, budget_left: int, unanswered: int) -> float | None:
        """Seconds until the budget is spent at this pace, or until the questions are answered as they were of late."""
        spending = self._rate(2, LONG, PATIENCE)
        if not spending:
            return None
        end = now + budget_left / spending
        answering = self._answering(unanswered)
        self.sure = bool(answering) and now + unanswered / answering < end
        if self.sure:
            end = now + unanswered / answering
        if self._end is None:
            self._end = end
        else:
            self._end += (end - self._end) * min(1.0, (now - self._told) / CALM)
        self._told = now
        return max(0.0, self._end - now)

    def _answering(self, unanswered: int) -> float:
        """Questions a second, 0 while too few are answered to tell."""
        answered = self.readings[-1][3]
        if answered < max(FEW, ENOUGH * (answered + unanswered)):
            return 0.0
        return self._rate(3, LONG, PATIENCE) or 0.0

    def _rate(self, column: int, window: float, soonest: float) -> float | None:
        """What this column grew by, a second."""
        if len(self.readings) < 2:
            return None
        last = self.readings[-1]
        first = next(reading for reading in self.readings if last[0] - reading[0] <= window)
        seconds = last[0] - first[0]
        return (last[column] - first[column]) / seconds if seconds >= soonest else None
