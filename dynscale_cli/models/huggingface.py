"""The cache that huggingface_hub and llama.cpp share: where it is, and which models are in it.

Knows the layout (models--OWNER--REPO/snapshots/COMMIT/FILE, links to blobs, refs/main) and needs no library for it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dynscale_cli.models.found import Found, gguf_files, in_repo

PREFIX: Final = "models--"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What is left of downloads from a repository: files, and their bytes in all."""

    repo: str
    files: tuple[Path, ...]
    size: int


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that huggingface_hub would use, by the variables it looks at, in its order."""
    for name, inside in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ):
        if chosen := environ.get(name):
            return Path(os.path.expandvars(os.path.expanduser(chosen)), inside)
    return home(environ) / ".cache/huggingface/hub"


def home(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get("HOME") or os.path.expanduser("~"))


def folder_of(cache: Path, repo: str) -> Path:
    return cache / (PREFIX + repo.replace("/", "--"))


def scan(cache: Path, repo: str = "", source: str = "hf") -> list[Found]:
    """The models in a cache, or those of one repository, however its name is capitalised."""
    try:
        folders = sorted(name for name in os.listdir(cache) if name.startswith(PREFIX))
    except OSError:
        return []
    wanted = folder_of(cache, repo).name.casefold()
    folders = [name for name in folders if not repo or name.casefold() == wanted]
    return [found for name in folders for found in _repository(cache / name, source)]


def interrupted(cache: Path) -> list[Interrupted]:
    """The downloads that did not come to their end."""
    left: dict[str, dict[Path, int]] = {}
    for path in sorted(cache.glob(f"{PREFIX}*/blobs/*.incomplete")):
        with contextlib.suppress(OSError):  # it has come to its end meanwhile
            left.setdefault(_repo(path.parent.parent), {})[path] = path.stat().st_size
    return [Interrupted(repo, tuple(sizes), sum(sizes.values())) for repo, sizes in left.items()]


def _repo(folder: Path) -> str:
    return folder.name.removeprefix(PREFIX).replace("--", "/")


def _repository(folder: Path, source: str) -> list[Found]:
    """Each file once, from the newest revision that has it."""
    repo = _repo(folder)
    found: dict[str, Found] = {}
    for snapshot in _snapshots(folder):
        for model in in_repo(source, repo, snapshot, gguf_files(snapshot)):
            found.setdefault(model.path.relative_to(snapshot).as_posix(), model)
    return list({model.name: model for model in reversed(found.values())}.values())[::-1]


def _snapshots(folder: Path) -> list[Path]:
    """The revisions at hand: that of the main branch first, then the newest first."""
    try:
        snapshots = [Path(entry.path) for entry in os.scandir(folder / "snapshots") if entry.is_dir()]
    except OSError:
        return []
    try:
        main = (folder / "refs/main").read_text("utf-8", "replace").strip()
    except OSError:
        main = ""
    return sorted(snapshots, key=lambda path: (path.name != main, -path.stat().st_mtime))
