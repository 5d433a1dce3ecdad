"""Progress without a live view: one plain line a question on stderr, as each is done, and a closing line.

Owns the choice of a display by what stderr is and what the user said, saying nothing at all for `-q`, and `--explain`.
A stderr that is closed or full never ends a run.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, TextIO

from dynscale_cli.display.terminal import can_redraw
from dynscale_cli.display.text import (
    amount,
    count,
    cut,
    joined,
    percent,
    plain,
    plain_lines,
    sayable,
    short,
    stopped,
    votes,
    width,
)
from dynscale_cli.run.events import (
    Answered,
    Event,
    KindReport,
    Notice,
    Result,
    RunFinished,
    RunStarted,
    SampleFinished,
    SampleStarted,
)
from dynscale_cli.sampling.samples import Sample


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


class Verdicts:
    """Answers for somebody who reads them: question, answer, votes, and why it got no more samples.

    `Paris   6 of 7 votes · settled after 748 tokens` where there is one question; else a row each, under a head. An
    answer that does not fit its column, or has several lines, stands whole below its question.
    """

    def __init__(self, questions: Sequence[str], columns: int) -> None:
        self.single = len(questions) == 1
        rest = columns - VOTES - OUTCOME - 3 * GAP
        longest = max((width(plain(text[:columns])) for text in questions), default=0)
        self._question = 0 if rest < LEAST else min(max(longest, len("question")), rest * 3 // 5)
        self._answer = max(8, rest - self._question)

    def head(self) -> str:
        """The columns' names; nothing for a single question."""
        return "" if self.single else self._row("question", "answer", "votes", "") + "\n"

    def row(self, result: Result) -> str:
        answer = "no answer" if result.answer is None else plain_lines(result.answer).strip() or '""'
        outcome = stopped(result) if result.correct is None else f"{stopped(result)}, {_judged(result)}"
        if self.single:
            return self._whole(answer, _tail(result))
        if "\n" in answer or width(answer) > self._answer or width(outcome) > OUTCOME:
            said = "\n".join(f"  {line}".rstrip() for line in answer.split("\n"))
            return f"{plain(result.question)}\n{said}\n  {_tail(result)}\n"
        return self._row(cut(result.question, self._question), answer, _share(result), outcome) + "\n"

    def _whole(self, answer: str, tail: str) -> str:
        between = "\n\n" if "\n" in answer or width(answer) > self._answer else "   "
        return f"{answer}{between}{tail}\n"

    def _row(self, question: str, answer: str, votes: str, outcome: str) -> str:
        cells = [_padded(question, self._question)] if self._question else []
        cells += [_padded(answer, self._answer), f"{votes:>{VOTES}}", outcome]
        return (" " * GAP).join(cells).rstrip()


VOTES, OUTCOME, GAP, LEAST = 8, 20, 2, 30  # cells of the columns, between them, and of those that take up the rest


def _padded(text: str, cells: int) -> str:
    return text + " " * (cells - width(text))


def _share(result: Result) -> str:
    total = sum(result.votes.values())
    return f"{amount(max(result.votes.values()))} of {amount(total)}" if result.votes else ""


def _judged(result: Result) -> str:
    return "right" if result.correct else "wrong"


def _tail(result: Result) -> str:
    """`6 of 7 votes · settled after 748 tokens`."""
    parts = [votes(result.votes)] if result.votes else []
    parts.append(f"{stopped(result)} after {count(result.tokens.billed, 'token')}")
    return " · ".join(parts if result.correct is None else [*parts, _judged(result)])


class Quiet:
    """Shows nothing but failures: what went wrong with a question is said once, however many it befell."""

    live = False

    def __init__(self, err: TextIO | None) -> None:
        self._err = err
        self._failures: set[str] = set()

    def handle(self, event: Event) -> None:
        """All other events pass unseen."""
        if isinstance(event, Answered) and event.result.error and event.result.error not in self._failures:
            self._failures.add(event.result.error)
            self._print(f"dynscale: {short(event.result.id)}: {stopped(event.result)}")

    def aside(self, write: Callable[[], None]) -> None:
        """Run what writes to the terminal while no view is in its way: here there never is one."""
        write()

    def _print(self, line: str) -> None:
        if self._err is None:
            return
        with contextlib.suppress(OSError, ValueError):
            encoding = getattr(self._err, "encoding", None) or "utf-8"
            self._err.write(sayable(line, encoding) + "\n")
            self._err.flush()

    def __enter__(self) -> Quiet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put back."""


class Lines(Quiet):
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
            self._ids[event.index] = event.id
        elif self._show and isinstance(event, SampleFinished):
            self._print(sample_lines(self._ids[event.index], event.sample))


def answer_line(result: Result, done: int, questions: int) -> str:
    answer = "no answer" if result.answer is None else short(result.answer) or '""'
    parts = [f"{done}/{questions} {short(result.id)}", answer]
    if result.votes:
        parts.append(votes(result.votes))
    parts += [count(result.tokens.billed, "token"), stopped(result)]
    return "  ".join(parts if result.correct is None else [*parts, _judged(result)])


def sample_lines(name: str, sample: Sample) -> str:
    """A heading such as `q17, sample 3 (chain): 42`, and what the sample said."""
    answer = "no answer" if sample.answer is None else short(sample.answer)
    said = (f"  {line}".rstrip() for line in plain_lines(sample.text.strip()).split("\n"))
    return "\n".join([f"{short(name)}, sample {sample.number + 1} ({sample.kind}): {answer}", *said])


class Display(Protocol):
    """Consumes a run's events. A context manager, so that a terminal is always put back in order."""

    live: bool  # whether it draws on a terminal

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
        return Quiet(err)
    if not can_redraw(err, environ):
        return Lines(err, show=show)
    from dynscale_cli.display.live import LiveView  # rich takes 0.1 s to import

    return LiveView(err, color=color and not environ.get("NO_COLOR"), show=show, verdicts=verdicts, clock=clock)


WHY: Final = {
    "settled": "more samples were not expected to change the leader",
    "budget": "the budget was spent",
    "limit": "it had all the samples a question may have",
    "no answer": "no sample held an answer",
    "interrupted": "the run was interrupted",
    "error": "it failed",
    "cut off": "most of its samples were cut off, and more of them would settle nothing",
    "time": "the time was up",
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
            yield chain_line(self._finished)


def question_line(result: Result) -> str:
    """`q17: 42 after 6 samples (4 parallel, 2 chain): 5 votes against 1 for 41; stopped since …`"""
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
    return race


def chain_line(finished: RunFinished) -> str:
    """The share of later tokens that chains get: where it began, and where the evidence has moved it."""
    return (
        f"share of chains: {percent(finished.chain_share_prior)} at first, {percent(finished.chain_share)} as learned"
    )


def kind_lines(kinds: Mapping[str, KindReport]) -> Iterator[str]:
    """Agreement: how often a sample says what independent samples, which it has not seen, say as well."""
    for name, report in kinds.items():
        if not report.samples:
            yield f"{name}: no samples"
            continue
        earned = "agreement not known yet" if report.agreement is None else f"agreement {percent(report.agreement)}"
        each = f"{amount(report.tokens / report.samples)} tokens each"
        yield f"{name}: {count(report.samples, 'sample')}, {count(report.tokens, 'token')}, {each}, {earned}"
