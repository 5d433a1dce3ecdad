"""TOML's parser: the standard library's, and the one it was taken from where Python does not have it yet.

Owns that choice alone. To be imported where a file is there to be read: a parser is slow to load.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from tomllib import TOMLDecodeError, loads
else:
    from tomli import TOMLDecodeError, loads

__all__ = ["TOMLDecodeError", "loads"]
