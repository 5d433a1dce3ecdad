"""What is stored of a run: the request, the questions, the results, and on demand every sample.

Owns the reading, and what a run looks like in a line. Never writes. Knows nothing of terminals.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.errors import DynscaleError
from dynscale_cli.questions import Question
from dynscale_cli.sampling.samples import Sample

from . import database
from .database import Lock, explained
from .events import KindReport, Result
from .request import RunRequest, from_json, seal
from .settings import Settings
from .sink import Dropped, Ended, How, Sampled, Start

BENCH: Final = "bench"  # the command that draws pools
HINT: Final = "dynscale runs list shows what there is"
ENDS: Final = ("finished", "interrupted", "failed")
SUMMARY: Final = (
    "select runs.*, (select question from questions where run = runs.id order by place limit 1) as first,"
    " (select count(*) from questions where run = runs.id and answer is not null) as answers"
    " from runs order by active desc, rowid desc"
)

COLUMNS: Final = frozenset(
    {"number", "kind", "text", "answer", "key", "tokens", "finish", "forced", "weight", "logprob", "seen"}
)

State = Literal["running", "finished", "interrupted", "failed", "killed", "damaged", "newer"]


@dataclass(slots=True)
class StoredRun:
    """One run as it was when it was read.

    `results`: the newest told of each question, by its index; `final`: those that will not change with more budget.
    `spent`: a bound that no part of the run has passed, exact where the run has `ended`. `own`: it was begun here, and
    its request is as it was then. `came`: how many samples came back or were dropped. `draws()` reads them anew.
    """

    path: Path
    id: str
    state: State
    request: RunRequest
    questions: list[Question]
    budget: int
    spent: int
    parts: int
    own: bool
    came: int
    ended: Ended | None = None
    results: dict[int, Result] = field(default_factory=dict)
    final: set[int] = field(default_factory=set)
    damage: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """Those of the request, with the budget of the newest part."""
        return replace(self.request.settings, budget=self.budget)

    def draws(self) -> Iterator[tuple[float, Sampled | Dropped]]:
        """Every sample that came back or was dropped, in the order in which that happened, and the run's time then."""
        for row in self._rows("came is not null", "came"):
            yield row["time"] or 0.0, _draw(row, self)

    def in_flight(self) -> list[Start]:
        """The samples that were in flight when the run stopped, in the order in which they began."""
        return [_start(row) for row in self._rows("came is null", "draw")]

    def as_begun(self) -> Iterator[Start | Sampled | Dropped]:
        """Everything that was drawn, in the order in which it began."""
        for row in self._rows("true", "draw"):
            yield _start(row) if row["came"] is None else _draw(row, self)

    def samples(self) -> Iterator[tuple[int, Sample]]:
        """(index of the question, sample), in the order in which they came in."""
        for _, draw in self.draws():
            if isinstance(draw, Sampled):
                yield draw.q, draw.sample

    def _rows(self, which: str, order: str) -> Iterator[sqlite3.Row]:
        with explained(self.path), closing(database.connect(self.path)) as connection:
            yield from connection.execute(f"select * from draws where run = ? and {which} order by {order}", (self.id,))


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in a line. `answered`: questions with an answer, of `questions`; `spent` of `budget` in tokens; `size` in
    bytes; `question`: the first. Of a damaged run, and of one that only a `newer` dynscale can read, no more is known.
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
    question: str = ""

    @property
    def is_pool(self) -> bool:
        """Whether it is one of those that `bench` draws from."""
        return self.command.startswith(BENCH)


def summary(row: sqlite3.Row, path: Path) -> Summary:
    """Of a row of SUMMARY. One that is not as it should be is a damaged run, and nothing else."""
    state = _state(row, path)
    try:
        from_json(json.loads(row["request"]))
        return Summary(
            str(row["id"]), state, str(row["begun"]), int(row["questions"]), int(row["answers"]), _spent(row, path),
            int(row["budget"]), str(row["model"]), Path(row["source"] or "").name, int(row["bytes"]),
            str(row["command"]), str(row["dynscale"]), str(row["first"] or ""),
        )  # fmt: skip
    except DynscaleError:
        return Summary(str(row["id"]), "newer", dynscale=str(row["dynscale"]))
    except (KeyError, TypeError, ValueError):
        return Summary(str(row["id"]), "damaged")


def read(path: Path, connection: sqlite3.Connection, id: str) -> StoredRun:
    """A run. Raises DynscaleError where its request cannot be read."""
    row = connection.execute("select * from runs where id = ?", (id,)).fetchone()
    try:
        request = from_json(json.loads(row["request"]), f"run {id}")
        spent, budget = _spent(row, path), int(row["budget"])
        came = connection.execute("select max(came) from draws where run = ?", (id,)).fetchone()[0]
    except (KeyError, TypeError, ValueError):
        raise DynscaleError(f"{path}: what run {id} was asked is damaged", f"dynscale runs rm {id}") from None
    own = row["seal"] is not None and row["seal"] == seal(id, row["request"])
    run = StoredRun(path, id, _state(row, path), request, [], budget, spent, int(row["parts"]), own, came or 0)
    for found in connection.execute("select * from questions where run = ? order by place", (id,)):
        _add(run, found)
    if len(run.questions) != request.questions:
        raise DynscaleError(f"{path}: questions of run {id} are missing", f"dynscale runs rm {id}")
    if row["state"] in ENDS:
        unanswered = len(run.questions) - int(row["answered"])
        run.ended = Ended(row["state"], spent, budget, int(row["settled"]), unanswered, float(row["seconds"]))
    return run


def _add(run: StoredRun, row: sqlite3.Row) -> None:
    place = len(run.questions)
    choices = tuple(json.loads(row["choices"])) if row["choices"] else ()
    run.questions.append(Question(place, row["id"], row["question"], choices, row["gold"]))
    if row["result"] is None:
        return
    try:
        values = json.loads(row["result"])
        known = {f.name: values[f.name] for f in fields(Result) if f.name in values}
        known["tokens"] = Tokens(**values["tokens"])
        known["kinds"] = {kind: KindReport(**report) for kind, report in values["kinds"].items()}
        run.results[place] = Result(**{**known, "question": row["question"]})
    except (KeyError, TypeError, ValueError):
        run.damage.append(f"the result of question {place + 1} cannot be read")
    else:
        if row["final"]:
            run.final.add(place)


def _state(row: sqlite3.Row, path: Path) -> State:
    if Lock(path.parent, row["id"]).is_live:
        return "running"
    state: How = row["state"]
    return state if state in ENDS else "killed"


def _spent(row: sqlite3.Row, path: Path) -> int:
    spoiled = Lock(path.parent, row["id"]).is_spoiled
    return max(int(row["spent"]), int(row["budget"])) if spoiled else int(row["spent"])


def _start(row: Mapping[str, Any] | sqlite3.Row) -> Start:
    return Start(row["place"], row["number"], row["kind"], _seen(row))


def _seen(row: Mapping[str, Any] | sqlite3.Row) -> tuple[int, ...]:
    return tuple(json.loads(row["seen"])) if row["seen"] else ()


def beside_columns(sample: Sample) -> str | None:
    """What is known of a sample beyond the columns of `draws`, where it is not as usual."""
    more = [each for each in fields(Sample) if each.name not in COLUMNS]
    found = {each.name: value for each in more if (value := getattr(sample, each.name)) != each.default}
    return json.dumps(found) if found else None


def _draw(row: sqlite3.Row, run: StoredRun) -> Sampled | Dropped:
    try:
        q, number, kind = row["place"], row["number"], row["kind"]
        run.questions[q]
        tokens = Tokens(int(row["prompt"]), int(row["generated"]), int(row["reused"]))
        if row["finish"] in ("dropped", "failed"):
            return Dropped(q, number, kind, tokens, row["error"], bool(row["final"]))
        sample = Sample(
            number=number,
            kind=kind,
            text=row["text"],
            answer=row["answer"],
            key=row["key"],
            tokens=tokens,
            finish=row["finish"],
            forced=bool(row["forced"]),
            weight=float(row["weight"]),
            logprob=row["logprob"],
            seen=_seen(row),
            **(json.loads(row["more"]) if row["more"] else {}),
        )
        return Sampled(q, sample)
    except (KeyError, TypeError, ValueError, IndexError):
        raise DynscaleError(f"{run.path}: draw {row['draw']} of run {run.id} is damaged", HINT) from None
