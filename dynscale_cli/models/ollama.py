"""Ollama's store: manifests/HOST/NAMESPACE/MODEL/TAG name the blobs that a model is made of.

Reads the manifests, which are small; the weights stay where they are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from dynscale_cli.models.found import Found
from dynscale_cli.models.huggingface import home

WEIGHTS: Final = "application/vnd.ollama.image.model"
LIBRARY: Final = ("registry.ollama.ai", "library")
SERVICE: Final = Path("/usr/share/ollama/.ollama/models")  # of the system's service on Linux


def stores(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """OLLAMA_MODELS alone if it is set; else the user's own store and the service's."""
    if chosen := environ.get("OLLAMA_MODELS"):
        return [Path(chosen).expanduser()]
    return [home(environ) / ".ollama/models", SERVICE]


def scan(store: Path) -> list[Found]:
    """The models in a store. Those that are not kept as GGUF are passed over."""
    return [
        Found("ollama", _name(manifest.relative_to(store / "manifests").parts), blob)
        for manifest in _files(store / "manifests", 4)
        if (blob := _weights(store, manifest)) is not None
    ]


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Files exactly that many levels below."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if depth > 1 and os.path.isdir(entry.path):  # False for links in a circle, where the entry's own raises
            yield from _files(Path(entry.path), depth - 1)
        elif depth == 1 and os.path.isfile(entry.path):
            yield Path(entry.path)


def _name(parts: tuple[str, ...]) -> str:
    """As `ollama list` prints it: without the host and the namespace that it takes for granted."""
    host, namespace, model, tag = parts
    if (host, namespace) == LIBRARY:
        return f"{model}:{tag}"
    return f"{namespace}/{model}:{tag}" if host == LIBRARY[0] else f"{host}/{namespace}/{model}:{tag}"


def _weights(store: Path, manifest: Path) -> Path | None:
    try:
        layers = json.loads(manifest.read_bytes())["layers"]
        digest = next(str(layer["digest"]) for layer in layers if layer["mediaType"] == WEIGHTS)
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return None
    if not digest.startswith("sha256:") or "/" in digest:
        return None
    old = store / "blobs" / digest  # as early versions wrote them
    return old if old.exists() else store / "blobs" / digest.replace(":", "-")
