"""A bench: every method on the same questions at equal tokens, drawn with as little decoding as that allows.

The baseline is drawn first, with each seed: its samples are the pool that the others play back. Then each other method
runs live on top of it to the largest budget. Owns that order, the budgets and the forecast of how long it takes.
Knows nothing of terminals or of how a run is stored.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

from dynscale_cli.answers.equivalence import Equivalence
from dynscale_cli.answers.prover import Prover
from dynscale_cli.answers.vote import Ballot
from dynscale_cli.engine.protocol import Engine
from dynscale_cli.errors import UsageError
from dynscale_cli.questions import Question
from dynscale_cli.run.events import SampleFinished, Stepped
from dynscale_cli.run.request import Settings
from dynscale_cli.run.stored import StoredRun
from dynscale_cli.sampling.sampler import Sampler

from .methods import BASELINE, Judge, Method, Trajectory, trajectory
from .runs import BenchRuns
from .scores import Asked, BenchReport, Drawn, difficulty, groups, scores

TRIAL_SECONDS = 2.0  # of decoding, to tell how long the bench takes
SPARE = 64  # tokens that a sample needs besides its prompt: to be asked for its answer, as `run.run` reserves them

Told = Callable[[Method, int, float], None]  # a method, its seed and how far it is, from 0 to 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared. Budgets are tokens over all questions, or samples of each: then they are what these cost the
    baseline with the same seed. `levels`: names of groups of questions, by index."""

    questions: Sequence[Question]
    methods: Sequence[Method]
    seeds: Sequence[int]
    samples: Sequence[int]
    budgets: Sequence[int] = ()
    levels: Mapping[str, Sequence[int]] | None = None

    @property
    def runs(self) -> list[tuple[Method, int]]:
        """In the order in which they are drawn. One without chance is drawn once."""
        return [
            (method, seed)
            for seed in self.seeds
            for method in (BASELINE, *(m for m in self.methods if m != BASELINE))
            if not method.once or seed == self.seeds[0]
        ]


@dataclass(frozen=True, slots=True)
class Pace:
    """What a second of decoding has shown."""

    tokens_per_second: float
    tokens_per_sample: float  # generated


class Bench:
    """Runs a plan with `runs`, which are drawn or found."""

    def __init__(self, plan: Plan, runs: BenchRuns) -> None:
        self.plan, self.runs = plan, runs
        self.judge = Judge(plan.questions, runs.ask.settings.answer_type, Equivalence(Prover()))
        self._trajectories: dict[Method, list[Trajectory]] = {}
        self._budgets: list[list[float]] = []
        self._pools: list[StoredRun] = []

    def draw(self, told: Told = lambda method, seed, share: None) -> None:
        """Draw what is not stored yet. Raises BenchStopped, EngineError and DynscaleError."""
        for method, seed in self.plan.runs:
            limit = self._limit(method)
            stored = self.runs.draw(method, seed, limit, lambda share, m=method, s=seed: told(m, s, share))  # type: ignore[misc]
            found = trajectory(stored, self.judge)
            self._trajectories.setdefault(method, []).append(found)
            if method == BASELINE:
                self._pools.append(stored)
                self._budgets.append(self._points(found))

    def _limit(self, method: Method) -> float | None:
        """Tokens that a run has to reach; None: as many samples as its settings say."""
        if method.once:
            return None
        if method == BASELINE:
            return max(self.plan.budgets) if self.plan.budgets else None
        return self._budgets[-1][-1]

    def _points(self, base: Trajectory) -> list[float]:
        """The budgets in tokens, for the seed of this baseline."""
        if self.plan.budgets:
            return [float(budget) for budget in self.plan.budgets]
        each = len(set(base.pulls))
        return [float(base.spent[min(count * each, len(base.spent)) - 1]) for count in self.plan.samples]

    def report(self, command: str, seconds: float) -> BenchReport:
        plan, drawn = self.plan, self._drawn()
        found = scores(drawn)
        by_method = groups(drawn, {str(q): [q] for q in range(len(plan.questions))})
        return BenchReport(
            command=command,
            model=self.runs.engine.info.model,
            questions=len(plan.questions),
            seeds=tuple(plan.seeds),
            samples=() if plan.budgets else tuple(plan.samples),
            budgets=tuple(point.budget for point in found[0].points),
            one=100 * sum(drawn.one) / len(drawn.one),
            scores=found,
            difficulty=difficulty(drawn),
            levels=groups(drawn, plan.levels) if plan.levels else (),
            asked=tuple(
                Asked(question.id, group.one, group.tokens)
                for question, group in zip(plan.questions, by_method, strict=True)
            ),
            pools=tuple(stored.id for stored in self._pools),
            rate=drawn.rate,
            decoded=self.runs.decoded,
            seconds=seconds,
        )

    def _drawn(self) -> Drawn:
        trajectories = {method: self._trajectories[method] for method in self.plan.methods}
        trajectories = {m: found * len(self.plan.seeds) if m.once else found for m, found in trajectories.items()}
        pooled = self._pooled()
        one = [sum(map(self._is_right, repeat(q), found)) / max(1, len(found)) for q, found in enumerate(pooled)]
        majority = [self._majority(q, found) for q, found in enumerate(pooled)]
        return Drawn(trajectories, self._budgets, one, majority, self._rate())

    def _pooled(self) -> list[list[Ballot]]:
        """The samples of each question over all pools, as votes of one election."""
        pooled: list[list[Ballot]] = [[] for _ in self.plan.questions]
        for stored in self._pools:
            for q, sample in stored.samples():
                pooled[q].append(replace(sample.ballot, number=len(pooled[q]), weight=1.0, logprob=None))
        return pooled

    def _is_right(self, q: int, ballot: Ballot) -> bool:
        return ballot.answer is not None and self.judge.right(q, ballot.answer.key)

    def _majority(self, q: int, ballots: Sequence[Ballot]) -> frozenset[str]:
        """Every key of the answer that wins; which of them stands for it differs from run to run."""
        found = self.judge.count(q, ballots)
        winner = found.votes[0][0] if found.votes else None
        return frozenset(
            ballot.answer.key
            for ballot in ballots
            if ballot.answer is not None and found.key_of[ballot.number] == winner
        )

    def _rate(self) -> float | None:
        """Tokens a second of the pools, which were decoded whole."""
        times = [stored.ended.time for stored in self._pools if stored.ended is not None]
        if not times or sum(times) <= 0:
            return None
        return sum(stored.spent for stored in self._pools) / sum(times)


def check_gold(questions: Sequence[Question], judge: Judge) -> None:
    """Raise UsageError for a question that could not be scored: no right answer, or none of the type asked for."""
    for q, question in enumerate(questions):
        if question.gold is None:
            raise UsageError(f"question {question.id} states no right answer", GOLD_HINT)
        if not judge.right(q, question.gold):
            kind = judge.kinds[q].name
            raise UsageError(
                f"question {question.id}: its right answer is not of the type {kind}: {question.gold}",
                "--answer-type text takes any answer; auto finds each question's type",
            )


GOLD_HINT = 'give each an answer: {"question": "What is 17 + 25?", "answer": "42"}'


def check_budgets(budgets: Sequence[int], judge: Judge, engine: Engine, settings: Settings) -> None:
    """Raise UsageError where the smallest budget does not pay for one sample of every question."""
    if not budgets:
        return
    count = len(judge.questions)
    needed = prompt_tokens(judge, engine, settings) + count * SPARE
    if min(budgets) < needed:
        raise UsageError(
            f"--budgets {min(budgets)}: one sample of each of {count} questions may take {needed:,} tokens",
            f"dynscale bench --budgets {needed},{2 * needed},{4 * needed}",
        )


def prompt_tokens(judge: Judge, engine: Engine, settings: Settings) -> int:
    """What a run evaluates of its prompts: each once, and what they begin with once for all."""
    sampler = Sampler(engine, settings.prompts, sampling=settings.sampling, max_tokens=settings.max_tokens, spare=SPARE)
    seen, total = set[tuple[int, ...]](), 0
    for question, kind in zip(judge.questions, judge.kinds, strict=True):
        request = sampler.parallel(sampler.ask(question, compared=not kind.long), 0, 0).request
        prefixes = [request.prompt.tokens[:length] for length in request.cache_boundaries]
        total += len(request.prompt) - max((len(prefix) for prefix in prefixes if prefix in seen), default=0)
        seen.update(prefixes)
    return total


def is_stored(plan: Plan, runs: BenchRuns) -> bool:
    """Whether nothing is left to be decoded."""
    limit = 0.0
    for method, seed in plan.runs:
        goal = None if method.once or (method == BASELINE and not plan.budgets) else max((limit, *plan.budgets))
        found = runs.stored(method, seed, goal)
        if found is None:
            return False
        limit = float(found.spent) if method == BASELINE else limit
    return True


def trial(runs: BenchRuns, seed: int, clock: Callable[[], float] = time.perf_counter) -> Pace:
    """Decode the first samples of the pool for a moment. Nothing is lost: they go in its cache."""
    begun, tokens, generated, samples = clock(), 0, 0, 0
    for event in runs.rehearse(seed):
        if isinstance(event, SampleFinished):
            generated += event.sample.tokens.generated
            samples += 1
        elif isinstance(event, Stepped):
            tokens = event.spent
            if clock() - begun >= TRIAL_SECONDS and samples >= runs.engine.info.width:
                break
    return Pace(tokens / max(clock() - begun, 1e-6), generated / max(1, samples))


def expected_tokens(plan: Plan, runs: BenchRuns, pace: Pace, prompts: int) -> float:
    """What is still to be decoded, roughly.

    A baseline is decoded whole. A policy on the same pool decodes what the pool has not got: a quarter, where a
    budget goes to half of the questions, shared among all such policies. A revision shares its first samples alone,
    and half of its tokens or more are prompts, which take a fraction of the time.
    """
    one = prompts + len(plan.questions) * pace.tokens_per_sample
    largest = float(max(plan.budgets)) if plan.budgets else prompts + max(plan.samples) * (one - prompts)
    total, shared = 0.0, Counter[int]()
    for method, seed in plan.runs:
        limit = None if method.once or (method == BASELINE and not plan.budgets) else 0.9 * largest
        if runs.stored(method, seed, limit) is not None:
            continue
        if method.once:
            total += one
        elif method == BASELINE:
            total += largest
        elif method.mode in ("sequential", "chain"):
            total += largest / 2
        else:
            total += largest / 4 / (1 + shared[seed])
            shared[seed] += 1
    return total
