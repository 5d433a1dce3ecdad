"""The state of a run as its events tell it: what any display shows is read off here.

Owns the rows of the questions that are under way, the last few that are done, and the totals. Remembers nothing
else, so that it does not grow with the run. Pure bookkeeping: no clock, no terminal.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final

from dynscale_cli.runs.events import (
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
        self.recent: deque[Row] = deque(maxlen=RECENT)
        self.answered = 0
        self.failed = 0  # answered without an answer
        self.settled = 0
        self.speaking: tuple[int, int] | None = None  # (question, number) of the sample whose text is kept
        self.text = ""
        self._keep_text = keep_text

    def apply(self, event: Event) -> None:
        kind = type(event)
        if kind is Stepped:
            self.step = event  # type: ignore[assignment]
        elif kind is SampleText:
            if self._keep_text:
                self._speak(event)  # type: ignore[arg-type]
        elif isinstance(event, SampleStarted):
            self._row(event.index, event.id, event.question).standing = event.standing
        elif isinstance(event, SampleFinished):
            self._finish_sample(event)
        elif isinstance(event, Answered):
            self._answer(event.result)
        elif isinstance(event, RunStarted):
            self.started = event
        elif isinstance(event, RunFinished):
            self.finished = event

    def chosen(self, limit: int) -> list[Row]:
        """At most `limit` rows, in input order: the active and least settled first, then the last ones answered."""
        rows = nsmallest(limit, self.rows.values(), key=_urgency)
        room = limit - len(rows)
        if room:
            rows += list(self.recent)[-room:]
        return sorted(rows, key=lambda row: row.index)

    def _row(self, index: int, name: str, question: str) -> Row:
        row = self.rows.get(index)
        if row is None:
            row = self.rows[index] = Row(index, name, question, Standing())
        return row

    def _finish_sample(self, event: SampleFinished) -> None:
        row = self.rows.get(event.index)
        if row is not None:
            row.standing = event.standing
            row.tokens += event.sample.tokens.billed
            row.unanswered += event.sample.answer is None and event.sample.finish != "failed"
        if self.speaking == (event.index, event.sample.number):
            self.speaking = None

    def _answer(self, result: Result) -> None:
        row = self.rows.pop(result.index, None) or Row(result.index, result.id, result.question, Standing())
        row.result = result
        self.recent.append(row)
        self.answered += 1
        self.failed += result.answer is None
        self.settled += result.stopped == "settled"

    def _speak(self, event: SampleText) -> None:
        """Follow one sample at a time until it ends, then the next that says something."""
        speaker = (event.index, event.number)
        if self.speaking is None:
            self.speaking, self.text = speaker, ""
        if self.speaking == speaker:
            self.text = (self.text + event.text)[-TAIL:]


def _urgency(row: Row) -> tuple[bool, float, int]:
    return row.standing.pending == 0, row.standing.confidence, row.index
