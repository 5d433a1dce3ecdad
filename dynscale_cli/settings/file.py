"""`config.toml`, read: values by key, profiles, and the line of everything that is wrong with it.

Owns the file's shape: flags at the top, the rest in tables, profiles in [profile.NAME]. Never writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.nearest import nearest
from dynscale_cli.paths import config_dir

from .keys import Key, canonical

NAME, PROFILE = "config.toml", "profile"


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
