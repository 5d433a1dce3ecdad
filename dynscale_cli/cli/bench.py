"""`dynscale bench` and `dynscale replay`: does it help on my model and my questions, for how many tokens?

Parses and delegates: a bench draws samples (`bench_runner`), a replay scores stored ones (`evaluation`). What they
find is drawn by `display`.
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

from .options import HelpAll, Options, takes
from .parser import OUTPUT, Command, once

EXAMPLES = """
dynscale bench
dynscale bench q.jsonl -m model.gguf --seeds 3 --plot bench.svg
dynscale bench --methods dynscale,race/parallel,ucb/chain
dynscale bench --speed
"""
REPLAYS = """
dynscale ask -f q.jsonl --mode parallel --exhaust --export samples.jsonl
dynscale replay samples.jsonl --plot accuracy.svg
"""
DEFAULT_POLICIES = "race,ucb,adaptive,early-stop,uniform"
WIDTH = 100  # columns where standard output is no terminal
COMPARE, RATE = "What is compared", "With --speed"
SAMPLES = "1,2,4,8,16"
MOST = 10_000  # samples of a question, or seeds: nobody waits for more


class Bench(Command):
    everyday = frozenset({
        "--methods", "--samples", "--budgets", "--seeds", "--limit", "--model", "--endpoint", "--threads",
        "--max-tokens", "--seed", "--json", "--plot", "--speed", "--help", "--help-all",
    })  # fmt: skip


@takes(
    "limit",
    "profile",
    "model",
    "n_gpu_layers",
    "ctx_size",
    "threads",
    "parallel",
    "endpoint",
    "served_model",
    "stall_timeout",
    "confidence",
    "max_tokens",
    "temp",
    "top_p",
    "top_k",
    "seed",
    "layout",
    "system",
    "prompt_file",
    "answer_type",
    "json",
    "quiet",
    seed=1,
)
def bench(
    options: Options,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Questions with right answers: .jsonl or .csv.")
    ] = None,
    methods: Annotated[
        str | None,
        once(
            COMPARE,
            "NAMES",
            "Methods by name, or as POLICY/MODE, such as race/parallel. Default: all that have names.",
            "--methods",
        ),
    ] = None,
    samples: Annotated[
        str | None,
        once(
            COMPARE, "N,N,…", f"Budgets: what so many samples of every question cost. Default: {SAMPLES}.", "--samples"
        ),
    ] = None,
    budgets: Annotated[
        str | None, once(COMPARE, "TOKENS,…", "Budgets in tokens instead, such as 5k,20k.", "--budgets")
    ] = None,
    seeds: Annotated[int, once(COMPARE, "N", "Seeds, from --seed on.", "--seeds", min=1, max=MOST)] = 1,
    plot: Annotated[Path | None, once(OUTPUT, "FILE", "Draw it: .svg, .png or .pdf.", "--plot")] = None,
    speed: Annotated[bool, once(RATE, None, "Only measure generated tokens a second.", "--speed")] = False,
    tokens: Annotated[int, once(RATE, "N", "Generated in each sample.", "--tokens", min=1)] = 96,
    rounds: Annotated[int, once(RATE, "N", "Measurements; the median counts.", "--rounds", min=1)] = 3,
    help_all: HelpAll = False,
) -> int:
    """Compare methods on questions with known answers, at equal tokens.

    Without a file: arithmetic that a small model can partly do, at most 48 tokens a sample. What is decoded is stored
    as it comes in: after Ctrl-C the same command goes on.
    """
    if speed:
        from .bench_runner import speed as measure

        measure(options, tokens, rounds)
        return 0
    if samples is not None and budgets is not None:
        raise UsageError("--samples and --budgets: both say what is spent", "give one of them")
    from .bench_runner import Benching, compare

    told = Benching(options, file, methods, _samples(samples or SAMPLES), _budgets(budgets), seeds, plot)
    return compare(told)


def _samples(text: str) -> tuple[int, ...]:
    try:
        counts = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        counts = []
    if not counts or not 1 <= counts[0] <= counts[-1] <= MOST:
        raise UsageError(f"--samples {text}: not a list of counts from 1 to {MOST}", f"such as --samples {SAMPLES}")
    return tuple(counts)


def _budgets(text: str | None) -> tuple[int, ...]:
    from dynscale_cli.values import parse_tokens

    if text is None:
        return ()
    return tuple(sorted({parse_tokens(part, "--budgets") for part in text.split(",")}))


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
