"""Plots of a replay as files.

Knows nothing of how the figures came about.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from dynscale_cli.errors import UsageError
from dynscale_cli.evaluation.report import BUDGETS, Report, budgets

SUFFIXES = (".svg", ".png", ".pdf")


def check_plot(path: Path) -> None:
    """Raise `UsageError` where `plot_replay` could not write to `path`: before the work, not after it."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"Cannot plot to {path}", f"End the file's name with {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UsageError(f"No such directory: {path.parent}", f"mkdir -p {path.parent}")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("Plots need matplotlib", "pip install 'dynscale-cli[plot]'")


def plot_replay(report: Report, path: Path) -> None:
    """Accuracy against budget, on a logarithmic scale, one line a policy; the 95% interval of the gain as a bar."""
    from matplotlib.figure import Figure

    log = report.overall
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    rounds = budgets()
    shown = slice(rounds.index(1.0), None)
    axes.plot(rounds[shown], log.baseline_curve[shown], "--", color="0.5", label="uniform, ties split")
    for score in log.scores:
        (line,) = axes.plot(rounds[shown], score.curve[shown], label=score.policy)
        means, halves = zip(*((point.accuracy.mean, point.gain.half) for point in score.points), strict=True)
        axes.errorbar(BUDGETS, means, halves, fmt="o", markersize=3, capsize=2, color=line.get_color())
    axes.set_xscale("log", base=2)
    axes.set_xticks((1, *BUDGETS), [f"×{budget}" for budget in (1, *BUDGETS)])
    axes.set_xlabel("budget in rounds: ×1 pays for one sample of every question")
    axes.set_ylabel("accuracy, %")
    axes.set_title(log.name)
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Write a figure. Raises UsageError where the file cannot be written."""
    try:
        figure.savefig(path)
    except OSError as error:
        message = f"Cannot write {path}: {error.strerror or error}"
        raise UsageError(message, "Name a file in a writable directory") from None
