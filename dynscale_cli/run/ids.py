"""The ids of the runs there are: all that a tab wants to know, and it waits for no more than that.

Owns where runs lie. What is in them is the business of `store`.
"""

from __future__ import annotations

import os
from typing import Final

from dynscale_cli.paths import state_dir

FOLDER: Final = "runs"
SUFFIX: Final = ".jsonl"


def ids() -> list[str]:
    """The ids, in no order. Raises OSError where the folder cannot be read, or is not there."""
    with os.scandir(state_dir() / FOLDER) as entries:
        return [entry.name.removesuffix(SUFFIX) for entry in entries if is_run(entry)]


def is_run(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(SUFFIX) and entry.is_file()
