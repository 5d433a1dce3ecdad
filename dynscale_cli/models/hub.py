"""The Hugging Face hub, as far as a download needs it: what a repository holds, and bytes that can be resumed.

Owns every call of huggingface_hub, its errors in a user's words, and retries. The library lists, authenticates and lays
out the cache. The bytes are fetched here: of late it throws away what an interrupted download has left, and its other
transport, Xet, does so as well. What is left behind has the name that its earlier versions gave it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from dynscale_cli.errors import ModelError
from dynscale_cli.models import stores
from dynscale_cli.models.files import in_bytes

INSTALL: Final = 'pip install "dynscale-cli[hub]"'
CHUNK: Final = 1 << 20  # bytes between two looks at the progress, and the most that an interruption costs
SPAN: Final = 32 << 30  # bytes of one request: the hub's servers refuse to send more than 50 GB in one
RETRIES: Final = 5  # in a row, without a byte in between
LONGEST_WAIT: Final = 60  # seconds; a hub that wants more is told to the user
BUSY: Final = frozenset({408, 429, 500, 502, 503, 504})

_DIGEST: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

Notice = Callable[[str], None]
Progress = Callable[[int], None]  # is told how many bytes of the file are there


class Stopped(ModelError):
    """The user interrupted a download."""

    exit_code = 130


class _Waited(Exception):
    """The hub was busy, and the time that it asked for has passed."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on the hub. `digest` is its SHA-256 in hexadecimal, or git's SHA-1 for a file that is not in LFS."""

    path: str
    size: int
    digest: str


def library() -> Any:
    """huggingface_hub, silenced; raises ModelError where it is not installed."""
    try:
        import huggingface_hub
        from huggingface_hub.utils import disable_progress_bars, logging
    except ImportError:
        raise ModelError("pull needs huggingface_hub, which is not installed", INSTALL) from None
    logging.set_verbosity_error()
    if os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS") is None:
        disable_progress_bars()
    return huggingface_hub


def files(name: str, notice: Notice) -> list[Remote]:
    """All files of a repository's main branch; of a model's name, OWNER/REPO counts."""
    hub = library()
    with _told(name):
        for attempt in range(RETRIES + 1):
            try:
                info = hub.HfApi().model_info(name.partition(":")[0], files_metadata=True, timeout=30)
                break
            except hub.errors.HfHubHTTPError as error:
                if attempt == RETRIES or not _wait(error.response, attempt, notice):
                    raise
    found = (
        Remote(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else one.blob_id or "")
        for one in info.siblings or ()
    )
    return [remote for remote in found if _DIGEST.fullmatch(remote.digest)]  # it will be the name of a file


def fetch(name: str, remote: Remote, notice: Notice, progress: Progress) -> Path:
    """Have a file of the model OWNER/REPO:TAG in the cache, whole and checked; its path. What is here stays here."""
    hub, repo = library(), name.partition(":")[0]
    folder = stores.hub_folder(stores.hub_cache(), repo)
    blob = folder / "blobs" / remote.digest
    with _told(name):
        if not blob.exists():
            blob.parent.mkdir(parents=True, exist_ok=True)
            with _locked(folder, remote):
                _complete(name, remote, blob, notice, progress)
        progress(remote.size)
        # It finds the blob, and links the file's name to it.
        return Path(hub.hf_hub_download(repo, remote.path, cache_dir=folder.parent))


def partial(repo: str, remote: Remote) -> int:
    """Bytes of the file that are here already."""
    blob = stores.hub_folder(stores.hub_cache(), repo) / "blobs" / remote.digest
    for path in (blob, _incomplete(blob)):
        if path.exists():
            return min(path.stat().st_size, remote.size)
    return 0


def _incomplete(blob: Path) -> Path:
    return blob.with_name(blob.name + ".incomplete")


@contextmanager
def _locked(folder: Path, remote: Remote) -> Iterator[None]:
    """One download of a file at a time, under the lock that the library takes as well."""
    from filelock import FileLock, Timeout

    path = folder.parent / ".locks" / folder.name / f"{remote.digest}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=1):
            yield
    except Timeout:
        raise ModelError(f"{remote.path} is being downloaded by another program", "wait for it to end") from None


def _complete(name: str, remote: Remote, blob: Path, notice: Notice, progress: Progress) -> None:
    """Download what is missing, check all of it, and give it its place."""
    from huggingface_hub import hf_hub_url

    if blob.exists():  # whoever had the lock before has done it
        return
    path = _incomplete(blob)
    try:
        with path.open("ab") as file:
            if file.tell() > remote.size:
                file.truncate(0)
            _download(hf_hub_url(name.partition(":")[0], remote.path), file, remote.size, notice, progress)
    except KeyboardInterrupt:
        kept = f"{in_bytes(path.stat().st_size)} of {in_bytes(remote.size)} are kept"
        raise Stopped(
            f"interrupted; {kept}, and the next pull goes on from there", f"dynscale models pull {name}"
        ) from None
    if _digest(path, remote) != remote.digest:
        path.unlink()
        raise ModelError(
            f"{remote.path} came damaged: its checksum is not the hub's, so it was thrown away",
            f"dynscale models pull {name}",
        )
    os.replace(path, blob)


def _download(url: str, file: BinaryIO, size: int, notice: Notice, progress: Progress) -> None:
    """Append the rest of the file, through broken connections and busy servers, until nothing comes any more."""
    from huggingface_hub.errors import HTTPError

    failures = 0
    while (have := file.tell()) < size:
        end = min(size, have + SPAN)
        try:
            for count in _receive(url, file, range(have, end), failures, notice):
                failures = 0
                progress(count)
            if file.tell() >= end:
                continue
        except _Waited:
            failures += 1
            continue
        except HTTPError as error:
            if getattr(error, "response", None) is not None or failures == RETRIES:
                raise
        failures += 1
        if failures > RETRIES:
            raise ModelError("the hub sends less than it announced", "wait some minutes, then pull again")
        notice(f"the connection broke at {in_bytes(file.tell())}; trying again")
        time.sleep(min(8, 2 ** (failures - 1)))


def _receive(url: str, file: BinaryIO, missing: range, failures: int, notice: Notice) -> Iterator[int]:
    """One request; yields how much of the file is there after each piece. Raises _Waited after waiting instead."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    headers = build_hf_headers() | {"Range": f"bytes={missing.start}-{missing.stop - 1}", "Accept-Encoding": "identity"}
    with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
        if response.status_code >= 400:
            response.read()
            if failures < RETRIES and _wait(response, failures, notice):
                raise _Waited
            hf_raise_for_status(response)
        have = missing.start
        if response.status_code != 206:  # all of it, whatever was asked for
            file.truncate(0)
            have = 0
        for piece in response.iter_bytes(CHUNK):
            file.write(piece)
            have += len(piece)
            yield have
        file.flush()


def _wait(response: Any, attempt: int, notice: Notice) -> bool:
    """Wait as long as a busy hub asks for; False where it is not busy, or wants more than anybody would wait."""
    if response.status_code not in BUSY:
        return False
    asked = response.headers.get("retry-after", "")
    seconds = int(asked) if asked.isdigit() else min(8, 2**attempt)
    if seconds > LONGEST_WAIT:
        return False
    notice(f"the hub is busy ({response.status_code}); trying again in {seconds} s")
    time.sleep(seconds)
    return True


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


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What the library and the system raise, as a user meets it."""
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except ModelError:
        raise
    except (HTTPError, OSError, ValueError) as error:
        raise _explained(error, name) from error


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
            f"accept them at {constants.ENDPOINT}/{repo}, then: HF_TOKEN=... {again}",
        )
    if (response := getattr(error, "response", None)) is not None:
        return _refused(response.status_code, error, name, host)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ModelError("the disk is full; what came is kept", f"make room, then: {again}")
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return ModelError(f"{error.filename}: {error.strerror}", f"ls -ld {error.filename}")
    detail = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
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
