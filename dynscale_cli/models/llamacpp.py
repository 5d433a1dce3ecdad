"""llama.cpp's own cache: flat files of earlier versions, and the Hugging Face layout that it keeps there now."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dynscale_cli.models import huggingface, quants
from dynscale_cli.models.found import Found, first_parts, gguf_files


def cache_dir(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """LLAMA_CACHE, or the system's folder for caches."""
    if chosen := environ.get("LLAMA_CACHE"):
        return Path(chosen)
    if platform == "darwin":
        return huggingface.home(environ) / "Library/Caches/llama.cpp"
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or huggingface.home(environ)) / "llama.cpp"
    return Path(environ.get("XDG_CACHE_HOME") or huggingface.home(environ) / ".cache") / "llama.cpp"


def scan(folder: Path) -> list[Found]:
    flat = [Found("llama.cpp", quants.stem(path.name), path) for path in first_parts(gguf_files(folder, 0))]
    return flat + huggingface.scan(folder, source="llama.cpp")
