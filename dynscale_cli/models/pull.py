"""Download a model into the Hugging Face cache: which files, whether they fit on the disk, whether they are sound.

Owns the choice and the order of the steps; `hub` talks to the network. Knows nothing of terminals.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from dynscale_cli.errors import ModelError, UsageError
from dynscale_cli.models import hub, huggingface, quants
from dynscale_cli.models.found import Found
from dynscale_cli.models.gguf import GGUFHeader, read_header, require_generator
from dynscale_cli.models.hub import Remote
from dynscale_cli.models.sizes import in_bytes

_REPO: Final = r"(?P<repo>\w[\w.-]*/\w[\w.-]*)"
_NAME: Final = re.compile(rf"(?:hf:)?{_REPO}(?::(?P<tag>[^/:]+))?", re.IGNORECASE)
_PAGE: Final = re.compile(
    rf"(?:hf://|https?://[\w.:-]+/){_REPO}"
    r"(?:/(?:(?:blob|resolve)/[^/]+/(?P<tag>[^?#]+\.gguf)|tree/[^?#]*)?)?(?:[?#].*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repository, and what tells the model in it: a quantisation or a file; empty for the preferred one."""

    repo: str
    tag: str = ""

    @property
    def name(self) -> str:
        return f"{self.repo}:{self.tag}" if self.tag else self.repo


@dataclass(frozen=True, slots=True)
class Pulled:
    """Where the model is, what it is called, and how many bytes had to be fetched."""

    path: Path
    name: str
    fetched: int
    header: GGUFHeader


class Watcher(Protocol):
    """Is told what happens during a download."""

    def starts(self, name: str, size: int, have: int) -> None: ...

    def has(self, count: int) -> None: ...

    def says(self, text: str) -> None: ...


def parse(text: str) -> Wanted:
    """OWNER/REPO[:QUANT], with or without hf: before it, or the address of its page or of a file."""
    match = _NAME.fullmatch(text.strip()) or _PAGE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text}: not a repository on the hub", "dynscale models pull OWNER/REPO[:QUANT]")
    return Wanted(match["repo"], match["tag"] or "")


def pull(wanted: Wanted, watcher: Watcher) -> Pulled:
    """Download the model, or find that it is here. Raises ModelError; what has been fetched stays for the next time."""
    if _offline() and (here := _on_disk(wanted)):
        return Pulled(here.path, here.name, 0, _sound(here.path, here.name))
    remotes = [one for one in hub.files(wanted.name, watcher.says) if quants.is_model(one.path)]
    tag, parts = choose(wanted, remotes)
    name = f"{wanted.repo}:{tag}"
    size, have = sum(part.size for part in parts), sum(hub.partial(wanted.repo, part) for part in parts)
    _check_space(size - have, wanted, tag)
    watcher.starts(name, size, have)
    paths, before = [], 0
    for part in parts:
        paths.append(hub.fetch(name, part, watcher.says, _counting(watcher, before)))
        before += part.size
    return Pulled(paths[0], name, size - have, _sound(paths[0], name))


def _sound(path: Path, name: str) -> GGUFHeader:
    """The header of what is as the hub has it, which need not mean that it can be used."""
    try:
        header = read_header(path)
        require_generator(header)
    except ModelError as error:
        raise ModelError(error.message, f"dynscale models rm {name}, and pull another") from None
    return header


def choose(wanted: Wanted, remotes: Sequence[Remote]) -> tuple[str, list[Remote]]:
    """The model's tag and its files in order: what was named, else the preferred quantisation."""
    if not remotes:
        raise ModelError(
            f"{wanted.repo} holds no GGUF file", f"look for a repository that does: {wanted.repo}-GGUF, perhaps"
        )
    models: dict[str, list[Remote]] = {}
    for path, tag in quants.tags(one.path for one in remotes).items():
        models.setdefault(tag, []).extend(one for one in remotes if one.path == path)
    tag = _named(wanted, models) if wanted.tag else min(models, key=quants.rank)
    return tag, sorted(models[tag], key=lambda one: one.path)


def _named(wanted: Wanted, models: dict[str, list[Remote]]) -> str:
    asked = wanted.tag.casefold()
    for tag, parts in models.items():
        names = {tag, tag.removeprefix("UD-"), *(part.path for part in parts)}
        names |= {quants.stem(part.path) for part in parts} | {Path(part.path).name for part in parts}
        if asked in {name.casefold() for name in names}:
            return tag
    there = ", ".join(sorted(models, key=quants.rank))
    best = min(models, key=quants.rank)
    raise ModelError(
        f"{wanted.repo} has no {wanted.tag}; there is {there}", f"dynscale models pull {wanted.repo}:{best}"
    )


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _on_disk(wanted: Wanted) -> Found | None:
    from dynscale_cli.models import catalog

    found = catalog.matches(wanted.name, huggingface.scan(huggingface.cache_dir(), wanted.repo))
    return found[0] if found else None


def _check_space(needed: int, wanted: Wanted, tag: str) -> None:
    """Raise ModelError before the first byte where the last one would not fit."""
    cache = huggingface.cache_dir()
    place = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise ModelError(
            f"{wanted.repo}:{tag} needs {in_bytes(needed)} in {cache}, where {in_bytes(free)} are free",
            f"make room, or use another disk: HF_HUB_CACHE=FOLDER dynscale models pull {wanted.repo}:{tag}",
        )


def _counting(watcher: Watcher, before: int) -> Callable[[int], None]:
    return lambda count: watcher.has(before + count)
