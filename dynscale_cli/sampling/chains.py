"""Chains: which earlier samples one quotes, and how much of the later tokens goes to chains at all.

A chain lays earlier samples of its question out as one history for the next sample to build on. How many of the later
pulls are chains is learned from the run itself. The signal is held-out agreement, which needs no right answer: how
often an answer equals that of a parallel sample which it could not know. Two comparisons are kept, each between a
chain's answer and a rival's on the same unseen samples, so that what makes a question easy or hard cancels out:

    bought   the majority of as many parallel samples as the chain has read and has cost: what the
             same tokens would have bought
    copied   the leader among the attempts that the chain has read

The first decides the share; the second how far a chain that repeats the leader may vote.

Chains start small. A chain costs what several parallel samples cost, and what is spent on finding out whether chains
are worth it is lost where they are not: so the share begins at 1 - 0.95, the doubt that a run lives with everywhere,
and moves by the odds of the evidence. TRIED.md tells what a start at one half did.

Agreement per token is not compared directly, though that seems natural: it forbids chains that are worth their price
(an agreement can at best equal the leader's share of the samples, so it cannot grow fourfold when a chain costs four
samples) and admits chains that copy the majority of what they read (they agree more often than a fresh sample, and add
nothing).

Owns which samples are quoted, how each is cut to fit, and those posteriors. Pure: draws from the generator it is
handed. Knows nothing of tokens beyond a function that counts them.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .samples import ATTEMPTS, StoredSample

DOUBT = 0.05  # the share of chains before there is any evidence: what a run may lose to finding out

Keys: TypeAlias = Sequence[str | None]  # answer keys; None: no answer


def pick(
    samples: Sequence[StoredSample], votes: Sequence[str], rng: random.Random, k: int = ATTEMPTS
) -> list[StoredSample]:
    """Up to `k` finished samples with an answer: first one for each answer, then by votes; shuffled.

    `votes` are the answer keys, most votes first. The order carries no vote: it is drawn from `rng`.
    """
    rank = {key: place for place, key in enumerate(votes)}
    usable = [s for s in samples if s.key is not None]
    usable.sort(key=lambda s: (rank.get(s.key or "", len(rank)), s.number))
    seen: set[str | None] = set()
    first = [s for s in usable if not (s.key in seen or seen.add(s.key))]  # type: ignore[func-returns-value]
    rest = [s for s in usable if s not in first]
    chosen = (first + rest)[:k]
    rng.shuffle(chosen)
    return chosen


def attempts(samples: Sequence[StoredSample], room: int, count: Callable[[str], int]) -> list[str]:
    """The texts to quote, each cut to an equal part of `room` tokens."""
    part = max(1, room // max(1, len(samples)))
    return [cut(sample.said, part, count) for sample in samples]


def cut(text: str, limit: int, count: Callable[[str], int]) -> str:
    """The end of `text`, at most `limit` tokens: the answer stands there, and what led to it."""
    tokens, body = count(text), text
    while tokens > limit and body:
        keep = min(len(body) - 1, int(len(body) * limit / tokens * 0.95))
        body = body[len(body) - keep :]
        text = f"… {body}" if body else ""
        tokens = count(text)
    return text


@dataclass(frozen=True, slots=True)
class Scored:
    """One chain sample against the parallel samples it has not seen: agreements, in [0, 1]."""

    chain: float
    parallel: float
    bought: float
    copied: float


@dataclass(slots=True)
class Mean:
    """A running mean whose values can be taken back."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float, times: int = 1) -> None:
        self.count += times
        self.total += times * value
        self.squares += times * value * value

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None

    @property
    def above_zero(self) -> float:
        """P(the mean of a difference in [-1, 1] is positive): normal, from a prior of one win and one loss."""
        return 0.5 * (1.0 + math.erf(self.total / math.sqrt(2.0 * (self.squares + 2.0))))


class ChainShare:
    """The share of later tokens that chains get: how likely they beat what they displace, from a low prior."""

    def __init__(self) -> None:
        self.bought, self.copied = Mean(), Mean()
        self.agreement = {"chain": Mean(), "parallel": Mean()}
        self._costs = {"chain": Mean(), "parallel": Mean()}
        self._scored: dict[tuple[int, int], Scored] = {}

    @property
    def share(self) -> float:
        """Of tokens, from `DOUBT` at the start towards 0 or 1: its odds, times those that the evidence gives."""
        wins = self.bought.above_zero
        return DOUBT * wins / (DOUBT * wins + (1.0 - DOUBT) * (1.0 - wins))

    @property
    def price(self) -> float:
        """What a chain sample costs, in parallel samples: at first its own length and what it reads."""
        parallel = self._costs["parallel"].value
        if not parallel:
            return 1.0 + ATTEMPTS
        chain = self._costs["chain"]
        return (chain.total / parallel + 1.0 + ATTEMPTS) / (chain.count + 1)

    @property
    def repeat_weight(self) -> float:
        """The weight of a chain's vote for the leader it has read: 1/2, and more as copying fails to explain it."""
        return max(0.5, self.copied.above_zero)

    def choose(self, rng: random.Random) -> bool:
        """Whether the next later pull is a chain. Dearer pulls come up more rarely, so that tokens are shared."""
        share = self.share
        return rng.random() * (share + (1.0 - share) * self.price) < share

    def paid(self, kind: str, tokens: int) -> None:
        """A sample of this kind cost so many billed tokens."""
        self._costs[kind].add(tokens)

    def observe(self, question: int, samples: Sequence[StoredSample]) -> None:
        """Score a question's chains anew: every parallel sample that comes later is one more they have not seen."""
        parallel = [sample for sample in samples if sample.kind == "parallel"]
        keys = {sample.number: sample.key for sample in samples}
        for sample in samples:
            if sample.kind == "chain":
                read = [keys[number] for number in sample.seen]
                seen = [s.key for s in parallel if s.number in sample.seen]
                unseen = [s.key for s in parallel if s.number not in sample.seen]
                self._replace((question, sample.number), self._score(sample.key, read, seen, unseen))

    def forget(self, question: int, samples: Sequence[StoredSample]) -> None:
        """A question is over: its scores stand, and need not be looked up again."""
        for sample in samples:
            self._scored.pop((question, sample.number), None)

    def _score(self, answer: str | None, read: Keys, seen: Keys, unseen: Keys) -> Scored | None:
        """Agreements of one chain's answer and its rivals, over unseen samples with an answer; None without any."""
        held = [place for place, key in enumerate(unseen) if key is not None]
        if not held:
            return None
        afford = round(len(read) + self.price)
        chain = parallel = bought = copied = 0.0
        for place in held:
            key = unseen[place]
            others = [*seen, *unseen[:place], *unseen[place + 1 :]]
            chain += key == answer
            parallel += others.count(key) / max(1, len(others))
            bought += _agrees(key, others[:afford])
            copied += _agrees(key, read)
        number = len(held)
        return Scored(chain / number, parallel / number, bought / number, copied / number)

    def _replace(self, name: tuple[int, int], score: Scored | None) -> None:
        for scored, times in ((self._scored.pop(name, None), -1), (score, 1)):
            if scored is not None:
                self.agreement["chain"].add(scored.chain, times)
                self.agreement["parallel"].add(scored.parallel, times)
                self.bought.add(scored.chain - scored.bought, times)
                self.copied.add(scored.chain - scored.copied, times)
        if score is not None:
            self._scored[name] = score


def _agrees(key: str | None, votes: Keys) -> float:
    """How far the majority of `votes` says `key`: 1, 0, or a part of 1 in a tie."""
    counted = Counter(vote for vote in votes if vote is not None)
    most = max(counted.values(), default=0)
    leaders = [vote for vote, count in counted.items() if count == most]
    return (key in leaders) / len(leaders) if leaders else 0.0
