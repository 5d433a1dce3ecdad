"""Progress without a terminal: one plain line a question on stderr, as each is done, and a closing line.

Also says nothing at all, for `-q`. A stderr that is closed or full never ends a run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from dynscale_cli.display.closing import closing_line
from dynscale_cli.display.safe import plain
from dynscale_cli.display.words import count, short, stopped, sure, votes
from dynscale_cli.runs.events import Answered, Event, Notice, Result, RunFinished, RunStarted


class Quiet:
    """Shows nothing."""

    def handle(self, event: Event) -> None:
        """Events pass unseen."""

    def aside(self, write: Callable[[], None]) -> None:
        """Run what writes to the terminal while no view is in its way: here there never is one."""
        write()

    def __enter__(self) -> Quiet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put back."""


class Lines(Quiet):
    """`3/64 q17  42  5 of 6 votes  97% sure  612 tokens  settled`, once for each question."""

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._questions = 0
        self._done = 0

    def handle(self, event: Event) -> None:
        if isinstance(event, Answered):
            self._done += 1
            if not event.replayed:  # an earlier part of the run has told it
                self._print(answer_line(event.result, self._done, self._questions))
        elif isinstance(event, RunStarted):
            self._questions = event.questions
        elif isinstance(event, Notice):
            self._print(f"dynscale: {plain(event.message)}")
        elif isinstance(event, RunFinished):
            self._print(closing_line(event))

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            encoding = getattr(self._err, "encoding", None) or "utf-8"
            self._err.write(line.encode(encoding, "replace").decode(encoding) + "\n")
            self._err.flush()


def answer_line(result: Result, done: int, questions: int) -> str:
    answer = "no answer" if result.answer is None else short(result.answer) or '""'
    parts = [f"{done}/{questions} {short(result.id)}", answer]
    if result.votes:
        parts += [votes(result.votes), sure(result.confidence)]
    return "  ".join([*parts, count(result.tokens.billed, "token"), stopped(result)])
