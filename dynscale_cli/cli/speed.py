"""`dynscale bench --speed`: the engine's rate on this machine.

Loads and prints; the measuring is in `evaluation`. Progress goes to standard error, one line of JSON to standard
output.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from .report import say

if TYPE_CHECKING:
    from dynscale_cli.engine.options import LoadOptions
    from dynscale_cli.models.gguf import GGUFHeader


def speed(header: GGUFHeader, options: LoadOptions, width: int | None, tokens: int, rounds: int) -> None:
    """Measure, and print the result."""
    print(json.dumps(_measured(header, options, width, tokens, rounds)))


def _measured(header: GGUFHeader, options: LoadOptions, width: int | None, tokens: int, rounds: int) -> dict[str, Any]:
    import statistics

    from dynscale_cli.engine.loading import load_model, open_engine
    from dynscale_cli.engine.protocol import Message
    from dynscale_cli.evaluation.speed import QUESTION, measure

    model = load_model(header, options, width=width, notice=say)
    engine = open_engine(model, [[Message("user", QUESTION)]], tokens, width=width, notice=say)
    say(f"{model.name}: {engine.info.width} samples of {tokens} tokens, {model.threads} threads")
    rates = []
    for number, measured in enumerate(measure(engine, tokens=tokens, rounds=rounds, clock=time.perf_counter), 1):
        rates.append(measured.tokens_per_second)
        say(f"round {number} of {rounds}: {rates[-1]:.1f} tokens/s")
    engine.close()
    return {
        "tokens_per_second": round(statistics.median(rates), 1),
        "width": engine.info.width,
        "tokens": tokens,
        "threads": model.threads,
        "buffers": model.buffers,
        "rounds": [round(rate, 1) for rate in rates],
        "model": model.name,
    }
