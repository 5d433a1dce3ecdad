"""Progress without a terminal: one plain line a question on stderr, as each is done, and a closing line.

Also says nothing at all, for `-q`. A stderr that is closed or full never ends a run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from dynscale_cli.display.closing import closing_line
from dynscale_cli.display.safe import plain, plain_lines, sayable
from dynscale_cli.display.words import count, short, stopped, sure, votes
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
from dynscale_cli.sampling.samples import Sample


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
    """`3/64 q17  42  5 of 6 votes  97% sure  612 tokens  settled`, once for each question.

    With `show`, every finished sample before that: a heading, and what it said, indented.
    """

    def __init__(self, err: TextIO, *, show: bool = False) -> None:
        self._err = err
        self._show = show
        self._ids: dict[int, str] = {}  # of questions under way, where samples are shown
        self._questions = 0
        self._done = 0

    def handle(self, event: Event) -> None:
        if isinstance(event, Answered):
            self._done += 1
            self._ids.pop(event.result.index, None)
            if not event.replayed:  # an earlier part of the run has told it
                self._print(answer_line(event.result, self._done, self._questions))
        elif isinstance(event, RunStarted):
            self._questions = event.questions
        elif isinstance(event, Notice):
            self._print(f"dynscale: {plain(event.message)}")
        elif isinstance(event, RunFinished):
            self._print(closing_line(event))
        elif self._show and isinstance(event, SampleStarted):
            self._ids[event.index] = event.id
        elif self._show and isinstance(event, SampleFinished):
            self._print(sample_lines(self._ids[event.index], event.sample))

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            encoding = getattr(self._err, "encoding", None) or "utf-8"
            self._err.write(sayable(line, encoding) + "\n")
            self._err.flush()


def answer_line(result: Result, done: int, questions: int) -> str:
    answer = "no answer" if result.answer is None else short(result.answer) or '""'
    parts = [f"{done}/{questions} {short(result.id)}", answer]
    if result.votes:
        parts += [votes(result.votes), sure(result.confidence)]
    return "  ".join([*filter(None, parts), count(result.tokens.billed, "token"), stopped(result)])


def sample_lines(name: str, sample: Sample) -> str:
    """A heading such as `q17, sample 3 (chain): 42`, and what the sample said."""
    answer = "no answer" if sample.answer is None else short(sample.answer)
    said = (f"  {line}".rstrip() for line in plain_lines(sample.text.strip()).split("\n"))
    return "\n".join([f"{short(name)}, sample {sample.number + 1} ({sample.kind}): {answer}", *said])
