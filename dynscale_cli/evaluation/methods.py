"""What a bench compares: methods by their names, and what the runs of each had, pull by pull, for the tokens spent.

Owns the names of methods (a policy and a mode under the name that the literature or the user knows it by), the
built-in questions, which suit a model that gets small sums right now and then and are asked as `ask` asks, and the
reading of a stored run. A run is followed once, to its largest budget: what it does under a smaller one is the start of
the same run, as no policy knows the budget. Pulls count in the order in which they began, each at its full price: those
in flight when a budget ends finish, as the ledger of a live run would have it, and the first that does not fit any more
ends the run. Knows nothing of engines or terminals.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dynscale_cli.allocation.policies import parse_policy
from dynscale_cli.allocation.posterior import confidence
from dynscale_cli.answers.equivalence import Equivalence, same_as_gold
from dynscale_cli.answers.types import AnswerType
from dynscale_cli.answers.vote import Ballot, Tally, tally
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.errors import UsageError
from dynscale_cli.questions import Question
from dynscale_cli.run.events import Dropped, Sampled, Start
from dynscale_cli.run.request import Settings
from dynscale_cli.run.stored import StoredRun
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
HINT: Final = "such as --methods dynscale,race/parallel; all names: dynscale docs bench"


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


NONE = Tokens()


@dataclass(frozen=True, slots=True)
class State:
    """How a question stands after a pull. `sure`: the posterior's probability that the leader would stay ahead."""

    samples: int = 0
    tokens: Tokens = NONE
    leader: str | None = None  # its key
    right: bool = False
    sure: float = 0.0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A run on so many questions. Pull i was one of question `pulls[i]`, which stood as in `after[i]` then, when
    `spent[i]` tokens were spent on all pulls up to it."""

    questions: int
    pulls: tuple[int, ...]
    after: tuple[State, ...]
    spent: tuple[int, ...]

    def at(self, budget: float) -> list[State]:
        """How every question stands when `budget` tokens are spent."""
        states = [State()] * self.questions
        for i in range(bisect_right(self.spent, budget)):
            states[self.pulls[i]] = self.after[i]
        return states

    def right(self, budgets: Sequence[float]) -> list[list[bool]]:
        """For each of the ascending budgets, which questions are right."""
        now, rows, i = [False] * self.questions, list[list[bool]](), 0
        for budget in budgets:
            while i < len(self.spent) and self.spent[i] <= budget:
                now[self.pulls[i]] = self.after[i].right
                i += 1
            rows.append(list(now))
        return rows

    @property
    def cost(self) -> int:
        return self.spent[-1] if self.spent else 0


class Judge:
    """Whether an answer is right, by the equivalence that counts the votes; each answer is decided once."""

    def __init__(self, questions: Sequence[Question], answer_type: str, equivalence: Equivalence) -> None:
        kind = AnswerType.parse(answer_type)
        self.questions, self.equivalence = questions, equivalence
        self.kinds = [kind.for_question(question.text, question.choices) for question in questions]
        self._known: dict[tuple[int, str], bool] = {}

    def right(self, q: int, answer: str) -> bool:
        known = self._known.get((q, answer))
        if known is None:
            question = self.questions[q]
            gold = question.gold or ""
            known = same_as_gold(answer, gold, self.kinds[q], question.choices, self.equivalence)
            self._known[q, answer] = known
        return known

    def count(self, q: int, ballots: Sequence[Ballot]) -> Tally:
        return tally(ballots, self.kinds[q], "majority", self.equivalence)


def trajectory(stored: StoredRun, judge: Judge) -> Trajectory:
    """Read a stored run as a trajectory."""
    ballots: dict[int, list[Ballot]] = {}
    tokens: dict[int, Tokens] = {}
    pulls, after, spent = list[int](), list[State](), list[int]()
    total = 0
    for sampled in in_order(stored.as_begun()):
        q, sample = sampled.q, sampled.sample
        mine = ballots.setdefault(q, [])
        mine.append(sample.ballot)
        tokens[q] = tokens.get(q, NONE) + sample.tokens
        total += sample.tokens.billed
        pulls.append(q)
        spent.append(total)
        after.append(_state(judge, q, mine, tokens[q]))
    return Trajectory(len(stored.questions), tuple(pulls), tuple(after), tuple(spent))


def _state(judge: Judge, q: int, ballots: Sequence[Ballot], tokens: Tokens) -> State:
    found = judge.count(q, ballots)
    if found.leader is None:
        return State(len(ballots), tokens)
    right = judge.right(q, found.leader.text)
    return State(len(ballots), tokens, found.votes[0][0], right, confidence(found.v1, found.v2))


def in_order(begun: Iterable[Start | Sampled | Dropped]) -> Iterator[Sampled]:
    """Samples in the order in which they began, up to the first that was in flight when the run stopped.

    One that was stopped and drawn again has the place in which it first began.
    """
    names: dict[tuple[int, int], None] = {}
    came: dict[tuple[int, int], Sampled] = {}
    for draw in begun:
        name = (draw.q, draw.sample.number if isinstance(draw, Sampled) else draw.number)
        names.setdefault(name)
        if isinstance(draw, Sampled):
            came[name] = draw
    for name in names:
        if name not in came:
            return
        yield came[name]
