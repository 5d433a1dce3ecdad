"""A question's result: in words as all displays tell it, and on stdout, one a line or one JSON object a line.

Owns the wording (votes, why a question got no more samples, `--explain`), and order and form on stdout, where nothing
else ever goes. What has to wait for an answer before it waits in a temporary database. One line stays one
question: line breaks inside an answer become spaces where there are several questions, a question without an answer is
an empty line. A single question prints its answer whole; so do all on a terminal and in `--json`. On a terminal, empty
lines wait for an answer below them, so that a run that is interrupted early does not scroll all away. A reader that
went away shows as BrokenPipeError, which is the caller's to handle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TextIO

from dynscale_cli.display.text import count, cut, harmless, percent, plain, plain_lines, short, width
from dynscale_cli.run.events import Answered, Event, KindReport, Result, RunFinished, Standing, members
from dynscale_cli.sampling.samples import Sample

REASON: Final = 160  # characters of an error, whose end often says what to do
OUTCOMES: Final = {"budget": "budget spent", "limit": "all its samples", "time": "time is up"}
COLUMNS, LEAST_ANSWER = 80, 12  # of a line, where the rest leaves room for so much of the answer
QUESTION: Final = 24  # cells of a question in a line, where it has no name of its own


def counts(told: Standing | Result) -> list[tuple[str, int]]:
    """(answer, samples that gave it), the leader first. A vote that weighs less than others is one vote all the same.

    Where no counts are told the weights have to do.
    """
    weights = dict(told.votes)
    given = told.counts.values() if isinstance(told.counts, dict) else told.counts
    return list(zip(weights, given or map(math.ceil, weights.values()), strict=True))


def race(told: Standing | Result) -> str:
    """How the leader stands: `5 of 6`; nothing where nobody votes, or where the answer is no sample's own."""
    given = counts(told)
    if not given or (isinstance(told, Result) and _is_written(told)):
        return ""
    return f"{given[0][1]:,} of {sum(votes for _, votes in given):,}"


def votes(told: Standing | Result) -> str:
    """`5 of 6 votes`, `no votes`; or what stands in their place: `written from 3 samples`."""
    if isinstance(told, Result) and _is_written(told):
        return f"written from {count(told.samples - 1, 'sample')}"
    stands = race(told)
    return f"{stands} {'vote' if stands.endswith(' of 1') else 'votes'}" if stands else "no votes"


def _is_written(result: Result) -> bool:
    """Whether the answer to an open question was written by a sample that has read the others."""
    return result.answer is not None and bool(result.votes) and result.answer not in result.votes


def stopped(result: Result) -> str:
    """Why a question got no more samples, in a word or two; for an error, what it was; or why it has no answer."""
    if result.stopped == "error" and result.error:
        return short(result.error, REASON)
    if is_withheld(result):
        return "not sure enough"
    if result.stopped == "no answer":
        return f"none in {count(result.samples, 'sample')}"
    return OUTCOMES.get(result.stopped, result.stopped)


def is_withheld(result: Result) -> bool:
    """Whether samples have answered, but less surely than `--abstain-below` asks for."""
    return result.answer is None and bool(result.votes)


def named(id: str, index: int) -> bool:
    """Whether a question has a name of its own, and not only a place in the input."""
    return id != str(index + 1)


def called(id: str, index: int, questions: int) -> str:
    """What a question is called beside its samples: its own name, or its place where there are several."""
    if named(id, index):
        return short(id, 30)
    return f"question {index + 1:,}" if questions > 1 else ""


def title(result: Result) -> str:
    """What a question is called in a line of its own: its name, or else a stretch of it."""
    return short(result.id) if named(result.id, result.index) else cut(result.question, QUESTION)


def _judged(result: Result) -> str:
    return "right" if result.correct else "wrong"


def _answer(result: Result) -> str:
    return "no answer" if result.answer is None else plain_lines(result.answer).strip() or '""'


def _remarks(result: Result) -> list[str]:
    """What else there is to say: samples that were cut off, and whether it is right where that is known."""
    found = [f"{count(result.cut, 'sample')} cut off"] if result.cut else []
    return found if result.correct is None else [*found, _judged(result)]


def answer_line(result: Result, done: int, questions: int) -> str:
    """`3/64 q17  42  5 of 6 votes  612 tokens  settled`; the question, where it has no name of its own."""
    before = [f"{done}/{questions} {title(result)}"] if questions > 1 or named(result.id, result.index) else []
    after = [votes(result)] if result.votes else []
    after += [count(result.tokens.billed, "token"), stopped(result), *_remarks(result)]
    room = COLUMNS - sum(width(part) + 2 for part in (*before, *after))
    return "  ".join([*before, cut(_answer(result), max(LEAST_ANSWER, room)), *after])


def sample_lines(name: str, sample: Sample) -> str:
    """A heading such as `q17, sample 3 (chain): 42`, and what the sample said."""
    answer = "no answer" if sample.answer is None else short(sample.answer)
    said = (f"  {line}".rstrip() for line in plain_lines(sample.text.strip()).split("\n"))
    heading = f"sample {sample.number + 1} ({sample.kind}): {answer}"
    return "\n".join([f"{name}, {heading}" if name else heading, *said])


VOTES, OUTCOME, GAP, LEAST = 8, 20, 2, 30  # cells of the columns, between them, and of those that take up the rest


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
        answer = _answer(result)
        wide = "\n" in answer or width(answer) > self._answer
        if self.single:
            between = "\n\n" if wide else "   "
            return f"{answer}{between}{_tail(result)}\n"
        outcome = stopped(result) if result.correct is None else f"{stopped(result)}, {_judged(result)}"
        if wide or width(outcome) > OUTCOME:
            said = "\n".join(f"  {line}".rstrip() for line in answer.split("\n"))
            return f"{plain(result.question)}\n{said}\n  {_tail(result)}\n"
        return self._row(cut(result.question, self._question), answer, race(result), outcome) + "\n"

    def _row(self, question: str, answer: str, votes: str, outcome: str) -> str:
        cells = [_padded(question, self._question)] if self._question else []
        cells += [_padded(answer, self._answer), f"{votes:>{VOTES}}", outcome]
        return (" " * GAP).join(cells).rstrip()


def _padded(text: str, cells: int) -> str:
    return text + " " * (cells - width(text))


def _tail(result: Result) -> str:
    """`6 of 7 votes · settled after 748 tokens`."""
    parts = [votes(result)] if result.votes else []
    parts.append(f"{stopped(result)} after {count(result.tokens.billed, 'token')}")
    return " · ".join([*parts, *_remarks(result)])


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
            prior, learned = percent(self._finished.chain_share_prior), percent(self._finished.chain_share)
            yield f"share of chains: {prior} at first, {learned} as learned"


def question_line(result: Result) -> str:
    """`q17: 42 after 6 samples (4 parallel, 2 chain): 5 votes against 1 for 41; stopped since …`"""
    name = title(result) + (":" if named(result.id, result.index) else "")
    kinds = ", ".join(f"{report.samples:,} {name}" for name, report in result.kinds.items() if report.samples)
    spent = f"{count(result.samples, 'sample')}{f' ({kinds})' if kinds else ''}, {count(result.tokens.billed, 'token')}"
    why = f"{WHY['error']}: {short(result.error)}" if result.error else WHY[result.stopped]
    if result.answer is None:
        unsure = f"{next(iter(result.votes))} is not sure enough ({votes(result)}); " if is_withheld(result) else ""
        return f"{name} no answer after {spent}; {unsure}{why}"
    return f"{name} {short(result.answer)} after {spent}: {_against(result)}; stopped since {why}"


def _against(result: Result) -> str:
    if not result.votes or _is_written(result):
        return votes(result)
    (_, first), *others = counts(result)
    if not others:
        return f"{count(first, 'vote')}, all for it"
    (rival, second), *rest = others
    told = f"{count(first, 'vote')} against {second:,} for {short(rival, 30)}"
    return told + (f" and {sum(votes for _, votes in rest):,} for {count(len(rest), 'other')}" if rest else "")


def kind_lines(kinds: Mapping[str, KindReport]) -> Iterator[str]:
    """Agreement: how often a sample says what independent samples, which it has not seen, say as well."""
    for name, report in kinds.items():
        if not report.samples:
            yield f"{name}: no samples"
            continue
        earned = "agreement not known yet" if report.agreement is None else f"agreement {percent(report.agreement)}"
        each = f"{report.tokens / report.samples:,.0f} tokens each"
        yield f"{name}: {count(report.samples, 'sample')}, {count(report.tokens, 'token')}, {each}, {earned}"


# --- standard output ----------------------------------------------------------------------------------------------


class Answers:
    """Prints each answer as soon as all before it are there, or at once if `unordered`; flushes every line.

    `aside` is called with what writes: a view on the same terminal gets out of its way meanwhile. With `verdicts`, each
    answer is a row that says how it came about, too. Once `interrupted`, a reader that went away is no news: Ctrl-C
    ends all of a pipe.
    """

    def __init__(
        self,
        out: TextIO,
        questions: int,
        *,
        as_json: bool = False,
        unordered: bool = False,
        aside: Callable[[Callable[[], None]], None] | None = None,
        verdicts: Verdicts | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        from dynscale_cli.run.database import Spill  # sqlite3: not for those who need the words alone

        self._out = out
        self._whole = questions == 1 or out.isatty()
        self._as_json = as_json
        self._unordered = unordered
        self._aside = aside
        self._verdicts = verdicts
        self._interrupted = interrupted
        self._headed = verdicts is None
        self._next = 0
        self._waiting = set[int]()  # questions whose lines are told in their turn
        self._lines = Spill()
        self._blank = ""  # lines without an answer that are held back
        self._holds_blank = out.isatty()

    def handle(self, event: Event) -> None:
        """Take note of an answer, and print what can be printed. Other events mean nothing here."""
        if not isinstance(event, Answered):
            return
        index, line = event.result.index, self._line(event.result)
        if self._unordered:
            self._print(line)
        elif index == self._next:
            self._print(line + "".join(self._following()))
        else:
            self._waiting.add(index)
            self._lines.put(index, line.encode("utf-8", "surrogatepass"))

    def finish(self) -> None:
        """Print what is still held back for an answer that never came; in order."""
        if self._waiting:
            self._print("".join(map(self._taken, sorted(self._waiting))))

    def _following(self) -> Iterator[str]:
        """The lines that waited for this one."""
        self._next += 1
        while self._next in self._waiting:
            yield self._taken(self._next)
            self._next += 1

    def _taken(self, index: int) -> str:
        self._waiting.discard(index)
        return self._lines.pop(index).decode("utf-8", "surrogatepass")

    def _line(self, result: Result) -> str:
        if self._as_json:
            return as_line(result)
        if self._verdicts is not None:
            return self._verdicts.row(result)
        answer = result.answer or ""
        return (plain_lines(answer).strip() if self._whole else plain(answer)) + "\n"

    def _print(self, text: str) -> None:
        if not self._headed:
            text, self._headed = f"{self._verdicts.head() if self._verdicts else ''}{text}", True
        if self._holds_blank:
            text = self._blank + text
            shown = text.rstrip("\n")
            keep = len(shown) + 1 if shown else 0
            text, self._blank = text[:keep], text[keep:]
            if not text:
                return
        if self._aside is None:
            self._write(text)
        else:
            self._aside(lambda: self._write(text))

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError:
            if not self._interrupted():
                raise


def as_line(result: Result) -> str:
    """A result as one line of JSON, with the text as it is but for characters that a terminal might act on."""
    text = json.dumps(members(result), ensure_ascii=False, default=members)
    return harmless(text) + "\n"
