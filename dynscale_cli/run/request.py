"""What a run is asked, and of which model: everything that decides its outcome besides the questions, as it is stored.

Owns the settings, the request, its form as a JSON object, the identity of a model (so that no other goes on with a
run), and the seal by which a run that was begun here is told from one that came from somewhere else. Reads a megabyte
of a model file at most. How a model is put on the machine is the engine's business.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dynscale_cli import __version__
from dynscale_cli.answers.vote import Method
from dynscale_cli.engine.protocol import Sampling
from dynscale_cli.errors import DynscaleError
from dynscale_cli.paths import config_dir
from dynscale_cli.sampling.prompts import Layout, Prompts
from dynscale_cli.sampling.sampler import Mode

if TYPE_CHECKING:
    from dynscale_cli.models.gguf import GGUFHeader

DEFAULT_MAX_TOKENS: Final = 1024
WINDOWS: Final = 16  # places of a file that are hashed: two models of one family differ in their weights alone
WINDOW_BYTES: Final = 1 << 16
PLACES: Final = frozenset({"path", "name"})  # where a model lies and what it is called may change
SECRET: Final = "seal"  # the file of the key that seals runs


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's parameters. `budget` in tokens over the whole run; `max_tokens` for one sample."""

    budget: int
    max_tokens: int = DEFAULT_MAX_TOKENS
    max_thinking: int | None = None  # tokens of one thought before it is closed
    max_samples: int | None = None  # of one question
    sampling: Sampling = field(default_factory=Sampling)
    policy: str = "race"
    confidence: float = 0.95
    exhaust: bool = False
    mode: Mode = "hybrid"
    layout: Layout = "quoted"
    prompts: Prompts = field(default_factory=Prompts)
    answer_type: str = "auto"
    vote: Method = "majority"
    abstain_below: float = 0.0
    seed: int = 0
    stream: bool = False  # report text as it is generated
    time_limit: float | None = None  # seconds, of one part of a run
    chain_share: float | None = None  # of later tokens, before there is evidence; None: by what is known of the model

    @property
    def draws_copies(self) -> bool:
        """Whether every sample of a question would be the same."""
        return self.sampling.temperature == 0 and self.mode in ("hybrid", "parallel")

    @property
    def top(self) -> int:
        """How many of the largest logits samples are drawn from; 0: from all, or a vote is weighed by all."""
        if self.vote == "confidence":
            return 0
        return self.sampling.top_k if self.sampling.temperature > 0 else 1


def now() -> str:
    """The time as runs store it: UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run, as asked. Everything in it can be written as JSON; nothing in it is secret.

    `model` is an identity (see `gguf` and `server`); `options` are the engine's own, as its `asdict`; `source` names
    the file of questions and its hash, where there is one; `command` is what began the run.
    """

    settings: Settings
    model: Mapping[str, Any]
    width: int
    context: int
    questions: int
    options: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, str] | None = None
    command: str = "ask"
    dynscale: str = __version__
    started: str = field(default_factory=now)


def from_json(stored: Mapping[str, Any], run: str = "this run") -> RunRequest:
    """The request from its `asdict`. Raises DynscaleError for one of a newer dynscale, else KeyError and its kin."""
    try:
        values = {f.name: stored[f.name] for f in fields(RunRequest)}
        settings = dict(values.pop("settings"))
        sampling = settings["sampling"]
        settings["sampling"] = Sampling(**{**sampling, "stop": tuple(sampling.get("stop", ()))})
        settings["prompts"] = Prompts(**settings["prompts"])
        return RunRequest(settings=Settings(**settings), **values)
    except (KeyError, TypeError, ValueError):
        version = stored["dynscale"]
        if _numbers(version) > _numbers(__version__):  # its settings are not all known here
            raise DynscaleError(
                f"{run} was written by dynscale {version}, which is newer than this one ({__version__})",
                "pip install --upgrade dynscale-cli",
            ) from None
        raise


def _numbers(version: str) -> list[int]:
    """What orders releases: 0.10.1 is newer than 0.9."""
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def as_text(request: RunRequest) -> str:
    return json.dumps(asdict(request))


def seal(id: str, text: str, *, create: bool = False) -> str | None:
    """What only this user's dynscale can say of a run and its request; None without the key that it takes."""
    path = config_dir() / SECRET
    with contextlib.suppress(OSError):
        if create and not path.exists():
            _write_secret(path)
        return hmac.new(path.read_bytes(), f"{id} {text}".encode(), hashlib.sha256).hexdigest()
    return None


def _write_secret(path: Path) -> None:
    """Complete from the first moment on, whoever else writes it now."""
    from dynscale_cli.paths import make_private

    make_private(path.parent)
    own = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with open(os.open(own, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
    own.replace(path)


def gguf(header: GGUFHeader) -> dict[str, Any]:
    """Of a GGUF file: where it is, its bytes over all parts, and a hash over its beginning and over its weights."""
    from dynscale_cli.models.names import siblings

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
    name = Path(served_model).stem if served_model.endswith(".gguf") else served_model  # some tell their file's path
    return {"kind": "server", "name": name, "path": places, "served": served_model}


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
