"""Policies replayed on stored samples: how right each is at every budget, over many draws, on all cores.

The allocator is the live run's own; the engine is replaced by a pool from which each question's samples come in a
random order, without replacement. Every policy with the same seed meets the same draws. Pure and seeded.

All that is in flight advances in lock step, one token a step, under the rules of the live run: no question has more in
flight than could settle it, and what it still has when it settles is stopped and stays billed.

A run is followed once, to the largest budget: what it does under a smaller one is the start of the same run, as no
policy knows the budget. Samples count in the order in which they start, each at what it costs in the end: those in
flight when a budget ends finish, and the first that does not fit any more ends the run.

Gains are over the baseline: uniform self-consistency with ties split at random, on the same draws. The dataclasses of
a report are the schema of `replay --json`, which only grows. Knows nothing of how it is shown.
"""

from __future__ import annotations

import heapq
import os
import random
import signal
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context

from dynscale_cli.allocation.allocator import Allocator
from dynscale_cli.child import isolated_processes

from .logs import Log, Pool
from .scores import Interval, interval

STEPS = 4  # points of a curve per multiple of a round
LARGEST = 32  # the largest budget, in rounds

BUDGETS = (2, 4, 8, 16, 32)  # in rounds, where one round is one sample of every question
TARGETS = (4, 8, 16, 32)
SMALL = 100_000  # samples; below it starting a process costs more than it saves


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


@dataclass(frozen=True, slots=True)
class PolicyPoint:
    """A policy at one budget: accuracy and gain over the baseline in percent, tokens spent in rounds."""

    budget: int
    accuracy: Interval
    gain: Interval
    spent: float


@dataclass(frozen=True, slots=True)
class PolicyScore:
    """A policy on one log, or on all.

    `reach[k]` is the share of the baseline's tokens that it took to be as accurate as the baseline after k rounds, or
    after all samples where there are fewer; None: not within the largest budget. Over several logs it is their median.
    With few seeds it errs on the low side for every policy, as a noisy curve touches a level early. `curve` is the mean
    accuracy in percent at budgets of 1/4, 2/4, … 32 rounds. `tokens` and `steps`: until every question was settled or
    the largest budget spent, in rounds and in mean sample lengths.
    """

    policy: str
    points: tuple[PolicyPoint, ...]
    reach: dict[int, float | None]
    curve: tuple[float, ...]
    tokens: float = 0.0
    steps: float = 0.0


@dataclass(frozen=True, slots=True)
class LogReport:
    """All policies on one log. `round_tokens`: what one sample of every question costs on average. `rounds`: how many
    of these there are samples for, over several logs in the one with the fewest; no policy can spend more."""

    name: str
    questions: int
    samples: int
    round_tokens: float
    baseline: dict[int, float]
    baseline_curve: tuple[float, ...]
    scores: tuple[PolicyScore, ...]
    rounds: float


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A whole sweep; `overall` weighs every log alike. Intervals are over the seeds: over draws, not over questions."""

    seeds: int
    in_flight: int
    confidence: float
    exhaust: bool
    logs: tuple[LogReport, ...]
    overall: LogReport


def score(policy: str, curves: Sequence[Curve], baseline: Sequence[Curve], rounds: float) -> PolicyScore:
    """One policy against the baseline, seed by seed (`curves[i]` and `baseline[i]` had the same draws), with samples
    for so many rounds."""
    points = []
    for budget in BUDGETS:
        at = budget * STEPS - 1
        right = [100 * curve.accuracy[at] for curve in curves]
        gains = [mine - 100 * other.split[at] for mine, other in zip(right, baseline, strict=True)]
        spent = statistics.fmean(curve.spent[at] for curve in curves)
        points.append(PolicyPoint(budget, interval(right, 0, 100), interval(gains, -100, 100), spent))
    curve = mean_curve([one.accuracy for one in curves])
    reach = _reach(curve, mean_curve([one.split for one in baseline]), rounds)
    tokens, steps = (statistics.fmean(values) for values in zip(*((c.spent[-1], c.steps) for c in curves), strict=True))
    return PolicyScore(policy, tuple(points), reach, curve, tokens, steps)


def mean_curve(curves: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Point by point, in percent."""
    return tuple(100 * statistics.fmean(column) for column in zip(*curves, strict=True))


def _reach(curve: Sequence[float], baseline: Sequence[float], rounds: float) -> dict[int, float | None]:
    shares: dict[int, float | None] = {}
    for target in TARGETS:
        goal = baseline[target * STEPS - 1] - 1e-9
        first = next((i for i, accuracy in enumerate(curve, 1) if accuracy >= goal), None)
        shares[target] = None if first is None else first / (min(target, rounds) * STEPS)
    return shares


def _overall(
    logs: Sequence[Log], reports: Sequence[LogReport], runs: Sequence[Mapping[str, Sequence[Curve]]]
) -> LogReport:
    """Over logs: each seed's accuracy is the mean over logs; reach is the logs' median.

    `runs[l][policy][seed]` are the curves of log l; the baseline is one of the policies.
    """
    seeds = range(len(runs[0]["uniform"]))
    merged = {policy: [_average([run[policy][seed] for run in runs]) for seed in seeds] for policy in runs[0]}
    scores = []
    for i, mine in enumerate(reports[0].scores):
        pooled = score(mine.policy, merged[mine.policy], merged["uniform"], LARGEST)
        reach = {target: _median([log.scores[i].reach[target] for log in reports]) for target in TARGETS}
        scores.append(replace(pooled, reach=reach))
    return _report(f"mean of {len(logs)} logs" if len(logs) > 1 else logs[0].name, logs, merged["uniform"], scores)


def _average(curves: Sequence[Curve]) -> Curve:
    def mean(name: str) -> tuple[float, ...]:
        return tuple(map(statistics.fmean, zip(*(getattr(curve, name) for curve in curves), strict=True)))

    return Curve(mean("accuracy"), mean("split"), mean("spent"), statistics.fmean(curve.steps for curve in curves))


def _median(shares: Sequence[float | None]) -> float | None:
    """The median with "not reached" as the worst of all."""
    middle = statistics.median([float("inf") if share is None else share for share in shares])
    return None if middle == float("inf") else middle


def budgets() -> tuple[float, ...]:
    """The budgets of a curve's points, in rounds."""
    return tuple(i / STEPS for i in range(1, LARGEST * STEPS + 1))


def sweep(
    logs: Sequence[Log],
    policies: Sequence[str],
    setting: Setting,
    seeds: int,
    progress: Callable[[int, int], None] = lambda done, all_: None,
) -> ReplayReport:
    """Replay and score. `progress` is told (tasks done, tasks in all)."""
    names = list(dict.fromkeys([*policies, "uniform"]))  # uniform is the baseline, asked for or not
    tasks = [(log, policy) for log in range(len(logs)) for policy in names]
    tasks.sort(key=lambda task: -len(logs[task[0]].pools))  # the longest first, so that no core is left waiting
    runs: list[dict[str, list[Curve]]] = [{} for _ in logs]
    for done, ((log, policy), curves) in enumerate(_spread(tasks, logs, setting, seeds), 1):
        runs[log][policy] = curves
        progress(done, len(tasks))
    reports = []
    for one, run in zip(logs, runs, strict=True):
        scores = [score(policy, run[policy], run["uniform"], one.rounds) for policy in policies]
        reports.append(_report(one.name, [one], run["uniform"], scores))
    told = setting.in_flight, setting.confidence, setting.exhaust
    return ReplayReport(seeds, *told, tuple(reports), _overall(logs, reports, runs))


def _spread(
    tasks: Sequence[tuple[int, str]], logs: Sequence[Log], setting: Setting, seeds: int
) -> Iterator[tuple[tuple[int, str], list[Curve]]]:
    """Each task, a policy on a log, with its curves by seed, in whatever order they come."""
    pulls = sum(len(logs[log].pools) for log, _ in tasks) * LARGEST * seeds
    workers = min(os.cpu_count() or 1, len(tasks))
    if workers < 2 or pulls < SMALL:
        for log, policy in tasks:
            yield (log, policy), _replays(logs[log], policy, setting, seeds)
        return
    # Fresh processes, as a fork of a process with threads may hang; Ctrl-C is the parent's to handle.
    start = signal.signal, (signal.SIGINT, signal.SIG_IGN)
    with isolated_processes():
        pool = ProcessPoolExecutor(workers, get_context("spawn"), *start)
        futures = {pool.submit(_replays, logs[log], policy, setting, seeds): (log, policy) for log, policy in tasks}
    with pool:
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _replays(log: Log, policy: str, setting: Setting, seeds: int) -> list[Curve]:
    return [replay(log, policy, setting, seed) for seed in range(seeds)]


def _report(name: str, logs: Sequence[Log], baseline: Sequence[Curve], scores: Sequence[PolicyScore]) -> LogReport:
    curve = mean_curve([one.split for one in baseline])
    return LogReport(
        name=name,
        questions=sum(len(log.pools) for log in logs),
        samples=sum(len(pool.answers) for log in logs for pool in log.pools),
        round_tokens=sum(log.round_cost for log in logs),
        baseline={budget: curve[budget * STEPS - 1] for budget in BUDGETS},
        baseline_curve=curve,
        scores=tuple(scores),
        rounds=min(log.rounds for log in logs),
    )
