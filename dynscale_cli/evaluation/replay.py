"""One run of a policy on stored samples, and how right it was at every budget.

The allocator is the live run's own; the engine is replaced by a pool from which each question's samples come in a
random order, without replacement. Every policy with the same seed meets the same draws. Pure and seeded.

All that is in flight advances in lock step, one token a step, under the rules of the live run: no question has more in
flight than could settle it, and what it still has when it settles is stopped and stays billed.

A run is followed once, to the largest budget: what it does under a smaller one is the start of the same run, as no
policy knows the budget. Samples count in the order in which they start, each at what it costs in the end: those in
flight when a budget ends finish, and the first that does not fit any more ends the run.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

from dynscale_cli.allocation import Allocator
from dynscale_cli.evaluation.logs import Log, Pool

STEPS = 4  # points of a curve per multiple of a round
LARGEST = 32  # the largest budget, in rounds


@dataclass(frozen=True, slots=True)
class Setting:
    """How a run is made, apart from its policy."""

    in_flight: int = 1
    confidence: float = 0.95
    exhaust: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """Accuracy (0 to 1) and tokens spent (in rounds) at budgets of 1/STEPS, 2/STEPS, … LARGEST rounds.

    `split` is the expected accuracy if ties were broken at random; `accuracy` has ties go to the fewest mean tokens.
    `steps`: until every question was settled or the largest budget spent, in mean sample lengths.
    """

    accuracy: tuple[float, ...]
    split: tuple[float, ...]
    spent: tuple[float, ...]
    steps: float = 0.0


@dataclass(slots=True)
class Pull:
    """One sample of the pool of question `q`: `cost` in tokens, less than its length where it was `stopped`."""

    q: int
    sample: int
    cost: int
    begun: int  # the step at which it started
    stopped: bool = False


def draw_orders(log: Log, seed: int) -> list[list[int]]:
    """For every question the order in which its samples come."""
    orders = []
    for q, pool in enumerate(log.pools):
        order = list(range(len(pool.answers)))
        random.Random(f"{seed}/{q}").shuffle(order)
        orders.append(order)
    return orders


def replay(log: Log, policy: str, setting: Setting, seed: int) -> Curve:
    """Follow one run to the end and score it."""
    orders = draw_orders(log, seed)
    allocator = Allocator(len(log.pools), policy, confidence=setting.confidence, exhaust=setting.exhaust)
    pulls, steps = _run(log, orders, allocator, setting.in_flight, LARGEST * log.round_cost)
    return _score(log, pulls, steps * len(log.pools) / log.round_cost)


def _run(
    log: Log, orders: Sequence[Sequence[int]], allocator: Allocator, in_flight: int, budget: float
) -> tuple[list[Pull], int]:
    """The samples in the order of starting, and the steps that all of it took."""
    begun = [0] * len(log.pools)
    finished = [0] * len(log.pools)
    votes: list[dict[str, float]] = [{} for _ in log.pools]
    pulls: list[Pull] = []
    ends: list[tuple[int, int]] = []  # heap of (step at which it ends, number of the pull)
    active: dict[int, list[int]] = {}  # question -> its pulls in flight
    step = spent = running = 0
    while True:
        while running < in_flight and spent < budget and (q := allocator.choose()) is not None:
            allocator.start(q)
            sample = orders[q][begun[q]]
            begun[q] += 1
            if begun[q] == len(orders[q]):
                allocator.close(q)
            cost = log.pools[q].tokens[sample]
            heapq.heappush(ends, (step + cost, len(pulls)))
            active.setdefault(q, []).append(len(pulls))
            pulls.append(Pull(q, sample, cost, step))
            spent += cost
            running += 1
        while ends and pulls[ends[0][1]].stopped:
            heapq.heappop(ends)
        if not ends:
            return pulls, step
        step, number = heapq.heappop(ends)
        q, answer = pulls[number].q, log.pools[pulls[number].q].answers[pulls[number].sample]
        if answer is not None:
            votes[q][answer] = votes[q].get(answer, 0.0) + 1.0
        finished[q] += 1
        running -= 1
        active[q].remove(number)
        allocator.record(q, votes[q], finished[q], pulls[number].cost)
        if allocator.is_sure(q):
            for other in active.pop(q):
                spent -= _stop(pulls[other], step)
                running -= 1
                allocator.drop(q, pulls[other].cost)


def _stop(pull: Pull, step: int) -> int:
    """A pull ends here, billed for what it had; the tokens that it does not need any more."""
    left = pull.begun + pull.cost - step
    pull.cost, pull.stopped = pull.cost - left, True
    return left


def _score(log: Log, pulls: Sequence[Pull], steps: float) -> Curve:
    unit = log.round_cost / STEPS
    tallies = [Tally(pool) for pool in log.pools]
    points: list[tuple[float, float, float]] = []
    right = split = 0.0
    spent = 0
    for pull in pulls:
        tally = tallies[pull.q]
        while len(points) < LARGEST * STEPS and spent + pull.cost > (len(points) + 1) * unit:
            points.append((right, split, spent))
        spent += pull.cost
        if not pull.stopped:
            before = tally.right, tally.split
            tally.add(pull.sample)
            right += tally.right - before[0]
            split += tally.split - before[1]
    points += [(right, split, spent)] * (LARGEST * STEPS - len(points))
    count = len(log.pools)
    return Curve(
        tuple(point[0] / count for point in points),
        tuple(point[1] / count for point in points),
        tuple(point[2] / log.round_cost for point in points),
        steps,
    )


class Tally:
    """One question's votes, and whether the leader is right: kept up to date in constant time per sample."""

    __slots__ = ("_leader", "_pool", "_tied", "_tokens", "_votes", "right", "split")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._votes: dict[str, int] = {}
        self._tokens: dict[str, int] = {}
        self._leader: str | None = None
        self._tied = 0  # answers with as many votes as the leader
        self.right = 0.0  # ties to the fewest mean tokens, then to the first seen
        self.split = 0.0  # expected, with ties broken at random

    def add(self, sample: int) -> None:
        answer = self._pool.answers[sample]
        if answer is None:
            return
        votes = self._votes[answer] = self._votes.get(answer, 0) + 1
        self._tokens[answer] = self._tokens.get(answer, 0) + self._pool.tokens[sample]
        top = self._votes[self._leader] if self._leader is not None and self._leader != answer else 0
        if self._leader == answer or votes > top:
            self._leader, self._tied = answer, 1
        elif votes == top:
            self._tied += 1
            self._leader = self._shorter(self._leader, answer)
        gold = self._pool.gold
        self.right = float(self._leader == gold)
        assert self._leader is not None
        self.split = (self._votes.get(gold, 0) == self._votes[self._leader]) / self._tied

    def _shorter(self, leader: str | None, answer: str) -> str:
        """Of two answers with equal votes: the fewer mean tokens (so the fewer in total), then the first seen."""
        if leader is None or self._tokens[answer] < self._tokens[leader]:
            return answer
        if self._tokens[answer] > self._tokens[leader]:
            return leader
        return next(seen for seen in self._votes if seen in (leader, answer))
