"""The report as a whole: which checks there are, and their order. Each check is in the file of its concern."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynscale_cli.settings import Key

from . import build, home, model, server, versions
from .finding import Finding


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined: the settings that exist, and what the command line says instead of them."""

    keys: Mapping[str, Key]
    environ: Mapping[str, str]
    model: str | None = None
    threads: int | None = None
    speed: bool = True
    root: Path = Path("/")  # where /proc, /sys and /dev are


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding, as soon as it is known."""
    yield from versions.versions()
    built, findings = build.installed(patient.root)
    yield from findings
    settings, findings = home.settings(patient.keys, patient.environ)
    yield from findings
    value = {key: found.value for key, found in settings.items()}
    header, findings = model.model(patient.model or value.get("model"), patient.environ)
    spared = patient.model is None and server.goes_before(settings)
    yield from map(model.spared, findings) if spared else findings
    yield from server.asked(settings) if settings else ()
    yield from home.folders(patient.environ)
    yield from home.terminal(patient.environ)
    yield from versions.extras()
    if patient.speed and built and header is not None:
        yield from model.speed(header, _threads(patient, value), int(value.get("parallel") or 0))


def _threads(patient: Patient, value: Mapping[str, Any]) -> int:
    return patient.threads if patient.threads is not None else int(value.get("threads") or 0)


def patient(keys: Mapping[str, Key], **more: Any) -> Patient:
    return Patient(keys, dict(os.environ), **more)
