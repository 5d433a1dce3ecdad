"""Tables of benches and replays for the terminal, with a chart of accuracy against tokens in characters.

Knows nothing of how the figures came about.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.console import Group as Parts
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dynscale_cli.display.live import Bar
from dynscale_cli.display.text import clock, count, plain
from dynscale_cli.evaluation.methods import BASELINE
from dynscale_cli.evaluation.replay import (
    BUDGETS,
    LARGEST,
    STEPS,
    TARGETS,
    LogReport,
    PolicyPoint,
    PolicyScore,
    ReplayReport,
)
from dynscale_cli.evaluation.scores import STEPS as BENCH_STEPS
from dynscale_cli.evaluation.scores import SURE, BenchReport, Group, Interval, MethodScore, Reach

Shown = Callable[[float, str], None]  # how far it is, from 0 to 1, and what is done now


@contextlib.contextmanager
def bar(otherwise: Shown = lambda share, text: None, *, quiet: bool = False) -> Iterator[Shown]:
    """What moves a bar on standard error; where nobody looks at one, what is called instead."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield otherwise
        return
    parts = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()
    with Bar(*parts, console=console, transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share, text: progress.moves(task, completed=share, description=text)


def print_report(report: Any, tables: Callable[[int], RenderableType], width: int, *, as_json: bool) -> None:
    """A report on standard output: as JSON, or in tables as wide as the terminal, or as `width` where there is none."""
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        console = Console(width=None if sys.stdout.isatty() else width)
        console.print(tables(console.width))


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=Text(plain(title), "bold"), title_justify="left", box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


# --- a bench ---------------------------------------------------------------------------------------------------

HEIGHT = 12
WIDEST = 76  # columns of the chart
SHORT = {"self-consistency": "self-cons.", "adaptive-consistency": "adaptive"}  # seven have to stand side by side


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
    places = (round(BENCH_STEPS * ratio ** (1 - i / (WIDEST - 1))) for i in range(WIDEST))
    return [curve[max(1, place) - 1] for place in places]


def _accuracy(report: BenchReport) -> Table:
    table = _table(f"accuracy in %, and difference to {BASELINE.name} at equal tokens", "method", *headings(report))
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
    table = _table(title, first, "n", "right, %", *(SHORT.get(score.method, score.method) for score in scores))
    for group in found:
        values = group.accuracy if title.startswith("accuracy") else group.samples
        cells = (f"{values[score.method]:.{0 if values is group.accuracy else 1}f}" for score in scores)
        table.add_row(plain(group.name), str(group.questions), f"{group.one:.0f}", *cells)
    return table


def _tokens(report: BenchReport) -> Table:
    title = f"tokens to be as right as {BASELINE.name} at {headings(report)[-1]}, as a share; mean tokens of a run"
    table = _table(title, "method", "share", "95%", "prompt", "generated", "reused", "samples", "sec")
    for score in report.scores:
        last = score.points[-1]
        spent = (f"{tokens:,.0f}" for tokens in (last.spent.prompt, last.spent.generated, last.spent.reused))
        seconds = "" if last.seconds is None else f"{last.seconds:,.0f}"
        share, ends = _ends(score.reach)
        ends = ends if report.questions > 1 else ""
        table.add_row(score.method, share, ends, *spent, f"{last.samples:.1f}", seconds)
    return table


def _ends(reach: Reach) -> tuple[str, str]:
    def shown(share: float | None) -> str:
        return "never" if share is None else f"{share:.2f}"

    return shown(reach.share), f"{shown(reach.low)}..{shown(reach.high)}"


def _words(report: BenchReport) -> Iterator[Text]:
    for score in report.scores:
        found = score.calibration
        if score.method == "dynscale" and found.sure:
            yield Text(
                f"dynscale was at least {SURE:.0%} sure of {found.sure} of {found.questions} leaders: "
                f"right: {found.right}; the answer of most samples in all pools: {found.majority}."
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


# --- a replay ---------------------------------------------------------------------------------------------------

BARS = "▁▂▃▄▅▆▇█"
PICTURE = 24  # columns
SPLIT = "uniform, ties split"


def replay_tables(report: ReplayReport) -> RenderableType:
    """Each log on its own where there are several, then all of them; the summary comes last, next to the prompt."""
    parts: list[RenderableType] = []
    if len(report.logs) > 1:
        parts += [part for log in report.logs for part in (_log_table(log), Text())]
    parts += [_gain_table(report), Text(), _token_table(report.overall), Text(), _legend(report)]
    return Parts(*parts)


def _budgets() -> Iterator[str]:
    return (f"×{budget}" for budget in BUDGETS)


def _targets() -> Iterator[str]:
    return (f"to ×{target}" for target in TARGETS)


def _log_table(log: LogReport) -> Table:
    title = f"{log.name}: {log.questions} questions, a round is {log.round_tokens:,.0f} tokens"
    table = _table(title, "policy", *_budgets(), *_targets())
    table.add_row(SPLIT, *(f"{log.baseline[budget]:.1f}" for budget in BUDGETS), style="dim")
    for score in log.scores:
        accuracies = (f"{point.accuracy.mean:.1f}" for point in score.points)
        table.add_row(score.policy, *accuracies, *_reach(score))
    return table


def _gain_table(report: ReplayReport) -> Table:
    log = report.overall
    table = _table(f"{log.name}: accuracy in %, and gain over {SPLIT}", "policy", *_budgets())
    table.add_row(SPLIT, *(f"{log.baseline[budget]:.2f}" for budget in BUDGETS), style="dim")
    gain = _gains([point for score in log.scores for point in score.points], report.seeds)
    for score in log.scores:
        table.add_row(score.policy, *(f"{point.accuracy.mean:.2f}" for point in score.points))
        table.add_row("", *map(gain, score.points), style="dim")
    return table


def _gains(points: Sequence[PolicyPoint], seeds: int) -> Callable[[PolicyPoint], str]:
    """How all these gains are written: so that a row fits into 80 columns, and without an interval of a single draw."""
    digits = 2 if all(abs(point.gain.mean) + point.gain.half < 10 for point in points) else 1

    def written(point: PolicyPoint) -> str:
        mean = f"{point.gain.mean:+.{digits}f}"
        return mean if seeds == 1 else f"{mean}±{point.gain.half:.{digits}f}"

    return written


def _token_table(log: LogReport) -> Table:
    title = "tokens to the accuracy of uniform, as a share of uniform's"
    table = _table(title, "policy", *_targets(), "spent", "steps")
    table.add_column("accuracy, ×1 to ×32", no_wrap=True)
    low, high = _span(log.scores)
    for score in log.scores:
        row = (
            *_reach(score),
            f"×{score.points[-1].spent:.1f}",
            f"{score.steps:.0f}",
            sparkline(score.curve, low, high),
        )
        table.add_row(score.policy, *row)
    table.caption = f"▁ {low:.1f}%  █ {high:.1f}%"
    table.caption_justify = "right"
    return table


def _reach(score: PolicyScore) -> Iterator[str]:
    return ("never" if share is None else f"{share:.2f}" for share in score.reach.values())


def _span(scores: Sequence[PolicyScore]) -> tuple[float, float]:
    values = [value for score in scores for value in _doublings(score.curve)]
    return min(values), max(values)


def _doublings(curve: Sequence[float]) -> list[float]:
    """The curve at PICTURE budgets from one round to the last, evenly spaced on a logarithmic scale."""
    return [curve[round(STEPS * LARGEST ** (i / (PICTURE - 1))) - 1] for i in range(PICTURE)]


def sparkline(curve: Sequence[float], low: float, high: float) -> str:
    """The curve as a row of bars between `low` and `high`."""
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in _doublings(curve))


def _legend(report: ReplayReport) -> Text:
    ending = "budgets are spent in full" if report.exhaust else f"questions settle at {report.confidence:g}"
    parts = ["×k: a budget of k samples of every question. steps: of the whole run, in mean sample lengths."]
    if report.overall.rounds < BUDGETS[-1] - 1e-9:
        parts.append(f"There are samples for ×{report.overall.rounds:.3g} only: larger budgets cannot be spent.")
    if report.seeds == 1:
        parts.append("One draw: no intervals.")
    else:
        parts.append(f"± is the 95% interval over {report.seeds} draws, paired.")
    return Text(" ".join([*parts, f"{report.in_flight} in flight; {ending}."]), style="dim")


# --- a chart in characters: lines over one axis, a letter each ---------------------------------------------------

MARKS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Line:
    """Evenly spaced values and the mark that draws them. Of lines that meet, the last one given is seen."""

    mark: str
    values: Sequence[float]


def chart(lines: Sequence[Line], width: int, height: int, left: str, right: str) -> list[str]:
    """Rows of text, `width` wide, with the values' scale on the left; `left` and `right` name the ends of the axis."""
    low, high = _scale([value for line in lines for value in line.values])
    margin = max(len(f"{high:.0f}"), len(f"{low:.0f}")) + 2
    columns = max(8, width - margin)
    cells = [[" "] * columns for _ in range(height)]
    for line in lines:
        for column in range(columns):
            value = line.values[round(column * (len(line.values) - 1) / (columns - 1))]
            row = round((value - low) / (high - low) * (height - 1))
            cells[height - 1 - row][column] = line.mark
    labels = {0: f"{high:.0f}", (height - 1) // 2: f"{(high + low) / 2:.0f}", height - 1: f"{low:.0f}"}
    rows = [f"{labels.get(n, ''):>{margin - 2}} │" + "".join(row) for n, row in enumerate(cells)]
    gap = max(1, columns - len(left) - len(right))
    return [row.rstrip() for row in rows] + [
        " " * (margin - 1) + "└" + "─" * columns,
        " " * margin + left + " " * gap + right,
    ]


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Whole fives around all values, never one point: below it there is room if not above, as at 100%."""
    low, high = 5 * (min(values) // 5), 5 * -(-max(values) // 5)
    return (low, high) if high > low else (max(0, low - 5), max(5, high))
