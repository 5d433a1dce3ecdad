"""One `bench` from its questions to its report: read, check, load, draw, score, show.

Owns the order in which that happens, what is checked before anything is decoded, and the words on standard error.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dynscale_cli.display.text import say
from dynscale_cli.errors import UsageError
from dynscale_cli.questions import read
from dynscale_cli.values import STDIN

from .bench import BenchOptions
from .opening import ModelFile, ModelServer, Wanted, open_model
from .options import notice
from .session import CHAIN_CONTEXT, Interrupts, longest_prompts, source, watch

if TYPE_CHECKING:
    from dynscale_cli.engine.protocol import Engine
    from dynscale_cli.evaluation.bench import Bench, Plan
    from dynscale_cli.evaluation.runs import BenchRuns
    from dynscale_cli.evaluation.scores import BenchReport
    from dynscale_cli.run.request import Settings

WIDTH = 110  # columns where standard output is no terminal
FILE = "bench.db"  # of runs that are no pools, beside those of the user


def compare(options: BenchOptions, samples: tuple[int, ...], budgets: tuple[int, ...]) -> int:
    """Run a bench; the exit code. Raises DynscaleError."""
    plan = _plan(options, samples, budgets)
    with watch() as interrupts:
        model = open_model(options, notice(options))
        _check_questions(plan, _settings(options, plan, model))
        options = model.suited(options)
        settings = _settings(options, plan, model)
        prompts = longest_prompts(plan.questions, settings)
        engine = model.engine(options, Wanted(prompts, settings.max_tokens, CHAIN_CONTEXT, top=settings.top))
        interrupts.on_first = engine.abort
        with contextlib.closing(engine), _runs(options, plan, settings, model, engine, interrupts) as runs:
            return _run(options, plan, runs, interrupts)


def _plan(options: BenchOptions, samples: tuple[int, ...], budgets: tuple[int, ...]) -> Plan:
    from dynscale_cli.evaluation.methods import DEFAULT, arithmetic, parse_methods

    methods = parse_methods(options.methods or DEFAULT)
    from dynscale_cli.display.plots import check_plot  # takes numpy, which an error above need not wait for

    check_plot(options.plot)
    levels: Mapping[str, Sequence[int]] | None = None
    file = options.questions_file
    if file is None:
        questions, levels = arithmetic(options.limit)
    elif str(file) == STDIN:
        questions = read((STDIN,), None, sys.stdin.buffer if sys.stdin else None, limit=options.limit)
    else:
        questions = read((), file, limit=options.limit)
    from dynscale_cli.evaluation.bench import Plan

    seeds = tuple(range(options.seed, options.seed + options.seeds))
    return Plan(questions, methods, seeds, samples, budgets, levels)


def _settings(options: BenchOptions, plan: Plan, model: ModelFile | ModelServer) -> Settings:
    """Of every run; its budget is each run's own. The built-in questions are small sums, with answers to match."""
    from dynscale_cli.evaluation.methods import MAX_TOKENS

    if options.questions_file is None:
        options = replace(
            options,
            max_tokens=options.max_tokens if options.typed("max_tokens") else str(MAX_TOKENS),
            answer_type="number" if options.answer_type == "auto" else options.answer_type,
        )
    settings = options.settings(1, server=model.is_server)
    return replace(settings, seed=0, max_samples=None if plan.budgets else max(plan.samples))


def _check_questions(plan: Plan, settings: Settings) -> None:
    from dynscale_cli.answers.equivalence import Equivalence
    from dynscale_cli.evaluation.bench import check_gold
    from dynscale_cli.evaluation.methods import Judge

    check_gold(plan.questions, Judge(plan.questions, settings.answer_type, Equivalence()))


@contextlib.contextmanager
def _runs(
    options: BenchOptions,
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
    from dynscale_cli.run.store import Store

    ask = BenchRequest(
        plan.questions, settings, model.identity(), asdict(model.options), source(options.questions_file)
    )
    with contextlib.ExitStack() as stack:
        pools, others = Store(), Store(state_dir() / FILE)
        kept = pools.writable and others.writable
        if not kept:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dynscale-bench-")))
            notice(options)(f"{pools.path} cannot be written: what this bench draws is not kept")
            pools, others = Store(folder / "runs.db"), Store(folder / FILE)
        try:
            yield BenchRuns(ask, engine, pools, others, kept=kept, interrupted=lambda: bool(interrupts))
        finally:
            pools.trim()
            others.trim()


def _run(options: BenchOptions, plan: Plan, runs: BenchRuns, interrupts: Interrupts) -> int:
    from dynscale_cli.evaluation.bench import Bench, check_budgets
    from dynscale_cli.evaluation.runs import BenchStopped

    bench = Bench(plan, runs)
    check_budgets(plan.budgets, bench.judge, runs.engine, runs.ask.settings)
    begun = time.perf_counter()
    try:
        _forecast(options, bench)
        _draw(options, bench)
    except BenchStopped:
        notice(options)("stopped" + "; what was drawn is stored, and the same command goes on from there" * runs.kept)
        return interrupts.exit_code
    _show(options, bench.report(shlex.join(["dynscale", *sys.argv[1:]]), time.perf_counter() - begun))
    return 0


def _forecast(options: BenchOptions, bench: Bench) -> None:
    """Say how long it will take, from a moment of decoding."""
    from dynscale_cli.display.text import clock, count
    from dynscale_cli.evaluation.bench import expected_tokens, is_stored, prompt_tokens, trial
    from dynscale_cli.evaluation.runs import BenchStopped

    plan, runs, tell = bench.plan, bench.runs, notice(options)
    compared = f"{count(len(plan.methods), 'method')} on {count(len(plan.questions), 'question')}"
    tell(f"{compared}, seeds {', '.join(map(str, plan.seeds))}, with {runs.engine.info.model}")
    if is_stored(plan, runs):
        tell("all of it is stored already: nothing is decoded")
        return
    kept = "; Ctrl-C loses nothing" * runs.kept
    if runs.engine.info.upfront:
        tell(f"each method draws its own samples from a server{kept}")
        return
    pace = trial(runs, plan.seeds[0])
    if runs.interrupted():
        raise BenchStopped
    tokens = expected_tokens(plan, runs, pace, prompt_tokens(bench.judge, runs.engine, runs.ask.settings))
    tell(
        f"about {clock(tokens / pace.tokens_per_second)} at {pace.tokens_per_second:.0f} tokens/s: {tokens:,.0f} "
        f"tokens to decode{kept}"
    )


def _draw(options: BenchOptions, bench: Bench) -> None:
    """Draw all runs, with a bar for them on a terminal, a line for each run elsewhere."""
    from dynscale_cli.display.tables import bar

    runs, begun = bench.plan.runs, list[str]()

    def line(share: float, text: str) -> None:
        if text not in begun:
            begun.append(text)
            notice(options)(f"run {len(begun)} of {len(runs)}: {text}")

    with bar(line, quiet=options.quiet) as shown:
        bench.draw(
            lambda method, seed, share: shown(
                (runs.index((method, seed)) + share) / len(runs), f"{method.name}, seed {seed}"
            )
        )


def _show(options: BenchOptions, report: BenchReport) -> None:
    from dynscale_cli.display.tables import bench_tables, print_report

    if options.plot is not None:
        from dynscale_cli.display.plots import plot_bench

        plot_bench(report, options.plot)
    print_report(report, lambda width: bench_tables(report, width), WIDTH, as_json=options.json)


def speed(options: BenchOptions) -> int:
    """Measure, and print the result."""
    import json
    import statistics

    from dynscale_cli.engine.protocol import Message, Sampling
    from dynscale_cli.evaluation.speed import QUESTION, measure

    model = open_model(options, say)
    if isinstance(model, ModelServer):
        raise UsageError("--speed measures llama.cpp in this process, not a server", "name a model with -m")
    engine = model.engine(options, Wanted([[Message("user", QUESTION)]], options.tokens, top=Sampling().top_k))
    loaded = model.wait()
    say(f"{loaded.name}: {engine.info.width} samples of {options.tokens} tokens, {loaded.threads} threads")
    rates = []
    measurements = measure(engine, tokens=options.tokens, rounds=options.rounds, clock=time.perf_counter)
    for number, measured in enumerate(measurements, 1):
        rates.append(measured.tokens_per_second)
        say(f"round {number} of {options.rounds}: {rates[-1]:.1f} tokens/s")
    engine.close()
    report = {
        "tokens_per_second": round(statistics.median(rates), 1),
        "width": engine.info.width,
        "tokens": options.tokens,
        "threads": loaded.threads,
        "buffers": loaded.buffers,
        "rounds": [round(rate, 1) for rate in rates],
        "model": loaded.name,
    }
    print(json.dumps(report))
    return 0
