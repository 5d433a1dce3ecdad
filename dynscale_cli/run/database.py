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
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dynscale_cli.errors import DynscaleError
from dynscale_cli.paths import make_private

FILE: Final = "runs.db"  # in the state folder
VERSION: Final = 1  # of the schema; a database of a higher one is left alone
PATIENCE: Final = 30.0  # seconds for which a transaction waits for that of another process
LOOKING: Final = 0.3  # seconds; who looks whether a run is going on holds its lock for as long as that takes
CHECKPOINT_SECONDS: Final = 1.0
LOCKS: Final = "locks"

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
