"""Names that the user gives, and all names that can be typed.

Turns what is typed into what is kept: a name with its place before it, which stays true when files of other programs
come and go, or an absolute path.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dynscale_cli.errors import ModelError, UsageError
from dynscale_cli.models import catalog, choices, resolve, sources
from dynscale_cli.models.found import Found


def names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Everything that -m takes beside paths: aliases, and the names of the list. Reads folders and no models."""
    listed = [entry.name for entry in catalog.entries(sources.scan(environ))]
    return [*sorted(choices.load(environ).aliases), *listed]


def remember(alias: str, target: str, environ: Mapping[str, str] = os.environ) -> str:
    """Keep an alias; what it means. Raises UsageError for a name that is taken, ModelError for what is no model."""
    choices.check_alias(alias)
    if any(alias.casefold() == entry.name.casefold() for entry in catalog.entries(sources.scan(environ))):
        raise UsageError(
            f"{alias} is the name of a model", "choose another alias: dynscale models list shows all names"
        )
    means = kept(target, environ)
    chosen = choices.load(environ)
    choices.save(replace(chosen, aliases={**chosen.aliases, alias: means}), environ)
    return means


def forget(alias: str, environ: Mapping[str, str] = os.environ) -> None:
    """Remove an alias. Raises UsageError where there is none."""
    choices.target(alias, environ)
    chosen = choices.load(environ)
    left = {name: target for name, target in chosen.aliases.items() if name != alias}
    choices.save(replace(chosen, aliases=left), environ)


def set_default(name: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """Keep the default, or none; what is kept."""
    means = None if name is None else kept(name, environ)
    choices.save(replace(choices.load(environ), default=means), environ)
    return means


def kept(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """What to write down for a name. Raises ModelError where it is on no disk, or means several."""
    path = resolve.locate(name, environ)  # raises, with what to do
    found = _holder(path, sources.scan(environ))
    return str(path.absolute()) if found is None or os.path.isfile(name) else found.full_name


def left_behind(gone: Found, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Commands that forget what meant a model that is gone."""
    chosen, meant = choices.load(environ), {gone.full_name, str(gone.path)}
    commands = [f"dynscale models alias --remove {name}" for name, means in chosen.aliases.items() if means in meant]
    return commands + (["dynscale models default --remove"] if chosen.default in meant else [])


def one(name: str, environ: Mapping[str, str] = os.environ) -> Found:
    """The one model on disk that a name means, damaged or not."""
    name = choices.load(environ).aliases.get(name, name)
    everything = sources.scan(environ)
    if os.path.exists(name):
        if (found := _holder(Path(name), everything)) is not None:
            return found
        return Found("folder", name, Path(name).absolute())
    found_all = resolve.find(name, environ)
    if len(found_all) == 1:
        return found_all[0]
    resolve.locate(name, environ)  # raises for none and for several
    raise ModelError(f"no model is called {name}", resolve.LIST)


def _holder(path: Path, everything: list[Found]) -> Found | None:
    return next((found for found in everything if found.path.exists() and found.path.samefile(path)), None)
