"""`dynscale bench`: does it help on my model and my questions, for how many tokens?

Parses and delegates to `bench_runner`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dynscale_cli.errors import UsageError

from .options import HelpAll, Options, takes
from .parser import OUTPUT, Command, once

EXAMPLES = """
dynscale bench
dynscale bench q.jsonl -m model.gguf --seeds 3 --plot bench.svg
dynscale bench --methods dynscale,race/parallel,ucb/chain
dynscale bench --speed
"""
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
