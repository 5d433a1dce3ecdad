"""`--explain`: why each question got its samples, and what each kind of sample earned and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from dynscale_cli.display.words import amount, count, percent, short, sure
from dynscale_cli.run.events import Answered, Event, KindReport, Result, RunFinished

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
    """`q17: 42 after 6 samples (4 parallel, 2 chain): 5 votes against 1 for 41, 97% sure; stopped since …`"""
    kinds = ", ".join(f"{report.samples:,} {name}" for name, report in result.kinds.items() if report.samples)
    spent = f"{count(result.samples, 'sample')}{f' ({kinds})' if kinds else ''}, {count(result.tokens.billed, 'token')}"
    why = f"{WHY['error']}: {short(result.error)}" if result.error else WHY[result.stopped]
    if result.answer is None:
        return f"{short(result.id)}: no answer after {spent}; {why}"
    return f"{short(result.id)}: {short(result.answer)} after {spent}: {_race(result)}; stopped since {why}"


def _race(result: Result) -> str:
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
    return f"{race}, {sure(result.confidence)} that it leads" if result.confidence is not None else race


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
