"""`dynscale runs resume`: a run is found, checked against what it was made with, and gone on with.

Owns what may have changed meanwhile and what may not. The going on is `session`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynscale_cli import config
from dynscale_cli.errors import UsageError

from .report import say

if TYPE_CHECKING:
    from dynscale_cli.engine.server.endpoints import ServerOptions
    from dynscale_cli.run.stored import StoredRun

    from .session import Asking


@dataclass(frozen=True, slots=True)
class Resuming:
    """What `dynscale runs resume` was told. `shown`: how `ask` would be told to show answers."""

    run: str | None
    budget: str | None
    stored_questions: bool
    model: str | None
    endpoints: tuple[str, ...]
    stall: float
    threads: int | None
    export: Path | None
    shown: Mapping[str, Any]


def resume(told: Resuming) -> int:
    """Go on with a run; the exit code. Raises DynscaleError where it cannot be, or should not."""
    from dynscale_cli.run.store import Store

    from .session import go_on

    store = Store()
    journal, stored = store.reopen(told.run)
    try:
        asking = _asking(told, stored)
        for damage in stored.damage if not told.shown["quiet"] else ():
            say(f"dynscale: {damage}; the run goes on without it")
        return go_on(asking, journal, stored)
    finally:
        journal.close()


def _asking(told: Resuming, stored: StoredRun) -> Asking:
    """The session that goes on with the run: put on the machine as before, shown as told now."""
    from dynscale_cli.engine.options import LoadOptions

    from .keeping import wishes
    from .session import Asking

    if not told.stored_questions:
        _same_questions(stored)
    request = stored.request
    options: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in request.options.items()
    }
    if told.threads is not None:
        options["threads"] = told.threads
    server = _server(told, stored)
    return Asking(
        arguments=(),
        file=None,
        limit=None,
        whole=False,
        model=None if server else told.model or _still_there(stored),
        options=LoadOptions(**options),
        server=server,
        without_effect=(),
        context=request.context,
        width=request.width,
        budget=config.Budget(_budget(told.budget, stored)),
        settings={},
        sampling=(0.0, 0.0, 0),
        system=None,
        prompt_file=None,
        show=False,
        export=told.export,
        journal=wishes(),
        **told.shown,
    )


def _budget(text: str | None, stored: StoredRun) -> int:
    """The budget over all parts of the run."""
    if text is None:
        return stored.budget
    more = text.strip().startswith("+")
    tokens = config.parse_budget(text.strip().removeprefix("+")).total(len(stored.questions))
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


def _server(told: Resuming, stored: StoredRun) -> ServerOptions | None:
    """The servers to go on with: those that had the model, or wherever it is served now."""
    from dynscale_cli.engine.server.endpoints import ServerOptions, require_client

    was = stored.request.model
    if was["kind"] == "server" and told.model is None:
        require_client()
        return ServerOptions(told.endpoints or tuple(was["path"].split(",")), was["served"], told.stall)
    if was["kind"] == "server" or told.endpoints:
        kind = "a server" if was["kind"] == "server" else "a model file"
        raise UsageError(f"run {stored.id} was made with {kind}: {was['path']}", f"dynscale runs resume {stored.id}")
    return None


def _still_there(stored: StoredRun) -> str:
    path: str = stored.request.model["path"]
    if not Path(path).exists():
        raise UsageError(
            f"{path}: the model of run {stored.id} is not there any more",
            f"name it where it is now: dynscale runs resume {stored.id} -m FILE",
        )
    return path
