"""The names of what was found: one name for each model, and which models a name may mean.

Pure: works on what `sources` found, and opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dynscale_cli.models import quants
from dynscale_cli.models.found import SOURCES, Found


@dataclass(frozen=True, slots=True)
class Entry:
    """A model under the one name by which it is listed, and the other names that it has on disk."""

    name: str
    found: Found
    others: tuple[Found, ...] = ()


def entries(found: Sequence[Found]) -> list[Entry]:
    """Each file once, under a name that means no other: the bare one if it can be, else with its place before it."""
    files: dict[object, list[Found]] = {}
    for one in found:
        files.setdefault(one.identity, []).append(one)
    bare, full = _holders(files, lambda one: one.name), _holders(files, lambda one: one.full_name)
    listed = []
    for first, *others in files.values():
        if bare[first.name.casefold()] == 1:
            name = first.name
        else:
            name = first.full_name if full[first.full_name.casefold()] == 1 else str(first.path)
        listed.append(Entry(name, first, tuple(others)))
    return listed


def matches(name: str, found: Sequence[Found]) -> list[Found]:
    """The models that a name may mean, each file once; more than one where it says too little.

    A whole name beats a repository, of which the preferred quantisation is meant; that beats the last part of a name.
    """
    wanted = name.casefold()
    for test in (_is, _is_repo, _ends):
        hits = [one for one in found if test(one, wanted)]
        if hits:
            return _preferred(hits)
    return []


def places(name: str) -> tuple[str, str]:
    """A name's place, if it begins with one, and the rest."""
    place, colon, rest = name.partition(":")
    return (place.casefold(), rest) if colon and place.casefold() in SOURCES else ("", name)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant, for a name that means nothing."""
    from difflib import get_close_matches

    spelled: dict[str, str] = {}
    for one in known:
        for form in (one, one.rpartition(":")[0], one.rpartition("/")[2], one.rpartition("/")[2].rpartition(":")[0]):
            spelled.setdefault(form.casefold(), one)
    wanted = name.casefold()
    inside = sorted(one for form, one in spelled.items() if len(wanted) > 2 and wanted in form)
    close = get_close_matches(wanted, [form for form in spelled if form], 1, 0.7)
    return spelled[close[0]] if close else (inside[0] if inside else None)


def _is(one: Found, wanted: str) -> bool:
    names = {one.name, one.full_name, one.path.name, f"{one.repo}:{one.path.name}"}
    latest = {f"{wanted}:latest"} if one.source == "ollama" else set()
    return not ({wanted} | latest).isdisjoint(name.casefold() for name in names)


def _is_repo(one: Found, wanted: str) -> bool:
    return bool(one.repo) and one.repo.casefold() == wanted


def _ends(one: Found, wanted: str) -> bool:
    """The name without its owner, with or without the quantisation."""
    last = one.name.rpartition("/")[2].casefold()
    return wanted in (last, one.repo.rpartition("/")[2].casefold() if one.repo else last.partition(":")[0])


def _preferred(hits: list[Found]) -> list[Found]:
    """Of one repository the quantisation that is preferred; each file once."""
    best: dict[tuple[str, str], Found] = {}
    for one in hits:
        key = (one.source, one.repo or one.name)
        if key not in best or quants.rank(one.tag) < quants.rank(best[key].tag):
            best[key] = one
    return list({one.identity: one for one in reversed(best.values())}.values())[::-1]


def _holders(files: dict[object, list[Found]], naming: Callable[[Found], str]) -> dict[str, int]:
    """How many files go by each name."""
    counts: dict[str, int] = {}
    for names in files.values():
        for name in {naming(one).casefold() for one in names}:
            counts[name] = counts.get(name, 0) + 1
    return counts
