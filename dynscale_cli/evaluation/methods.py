"""What a bench compares, and on what where no file is given: methods by their names, and sums of graded difficulty.

Owns the names of methods (a policy and a mode under the name that the literature or the user knows it by) and the
built-in questions, which suit a model that gets small sums right now and then; they are asked as `ask` asks. Knows
nothing of models or results.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dynscale_cli.allocation.policies import parse_policy
from dynscale_cli.errors import UsageError
from dynscale_cli.questions import Question
from dynscale_cli.run.request import Settings
from dynscale_cli.sampling.sampler import MODES, Mode


@dataclass(frozen=True, slots=True)
class Method:
    """One way of spending a budget. `once`: a single sample of each question, without any chance in it."""

    name: str
    policy: str
    mode: Mode
    once: bool = False

    def settings(self, common: Settings) -> Settings:
        """The settings of a run by this method."""
        mine = replace(common, policy=self.policy, mode=self.mode)
        if self.once:
            greedy = replace(mine.sampling, temperature=0.0)
            return replace(mine, max_samples=1, sampling=greedy)
        return mine


BASELINE: Final = Method("self-consistency", "uniform", "parallel")
NAMED: Final = {
    method.name: method
    for method in (
        Method("single", "uniform", "parallel", once=True),
        BASELINE,
        Method("adaptive-consistency", "adaptive", "parallel"),
        Method("early-stop", "early-stop", "parallel"),
        Method("sequential", "uniform", "sequential"),
        Method("dynscaling", "ucb", "hybrid"),
        Method("dynscale", "race", "hybrid"),
    )
}
DEFAULT: Final = ",".join(NAMED)
HINT: Final = f"one of {', '.join(NAMED)}, or POLICY/MODE, such as race/parallel or ucb:0.5/hybrid"


def parse_methods(text: str) -> list[Method]:
    """The methods of a list such as `single,dynscale,race/parallel`, each once. The baseline is always among them.

    Raises UsageError for a name, a policy or a mode that is not known.
    """
    found = [_parse(name.strip()) for name in text.split(",") if name.strip()]
    if not found:
        raise UsageError("--methods names no method", HINT)
    return list(dict.fromkeys(found if BASELINE in found else [BASELINE, *found]))


def _parse(name: str) -> Method:
    if name in NAMED:
        return NAMED[name]
    policy, slash, mode = name.partition("/")
    if not slash:
        raise UsageError(f"--methods {name}: no such method", HINT)
    if mode not in MODES:
        raise UsageError(f"--methods {name}: no such mode: {mode}", "modes: " + ", ".join(MODES))
    known: dict[str, Mode] = {m: m for m in MODES}
    try:
        policy = parse_policy(policy).name
    except UsageError as error:
        raise UsageError(f"--methods {name}: {error.message}", error.hint) from None
    return Method(f"{policy}/{mode}", policy, known[mode])


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
