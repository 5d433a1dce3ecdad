"""Which model a run was made with, so that a resumed run is not continued by another.

Owns the identity of a model as a JSON object: `kind`, `name`, and what has to stay the same. Reads a megabyte of the
file at most. Knows nothing of runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dynscale_cli.models.gguf import GGUFHeader

WINDOWS: Final = 16  # places of a file that are hashed: two models of one family differ in their weights alone
WINDOW_BYTES: Final = 1 << 16
PLACES: Final = frozenset({"path", "name"})  # where a model lies and what it is called may change


def gguf(header: GGUFHeader) -> dict[str, Any]:
    """Of a GGUF file: where it is, its bytes over all parts, and a hash over its beginning and over its weights."""
    from dynscale_cli.models.files import siblings

    return {
        "kind": "gguf",
        "name": header.path.stem,
        "path": str(header.path.absolute()),
        "size": header.size,
        "hash": fingerprint(siblings(header.path)),
    }


def server(endpoints: Sequence[str], served_model: str) -> dict[str, Any]:
    """Of a model behind a server: what it calls itself. Addresses may change from one part of a run to the next."""
    places = ",".join(map(_without_secrets, endpoints))
    return {"kind": "server", "name": served_model, "path": places, "served": served_model}


def fingerprint(paths: Sequence[Path]) -> str:
    """A hash over the sizes of files and `WINDOWS` evenly spaced places in each."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "big"))
        with path.open("rb") as file:
            for place in range(WINDOWS):
                file.seek(max(0, size - WINDOW_BYTES) * place // (WINDOWS - 1))
                digest.update(file.read(WINDOW_BYTES))
    return digest.hexdigest()


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What distinguishes two models, in words; None when they are the same."""
    for key in sorted((set(before) | set(now)) - PLACES):
        old, new = before.get(key), now.get(key)
        if old != new:
            if key == "hash":
                return "its weights differ"
            return f"{key} was {_shown(old)} and is {_shown(new)}"
    return None


def file_hash(path: Path) -> str:
    """SHA-256 of a whole file, such as one of questions."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _without_secrets(endpoint: str) -> str:
    """The address alone: a name, a password or a key in a URL must not be stored."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(endpoint)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
