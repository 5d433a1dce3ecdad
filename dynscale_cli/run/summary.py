"""A run in one line: what `runs list` shows, read from both ends of its journal.

Only where a run was killed or is going on is the middle looked through, and hardly a line of it parsed.
Knows nothing of terminals.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from dynscale_cli.errors import DynscaleError

from . import entries
from .request import Newer
from .store import Store, is_live
from .stored import Stored, read_request

State = Literal["running", "finished", "interrupted", "failed", "killed", "damaged", "newer"]
TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Summary:
    """`answered`: questions with an answer, of `questions`; `spent` of `budget` in tokens; `size` in bytes.

    Of a run that only a `newer` dynscale can read, no more is known.
    """

    id: str
    state: State
    started: str = ""
    questions: int = 0
    answered: int = 0
    spent: int = 0
    budget: int = 0
    model: str = ""
    source: str = ""
    size: int = 0
    command: str = ""
    dynscale: str = ""  # the version that wrote it


def summaries(store: Store) -> list[Summary]:
    """All runs, the newest first."""
    found = []
    for path in store.paths():
        with contextlib.suppress(OSError):  # another process has just removed it
            found.append(summary(path))
    return found


def summary(path: Path) -> Summary:
    size = path.stat().st_size
    try:
        request = read_request(path)
    except Newer as error:
        return Summary(path.stem, "running" if is_live(path) else "newer", size=size, dynscale=str(error.version))
    except DynscaleError:
        return Summary(path.stem, "running" if is_live(path) else "damaged", size=size)
    with path.open("rb") as file:
        last = _last(file)
        account = _ended(last, request.questions) if last is not None else None
        answered, spent, budget = account or _looked_through(file, request.settings.budget)
    state: State = "running" if is_live(path) else last["how"] if last is not None else "killed"
    source = Path(request.source["path"]).name if request.source else ""
    return Summary(
        path.stem, state, request.started, request.questions, answered, spent, budget, request.model["name"], source,
        size, request.command, request.dynscale,
    )  # fmt: skip


def state_of(stored: Stored) -> State:
    if is_live(stored.path):
        return "running"
    return stored.ended.how if stored.ended is not None else "killed"


def _last(file: BinaryIO) -> dict[str, Any] | None:
    """The last line, if it is an end."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL_BYTES))
    raw = file.read().removesuffix(b"\n").rpartition(b"\n")[2]
    if entries.kind_of(raw) != "end":
        return None
    with contextlib.suppress(KeyError, TypeError):
        return asdict(entries.end(json.loads(raw)))
    return None


def _ended(end: dict[str, Any], questions: int) -> tuple[int, int, int]:
    return questions - end["unanswered"], end["spent"], end["budget"]


def _looked_through(file: BinaryIO, budget: int) -> tuple[int, int, int]:
    """(answered, spent, budget) as far as the lines tell that are there."""
    answered = spent = 0
    file.seek(0)
    for raw in file:
        if raw.startswith(b'{"type":"answer"'):
            answered += raw[:-1].removesuffix(raw[-1 - entries.TAIL_LENGTH : -1]).endswith(b'"final":true')
        elif raw.startswith((b'{"type":"spent"', b'{"type":"resume"')) and entries.kind_of(raw[:-1]):
            values = json.loads(raw)
            spent, budget = values.get("upto", values.get("spent", spent)), values.get("budget", budget)
    return answered, spent, budget
