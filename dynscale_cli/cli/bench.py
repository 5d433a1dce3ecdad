"""`dynscale bench` and `dynscale replay`: does it help on my model and my questions, for how many tokens?

Parses and delegates: a bench draws samples (`bench_runner`), a replay scores stored ones (`evaluation`). What they
find is drawn by `display`.
"""

# ruff: noqa: RUF009  what is called for a default is dataclasses.field
# No postponed annotations: typer reads the fields' types.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dynscale_cli.errors import UsageError
from dynscale_cli.values import INTEGER

from .options import Options, declared, of_one_run, takes
from .parser import OUTPUT, Command, once

EXAMPLES = """
dynscale bench
dynscale bench q.jsonl -m model.gguf --seeds 3 --plot bench.svg
dynscale bench --methods dynscale,race/parallel,ucb/chain
dynscale bench --speed
"""
REPLAYS = """
dynscale ask -f q.jsonl --mode parallel --exhaust --export samples.jsonl
dynscale replay samples.jsonl --plot accuracy.svg
"""
DEFAULT_POLICIES = "race,ucb,adaptive,early-stop,uniform"
WIDTH = 100  # columns where standard output is no terminal
COMPARE, RATE = "What is compared", "With --speed"
SAMPLES = "1,2,4,8,16"
MOST = 10_000  # samples of a question, or seeds: nobody waits for more


class Bench(Command):
    everyday = frozenset({
        "--methods", "--samples", "--budgets", "--seeds", "--limit", "--model", "--endpoint", "--threads",
        "--max-tokens", "--seed", "--json", "--plot", "--speed", "--help", "--help-all",
    })  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BenchOptions(Options):
    """What a bench can be told: the flags that it shares with `ask`, and its own."""

    questions_file: Path | None = declared(
        None, typer.Argument(metavar="[FILE]", help="Questions with right answers: .jsonl or .csv.")
    )
    methods: str | None = of_one_run(
        None,
        COMPARE,
        "NAMES",
        "Methods by name, or as POLICY/MODE, such as race/parallel. Default: all that have names.",
    )
    samples: str | None = of_one_run(
        None, COMPARE, "N,N,…", f"Budgets: what so many samples of every question cost. Default: {SAMPLES}."
    )
    budgets: str | None = of_one_run(None, COMPARE, "TOKENS,…", "Budgets in tokens instead, such as 5k,20k.")
    seeds: int = of_one_run(1, COMPARE, "N", "Seeds, from --seed on.", min=1, max=MOST)
    plot: Path | None = of_one_run(None, OUTPUT, "FILE", "Draw it: .svg, .png or .pdf.")
    speed: bool = of_one_run(False, RATE, None, "Only measure generated tokens a second.")
    tokens: int = of_one_run(96, RATE, "N", "Generated in each sample.", min=1)
    rounds: int = of_one_run(3, RATE, "N", "Measurements; the median counts.", min=1)


@takes(
    "limit profile model n_gpu_layers ctx_size threads parallel endpoint served_model stall_timeout confidence "
    "max_tokens temp top_p top_k seed layout system prompt_file answer_type json quiet help_all",
    seed=1,
)
def bench(options: BenchOptions) -> int:
    """Compare methods on questions with known answers, at equal tokens.

    Without a file: arithmetic that a small model can partly do, at most 48 tokens a sample. What is decoded is stored
    as it comes in: after Ctrl-C the same command goes on.
    """
    from . import bench_runner

    if options.speed:
        return bench_runner.speed(options)
    if options.samples is not None and options.budgets is not None:
        raise UsageError("--samples and --budgets: both say what is spent", "give one of them")
    return bench_runner.compare(options, _samples(options.samples or SAMPLES), _budgets(options.budgets))


def _samples(text: str) -> tuple[int, ...]:
    try:
        counts = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        counts = []
    if not counts or not 1 <= counts[0] <= counts[-1] <= MOST:
        raise UsageError(f"--samples {text}: not a list of counts from 1 to {MOST}", f"such as --samples {SAMPLES}")
    return tuple(counts)


def _budgets(text: str | None) -> tuple[int, ...]:
    from dynscale_cli.values import parse_tokens

    if text is None:
        return ()
    return tuple(sorted({parse_tokens(part, "--budgets") for part in text.split(",")}))


def replay(
    logs: Annotated[
        list[Path], typer.Argument(metavar="LOG", help="JSONL files of samples, written by `dynscale ask --export`.")
    ],
    policy: Annotated[
        str, once(None, "NAMES", "Policies to compare; ucb:0.5 sets ucb's c.", "--policy")
    ] = DEFAULT_POLICIES,
    in_flight: Annotated[int, once(None, "N", "Pulls kept open at the same time.", "--in-flight", min=1)] = 1,
    seeds: Annotated[int, once(None, "N", "Random draws to average over.", "--seeds", min=1, max=INTEGER)] = 16,
    confidence: Annotated[
        float,
        once(None, "P", "A question is settled when its leader is this sure.", "--confidence", span=(0.5, 1.0)),
    ] = 0.95,
    exhaust: Annotated[bool, once(None, None, "Spend budgets in full, settled or not.", "--exhaust")] = False,
    json_output: Annotated[bool, once(None, None, "Print the report as JSON.", "--json")] = False,
    plot: Annotated[
        Path | None, once(None, "FILE", "Draw accuracy against tokens: .svg, .png or .pdf.", "--plot")
    ] = None,
) -> None:
    """Score allocation policies on stored samples.

    Answers which policy needs the fewest tokens for your model and your questions, from one pool of samples. Needs no
    model. The report compares accuracy at equal tokens with uniform self-consistency.
    """
    from dynscale_cli.display.plots import check_plot, plot_replay
    from dynscale_cli.display.tables import bar, print_report, replay_tables
    from dynscale_cli.evaluation.logs import read_log
    from dynscale_cli.evaluation.replay import Setting, sweep

    policies, setting = _policies(policy), Setting(in_flight, confidence, exhaust)
    check_plot(plot)
    pools = [read_log(path) for path in logs]
    with bar() as shown:
        report = sweep(pools, policies, setting, seeds, lambda done, total: shown(done / total, "replaying"))
    if plot is not None:
        plot_replay(report, plot)
    print_report(report, lambda width: replay_tables(report), WIDTH, as_json=json_output)


def _policies(text: str) -> list[str]:
    """The names as the policies themselves write them, each once; `UsageError` where one is unknown."""
    from dynscale_cli.allocation.policies import parse_policy

    names = [parse_policy(name).name for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("no policy to replay", f"--policy {DEFAULT_POLICIES}")
    return list(dict.fromkeys(names))
