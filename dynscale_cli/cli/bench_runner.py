"""One `bench` from its questions to its report: read, check, load, draw, score, show.

Owns the order in which that happens, what is checked before anything is decoded, and the words on standard error.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynscale_cli.display.text import say
from dynscale_cli.errors import UsageError
from dynscale_cli.questions import Question, read
from dynscale_cli.values import STDIN

from .opening import ModelFile, ModelServer, Wanted, open_model
from .options import Options, notice
from .session import Interrupts, watch

if TYPE_CHECKING:
    from dynscale_cli.engine.protocol import Engine
    from dynscale_cli.evaluation.bench import Plan, Told
    from dynscale_cli.evaluation.methods import Judge
    from dynscale_cli.evaluation.runs import BenchRuns
    from dynscale_cli.evaluation.scores import BenchReport
    from dynscale_cli.run.request import Settings

CHAIN_CONTEXT = 1024  # tokens: half of it holds a question and three short attempts at it
WIDTH = 110  # columns where standard output is no terminal
FILE = "bench.db"  # of runs that are no pools, beside those of the user


@dataclass(frozen=True, slots=True)
class Benching:
    """What `dynscale bench` was told: the flags that it shares with `ask`, and its own."""

    options: Options
    file: Path | None
    methods: str | None
    samples: tuple[int, ...]
    budgets: tuple[int, ...]
    seeds: int
    plot: Path | None


def compare(told: Benching) -> int:
    """Run a bench; the exit code. Raises DynscaleError."""
    plan = _plan(told)
    with watch() as interrupts:
        model = open_model(told.options, notice(told.options))
        settings = _settings(told, plan, server=isinstance(model, ModelServer))
        _check_questions(plan, settings)
        told = replace(told, options=model.suited(told.options))
        settings = _settings(told, plan, server=isinstance(model, ModelServer))
        longest = sorted(plan.questions, key=lambda q: len(q.text), reverse=True)[:8]
        prompts = [settings.prompts.parallel(question, compared=True) for question in longest]
        engine = model.engine(told.options, Wanted(prompts, settings.max_tokens, CHAIN_CONTEXT))
        interrupts.on_first = engine.abort
        with contextlib.closing(engine), _runs(told, plan, settings, model, engine, interrupts) as runs:
            return _run(told, plan, runs, interrupts)


def _plan(told: Benching) -> Plan:
    from dynscale_cli.evaluation.methods import DEFAULT, arithmetic, parse_methods

    methods = parse_methods(told.methods or DEFAULT)
    if told.plot is not None:
        from dynscale_cli.display.plots import check_plot

        check_plot(told.plot)
    levels: Mapping[str, Sequence[int]] | None = None
    if told.file is None:
        questions, levels = arithmetic(told.options.limit)
    else:
        questions = _questions(told.file, told.options.limit)
    from dynscale_cli.evaluation.bench import Plan  # takes numpy, which an error above need not wait for

    first = told.options.seed
    return Plan(questions, methods, tuple(range(first, first + told.seeds)), told.samples, told.budgets, levels)


def _questions(file: Path, limit: int | None) -> list[Question]:
    if str(file) == STDIN:
        return read((STDIN,), None, sys.stdin.buffer if sys.stdin else None, limit=limit)
    return read((), file, None, limit=limit)


def _settings(told: Benching, plan: Plan, *, server: bool) -> Settings:
    """Of every run; its budget is each run's own. The built-in questions are small sums, with answers to match."""
    from dynscale_cli.evaluation.methods import MAX_TOKENS

    own, options = told.file is None, told.options
    if own and not options.typed("max_tokens"):
        options = replace(options, max_tokens=str(MAX_TOKENS))
    if own and options.answer_type == "auto":
        options = replace(options, answer_type="number")
    return replace(options.settings(1, server=server), seed=0, max_samples=None if told.budgets else max(plan.samples))


def _check_questions(plan: Plan, settings: Settings) -> None:
    from dynscale_cli.answers.equivalence import Equivalence
    from dynscale_cli.evaluation.bench import check_gold
    from dynscale_cli.evaluation.methods import Judge

    check_gold(plan.questions, Judge(plan.questions, settings.answer_type, Equivalence()))


@contextlib.contextmanager
def _runs(
    told: Benching,
    plan: Plan,
    settings: Settings,
    model: ModelFile | ModelServer,
    engine: Engine,
    interrupts: Interrupts,
) -> Iterator[BenchRuns]:
    """Where runs are drawn and stored. Where nothing can be stored the bench runs all the same, and says so."""
    import tempfile

    from dynscale_cli.evaluation.runs import BenchRequest, BenchRuns
    from dynscale_cli.paths import state_dir
    from dynscale_cli.run.request import file_hash
    from dynscale_cli.run.store import Store

    source = None
    if told.file is not None and told.file.is_file():
        source = {"path": str(told.file.absolute()), "sha256": file_hash(told.file)}
    ask = BenchRequest(plan.questions, settings, model.identity(), asdict(model.options), source)
    stopped = lambda: bool(interrupts)  # noqa: E731
    with contextlib.ExitStack() as stack:
        pools, others = Store(), Store(state_dir() / FILE)
        if not (pools.writable and others.writable):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dynscale-bench-")))
            notice(told.options)(f"{pools.path} cannot be written: what this bench draws is not kept")
            pools, others = Store(folder / "runs.db"), Store(folder / FILE)
        try:
            yield BenchRuns(ask, engine, pools, others, interrupted=stopped)
        finally:
            pools.trim()
            others.trim()


def _run(told: Benching, plan: Plan, runs: BenchRuns, interrupts: Interrupts) -> int:
    from dynscale_cli.evaluation.bench import Bench, check_budgets
    from dynscale_cli.evaluation.runs import BenchStopped

    bench = Bench(plan, runs)
    check_budgets(plan.budgets, bench.judge, runs.engine, runs.ask.settings)
    begun = time.perf_counter()
    try:
        _forecast(told, plan, runs, bench.judge)
        with _progress(told, plan) as progress:
            bench.draw(progress)
    except BenchStopped:
        notice(told.options)("stopped; what was drawn is stored, and the same command goes on from there")
        return interrupts.exit_code
    report = bench.report(_command(), time.perf_counter() - begun)
    _show(told, report)
    return 0


def _forecast(told: Benching, plan: Plan, runs: BenchRuns, judge: Judge) -> None:
    """Say how long it will take, from a moment of decoding."""
    from dynscale_cli.display.text import clock, count
    from dynscale_cli.evaluation.bench import expected_tokens, is_stored, prompt_tokens, trial
    from dynscale_cli.evaluation.runs import BenchStopped

    tell = notice(told.options)
    compared = f"{count(len(plan.methods), 'method')} on {count(len(plan.questions), 'question')}"
    tell(f"{compared}, seeds {', '.join(map(str, plan.seeds))}, with {runs.engine.info.model}")
    if is_stored(plan, runs):
        tell("all of it is stored already: nothing is decoded")
        return
    if runs.engine.info.upfront:
        tell("each method draws its own samples from a server; Ctrl-C loses nothing")
        return
    pace = trial(runs, plan.seeds[0])
    if runs.interrupted():
        raise BenchStopped
    tokens = expected_tokens(plan, runs, pace, prompt_tokens(judge, runs.engine, runs.ask.settings))
    tell(
        f"about {clock(tokens / pace.tokens_per_second)} at {pace.tokens_per_second:.0f} tokens/s: {tokens:,.0f} "
        "tokens to decode. Ctrl-C loses nothing"
    )


def _show(told: Benching, report: BenchReport) -> None:
    if told.plot is not None:
        from dynscale_cli.display.plots import plot_bench

        plot_bench(report, told.plot)
    if told.options.json:
        import json

        print(json.dumps(asdict(report)))
        return
    from rich.console import Console

    from dynscale_cli.display.tables import bench_tables

    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(bench_tables(report, console.width))


@contextlib.contextmanager
def _progress(told: Benching, plan: Plan) -> Iterator[Told]:
    """A bar for all runs on a terminal, a line for each run elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console, runs = Console(stderr=True), plan.runs
    if told.options.quiet or not console.is_terminal:
        seen: list[tuple[Any, int]] = []

        def say_once(method: Any, seed: int, share: float) -> None:
            if (method, seed) not in seen:
                seen.append((method, seed))
                notice(told.options)(f"run {len(seen)} of {len(runs)}: {method.name}, seed {seed}")

        yield say_once
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=len(runs))

        def tell(method: Any, seed: int, share: float) -> None:
            bar.update(task, completed=runs.index((method, seed)) + share, description=f"{method.name}, seed {seed}")

        yield tell


def _command() -> str:
    """What the user typed, for captions."""
    return shlex.join(["dynscale", *sys.argv[1:]])


def speed(options: Options, tokens: int, rounds: int) -> None:
    """Measure, and print the result."""
    import json
    import statistics

    from dynscale_cli.engine.protocol import Message
    from dynscale_cli.evaluation.speed import QUESTION, measure

    model = open_model(options, say)
    if isinstance(model, ModelServer):
        raise UsageError("--speed measures llama.cpp in this process, not a server", "name a model with -m")
    engine = model.engine(options, Wanted([[Message("user", QUESTION)]], tokens))
    loaded = model.wait()
    say(f"{loaded.name}: {engine.info.width} samples of {tokens} tokens, {loaded.threads} threads")
    rates = []
    for number, measured in enumerate(measure(engine, tokens=tokens, rounds=rounds, clock=time.perf_counter), 1):
        rates.append(measured.tokens_per_second)
        say(f"round {number} of {rounds}: {rates[-1]:.1f} tokens/s")
    engine.close()
    report = {
        "tokens_per_second": round(statistics.median(rates), 1),
        "width": engine.info.width,
        "tokens": tokens,
        "threads": loaded.threads,
        "buffers": loaded.buffers,
        "rounds": [round(rate, 1) for rate in rates],
        "model": loaded.name,
    }
    print(json.dumps(report))
