"""`config.toml`, written: one value set or taken away, everything else as it was, comments too.

Owns the writing of the user's files: whole or not at all, so that a crash or a full disk leaves the old one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynscale_cli.errors import DynscaleError

from .keys import canonical


def put(path: Path, name: Sequence[str], value: Any) -> None:
    """Set a value, under the spelling that the file has for it already. Creates folder and file."""
    import tomlkit

    document = _document(path)
    table: Any = document
    for part in name[:-1]:
        spelled = _spelled(table, part)
        if spelled not in table:
            table[spelled] = tomlkit.table(is_super_table=part == "profile")
        table = table[spelled]
    table[_spelled(table, name[-1])] = value
    replace(path, _text(path, document))


def drop(path: Path, name: Sequence[str]) -> bool:
    """Take a value away, and a table that is then empty; whether it was there."""

    document = _document(path)
    tables: list[Any] = [document]
    for part in name[:-1]:
        inner = tables[-1].get(_spelled(tables[-1], part))
        if not isinstance(inner, dict):
            return False
        tables.append(inner)
    spelled = [_spelled(table, part) for table, part in zip(tables, name, strict=True)]
    if spelled[-1] not in tables[-1]:
        return False
    del tables[-1][spelled[-1]]
    for table, part in zip(reversed(tables[:-1]), reversed(spelled[:-1]), strict=True):
        if not table[part].as_string().strip():  # a comment keeps it
            del table[part]
    replace(path, _text(path, document))
    return True


def _document(path: Path) -> Any:
    import tomlkit

    try:
        return tomlkit.parse(path.read_bytes().decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return tomlkit.document()


def _text(path: Path, document: Any) -> str:
    """The document as text, if it reads as it was meant: rare ways to write tables come out in other places."""
    from .file import parse

    text: str = document.as_string()
    if parse(text, path) != document.unwrap():
        raise DynscaleError(f"{path} is written in a way that cannot be changed safely", f"${{EDITOR:-vi}} {path}")
    return text


def _spelled(table: Any, part: str) -> str:
    return next((name for name in table if canonical(name) == canonical(part)), part)


def replace(path: Path, text: str) -> None:
    """A file's new text, whole or not at all: written beside it, then renamed. Keeps the file's mode.

    Through a link, to the file that it names. Raises DynscaleError where that cannot be done.
    """
    try:
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
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
