"""Progress without a live view: one plain line a question on stderr, as each is done, and a closing line.

Owns the choice of a display by what stderr is and what the user said, saying nothing at all for `-q`, and `--explain`.
A stderr that is closed or full never ends a run.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Final, Protocol, TextIO

from dynscale_cli.display.terminal import can_redraw
from dynscale_cli.display.text import amount, count, percent, plain, plain_lines, sayable, short, stopped, sure, votes
from dynscale_cli.runs.events import (
    Answered,
    Event,
    KindReport,
    Notice,
    Result,
    RunFinished,
    RunStarted,
    Sample,
    SampleFinished,
    SampleStarted,
)


def closing_line(event: RunFinished) -> str:
    """Questions, settled, unanswered; tokens prompt, generated, reused; budget left; seconds and tokens a second."""
    tokens = event.tokens
    parts = [f"{count(event.questions, 'question')}, {event.settled:,} settled, {event.unanswered:,} unanswered"]
    billed = f"{tokens.prompt:,} prompt + {tokens.generated:,} generated"
    parts.append(f"{count(tokens.billed, 'token')} ({billed}; {tokens.reused:,} reused)")
    if event.lost:
        parts.append(f"{count(event.lost, 'token')} lost with samples that were not kept")
    left = event.budget - tokens.billed - event.lost
    parts.append(f"{max(0, left):,} of {event.budget:,} left")
    if left < 0:
        parts.append(f"{count(-left, 'token')} beyond the budget, which the server spent unasked")
    parts.append(f"{event.seconds:.1f} s")
    if event.seconds > 0:
        parts.append(f"{tokens.generated / event.seconds:,.0f} tokens/s")
    return ("interrupted: " if event.interrupted else "") + " · ".join(parts)


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
    return "  ".join([*parts, count(result.tokens.billed, "token"), stopped(result)])


def sample_lines(name: str, sample: Sample) -> str:
    """A heading such as `q17, sample 3 (chain): 42`, and what the sample said."""
    answer = "no answer" if sample.answer is None else short(sample.answer)
    said = (f"  {line}".rstrip() for line in plain_lines(sample.text.strip()).split("\n"))
    return "\n".join([f"{short(name)}, sample {sample.number + 1} ({sample.kind}): {answer}", *said])


class Display(Protocol):
    """Consumes a run's events. A context manager, so that a terminal is always put back in order."""

    def handle(self, event: Event) -> None:
        """Take an event in. Never raises for a terminal that went away."""

    def aside(self, write: Callable[[], None]) -> None:
        """Run what writes to the same terminal with the view out of its way."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def choose_display(
    err: TextIO | None,
    *,
    quiet: bool = False,
    color: bool = True,
    show: bool = False,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.monotonic,
) -> Display:
    """Nothing for `quiet` or a closed stderr; a live view on a terminal that can do it; else plain lines.

    `color` is off for --no-color; NO_COLOR has the same effect. `show` adds the text of samples: in the view as it is
    generated, one sample at a time; in plain lines each sample when it is done.
    """
    if quiet or err is None:
        return Quiet()
    if not can_redraw(err, environ):
        return Lines(err, show=show)
    from dynscale_cli.display.live import LiveView  # rich takes 0.1 s to import

    return LiveView(err, color=color and not environ.get("NO_COLOR"), show=show, clock=clock)


WHY: Final = {
    "settled": "more samples were not expected to change the leader",
    "budget": "the budget was spent",
    "limit": "it had all the samples a question may have",
    "no answer": "no sample held an answer",
    "interrupted": "the run was interrupted",
    "error": "it failed",
}


class Explain:
    """Collects results; `lines` tells the story after the run, in input order."""

    def __init__(self) -> None:
        self._lines: dict[int, str] = {}
        self._finished: RunFinished | None = None

    def handle(self, event: Event) -> None:
        if isinstance(event, Answered):
            self._lines[event.result.index] = question_line(event.result)
        elif isinstance(event, RunFinished):
            self._finished = event

    def lines(self) -> Iterator[str]:
        for index in sorted(self._lines):
            yield self._lines[index]
        if self._finished:
            yield from kind_lines(self._finished.kinds)


def question_line(result: Result) -> str:
    """`q17: 42 after 6 samples (4 parallel, 2 chain): 5 votes against 1 for 41, 97% sure; stopped since …`"""
    kinds = ", ".join(f"{report.samples:,} {name}" for name, report in result.kinds.items() if report.samples)
    spent = f"{count(result.samples, 'sample')}{f' ({kinds})' if kinds else ''}, {count(result.tokens.billed, 'token')}"
    why = f"{WHY['error']}: {short(result.error)}" if result.error else WHY[result.stopped]
    if result.answer is None:
        return f"{short(result.id)}: no answer after {spent}; {why}"
    return f"{short(result.id)}: {short(result.answer)} after {spent}: {_votes(result)}; stopped since {why}"


def _votes(result: Result) -> str:
    ranked = sorted(result.votes.items(), key=lambda item: -item[1])
    if not ranked:
        return "no votes"
    first = f"{amount(ranked[0][1])} {'vote' if ranked[0][1] == 1 else 'votes'}"
    if len(ranked) == 1:
        race = f"{first}, all for it"
    else:
        race = f"{first} against {amount(ranked[1][1])} for {short(ranked[1][0], 30)}"
        if len(ranked) > 2:
            race += f" and {amount(sum(value for _, value in ranked[2:]))} for {count(len(ranked) - 2, 'other')}"
    return f"{race}, {percent(result.confidence)} sure that it leads"


def kind_lines(kinds: Mapping[str, KindReport]) -> Iterator[str]:
    """Agreement: how often a sample says what independent samples, which it has not seen, say as well."""
    for name, report in kinds.items():
        if not report.samples:
            yield f"{name}: no samples"
            continue
        earned = "agreement not known yet" if report.agreement is None else f"agreement {percent(report.agreement)}"
        each = f"{amount(report.tokens / report.samples)} tokens each"
        yield f"{name}: {count(report.samples, 'sample')}, {count(report.tokens, 'token')}, {each}, {earned}"
