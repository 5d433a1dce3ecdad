"""`dynscale runs`: what earlier runs have left, and going on with them.

Parses and delegates; runs are stored by `run`, shown by `display`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dynscale_cli.display.text import count
from dynscale_cli.errors import UsageError

from .completion import run_ids
from .options import Options, takes

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
@takes(
    "model",
    "threads",
    "rpc",
    "endpoint",
    "stall_timeout",
    "json",
    "unordered",
    "explain",
    "export",
    "quiet",
    "color",
)
def resume(
    options: Options,
    run: Run = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", "-b", metavar="[+]TOKENS", help="+20k: so much more; 60k or 2k/q: in all."),
    ] = None,
    stored_questions: Annotated[
        bool,
        typer.Option("--stored-questions", help="Go on with the questions as they were."),
    ] = False,
) -> int:
    """Go on with a run where it stopped, or buy more for one that is finished.

    Prints the answers of the whole run as `ask` would; what was drawn before is not drawn again.
    -m or --endpoint say where the same model is now, if it was moved.
    """
    from .resume import resume as go

    return go(options, run, budget, stored_questions=stored_questions)


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
