"""A model that lies somewhere on this machine: where it is, whose it is, and what it is called there.

Knows files by their names; opens none. How each program lays out its folders is in the file of that program.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dynscale_cli.models import quants

DEEPEST: Final = 6  # folders below the one named: nobody keeps models deeper, and a home directory is deep

# What may stand before a name, and how people call that place.
SOURCES: Final = {
    "bundled": "bundled",
    "hf": "Hugging Face",
    "llama.cpp": "llama.cpp",
    "lmstudio": "LM Studio",
    "ollama": "Ollama",
    "folder": "folder",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One model on disk. `path` is its first part; `repo` is empty where the place has no repositories."""

    source: str  # a key of SOURCES
    name: str  # as its place calls it: owner/repo:Q4_K_M, llama3.2:1b, the stem of a file
    path: Path
    repo: str = ""

    @property
    def full_name(self) -> str:
        """The name that means this model whatever else is on disk."""
        return f"{self.source}:{self.name}"

    @property
    def tag(self) -> str:
        return self.name[len(self.repo) + 1 :] if self.repo else ""

    @property
    def identity(self) -> object:
        """Equal for two names of one file: links and hard links count once."""
        try:
            state = self.path.stat()
        except OSError:
            return os.path.realpath(self.path)
        return state.st_dev, state.st_ino


def first_parts(paths: Iterable[Path]) -> list[Path]:
    """Each model once: of a split one its first part, or the earliest where that is missing."""
    found: dict[tuple[Path, str], Path] = {}
    for path in sorted(paths):
        found.setdefault((path.parent, quants.stem(path.name)), path)
    return list(found.values())


def in_repo(source: str, repo: str, root: Path, paths: Iterable[Path]) -> list[Found]:
    """The models among a repository's files, told apart by their quantisations."""
    firsts = {path.relative_to(root).as_posix(): path for path in first_parts(paths)}
    return [Found(source, f"{repo}:{tag}", firsts[key], repo) for key, tag in quants.tags(firsts).items()]


def gguf_files(folder: Path, deepest: int = DEEPEST) -> Iterator[Path]:
    """Files of models below a folder, in order of their names. What cannot be read is passed over, and so are pipes
    and the like, which would be waited for; a link to nothing is a model that is gone."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if deepest and not entry.name.startswith("."):
                yield from gguf_files(Path(entry.path), deepest - 1)
        elif quants.is_model(entry.name) and (os.path.isfile(entry.path) or not os.path.exists(entry.path)):
            yield Path(entry.path)
