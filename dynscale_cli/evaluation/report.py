"""What replays show: accuracy at budgets with intervals, and the tokens that it takes to match uniform.

Gains are over the baseline: uniform self-consistency with ties split at random, on the same draws. Its dataclasses
are the schema of `replay --json`, which only grows. Knows nothing of how the runs were made or are shown.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dynscale_cli.evaluation.intervals import Interval, interval
from dynscale_cli.evaluation.replay import LARGEST, STEPS, Curve

BUDGETS = (2, 4, 8, 16, 32)  # in rounds, where one round is one sample of every question
TARGETS = (4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Point:
    """A policy at one budget: accuracy and gain over the baseline in percent, tokens spent in rounds."""

    budget: int
    accuracy: Interval
    gain: Interval
    spent: float


@dataclass(frozen=True, slots=True)
class Score:
    """A policy on one log, or on all.

    `reach[k]` is the share of the baseline's tokens that it took to be as accurate as the baseline after k rounds, or
    after all samples where there are fewer; None: not within the largest budget. Over several logs it is their median.
    With few seeds it errs on the low side for every policy, as a noisy curve touches a level early. `curve` is the mean
    accuracy in percent at budgets of 1/4, 2/4, … 32 rounds. `tokens` and `steps`: until every question was settled or
    the largest budget spent, in rounds and in mean sample lengths.
    """

    policy: str
    points: tuple[Point, ...]
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
    scores: tuple[Score, ...]
    rounds: float


@dataclass(frozen=True, slots=True)
class Report:
    """A whole study; `overall` weighs every log alike. Intervals are over the seeds: over draws, not over questions."""

    seeds: int
    in_flight: int
    confidence: float
    exhaust: bool
    logs: tuple[LogReport, ...]
    overall: LogReport


def score(policy: str, curves: Sequence[Curve], baseline: Sequence[Curve], rounds: float) -> Score:
    """One policy against the baseline, seed by seed (`curves[i]` and `baseline[i]` had the same draws), with samples
    for so many rounds."""
    points = []
    for budget in BUDGETS:
        at = budget * STEPS - 1
        right = [100 * curve.accuracy[at] for curve in curves]
        gains = [mine - 100 * other.split[at] for mine, other in zip(right, baseline, strict=True)]
        spent = statistics.fmean(curve.spent[at] for curve in curves)
        points.append(Point(budget, interval(right), interval(gains), spent))
    curve = mean_curve([one.accuracy for one in curves])
    reach = _reach(curve, mean_curve([one.split for one in baseline]), rounds)
    tokens, steps = (statistics.fmean(values) for values in zip(*((c.spent[-1], c.steps) for c in curves), strict=True))
    return Score(policy, tuple(points), reach, curve, tokens, steps)


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


def overall(logs: Sequence[LogReport], runs: Sequence[Mapping[str, Sequence[Curve]]]) -> LogReport:
    """Over logs: each seed's accuracy is the mean over logs; reach is the logs' median.

    `runs[l][policy][seed]` are the curves of log l; "baseline" is one of the policies.
    """
    seeds = range(len(runs[0]["baseline"]))
    merged = {policy: [_average([run[policy][seed] for run in runs]) for seed in seeds] for policy in runs[0]}
    scores = []
    for i, mine in enumerate(logs[0].scores):
        pooled = score(mine.policy, merged[mine.policy], merged["baseline"], LARGEST)
        reach = {target: _median([log.scores[i].reach[target] for log in logs]) for target in TARGETS}
        scores.append(replace(pooled, reach=reach))
    baseline = mean_curve([curve.split for curve in merged["baseline"]])
    return LogReport(
        name=f"mean of {len(logs)} logs" if len(logs) > 1 else logs[0].name,
        questions=sum(log.questions for log in logs),
        samples=sum(log.samples for log in logs),
        round_tokens=sum(log.round_tokens for log in logs),
        baseline={budget: baseline[budget * STEPS - 1] for budget in BUDGETS},
        baseline_curve=baseline,
        scores=tuple(scores),
        rounds=min(log.rounds for log in logs),
    )


def _average(curves: Sequence[Curve]) -> Curve:
    def mean(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
        return tuple(statistics.fmean(column) for column in zip(*rows, strict=True))

    accuracy, split, spent = ([getattr(c, name) for c in curves] for name in ("accuracy", "split", "spent"))
    return Curve(mean(accuracy), mean(split), mean(spent), statistics.fmean(c.steps for c in curves))


def _median(shares: Sequence[float | None]) -> float | None:
    """The median with "not reached" as the worst of all."""
    middle = statistics.median([float("inf") if share is None else share for share in shares])
    return None if middle == float("inf") else middle


def budgets() -> tuple[float, ...]:
    """The budgets of a curve's points, in rounds."""
    return tuple(i / STEPS for i in range(1, LARGEST * STEPS + 1))
