"""The runs that are kept: found by their ids, begun, gone on with, removed, and no larger together than allowed.

    store = Store()                                       # the user's own database
    recorder = store.create(request, questions)           # a new run, its request in the database
    run = Run(questions, engine, settings, journal=recorder)
    ... run.events() ...                                  # every finished sample is stored before it counts
    recorder.close()

    recorder, stored = store.reopen("k3f9q2")             # ours alone from here on
    recorder.resume(stored.budget)                        # or more

What a run spends it announces: before the tokens of a step are spent, `runs.spent` is a bound that they stay below.
Samples in flight die with the process; their tokens lie between what the samples account for and that bound, and stay
spent. So the budget holds over all parts of a run, a kill included. The newest bound counts: on a server, where
requests leave with all that they may cost, it falls again as they come back.

Owns names, locks, sizes and all writing. Reading is the business of `stored`, tables that of `database`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.paths import state_dir
from dynscale_cli.questions import Question

from . import database, stored
from .database import FILE, Checkpoints, Lock, explained, reason, transaction
from .events import Dropped, Ended, Result, Sampled, Sink, Start, members
from .request import RunRequest, as_text, from_json, now, seal
from .stored import HINT, StoredRun, Summary

MAX_BYTES: Final = 1_000_000_000
ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that can be read as something else
ID_LENGTH: Final = 6
STRIDE: Final = 256  # tokens that one bound announces, at most
SHARE: Final = 256  # and at most this part of the budget: what a kill can cost beyond what was in flight
ROW_BYTES: Final = 250  # of a sample, beside what it said
PORTION: Final = 1000  # rows that are written or deleted at once: others wait for no more than that


Values: TypeAlias = tuple[Any, ...] | dict[str, Any]  # what a statement takes


class Store:
    """The runs of one database, the user's own by default. `max_bytes` is kept by `trim`."""

    def __init__(self, path: Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.path = path or state_dir() / FILE
        self.max_bytes = max_bytes

    def create(self, request: RunRequest, questions: Sequence[Question]) -> Recorder:
        """A new run, with its request. Raises DynscaleError where none can be kept."""
        with explained(self.path):
            connection = database.connect(self.path, create=True)
            with _closed_unless_done(connection):
                id = self._insert(connection, request, questions)
                lock = Lock(self.path.parent, id)
                lock.take()
        return Recorder(self, id, connection, lock, request.settings.budget, begun_here=True)

    @property
    def writable(self) -> bool:
        """Whether a run could be begun now; makes the database for it."""
        try:
            database.connect(self.path, create=True).close()
        except (DynscaleError, OSError):
            return False
        return os.access(self.path.parent, os.W_OK | os.X_OK)

    def read(self, name: str | None = None) -> StoredRun:
        """The run of an id, or of the beginning of one; the newest without a name."""
        with self._opened() as connection:
            return stored.read(self.path, connection, self._find(connection, name))

    def reopen(self, name: str | None = None) -> tuple[Recorder, StoredRun]:
        """A run to be gone on with, and what is in it. Call `recorder.resume` before anything is drawn.

        Raises DynscaleError while another process writes to it.
        """
        id = self.find(name)
        lock = Lock(self.path.parent, id)
        if not lock.take():
            raise DynscaleError(f"run {id} is still going on", f"dynscale runs show {id}")
        try:
            with explained(self.path):
                run = self.read(id)
                connection = database.connect(self.path)
        except BaseException:
            lock.release()
            raise
        return Recorder(self, id, connection, lock, run.budget, spent=run.spent, came=run.came), run

    def ids(self) -> list[str]:
        """The ids of all runs, the last active first; none where there is no database."""
        with contextlib.suppress(NoRuns), self._opened() as connection:
            return [row["id"] for row in connection.execute("select id from runs order by active desc, rowid desc")]
        return []

    def summaries(self) -> list[Summary]:
        """All runs in a line each, the last active first."""
        with contextlib.suppress(NoRuns), self._opened() as connection:
            rows = connection.execute(stored.SUMMARY)
            return [stored.summary(row, self.path) for row in rows]
        return []

    def asked(self, command: str) -> Iterator[tuple[str, RunRequest]]:
        """(id, request) of the runs that a command began, the last active first; none that cannot be read."""
        statement = "select id, request from runs where command = ? order by active desc, rowid desc"
        with contextlib.suppress(NoRuns), self._opened() as connection:
            for row in connection.execute(statement, (command,)):
                with contextlib.suppress(DynscaleError, KeyError, TypeError, ValueError):
                    yield row["id"], from_json(json.loads(row["request"]))

    def find(self, name: str | None = None) -> str:
        """The id of a run by its beginning, the newest without one. Raises UsageError for none or many."""
        with self._opened() as connection:
            return self._find(connection, name)

    def remove(self, id: str) -> int:
        """Delete a run; the bytes it had. Raises DynscaleError while it is being written to."""
        lock = Lock(self.path.parent, id)
        if not lock.take():
            raise DynscaleError(f"run {id} is still going on", "stop it first, with Ctrl-C")
        try:
            with explained(self.path), contextlib.closing(database.connect(self.path, create=True)) as connection:
                size = _delete(connection, id)
                connection.executescript("pragma incremental_vacuum")  # `execute` frees a single page
            lock.unspoil()
        finally:
            lock.release()
        return size

    def trim(self, keep: str | None = None) -> list[str]:
        """Delete runs until the rest fits: finished ones first, the oldest of them first. Returns those that went.

        Runs that are going on stay, and so does `keep`.
        """
        gone = list[str]()
        with contextlib.suppress(NoRuns, DynscaleError), self._opened() as connection:
            if _used(connection) <= self.max_bytes:
                return []
            order = "select id from runs order by state != 'finished', active, rowid"
            for row in connection.execute(order).fetchall():
                if _used(connection) <= self.max_bytes:
                    break
                if row["id"] != keep:
                    with contextlib.suppress(DynscaleError):
                        self.remove(row["id"])
                        gone.append(row["id"])
        return gone

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with explained(self.path):
                connection = database.connect(self.path)
        except DynscaleError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise NoRuns() from None
            raise
        with contextlib.closing(connection), explained(self.path):
            yield connection

    def _find(self, connection: sqlite3.Connection, name: str | None) -> str:
        if name is None:
            newest = connection.execute("select id from runs order by active desc, rowid desc limit 1").fetchone()
            if newest is None:
                raise NoRuns()
            return str(newest["id"])
        name = name.strip().lower()
        if not name:
            raise UsageError("the id of the run is empty", HINT)
        found = connection.execute("select id from runs where substr(id, 1, ?) = ?", (len(name), name)).fetchall()
        if len(found) == 1:
            return str(found[0]["id"])
        if not found:
            raise UsageError(f"no run {name}", HINT)
        raise UsageError(f"{name} is the beginning of {len(found)} runs", HINT)

    def _insert(self, connection: sqlite3.Connection, request: RunRequest, questions: Sequence[Question]) -> str:
        at, text = now(), as_text(request)
        source = request.source["path"] if request.source else None
        while True:
            id = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
            try:
                with transaction(connection):
                    connection.execute(
                        "insert into runs (id, state, command, model, source, begun, active, questions, budget, bytes,"
                        " dynscale, seal, request) values (?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (
                            id, request.command, str(request.model.get("name", "")), source, request.started, at,
                            len(questions), request.settings.budget, len(text), request.dynscale,
                            seal(id, text, create=True), text,
                        ),
                    )  # fmt: skip
                    connection.executemany(
                        "insert into questions (run, place, id, question, choices, gold) values (?, ?, ?, ?, ?, ?)",
                        (_question(id, question) for question in questions),
                    )
            except sqlite3.IntegrityError:
                continue
            return id


class NoRuns(UsageError):
    """Nothing was ever kept."""

    def __init__(self) -> None:
        super().__init__("there are no runs yet", 'dynscale ask "What is 3 + 4?" begins one')


class Recorder(Sink):
    """One run that is open for writing: its `Sink`. Never raises once it has begun: the run goes on without its store,
    and `complaint` says once what could not be kept.

    What a step brought is written in one transaction: before the next step, and before an answer is told. `spent`: the
    bound that was announced last. `failure` tells what could not be kept, if anything; `cut_short`: whether a question
    would have got more samples for a larger `budget`; `drawn`: whether this part has drawn any.
    """

    def __init__(
        self,
        store: Store,
        id: str,
        connection: sqlite3.Connection,
        lock: Lock,
        budget: int,
        *,
        spent: int = 0,
        came: int = 0,
        begun_here: bool = False,
    ) -> None:
        self.id, self.path = id, store.path
        self.failure: str | None = None
        self.cut_short = False
        self._connection, self._lock = connection, lock
        self.budget, self._announced, self._came = budget, spent, came
        self._new, self._told, self._closed, self.drawn = begun_here, False, False, False
        self._waiting: list[tuple[str, Values]] = []  # statements of this step, and what they take
        self._bytes = 0
        self._inode = self.path.stat().st_ino
        self._checkpoints = Checkpoints(self.path)

    def resume(self, budget: int) -> None:
        """Another part of the run begins, with this budget over all parts. Raises DynscaleError where it cannot."""
        self.budget = budget
        statement = (
            "update runs set state = 'running', parts = parts + 1, budget = ?, spent = ?, active = ? where id = ?"
        )
        with explained(self.path), transaction(self._connection):
            self._connection.execute(statement, (budget, self._announced, now(), self.id))
        self._checkpoints.written()

    def started(self, start: Start) -> None:
        seen = json.dumps(start.seen) if start.seen else None
        values = {"run": self.id, "place": start.q, "number": start.number, "kind": start.kind, "seen": seen}
        self._waiting.append((_STARTED, values))

    def allow(self, spent: int) -> None:
        stride = min(STRIDE, self.budget // SHARE)
        if not spent <= self._announced <= spent + stride:
            self._announced = max(spent, min(self.budget, spent + stride))
            self._waiting.append(
                ("update runs set spent = ?, active = ? where id = ?", (self._announced, now(), self.id))
            )
        self._write()

    def returned(self, draw: Sampled | Dropped, time: float) -> None:
        row = {
            name: storable(value) if isinstance(value, str) else value for name, value in stored.as_row(draw).items()
        }
        self.drawn |= isinstance(draw, Sampled)
        self._came += 1
        self._bytes += ROW_BYTES + len(row.get("text") or "")
        columns = [name for name in row if name not in ("number", "place")]
        self._waiting.append((
            f"update draws set {', '.join(f'{name} = :{name}' for name in ('came', 'time', *columns))} "
            f"where run = :run and {_OPEN}",
            {**row, "run": self.id, "came": self._came, "time": round(time, 3)},
        ))  # fmt: skip

    def answered(self, result: Result, *, final: bool) -> None:
        values = members(result)
        del values["question"]
        text = json.dumps(values, default=members)
        self.cut_short |= result.stopped == "budget"
        self._bytes += len(text)
        row = storable(result.answer), result.confidence, result.stopped, result.samples, result.tokens.billed, final
        self._waiting.append((_ANSWERED, (*row, text, self.id, result.index)))
        if final or len(self._waiting) >= PORTION:
            self._write()

    def ended(self, ended: Ended) -> None:
        """The exact account, also where what was before it could not be kept."""
        answered = "(select count(*) from questions where run = runs.id and answer is not null)"
        self._waiting.append((
            f"update runs set state = ?, spent = ?, settled = ?, answered = {answered}, seconds = ?, active = ? "
            "where id = ?",
            (ended.how, ended.spent, ended.settled, round(ended.time, 3), now(), self.id),
        ))  # fmt: skip
        if self.failure is None:
            self._write()
        elif self._is_there():
            with contextlib.suppress(sqlite3.Error, OSError):
                self._commit(self._waiting[-1:])
                self._lock.unspoil()

    def complaint(self) -> str | None:
        if self.failure is None or self._told:
            return None
        self._told = True
        return self.failure

    def close(self, *, discard_empty: bool = False) -> None:
        """`discard_empty`: a run that has begun here and came to nothing leaves nothing."""
        if self._closed:
            return
        self._closed = True
        self._write()
        self._checkpoints.close()
        if self._new and not self.drawn and (discard_empty or self.failure is not None):
            with contextlib.suppress(sqlite3.Error):
                _delete(self._connection, self.id)
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._lock.release()

    def _write(self) -> None:
        """What this step has brought, in one transaction."""
        if self.failure is None and self._waiting:
            try:
                if not self._is_there():
                    return self._fail("it was deleted")
                self._commit(self._waiting)
            except (sqlite3.Error, OSError) as error:
                self._fail(reason(error))
        self._waiting.clear()

    def _commit(self, statements: Sequence[tuple[str, Values]]) -> None:
        with transaction(self._connection):
            for statement, values in statements:
                self._connection.execute(statement, values)
            if self._bytes:
                self._connection.execute("update runs set bytes = bytes + ? where id = ?", (self._bytes, self.id))
        self._bytes = 0
        self._checkpoints.written()

    def _is_there(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def _fail(self, why: str) -> None:
        """From here on nothing is kept, and so no token of the budget may be taken for unspent: a mark says so."""
        self.failure = f"cannot go on storing this run in {self.path}: {why}; what it draws from here on is not kept"
        self._waiting.clear()
        self._lock.spoil()


_OPEN: Final = "came is null and place = :place and number = :number"
_STARTED: Final = (
    "insert into draws (run, place, number, kind, seen) select :run, :place, :number, :kind, :seen "
    f"where not exists (select 1 from draws where run = :run and {_OPEN})"
)
_ANSWERED: Final = (
    "update questions set answer = ?, confidence = ?, stopped = ?, samples = ?, tokens = ?, final = ?, result = ? "
    "where run = ? and place = ?"
)


def storable(value: Any) -> Any:
    """As SQLite takes it: half of a pair of surrogates, as a server may send it, is no text."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _question(run: str, question: Question) -> tuple[Any, ...]:
    choices = json.dumps(question.choices) if question.choices else None
    text, gold = storable(question.text), storable(question.gold)
    return run, question.index, storable(question.id), text, choices, gold


def _delete(connection: sqlite3.Connection, id: str) -> int:
    """A run and all that belongs to it, in portions; the bytes it had."""
    found = connection.execute("select bytes from runs where id = ?", (id,)).fetchone()
    for table, key in (("draws", "draw"), ("questions", "place")):
        some = f"select {key} from {table} where run = ?1 limit {PORTION}"
        while connection.execute(f"delete from {table} where run = ?1 and {key} in ({some})", (id,)).rowcount:
            pass
    connection.execute("delete from runs where id = ?", (id,))
    return int(found["bytes"]) if found else 0


def _used(connection: sqlite3.Connection) -> int:
    """Bytes of the database that are in use."""
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (int(connection.execute(f"pragma {name}").fetchone()[0]) for name in names)
    return (pages - free) * size


@contextlib.contextmanager
def _closed_unless_done(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
