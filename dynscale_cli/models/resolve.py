"""Which file a model's name stands for: a path, an alias, a name of what is on disk, or the default.

The one entry for all who need a model. Looks at names and at the first bytes; what else is in the file is `header`'s
business. Never downloads, and never imports the package that carries the bundled model: its imports cost a second
that a tab completion has not got. Only a bare name makes it look through the folders of other programs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dynscale_cli.errors import ModelError
from dynscale_cli.models import choices
from dynscale_cli.models.bundle import INSTALL, bundled
from dynscale_cli.models.gguf import MAGIC
from dynscale_cli.models.splits import siblings

if TYPE_CHECKING:
    from dynscale_cli.models.found import Found

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
    if default := choices.load(environ).default:
        return locate(default, environ, " (from `dynscale models default`)", aliased=True)
    found = bundled()
    if found is None:
        raise ModelError("no model", f"{INSTALL} for a small one, or name a GGUF file: -m FILE")
    return found


def locate(name: str, environ: Mapping[str, str] = os.environ, origin: str = "", aliased: bool = False) -> Path:
    """The file of one name. `origin` says where the name is from, in errors; a name that is `aliased` is no alias."""
    if not name.strip():
        raise ModelError(f"the model's name is empty{origin}", FETCH)
    if not aliased and choices.ALIAS.fullmatch(name) and (target := choices.load(environ).aliases.get(name)):
        return locate(target, environ, f" (the alias {name}{origin})", aliased=True)
    if _is_file(name):
        return _checked(name, origin)
    found = find(name, environ)
    if len(found) == 1:
        return _kept(found[0], origin)
    if found:
        several = ", ".join(one.full_name for one in found)
        raise ModelError(f"{name}{origin} may be {several}", f"-m {found[0].full_name}")
    if os.path.exists(name) or name.lower().endswith(".gguf"):
        return _checked(name, origin)  # a directory, or a file that is missing
    raise _unknown(name, origin, environ)


def _kept(found: Found, origin: str) -> Path:
    """The file of a model in one of the stores."""
    if not found.path.exists():
        again = f"dynscale models pull {found.name}" if found.repo else LIST
        raise ModelError(f"{found.full_name}{origin}: only its name is left, {found.path} is gone", again)
    return _checked(str(found.path), f" ({found.full_name}{origin})")


def find(name: str, environ: Mapping[str, str] = os.environ) -> list[Found]:
    """What is on disk that a name may mean: a name as it is listed, with its place before it or not."""
    from dynscale_cli.models import catalog, sources

    place, rest = catalog.places(name)
    repo = _repo(rest) if place == "hf" and "/" in rest else ""
    found = catalog.matches(rest, sources.scan(environ, place, repo))
    if found or not repo:
        return found
    # LM Studio and llama.cpp keep repositories of the hub as well.
    return [one for one in catalog.matches(rest, sources.scan(environ)) if one.repo]


def _is_file(name: str) -> bool:
    """A file that is there, or what can be nothing else than one."""
    if name.startswith((".", "/", "~")) or "\0" in name or "\\" in name:
        return True
    return os.path.exists(name) and not os.path.isdir(name)


def _repo(name: str) -> str:
    return name.partition(":")[0]


def _unknown(name: str, origin: str, environ: Mapping[str, str]) -> ModelError:
    """No such model on disk: what would get it, or what was probably meant."""
    from dynscale_cli.models import catalog, sources
    from dynscale_cli.models.found import SOURCES

    place, rest = catalog.places(name)
    if place == "ollama":
        return ModelError(f"{name}{origin}: not in Ollama's store", f"ollama pull {rest}")
    if place not in ("", "hf"):
        return ModelError(f"{name}{origin}: {SOURCES[place]} has no such model", LIST)
    found = sources.scan(environ)
    known = [*choices.load(environ).aliases, *(entry.name for entry in catalog.entries(found))]
    meant = catalog.nearest(rest, known)
    if REPO.fullmatch(_repo(rest)):
        return _not_pulled(rest, origin, [one for one in found if one.repo.casefold() == _repo(rest).casefold()], meant)
    if meant:
        return ModelError(f"no model is called {name}{origin}; the nearest is {meant}", f"-m {meant}")
    if OLLAMA.fullmatch(name):
        return ModelError(f"no model is called {name}{origin}", f"ollama pull {name}, or see what there is: {LIST}")
    return ModelError(f"no model is called {name}{origin}, and no file", LIST)


def _not_pulled(name: str, origin: str, here: Sequence[Found], meant: str | None) -> ModelError:
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
