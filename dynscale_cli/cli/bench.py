"""`dynscale bench`: figures that anybody can repeat on their own machine.

Parses, loads and prints; the measuring is in `evaluation`. Progress goes to standard error, one line of JSON to
standard output.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dynscale_cli.errors import UsageError

if TYPE_CHECKING:
    from dynscale_cli.engine.options import LoadOptions
    from dynscale_cli.models.header import GGUFHeader


def bench(
    speed: Annotated[bool, typer.Option("--speed", help="Generated tokens a second, all slots busy.")] = False,
    model: Annotated[str | None, typer.Option("--model", "-m", envvar="DYNSCALE_MODEL", help="A GGUF file.")] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", "-np", min=1, max=256, help="Samples decoded side by side.")
    ] = None,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Generated in each sample.")] = 96,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Measurements; the median counts.")] = 3,
    threads: Annotated[int, typer.Option("--threads", "-t", min=0, help="0: one a core.")] = 0,
    layers: Annotated[
        str, typer.Option("--n-gpu-layers", "-ngl", metavar="N|auto", help="Layers to offload.")
    ] = "auto",
) -> None:
    """Measure the engine on this machine: dynscale bench --speed."""
    if not speed:
        raise UsageError("nothing to measure was named", "dynscale bench --speed")
    from dynscale_cli import config
    from dynscale_cli.engine.options import LoadOptions
    from dynscale_cli.models.header import read_header, require_generator
    from dynscale_cli.models.resolve import resolve

    header = read_header(resolve(model))
    require_generator(header)
    options = LoadOptions(n_gpu_layers=config.parse_layers(layers), threads=threads)
    print(json.dumps(_speed(header, options, parallel, tokens, rounds)))


def _speed(header: GGUFHeader, options: LoadOptions, width: int | None, tokens: int, rounds: int) -> dict[str, Any]:
    import statistics

    from dynscale_cli.engine.loading import context_for, load_model, open_engine
    from dynscale_cli.engine.protocol import Message
    from dynscale_cli.evaluation.speed import QUESTION, measure

    model = load_model(header.path, options)
    context = context_for(model, [[Message("user", QUESTION)]], tokens)
    engine, backend = open_engine(model, context=context, width=width, header=header, notice=_say)
    _say(f"{model.name}: {engine.info.width} samples of {tokens} tokens, {backend.threads} threads")
    rates = []
    for number, measured in enumerate(measure(engine, tokens=tokens, rounds=rounds, clock=time.perf_counter), 1):
        rates.append(measured.tokens_per_second)
        _say(f"round {number} of {rounds}: {rates[-1]:.1f} tokens/s")
    engine.close()
    return {
        "tokens_per_second": round(statistics.median(rates), 1),
        "width": engine.info.width,
        "tokens": tokens,
        "threads": backend.threads,
        "rounds": [round(rate, 1) for rate in rates],
        "model": model.name,
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
