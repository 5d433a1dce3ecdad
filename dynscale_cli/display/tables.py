"""Tables of a replay for the terminal, with a small picture of accuracy against tokens.

Knows nothing of how the figures came about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynscale_cli.display.text import plain
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

BARS = "▁▂▃▄▅▆▇█"
PICTURE = 24  # columns
BASELINE = "uniform, ties split"


def replay_tables(report: ReplayReport) -> RenderableType:
    """Each log on its own where there are several, then all of them; the summary comes last, next to the prompt."""
    parts: list[RenderableType] = []
    if len(report.logs) > 1:
        parts += [part for log in report.logs for part in (_log_table(log), Text())]
    parts += [_accuracy_table(report), Text(), _token_table(report.overall), Text(), _legend(report)]
    return Group(*parts)


def _table(title: str) -> Table:
    table = Table(title=Text(plain(title), "bold"), title_justify="left", box=None, pad_edge=False)
    table.add_column("policy", no_wrap=True)
    return table


def _log_table(log: LogReport) -> Table:
    table = _table(f"{log.name}: {log.questions} questions, a round is {log.round_tokens:,.0f} tokens")
    for budget in BUDGETS:
        table.add_column(f"×{budget}", justify="right", no_wrap=True)
    for target in TARGETS:
        table.add_column(f"to ×{target}", justify="right", no_wrap=True)
    table.add_row(BASELINE, *(f"{log.baseline[budget]:.1f}" for budget in BUDGETS), style="dim")
    for score in log.scores:
        accuracies = (f"{point.accuracy.mean:.1f}" for point in score.points)
        table.add_row(score.policy, *accuracies, *_reach(score))
    return table


def _accuracy_table(report: ReplayReport) -> Table:
    log = report.overall
    table = _table(f"{log.name}: accuracy in %, and gain over {BASELINE}")
    for budget in BUDGETS:
        table.add_column(f"×{budget}", justify="right", no_wrap=True)
    table.add_row(BASELINE, *(f"{log.baseline[budget]:.2f}" for budget in BUDGETS), style="dim")
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
    table = _table("tokens to the accuracy of uniform, as a share of uniform's")
    for target in TARGETS:
        table.add_column(f"to ×{target}", justify="right", no_wrap=True)
    table.add_column("spent", justify="right", no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
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
