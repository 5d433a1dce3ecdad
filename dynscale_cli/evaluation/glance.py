"""A glance at the speed of a model: as many tokens as a few seconds hold, all slots busy.

Run as a program it prints one line of JSON: `python -m dynscale_cli.evaluation.glance MODEL THREADS WIDTH SECONDS`; so
a library that crashes or hangs takes no more than a child down. `speed` measures what figures are quoted from.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from dynscale_cli.engine.protocol import Engine, Message, Request, Sampling

from .speed import QUESTION

TOKENS = 512  # of one sample, at most


@dataclass(frozen=True, slots=True)
class Glance:
    width: int
    tokens: int
    seconds: float
    tokens_per_second: float


def glance(engine: Engine, seconds: float, clock: Callable[[], float]) -> Glance:
    """Decode until `seconds` are over, the prompt among them; the rate is that of the tokens behind the prompt."""
    prompt = engine.prompt([Message("user", QUESTION)])
    for id in range(engine.info.width):
        engine.submit(Request(id, prompt, TOKENS, Sampling(), id, cache_boundaries=(len(prompt),), ignore_end=True))
    end = clock() + seconds
    while not all(charge.generated for charge in engine.plan_step()) and clock() < end:
        engine.step()
    begun, tokens = clock(), 0
    while engine.plan_step() and (clock() < end or not tokens):
        tokens += sum(charge.generated for charge in engine.plan_step())
        engine.step()
    spent = clock() - begun
    return Glance(engine.info.width, tokens, round(spent, 2), round(tokens / spent, 1))


def main(path: str, threads: str, width: str, seconds: str) -> None:
    from dynscale_cli.engine.loading import load_model, open_engine
    from dynscale_cli.engine.options import LoadOptions
    from dynscale_cli.models.header import read_header

    header = read_header(Path(path))
    model = load_model(header.path, LoadOptions(threads=int(threads)))
    engine, _ = open_engine(model, context=1024, width=int(width) or None, header=header)
    print(json.dumps(asdict(glance(engine, float(seconds), time.perf_counter))))


if __name__ == "__main__":
    main(*sys.argv[1:])
