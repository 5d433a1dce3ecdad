"""What users set once: the environment, profiles, `config.toml`.

A value comes from the first of these that has one: flag, `DYNSCALE_*`, the chosen profile, `config.toml`, default. The
file has flags at the top, the rest in tables, profiles in [profile.NAME]; whatever is wrong with it is told by its
line, and a change keeps the rest as it is. The flags' names and checks are given to this module, which knows no parser.

    Key      one setting
    PLAIN    those that are no flag of any command
    Found    a setting as it stands, and where that is from
    File     what `config.toml` says
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.paths import config_dir, locked, replace
from dynscale_cli.values import nearest, parse_size, read_toml

Kind = Literal["switch", "count", "number", "text", "texts"]
WANTED: dict[Kind, str] = {
    "switch": "true or false",
    "count": "a whole number",
    "number": "a number",
    "text": "text in quotes",
    "texts": "a list of texts",
}
_COUNT = re.compile(r"[0-9]{1,18}")  # what is longer no check takes, and Python reads no more than some thousands
YES, NO = ("1", "true", "yes", "on", "y", "t"), ("0", "false", "no", "off", "n", "f")
SWITCH = dict.fromkeys(YES, True) | dict.fromkeys(NO, False)


def canonical(name: str) -> str:
    """A key as it is listed: with hyphens, as flags are written. Underscores mean the same."""
    return name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `check` takes a value of the kind and returns what the program uses, or raises UsageError."""

    name: str
    env: str
    kind: Kind
    default: Any
    help: str
    check: Callable[[Any], Any]
    counts: bool = False  # text that may be a bare number, too: budget = 12000
    separator: str | None = None  # of a list's texts in the environment; None: white space
    example: str = "VALUE"  # where there is no default to show

    def typed(self, value: Any) -> Any:
        """A value as TOML has it, if its type is right. Raises UsageError."""
        fits = {
            "switch": isinstance(value, bool),
            "count": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, (int, float)) and not isinstance(value, bool),
            "text": isinstance(value, str) or (self.counts and type(value) is int),
            "texts": isinstance(value, list) and all(isinstance(each, str) for each in value),
        }[self.kind]
        if not fits:
            wanted = WANTED[self.kind] + (" or a whole number" if self.counts else "")
            raise UsageError(f"{self.name} wants {wanted}, not {shown(value)}")
        return value

    def from_text(self, text: str) -> Any:
        """A value as a shell or the environment has it. Raises UsageError."""
        try:
            if self.kind == "switch":
                return SWITCH[text.strip().lower()]
            if self.kind == "count":
                return int(text)
            if self.kind == "number":
                return float(text)
        except (KeyError, ValueError):
            raise UsageError(f"{self.name} wants {WANTED[self.kind]}, not {text}") from None
        if self.kind == "texts":
            return [part for part in text.split(self.separator) if part]
        return int(text) if self.counts and _COUNT.fullmatch(text) else text

    def from_environment(self, text: str) -> Any:
        """The value of the variable's text. Raises UsageError naming the variable."""
        try:
            value = self.from_text(text)
            self.check(value)
        except DynscaleError as error:
            message = error.message.removeprefix("--").removeprefix(self.name).removeprefix(":").strip()
            raise UsageError(f"{self.env}: {message}", f"export {self.env}={self.meant(error.hint)}") from None
        return value

    def meant(self, hint: str) -> str:
        """The value that a check's hint proposes for the flag, if it proposes one; else one that fits."""
        flag, _, word = hint.partition(" ")
        if flag == f"--{self.name}" and word and " " not in word:
            return word
        return self.example if self.default in (None, []) else bare(self.default)


def shown(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return "a table" if isinstance(value, dict) else str(value)


def bare(value: Any) -> str:
    """A value as a shell's word, without quotes where it needs none."""
    return value if isinstance(value, str) else shown(value)


PLAIN: tuple[Key, ...] = (
    Key(
        "journal.max-size",
        "DYNSCALE_JOURNAL_MAX_SIZE",
        "text",
        "1G",
        "Bytes that old runs may take.",
        lambda value: parse_size(value, "journal.max-size"),
    ),
    Key(
        "models.folders",
        "DYNSCALE_MODELS_FOLDERS",
        "texts",
        [],
        "More folders to look for models in.",
        lambda value: value,
        separator=os.pathsep,
        example="~/models",
    ),
)

# --- profiles, and settings as they stand --------------------------------------------------------------------------

PROFILE: Final = "profile"  # the table of profiles
VARIABLE: Final = "DYNSCALE_PROFILE"
OTHERS: Final = ("DYNSCALE_HOME", VARIABLE, "DYNSCALE_API_KEY")  # variables that are no settings

# The values follow from the race's posterior, P(θ > ½) = 1 - 2^-(v+1) after v votes that all agree:
#     quick     two votes that agree settle a question: 0.875 is above 0.85; no question gets more than three samples
#     default   four: 0.969 is above 0.95
#     careful   six: 0.992 is above 0.99
# A budget of twice a sample's limit pays for two samples of full length at least, as the default does; `careful` pays
# for four, since a question that is in doubt needs more than one that is not.
BUILT_IN: Final[dict[str, dict[str, Any]]] = {
    "quick": {"budget": "1024/q", "confidence": 0.85, "max-samples": 3, "max-tokens": 512},
    "careful": {"budget": "8192/q", "confidence": 0.99, "max-tokens": 2048},
}

Origin = Literal["environment", "profile", "file", "default"]
FAR_TO_NEAR: Final[tuple[Origin, ...]] = ("default", "file", "profile", "environment")


@dataclass(frozen=True, slots=True)
class Found:
    """A setting as it stands. `where`: the variable, the profile's name, or the file's path; `line` in the file."""

    key: str
    value: Any
    origin: Origin
    where: str | None = None
    line: int | None = None

    @property
    def nearness(self) -> int:
        """How near to the command line it was written; what was not written at all has none."""
        return FAR_TO_NEAR.index(self.origin) if self.value else 0


def profile(name: str, own: Mapping[str, dict[str, Any]], environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """A profile's values by key; `own` are those of the file. Raises UsageError where there is none of the name."""
    known = sorted({*BUILT_IN, *own})
    if name not in known:
        written = f"export {VARIABLE}=" if environ.get(VARIABLE) == name else "--profile "
        hint = f"{written}{nearest(name, known) or known[0]}"
        raise UsageError(f"no profile is named {name}: there are {', '.join(known)}", hint)
    return {**BUILT_IN.get(name, {}), **own.get(name, {})}


def settle(keys: Mapping[str, Key], file: File, chosen: str | None, environ: Mapping[str, str]) -> Iterator[Found]:
    """Every setting, in the order of `keys`. Raises UsageError for an environment's value that is refused."""
    named = profile(chosen, file.profiles, environ) if chosen else {}
    for name, key in keys.items():
        if text := environ.get(key.env):
            yield Found(name, key.from_environment(text), "environment", key.env)
        elif name in named:
            yield Found(name, named[name], "profile", chosen, file.line(f"{PROFILE}.{chosen}.{name}"))
        elif name in file.values:
            yield Found(name, file.values[name], "file", str(file.path), file.line(name))
        else:
            yield Found(name, key.default, "default")


def setting(name: str, environ: Mapping[str, str] = os.environ) -> Any:
    """The value of a setting that has no flag, such as `journal.max-size`. Raises UsageError for what is refused."""
    key = next(key for key in PLAIN if key.name == name)
    if text := environ.get(key.env):
        return key.check(key.from_environment(text))
    file = read(config_file(environ))
    if name in file.values:
        _check(file, name, name, file.values[name], {name: key})
    return key.check(file.values.get(name, key.default))


def unknown_variables(keys: Mapping[str, Key], environ: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Variables that look like settings and are none, each with the one that was most likely meant."""
    known = {*OTHERS, *(key.env for key in keys.values())}
    for name in sorted(environ):
        if name.startswith("DYNSCALE_") and name not in known:
            yield name, nearest(name, known)


# --- the file ------------------------------------------------------------------------------------------------------

NAME: Final = "config.toml"
GONE: Final = frozenset({"journal.single"})  # settings of earlier versions that mean nothing any more: no mistakes


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


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    return config_dir(environ) / NAME


def read(path: Path, keys: Mapping[str, Key] | None = None) -> File:
    """The file, or an empty one where there is none. Raises UsageError with the line where it is not TOML.

    With `keys`, also for the first key that is none of them, or whose value is refused.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return File(path)
    except OSError as error:
        raise DynscaleError(f"{path}: {error.strerror or error}", f"ls -ld {path}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}", f"iconv -t UTF-8 {path}") from None
    file = _sorted(path, text)
    if keys is not None:
        flags = {name: key for name, key in keys.items() if "." not in name}
        for name, value in file.values.items():
            _check(file, name, name, value, keys)
        for profile, values in file.profiles.items():
            for name, value in values.items():
                _check(file, f"{PROFILE}.{profile}.{name}", name, value, flags)
    return file


def _parsed(text: str, path: Path) -> dict[str, Any]:
    """TOML as a dictionary. Raises UsageError with the line."""
    try:
        return read_toml(text)
    except (ValueError, RecursionError) as error:
        what, parser, where = str(error).rstrip(")").partition(" (at ")
        if not parser:  # a number of thousands of digits, brackets of thousands of levels
            message = f"{path}: more digits or brackets than can be read"
        else:
            line = f", {where.partition(',')[0]}" if where.startswith("line") else ""
            what = what.replace("Cannot overwrite a value", "this name has a value already")
            message = f"{path}{line}: not TOML: {what[:1].lower()}{what[1:]}"
        raise UsageError(message, f"${{EDITOR:-vi}} {path}") from None


def _check(file: File, where: str, name: str, value: Any, keys: Mapping[str, Key]) -> None:
    """Raise UsageError with line and nearest key where a key, at this place of the file, is not as it has to be."""
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


def _sorted(path: Path, text: str) -> File:
    """Tables taken apart into dotted keys; a key that is spelled in two ways is refused."""
    file = File(path, text)
    for spelling, value in _leaves(_parsed(text, path)):
        parts = [canonical(part) for part in spelling]
        place, name = file.values, ".".join(parts)
        where = name
        if parts[0] == PROFILE and (len(parts) > 2 or (len(parts) == 2 and value == {})):
            place, name = file.profiles.setdefault(spelling[1], {}), ".".join(parts[2:])
            where = f"{PROFILE}.{spelling[1]}.{name}"
        if not name:  # a profile without values
            continue
        file.spelled[where] = spelling
        if name in place:
            file.refuse(where, f"{name} is set twice", f"dynscale config unset {where}")
        place[name] = value
    return file


def _leaves(table: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value with its path of names; an empty table counts as one, since a profile may be empty."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, name))
        elif value != {} or above == (PROFILE,):
            yield (*above, name), value


@cache
def lines(text: str) -> dict[tuple[str, ...], int]:
    """The line on which each value begins, by its path of names.

    The first line up to which the text parses and has the value is its last one; so the line behind the end of what
    parsed before is its first. Exact for every way to write TOML, and quick enough for a file that people write.
    """
    found: dict[tuple[str, ...], int] = {}
    rows, begin = text.split("\n"), 1  # `splitlines` ends them at signs, too, that TOML has in its texts
    for number in range(1, len(rows) + 1):
        try:
            table = read_toml("\n".join(rows[:number]))
        except ValueError:
            continue
        for name, _ in _leaves(table):
            found.setdefault(name, begin)
        begin = number + 1
    return found


def put(path: Path, name: Sequence[str], value: Any) -> None:
    """Set a value, under the spelling that the file has for it already. Creates folder and file."""
    import tomlkit

    with locked(path):
        document = tomlkit.parse(read(path).text)
        table: Any = document
        for part in name[:-1]:
            spelled = _spelled(table, part)
            if spelled not in table:
                table[spelled] = tomlkit.table(is_super_table=part == PROFILE)
            table = table[spelled]
        table[_spelled(table, name[-1])] = value
        _write(path, document)


def drop(path: Path, name: Sequence[str]) -> bool:
    """Take a value away, and a table that is then empty; whether it was there."""
    import tomlkit

    with locked(path):
        document = tomlkit.parse(read(path).text)
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
        _write(path, document)
    return True


def _write(path: Path, document: Any) -> None:
    """Write a document, if it reads as it was meant: rare ways to write tables come out in other places."""
    text: str = document.as_string()
    if _parsed(text, path) != document.unwrap():
        raise DynscaleError(f"{path} is written in a way that cannot be changed safely", f"${{EDITOR:-vi}} {path}")
    replace(path, text)


def _spelled(table: Any, part: str) -> str:
    return next((name for name in table if canonical(name) == canonical(part)), part)
