"""How often to draw a chain instead of another parallel sample, learned from the run itself.

The signal is held-out agreement (METHOD: no gold answer needed): how often a sample's answer equals
that of a parallel sample which its chain did not contain. Three rates are kept as Beta posteriors,
all over the same questions and the same unseen samples, so that they compare:

    chain      the chain sample's own answer
    parallel   what one more independent sample would give
    copy       the leader among the attempts that the chain has read

A chain earns its place only against the better of the other two: a copier of the majority agrees
with unseen samples more often than a fresh sample does, and yet tells nothing new.

Owns those posteriors. Pure: draws come from the generator it is handed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Rate:
    """A Beta posterior over an agreement rate, from a uniform prior."""

    yes: float = 1.0
    no: float = 1.0

    @property
    def seen(self) -> float:
        return self.yes + self.no - 2.0

    @property
    def mean(self) -> float:
        return self.yes / (self.yes + self.no)

    @property
    def variance(self) -> float:
        total = self.yes + self.no
        return self.yes * self.no / (total * total * (total + 1))

    def add(self, share: float) -> None:
        self.yes += share
        self.no += 1.0 - share

    def draw(self, rng: random.Random) -> float:
        return rng.betavariate(self.yes, self.no)


@dataclass(slots=True)
class Cost:
    """Mean billed tokens of a kind of sample."""

    samples: int = 0
    tokens: int = 0

    def add(self, tokens: int) -> None:
        self.samples += 1
        self.tokens += tokens

    @property
    def mean(self) -> float:
        return self.tokens / self.samples if self.samples else 0.0


class ChainShare:
    """Thompson sampling between the two kinds, per unit of cost."""

    def __init__(self) -> None:
        self.chain, self.parallel, self.copy = Rate(), Rate(), Rate()
        self.costs = {"chain": Cost(), "parallel": Cost()}

    def choose(self, rng: random.Random) -> bool:
        """Whether the next later pull is a chain."""
        rival = max(self.parallel.draw(rng), self.copy.draw(rng)) if self.chain.seen else self.parallel.draw(rng)
        return self.chain.draw(rng) > rival * self.price

    @property
    def price(self) -> float:
        """What a chain sample costs, in parallel samples; 1 until both are known."""
        chain, parallel = self.costs["chain"].mean, self.costs["parallel"].mean
        return chain / parallel if chain and parallel else 1.0

    @property
    def share(self) -> float:
        """The probability that `choose` says chain, by the normal approximation of the posteriors."""
        if not self.chain.seen:
            return 0.5
        rival = max((self.parallel, self.copy), key=lambda rate: rate.mean)
        spread = math.sqrt(self.chain.variance + self.price**2 * rival.variance)
        return _normal((self.chain.mean - self.price * rival.mean) / spread)

    @property
    def repeat_weight(self) -> float:
        """The weight of a chain's vote that repeats the leader it has read: from 1/2 up, as evidence allows.

        It is the probability that chains agree with unseen samples more often than copying explains.
        """
        if not self.chain.seen:
            return 0.5
        spread = math.sqrt(self.chain.variance + self.copy.variance)
        return max(0.5, _normal((self.chain.mean - self.copy.mean) / spread))

    def paid(self, kind: str, tokens: int) -> None:
        """A sample of this kind cost so many billed tokens."""
        self.costs[kind].add(tokens)

    def observe(self, answer: str | None, read: Sequence[str], unseen: Sequence[str], all_keys: Sequence[str | None]) -> None:
        """A chain sample came back.

        `read`: answer keys of the attempts in its chain; `unseen`: of the parallel samples outside it;
        `all_keys`: of every parallel sample of the question, None where there was no answer.
        """
        if not unseen:
            return
        held = len(unseen)
        self.chain.add(sum(key == answer for key in unseen) / held)
        top = max((read.count(key) for key in read), default=0)
        leaders = {key for key in read if read.count(key) == top}
        self.copy.add(sum(key in leaders for key in unseen) / held / max(1, len(leaders)))
        others = max(1, len(all_keys) - 1)
        self.parallel.add(sum((all_keys.count(key) - 1) / others for key in unseen) / held)


def _normal(z: float) -> float:
    return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))
