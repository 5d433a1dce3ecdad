"""Download a model into the Hugging Face cache: which files, whether they fit on the disk, whether they are sound.

Owns every call of huggingface_hub, its errors in a user's words, and what is believed of a hub: nothing. The library
lists, authenticates and fetches; of late it throws away what an interrupted download has left, so the file that it
writes to is kept here, under the name that its earlier versions gave it. What is linked is what was hashed, by name and
commit as they were listed, and every path stays inside the cache. Knows nothing of terminals.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from json import JSONDecodeError
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, Protocol

from dynscale_cli.errors import ModelError, UsageError
from dynscale_cli.models import names as naming
from dynscale_cli.models import stores
from dynscale_cli.models.gguf import GGUFHeader, read_header, require_generator
from dynscale_cli.network import connection_error

INSTALL: Final = 'pip install "dynscale-cli[hub]"'
CHUNK: Final = 1 << 20  # bytes that are written, and hashed, at once
RETRIES: Final = 5
LONGEST_WAIT: Final = 60  # seconds; a hub that wants more is told to the user
LARGEST_LIST: Final = 32 << 20  # bytes of a repository's list of files, or of an error
LONGEST_LIST: Final = 120.0  # seconds that it may take
BUSY: Final = frozenset({408, 429, 500, 502, 503, 504})
# What a list of files of another form than the hub's makes the library raise, or its reader here.
FORM: Final = (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)

_DIGEST: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


class Stopped(ModelError):
    """The user interrupted a download."""

    exit_code = 130


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repository, and what tells the model in it: a quantisation or a file; empty for the preferred one."""

    repo: str
    tag: str = ""

    @property
    def name(self) -> str:
        return f"{self.repo}:{self.tag}" if self.tag else self.repo


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on the hub. `digest` is its SHA-256 in hexadecimal, or git's SHA-1 for a file that is not in LFS."""

    repo: str
    commit: str
    path: str
    size: int
    digest: str

    @property
    def folder(self) -> Path:
        return stores.hub_folder(stores.hub_cache(), self.repo)

    @property
    def blob(self) -> Path:
        return self.folder / "blobs" / self.digest

    @property
    def incomplete(self) -> Path:
        return self.folder / "blobs" / f"{self.digest}.incomplete"

    @property
    def link(self) -> Path:
        return self.folder / "snapshots" / self.commit / self.path

    def have(self) -> int:
        """Bytes of the file that are here already."""
        path = next((path for path in (self.blob, self.incomplete) if path.exists()), None)
        return min(path.stat().st_size, self.size) if path else 0


@dataclass(frozen=True, slots=True)
class Pulled:
    """Where the model is, what it is called, and how many bytes had to be fetched."""

    path: Path
    name: str
    fetched: int
    header: GGUFHeader


class Watcher(Protocol):
    """Is told what happens during a download."""

    def starts(self, name: str, size: int, have: int) -> None: ...

    def has(self, count: int) -> None: ...

    def says(self, text: str) -> None: ...


def parse(text: str) -> Wanted:
    """OWNER/REPO[:QUANT], with or without hf: before it, or the address of its page or of a file."""
    if found := naming.repository(text):
        return Wanted(*found)
    raise UsageError(f"{text}: not a repository on the hub", "dynscale models pull OWNER/REPO[:QUANT]")


def pull(wanted: Wanted, watcher: Watcher) -> Pulled:
    """Download the model, or find that it is here. Raises ModelError; what has been fetched stays for the next time."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE") and (here := _on_disk(wanted)):
        return Pulled(here.path, here.name, 0, _sound(here.path, here.name))
    tag, parts = choose(wanted, [one for one in _listed(wanted.name, watcher.says) if naming.is_model(one.path)])
    name = f"{wanted.repo}:{tag}"
    size, have = sum(part.size for part in parts), sum(part.have() for part in parts)
    _check_space(size - have, name)
    watcher.starts(name, size, have)
    paths, before = [], 0
    for part in parts:
        paths.append(_fetch(name, part, _counting(watcher, before)))
        before += part.size
    return Pulled(paths[0], name, size - have, _sound(paths[0], name))


def choose(wanted: Wanted, remotes: Sequence[Remote]) -> tuple[str, list[Remote]]:
    """The model's tag and its files in order: what was named, else the preferred quantisation."""
    if not remotes:
        raise ModelError(
            f"{wanted.repo} holds no GGUF file", f"look for a repository that does: {wanted.repo}-GGUF, perhaps"
        )
    models: dict[str, list[Remote]] = {}
    for path, tag in naming.tags(one.path for one in remotes).items():
        models.setdefault(tag, []).extend(one for one in remotes if one.path == path)
    tag = _named(wanted, models) if wanted.tag else min(models, key=naming.rank)
    return tag, sorted(models[tag], key=lambda one: one.path)


def _named(wanted: Wanted, models: dict[str, list[Remote]]) -> str:
    asked = wanted.tag.casefold()
    for tag, parts in models.items():
        names = {tag, tag.removeprefix("UD-"), *(part.path for part in parts)}
        names |= {naming.stem(part.path) for part in parts} | {Path(part.path).name for part in parts}
        if asked in {name.casefold() for name in names}:
            return tag
    there = ", ".join(sorted(models, key=naming.rank))
    best = min(models, key=naming.rank)
    raise ModelError(
        f"{wanted.repo} has no {wanted.tag}; there is {there}", f"dynscale models pull {wanted.repo}:{best}"
    )


def _sound(path: Path, name: str) -> GGUFHeader:
    """The header of what is as the hub has it, which need not mean that it can be used."""
    try:
        header = read_header(path)
        require_generator(header)
    except ModelError as error:
        raise ModelError(error.message, f"dynscale models rm {name}, and pull another") from None
    return header


def _on_disk(wanted: Wanted) -> stores.LocalModel | None:
    from dynscale_cli.models.resolve import matches

    found = matches(wanted.name, stores.hub_models(stores.hub_cache(), wanted.repo))
    return found[0] if found else None


def _check_space(needed: int, name: str) -> None:
    """Raise ModelError before the first byte where the last one would not fit."""
    cache = stores.hub_cache()
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free
    if needed > free:
        raise ModelError(
            f"{name} needs {naming.in_bytes(needed)} in {cache}, where {naming.in_bytes(free)} are free",
            f"make room, or: HF_HUB_CACHE=FOLDER dynscale models pull {name}",
        )


def _counting(watcher: Watcher, before: int) -> Callable[[int], None]:
    return lambda count: watcher.has(before + count)


# The hub


def _library() -> Any:
    """huggingface_hub, silenced and bounded; raises ModelError where it is not installed or cannot be used."""
    try:
        import huggingface_hub
        from huggingface_hub.utils import disable_progress_bars, get_session, logging
    except ImportError:
        raise ModelError("pull needs huggingface_hub, which is not installed", INSTALL) from None
    logging.set_verbosity_error()
    if os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS") is None:
        disable_progress_bars()
    try:
        session = get_session()
    except Exception as error:  # of the HTTP library: a proxy or certificates that the environment names
        raise connection_error(error) from error
    session.headers["Accept-Encoding"] = "identity"
    if _bounded not in session.event_hooks["response"]:
        session.event_hooks["response"].append(_bounded)
    return huggingface_hub


def _bounded(response: Any) -> None:
    """Read a list or an error here and now, as much of it as any can have; a model's bytes are counted elsewhere."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ModelError("the hub sends compressed what it was asked to send plain", "try again later")
    if response.status_code < 400 and not response.request.url.path.startswith("/api/"):
        return
    data, end = bytearray(), time.monotonic() + LONGEST_LIST
    for piece in response.stream:
        data += piece
        if len(data) > LARGEST_LIST or time.monotonic() > end:
            raise ModelError("the hub's answer does not end", "try again later")
    response.stream.close()
    response.stream = import_module(type(response).__module__.partition(".")[0]).ByteStream(bytes(data))


def _listed(name: str, notice: Callable[[str], None]) -> list[Remote]:
    """All files of a repository's main branch, those with names and sizes that can be."""
    repo = name.partition(":")[0]
    with _told(name):
        info = _asked(repo, notice)
        if not _COMMIT.fullmatch(info.sha or ""):
            raise ModelError(f"{repo}: the hub names no commit", "try again later")
        found = (
            Remote(repo, info.sha, one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else one.blob_id or "")
            for one in info.siblings or ()
        )
        return [one for one in found if _can_be(one)]


def _asked(repo: str, notice: Callable[[str], None]) -> Any:
    """What the hub knows of a repository, once it is not too busy to say."""
    hub = _library()
    attempt = 0
    while True:
        try:
            return hub.HfApi().model_info(repo, files_metadata=True, timeout=30)
        except hub.errors.HfHubHTTPError as error:
            if attempt == RETRIES or not _wait(error.response, attempt, notice):
                raise
        attempt += 1


def _can_be(remote: Remote) -> bool:
    """Whether a file may have its place in the cache: a path below its folder, a digest and a size."""
    path = PurePosixPath(remote.path)
    inside = not path.is_absolute() and ".." not in path.parts and path.as_posix() == remote.path
    named = remote.path.isprintable() and "\\" not in remote.path and len(os.fsencode(remote.path)) < 1024
    return inside and named and remote.size > 0 and bool(_DIGEST.fullmatch(remote.digest))


def _wait(response: Any, attempt: int, notice: Callable[[str], None]) -> bool:
    """Wait as long as a busy hub asks for; False where it is not busy, or wants more than anybody would wait."""
    if response.status_code not in BUSY:
        return False
    asked = response.headers.get("retry-after", "")
    seconds = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else min(8, 2**attempt)
    if seconds > LONGEST_WAIT:
        return False
    notice(f"the hub is busy ({response.status_code}); trying again in {seconds} s")
    time.sleep(seconds)
    return True


# One file


def _fetch(name: str, remote: Remote, progress: Callable[[int], None]) -> Path:
    """Have a file of the model OWNER/REPO:TAG in the cache, whole and checked; its path. What is here stays here."""
    with _told(name):
        if not remote.blob.exists():
            remote.blob.parent.mkdir(parents=True, exist_ok=True)
            with _locked(remote):
                if not remote.blob.exists():  # whoever had the lock before may have done it
                    _complete(name, remote, progress)
        progress(remote.size)
        return _linked(remote)


def _linked(remote: Remote) -> Path:
    """The file's name in the snapshot of its commit, as the library lays it out: a link to the blob."""
    link = remote.link
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists() or not link.samefile(remote.blob):
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(remote.blob, link.parent))
    reference = remote.folder / "refs/main"
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(remote.commit)
    return link


@contextmanager
def _locked(remote: Remote) -> Iterator[None]:
    """One download of a file at a time, under the lock that the library takes as well."""
    from filelock import FileLock, Timeout

    path = remote.folder.parent / ".locks" / remote.folder.name / f"{remote.digest}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=1):
            yield
    except Timeout:
        raise ModelError(f"{remote.path} is being downloaded by another program", "wait for it to end") from None


class _Growing:
    """The file that the library writes to: counted, and no longer than was announced."""

    def __init__(self, file: BinaryIO, size: int, progress: Callable[[int], None]) -> None:
        self._file, self._size, self._progress = file, size, progress
        self.tell, self.seek, self.truncate = file.tell, file.seek, file.truncate

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._size:
            raise ModelError("the hub sends more than it announced", "pull another, or try again later")
        written = self._file.write(data)
        self._progress(self._file.tell())
        return written


def _complete(name: str, remote: Remote, progress: Callable[[int], None]) -> None:
    """Download what is missing, check all of it, and give it its place."""
    path, again = remote.incomplete, f"dynscale models pull {name}"
    try:
        with path.open("r+b" if path.exists() else "w+b") as file:
            _download(file, remote, progress)
    except KeyboardInterrupt:
        kept = f"{naming.in_bytes(path.stat().st_size)} of {naming.in_bytes(remote.size)} are kept"
        raise Stopped(f"interrupted; {kept}, and the next pull goes on from there", again) from None
    if _digest(path, remote) != remote.digest:
        path.unlink()
        raise ModelError(f"{remote.path} came damaged: its checksum is not the hub's, so it was thrown away", again)
    os.replace(path, remote.blob)


def _download(file: BinaryIO, remote: Remote, progress: Callable[[int], None]) -> None:
    """What the file has not got. A hub that refuses the rest, or sends more than that, is asked once for all of it."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK  # the most that an interruption costs
    url = hf_hub_url(remote.repo, remote.path, revision=remote.commit)
    growing: Any = _Growing(file, remote.size, progress)
    held = file.seek(0, os.SEEK_END)
    for begin in (held, 0) if 0 < held <= remote.size else (0,):
        if begin < held:
            file.truncate(begin)
        file.seek(begin)
        try:
            http_get(url, growing, resume_size=begin, headers=build_hf_headers(), expected_size=remote.size)
            return
        except (ModelError, HfHubHTTPError) as error:
            response = getattr(error, "response", None)
            if not begin or (response is not None and response.status_code != 416):
                raise


def _digest(path: Path, remote: Remote) -> str:
    """As the hub names the file's content: by SHA-256 in LFS, by git's own hash outside."""
    if len(remote.digest) == 40:
        digest = hashlib.sha1(b"blob %d\0" % remote.size, usedforsecurity=False)
    else:
        digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


# Errors


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What the library and the system raise, as a user meets it."""
    http_error = _library().errors.HTTPError
    try:
        yield
    except ModelError:
        raise
    except (http_error, OSError, ValueError) as error:
        raise _explained(error, name) from error
    except FORM as error:
        raise ModelError(f"what the hub says of {name} cannot be understood", "try again later") from error


def _explained(error: Exception, name: str) -> ModelError:
    from huggingface_hub import constants, errors

    repo, again = name.partition(":")[0], f"dynscale models pull {name}"
    host = constants.ENDPOINT.partition("://")[2]
    if isinstance(error, errors.OfflineModeIsEnabled):
        return ModelError(f"{repo} is not on disk, and HF_HUB_OFFLINE forbids the network", f"HF_HUB_OFFLINE=0 {again}")
    if isinstance(error, errors.HFValidationError):
        return ModelError(f"{repo}: not a name of a repository", "dynscale models pull OWNER/REPO")
    if isinstance(error, errors.GatedRepoError):
        return ModelError(
            f"{repo} is gated: its terms have to be accepted first",
            f"accept them at {constants.ENDPOINT}/{repo}, then set HF_TOKEN=...",
        )
    if (response := getattr(error, "response", None)) is not None:
        return _refused(response.status_code, error, name, host)
    if isinstance(error, JSONDecodeError):
        return ModelError(f"what the hub says of {name} cannot be understood", "try again later")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ModelError("the disk is full; what came is kept", f"make room, then: {again}")
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return ModelError(f"{error.filename}: {error.strerror}", f"ls -ld {error.filename}")
    detail = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "Consistency check" in detail:  # the library's words for a body of another size
        return ModelError(f"{host} sends another number of bytes than it announced", f"try again later: {again}")
    return ModelError(f"{host} cannot be reached: {detail}", f"check the network, then: {again}")


def _refused(status: int, error: Exception, name: str, host: str) -> ModelError:
    repo, again = name.partition(":")[0], f"dynscale models pull {name}"
    if status in (401, 403):
        if "RepositoryNotFound" in type(error).__name__ or status == 403:
            return ModelError(
                f"{repo}: {host} has no such repository, or shows it only to some (HTTP {status})",
                f"check the name; with access: HF_TOKEN=... {again}",
            )
        return ModelError(f"{host} does not accept the token (HTTP 401)", f"hf auth login, or HF_TOKEN=... {again}")
    if status == 404:
        return ModelError(f"{repo}: {host} has no such repository (HTTP 404)", "check the name: OWNER/REPO")
    if status == 429:
        return ModelError(f"{host} is asked too often (HTTP 429)", f"wait some minutes, then: {again}")
    return ModelError(f"{host} answers with HTTP {status}", f"try again later: {again}")
