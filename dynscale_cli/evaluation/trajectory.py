"""What a stored run had, pull by pull: how right its votes were for the tokens spent until then.

A run is followed once, to its largest budget: what it does under a smaller one is the start of the same run, as no
policy knows the budget. Pulls count in the order in which they began, each at its full price: those in flight when a
budget ends finish, as the ledger of a live run would have it, and the first that does not fit any more ends the run.

Owns that reading and the scores at a budget. Knows nothing of methods or of engines.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dynscale_cli.allocation.posterior import confidence
from dynscale_cli.answers.equivalence import Equivalence, same_as_gold
from dynscale_cli.answers.types import AnswerType
from dynscale_cli.answers.vote import Ballot, Tally, tally
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.questions import Question
from dynscale_cli.run.events import Dropped, Sampled, Start
from dynscale_cli.run.stored import StoredRun

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
