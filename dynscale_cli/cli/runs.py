"""`dynscale runs`: what earlier runs have left, and going on with them.

Parses and delegates; journals are read in `runs`, shown by `display`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dynscale_cli.errors import UsageError

from .completion import run_ids
from .options import Options, takes

if TYPE_CHECKING:
    from dynscale_cli.run.stored import Stored

EXAMPLES = """
dynscale runs list
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
    from dynscale_cli.run.store import Store
    from dynscale_cli.run.summary import summaries

    found = summaries(Store())
    if json_output:
        import json
        from dataclasses import asdict

        for summary in found:
            print(json.dumps(asdict(summary), ensure_ascii=False))
        return
    from dynscale_cli.display.runs import print_list

    print_list(found)


@app.command()
def show(run: Run = None, json_output: Json = False) -> None:
    """Show a run: what was asked, how it stands, and its answers."""
    from dynscale_cli.run.store import Store

    stored = Store().read(run)
    if json_output:
        import json

        print(json.dumps(_described(stored), ensure_ascii=False))
        return
    from dynscale_cli.display.runs import print_run

    print_run(stored)


@app.command(epilog=EXAMPLES)
@takes(
    "model",
    "threads",
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
    from .resuming import resume as go

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
    finished: Annotated[bool, typer.Option("--finished", help="All that are finished.")] = False,
) -> None:
    """Remove runs."""
    from dynscale_cli.run.store import Store, is_finished

    store = Store()
    paths = [store.path(name) for name in runs or ()]
    if finished:
        paths += [path for path in store.paths() if path not in paths and is_finished(path)]
    elif not paths:
        raise UsageError("no run was named", "dynscale runs rm RUN, or --finished for all that are")
    for path in paths:
        store.remove(path)


@app.command()
def path(run: Run = None) -> None:
    """Print where runs are kept, or where one of them is."""
    from dynscale_cli.run.store import Store

    store = Store()
    print(store.path(run) if run is not None else store.folder)


def _described(stored: Stored) -> dict[str, Any]:
    from dataclasses import asdict

    from dynscale_cli.run.summary import state_of

    return {
        "id": stored.id,
        "state": state_of(stored),
        "request": asdict(stored.request),
        "budget": stored.budget,
        "spent": stored.spent,
        "parts": stored.parts,
        "damage": [asdict(damage) for damage in stored.damage],
        "results": [asdict(stored.results[index]) for index in sorted(stored.results)],
    }
