"""`dynscale runs`: what earlier runs have left, and going on with them.

Owns what may have changed since a run began, and what may not. Runs are stored by `run`, shown by `display`; running
is `session`'s business.
"""


# No postponed annotations: typer reads the fields' types.

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dynscale_cli.display.text import count, say
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.values import parse_budget

from .help import run_ids
from .options import Options, declared, notice, takes

if TYPE_CHECKING:
    from dynscale_cli.run.store import Recorder
    from dynscale_cli.run.stored import StoredRun

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


RUN = typer.Argument(metavar="[RUN]", help="A run's id or its beginning; else the newest.", autocompletion=run_ids)
Run = Annotated[str | None, RUN]
Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN", help="Ids of runs, or their beginnings.", autocompletion=run_ids),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ResumeOptions(Options):
    run: str | None = declared(None, RUN)
    budget: str = declared(
        "", typer.Option("--budget", "-b", metavar="[+]TOKENS", help="+20k: so much more; 60k or 2k/q: in all.")
    )
    stored_questions: bool = declared(
        False, typer.Option("--stored-questions", help="Go on with the questions as they were.")
    )


@app.command("list")
def list_runs(json_output: Json = False) -> None:
    """List the runs, the last active first."""
    from dynscale_cli.display.listings import print_list
    from dynscale_cli.run.store import Store

    print_list(Store().summaries(), as_json=json_output)


@app.command()
def show(
    run: Run = None,
    samples: Annotated[bool, typer.Option("--samples", help="What each sample said, too.")] = False,
    json_output: Json = False,
) -> None:
    """Show a run: what was asked, how it stands, and its answers."""
    from dynscale_cli.display.listings import print_run
    from dynscale_cli.run.store import Store

    print_run(Store().read(run), samples=samples, as_json=json_output)


@app.command(epilog=EXAMPLES)
@takes("model threads rpc endpoint stall_timeout json unordered explain export quiet color")
def resume(options: ResumeOptions) -> int:
    """Go on with a run where it stopped, or buy more for one that is finished.

    Prints the answers of the whole run as `ask` would; what was drawn before is not drawn again.
    -m or --endpoint say where the same model is now, if it was moved.
    """
    from dynscale_cli.run.store import Store

    store = Store()
    journal, stored = store.reopen(options.run)
    try:
        if not options.stored_questions:
            _same_questions(stored)
        before = _as_before(options, stored)
        for damage in stored.damage if not options.quiet else ():
            say(f"dynscale: {damage}; the run goes on without it")
        return _go_on(before, _budget(options.budget, stored), journal, stored)
    finally:
        journal.close()


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


# --- going on with a run: what may have changed meanwhile, and what may not ---------------------------------------


def _as_before(options: Options, stored: "StoredRun") -> Options:
    """The model put on the machine as before, wherever it is now; all else as it is told now."""
    was, known = stored.request, {each.name for each in fields(LoadOptions)}
    told: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in was.options.items()}
    loaded = LoadOptions(**{name: value for name, value in told.items() if name in known})
    loaded = replace(loaded, rpc=_rpc(options, stored, loaded.rpc))
    if options.typed("threads"):
        loaded = replace(loaded, threads=options.threads)
    thinking = stored.settings.max_thinking
    return replace(
        options,
        **_model(options, stored),
        loaded=loaded,
        ctx_size=was.context,
        parallel=was.width,
        max_thinking=None if thinking is None else str(thinking),
    )


def _budget(text: str, stored: "StoredRun") -> int:
    """The budget over all parts of the run; as it was, where nothing else is said."""
    if not text:
        return stored.budget
    more = text.strip().startswith("+")
    tokens = parse_budget(text.strip().removeprefix("+")).total(len(stored.questions))
    total = stored.budget + tokens if more else tokens
    if total < stored.spent:
        rest = f"--budget +{stored.spent - stored.budget + tokens}" if more else f"--budget +{text.strip()}"
        raise UsageError(
            f"--budget {text}: run {stored.id} has spent {stored.spent:,} tokens already", f"{rest} for so many more"
        )
    return total


def _same_questions(stored: "StoredRun") -> None:
    """Raise UsageError where the file of questions is another now. One that is gone has not changed."""
    from dynscale_cli.run.request import file_hash

    source = stored.request.source
    if source is None or not Path(source["path"]).is_file():
        return
    try:
        same = file_hash(Path(source["path"])) == source["sha256"]
    except OSError:
        return
    if not same:
        raise UsageError(
            f"{source['path']} has changed since run {stored.id} began",
            f"dynscale runs resume {stored.id} --stored-questions asks them as they were",
        )


def _model(options: Options, stored: "StoredRun") -> dict[str, Any]:
    """The file or the servers to go on with: those that had the model, or wherever it is said to be now.

    What a run from somewhere else names is not touched unless the user has named it, too.
    """
    was, id = stored.request.model, stored.id
    server = was["kind"] == "server"
    if options.typed("model" if server else "endpoint"):
        kind = "a server" if server else "a model file"
        raise UsageError(f"run {id} was made with {kind}: {was['path']}", f"dynscale runs resume {id}")
    if server:
        return {"model": None, "served_model": was["served"], **_servers(options, stored)}
    if options.typed("model") or (options.model and not stored.own):
        return {"endpoint": None}
    if not stored.own:
        raise _foreign(stored, f"its model {was['path']}", f"-m {was['path']}")
    return {"model": _still_there(stored), "endpoint": None}


def _servers(options: Options, stored: "StoredRun") -> dict[str, Any]:
    """A key goes only to servers that the user has named: in this call, the environment or the settings."""
    from dynscale_cli.engine.server.endpoints import address

    if options.typed("endpoint") or (options.endpoint and not stored.own):
        return {}
    urls = stored.request.model["path"].split(",")
    if {address(url) for url in urls} <= {address(url) for url in options.endpoint or ()}:
        return {}
    if not stored.own:
        flags = " ".join(f"--endpoint {url}" for url in urls)
        raise _foreign(stored, f"its server {', '.join(urls)}", flags)
    return {"endpoint": urls, "sources": {**options.sources, "endpoint": "DEFAULT"}}


def _rpc(options: Options, stored: "StoredRun", hosts: tuple[str, ...]) -> tuple[str, ...]:
    if options.rpc and (options.typed("rpc") or not stored.own):
        return options.loading().rpc
    if hosts and not stored.own:
        raise _foreign(stored, f"its RPC servers {','.join(hosts)}", f"--rpc {','.join(hosts)}")
    return hosts


def _foreign(stored: "StoredRun", what: str, flag: str) -> UsageError:
    return UsageError(
        f"run {stored.id} was not begun here, and {what} is not used unless you name it",
        f"if you trust it: dynscale runs resume {stored.id} {flag}",
    )


def _still_there(stored: "StoredRun") -> str:
    path: str = stored.request.model["path"]
    if not Path(path).exists():
        raise UsageError(
            f"{path}: the model of run {stored.id} is not there any more",
            f"name it where it is now: dynscale runs resume {stored.id} -m FILE",
        )
    return path


def _go_on(options: Options, budget: int, journal: "Recorder", stored: "StoredRun") -> int:
    """Go on with a run where it stopped, up to `budget` tokens over all its parts; the exit code.

    `options` says with which model and how to show it.
    """
    from dynscale_cli.run.stored import Past

    from .opening import open_model
    from .session import KeptRun, run_session, sized_engine, watch

    kept = KeptRun(options, journal)
    with watch() as interrupts:
        model = open_model(options, notice(options))
        _same_model(stored, model.identity())
        settings = replace(stored.settings, budget=budget, stream=options.show)
        engine = sized_engine(options, model, stored.questions, settings, interrupts)
        try:
            journal.resume(settings.budget)
        except DynscaleError as error:  # what is spent from here on would be spent again
            engine.close()
            raise DynscaleError(f"{error.message}: the run stays as it is", error.hint) from error
        return run_session(options, stored.questions, settings, engine, kept, interrupts, Past(stored))


def _same_model(stored: "StoredRun", identity: dict[str, Any]) -> None:
    from dynscale_cli.run.request import difference

    if changed := difference(stored.request.model, identity):
        was = stored.request.model
        flag = "--endpoint URL" if was["kind"] == "server" else "-m FILE"
        raise UsageError(
            f"run {stored.id} was made with another model than {identity['path']}: {changed}",
            f"dynscale runs resume {stored.id} {flag}, where that is {was['path']}",
        )
