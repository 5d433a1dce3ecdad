"""Where dynscale keeps its own things: settings and runs.

Owns the folders, and how they are created: for the user alone; and how the user's files are written there: by one
program at a time, and whole or not at all, so that a crash or a full disk leaves the old one. `DYNSCALE_HOME` moves
everything into one folder; otherwise platformdirs knows the system's places. Knows nothing of what the files hold.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from dynscale_cli.errors import DynscaleError

VARIABLE: Final = "DYNSCALE_HOME"
NAME: Final = "dynscale"


def config_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Holds `config.toml`."""
    if home := _home(environ):
        return home
    from platformdirs import user_config_path

    return user_config_path(NAME, appauthor=False)


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Holds what runs leave behind."""
    if home := _home(environ):
        return home
    from platformdirs import user_state_path

    return user_state_path(NAME, appauthor=False)


def _home(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else None


def make_private(folder: Path) -> None:
    """The folder, and what is missing above it, for the user alone."""
    if not folder.is_dir():
        if not folder.parent.is_dir():
            make_private(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not folder.is_dir():
            raise NotADirectoryError(20, "not a directory", str(folder))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One program at a time from reading a file to writing it, so that nothing is lost of what two set at once."""
    try:
        path = path.resolve()
        make_private(path.parent)
        lock = open(path.with_name(f".{path.name}.lock"), "w")  # noqa: SIM115  closed below
    except OSError:  # a folder that cannot be written to: the writing itself says so
        yield
        return
    with lock:
        with contextlib.suppress(ImportError, OSError):  # Windows; a file system without locks
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace(path: Path, text: str) -> None:
    """A file's new text, whole or not at all: written beside it, then renamed. Keeps the file's mode.

    Through a link, to the file that it names. Raises DynscaleError where that cannot be done.
    """
    import tempfile

    try:
        path = path.resolve()
        make_private(path.parent)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, mode)
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    except OSError as error:
        raise DynscaleError(f"cannot write {path}: {error.strerror or error}", f"ls -ld {path.parent}") from None
