"""What a tab asks the program: names that only the machine knows. `dynscale __complete KIND BEGINNING`, one a line.

Everything else a script of `dynscale completions` knows by itself. Runs before the parser is even imported, and says
nothing but names: whatever goes wrong, there are none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def model_names(incomplete: str) -> list[str]:
    """Models by name, and GGUF files where the path leads."""
    return [*_known_models(), *_files(incomplete)]


def run_ids(incomplete: str) -> list[str]:
    from dynscale_cli.run.store import Store

    return Store().ids()


def profile_names(incomplete: str) -> list[str]:
    from dynscale_cli.settings import file
    from dynscale_cli.settings.profiles import BUILT_IN

    return sorted({*BUILT_IN, *file.read(file.path()).profiles})


KINDS: dict[str, Callable[[str], Iterable[str]]] = {
    "models": model_names,
    "runs": run_ids,
    "profiles": profile_names,
}


def complete(arguments: Sequence[str]) -> int:
    """Print the names of a kind that begin as was typed."""
    kind, beginning = (*arguments, "", "")[:2]
    try:
        names = sorted(set(KINDS[kind](beginning)))
    except Exception:  # a tab never shows an error
        return 0
    print("".join(f"{name}\n" for name in names if name.startswith(beginning)), end="")
    return 0


def _known_models() -> list[str]:
    with contextlib.suppress(Exception):
        from dynscale_cli.models.resolve import names

        return names()
    return []


def _files(incomplete: str) -> list[str]:
    """GGUF files, and folders on the way to one, spelled as the user began: ~ stays ~."""
    folder, slash, _ = incomplete.rpartition("/")
    with contextlib.suppress(OSError, RuntimeError):
        entries = [each for each in Path(f"{folder}{slash}" or ".").expanduser().iterdir() if each.name[0] != "."]
        folders = [f"{folder}{slash}{each.name}/" for each in entries if each.is_dir()]
        return folders + [f"{folder}{slash}{each.name}" for each in entries if each.suffix.lower() == ".gguf"]
    return []
