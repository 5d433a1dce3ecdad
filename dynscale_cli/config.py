"""Values as users write them: token counts, layers, seeds; and where dynscale keeps its things.

Owns parsing and the environment's names. Knows nothing of commands.
"""

from __future__ import annotations

import re

from dynscale_cli.errors import UsageError

_COUNT = re.compile(r"(\d[\d_,]*(?:\.\d+)?|\.\d+)\s*([kmb]?)", re.IGNORECASE)
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}


def parse_tokens(text: str, name: str = "--budget") -> int:
    """A count of tokens: 4000, 12k, 1.5m. Raises UsageError below 1 or when it is no count."""
    match = _COUNT.fullmatch(text.strip())
    hint = f"{name} takes a count of tokens, such as 4000, 12k or 1.5m"
    if match is None:
        raise UsageError(f"{name} {text}: not a count of tokens", hint)
    count = round(float(match[1].replace("_", "").replace(",", "")) * _SCALE[match[2].lower()])
    if count < 1:
        raise UsageError(f"{name} {text}: at least one token is needed", hint)
    if count > 10**15:
        raise UsageError(f"{name} {text}: more than any run can spend", hint)
    return count


def parse_layers(text: str) -> int:
    """Layers to offload: a count, or `auto` and `all` for as many as the build can (-1)."""
    if text.lower() in ("auto", "all", "-1"):
        return -1
    if not text.isdigit():
        raise UsageError(f"--n-gpu-layers {text}: not a count of layers", "use a number, auto or all")
    return int(text)


def parse_floats(text: str, name: str) -> tuple[float, ...]:
    """Comma-separated proportions, such as 3,1."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(f"{name} {text}: not a list of numbers", f"use commas, such as {name} 3,1") from error
