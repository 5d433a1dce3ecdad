"""The state of one question in a run, as every policy sees it.

Owns the counts and what they say about the race. Knows nothing of policies, other questions or text:
answers are opaque keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynscale_cli.allocation.posterior import doubt


@dataclass(slots=True)
class Arm:
    """One question of the bandit.

    `first` and `second` are the votes of leader and runner-up; `cost` is in billed tokens, of all its pulls together;
    `newest` is what the last finished sample voted for, as far as the tallies tell (None: nothing, or unclear), and
    `streak` how many in a row up to it voted for the same; `sure` is the policy's verdict that more samples would not
    change the leader.
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

    @property
    def pulls(self) -> int:
        """Samples finished and in flight."""
        return self.samples + self.pending

    @property
    def doubt(self) -> float:
        """P(the leader would not lead in the long run): 1/2 with a tie, 1 without votes."""
        return doubt(self.first, self.second) if self.first else 1.0

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
