"""What the user has chosen: aliases of models, and the default. Kept in `models.toml` beside the settings.

Owns that file. Knows nothing of what a target means.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dynscale_cli.errors import UsageError
from dynscale_cli.paths import config_dir, locked, replace
from dynscale_cli.values import read_toml

FILE: Final = "models.toml"
# No separators and no colons: an alias cannot be taken for a path, a repository or a name with its place.
ALIAS: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HEAD: Final = "# Written by `dynscale models alias` and `dynscale models default`.\n"


@dataclass(frozen=True, slots=True)
class Aliases:
    """Targets are names with their place before them, or absolute paths."""

    default: str | None = None
    targets: Mapping[str, str] = field(default_factory=dict)


def file(environ: Mapping[str, str] = os.environ) -> Path:
    return config_dir(environ) / FILE


def load(environ: Mapping[str, str] = os.environ) -> Aliases:
    """What was chosen; nothing where there is no file. Raises UsageError for a file that cannot be understood."""
    path = file(environ)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Aliases()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", f"mend or remove it: rm {path}") from None
    try:
        return _checked(read_toml(raw.decode("utf-8-sig")))
    except (ValueError, TypeError, RecursionError) as error:  # no TOML, no UTF-8; digits or brackets by the thousand
        raise UsageError(f"{path}: {error}", f"mend or remove it: rm {path}") from None


def target(alias: str, environ: Mapping[str, str] = os.environ) -> str:
    """What an alias means. Raises UsageError where there is none of that name."""
    aliases = load(environ).targets
    if alias not in aliases:
        raise UsageError(f"there is no alias {alias}", "dynscale models alias")
    return aliases[alias]


def change(to: Callable[[Aliases], Aliases], environ: Mapping[str, str] = os.environ) -> None:
    """Write them changed, or leave the file as it was; what another program changes meanwhile stays.

    Raises DynscaleError where it cannot be written.
    """
    try:
        with locked(file(environ)):
            replace(file(environ), _toml(to(load(environ))))
    except UnicodeEncodeError:
        raise UsageError(
            "a file whose name is not UTF-8 cannot be kept", "rename it, or name it each time: -m FILE"
        ) from None


def check_alias(name: str) -> None:
    """Raise UsageError for what cannot be an alias."""
    if not ALIAS.fullmatch(name) or name.lower().endswith(".gguf"):
        raise UsageError(
            f"{name!r} cannot be an alias: letters, digits, - _ and . only, and no name of a file",
            "dynscale models alias fast TARGET",
        )


def _checked(content: dict[str, Any]) -> Aliases:
    default, aliases = content.get("default"), content.get("aliases", {})
    if not isinstance(default, str | None):
        raise TypeError("default is not a string")
    if not isinstance(aliases, dict) or not all(isinstance(target, str) for target in aliases.values()):
        raise TypeError("aliases are not strings")
    return Aliases(default or None, aliases)


def _toml(chosen: Aliases) -> str:
    lines = [_HEAD]
    if chosen.default is not None:
        lines.append(f"default = {_quoted(chosen.default)}\n")
    if chosen.targets:
        lines.append("\n[aliases]\n")
        lines += [f"{_quoted(name)} = {_quoted(target)}\n" for name, target in sorted(chosen.targets.items())]
    return "".join(lines)


def _quoted(text: str) -> str:
    """A TOML basic string; its escapes are those of JSON, but for DEL, which JSON leaves as it is."""
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
