"""`dynscale runs resume`: a run is found, checked against what it was made with, and gone on with.

Owns what may have changed meanwhile and what may not. The going on is `session`'s business.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynscale_cli.display.text import say
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.errors import UsageError
from dynscale_cli.values import parse_budget

from .options import Options

if TYPE_CHECKING:
    from dynscale_cli.run.stored import StoredRun


def resume(options: Options, run: str | None, budget: str | None, *, stored_questions: bool) -> int:
    """Go on with a run; the exit code. Raises DynscaleError where it cannot be, or should not."""
    from dynscale_cli.run.store import Store

    from .session import go_on

    store = Store()
    journal, stored = store.reopen(run)
    try:
        if not stored_questions:
            _same_questions(stored)
        options = _as_before(options, stored)
        for damage in stored.damage if not options.quiet else ():
            say(f"dynscale: {damage}; the run goes on without it")
        return go_on(options, _budget(budget, stored), journal, stored)
    finally:
        journal.close()


def _as_before(options: Options, stored: StoredRun) -> Options:
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


def _budget(text: str | None, stored: StoredRun) -> int:
    """The budget over all parts of the run."""
    if text is None:
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


def _same_questions(stored: StoredRun) -> None:
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
            f"dynscale runs resume {stored.id} --stored-questions goes on with the questions as they were",
        )


def _model(options: Options, stored: StoredRun) -> dict[str, Any]:
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


def _servers(options: Options, stored: StoredRun) -> dict[str, Any]:
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


def _rpc(options: Options, stored: StoredRun, hosts: tuple[str, ...]) -> tuple[str, ...]:
    if options.rpc and (options.typed("rpc") or not stored.own):
        return options.loading().rpc
    if hosts and not stored.own:
        raise _foreign(stored, f"its RPC servers {','.join(hosts)}", f"--rpc {','.join(hosts)}")
    return hosts


def _foreign(stored: StoredRun, what: str, flag: str) -> UsageError:
    return UsageError(
        f"run {stored.id} was not begun here, and {what} is not used unless you name it",
        f"if you trust it: dynscale runs resume {stored.id} {flag}",
    )


def _still_there(stored: StoredRun) -> str:
    path: str = stored.request.model["path"]
    if not Path(path).exists():
        raise UsageError(
            f"{path}: the model of run {stored.id} is not there any more",
            f"name it where it is now: dynscale runs resume {stored.id} -m FILE",
        )
    return path
