"""The runs of a bench: each drawn once, stored as it is drawn, and gone on with where it stopped.

Every method is a run like any other (`run.run`), with a journal. The baseline's runs are the pools: they lie with
the user's own runs, so that `runs resume` and `runs export` find them; the others lie in a folder of the bench.
Owns what makes a stored run the one that is wanted. Knows nothing of scores or terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dynscale_cli import __version__
from dynscale_cli.engine.protocol import Engine, Finished, Reason, Request, Tokens
from dynscale_cli.errors import DynscaleError
from dynscale_cli.questions import Question
from dynscale_cli.run.events import Event, SampleFinished, SampleStarted, Stepped
from dynscale_cli.run.request import RunRequest, Settings, difference
from dynscale_cli.run.run import Run
from dynscale_cli.run.store import Recorder, Store
from dynscale_cli.run.stored import Past, StoredRun
from dynscale_cli.sampling.samples import Sample

from .methods import BASELINE, Method, in_order
from .sample_cache import ReplayedEngine, SampleCache, name_of

COMMAND = "bench"
REQUESTS = 1_000_000_000  # more than a run makes: no two of an engine have one id


class BenchStopped(Exception):
    """The user stopped the bench. What was drawn is stored."""


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What every run of a bench is asked, and of which model."""

    questions: Sequence[Question]
    settings: Settings  # policy, mode, seed and budget are each run's own
    model: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run to be found or drawn. `limit`: tokens that it has to reach; without one it runs to its end."""

    store: Store
    command: str
    settings: Settings
    limit: float | None


class Watch:
    """How far a run is, and when it may stop: once every pull that began before the limit was spent has come back.

    `samples`: how many it draws where it has no limit. `lost`: tokens that no sample accounts for.
    """

    def __init__(self, limit: float | None, samples: int, lost: int) -> None:
        self._limit = None if limit is None else limit + lost
        self._samples = samples
        self._spent = self._finished = 0
        self._open: set[tuple[int, int]] = set()
        self._awaited: set[tuple[int, int]] | None = None

    @property
    def reached(self) -> bool:
        return self._awaited is not None and not self._awaited

    @property
    def done(self) -> float:
        """From 0 to 1."""
        return min(1.0, self._spent / self._limit if self._limit else self._finished / max(1, self._samples))

    def handle(self, event: Event) -> None:
        if isinstance(event, SampleStarted):
            self._open.add((event.index, event.number))
        elif isinstance(event, SampleFinished):
            self._finished += 1
            for pulls in (self._open, self._awaited or ()):
                if isinstance(pulls, set):
                    pulls.discard((event.index, event.sample.number))
        elif isinstance(event, Stepped):
            self._spent = event.spent
            if self._limit is not None and event.spent >= self._limit and self._awaited is None:
                self._awaited = set(self._open)


class BenchRuns:
    """Draws the runs of one bench with `engine`, or finds them. One sample cache for each seed.

    A server's samples cannot be replayed token by token: there each method draws its own.
    """

    def __init__(
        self,
        ask: BenchRequest,
        engine: Engine,
        pools: Store,
        others: Store,
        *,
        kept: bool = True,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.ask, self.engine = ask, engine
        self.kept = kept  # whether what is drawn outlives the bench
        self.decoded = 0  # tokens that the engine has evaluated
        self._stores = {True: pools, False: others}
        self.interrupted = interrupted
        self._caches: dict[int, SampleCache] = {}
        self._drawn = 0  # runs

    def draw(
        self, method: Method, seed: int, limit: float | None, told: Callable[[float], None] = lambda share: None
    ) -> StoredRun:
        """The run of a method with a seed: to `limit` tokens, or without one to its settings' most samples.

        `told` is told how far it is, from 0 to 1. Raises BenchStopped, and EngineError.
        """
        wanted = self._wanted(method, seed, limit)
        stored = self._find(wanted)
        if stored is None or not _reaches(stored, limit):
            stored = wanted.store.read(self._run(wanted, stored, told))
        if not self.engine.info.upfront:
            self._learn(stored)
        return stored

    def rehearse(self, seed: int) -> Iterator[Event]:
        """Begin the baseline's run without storing it. What it draws is in the cache, and not lost."""
        wanted = self._wanted(BASELINE, seed, None)
        engine = ReplayedEngine(self.engine, self._cache(seed))
        settings = replace(wanted.settings, budget=self._budget(wanted, None))
        run = Run(self.ask.questions, engine, settings, interrupted=self.interrupted)
        try:
            yield from run.events()
        finally:
            run.leave()

    def stored(self, method: Method, seed: int, limit: float | None) -> StoredRun | None:
        """That run where it is stored already, as far as it has to go."""
        found = self._find(self._wanted(method, seed, limit))
        return found if found is not None and _reaches(found, limit) else None

    def _wanted(self, method: Method, seed: int, limit: float | None) -> Wanted:
        settings = replace(method.settings(self.ask.settings), seed=seed)
        if limit is not None and not method.once:
            settings = replace(settings, max_samples=None)
        return Wanted(self._stores[method == BASELINE], f"{COMMAND} {method.name}", settings, limit)

    def _find(self, wanted: Wanted) -> StoredRun | None:
        """The newest run that was asked the same, on as many slots: their number decides what is in flight together."""
        for id, request in wanted.store.asked(wanted.command):
            if self._is_same(request, wanted):
                stored = wanted.store.read(id)
                if stored.questions == list(self.ask.questions) and not stored.damage:
                    return stored
        return None

    def _is_same(self, asked: RunRequest, wanted: Wanted) -> bool:
        if (asked.command, asked.width, asked.dynscale) != (wanted.command, self.engine.info.width, __version__):
            return False
        same = replace(asked.settings, budget=wanted.settings.budget) == wanted.settings
        return same and difference(asked.model, self.ask.model) is None

    def _run(self, wanted: Wanted, stored: StoredRun | None, told: Callable[[float], None]) -> str:
        """Draw a run, or what is missing of it; its id."""
        settings = replace(wanted.settings, budget=self._budget(wanted, stored))
        journal, past = self._open(wanted, settings, stored)
        replayed = None if self.engine.info.upfront else ReplayedEngine(self.engine, self._cache(settings.seed))
        watch = Watch(wanted.limit, len(self.ask.questions) * (settings.max_samples or 0), _lost(stored))
        run = Run(
            self.ask.questions,
            replayed or self.engine,
            settings,
            journal=journal,
            past=past,
            interrupted=lambda: self.interrupted() or watch.reached,
            first_id=self._drawn * REQUESTS,
        )
        self._drawn += 1
        if replayed is not None:
            self._remember(run, replayed, stored)
        try:
            for event in run.events():
                watch.handle(event)
                told(watch.done)
        finally:
            run.leave()
            journal.close(discard_empty=stored is None)
            spent = run.state.ledger.spent - (stored.spent if stored else 0)
            self.decoded += spent if replayed is None else replayed.decoded
        if journal.failure:
            raise DynscaleError(journal.failure, "make room, and run the bench again: it goes on where it stopped")
        if self.interrupted():
            raise BenchStopped
        return journal.id

    def _open(self, wanted: Wanted, settings: Settings, stored: StoredRun | None) -> tuple[Recorder, Past | None]:
        if stored is not None:
            journal, stored = wanted.store.reopen(stored.id)
            journal.resume(settings.budget)
            return journal, Past(stored)
        info, ask = self.engine.info, self.ask
        request = RunRequest(
            settings, ask.model, info.width, info.context, len(ask.questions), ask.options, ask.source, wanted.command
        )
        return wanted.store.create(request, ask.questions), None

    def _budget(self, wanted: Wanted, stored: StoredRun | None) -> int:
        """More than is needed by all that can be in flight: nothing may be cut short on account of it."""
        info = self.engine.info
        most = wanted.limit or len(self.ask.questions) * (wanted.settings.max_samples or 1) * info.context
        return int(most) + info.width * info.context + (stored.spent if stored else 0)

    def _remember(self, run: Run, engine: ReplayedEngine, stored: StoredRun | None) -> None:
        """A resumed run has paid for the prompts of the questions that it has begun."""
        for q in sorted({q for q, _ in stored.samples()}) if stored else ():
            engine.remember(self._request(run, q, 0))

    def _learn(self, stored: StoredRun) -> None:
        """Put the parallel samples of a stored run in the cache of its seed."""
        cache = self._cache(stored.settings.seed)
        run = Run(self.ask.questions, self.engine, stored.settings)
        for q, sample in stored.samples():
            if sample.kind == "parallel" and sample.finish != "budget":
                cache.record(name_of(self._request(run, q, sample.number)), [self._take(sample, stored.settings)])

    def _request(self, run: Run, q: int, number: int) -> Request:
        state = run.state.question(q)
        state.asked = state.asked or run.sampler.ask(state.question, compared=not state.kind.long)
        return run.sampler.parallel(state.asked, number, 0).request

    def _take(self, sample: Sample, settings: Settings) -> Finished:
        """A stored sample as an engine would end it. One that was asked for its answer has the asking in its bill."""
        asked = self.engine.count(settings.prompts.answer) if sample.forced else 0
        tokens = Tokens(asked, sample.tokens.generated, 0)
        reason: Reason = "length" if sample.finish in ("length", "context") and not sample.forced else "stop"
        return Finished(0, reason, sample.text, tokens, sample.logprob)

    def _cache(self, seed: int) -> SampleCache:
        return self._caches.setdefault(seed, SampleCache())


def _lost(stored: StoredRun | None) -> int:
    """Tokens that a run has spent on pulls that were in flight when it stopped: they are drawn again."""
    return stored.spent - sum(sample.tokens.billed for _, sample in stored.samples()) if stored else 0


def _reaches(stored: StoredRun, limit: float | None) -> bool:
    """Whether a run is over, or has spent `limit` tokens on pulls that all came back."""
    if stored.ended is not None and stored.ended.how == "finished":
        return True
    if limit is None:
        return False
    return sum(s.sample.tokens.billed for s in in_order(stored.as_begun())) >= limit
