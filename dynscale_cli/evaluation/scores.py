"""What a bench shows: accuracy at equal tokens, what it costs to be as right as self-consistency, where tokens went.

Questions are the unit of every interval: a question's value is its mean over the seeds, and differences to the
baseline are paired on questions. Its dataclasses are the schema of `bench --json`, which only grows. Knows nothing of
how the runs were drawn or are shown.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dynscale_cli.engine.protocol import Tokens

from .course import Course, State
from .intervals import Interval, interval
from .methods import BASELINE, Method

STEPS = 160  # points of a curve, evenly spaced over the tokens of the largest budget
RESAMPLES = 2000  # of questions, for the interval of a share of tokens
SURE = 0.9
BANDS = (  # how often a single sample is right, from so much on
    ("3 in 4 or more", 0.75),
    ("half to 3 in 4", 0.5),
    ("a quarter to half", 0.25),
    ("under a quarter", 0.0),
)


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
class Score:
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
class Report:
    """`samples`: where budgets were given as samples of every question; `rate`: tokens a second of the baseline."""

    command: str
    model: str
    questions: int
    seeds: tuple[int, ...]
    samples: tuple[int, ...]
    budgets: tuple[float, ...]
    one: float
    scores: tuple[Score, ...]
    difficulty: tuple[Group, ...]
    levels: tuple[Group, ...]
    asked: tuple[Asked, ...]
    pools: tuple[str, ...]
    rate: float | None
    decoded: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """All runs of a bench: `courses[method][s]` and `budgets[s]` are of seed s; `one[q]`: share of right samples of
    question q in the pools; `majority[q]`: the keys of the answer that most of them agree on."""

    courses: Mapping[Method, Sequence[Course]]
    budgets: Sequence[Sequence[float]]
    one: Sequence[float]
    majority: Sequence[frozenset[str]]
    rate: float | None


def scores(drawn: Drawn) -> tuple[Score, ...]:
    curves = {method: _curve(courses, drawn.budgets) for method, courses in drawn.courses.items()}
    states = {method: _states(courses, drawn.budgets) for method, courses in drawn.courses.items()}
    return tuple(_score(method, drawn, curves, states) for method in drawn.courses)


def _score(
    method: Method,
    drawn: Drawn,
    curves: Mapping[Method, np.ndarray],
    states: Mapping[Method, list[list[list[State]]]],
) -> Score:
    points = [
        _point(states[method][b], states[BASELINE][b], statistics.fmean(row[b] for row in drawn.budgets), drawn.rate)
        for b in range(len(drawn.budgets[0]))
    ]
    curve = [interval([100 * value for value in row]) for row in curves[method].tolist()]
    return Score(
        method=method.name,
        policy=method.policy,
        mode=method.mode,
        points=tuple(points),
        reach=reach(curves[method], curves[BASELINE][-1]),
        calibration=_calibration(states[method][-1], drawn.majority),
        curve=tuple(value.mean for value in curve),
        band=tuple((value.low, value.high) for value in curve),
    )


def _curve(courses: Sequence[Course], budgets: Sequence[Sequence[float]]) -> np.ndarray:
    """Of shape (STEPS, questions): how often each is right after so many tokens, over the seeds."""
    rows = [
        course.right([budget[-1] * step / STEPS for step in range(1, STEPS + 1)])
        for course, budget in zip(courses, budgets, strict=True)
    ]
    mean: np.ndarray = np.array(rows, dtype=float).mean(axis=0)
    return mean


def _states(courses: Sequence[Course], budgets: Sequence[Sequence[float]]) -> list[list[list[State]]]:
    """[budget][seed][question]"""
    return [[course.at(row[b]) for course, row in zip(courses, budgets, strict=True)] for b in range(len(budgets[0]))]


def _point(mine: list[list[State]], base: list[list[State]], budget: float, rate: float | None) -> Point:
    right, other = _right(mine), _right(base)
    spent = _spent(mine)
    return Point(
        budget=budget,
        accuracy=interval(right),
        gain=interval([a - b for a, b in zip(right, other, strict=True)]),
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
    count = len(goal)
    weights = np.random.default_rng(0).multinomial(count, [1 / count] * count, RESAMPLES) / count
    found = np.sort(_first(weights @ curve.T, weights @ goal))
    low, high = found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES)]
    share = _first(curve.mean(axis=1)[None], np.array([goal.mean()]))[0]
    return Reach(*(None if np.isinf(value) else float(value) for value in (share, low, high)))


def _first(curves: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """The share of the budget at which each curve first is at its goal; infinity for never."""
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
    states = {method: _states(courses, last)[0] for method, courses in drawn.courses.items()}
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
