"""How fast the engine decodes: the real scheduler, events and billing, on samples that never end early.

Owns the shape of the measurement, so that a figure means the same on every machine, and a quick one for `doctor`: as
many tokens as a few seconds hold. Knows nothing of terminals; the clock is given to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.engine.protocol import Engine, Message, Request, Sampling

QUESTION = (
    "A bakery bakes 36 loaves in the morning and a third as many in the afternoon. Every loaf is cut into 12 slices, "
    "and the slices are packed in bags of 8. How many bags does the bakery fill in a day? Explain every step."
)

QUICK_TOKENS = 512  # of one sample in a quick measurement, at most


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement: `width` forks of one prompt, `tokens` decode steps each; the prompt is not timed."""

    width: int
    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.width * self.tokens / self.seconds


def measure(engine: Engine, *, tokens: int, rounds: int, clock: Callable[[], float]) -> Iterator[Round]:
    """Decode `tokens` tokens in each of the engine's slots, `rounds` times. Raises EngineError."""
    width = engine.info.width
    for number in range(rounds):
        ids = range(number * width, (number + 1) * width)
        yield Round(width, tokens, _round(engine, ids, tokens, clock))


def _round(engine: Engine, ids: range, tokens: int, clock: Callable[[], float]) -> float:
    """Seconds from the first decode step after the prompt to the last."""
    ledger = _submit(engine, ids, tokens)
    while not all(charge.generated for charge in engine.plan_step()):  # the prompt
        _step(engine, ledger)
    begun = clock()
    while engine.plan_step():
        _step(engine, ledger)
    return clock() - begun


def _submit(engine: Engine, ids: range, tokens: int) -> Ledger:
    """All samples of a round, with a budget that they will use up to the last token."""
    prompt = engine.prompt([Message("user", QUESTION)])
    ledger = Ledger(len(ids) * (len(prompt) + tokens))
    for id in ids:
        # The last token of a sample is never evaluated: one more makes as many decode steps as tokens are asked for.
        request = Request(id, prompt, tokens + 1, Sampling(), id, cache_boundaries=(len(prompt),), ignore_end=True)
        ledger.reserve(id, engine.prefill_cost(request), 0)
        engine.submit(request)
    return ledger


def _step(engine: Engine, ledger: Ledger) -> None:
    ledger.charge(engine.plan_step())
    engine.step()


@dataclass(frozen=True, slots=True)
class QuickSpeed:
    width: int
    tokens: int
    seconds: float
    tokens_per_second: float


def quick_speed(engine: Engine, seconds: float, clock: Callable[[], float]) -> QuickSpeed:
    """Decode until `seconds` are over, the prompt among them; the rate is that of the tokens behind the prompt."""
    ledger = _submit(engine, range(engine.info.width), QUICK_TOKENS)
    end = clock() + seconds
    while not all(charge.generated for charge in engine.plan_step()) and clock() < end:
        _step(engine, ledger)
    begun, tokens = clock(), 0
    while engine.plan_step() and (clock() < end or not tokens):
        tokens += sum(charge.generated for charge in engine.plan_step())
        _step(engine, ledger)
    spent = clock() - begun
    return QuickSpeed(engine.info.width, tokens, round(spent, 2), round(tokens / spent, 1))


def main(told: Sequence[Any]) -> dict[str, Any]:
    """The quick speed of a model file, given its path, the number of threads, the width (0: as usual) and the seconds.

    Runs in a child, so that a library that crashes or hangs takes no more than that down.
    """
    from dynscale_cli.engine.loading import load_model, open_engine
    from dynscale_cli.engine.options import LoadOptions
    from dynscale_cli.models.gguf import read_header

    path, threads, width, seconds = told
    model = load_model(read_header(Path(path)), LoadOptions(threads=threads), width=width or None)
    engine = open_engine(model, [], QUICK_TOKENS, context=1024, width=width or None)
    return asdict(quick_speed(engine, seconds, time.perf_counter))
