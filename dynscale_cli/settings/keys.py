"""What can be set: names, types, checks.

    Key      one setting
    PLAIN    those that are no flag of any command

Knows nothing of files, nor of the parser: the keys of flags are made by whoever declares the flags.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from dynscale_cli.config import parse_size
from dynscale_cli.errors import UsageError

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
    Key("journal.single", "DYNSCALE_JOURNAL_SINGLE", "switch", True, "Keep runs of one question, too."),
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
