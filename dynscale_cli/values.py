"""Values as users write them: token counts, budgets, sizes, layers; and the word that a mistyped one most likely meant.

Owns parsing, TOML's too, and the reading of a text file that a value names. Knows nothing of commands, nor of where a
value was written: `settings` does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dynscale_cli.errors import UsageError

INTEGER: Final = 2**31 - 1  # the largest that llama.cpp takes; beyond it a number becomes another one
STDIN: Final = "-"  # names standard input where a file could stand
_COUNT = re.compile(r"((?:\d{1,3}(?:,\d{3})+|\d[\d_]*)(?:\.\d+)?|\.\d+)\s*([kmb]?)", re.IGNORECASE)  # 1,5k is none
_LAYERS = re.compile(r"[0-9]{1,6}")
_PIECE = 1 << 20  # bytes
MOST_TOKENS = 10**15
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}

HINT_VARIABLES = "such as '{\"enable_thinking\": false}'"


def parse_tokens(text: str, name: str = "--budget") -> int:
    """A count of tokens: 4000, 12k, 1.5m. Raises UsageError below 1 or when it is no count."""
    match = _COUNT.fullmatch(text.strip())
    hint = f"{name} takes a count of tokens, such as 4000, 12k or 1.5m"
    if match is None:
        raise UsageError(f"{name} {text}: not a count of tokens", hint)
    count = float(match[1].replace("_", "").replace(",", "")) * _SCALE[match[2].lower()]
    if count > MOST_TOKENS:  # before it is rounded, as so many digits are infinity
        raise UsageError(f"{name} {text[:40]}: more than any run can spend", hint)
    if round(count) < 1:
        raise UsageError(f"{name} {text}: at least one token is needed", hint)
    return round(count)


@dataclass(frozen=True, slots=True)
class Budget:
    """A hard cap in tokens, over the whole run or `each` question of it."""

    tokens: int
    each: bool = False

    def total(self, questions: int) -> int:
        return self.tokens * questions if self.each else self.tokens


def parse_budget(text: str, name: str = "--budget") -> Budget:
    """A count of tokens, or one a question: 12k, 2048/q. Raises UsageError."""
    count, slash, per = text.partition("/")
    if slash and per.strip().lower() not in ("q", "question"):
        raise UsageError(f"{name} {text}: not a count of tokens", f"{name} 12k for all, {name} 2k/q a question")
    return Budget(parse_tokens(count, name), bool(slash))


_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str, name: str = "--time-limit") -> float:
    """A time in seconds: 90, 90s, 5m, 1.5h. Raises UsageError for none, or no time at all."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([smh]?)", text.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not 0 < seconds < 1e9:
        raise UsageError(f"{name} {text[:40]}: not a time", f"{name} 90s, {name} 5m")
    return seconds


def parse_share(text: str, name: str = "--chain-share") -> float | None:
    """A share from 0 to 1; None for auto. Raises UsageError."""
    if text.strip().lower() == "auto":
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"{name} {text[:40]}: not a share", f"{name} auto, or a number from 0 to 1 such as {name} 0.5")
    return share


_PREFIXES = "kmgt"


def parse_size(text: str, name: str) -> int:
    """Bytes: 500M, 1G, 1GB; decimal as disks count, 1GiB binary. Raises UsageError below 1."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    base = 1024 if match and match[3] else 1000
    size = float(match[1]) * base ** (_PREFIXES.find(match[2]) + 1 if match[2] else 0) if match else 0
    if not 0.5 < size < 1 << 60:
        raise UsageError(f"{name} {text[:40]}: not a size", f"{name} 1G, or another size such as 500M")
    return round(size)


def parse_layers(text: str, name: str = "--n-gpu-layers") -> int:
    """Layers to offload: a count, or `auto` and `all` for as many as the build can (-1)."""
    if text.lower() in ("auto", "all", "-1"):
        return -1
    if not _LAYERS.fullmatch(text):
        raise UsageError(f"{name} {text}: not a count of layers", "use a number, auto or all")
    return int(text)


def parse_floats(text: str, name: str) -> tuple[float, ...]:
    """Comma-separated proportions, such as 3,1."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(f"{name} {text}: not a list of numbers", f"use commas, such as {name} 3,1") from error


def parse_variables(text: str, name: str = "--template-kwargs") -> dict[str, Any]:
    """A JSON object. Raises UsageError."""
    import json

    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{name} {text}: not JSON: {error}", HINT_VARIABLES) from error
    if not isinstance(found, dict):
        raise UsageError(f"{name} {text}: not an object", HINT_VARIABLES)
    return found


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to `word` in spelling, or None where none is close."""
    from difflib import get_close_matches

    words = {candidate.lower(): candidate for candidate in known}
    found = [name for name in words if sorted(name) == sorted(word.lower())]  # --modle is --model, and not --mode
    found = found or get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    found = found or [name for name in words if word and name.startswith(word.lower())]
    return words[found[0]] if len(found) == 1 else None


def choose(word: str, known: Iterable[str], name: str) -> str:
    """`word`, where it is known. Raises UsageError with the nearest one: `name` is the flag that took it."""
    known = list(known)
    if word in known:
        return word
    meant = nearest(word, known)
    hint = f"{name} {meant}" if meant else f"{name} takes one of {', '.join(known)}"
    raise UsageError(f"{name} {word}: unknown", hint)


def file_text(path: Path) -> str:
    """A file's text in UTF-8, line ends as "\\n". Raises OSError; UnicodeDecodeError at what is no text.

    A NUL byte is none, and is looked for as pieces come in: /dev/zero holds nothing else, for ever.
    """
    read = bytearray()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            if (nul := piece.find(b"\0")) >= 0:
                raise UnicodeDecodeError("utf-8", piece, nul, nul + 1, "a NUL byte")
            read += piece
    return read.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def read_toml(text: str) -> dict[str, Any]:
    """TOML as a dictionary. Raises ValueError. Its parser, slow to load, is only loaded here."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)
