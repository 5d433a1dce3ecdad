"""`dynscale runs`: what earlier runs have left, and going on with them.

Parses and delegates; runs are stored by `run`, shown by `display`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dynscale_cli.display.words import count
from dynscale_cli.errors import UsageError

from . import flags
from .complete import model_names, run_ids

EXAMPLES = """
dynscale runs list
dynscale runs show --samples
dynscale runs resume k3f9q2
dynscale runs resume k3f9q2 --budget +20k --json
"""
app = typer.Typer(
    no_args_is_help=True,
    help="Earlier runs: look at them, go on with them, export their samples.",
    epilog=EXAMPLES,
)


Run = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="A run's id or its beginning; else the newest.", autocompletion=run_ids),
]
Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN", help="Ids of runs, or their beginnings.", autocompletion=run_ids),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_runs(json_output: Json = False) -> None:
    """List the runs, the last active first."""
    from dynscale_cli.display.runs import print_list
    from dynscale_cli.run.store import Store

    print_list(Store().summaries(), as_json=json_output)


@app.command()
def show(
    run: Run = None,
    samples: Annotated[bool, typer.Option("--samples", help="What each sample said, too.")] = False,
    json_output: Json = False,
) -> None:
    """Show a run: what was asked, how it stands, and its answers."""
    from dynscale_cli.display.runs import print_run
    from dynscale_cli.run.store import Store

    print_run(Store().read(run), samples=samples, as_json=json_output)


@app.command(epilog=EXAMPLES)
def resume(
    run: Run = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", "-b", metavar="[+]TOKENS", help="+20k: so much more; 60k or 2k/q: in all."),
    ] = None,
    stored_questions: Annotated[
        bool,
        typer.Option("--stored-questions", help="Go on with the questions as they were."),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="Where the same model is now, if it was moved.",
            autocompletion=model_names,
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option("--endpoint", metavar="URL", help="Where the same model is served now.")
    ] = None,
    stall_timeout: flags.StallTimeout = 120.0,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", "-t", metavar="N", min=0, max=flags.THREADS, help="CPU threads; 0: one for each core."
        ),
    ] = None,
    json_output: flags.JsonOutput = False,
    unordered: flags.Unordered = False,
    explain: flags.Explain = False,
    export: flags.Export = None,
    quiet: flags.Quiet = False,
    color: flags.Color = True,
) -> int:
    """Go on with a run where it stopped, or buy more for one that is finished.

    Prints the answers of the whole run as `ask` would; what was drawn before is not drawn again.
    """
    from .resuming import Resuming
    from .resuming import resume as go

    shown = {"json": json_output, "unordered": unordered, "explain": explain, "quiet": quiet, "color": color}
    servers = tuple(endpoint or ())
    return go(Resuming(run, budget, stored_questions, model, servers, stall_timeout, threads, export, shown))


@app.command()
def export(
    run: Run = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to standard output.")
    ] = None,
) -> None:
    """Write a run's parallel samples as a pool for `dynscale replay`."""
    from dynscale_cli.run.export import export_run
    from dynscale_cli.run.store import Store

    export_run(Store().read(run), file)


@app.command()
def rm(
    runs: Runs = None,
    finished: Annotated[
        bool, typer.Option("--finished", help="All that are finished; what `bench` has drawn stays.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove runs."""
    from dynscale_cli.run.store import Store

    store = Store()
    ids = list(dict.fromkeys(store.find(name) for name in runs or ()))
    if finished:
        done = [run.id for run in store.summaries() if run.state == "finished" and not run.is_pool]
        more = [id for id in done if id not in ids]
        if more and not yes and sys.stdin is not None and sys.stdin.isatty():
            typer.confirm(f"Remove {count(len(more), 'finished run')}?", abort=True, err=True)
        ids += more
    elif not ids:
        raise UsageError("no run was named", "dynscale runs rm RUN, or --finished for all that are")
    for id in ids:
        store.remove(id)
    if finished:
        print(f"removed {count(len(ids), 'run')}")


@app.command()
def path(run: Run = None) -> None:
    """Print where runs are kept: a database for sqlite3."""
    from dynscale_cli.run.store import Store

    store = Store()
    if run is not None:
        store.find(run)
    print(store.path)
