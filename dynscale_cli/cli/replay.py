"""`dynscale replay`: score policies on stored samples, without decoding a token.

Parses and delegates; the work is in `evaluation`, the pictures are in `display`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dynscale_cli.errors import UsageError
from dynscale_cli.values import INTEGER

from .parser import once

DEFAULT_POLICIES = "race,ucb,adaptive,early-stop,uniform"
WIDTH = 100  # columns where standard output is no terminal
EXAMPLES = """
dynscale ask -f q.jsonl --mode parallel --exhaust --export samples.jsonl
dynscale replay samples.jsonl --plot accuracy.svg
"""


def replay(
    logs: Annotated[
        list[Path], typer.Argument(metavar="LOG", help="JSONL files of samples, written by `dynscale ask --export`.")
    ],
    policy: Annotated[
        str, once(None, "NAMES", "Policies to compare; ucb:0.5 sets ucb's c.", "--policy")
    ] = DEFAULT_POLICIES,
    in_flight: Annotated[int, once(None, "N", "Pulls kept open at the same time.", "--in-flight", min=1)] = 1,
    seeds: Annotated[int, once(None, "N", "Random draws to average over.", "--seeds", min=1, max=INTEGER)] = 16,
    confidence: Annotated[
        float,
        once(None, "P", "A question is settled when its leader is this sure.", "--confidence", span=(0.5, 1.0)),
    ] = 0.95,
    exhaust: Annotated[bool, once(None, None, "Spend budgets in full, settled or not.", "--exhaust")] = False,
    json_output: Annotated[bool, once(None, None, "Print the report as JSON.", "--json")] = False,
    plot: Annotated[
        Path | None, once(None, "FILE", "Draw accuracy against tokens: .svg, .png or .pdf.", "--plot")
    ] = None,
) -> None:
    """Score allocation policies on stored samples.

    Answers which policy needs the fewest tokens for your model and your questions, from one pool of samples. Needs no
    model. The report compares accuracy at equal tokens with uniform self-consistency.
    """
    from dynscale_cli.evaluation.logs import read_log
    from dynscale_cli.evaluation.replay import Setting, sweep

    policies = _policies(policy)
    if plot is not None:
        from dynscale_cli.display.plots import check_plot, plot_replay

        check_plot(plot)
    pools = [read_log(path) for path in logs]
    with _progress() as progress:
        report = sweep(pools, policies, Setting(in_flight, confidence, exhaust), seeds, progress)
    if plot is not None:
        plot_replay(report, plot)
    if json_output:
        import json
        from dataclasses import asdict

        print(json.dumps(asdict(report)))
    else:
        from rich.console import Console

        from dynscale_cli.display.tables import replay_tables

        Console(width=None if sys.stdout.isatty() else WIDTH).print(replay_tables(report))


def _policies(text: str) -> list[str]:
    """The names as the policies themselves write them, each once; `UsageError` where one is unknown."""
    from dynscale_cli.allocation.policies import parse_policy

    names = [parse_policy(name).name for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("No policy to replay", f"--policy {DEFAULT_POLICIES}")
    return list(dict.fromkeys(names))


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while the work runs, where stderr is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal, redirect_stdout=False) as bar:
        task = bar.add_task("replaying", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
