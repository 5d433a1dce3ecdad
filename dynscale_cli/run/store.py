"""The folder of runs: a file for each, private to the user, and no larger together than allowed.

Owns names, permissions, locks and sizes. What is in a file is `stored`'s business, writing it is `journal`'s.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.paths import state_dir
from dynscale_cli.questions import Question

from . import stored as reading
from .ids import FOLDER, SUFFIX, is_run
from .journal import Journal
from .request import RunRequest
from .stored import HINT, Stored

MAX_BYTES: Final = 1_000_000_000
ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that can be read as something else
ID_LENGTH: Final = 6
PATIENCE: Final = 0.3  # seconds; a listing holds a lock for as long as it takes to look


class Store:
    """Journals under one folder, the user's own by default. `max_bytes` is kept by `create` and `trim`."""

    def __init__(self, folder: Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder or state_dir() / FOLDER
        self.max_bytes = max_bytes

    def create(self, request: RunRequest, questions: Sequence[Question]) -> Journal:
        """A new journal, with its request. Raises DynscaleError where none can be written."""
        try:
            _make(self.folder)
            path, descriptor = self._new()
        except OSError as error:
            raise DynscaleError(f"{error.filename or self.folder}: {error.strerror or error}", HINT) from error
        journal = Journal(path, descriptor, request.settings.budget)
        journal.begin(request, questions)
        return journal

    @property
    def writable(self) -> bool:
        """Whether a journal could be begun now; makes the folder for it."""
        try:
            _make(self.folder)
        except OSError:
            return False
        return os.access(self.folder, os.W_OK | os.X_OK)

    def read(self, name: str | None = None) -> Stored:
        """The run of an id, or of the beginning of one; the newest without a name."""
        return reading.read(self.path(name))

    def reopen(self, name: str | None = None) -> tuple[Journal, Stored]:
        """A run to be gone on with: its journal, locked, and what is in it. Call `journal.resume` before writing.

        Raises DynscaleError while another process writes to it.
        """
        path = self.path(name)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | _BINARY)
        except OSError as error:
            raise DynscaleError(f"{path}: {error.strerror or error}", HINT) from error
        try:
            if not _lock(descriptor, PATIENCE):
                raise DynscaleError(f"run {path.stem} is still going on", f"dynscale runs show {path.stem}")
            _cut_torn_line(descriptor)
            stored = reading.read(path)
        except BaseException:
            os.close(descriptor)
            raise
        return Journal(path, descriptor, stored.budget, stored.spent), stored

    def paths(self) -> list[Path]:
        """The files of all runs, the newest first."""
        with contextlib.suppress(OSError):
            found = [(entry.stat().st_mtime_ns, entry.name) for entry in os.scandir(self.folder) if is_run(entry)]
            return [self.folder / name for _, name in sorted(found, reverse=True)]
        return []

    def path(self, name: str | None = None) -> Path:
        """The file of a run by the beginning of its id, the newest without one. Raises UsageError for none or many."""
        paths = self.paths()
        if name is None:
            if not paths:
                raise UsageError("there are no runs yet", "dynscale ask -f questions.txt begins one")
            return paths[0]
        matching = [path for path in paths if path.stem.startswith(name.strip().lower())]
        if not name.strip():
            raise UsageError("the id of the run is empty", HINT)
        if len(matching) == 1:
            return matching[0]
        if not matching:
            raise UsageError(f"no run {name}", HINT)
        raise UsageError(f"{name} is the beginning of {len(matching)} runs", HINT)

    def remove(self, path: Path) -> int:
        """Delete a run's file; the bytes it had. Raises DynscaleError while it is being written to."""
        if is_live(path):
            raise DynscaleError(f"run {path.stem} is still going on", "stop it first, with Ctrl-C")
        try:
            size = path.stat().st_size
            path.unlink()
        except OSError as error:
            raise DynscaleError(f"{path}: {error.strerror or error}", HINT) from error
        return size

    def trim(self, keep: Path | None = None) -> list[Path]:
        """Delete runs until the rest fits: finished ones first, the oldest of them first. Returns those that went.

        Runs that are going on stay, and so does `keep`.
        """
        paths = [path for path in reversed(self.paths()) if path != keep]
        sizes = {path: _size(path) for path in paths}
        excess = sum(sizes.values()) + (_size(keep) if keep else 0) - self.max_bytes
        if excess <= 0:
            return []
        gone = []
        for path in sorted(paths, key=lambda path: not is_finished(path)):
            if excess <= 0:
                break
            with contextlib.suppress(DynscaleError):
                self.remove(path)
                gone.append(path)
                excess -= sizes[path]
        return gone

    def _new(self) -> tuple[Path, int]:
        while True:
            path = self.folder / ("".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH)) + SUFFIX)
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | _BINARY, 0o600)
            except FileExistsError:
                continue
            _lock(descriptor, PATIENCE)
            return path, descriptor


_BINARY: Final = getattr(os, "O_BINARY", 0)


def is_live(path: Path) -> bool:
    """Whether a process is writing to it."""
    try:
        descriptor = os.open(path, os.O_RDWR | _BINARY)
    except OSError:
        return False
    try:
        return not _lock(descriptor, 0.0)
    finally:
        os.close(descriptor)


def is_finished(path: Path) -> bool:
    """Whether its last line says that the run came to its end."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4096))
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
        return last.startswith(b'{"type":"end","how":"finished"')
    return False


def _lock(descriptor: int, patience: float) -> bool:
    """Whether the file is ours alone now, until its descriptor is closed. Always, where the system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)
        except OSError:  # a file system without locks
            return True


def _cut_torn_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    place, piece = size, b""
    while place and b"\n" not in piece:
        place = max(0, place - 65536)
        os.lseek(descriptor, place, os.SEEK_SET)
        piece = os.read(descriptor, min(65536, size - place))
    whole = place + piece.rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)


def _make(folder: Path) -> None:
    """The folder, and what is missing above it, for the user alone."""
    if not folder.is_dir():
        if not folder.parent.is_dir():
            _make(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not folder.is_dir():
            raise NotADirectoryError(20, "not a directory", str(folder))


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
