"""What is stored of a run: the request, the questions, the results, on demand every sample; and resuming from it.

Owns the reading, what a run looks like in a line, what a sample looks like as a row, and the order in which a resumed
run's state is moved again. Samples that never came back were in flight when the run stopped, and are drawn again under
the same numbers. Never writes. Knows nothing of engines or terminals.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.errors import DynscaleError
from dynscale_cli.questions import Question
from dynscale_cli.sampling.samples import Sample

from . import database
from .database import Lock, explained
from .events import (
    Answered,
    Dropped,
    Ended,
    Event,
    How,
    KindReport,
    Notice,
    Result,
    Sampled,
    SampleFinished,
    SampleStarted,
    Start,
    Stopped,
)
from .request import RunRequest, Settings, from_json, seal

if TYPE_CHECKING:
    from .state import RunState

BENCH: Final = "bench"  # the command that draws pools
HINT: Final = "dynscale runs list shows what there is"
ENDS: Final = ("finished", "interrupted", "failed")
SUMMARY: Final = (
    "select runs.*, (select question from questions where run = runs.id order by place limit 1) as first,"
    " (select count(*) from questions where run = runs.id and answer is not null) as answers"
    " from runs order by active desc, rowid desc"
)

COLUMNS: Final = ("answer", "key", "forced", "finish", "weight", "logprob", "text")  # as in a Sample
BESIDE: Final = (*COLUMNS, "number", "kind", "seen", "tokens")  # what is in no `more`

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


def _start(row: sqlite3.Row) -> Start:
    return Start(row["place"], row["number"], row["kind"], _seen(row))


def _seen(row: sqlite3.Row) -> tuple[int, ...]:
    return tuple(json.loads(row["seen"])) if row["seen"] else ()


def as_row(draw: Sampled | Dropped) -> dict[str, Any]:
    """What `draws` has of a sample that is over, by column; `more`: what is not as usual and has no column."""
    if isinstance(draw, Dropped):
        finish = "dropped" if draw.failed is None else "failed"
        row = {"number": draw.number, "finish": finish, "error": draw.failed, "final": draw.final}
        tokens = draw.tokens
    else:
        sample, tokens = draw.sample, draw.sample.tokens
        others = [each for each in fields(Sample) if each.name not in BESIDE]
        more = {each.name: value for each in others if (value := getattr(sample, each.name)) != each.default}
        row = {name: getattr(sample, name) for name in ("number", *COLUMNS)}
        row["more"] = json.dumps(more) if more else None
    return {**row, "place": draw.q, **{name: getattr(tokens, name) for name in ("prompt", "generated", "reused")}}


def _draw(row: sqlite3.Row, run: StoredRun) -> Sampled | Dropped:
    try:
        q, number, kind = row["place"], row["number"], row["kind"]
        run.questions[q]
        tokens = Tokens(int(row["prompt"]), int(row["generated"]), int(row["reused"]))
        if row["finish"] in ("dropped", "failed"):
            return Dropped(q, number, kind, tokens, row["error"], bool(row["final"]))
        told = {name: row[name] for name in COLUMNS}
        told |= {"weight": float(row["weight"]), "forced": bool(row["forced"])}
        more = json.loads(row["more"]) if row["more"] else {}
        return Sampled(q, Sample(number=number, kind=kind, tokens=tokens, seen=_seen(row), **told, **more))
    except (KeyError, TypeError, ValueError, IndexError):
        raise DynscaleError(f"{run.path}: draw {row['draw']} of run {run.id} is damaged", HINT) from None


class Past:
    """What is stored of a run. `replay` it once, which takes the results out of `stored`: they are told and not needed
    again. `told`: all of it is in the state.
    """

    def __init__(self, stored: StoredRun) -> None:
        self._stored = stored
        self.told = False

    def account(self, budget: int) -> Ended | None:
        """How a part ends that is left before the past is `told`: as the one before did, if that is known."""
        ended = self._stored.ended
        if ended is None:
            return None
        return replace(ended, how=ended.how if budget <= ended.budget else "interrupted", budget=budget)

    def replay(self, state: RunState) -> Iterator[Event]:
        """Move `state` as the run did, and tell it as events."""
        stored = self._stored
        for time, draw in stored.draws():
            state.time = max(state.time, time)
            if not state.answered[draw.q]:
                yield from self._sampled(state, draw) if isinstance(draw, Sampled) else self._dropped(state, draw)
            else:  # paid for, though its question needed it no more
                state.tokens += draw.tokens if isinstance(draw, Dropped) else draw.sample.tokens
        for start in stored.in_flight():
            if not state.answered[start.q]:
                state.question(start.q).expect(start.number)
        for q in sorted(stored.final):  # such as a question that no prompt could be made of
            yield from self._finish(state, q, stored.results[q].stopped)
        if stored.ended is not None:
            state.time = max(state.time, stored.ended.time)
        spent = max(state.tokens.billed, stored.spent)
        state.lost = spent - state.tokens.billed
        state.ledger = Ledger(state.settings.budget, min(spent, state.settings.budget))
        state.ledger.overdrawn = spent - state.ledger.spent  # by a server that did not keep to what it was asked for
        stored.results.clear()
        self.told = True
        yield Notice(self._summary(state))

    def _sampled(self, state: RunState, sampled: Sampled) -> Iterator[Event]:
        q, sample, question = sampled.q, sampled.sample, state.questions[sampled.q]
        state.begin(q, sample.number)
        yield SampleStarted(q, question.id, question.text, sample.number, sample.kind, state.standing(q))
        stopped = state.count(q, sample)
        yield SampleFinished(q, sample, state.standing(q))
        if stopped is not None:
            yield from self._finish(state, q, stopped)

    def _dropped(self, state: RunState, dropped: Dropped) -> Iterator[Event]:
        q = dropped.q
        if dropped.failed is None:
            state.pay(q, dropped.kind, dropped.tokens)
            state.question(q).expect(dropped.number)
            return
        state.begin(q, dropped.number)
        stopped = state.drop(dropped)
        if stopped is not None:
            yield from self._finish(state, q, stopped)

    def _finish(self, state: RunState, q: int, stopped: Stopped) -> Iterator[Event]:
        """A question is done: as it was told then, where it was."""
        if not state.answered[q]:
            known = self._stored.results[q] if q in self._stored.final else None
            yield Answered(state.finish(q, stopped, known), replayed=True)

    def _summary(self, state: RunState) -> str:
        done, left = sum(state.answered), state.ledger.free
        lost = f", {state.lost:,} of them lost with the process" if state.lost else ""
        spent = f"{state.ledger.spent:,} tokens spent{lost}, {left:,} left"
        ended = self._stored.ended
        if ended is not None and ended.how == "finished" and state.settings.budget <= ended.budget:
            return f"run {self._stored.id} is finished: {spent}; --budget +20k would buy more"
        return f"run {self._stored.id} goes on: {done:,} of {len(state.questions):,} questions are done, {spent}"
