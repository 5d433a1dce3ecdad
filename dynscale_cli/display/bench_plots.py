"""A bench as a picture in a file: accuracy against tokens, and where the tokens went.

Readable in black and white: lines differ by dashes and markers, bands by their edges. Knows nothing of how the figures
came about.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from dynscale_cli.display.plots import save
from dynscale_cli.evaluation.methods import BASELINE
from dynscale_cli.evaluation.scores import STEPS, Report, Score

MARKERS = "os^Dv*XP"
DASHES = (":", "--", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2, 2, 2)))
FILLED, EDGED = BASELINE.name, "dynscale"  # whose intervals are drawn: more of them would hide each other


def plot_bench(report: Report, path: Path) -> None:
    """Write the picture to `path`. Raises UsageError where that cannot be done."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _accuracy(left, report)
    _tokens(right, report)
    seeds = ", ".join(map(str, report.seeds))
    about = f"{report.questions} questions, {report.model}, seeds {seeds}. {report.command}"
    figure.supxlabel("\n".join(textwrap.wrap(about, 150)), fontsize=8)
    save(figure, path)


def _accuracy(axes: Any, report: Report) -> None:
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
    axes.set_xticks(budgets, [f"{label}{budget:,.0f}" for label, budget in zip(_labels(report), budgets, strict=True)])
    axes.minorticks_off()
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_xlabel("tokens evaluated, prompts and generated (×k: k samples of every question by self-consistency)")
    axes.set_ylabel("accuracy, %")
    axes.set_title("accuracy at equal tokens\n95% intervals over questions: grey self-consistency, thin lines dynscale")
    axes.legend(fontsize=8, loc="lower right")


def _labels(report: Report) -> list[str]:
    return [f"×{count}\n" for count in report.samples] or [""] * len(report.budgets)


def _tokens(axes: Any, report: Report) -> None:
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
            marker=MARKERS[_place(report, score)],
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


def _place(report: Report, score: Score) -> int:
    return report.scores.index(score) % len(MARKERS)
