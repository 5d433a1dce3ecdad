"""All the places where models may lie on this machine, and what is in them.

Reads folders, never a model: a tab completion has no time for that. Each place has a file of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from dynscale_cli.models import huggingface, llamacpp, lmstudio, ollama, quants
from dynscale_cli.models.bundle import bundled
from dynscale_cli.models.found import SOURCES, Found, first_parts, gguf_files
from dynscale_cli.settings import setting


def scan(environ: Mapping[str, str] = os.environ, only: str = "", repo: str = "") -> list[Found]:
    """What is on disk, the same file under each of its names; `only` names one source, `repo` one repository of hf."""
    chosen = [only] if only else list(SOURCES)
    return [found for source in chosen for found in _SCANNERS[source](environ, repo)]


def folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The folders that the user's settings name."""
    return [Path(folder).expanduser() for folder in setting("models.folders", environ)]


def unreadable(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Places that are there but may not be read."""
    places = [huggingface.cache_dir(environ), llamacpp.cache_dir(environ), *folders(environ)]
    places += [*ollama.stores(environ), *lmstudio.folders(environ)]
    return [place for place in dict.fromkeys(places) if _closed(place)]


def _closed(place: Path) -> bool:
    try:
        os.scandir(place).close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _in_package(environ: Mapping[str, str], repo: str) -> list[Found]:
    path = bundled()
    return [] if path is None else [Found("bundled", quants.stem(path.name), path)]


def _in_folders(environ: Mapping[str, str], repo: str) -> list[Found]:
    paths = first_parts(path for folder in folders(environ) for path in gguf_files(folder))
    return [Found("folder", quants.stem(path.name), path) for path in paths]


def _each(scanner: Callable[[Path], list[Found]], places: Iterable[Path]) -> list[Found]:
    return [found for place in places for found in scanner(place)]


_SCANNERS: Final[dict[str, Callable[[Mapping[str, str], str], list[Found]]]] = {
    "bundled": _in_package,
    "hf": lambda environ, repo: huggingface.scan(huggingface.cache_dir(environ), repo),
    "llama.cpp": lambda environ, repo: llamacpp.scan(llamacpp.cache_dir(environ)),
    "lmstudio": lambda environ, repo: _each(lmstudio.scan, lmstudio.folders(environ)),
    "ollama": lambda environ, repo: _each(ollama.scan, ollama.stores(environ)),
    "folder": _in_folders,
}
