"""`dynscale bench`: does it help on my model and my questions, for how many tokens?

Parses and delegates to `benching`, or to `speed`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dynscale_cli.errors import UsageError

from . import flags
from .parser import Command

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
        "--methods", "--samples", "--budgets", "--seeds", "--limit", "--model", "--threads",
        "--max-tokens", "--seed", "--json", "--plot", "--speed", "--help", "--help-all",
    })  # fmt: skip


def bench(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Questions with right answers: .jsonl or .csv.")
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="NAMES",
            help="Methods by name, or as POLICY/MODE, such as race/parallel. Default: all that have names.",
            rich_help_panel=COMPARE,
        ),
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option(
            "--samples",
            metavar="N,N,…",
            help=f"Budgets: what so many samples of every question cost. Default: {SAMPLES}.",
            rich_help_panel=COMPARE,
        ),
    ] = None,
    budgets: Annotated[
        str | None,
        typer.Option(
            "--budgets", metavar="TOKENS,…", help="Budgets in tokens instead, such as 5k,20k.", rich_help_panel=COMPARE
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option("--seeds", metavar="N", min=1, max=MOST, help="Seeds, from --seed on.", rich_help_panel=COMPARE),
    ] = 1,
    limit: flags.Limit = None,
    model: flags.Model = None,
    layers: flags.Layers = "auto",
    ctx_size: flags.CtxSize = None,
    threads: flags.Threads = 0,
    parallel: flags.Parallel = None,
    confidence: flags.Confidence = 0.95,
    max_tokens: Annotated[
        str | None,
        typer.Option(
            "--max-tokens",
            "-n",
            metavar="TOKENS",
            help="Most tokens of one sample. Default: 1024; 48 for the built-in questions.",
            rich_help_panel=flags.SAMPLE,
        ),
    ] = None,
    temp: flags.Temp = 0.8,
    top_p: flags.TopP = 0.95,
    top_k: flags.TopK = 40,
    seed: flags.Seed = 1,
    layout: flags.Layout = None,
    system: flags.System = None,
    prompt_file: flags.PromptFile = None,
    answer_type: flags.AnswerType = "auto",
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON.", rich_help_panel=flags.OUTPUT)
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw it: .svg, .png or .pdf.", rich_help_panel=flags.OUTPUT),
    ] = None,
    quiet: flags.Quiet = False,
    speed: Annotated[
        bool, typer.Option("--speed", help="Only measure generated tokens a second.", rich_help_panel=RATE)
    ] = False,
    tokens: Annotated[
        int, typer.Option("--tokens", min=1, help="Generated in each sample.", rich_help_panel=RATE)
    ] = 96,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Measurements; the median counts.", rich_help_panel=RATE)
    ] = 3,
    help_all: flags.HelpAll = False,
) -> int:
    """Compare methods on questions with known answers, at equal tokens.

    Without a file: arithmetic that a small model can partly do. What is decoded is stored as it comes in: after Ctrl-C
    the same command goes on.
    """
    from dynscale_cli import config
    from dynscale_cli.engine.options import LoadOptions

    options = LoadOptions(n_gpu_layers=config.parse_layers(layers), threads=threads)
    if speed:
        from dynscale_cli.models.gguf import read_header, require_generator
        from dynscale_cli.models.resolve import resolve

        from .speed import speed as measure

        header = read_header(resolve(model))
        require_generator(header)
        measure(header, options, parallel, tokens, rounds)
        return 0
    if samples is not None and budgets is not None:
        raise UsageError("--samples and --budgets: both say what is spent", "give one of them")
    from .benching import Benching, compare

    return compare(
        Benching(
            file=file,
            methods=methods,
            samples=_samples(samples or SAMPLES),
            budgets=_budgets(budgets),
            seeds=range(seed, seed + seeds),
            limit=limit,
            model=model,
            options=options,
            context=ctx_size,
            width=parallel,
            confidence=confidence,
            max_tokens=config.parse_tokens(max_tokens, "--max-tokens") if max_tokens else None,
            sampling=(temp, top_p, top_k),
            layout=layout or "quoted",
            system=system,
            prompt_file=prompt_file,
            answer_type=answer_type,
            json=json_output,
            plot=plot,
            quiet=quiet,
        )
    )


def _samples(text: str) -> tuple[int, ...]:
    try:
        counts = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        counts = []
    if not counts or not 1 <= counts[0] <= counts[-1] <= MOST:
        raise UsageError(f"--samples {text}: not a list of counts from 1 to {MOST}", f"such as --samples {SAMPLES}")
    return tuple(counts)


def _budgets(text: str | None) -> tuple[int, ...]:
    from dynscale_cli import config

    if text is None:
        return ()
    return tuple(sorted({config.parse_tokens(part, "--budgets") for part in text.split(",")}))
