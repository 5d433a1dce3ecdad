"""How fast the engine decodes: the real scheduler, events and billing, on samples that never end early.

Owns the shape of the measurement, so that a figure means the same on every machine. Knows nothing of llama.cpp or
of terminals; the clock is given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.engine.protocol import Engine, Message, Request, Sampling

QUESTION = (
    "A bakery bakes 36 loaves in the morning and a third as many in the afternoon. Every loaf is cut into 12 slices, "
    "and the slices are packed in bags of 8. How many bags does the bakery fill in a day? Explain every step."
)


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
