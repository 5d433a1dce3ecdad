"""The state of a run as its events tell it: what any display shows is read off here.

Owns the rows of the questions that are under way, the last few that are done, and the totals. Remembers nothing
else, so that it does not grow with the run. Pure bookkeeping: no clock, no terminal.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from dynscale_cli.display.ranks import Ranks
from dynscale_cli.run.events import (
    Answered,
    Event,
    Result,
    RunFinished,
    RunStarted,
    SampleFinished,
    SampleStarted,
    SampleText,
    Standing,
    Stepped,
)

RECENT: Final = 64  # answered questions that may still be shown: more than a window has lines
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
        self.finished: RunFinished | None = None
        self.step: Stepped | None = None
        self.rows: dict[int, Row] = {}
        self.active: dict[int, Row] = {}  # those of the rows that are being sampled
        self.recent: deque[Row] = deque(maxlen=RECENT)
        self.longest_id = ""  # shown so far: a column once made wide stays so
        self.answered = 0
        self.failed = 0  # answered without an answer
        self.settled = 0
        self.speaker: tuple[int, int] | None = None  # (question, number) of the sample whose text is kept
        self.text = ""
        self._speaking = False
        self._keep_text = keep_text
        self._waiting = Ranks(self._if_waiting)
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
        elif isinstance(event, RunFinished):
            self.finished = event

    def chosen(self, limit: int, *, keep_places: bool = False) -> list[Row]:
        """At most `limit` rows: the active and least settled first, then the last ones answered.

        In input order; or, with `keep_places`, each where it was shown last, and new ones where others have gone:
        until the limit changes.
        """
        rows = sorted(self.active.values(), key=_urgency)[:limit]
        rows += [self.rows[index] for index in self._waiting.lowest(limit - len(rows))]
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
            self._waiting.put(standing.confidence, row.index)

    def _if_waiting(self, index: int) -> float | None:
        row = self.rows.get(index)
        return row.standing.confidence if row and not row.standing.pending else None

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
        self.failed += result.answer is None
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
