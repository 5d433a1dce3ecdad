"""The database of runs: its tables, how it is opened, and what an error of it means to the user.

One SQLite file, private to the user, that a person can query:

    sqlite3 runs.db 'select id, state, model, spent, budget from runs'
    sqlite3 runs.db 'select question, answer, confidence from questions'
    sqlite3 runs.db 'select question, answer, text from samples'

`runs` has a row a run, `questions` a row a question with its result, `samples` a row a finished sample; it is a view of
`draws`, which also has the samples in flight (`finish` is null) and those that came to nothing. `spent` is a bound that
no part of a run has passed, exact once it has ended.

It survives a kill: it is in WAL mode, so what is committed is in the system's hands at once, and nobody waits for the
disk. Owns connections, the schema and locks. Knows nothing of what a run is.

A second database is temporary: what of a run waits for its turn. Ten thousand questions can be open at once, and wait
for their next sample for hours; their states lie there, in memory while it is small, then in a file that goes with the
process. Nothing of a state is known but whether its question has a sample in flight.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pickle
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from dynscale_cli.errors import DynscaleError
from dynscale_cli.paths import make_private
from dynscale_cli.questions import Question

FILE: Final = "runs.db"  # in the state folder
VERSION: Final = 1  # of the schema; a database of a higher one is left alone
PATIENCE: Final = 30.0  # seconds for which a transaction waits for that of another process
LOOKING: Final = 0.3  # seconds; who looks whether a run is going on holds its lock for as long as that takes
CHECKPOINT_SECONDS: Final = 1.0
LOCKS: Final = "locks"
AT_HAND: Final = 64  # states in memory, beside those with a sample in flight
CACHE_KIB: Final = 1024  # of the temporary database, what SQLite keeps in memory

SCHEMA: Final = """
create table runs (
    id text primary key, state text not null, command text not null, model text not null, source text,
    begun text not null, active text not null, parts integer not null default 1, questions integer not null,
    answered integer not null default 0, settled integer not null default 0, budget integer not null,
    spent integer not null default 0, seconds real not null default 0, bytes integer not null default 0,
    dynscale text not null, seal text, request text not null);
create table questions (
    run text not null, place integer not null, id text not null, question text not null, choices text, gold text,
    answer text, confidence real, stopped text, samples integer, tokens integer, final integer not null default 0,
    result text, primary key (run, place)) without rowid;
create table draws (
    draw integer primary key, run text not null, place integer not null, number integer not null, kind text not null,
    seen text, came integer, time real, finish text, answer text, key text, forced integer,
    prompt integer, generated integer, reused integer, weight real, logprob real, text text, error text, final integer,
    more text);
create index draws_as_they_came on draws (run, came);
create view samples as
    select draws.run, questions.id, questions.question, draws.answer, draws.text, draws.number, draws.kind,
        draws.prompt, draws.generated, draws.finish, draws.forced, draws.key
    from draws join questions on questions.run = draws.run and questions.place = draws.place
    where draws.finish is not null and draws.finish not in ('failed', 'dropped');
"""


class Newer(DynscaleError):
    """A database that only a newer dynscale can read."""


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """A connection that commits by itself. Raises DynscaleError, and FileNotFoundError where there is no database.

    Without `create`, one that cannot be written to, as on a full disk, is read as it is.
    """
    if create:
        make_private(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    elif not path.exists():
        raise FileNotFoundError(2, "no such file", str(path))
    with explained(path):
        if not create and not os.access(path.parent, os.W_OK):
            return _as_it_is(path)
        if path.stat().st_mode & 0o077:
            with contextlib.suppress(OSError):
                path.chmod(0o600)
        try:
            return _set_up(_writable(path, PATIENCE), path)
        except sqlite3.OperationalError:
            if create:
                raise
        return _as_it_is(path)


def _writable(path: Path, patience: float, before: str = "pragma auto_vacuum = incremental") -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(before)  # while there is no table yet
        _to_write_ahead(connection)
        connection.execute("pragma synchronous = normal")
        connection.execute("pragma wal_autocheckpoint = 0")  # see Checkpoints
    except BaseException:
        connection.close()
        raise
    return connection


def _as_it_is(path: Path) -> sqlite3.Connection:
    """What can be read without writing a byte: with the log behind it, if nobody else has it open; else without."""
    with contextlib.suppress(sqlite3.OperationalError):
        return _set_up(_writable(path, 0.0, "pragma locking_mode = exclusive"), path)  # the log's index is in memory
    connection = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True, isolation_level=None)
    return _set_up(connection, path)


def _to_write_ahead(connection: sqlite3.Connection) -> None:
    """Where a file system has no shared memory, the database stays in the mode in which it is."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("pragma journal_mode = wal").fetchone()
        connection.execute("select count(*) from sqlite_master").fetchone()
        return
    connection.execute("pragma journal_mode = truncate").fetchone()


def _set_up(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    version = connection.execute("pragma user_version").fetchone()[0]
    if version > VERSION:
        connection.close()
        raise Newer(f"{path} was written by a newer dynscale", "pip install --upgrade dynscale-cli")
    if version < VERSION:
        with transaction(connection):
            if not connection.execute("pragma user_version").fetchone()[0]:  # nor has another process just done it
                for statement in SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"pragma user_version = {VERSION}")
    connection.row_factory = sqlite3.Row
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block is written, or nothing of it."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("rollback")
        raise


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """What SQLite and the disk raise, as the user should hear it."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise DynscaleError(f"{path}: {reason(error)}", _hint(error, path)) from error


def reason(error: Exception) -> str:
    """Why, in a few words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _hint(error: Exception, path: Path) -> str:
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return f"it is damaged; to begin a new one: mv {path} {path}.damaged"
    full = "full" in str(error) or "disk I/O" in str(error) or getattr(error, "errno", None) == errno.ENOSPC
    return f"df -h {path.parent}" if full else f"ls -ld {path.parent}"


class Checkpoints:
    """Once a second, beside the decoding, what was written is flushed to the disk and moved from the log to its place.

    So a power cut costs a second or two, and a run never waits for the disk. Nothing that fails here fails a run: what
    could not be moved stays in the log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closing = threading.Event()
        self._dirty = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def written(self) -> None:
        self._dirty.set()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _work(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            connection = sqlite3.connect(self._path, timeout=0.0)
            with contextlib.closing(connection):
                while not self._closing.wait(CHECKPOINT_SECONDS):
                    if self._dirty.is_set():
                        self._dirty.clear()
                        with contextlib.suppress(sqlite3.Error):
                            connection.execute("pragma wal_checkpoint(passive)").fetchone()


class Lock:
    """That a run is going on: a locked file, which the system unlocks when the process ends, however that is.

    `spoil` it: what the run spends from here on is not announced. Who finds the mark takes the whole budget for spent.
    """

    def __init__(self, folder: Path, id: str) -> None:
        self._path = folder / LOCKS / id
        self._mark = folder / LOCKS / f"{id}.spoiled"
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether the run is ours alone now. Always where the system, or its disk, has no locks."""
        end = time.monotonic() + LOOKING
        while True:
            try:
                make_private(self._path.parent)
                descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
            except OSError:
                return True
            if _is_locked(descriptor) and _is_at(self._path, descriptor):
                self._descriptor = descriptor
                return True
            os.close(descriptor)
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)

    @property
    def is_live(self) -> bool:
        """Whether a process holds it."""
        try:
            descriptor = os.open(self._path, os.O_RDWR)
        except OSError:
            return False
        try:
            return not _is_locked(descriptor)
        finally:
            os.close(descriptor)

    @property
    def is_spoiled(self) -> bool:
        return self._mark.exists()

    def spoil(self) -> None:
        """By another name of the file, for which a full disk has room."""
        try:
            os.link(self._path, self._mark)
        except OSError:
            with contextlib.suppress(OSError):
                self._mark.touch(mode=0o600)

    def unspoil(self) -> None:
        with contextlib.suppress(OSError):
            self._mark.unlink()

    def release(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
            self._descriptor = None


def _is_locked(descriptor: int) -> bool:
    """Whether the file is ours alone now, until its descriptor is closed. Always, where the system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the file is still the one of that name: whoever had it may have taken it away meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


class Spill:
    """Records by number, each taken back once. What a full disk refuses stays in memory."""

    def __init__(self) -> None:
        self._opened: sqlite3.Connection | None = None
        self._refused: dict[int, bytes] = {}

    def put(self, number: int, record: bytes) -> None:
        try:
            self._database().execute("insert or replace into waiting values (?, ?)", (number, record))
        except sqlite3.Error:
            self._refused[number] = record

    def pop(self, number: int) -> bytes:
        """The record. Raises KeyError, and DynscaleError where the disk does not give it back."""
        if number in self._refused:
            return self._refused.pop(number)
        try:
            row = self._database().execute("select record from waiting where number = ?", (number,)).fetchone()
            self._database().execute("delete from waiting where number = ?", (number,))
        except sqlite3.Error as error:
            message = f"a temporary file cannot be read: {error}"
            raise DynscaleError(message, "name another folder for it with TMPDIR") from error
        if row is None:
            raise KeyError(number)
        record: bytes = row[0]
        return record

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._opened.close)
            self._opened.execute("pragma journal_mode = memory")
            self._opened.execute(f"pragma cache_size = -{CACHE_KIB}")
            self._opened.execute("create table waiting (number integer primary key, record blob)")
        return self._opened


class Waiting(Protocol):
    """A state that can be put aside while nothing of its question is in flight."""

    pending: int


State = TypeVar("State", bound=Waiting)


class StateStore(Generic[State]):
    """Question -> state. One that was asked for is the question's own until AT_HAND others were asked for."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self._at_hand: dict[int, State] = {}  # the one asked for longest ago comes first
        self._aside = bytearray(len(questions))  # whether it is
        self._spill = Spill()

    def __len__(self) -> int:
        return len(self._at_hand) + self._aside.count(1)

    def __contains__(self, q: int) -> bool:
        return q in self._at_hand or bool(self._aside[q])

    def __getitem__(self, q: int) -> State:
        state = self._at_hand.pop(q, None)
        if state is not None:
            self._at_hand[q] = state
            return state
        state = self[q] = self._taken_back(q)
        return state

    def __setitem__(self, q: int, state: State) -> None:
        self._at_hand[q] = state
        if len(self._at_hand) > AT_HAND:
            self._put_one_aside()

    def pop(self, q: int) -> State:
        """The state, which is forgotten here."""
        state = self._at_hand.pop(q, None)
        return self._taken_back(q) if state is None else state

    def _put_one_aside(self) -> None:
        """Of those without a sample in flight, the one asked for longest ago."""
        newest = next(reversed(self._at_hand))
        q = next((q for q, state in self._at_hand.items() if not state.pending and q != newest), None)
        if q is not None:
            file = io.BytesIO()
            _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(self._at_hand.pop(q))
            self._spill.put(q, file.getvalue())
            self._aside[q] = 1

    def _taken_back(self, q: int) -> State:
        if not self._aside[q]:
            raise KeyError(q)
        self._aside[q] = 0
        state: State = _Unpickler(self._spill.pop(q), self._questions[q]).load()
        return state


class _Pickler(pickle.Pickler):
    """Leaves the question out, of which a state and its prompt have one."""

    def persistent_id(self, obj: Any) -> str | None:
        return "question" if isinstance(obj, Question) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, question: Question) -> None:
        super().__init__(io.BytesIO(data))
        self._question = question

    def persistent_load(self, name: str) -> Question:
        return self._question
