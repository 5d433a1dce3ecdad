"""`dynscale bench --speed`: the engine's rate on this machine.

Loads and prints; the measuring is in `evaluation`. Progress goes to standard error, one line of JSON to standard
output.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from dynscale_cli.display.text import say

from .interrupts import Interrupts
from .opening import ModelFile

if TYPE_CHECKING:
    from .options import Options


def speed(options: Options, tokens: int, rounds: int) -> None:
    """Measure, and print the result."""
    print(json.dumps(_measured(options, tokens, rounds)))


def _measured(options: Options, tokens: int, rounds: int) -> dict[str, Any]:
    import statistics

    from dynscale_cli.engine.protocol import Message
    from dynscale_cli.evaluation.speed import QUESTION, measure

    model = ModelFile(options, say)
    engine = model.engine(options, [[Message("user", QUESTION)]], Interrupts(), most=tokens)
    loaded = model.wait()
    say(f"{loaded.name}: {engine.info.width} samples of {tokens} tokens, {loaded.threads} threads")
    rates = []
    for number, measured in enumerate(measure(engine, tokens=tokens, rounds=rounds, clock=time.perf_counter), 1):
        rates.append(measured.tokens_per_second)
        say(f"round {number} of {rounds}: {rates[-1]:.1f} tokens/s")
    engine.close()
    return {
        "tokens_per_second": round(statistics.median(rates), 1),
        "width": engine.info.width,
        "tokens": tokens,
        "threads": loaded.threads,
        "buffers": loaded.buffers,
        "rounds": [round(rate, 1) for rate in rates],
        "model": loaded.name,
    }
