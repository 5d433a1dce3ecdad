"""Replays and benches as pictures in files.

Readable in black and white: lines differ by dashes and markers, bands by their edges. Knows nothing of how the figures
came about.
"""

from __future__ import annotations

import importlib.util
import textwrap
from pathlib import Path
from typing import Any

from dynscale_cli.errors import UsageError
from dynscale_cli.evaluation.methods import BASELINE
from dynscale_cli.evaluation.replay import BUDGETS, ReplayReport, budgets
from dynscale_cli.evaluation.scores import STEPS, BenchReport

SUFFIXES = (".svg", ".png", ".pdf")


def check_plot(path: Path | None) -> None:
    """Raise `UsageError` where no plot could be written to `path`: before the work, not after it."""
    if path is None:
        return
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"cannot plot to {path}", f"end the file's name with {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UsageError(f"no such directory: {path.parent}", f"mkdir -p {path.parent}")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("plots need matplotlib", "pip install 'dynscale-cli[plot]'")


def plot_replay(report: ReplayReport, path: Path) -> None:
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


MARKERS = "os^Dv*XP"
DASHES = (":", "--", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2, 2, 2)))
FILLED, EDGED = BASELINE.name, "dynscale"  # whose intervals are drawn: more of them would hide each other


def plot_bench(report: BenchReport, path: Path) -> None:
    """Write the picture to `path`. Raises UsageError where that cannot be done."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _bench_accuracy(left, report)
    _bench_tokens(right, report)
    seeds = ", ".join(map(str, report.seeds))
    about = f"{report.questions} questions, {report.model}, seeds {seeds}. {report.command}"
    figure.supxlabel("\n".join(textwrap.wrap(about, 150)), fontsize=8)
    save(figure, path)


def _bench_accuracy(axes: Any, report: BenchReport) -> None:
    budgets = report.budgets
    first = max(1, round(STEPS * budgets[0] / budgets[-1])) if len(budgets) > 1 else 1
    tokens = [budgets[-1] * step / STEPS for step in range(first, STEPS + 1)]
    for number, score in enumerate(report.scores):
        axes.plot(
            tokens,
            score.curve[first - 1 :],
            color="black" if score.method in (FILLED, EDGED) else "0.4",
            linestyle="-" if score.method == EDGED else DASHES[number % len(DASHES)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=6 if score.method in (FILLED, EDGED) else 4,
            markevery=0.09 + 0.001 * number,
            linewidth=2.2 if score.method in (FILLED, EDGED) else 1.0,
            label=score.method,
        )
        low, high = zip(*score.band[first - 1 :], strict=True)
        if score.method == FILLED:
            axes.fill_between(tokens, low, high, color="0.88", linewidth=0, zorder=0)
        elif score.method == EDGED:
            axes.plot(tokens, low, tokens, high, color="black", linewidth=0.6)
    axes.set_xscale("log", base=2)
    labels = [f"×{count}\n" for count in report.samples] or [""] * len(budgets)
    axes.set_xticks(budgets, [f"{label}{budget:,.0f}" for label, budget in zip(labels, budgets, strict=True)])
    axes.minorticks_off()
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_xlabel("tokens evaluated, prompts and generated (×k: k samples of every question by self-consistency)")
    axes.set_ylabel("accuracy, %")
    axes.set_title("accuracy at equal tokens\n95% intervals over questions: grey self-consistency, thin lines dynscale")
    axes.legend(fontsize=8, loc="lower right")


def _bench_tokens(axes: Any, report: BenchReport) -> None:
    """Tokens of each question at the largest budget, over how hard it is."""
    chosen = [score for score in report.scores if score.method in (FILLED, EDGED)]
    for score in chosen:
        filled = score.method == EDGED
        shares = [asked.one for asked in report.asked]
        tokens = [asked.tokens[score.method] for asked in report.asked]
        axes.scatter(
            shares,
            tokens,
            s=22,
            marker=MARKERS[report.scores.index(score) % len(MARKERS)],
            facecolor="0.25" if filled else "none",
            edgecolor="0.25" if filled else "0.5",
            linewidth=0.8,
            label=score.method,
        )
    axes.set_xlabel("how easy the question is: right samples in the pools, %")
    axes.set_ylabel("tokens spent on the question")
    axes.set_title("where the tokens went, question by question")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
