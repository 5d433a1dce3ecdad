"""What a bench shows: accuracy at equal tokens, what it costs to be as right as self-consistency, where tokens went.

Questions are the unit of every interval: a question's value is its mean over the seeds, and differences to the
baseline are paired on questions. Accuracies have Wilson's interval, differences a bootstrap's: neither leaves what is
possible, however few the questions. Its dataclasses are the schema of `bench --json`, which only grows. Knows nothing
of how the runs were drawn or are shown.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynscale_cli.engine.protocol import Tokens

from .methods import BASELINE, Method, State, Trajectory

if TYPE_CHECKING:
    import numpy as np

STEPS = 160  # points of a curve, evenly spaced over the tokens of the largest budget
RESAMPLES = 2000  # of questions, for the intervals of differences and of shares of tokens
_LOW, _HIGH = int(0.025 * RESAMPLES), int(0.975 * RESAMPLES)
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # 97.5% point, 1 to 10 degrees
SURE = 0.9
BANDS = (  # how often a single sample is right, from so much on
    ("3 in 4 or more", 0.75),
    ("half to 3 in 4", 0.5),
    ("a quarter to half", 0.25),
    ("under a quarter", 0.0),
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the ends of its 95% interval; both ends are the mean where one value is all there is."""

    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2


def interval(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> Interval:
    """Student's interval for the mean of a few draws, within the bounds that their mean has."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Interval(mean, mean, mean)
    half = student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, max(low, mean - half), min(high, mean + half))


def share(values: Sequence[float]) -> Interval:
    """Wilson's interval for the mean of percentages, one of each question.

    It is that of questions which are right or wrong, and so on the wide side where a value is a mean over seeds.
    """
    count, mean = len(values), statistics.fmean(values) / 100
    z = statistics.NormalDist().inv_cdf(0.975)
    middle = (mean + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(mean * (1 - mean) / count + z * z / (4 * count * count))
    return Interval(100 * mean, 100 * max(0.0, min(mean, middle - half)), 100 * min(1.0, max(mean, middle + half)))


def difference(values: Sequence[float]) -> Interval:
    """For the mean of paired differences, one of each question: these are drawn again, as often as RESAMPLES says."""
    import numpy as np

    found = np.sort(_weights(len(values)) @ np.asarray(values, dtype=float))
    return Interval(statistics.fmean(values), float(found[_LOW]), float(found[_HIGH]))


def _weights(questions: int) -> np.ndarray:
    """Of shape (RESAMPLES, questions): the same in every call, so that methods are compared on the same questions."""
    import numpy as np

    return np.random.default_rng(0).multinomial(questions, [1 / questions] * questions, RESAMPLES) / questions


def student(degrees: int) -> float:
    """The 97.5% point of Student's t: a table up to 10 degrees of freedom, then three terms of its expansion."""
    if degrees <= len(STUDENT):
        return STUDENT[degrees - 1]
    z = statistics.NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3


@dataclass(frozen=True, slots=True)
class Spent:
    """Mean tokens of a run: evaluated in prompts and generated, and what was reused for nothing."""

    prompt: float
    generated: float
    reused: float

    @property
    def billed(self) -> float:
        return self.prompt + self.generated


@dataclass(frozen=True, slots=True)
class Point:
    """A method at one budget, in percent and tokens. `gain` is over the baseline at the same budget, paired.

    `seconds`: its tokens at the rate at which the baseline was decoded; None where that was not measured.
    """

    budget: float
    accuracy: Interval
    gain: Interval
    spent: Spent
    samples: float  # of a question, on average
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Reach:
    """The share of the baseline's tokens at which a method is as right as the baseline at its largest budget.

    None: not within that budget. The ends of the interval (95%, questions drawn again) may be so, too.
    """

    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of `questions`, over all seeds: leaders that the posterior called at least `SURE`, how many of these are the
    answer of most samples in all pools, and how many are right."""

    questions: int
    sure: int
    majority: int
    right: int


@dataclass(frozen=True, slots=True)
class MethodScore:
    method: str
    policy: str
    mode: str
    points: tuple[Point, ...]
    reach: Reach
    calibration: Calibration
    curve: tuple[float, ...]  # accuracy in percent after 1/STEPS, 2/STEPS, … of the largest budget
    band: tuple[tuple[float, float], ...]  # the curve's 95% interval


@dataclass(frozen=True, slots=True)
class Group:
    """Some questions at the largest budget. `one`: right samples of the pools, in percent, which is how hard they are;
    by method: accuracy in percent, and samples and tokens of a question."""

    name: str
    questions: int
    one: float
    accuracy: Mapping[str, float]
    samples: Mapping[str, float]
    tokens: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question at the largest budget: the share of right samples in the pools, and its tokens by method."""

    id: str
    one: float
    tokens: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BenchReport:
    """`samples`: where budgets were given as samples of every question; `rate`: tokens a second of the baseline."""

    command: str
    model: str
    questions: int
    seeds: tuple[int, ...]
    samples: tuple[int, ...]
    budgets: tuple[float, ...]
    one: float
    scores: tuple[MethodScore, ...]
    difficulty: tuple[Group, ...]
    levels: tuple[Group, ...]
    asked: tuple[Asked, ...]
    pools: tuple[str, ...]
    rate: float | None
    decoded: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """All runs of a bench: `trajectories[method][s]` and `budgets[s]` are of seed s; `one[q]`: share of right samples
    of question q in the pools; `majority[q]`: the keys of the answer that most of them agree on."""

    trajectories: Mapping[Method, Sequence[Trajectory]]
    budgets: Sequence[Sequence[float]]
    one: Sequence[float]
    majority: Sequence[frozenset[str]]
    rate: float | None


def scores(drawn: Drawn) -> tuple[MethodScore, ...]:
    curves = {method: _curve(trajectories, drawn.budgets) for method, trajectories in drawn.trajectories.items()}
    states = {method: _states(trajectories, drawn.budgets) for method, trajectories in drawn.trajectories.items()}
    return tuple(_score(method, drawn, curves, states) for method in drawn.trajectories)


def _score(
    method: Method,
    drawn: Drawn,
    curves: Mapping[Method, np.ndarray],
    states: Mapping[Method, list[list[list[State]]]],
) -> MethodScore:
    points = [
        _point(states[method][b], states[BASELINE][b], statistics.fmean(row[b] for row in drawn.budgets), drawn.rate)
        for b in range(len(drawn.budgets[0]))
    ]
    curve = [share([100 * value for value in row]) for row in curves[method].tolist()]
    return MethodScore(
        method=method.name,
        policy=method.policy,
        mode=method.mode,
        points=tuple(points),
        reach=reach(curves[method], curves[BASELINE][-1]),
        calibration=_calibration(states[method][-1], drawn.majority),
        curve=tuple(value.mean for value in curve),
        band=tuple((value.low, value.high) for value in curve),
    )


def _curve(trajectories: Sequence[Trajectory], budgets: Sequence[Sequence[float]]) -> np.ndarray:
    """Of shape (STEPS, questions): how often each is right after so many tokens, over the seeds."""
    import numpy as np

    rows = [
        trajectory.right([budget[-1] * step / STEPS for step in range(1, STEPS + 1)])
        for trajectory, budget in zip(trajectories, budgets, strict=True)
    ]
    mean: np.ndarray = np.array(rows, dtype=float).mean(axis=0)
    return mean


def _states(trajectories: Sequence[Trajectory], budgets: Sequence[Sequence[float]]) -> list[list[list[State]]]:
    """[budget][seed][question]"""
    return [
        [trajectory.at(row[b]) for trajectory, row in zip(trajectories, budgets, strict=True)]
        for b in range(len(budgets[0]))
    ]


def _point(mine: list[list[State]], base: list[list[State]], budget: float, rate: float | None) -> Point:
    right, other = _right(mine), _right(base)
    spent = _spent(mine)
    return Point(
        budget=budget,
        accuracy=share(right),
        gain=difference([a - b for a, b in zip(right, other, strict=True)]),
        spent=spent,
        samples=statistics.fmean(state.samples for states in mine for state in states),
        seconds=spent.billed / rate if rate else None,
    )


def _right(states: list[list[State]]) -> list[float]:
    """Of each question, in percent over the seeds."""
    return [100 * statistics.fmean(state.right for state in column) for column in zip(*states, strict=True)]


def _spent(states: list[list[State]]) -> Spent:
    totals = [sum((state.tokens for state in row), Tokens()) for row in states]
    means = (statistics.fmean(getattr(total, name) for total in totals) for name in ("prompt", "generated", "reused"))
    return Spent(*means)


def reach(curve: np.ndarray, goal: np.ndarray) -> Reach:
    """`curve` is of shape (steps, questions), `goal` of shape (questions,): both are resampled by question alike."""
    import numpy as np

    weights = _weights(len(goal))
    found = np.sort(_first(weights @ curve.T, weights @ goal))
    own = _first(curve.mean(axis=1)[None], np.array([goal.mean()]))[0]
    return Reach(*(None if np.isinf(value) else float(value) for value in (own, found[_LOW], found[_HIGH])))


def _first(curves: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """The share of the budget at which each curve first is at its goal; infinity for never."""
    import numpy as np

    at = curves >= goals[:, None] - 1e-9
    return np.where(at.any(axis=1), (at.argmax(axis=1) + 1) / curves.shape[1], np.inf)


def _calibration(states: list[list[State]], majority: Sequence[frozenset[str]]) -> Calibration:
    pairs = [(state, most) for row in states for state, most in zip(row, majority, strict=True)]
    sure = [(state, most) for state, most in pairs if state.sure >= SURE]
    agreed = sum(state.leader in most for state, most in sure)
    return Calibration(len(pairs), len(sure), agreed, sum(state.right for state, _ in sure))


def difficulty(drawn: Drawn) -> tuple[Group, ...]:
    """The questions by how often a single sample of them is right; bands without any are left out."""
    bands: dict[str, list[int]] = {name: [] for name, _ in BANDS}
    for q, share in enumerate(drawn.one):
        bands[next(name for name, low in BANDS if share >= low)].append(q)
    return groups(drawn, bands)


def groups(drawn: Drawn, members: Mapping[str, Sequence[int]]) -> tuple[Group, ...]:
    last = [row[-1:] for row in drawn.budgets]
    states = {method: _states(trajectories, last)[0] for method, trajectories in drawn.trajectories.items()}
    return tuple(_group(name, drawn, states, qs) for name, qs in members.items() if qs)


def _group(name: str, drawn: Drawn, states: Mapping[Method, list[list[State]]], qs: Sequence[int]) -> Group:
    def mean(value: str, rows: list[list[State]]) -> float:
        return statistics.fmean(getattr(row[q], value) for row in rows for q in qs)

    return Group(
        name=name,
        questions=len(qs),
        one=100 * statistics.fmean(drawn.one[q] for q in qs),
        accuracy={method.name: 100 * mean("right", rows) for method, rows in states.items()},
        samples={method.name: mean("samples", rows) for method, rows in states.items()},
        tokens={
            method.name: statistics.fmean(row[q].tokens.billed for row in rows for q in qs)
            for method, rows in states.items()
        },
    )
