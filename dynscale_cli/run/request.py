"""What a run was asked: everything that decides its outcome, as its journal records it.

Owns the record and its form as a JSON object. Knows nothing of files; what a model's identity holds is `identity`'s
business, how a model is put on the machine is the engine's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, Final

from dynscale_cli import __version__
from dynscale_cli.engine.protocol import Sampling
from dynscale_cli.errors import DynscaleError
from dynscale_cli.sampling.prompts import Prompts

from .settings import Settings

FORMAT: Final = 1  # of journals; a reader refuses those of a higher number


class Newer(DynscaleError):
    """A journal that only a newer dynscale can read."""

    def __init__(self, version: Any, run: str = "this run") -> None:
        super().__init__(
            f"{run} was written by dynscale {version}, which is newer than this one ({__version__})",
            "pip install --upgrade dynscale-cli",
        )
        self.version = version


def now() -> str:
    """The time as journals write it: UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run, as asked. Everything in it can be written as JSON; nothing in it is secret.

    `model` is an identity (see `identity`); `options` are the engine's own, as its `asdict`; `source` names the file
    of questions and its hash, where there is one; `command` is what began the run.
    """

    settings: Settings
    model: Mapping[str, Any]
    width: int
    context: int
    questions: int
    options: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, str] | None = None
    command: str = "ask"
    dynscale: str = __version__
    started: str = field(default_factory=now)


def as_json(request: RunRequest) -> dict[str, Any]:
    return {"format": FORMAT, **asdict(request)}


def from_json(stored: Mapping[str, Any]) -> RunRequest:
    """The request of a journal's first line. Raises Newer, or KeyError and its kin for what is none."""
    if stored["format"] > FORMAT:
        raise Newer(stored["dynscale"])
    try:
        return _request(stored)
    except (KeyError, TypeError, ValueError):
        if _numbers(stored["dynscale"]) > _numbers(__version__):  # its settings are not all known here
            raise Newer(stored["dynscale"]) from None
        raise


def _request(stored: Mapping[str, Any]) -> RunRequest:
    values = {f.name: stored[f.name] for f in fields(RunRequest)}
    settings = dict(values.pop("settings"))
    settings["sampling"] = Sampling(**settings["sampling"])
    settings["prompts"] = Prompts(**settings["prompts"])
    return RunRequest(settings=Settings(**settings), **values)


def _numbers(version: str) -> list[int]:
    """What orders releases: 0.10.1 is newer than 0.9."""
    return [int(number) for number in re.findall(r"\d+", version)[:3]]
