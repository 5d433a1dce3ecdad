"""Where the next pull goes: the state of one question as every policy sees it, and the policies.

    race         a cost-aware knowledge gradient on the race between leader and runner-up (the default)
    uniform      self-consistency with a shared budget: fewest pulls first
    ucb          a bandit on the entropy of the answers (the idea of DynScaling, arXiv 2506.16043; our reading)
    adaptive     Adaptive-Consistency (arXiv 2305.11860): round-robin over questions whose leader is not sure
    early-stop   ESC (arXiv 2401.10480): round-robin until a window of samples is unanimous

A policy is a frozen value: all state is in the arms, so that the live run, the bench and the replay can share one.
Each sees pulls in flight as pulls. Knows nothing of budgets, text or the run's loop: answers are opaque keys. What else
was tried for `race` is in TRIED.md.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from dynscale_cli.allocation.posterior import doubt_of, gain_at, is_sure, need
from dynscale_cli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

POLICIES: Final = ("race", "ucb", "adaptive", "early-stop", "uniform")
SURE: Final = -1e9  # below every question that is not sure; what is added orders the sure ones by doubt
LOOKAHEAD: Final = 16  # votes, and always to twice the lead: fewer could hardly turn it
FARTHEST: Final = 1024  # votes; a lead beyond it is past any doubt
NO_LIMIT: Final = 1 << 30  # pulls in flight
GRAIN: Final = 16  # votes are rounded to 1/GRAIN before the gain is looked up: fractional weights have too many states


@dataclass(slots=True)
class Arm:
    """One question of the bandit.

    `first` and `second` are the votes of leader and runner-up; `cost` is in billed tokens, of all its pulls together;
    `newest` is what the last finished sample voted for, as far as the tallies tell (None: nothing, or unclear), and
    `streak` how many in a row up to it voted for the same; `sure` is the policy's verdict that more samples would not
    change the leader, `hollow` that it would be, were its votes not of samples that were cut off.
    """

    samples: int = 0
    pending: int = 0
    dropped: int = 0
    cost: int = 0
    first: float = 0.0
    second: float = 0.0
    votes: dict[str, float] = field(default_factory=dict)
    newest: str | None = None
    streak: int = 0
    sure: bool = False
    hollow: bool = False

    @property
    def pulls(self) -> int:
        """Samples finished and in flight."""
        return self.samples + self.pending

    @property
    def doubt(self) -> float:
        """P(the leader would not lead all other answers in the long run): 1/2 in a tie of two, 1 without votes."""
        return doubt_of(self.votes.values())

    def receive(self, votes: Mapping[str, float], samples: int, cost: int) -> None:
        """One pull came back: `votes` replaces the tally, `samples` the count, `cost` adds up."""
        if samples > self.samples:
            newest = _arrival(self.votes, votes)
            self.streak = 0 if newest is None else self.streak + 1 if newest == self.newest else 1
            self.newest = newest
        self.votes = dict(votes)
        self.first, self.second = _top_two(votes)
        self.samples = samples
        self.cost += cost


def _top_two(votes: Mapping[str, float]) -> tuple[float, float]:
    first = second = 0.0
    for weight in votes.values():
        if weight > first:
            first, second = weight, first
        elif weight > second:
            second = weight
    return first, second


def _arrival(before: Mapping[str, float], after: Mapping[str, float]) -> str | None:
    """The one answer that gained weight; None where none did, or where the tally was clustered anew."""
    changed = [key for key, weight in after.items() if weight != before.get(key, 0.0)]
    if len(changed) != 1 or len(after) < len(before):
        return None
    return changed[0] if after[changed[0]] > before.get(changed[0], 0.0) else None


@dataclass(frozen=True, slots=True)
class Totals:
    """What is known of the run as a whole: pulls begun (in flight too), and the mean cost of a sample in tokens."""

    pulls: int
    mean_cost: float


@dataclass(frozen=True, slots=True)
class Policy(ABC):
    """Where the next pull goes; as it is here, one that never settles and goes by `terms` alone.

    An arm's index is split in two, so that a choice among many thousands of questions stays cheap: `terms` is
    asked only when the arm changed, `scores` combines all arms' terms with what changes with every pull. The highest
    score is pulled. The first of the two terms may be -inf: then so must the score be.
    """

    settles: ClassVar[bool] = False  # whether it ever calls a question settled; if not, it spends whatever it is given

    @property
    @abstractmethod
    def name(self) -> str:
        """As given to `--policy`."""

    @abstractmethod
    def terms(self, arm: Arm) -> tuple[float, float]:
        """What depends on the arm alone, for an arm that was pulled at least once."""

    def sure(self, arm: Arm, confidence: float) -> bool:
        """Whether more samples are not expected to change the arm's leader."""
        return False

    def need(self, arm: Arm, confidence: float) -> int:
        """The fewest further samples that could settle the arm: no more than these are worth having in flight."""
        return NO_LIMIT

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        """One index per arm from both terms, each of shape (questions,)."""
        return first


@dataclass(frozen=True, slots=True)
class Settling(Policy):
    """One under which a question is settled once its leader leads with the confidence asked for."""

    settles: ClassVar[bool] = True

    def sure(self, arm: Arm, confidence: float) -> bool:
        return is_sure(arm.votes, arm.first, arm.second, confidence)

    def need(self, arm: Arm, confidence: float) -> int:
        return need(arm.first, arm.second, confidence)


@dataclass(frozen=True, slots=True)
class Race(Settling):
    """Pull where the expected gain per square root of a token is highest; stop where the leader is sure.

    A pull is worth what it is expected to add to being right about the answer that the model would settle on, per token
    to the power of 1/2. One vote rarely turns a lead, so it looks several votes ahead and takes the best rate. Two
    things keep a hopeless question from drawing tokens: only the share of samples that lands in the race counts, and
    finding the model's favourite is worth the more, the larger the share of samples that it has.
    """

    name: ClassVar[str] = "race"

    def terms(self, arm: Arm) -> tuple[float, float]:
        """(worth of a pull)^2 * (n + 1), and the tokens of all n samples: see `scores`."""
        worth = pull_worth(arm)
        return worth * worth * (arm.samples + 1), float(arm.cost)

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        """The index squared, in the same order: worth^2 over a mean cost shrunk to the run's by one pseudo-sample."""
        return first / (second + max(totals.mean_cost, 1.0))


def pull_worth(arm: Arm) -> float:
    """What one more pull is expected to add to being right, tokens aside.

    The gain counts only if the model's favourite is right at all. What stands for that chance is the leader's share of
    the samples, as the mean of a Dirichlet posterior with one place for every answer seen and one for those unseen.
    """
    first, second = round(arm.first * GRAIN) / GRAIN, round(arm.second * GRAIN) / GRAIN
    leader = (first + 1) / (arm.samples + len(arm.votes) + 1)
    return leader * gain_rate(first, second, arm.samples, arm.pending)


@lru_cache(maxsize=1 << 17)
def gain_rate(first: float, second: float, samples: int, pending: int) -> float:
    """The best expected gain per pull over all lookaheads, with `pending` pulls already on their way.

    A share f = (first + second + 1) / (samples + 1) of pulls lands in the race, so m votes take m / f pulls, and what
    is in flight will bring pending * f votes of its own, whose gain is not ours to count.
    """
    share = min(1.0, (first + second + 1) / (samples + 1))
    coming = pending * share
    already = gain_at(first, second, coming)
    best, votes = 0.0, 1
    while votes <= max(LOOKAHEAD, min(2 * (first - second), FARTHEST)):
        best = max(best, (gain_at(first, second, coming + votes) - already) * share / votes)
        votes *= 2
    return best


@dataclass(frozen=True, slots=True)
class Uniform(Policy):
    """Fewest pulls first, to the end of the budget."""

    name: ClassVar[str] = "uniform"

    def terms(self, arm: Arm) -> tuple[float, float]:
        return float(-arm.pulls), 0.0


@dataclass(frozen=True, slots=True)
class Ucb(Policy):
    """Uncertainty plus `c` times an exploration bonus: u + c * sqrt(ln t / n), to the end of the budget.

    u is the entropy of the answers seen, as a share of the most that as many samples could have; t and n count pulls,
    of the run and of the question.
    """

    c: float = 1.0

    @property
    def name(self) -> str:
        return "ucb" if self.c == 1.0 else f"ucb:{self.c:g}"

    def terms(self, arm: Arm) -> tuple[float, float]:
        return _uncertainty(arm), self.c / math.sqrt(max(arm.pulls, 1))

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        return first + math.sqrt(math.log(max(totals.pulls, 1))) * second


def _uncertainty(arm: Arm) -> float:
    """Entropy of the votes over ln(samples), from 0 to 1. Samples but no vote at all: 1, nothing is known."""
    total = sum(arm.votes.values())
    if not total:
        return 1.0
    entropy = -sum(w / total * math.log(w / total) for w in arm.votes.values() if w > 0)
    return min(1.0, entropy / math.log(max(arm.samples, 2)))


def _round_robin(arm: Arm) -> float:
    """Fewest pulls first; once sure (which only matters where a run must spend everything), most doubt first."""
    if not arm.sure:
        return float(-arm.pulls)
    return SURE + math.log(max(arm.doubt, 1e-300) / (1 + arm.pending))


@dataclass(frozen=True, slots=True)
class Adaptive(Settling):
    """Round-robin over the questions whose leader does not yet lead with the confidence asked for."""

    name: ClassVar[str] = "adaptive"

    def terms(self, arm: Arm) -> tuple[float, float]:
        return _round_robin(arm), 0.0


@dataclass(frozen=True, slots=True)
class EarlyStop(Policy):
    """Round-robin over the questions without a unanimous window: `window` samples in a row that all say the same."""

    window: int = 5
    settles: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "early-stop" if self.window == 5 else f"early-stop:{self.window}"

    def sure(self, arm: Arm, confidence: float) -> bool:
        """Windows follow each other and do not overlap; the confidence asked for plays no part."""
        return arm.sure or (arm.samples % self.window == 0 and arm.streak >= self.window)

    def need(self, arm: Arm, confidence: float) -> int:
        """What is left of the window."""
        return self.window - arm.samples % self.window

    def terms(self, arm: Arm) -> tuple[float, float]:
        return _round_robin(arm), 0.0


def parse_policy(text: str) -> Policy:
    """The policy of a name such as `race` or `ucb:0.5` (the number is the policy's one parameter).

    Raises `UsageError` for an unknown name or a parameter that the policy does not take.
    """
    plain: dict[str, Callable[[], Policy]] = {"race": Race, "adaptive": Adaptive, "uniform": Uniform}
    name, colon, parameter = text.strip().partition(":")
    if name in plain and not colon:
        return plain[name]()
    if name == "ucb":
        return Ucb(_number(text, parameter, low=0.0)) if colon else Ucb()
    if name == "early-stop":
        return EarlyStop(int(_number(text, parameter, low=1.0))) if colon else EarlyStop()
    if name in plain:
        raise UsageError(f"policy {name} takes no parameter: {text}", f"--policy {name}")
    raise UsageError(f"no such policy: {text}", f"one of {', '.join(POLICIES)}; ucb:0.5 sets ucb's c")


def _number(text: str, parameter: str, low: float) -> float:
    try:
        value = float(parameter)
    except ValueError:
        value = float("nan")
    if not low <= value < float("inf"):
        raise UsageError(f"not a parameter: {text}", "such as ucb:0.5 or early-stop:5")
    return value
