"""A glance at the speed of a model: as many tokens as a few seconds hold, all slots busy.

`main` runs in a child, so that a library that crashes or hangs takes no more than that down. `speed` measures what
figures are quoted from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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


def main(told: Sequence[Any]) -> dict[str, Any]:
    """The glance of a model file, given its path, the number of threads, the width (0: as usual) and the seconds."""
    from dynscale_cli.engine.loading import load_model, open_engine
    from dynscale_cli.engine.options import LoadOptions
    from dynscale_cli.models.gguf import read_header

    path, threads, width, seconds = told
    model = load_model(read_header(Path(path)), LoadOptions(threads=threads), width=width or None)
    engine = open_engine(model, [], TOKENS, context=1024, width=width or None)
    return asdict(glance(engine, seconds, time.perf_counter))
