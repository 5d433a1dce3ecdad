"""Which servers are asked: their addresses and the key, and where the next request goes.

Owns the checks of both, and who is set aside for how long. Imports no library: `ask --help` and usage errors need
these. The clock is handed in. The key is read from the environment when a connection is made and is part of no record, so that
it cannot be shown or stored. Knows nothing of HTTP.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import urlsplit

from dynscale_cli.errors import UsageError

KEYS = ("DYNSCALE_API_KEY", "OPENAI_API_KEY")
DEFAULT_STALL = 120.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """OpenAI-compatible chat servers, all with the same model. Raises UsageError for what cannot be an address."""

    endpoints: tuple[str, ...]
    served_model: str | None = None  # asked for where there is only one
    stall: float = DEFAULT_STALL  # seconds of silence before a stream is given up

    def __post_init__(self) -> None:
        urls = tuple(dict.fromkeys(address(text) for text in self.endpoints))
        object.__setattr__(self, "endpoints", urls)


def address(text: str) -> str:
    """The base URL of a server, with the /v1 that its users leave out."""
    example = "give its address, such as --endpoint http://127.0.0.1:8080/v1"
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError:  # brackets that are no IPv6 address
        raise UsageError(f"--endpoint {text}: not the address of a server", example) from None
    if parts.username or parts.password or "@" in parts.netloc:
        raise UsageError("--endpoint: an address holds no password", f"export {KEYS[0]}=... and leave it out there")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.query or parts.fragment:
        raise UsageError(f"--endpoint {text}: not the address of a server", example)
    if any(not letter.isprintable() or letter.isspace() for letter in text):
        raise UsageError("--endpoint: not the address of a server", example)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def api_key(environ: Mapping[str, str] = os.environ) -> str:
    """The key, or nothing. Raises UsageError, without showing it, for one that no header can hold."""
    for name in KEYS:
        key = environ.get(name, "").strip()
        if key:
            if not key.isascii() or not key.isprintable() or " " in key:
                raise UsageError(f"{name} does not hold a key: it has letters that no key has", f"export {name}=...")
            return key
    return ""


def require_client() -> None:
    """Raises UsageError where the openai package is not installed."""
    if find_spec("openai") is None:
        raise UsageError("--endpoint needs the openai package", 'pip install "dynscale-cli[server]"')


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a failing server is waited for, in seconds.

    The n-th failure in a row sets an endpoint aside for `first`·2^(n-1), at most `longest`, give or take a half: many
    clients that failed together must not come back together. After `give_up` in a row (half a minute) it counts as
    dead, though it is still tried while others are alive. `tries` bounds the failed attempts at one request, which must
    not look like a dead server, and `waits` those that met a busy one (three minutes).
    """

    first: float = 0.5
    longest: float = 60.0
    give_up: int = 7
    tries: int = 5
    waits: int = 10
    stall: float = 120.0  # silence within a stream
    whole: float = 600.0  # silence of a server that does not stream


@dataclass(slots=True, eq=False)
class Endpoint:
    url: str
    outstanding: int = 0
    failures: int = 0  # in a row
    waits: int = 0  # pauses in a row that it asked for, being busy
    victims: set[int | None] = field(default_factory=set)  # what failed in a row; None: it was not even reached
    until: float = 0.0  # it is set aside until then
    refused: bool = False  # it will never take a request: wrong key, no such model


@dataclass(slots=True)
class Endpoints:
    all: Sequence[Endpoint]
    patience: Patience = field(default_factory=Patience)
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def pick(self, now: float) -> Endpoint | None:
        """Where to send a request now. One whose time has passed gets a single one, to show that it is well again."""
        ready = [e for e in self.all if not e.refused and e.until <= now and not (e.failures and e.outstanding)]
        return min(ready, key=lambda e: (e.failures == 0, e.outstanding), default=None)

    def pause(self, now: float) -> float:
        """Seconds until a request may be sent, as far as is known."""
        due = [e.until - now for e in self.all if not e.refused]
        return max(0.0, min(due, default=0.0))

    @property
    def dead(self) -> bool:
        """Whether there is nobody left to wait for. That one request fails again and again proves nothing."""
        return all(e.refused or (e.failures >= self.patience.give_up and _proven(e)) for e in self.all)

    def well(self, endpoint: Endpoint) -> None:
        endpoint.failures = endpoint.waits = 0
        endpoint.victims.clear()
        endpoint.until = 0.0

    def busy(self, endpoint: Endpoint, now: float, pause: float | None) -> None:
        """It asked to be left alone, for `pause` seconds if it said so."""
        endpoint.waits += now >= endpoint.until  # those that were under way were refused together
        self._set_aside(endpoint, now, pause, endpoint.waits)

    def down(self, endpoint: Endpoint, now: float, pause: float | None, victim: int | None = None) -> None:
        """It failed at `victim`. What was under way when it was set aside has failed with it, and counts once."""
        endpoint.victims.add(victim)
        endpoint.failures += now >= endpoint.until
        self._set_aside(endpoint, now, pause, endpoint.failures)

    def _set_aside(self, endpoint: Endpoint, now: float, pause: float | None, times: int) -> None:
        if pause is None:
            pause = min(self.patience.longest, self.patience.first * 2 ** max(0, times - 1)) * self.rng.uniform(
                0.5, 1.5
            )
        endpoint.until = max(endpoint.until, now + pause)


def _proven(endpoint: Endpoint) -> bool:
    return None in endpoint.victims or len(endpoint.victims) > 1
