"""Where dynscale keeps its own things: settings and runs.

Owns the folders, and how they are created: for the user alone. `DYNSCALE_HOME` moves everything into one folder;
otherwise platformdirs knows the system's places. Models stay where they are: knows nothing of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "DYNSCALE_HOME"
NAME: Final = "dynscale"


def config_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Holds `config.toml`."""
    if home := _home(environ):
        return home
    from platformdirs import user_config_path

    return user_config_path(NAME, appauthor=False)


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Holds what runs leave behind."""
    if home := _home(environ):
        return home
    from platformdirs import user_state_path

    return user_state_path(NAME, appauthor=False)


def _home(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else None


def make_private(folder: Path) -> None:
    """The folder, and what is missing above it, for the user alone."""
    if not folder.is_dir():
        if not folder.parent.is_dir():
            make_private(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if not folder.is_dir():
            raise NotADirectoryError(20, "not a directory", str(folder))
