"""The bench's own questions: sums of graded difficulty from a seed.

Owns the set, which suits a model that gets small sums right now and then. They are asked as `ask` asks.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dynscale_cli.questions import Question

SEED: Final = 2026
EACH: Final = 16  # questions of a level
MAX_TOKENS: Final = 48  # what a sum needs when it is worked out; who says more is asked for the answer


@dataclass(frozen=True, slots=True)
class Level:
    """`terms` numbers up to `high`, joined by one of `signs` each; no result on the way is below 0."""

    name: str
    terms: int
    signs: str
    high: int


LEVELS: Final = (
    Level("a + b to 5", 2, "+", 5),
    Level("a + b to 9", 2, "+", 9),
    Level("a - b to 9", 2, "-", 9),
    Level("a + b to 15", 2, "+", 15),
    Level("a - b to 15", 2, "-", 15),
    Level("a + b + c to 5", 3, "+", 5),
)


def arithmetic(limit: int | None = None, seed: int = SEED) -> tuple[list[Question], dict[str, Sequence[int]]]:
    """The questions, easy and hard by turns, and which of them are of which level. `limit`: only the first ones."""
    rng = random.Random(seed)
    questions: list[Question] = []
    levels: dict[str, list[int]] = {level.name: [] for level in LEVELS}
    seen: set[str] = set()
    for place in range(EACH * len(LEVELS)):
        level = LEVELS[place % len(LEVELS)]
        text, answer = _new(level, rng, seen)
        levels[level.name].append(place)
        questions.append(Question(place, f"{place + 1}", text, (), str(answer)))
    kept = questions[:limit]
    return kept, {name: [q for q in found if q < len(kept)] for name, found in levels.items()}


def _new(level: Level, rng: random.Random, seen: set[str]) -> tuple[str, int]:
    """A sum that is not in the set yet."""
    while True:
        numbers = [rng.randint(1, level.high) for _ in range(level.terms)]
        signs = [rng.choice(level.signs) for _ in numbers[1:]]
        results = [numbers[0]]
        for sign, number in zip(signs, numbers[1:], strict=True):
            results.append(results[-1] + (number if sign == "+" else -number))
        text = f"What is {numbers[0]}" + "".join(f" {s} {n}" for s, n in zip(signs, numbers[1:], strict=True)) + "?"
        if min(results) >= 0 and text not in seen:
            seen.add(text)
            return text, results[-1]
