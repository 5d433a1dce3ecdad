"""What `models list` says of each model on disk: its header in a line, or what is wrong with it.

A damaged file is a line like any other. What is no model that answers (encoders, vision towers, adapters) is told
apart here, by what its file says.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dynscale_cli.errors import ModelError
from dynscale_cli.models import catalog, choices, huggingface, quants, sources
from dynscale_cli.models.found import SOURCES, Found
from dynscale_cli.models.gguf import ENCODERS, UNUSUAL, GGUFHeader, read_header, reading
from dynscale_cli.models.splits import siblings

ASIDE: Final = frozenset({"adapter", "mmproj", "imatrix", "controlvector"})  # general.type, where it is no model


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the list. A damaged file has a `problem`, and only what its name and size say."""

    name: str
    architecture: str
    parameters: int
    quantisation: str
    context: int  # tokens it was trained with
    size: int  # bytes on disk, all parts
    source: str
    path: str
    default: bool
    aliases: tuple[str, ...]
    other_names: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """`aside` names what is on disk and does not answer; `unreadable` are places that may not be looked into."""

    models: tuple[Listed, ...]
    aside: tuple[str, ...]
    interrupted: tuple[huggingface.Interrupted, ...]
    unreadable: tuple[Path, ...]


def listing(environ: Mapping[str, str] = os.environ) -> Listing:
    """Every model on this machine that could be asked, and every damaged file that should be one."""
    chosen, models, aside = choices.load(environ), [], []
    entries = catalog.entries(sources.scan(environ))
    default = _default(environ, chosen, entries)
    for entry in entries:
        header, problem = _read(entry.found)
        if header is None and not problem:
            aside.append(entry.name)
        else:
            models.append(_line(entry, header, problem, chosen, entry is default))
    interrupted = tuple(huggingface.interrupted(huggingface.cache_dir(environ)))
    return Listing(tuple(models), tuple(aside), interrupted, tuple(sources.unreadable(environ)))


def _read(found: Found) -> tuple[GGUFHeader | None, str]:
    """The header, or what is wrong; neither for what is no model that answers."""
    if not found.path.exists():
        return None, "the file is gone; only its name is left"
    try:
        header = read_header(found.path)
    except ModelError as error:
        return None, "" if _is_aside(found.path) else error.message.removeprefix(f"{found.path}: ")
    return (header, "") if header.generates else (None, "")


def _is_aside(path: Path) -> bool:
    """Whether a file that is no sound model says that it was never meant to be one."""
    try:
        with reading(path) as container:
            kind, architecture = (container.values.get(f"general.{key}") for key in ("type", "architecture"))
            return kind in ASIDE or architecture in ENCODERS | UNUSUAL | ASIDE
    except ModelError:
        return False


def _line(
    entry: catalog.Entry, header: GGUFHeader | None, problem: str, chosen: choices.Choices, default: bool
) -> Listed:
    names = {entry.name, *(one.full_name for one in (entry.found, *entry.others)), str(entry.found.path)}
    return Listed(
        name=entry.name,
        architecture=header.architecture if header else "",
        parameters=header.parameters if header else 0,
        quantisation=header.quantisation if header else quants.quant(entry.found.path.as_posix()),
        context=header.context_length if header else 0,
        size=header.size if header else _size(entry.found.path),
        source=SOURCES[entry.found.source],
        path=str(entry.found.path),
        default=default,
        aliases=tuple(sorted(alias for alias, target in chosen.aliases.items() if target in names)),
        other_names=tuple(one.name if one.name != entry.found.name else one.full_name for one in entry.others),
        problem=problem,
    )


def _default(
    environ: Mapping[str, str], chosen: choices.Choices, entries: Sequence[catalog.Entry]
) -> catalog.Entry | None:
    """The model that `ask` takes without -m."""
    from dynscale_cli.models.resolve import resolve

    try:
        path = resolve(None, environ)
    except ModelError:
        return None
    return next((entry for entry in entries if _same(path, (entry.found, *entry.others))), None)


def _same(path: Path, founds: Iterable[Found]) -> bool:
    return any(found.path == path or (found.path.exists() and found.path.samefile(path)) for found in founds)


def _size(path: Path) -> int:
    try:
        parts = siblings(path)
    except ModelError:
        parts = [path]
    return sum(part.stat().st_size for part in parts if part.exists())
