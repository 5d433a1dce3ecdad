"""The state of a run as its events tell it, and how fast it goes: what any display shows is read off here.

Owns the rows of the questions that are under way, the last few that are done, the totals, and a few readings of the
run's account a second. Remembers nothing else, so that it does not grow with the run. Pure: times are handed in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from dynscale_cli.run.events import (
    Answered,
    Event,
    Result,
    RunStarted,
    SampleFinished,
    SampleStarted,
    SampleText,
    Standing,
    Stepped,
)

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


RECENT: Final = 64  # questions that wait or are answered and may be shown: more than a window has lines
TAIL: Final = 4000  # characters of running text that are kept


@dataclass(slots=True)
class Row:
    """A question that is under way, or done: then `result` is there."""

    index: int
    id: str
    question: str
    standing: Standing
    tokens: int = 0  # of finished samples
    unanswered: int = 0  # samples without an answer
    result: Result | None = None


class Board:
    """Feed it every event; `apply` costs a microsecond on those that come by the thousand."""

    def __init__(self, *, keep_text: bool = False) -> None:
        self.started: RunStarted | None = None
        self.step: Stepped | None = None
        self.rows: dict[int, Row] = {}
        self.active: dict[int, Row] = {}  # those of the rows that are being sampled
        self.recent: deque[Row] = deque(maxlen=RECENT)
        self.longest_id = ""  # shown so far: a column once made wide stays so
        self.answered = 0
        self.settled = 0
        self.speaker: tuple[int, int] | None = None  # (question, number) of the sample whose text is kept
        self.text = ""
        self._speaking = False
        self._keep_text = keep_text
        self._places: list[int] = []  # questions in the order in which they were shown last
        self._limit = 0  # of rows, then

    def apply(self, event: Event) -> None:
        kind = type(event)
        if kind is Stepped:
            self.step = event  # type: ignore[assignment]
        elif kind is SampleText:
            if self._keep_text:
                self._speak(event)  # type: ignore[arg-type]
        elif isinstance(event, SampleStarted):
            self._stand(self._row(event.index, event.id, event.question), event.standing)
        elif isinstance(event, SampleFinished):
            self._finish_sample(event)
        elif isinstance(event, Answered):
            self._answer(event.result)
        elif isinstance(event, RunStarted):
            self.started = event

    def chosen(self, limit: int, *, keep_places: bool = False) -> list[Row]:
        """At most `limit` rows: the active, of those that moved last the least settled, then the last ones answered.

        In input order; or, with `keep_places`, each where it was shown last, and new ones where others have gone:
        until the limit changes.
        """
        rows = sorted(self.active.values(), key=_urgency)[:limit]
        waiting = (row for row in reversed(self.rows.values()) if not row.standing.pending)
        rows += sorted(islice(waiting, RECENT), key=_urgency)[: limit - len(rows)]
        if room := limit - len(rows):
            rows += list(self.recent)[-room:]
        rows.sort(key=lambda row: row.index)
        if keep_places and limit == self._limit:
            rows = self._in_place(rows)
        self._places, self._limit = [row.index for row in rows], limit
        return rows

    def _in_place(self, rows: list[Row]) -> list[Row]:
        chosen = {row.index: row for row in rows}
        kept = [chosen.pop(index, None) for index in self._places]
        new = list(chosen.values())  # in input order
        places = [row or (new.pop(0) if new else None) for row in kept]
        return [row for row in places if row] + new

    def _stand(self, row: Row, standing: Standing) -> None:
        row.standing = standing
        if standing.pending:
            self.active[row.index] = row
        else:
            self.active.pop(row.index, None)
            self.rows[row.index] = self.rows.pop(row.index)  # the last one that moved

    def _row(self, index: int, name: str, question: str) -> Row:
        row = self.rows.get(index)
        if row is None:
            row = self.rows[index] = Row(index, name, question, Standing())
            if len(name) > len(self.longest_id):
                self.longest_id = name
        return row

    def _finish_sample(self, event: SampleFinished) -> None:
        row = self.rows.get(event.index)
        if row is not None:
            self._stand(row, event.standing)
            row.tokens += event.sample.tokens.billed
            row.unanswered += event.sample.answer is None and event.sample.finish != "failed"
        if self.speaker == (event.index, event.sample.number):
            self._speaking = False

    def _answer(self, result: Result) -> None:
        row = self.rows.pop(result.index, None) or Row(result.index, result.id, result.question, Standing())
        self.active.pop(result.index, None)
        if self.speaker and self.speaker[0] == result.index:
            self._speaking = False
        row.result = result
        self.recent.append(row)
        self.answered += 1
        self.settled += result.stopped == "settled"

    def _speak(self, event: SampleText) -> None:
        """Follow one sample at a time until it ends, then the next that says something."""
        speaker = (event.index, event.number)
        if not self._speaking:
            self._speaking, self.speaker, self.text = True, speaker, ""
        if self.speaker == speaker:
            self.text = (self.text + event.text)[-TAIL:]


def _urgency(row: Row) -> tuple[float, int]:
    return row.standing.confidence, row.index
