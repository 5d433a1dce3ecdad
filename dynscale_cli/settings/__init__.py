"""What users set once: the environment, `config.toml`, profiles.

A value comes from the first of these that has one: flag, `DYNSCALE_*`, the chosen profile, `config.toml`, default. This
room reads and writes; the flags' names and checks are given to it. `setting` is for the few values that no flag has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .keys import PLAIN, Key, canonical

__all__ = ["PLAIN", "Key", "canonical", "setting"]


def setting(name: str, environ: Mapping[str, str] = os.environ) -> Any:
    """The value of a setting that has no flag, such as `journal.max_size`: environment, else file, else default.

    Raises UsageError for a value that its check refuses. Opens the file only if there is one.
    """
    from .file import check, path, read

    key = next(key for key in PLAIN if key.name == canonical(name))
    if text := environ.get(key.env):
        from .origin import from_environment

        return key.check(from_environment(key, text))
    written = read(path(environ))
    check(written, {key.name: key}, only=key.name)
    return key.check(written.values.get(key.name, key.default))
