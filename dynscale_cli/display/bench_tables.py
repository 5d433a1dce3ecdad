"""A bench for the terminal: a chart of accuracy against tokens, and tables.

Knows nothing of how the figures came about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group as Parts
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dynscale_cli.display.chart import MARKS, Line, chart
from dynscale_cli.display.text import clock, count, plain
from dynscale_cli.evaluation.methods import BASELINE
from dynscale_cli.evaluation.scores import STEPS, SURE, BenchReport, Group, Interval, MethodScore, Reach

HEIGHT = 12
WIDEST = 76  # columns of the chart


def bench_tables(report: BenchReport, width: int) -> RenderableType:
    """The chart first, the summary last, next to the prompt."""
    parts: list[RenderableType] = [*_chart(report, min(width, WIDEST)), Text(), _accuracy(report), Text()]
    if report.levels:
        parts += [_groups("accuracy in % at the largest budget", "level", report.levels, report.scores), Text()]
    parts += [_groups("samples of a question", "samples right", report.difficulty, report.scores), Text()]
    parts += [_tokens(report), Text(), *_words(report)]
    return Parts(*parts)


def _chart(report: BenchReport, width: int) -> Iterator[Text]:
    yield Text("accuracy in % against tokens, on a logarithmic scale", style="bold")
    marks = dict(zip((score.method for score in report.scores), MARKS, strict=False))
    lines = [Line(marks[score.method], _logarithmic(score.curve, report.budgets)) for score in report.scores]
    ends = (
        f"{heading}: {budget:,.0f} tokens" for heading, budget in zip(headings(report), report.budgets, strict=True)
    )
    first, *_, last = [*ends] if len(report.budgets) > 1 else ["0", *ends]
    for row in chart(lines, width, HEIGHT, first, last):
        yield Text(row)
    yield Text("  ".join(f"{mark} {name}" for name, mark in marks.items()), style="dim")


def _logarithmic(curve: Sequence[float], budgets: Sequence[float]) -> list[float]:
    """The curve from the first budget to the last, at points evenly spaced on a logarithmic scale."""
    if len(budgets) == 1:
        return list(curve)
    ratio = budgets[0] / budgets[-1]
    places = (round(STEPS * ratio ** (1 - i / (WIDEST - 1))) for i in range(WIDEST))
    return [curve[max(1, place) - 1] for place in places]


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table


def _accuracy(report: BenchReport) -> Table:
    table = _table(f"accuracy in %, and difference to {BASELINE.name} at equal tokens", "method")
    for heading in headings(report):
        table.add_column(heading, justify="right", no_wrap=True)
    written = with_ends if report.questions > 1 else mean_alone
    for score in report.scores:
        table.add_row(score.method, *(written(point.accuracy) for point in score.points))
        if score.method != BASELINE.name:
            table.add_row("", *(written(point.gain, sign=True) for point in score.points), style="dim")
    return table


def headings(report: BenchReport) -> list[str]:
    """The budgets as columns: samples of every question, or tokens."""
    if report.samples:
        return [f"×{count}" for count in report.samples]
    return [f"{budget:,.0f}" for budget in report.budgets]


def with_ends(value: Interval, sign: bool = False) -> str:
    """`62.5 (48..75)`"""
    ends = "..".join(f"{end:{'+' if sign else ''}.0f}" for end in (value.low, value.high))
    return f"{mean_alone(value, sign)} ({ends})"


def mean_alone(value: Interval, sign: bool = False) -> str:
    """Of a single question, which has no interval."""
    return f"{value.mean:{'+' if sign else ''}.1f}"


def _groups(title: str, first: str, found: Sequence[Group], scores: Sequence[MethodScore]) -> Table:
    """One value a method: how right it is of each level, or how many samples it has given to questions so hard."""
    table = _table(title, first)
    for heading in ("n", "right, %", *(_short(score.method) for score in scores)):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in found:
        values = group.accuracy if title.startswith("accuracy") else group.samples
        cells = (f"{values[score.method]:.{0 if values is group.accuracy else 1}f}" for score in scores)
        table.add_row(plain(group.name), str(group.questions), f"{group.one:.0f}", *cells)
    return table


def _short(name: str) -> str:
    """Seven of them have to stand side by side."""
    return {"self-consistency": "self-cons.", "adaptive-consistency": "adaptive"}.get(name, name)


def _tokens(report: BenchReport) -> Table:
    title = f"tokens to be as right as {BASELINE.name} at {headings(report)[-1]}, as a share; mean tokens of a run"
    table = _table(title, "method")
    for heading in ("share", "95%", "prompt", "generated", "reused", "samples", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for score in report.scores:
        last = score.points[-1]
        spent = (f"{tokens:,.0f}" for tokens in (last.spent.prompt, last.spent.generated, last.spent.reused))
        seconds = "" if last.seconds is None else f"{last.seconds:,.0f}"
        share, ends = _reach(score.reach)
        ends = ends if report.questions > 1 else ""
        table.add_row(score.method, share, ends, *spent, f"{last.samples:.1f}", seconds)
    return table


def _reach(reach: Reach) -> tuple[str, str]:
    def shown(share: float | None) -> str:
        return "never" if share is None else f"{share:.2f}"

    return shown(reach.share), f"{shown(reach.low)} to {shown(reach.high)}"


def _words(report: BenchReport) -> Iterator[Text]:
    for score in report.scores:
        found = score.calibration
        if score.method == "dynscale" and found.sure:
            yield Text(
                f"dynscale was at least {SURE:.0%} sure of {found.sure} of {found.questions} leaders: "
                f"{found.majority} are the answer of most samples in all pools, {found.right} are right."
            )
    seeds, one = ", ".join(map(str, report.seeds)), f"{report.one:.0f}%"
    interval = "In brackets: 95% intervals over questions, differences paired on them."
    if report.questions == 1:
        interval = "One question: no intervals."
    rounds = "×k: what k samples of every question cost self-consistency. " if report.samples else ""
    yield Text(
        f"{count(report.questions, 'question')}, a single sample is right {one} of the time; seeds {seeds}; "
        f"{plain(report.model)}. {rounds}{interval} "
        f"{report.decoded:,} tokens decoded in {clock(report.seconds)}; pools: {', '.join(report.pools)}.",
        style="dim",
    )
