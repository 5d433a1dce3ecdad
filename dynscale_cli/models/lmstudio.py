"""LM Studio's folders: PUBLISHER/REPO/FILE.gguf below where its settings say, or where it keeps models by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from dynscale_cli.models import quants
from dynscale_cli.models.found import Found, first_parts, gguf_files, in_repo
from dynscale_cli.models.huggingface import home


def folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where it puts models: the folder in its settings, then its own folders, new and old."""
    user = home(environ)
    homes = [*_pointed(user / ".lmstudio-home-pointer"), user / ".lmstudio", user / ".cache/lm-studio"]
    chosen = [folder for place in homes for folder in _chosen(place / "settings.json")]
    return list(dict.fromkeys([*chosen, *(place / "models" for place in homes)]))


def scan(folder: Path) -> list[Found]:
    repos: dict[Path, list[Path]] = {}
    for path in gguf_files(folder):
        parts = path.relative_to(folder).parts
        repos.setdefault(folder.joinpath(*parts[: min(2, len(parts) - 1)]), []).append(path)
    found = []
    for root, paths in repos.items():
        if len(root.relative_to(folder).parts) == 2:
            found += in_repo("lmstudio", root.relative_to(folder).as_posix(), root, paths)
        else:
            found += [Found("lmstudio", quants.stem(path.name), path) for path in first_parts(paths)]
    return found


def _pointed(pointer: Path) -> list[Path]:
    try:
        text = pointer.read_text("utf-8").strip()
    except (OSError, UnicodeError):
        return []
    return [Path(text)] if text else []


def _chosen(settings: Path) -> list[Path]:
    try:
        chosen = json.loads(settings.read_bytes())["downloadsFolder"]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [Path(chosen)] if isinstance(chosen, str) and chosen else []
