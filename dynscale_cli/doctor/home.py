"""The user's own: settings, folders, terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from dynscale_cli.errors import DynscaleError
from dynscale_cli.nearest import nearest
from dynscale_cli.paths import config_dir, state_dir
from dynscale_cli.run.database import FILE
from dynscale_cli.settings import Key, file
from dynscale_cli.settings.origin import Found, settle

from .finding import Finding

# Variables that are no settings of config.toml.
OTHERS = ("DYNSCALE_HOME", "DYNSCALE_PROFILE", "DYNSCALE_API_KEY")


def settings(keys: Mapping[str, Key], environ: Mapping[str, str]) -> tuple[dict[str, Found], list[Finding]]:
    """The settings as they stand, where all are valid; else none."""
    path, area = file.path(environ), "settings"
    try:
        written = file.read(path)
        file.check(written, keys)
        found = {each.key: each for each in settle(keys, written, environ.get("DYNSCALE_PROFILE"), environ)}
    except DynscaleError as error:
        return {}, [Finding(area, "wrong", error.message, error.hint)]
    own = [each for each in found.values() if each.origin != "default"]
    where = f"{path}" if path.exists() else f"no {path}"
    findings = [Finding(area, "fine", f"{where}; {len(own)} of {len(found)} settings are your own")]
    return found, [*findings, *_unknown(keys, environ)]


def _unknown(keys: Mapping[str, Key], environ: Mapping[str, str]) -> Iterator[Finding]:
    known = {*OTHERS, *(key.env for key in keys.values())}
    for name in sorted(environ):
        if name.startswith("DYNSCALE_") and name not in known:
            meant = nearest(name, known)
            text = f"{name} is set and means nothing" + (f"; {meant} would" if meant else "")
            yield Finding("settings", "warning", text, f"unset {name}")


def folders(environ: Mapping[str, str]) -> Iterator[Finding]:
    for what, folder in (("settings", config_dir(environ)), ("runs", state_dir(environ) / FILE)):
        there = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            yield Finding("paths", "fine", f"{what}: {folder}" + ("" if there == folder else " (not there yet)"))
        else:
            yield Finding(
                "paths", "wrong", f"{what}: {there} cannot be written to", "export DYNSCALE_HOME=$HOME/.dynscale"
            )


def terminal(environ: Mapping[str, str]) -> Iterator[Finding]:
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    size, tty = shutil.get_terminal_size(), sys.stderr is not None and sys.stderr.isatty()
    colors = tty and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    parts = [
        f"{size.columns}x{size.lines}" if tty else "standard error is no terminal: plain lines, no live view",
        "colors" if colors else "no colors",
        encoding,
    ]
    yield Finding("terminal", "fine", ", ".join(parts))
    if encoding.replace("-", "") != "utf8":
        text = f"output is {encoding}: what it cannot write is replaced"
        yield Finding("terminal", "warning", text, "export PYTHONIOENCODING=utf-8")
