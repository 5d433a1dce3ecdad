"""What a policy is: the interface, and the names by which users choose one.

A policy is a frozen value: all state is in the arms, so that the live run, the bench and the replay can share one.
Knows nothing of budgets or of the run's loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from dynscale_cli.allocation.arms import Arm
from dynscale_cli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Totals:
    """What is known of the run as a whole: pulls begun (in flight too), and the mean cost of a sample in tokens."""

    pulls: int
    mean_cost: float


class Policy(Protocol):
    """Where the next pull goes.

    An arm's index is split in two, so that a choice among many thousands of questions stays cheap: `terms` is
    asked only when the arm changed, `scores` combines all arms' terms with what changes with every pull. The highest
    score is pulled. The first of the two terms may be -inf: then so must the score be.
    """

    @property
    def name(self) -> str:
        """As given to `--policy`."""

    @property
    def settles(self) -> bool:
        """Whether it ever calls a question settled. If not, it spends whatever it is given."""

    def sure(self, arm: Arm, confidence: float) -> bool:
        """Whether more samples are not expected to change the arm's leader."""

    def terms(self, arm: Arm) -> tuple[float, float]:
        """What depends on the arm alone, for an arm that was pulled at least once."""

    def scores(self, first: Floats, second: Floats, totals: Totals) -> Floats:
        """One index per arm from both terms, each of shape (questions,)."""


POLICIES = ("race", "ucb", "adaptive", "early-stop", "uniform")


def parse_policy(text: str) -> Policy:
    """The policy of a name such as `race` or `ucb:0.5` (the number is the policy's one parameter).

    Raises `UsageError` for an unknown name or a parameter that the policy does not take.
    """
    from dynscale_cli.allocation.baselines import Adaptive, EarlyStop, Ucb, Uniform
    from dynscale_cli.allocation.race import Race

    plain: dict[str, Callable[[], Policy]] = {"race": Race, "adaptive": Adaptive, "uniform": Uniform}
    name, colon, parameter = text.strip().partition(":")
    if name in plain and not colon:
        return plain[name]()
    if name == "ucb":
        return Ucb(_number(text, parameter, low=0.0)) if colon else Ucb()
    if name == "early-stop":
        return EarlyStop(int(_number(text, parameter, low=1.0))) if colon else EarlyStop()
    if name in plain:
        raise UsageError(f"Policy {name} takes no parameter: {text}", f"Write --policy {name}")
    raise UsageError(f"No such policy: {text}", f"Choose one of {', '.join(POLICIES)}; ucb:0.5 sets ucb's c")


def _number(text: str, parameter: str, low: float) -> float:
    try:
        value = float(parameter)
    except ValueError:
        value = float("nan")
    if not low <= value < float("inf"):
        raise UsageError(f"Not a parameter: {text}", "Write for example ucb:0.5 or early-stop:5")
    return value
