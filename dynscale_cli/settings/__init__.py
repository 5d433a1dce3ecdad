"""What users set once: the environment, `config.toml`, profiles.

A value comes from the first of these that has one: flag, `DYNSCALE_*`, the chosen profile, `config.toml`, default. The
flags' names and checks are given to this package, which knows nothing of the parser; `file` reads and writes the file.

    Key      one setting
    PLAIN    those that are no flag of any command
    Found    a setting as it stands, and where that is from
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.values import nearest, parse_size

if TYPE_CHECKING:
    from .file import File


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


def canonical(name: str) -> str:
    """A key as it is listed: with hyphens, as flags are written. Underscores mean the same."""
    return name.replace("_", "-")


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `check` takes a value of the kind and returns what the program uses, or raises UsageError."""

    name: str
    env: str
    kind: Kind
    default: Any
    help: str
    check: Callable[[Any], Any] = _same
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
                return _switch(text)
            if self.kind == "count":
                return int(text)
            if self.kind == "number":
                return float(text)
        except ValueError:
            raise UsageError(f"{self.name} wants {WANTED[self.kind]}, not {text}") from None
        if self.kind == "texts":
            return [part for part in text.split(self.separator) if part]
        return int(text) if self.counts and _COUNT.fullmatch(text) else text

    def sample(self) -> str:
        """A value that fits, as a shell's word."""
        return self.example if self.default in (None, []) else bare(self.default)

    def meant(self, hint: str) -> str:
        """The value that a check's hint proposes for the flag, if it proposes one; else one that fits."""
        flag, _, word = hint.partition(" ")
        return word if flag == f"--{self.name}" and word and " " not in word else self.sample()


def shown(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return "a table"
    return str(value)


def bare(value: Any) -> str:
    """A value as a shell's word, without quotes where it needs none."""
    return value if isinstance(value, str) else shown(value)


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word not in YES + NO:
        raise ValueError(text)
    return word in YES


def _size(value: str) -> int:
    return parse_size(value, "journal.max-size")


PLAIN: tuple[Key, ...] = (
    Key("journal.max-size", "DYNSCALE_JOURNAL_MAX_SIZE", "text", "1G", "Bytes that old runs may take.", _size),
    Key(
        "models.folders",
        "DYNSCALE_MODELS_FOLDERS",
        "texts",
        [],
        "More folders to look for models in.",
        separator=os.pathsep,
        example="~/models",
    ),
)


VARIABLE: Final = "DYNSCALE_PROFILE"

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


def profile(name: str, own: Mapping[str, dict[str, Any]], environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """A profile's values by key; `own` are those of the file. Raises UsageError where there is none of the name."""
    known = sorted({*BUILT_IN, *own})
    if name not in known:
        written = f"export {VARIABLE}=" if environ.get(VARIABLE) == name else "--profile "
        hint = f"{written}{nearest(name, known) or known[0]}"
        raise UsageError(f"no profile is named {name}: there are {', '.join(known)}", hint)
    return {**BUILT_IN.get(name, {}), **own.get(name, {})}


Origin = Literal["environment", "profile", "file", "default"]
PROFILE: Final = "profile"  # the table of profiles
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


def settle(keys: Mapping[str, Key], file: File, chosen: str | None, environ: Mapping[str, str]) -> Iterator[Found]:
    """Every setting, in the order of `keys`. Raises UsageError for an environment's value that is refused."""
    named = profile(chosen, file.profiles, environ) if chosen else {}
    for name, key in keys.items():
        if text := environ.get(key.env):
            yield Found(name, from_environment(key, text), "environment", key.env)
        elif name in named:
            yield Found(name, named[name], "profile", chosen, file.line(f"{PROFILE}.{chosen}.{name}"))
        elif name in file.values:
            yield Found(name, file.values[name], "file", str(file.path), file.line(name))
        else:
            yield Found(name, key.default, "default")


OTHERS: Final = ("DYNSCALE_HOME", "DYNSCALE_PROFILE", "DYNSCALE_API_KEY")  # variables that are no settings


def unknown_variables(keys: Mapping[str, Key], environ: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Variables that look like settings and are none, each with the one that was most likely meant."""
    known = {*OTHERS, *(key.env for key in keys.values())}
    for name in sorted(environ):
        if name.startswith("DYNSCALE_") and name not in known:
            yield name, nearest(name, known)


def from_environment(key: Key, text: str) -> Any:
    """The value of a variable's text. Raises UsageError naming the variable."""
    try:
        value = key.from_text(text)
        key.check(value)
    except DynscaleError as error:
        message = error.message.removeprefix("--").removeprefix(key.name).removeprefix(":").strip()
        raise UsageError(f"{key.env}: {message}", f"export {key.env}={key.meant(error.hint)}") from None
    return value


def setting(name: str, environ: Mapping[str, str] = os.environ) -> Any:
    """The value of a setting that has no flag, such as `journal.max_size`: environment, else file, else default.

    Raises UsageError for a value that its check refuses. Opens the file only if there is one.
    """
    from .file import check, path, read

    key = next(key for key in PLAIN if key.name == canonical(name))
    if text := environ.get(key.env):
        return key.check(from_environment(key, text))
    written = read(path(environ))
    check(written, {key.name: key}, only=key.name)
    return key.check(written.values.get(key.name, key.default))
