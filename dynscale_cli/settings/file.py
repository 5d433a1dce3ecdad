"""`config.toml`: values by key, profiles, the line of everything that is wrong with it, and changes that keep the rest.

Owns the file's shape: flags at the top, the rest in tables, profiles in [profile.NAME]; and the writing of the user's
files: one program at a time, and whole or not at all, so that a crash or a full disk leaves the old one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.paths import config_dir, make_private
from dynscale_cli.values import nearest

from . import PROFILE, Key, canonical

NAME = "config.toml"
GONE = frozenset({"journal.single"})  # settings of earlier versions that mean nothing any more: no mistakes


@dataclass(frozen=True, slots=True)
class File:
    """What the file says, unchecked. Keys of `values` are canonical and dotted; `spelled` has them as written."""

    path: Path
    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    spelled: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def line(self, name: str) -> int | None:
        """The line on which the key of this dotted name begins; None where the file does not have it."""
        return lines(self.text).get(self.spelled.get(name, ()))

    def refuse(self, name: str, message: str, hint: str) -> NoReturn:
        raise UsageError(f"{self.path}, line {self.line(name)}: {message}", hint)


def path(environ: Mapping[str, str] = os.environ) -> Path:
    return config_dir(environ) / NAME


def read(path: Path) -> File:
    """The file, or an empty one where there is none. Raises UsageError with the line where it is not TOML."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return File(path)
    except OSError as error:
        raise DynscaleError(f"{path}: {error.strerror or error}", f"ls -ld {path}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}", f"iconv -t UTF-8 {path}") from None
    return _sorted(path, text, parse(text, path))


def parse(text: str, path: Path) -> dict[str, Any]:
    """TOML as a dictionary. Raises UsageError with the line."""
    from dynscale_cli import toml

    try:
        found: dict[str, Any] = toml.loads(text)
    except toml.TOMLDecodeError as error:
        what, _, where = str(error).rstrip(")").partition(" (at ")
        line = f", {where.partition(',')[0]}" if where.startswith("line") else ""
        raise UsageError(f"{path}{line}: not TOML: {what[:1].lower()}{what[1:]}", f"${{EDITOR:-vi}} {path}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets of thousands of levels
        raise UsageError(f"{path}: more digits or brackets than can be read", f"${{EDITOR:-vi}} {path}") from None
    return found


def check(file: File, keys: Mapping[str, Key], only: str | None = None) -> None:
    """Raise UsageError for the first key that does not exist, or whose value is refused; names line and nearest key.

    With `only`, that key is checked and no other.
    """
    for name, value in file.values.items():
        if only in (None, name):
            _checked(file, name, name, value, keys)
    if only is not None:
        return
    for profile, values in file.profiles.items():
        flags = {known: key for known, key in keys.items() if "." not in known}
        for name, value in values.items():
            _checked(file, f"{PROFILE}.{profile}.{name}", name, value, flags)


def _checked(file: File, where: str, name: str, value: Any, keys: Mapping[str, Key]) -> None:
    key = keys.get(name)
    if key is None and name in GONE:
        return
    if key is None:
        file.refuse(where, f"there is no setting {name}", _unknown(where, name, keys))
    try:
        key.check(key.typed(value))
    except DynscaleError as error:
        file.refuse(where, error.message.removeprefix("--"), f"dynscale config set {where} {key.meant(error.hint)}")


def _unknown(where: str, name: str, keys: Mapping[str, Key]) -> str:
    """What to do about a key that does not exist. One that does, written below a table's name, is the common slip."""
    if name == PROFILE:
        return "write its values below [profile.NAME], and choose it by --profile NAME or DYNSCALE_PROFILE=NAME"
    last = name.rpartition(".")[2]
    if "." in name and last in keys:
        return f"write {last} above the first [table], or: dynscale config set {last} VALUE"
    meant = closest(name, keys)
    return (f"rename it to {meant}, or: " if meant else "") + f"dynscale config unset {where}"


def closest(name: str, keys: Mapping[str, Key]) -> str | None:
    """The key that was most likely meant: one of the same table, or else one at the top."""
    table, dot, last = name.rpartition(".")
    siblings = {key.rpartition(".")[2] for key in keys if key.rpartition(".")[0] == table}
    found = nearest(last, siblings)
    return f"{table}{dot}{found}" if found else nearest(last, [key for key in keys if "." not in key])


def _sorted(path: Path, text: str, found: dict[str, Any]) -> File:
    """Tables taken apart into dotted keys; a key that is spelled in two ways is refused."""
    file = File(path, text)
    for spelling, value in _leaves(found):
        parts = tuple(canonical(part) for part in spelling)
        place, name = file.values, ".".join(parts)
        if parts[0] == PROFILE and len(parts) > 2:
            place, name = file.profiles.setdefault(spelling[1], {}), ".".join(parts[2:])
            where = f"{PROFILE}.{spelling[1]}.{name}"
        elif parts[0] == PROFILE and len(parts) == 2 and value == {}:
            file.profiles.setdefault(spelling[1], {})
            continue
        else:
            where = name
        file.spelled[where] = spelling
        if name in place:
            file.refuse(where, f"{name} is set twice", f"dynscale config unset {where}")
        place[name] = value
    return file


def _leaves(table: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every value with its path of names; an empty table counts as one, since a profile may be empty."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in table.items():
        if isinstance(value, dict) and value:
            found += _leaves(value, (*above, name))
        elif value != {} or (above == (PROFILE,)):
            found.append(((*above, name), value))
    return found


@cache
def lines(text: str) -> dict[tuple[str, ...], int]:
    """The line on which each value begins, by its path of names.

    The first line up to which the text parses and has the value is its last one; so the line behind the end of what
    parsed before is its first. Exact for every way to write TOML, and quick enough for a file that people write.
    """
    from dynscale_cli import toml

    found: dict[tuple[str, ...], int] = {}
    rows, begin = text.split("\n"), 1  # `splitlines` ends them at signs, too, that TOML has in its texts
    for number in range(1, len(rows) + 1):
        try:
            table = toml.loads("\n".join(rows[:number]))
        except toml.TOMLDecodeError:
            continue
        for name, _ in _leaves(table):
            found.setdefault(name, begin)
        begin = number + 1
    return found


def put(path: Path, name: Sequence[str], value: Any) -> None:
    """Set a value, under the spelling that the file has for it already. Creates folder and file."""
    import tomlkit

    with locked(path):
        document = _document(path)
        table: Any = document
        for part in name[:-1]:
            spelled = _spelled(table, part)
            if spelled not in table:
                table[spelled] = tomlkit.table(is_super_table=part == PROFILE)
            table = table[spelled]
        table[_spelled(table, name[-1])] = value
        replace(path, _text(path, document))


def drop(path: Path, name: Sequence[str]) -> bool:
    """Take a value away, and a table that is then empty; whether it was there."""
    with locked(path):
        return _dropped(path, name)


def _dropped(path: Path, name: Sequence[str]) -> bool:
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

    text: str = document.as_string()
    if parse(text, path) != document.unwrap():
        raise DynscaleError(f"{path} is written in a way that cannot be changed safely", f"${{EDITOR:-vi}} {path}")
    return text


def _spelled(table: Any, part: str) -> str:
    return next((name for name in table if canonical(name) == canonical(part)), part)


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
