"""Progress without a live view: one plain line a question on stderr, as each is done, and closing lines.

Owns the choice of a display by what stderr is and what the user said, and saying nothing but failures for `-q`. A
stderr that is closed or full never ends a run.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

from dynscale_cli.display.answers import Verdicts, answer_line, called, sample_lines, stopped, title
from dynscale_cli.display.text import can_redraw, count, joined, plain, sayable
from dynscale_cli.run.events import (
    Answered,
    Event,
    Notice,
    Result,
    RunFinished,
    RunStarted,
    SampleFinished,
    SampleStarted,
)


@dataclass(slots=True)
class Score:
    """How many of the questions whose right answer is known were answered rightly."""

    right: int = 0
    known: int = 0

    def take(self, result: Result) -> None:
        self.right += result.correct is True
        self.known += result.correct is not None


def closing_lines(event: RunFinished, score: Score) -> list[str]:
    """Questions, settled, unanswered, right, seconds, speed; tokens prompt, generated, reused; budget left.

    Lines of at most 80 columns. One question's outcome stands above them already.
    """
    tokens = event.tokens
    many = f"{event.questions:,} questions, {event.settled:,} settled, {event.unanswered:,} unanswered"
    parts = [many] if event.questions != 1 else []
    if event.interrupted:
        parts = [f"interrupted: {many}" if parts else "interrupted"]
    if score.known:
        parts.append(f"{score.right:,} of {score.known:,} right")
    parts.append(f"{event.seconds:.1f} s")
    if event.seconds > 0:
        parts.append(f"{tokens.generated / event.seconds:,.0f} tokens/s")
    billed = f"{tokens.prompt:,} prompt + {tokens.generated:,} generated"
    account = [f"{count(tokens.billed, 'token')} ({billed}; {tokens.reused:,} reused)"]
    left = event.budget - tokens.billed - event.lost
    account.append(f"{max(0, left):,} of {event.budget:,} left")
    if event.lost:
        account.append(f"{count(event.lost, 'token')} lost with samples that were not kept")
    if left < 0:
        account.append(f"{count(-left, 'token')} beyond the budget, which the server spent unasked")
    return [*joined(parts), *joined(account)]


class Display:
    """Consumes a run's events. A context manager, so that a terminal is always put back in order.

    This one, for `-q`, shows nothing but failures: what went wrong with a question is said once, however often it did.
    """

    live = False  # whether it draws on a terminal

    def __init__(self, err: TextIO | None) -> None:
        self._err = err
        self._failures: set[str] = set()

    def handle(self, event: Event) -> None:
        """Take an event in. Never raises for a terminal that went away."""
        if isinstance(event, Answered) and event.result.error and event.result.error not in self._failures:
            self._failures.add(event.result.error)
            self._print(f"dynscale: {title(event.result)}: {stopped(event.result)}")

    def aside(self, write: Callable[[], None], *, pause: float = 0.0) -> None:
        """Run what writes to the same terminal with the view out of its way, for `pause` seconds more."""
        write()

    def _print(self, line: str) -> None:
        if self._err is None:
            return
        with contextlib.suppress(OSError, ValueError):
            encoding = getattr(self._err, "encoding", None) or "utf-8"
            self._err.write(sayable(line, encoding) + "\n")
            self._err.flush()

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to put back."""


class Lines(Display):
    """`3/64 q17  42  5 of 6 votes  612 tokens  settled`, once for each question.

    With `show`, every finished sample before that: a heading, and what it said, indented.
    """

    def __init__(self, err: TextIO, *, show: bool = False) -> None:
        super().__init__(err)
        self._score = Score()
        self._show = show
        self._ids: dict[int, str] = {}  # of questions under way, where samples are shown
        self._questions = 0
        self._done = 0

    def handle(self, event: Event) -> None:
        if isinstance(event, Answered):
            self._done += 1
            self._score.take(event.result)
            self._ids.pop(event.result.index, None)
            if not event.replayed:  # an earlier part of the run has told it
                self._print(answer_line(event.result, self._done, self._questions))
        elif isinstance(event, RunStarted):
            self._questions = event.questions
        elif isinstance(event, Notice):
            self._print(f"dynscale: {plain(event.message)}")
        elif isinstance(event, RunFinished):
            self._print("\n".join(closing_lines(event, self._score)))
        elif self._show and isinstance(event, SampleStarted):
            self._ids[event.index] = called(event.id, event.index, self._questions)
        elif self._show and isinstance(event, SampleFinished):
            self._print(sample_lines(self._ids[event.index], event.sample))


def choose_display(
    err: TextIO | None,
    *,
    quiet: bool = False,
    color: bool = True,
    show: bool = False,
    verdicts: Verdicts | None = None,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.monotonic,
) -> Display:
    """Nothing for `quiet` or a closed stderr; a live view on a terminal that can do it; else plain lines.

    `color` is off for --no-color; NO_COLOR has the same effect. `show` adds the text of samples: in the view as it is
    generated, one sample at a time; in plain lines each sample when it is done. `verdicts` are what a live view leaves
    behind, where the answers do not go to the same terminal.
    """
    if quiet or err is None:
        return Display(err)
    if not can_redraw(err, environ):
        return Lines(err, show=show)
    from dynscale_cli.display.live import LiveView  # rich takes 0.1 s to import

    return LiveView(err, color=color and not environ.get("NO_COLOR"), show=show, verdicts=verdicts, clock=clock)
