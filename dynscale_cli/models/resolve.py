"""Which file a model's name stands for: a path, an alias, a name of what is on disk, or the default.

The one entry for all who need a model, and for all names that can be typed. Looks at names and at the first bytes; what
else is in the file is `gguf`'s business. Never downloads. Only a bare name makes it look through the folders of other
programs.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dynscale_cli.errors import ModelError, UsageError
from dynscale_cli.models import stores
from dynscale_cli.models.gguf import MAGIC
from dynscale_cli.models.names import (
    ALIAS,
    alias_target,
    change_aliases,
    check_alias,
    load_aliases,
    rank,
    repository,
    siblings,
)
from dynscale_cli.models.stores import INSTALL, SOURCES, LocalModel, bundled

VARIABLE: Final = "DYNSCALE_MODEL"
FETCH: Final = "dynscale models list shows what there is; -m takes a GGUF file, too"
LIST: Final = "dynscale models list"

REPO: Final = re.compile(r"[\w.-]+/[\w.-]+")
OLLAMA: Final = re.compile(r"[a-z][\w.-]*:[\w.-]+")


def resolve(name: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The GGUF file to load: `name`, else $DYNSCALE_MODEL, else the default that was set, else the bundled model.

    Raises ModelError when there is none, or the file is missing, a directory, not GGUF or lacks a part.
    """
    if name is not None:
        return locate(name, environ)
    if chosen := environ.get(VARIABLE):
        return locate(chosen, environ, f" (from {VARIABLE})")
    if default := load_aliases(environ).default:
        try:
            return locate(default, environ, " (from `dynscale models default`)", aliased=True)
        except ModelError as error:
            if error.hint not in (FETCH, LIST):
                raise
            raise ModelError(error.message, f"dynscale models default --remove, or name another: {LIST}") from None
    found = bundled()
    if found is None:
        raise ModelError("no model", f"{INSTALL} for a small one, or name a GGUF file: -m FILE")
    return found


def locate(name: str, environ: Mapping[str, str] = os.environ, origin: str = "", aliased: bool = False) -> Path:
    """The file of one name. `origin` says where the name is from, in errors; a name that is `aliased` is no alias."""
    if not name.strip():
        raise ModelError(f"the model's name is empty{origin}", FETCH)
    if not aliased and ALIAS.fullmatch(name) and (target := load_aliases(environ).targets.get(name)):
        return locate(target, environ, f" (the alias {name}{origin})", aliased=True)
    if _is_file(name):
        return _checked(name, origin)
    found = find(name, environ)
    if not found and name.count("/") > 1 and (page := repository(name)):  # the address of a page of the hub
        name = ":".join(part for part in ("hf", *page) if part)
        found = find(name, environ)
    if len(found) == 1:
        return _kept(found[0], origin)
    if found:
        several = ", ".join(one.full_name for one in found)
        raise ModelError(f"{name}{origin} may be {several}", f"-m {found[0].full_name}")
    if os.path.exists(name) or name.lower().endswith(".gguf"):
        return _checked(name, origin)  # a directory, or a file that is missing
    raise _unknown(name, origin, environ)


def _kept(found: LocalModel, origin: str) -> Path:
    """The file of a model in one of the stores."""
    if not found.path.exists():
        again = f"dynscale models pull {found.name}" if found.repo else LIST
        raise ModelError(f"{found.full_name}{origin}: only its name is left, {found.path} is gone", again)
    return _checked(str(found.path), f" ({found.full_name}{origin})")


def find(name: str, environ: Mapping[str, str] = os.environ) -> list[LocalModel]:
    """What is on disk that a name may mean: one as it is listed, with its place before it or not, or a part of it."""
    place, rest = places(name)
    if "/" not in rest:
        everything = stores.scan(environ, place)
        return matches(rest, everything) or _containing(rest, everything)
    repo = _repo(rest) if place == "hf" and "/" in rest else ""
    found = matches(rest, stores.scan(environ, place, repo))
    if found or not repo:
        return found
    # LM Studio and llama.cpp keep repositories of the hub as well.
    return [one for one in matches(rest, stores.scan(environ)) if one.repo]


def _is_file(name: str) -> bool:
    """A file that is there, or what can be nothing else than one."""
    if name.startswith((".", "/", "~")) or "\0" in name or "\\" in name:
        return True
    return os.path.exists(name) and not os.path.isdir(name)


def _repo(name: str) -> str:
    return name.partition(":")[0]


def _unknown(name: str, origin: str, environ: Mapping[str, str]) -> ModelError:
    """No such model on disk: what would get it, or what was probably meant."""
    place, rest = places(name)
    if place == "ollama":
        return ModelError(f"{name}{origin}: not in Ollama's store", f"ollama pull {rest}")
    if place not in ("", "hf"):
        return ModelError(f"{name}{origin}: {SOURCES[place]} has no such model", LIST)
    found = stores.scan(environ)
    known = [*load_aliases(environ).targets, *(entry.name for entry in entries(found))]
    meant = nearest(rest, known)
    if REPO.fullmatch(_repo(rest)):
        return _not_pulled(rest, origin, [one for one in found if one.repo.casefold() == _repo(rest).casefold()], meant)
    if meant:
        return ModelError(f"no model is called {name}{origin}; the nearest is {meant}", f"-m {meant}")
    if OLLAMA.fullmatch(name):
        return ModelError(f"no model is called {name}{origin}", f"ollama pull {name}, or see what there is: {LIST}")
    return ModelError(f"no model is called {name}{origin}, and no file", LIST)


def _not_pulled(name: str, origin: str, here: Sequence[LocalModel], meant: str | None) -> ModelError:
    """A repository's name: perhaps it is on disk in other quantisations, perhaps it is misspelled."""
    pull = f"dynscale models pull {name}"
    if here:
        held = ", ".join(one.tag for one in here)
        return ModelError(f"{name}{origin} is not on disk, of that repository only {held}", pull)
    return ModelError(f"{name}{origin} is not on disk", f"{pull}, or -m {meant}" if meant else pull)


def _checked(name: str, origin: str) -> Path:
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # ~nobody
        path = Path(name)
    if path.is_dir():
        raise ModelError(f"{path}{origin}: a directory, not a model", _files_in(path))
    try:
        if path.exists() and not path.is_file():
            raise ModelError(f"{path}{origin}: a pipe or a device, not a file", FETCH)
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise ModelError(f"{path}{origin}: {error.strerror or error}", FETCH) from None
    except ValueError:  # a NUL in the name
        raise ModelError(f"{name!r}{origin}: not a file name", FETCH) from None
    if magic != MAGIC:
        what = "the file is empty" if not magic else "not a GGUF file (it does not begin with 'GGUF')"
        raise ModelError(f"{path}{origin}: {what}", FETCH)
    return siblings(path)[0]


def _files_in(folder: Path) -> str:
    try:
        found = min(folder.glob("*.gguf"), default=None)
    except OSError:
        found = None
    return f"-m {found}" if found else FETCH


# Names that the user gives


def names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Everything that -m takes beside paths: aliases, and the names of the list. Reads folders and no models."""
    listed = [entry.name for entry in entries(stores.scan(environ))]
    return [*sorted(load_aliases(environ).targets), *listed]


def remember(alias: str, target: str, environ: Mapping[str, str] = os.environ) -> str:
    """Keep an alias; what it means. Raises UsageError for a name that is taken, ModelError for what is no model."""
    check_alias(alias)
    if any(alias.casefold() == entry.name.casefold() for entry in entries(stores.scan(environ))):
        raise UsageError(
            f"{alias} is the name of a model", "choose another alias: dynscale models list shows all names"
        )
    means = kept(target, environ)
    change_aliases(lambda chosen: replace(chosen, targets={**chosen.targets, alias: means}), environ)
    return means


def forget(alias: str, environ: Mapping[str, str] = os.environ) -> None:
    """Remove an alias. Raises UsageError where there is none."""
    alias_target(alias, environ)
    change_aliases(lambda chosen: replace(chosen, targets=_without(chosen.targets, alias)), environ)


def _without(targets: Mapping[str, str], alias: str) -> dict[str, str]:
    return {name: means for name, means in targets.items() if name != alias}


def set_default(name: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """Keep the default, or none; what is kept."""
    means = None if name is None else kept(name, environ)
    change_aliases(lambda chosen: replace(chosen, default=means), environ)
    return means


def kept(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """What to write down for a name. Raises ModelError where it is on no disk, or means several."""
    path = locate(name, environ)  # raises, with what to do
    found = _holder(path, stores.scan(environ))
    return str(path.absolute()) if found is None or os.path.isfile(name) else found.full_name


def left_behind(gone: LocalModel, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Commands that forget what meant a model that is gone."""
    chosen, meant = load_aliases(environ), {gone.full_name, str(gone.path)}
    commands = [f"dynscale models alias --remove {name}" for name, means in chosen.targets.items() if means in meant]
    return commands + (["dynscale models default --remove"] if chosen.default in meant else [])


def local_model(name: str, environ: Mapping[str, str] = os.environ) -> LocalModel:
    """The one model on disk that a name means, damaged or not."""
    name = load_aliases(environ).targets.get(name, name)
    everything = stores.scan(environ)
    if os.path.exists(name):
        if (found := _holder(Path(name), everything)) is not None:
            return found
        return LocalModel("folder", name, Path(name).absolute())
    found_all = find(name, environ)
    if len(found_all) == 1:
        return found_all[0]
    locate(name, environ)  # raises for none and for several
    raise ModelError(f"no model is called {name}", LIST)


def _holder(path: Path, everything: list[LocalModel]) -> LocalModel | None:
    return next((found for found in everything if found.path.exists() and found.path.samefile(path)), None)


# Names of what is on disk


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model under the one name by which it is listed, and the other names that it has on disk."""

    name: str
    model: LocalModel
    others: tuple[LocalModel, ...] = ()


def entries(found: Sequence[LocalModel]) -> list[NamedModel]:
    """Each file once, under a name that means no other: the bare one if it can be, else with its place before it."""
    files: dict[object, list[LocalModel]] = {}
    for one in found:
        files.setdefault(one.identity, []).append(one)
    bare, full = _names_held(files, lambda one: one.name), _names_held(files, lambda one: one.full_name)
    listed = []
    for first, *others in files.values():
        if bare[first.name.casefold()] == 1:
            name = first.name
        else:
            name = first.full_name if full[first.full_name.casefold()] == 1 else str(first.path)
        listed.append(NamedModel(name, first, tuple(others)))
    return listed


def matches(name: str, found: Sequence[LocalModel]) -> list[LocalModel]:
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


def _is(one: LocalModel, wanted: str) -> bool:
    names = {one.name, one.full_name, one.path.name, f"{one.repo}:{one.path.name}"}
    latest = {f"{wanted}:latest"} if one.source == "ollama" else set()
    return not ({wanted} | latest).isdisjoint(name.casefold() for name in names)


def _is_repo(one: LocalModel, wanted: str) -> bool:
    return bool(one.repo) and one.repo.casefold() == wanted


def _ends(one: LocalModel, wanted: str) -> bool:
    """The name without its owner, with or without the quantisation."""
    last = one.name.rpartition("/")[2].casefold()
    return wanted in (last, one.repo.rpartition("/")[2].casefold() if one.repo else last.partition(":")[0])


def _containing(part: str, found: Sequence[LocalModel]) -> list[LocalModel]:
    """The models with a word in their names that begins with this text; one where it tells enough."""
    wanted = re.compile(rf"(?<![a-z0-9]){re.escape(part)}", re.IGNORECASE)
    return _preferred([one for one in found if len(part) > 2 and wanted.search(one.name)])


def _preferred(hits: list[LocalModel]) -> list[LocalModel]:
    """Of one repository the quantisation that is preferred; each file once."""
    best: dict[tuple[str, str], LocalModel] = {}
    for one in hits:
        key = (one.source, one.repo or one.name)
        if key not in best or rank(one.tag) < rank(best[key].tag):
            best[key] = one
    return list({one.identity: one for one in reversed(best.values())}.values())[::-1]


def _names_held(files: dict[object, list[LocalModel]], naming: Callable[[LocalModel], str]) -> Counter[str]:
    """How many files go by each name."""
    return Counter(name for names in files.values() for name in {naming(one).casefold() for one in names})
