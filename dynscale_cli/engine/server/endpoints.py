"""Which servers are asked: their addresses and the key, and where the next request goes.

Owns the checks of both, and who is set aside for how long. Imports no library: `ask --help` and usage errors need
these. The clock is handed in. The key is read from the environment when a connection is made and is part of no record,
so that it cannot be shown or stored. Knows nothing of HTTP.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import urlsplit

from dynscale_cli.errors import UsageError

KEYS = ("DYNSCALE_API_KEY", "OPENAI_API_KEY")
DEFAULT_STALL = 120.0
FIRST, LONGEST = 0.5, 30.0  # seconds that an endpoint is left alone after its first failure, doubled up to the longest


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """OpenAI-compatible chat servers, all with the same model. Raises UsageError for what cannot be an address."""

    endpoints: tuple[str, ...]
    served_model: str | None = None  # asked for where there is only one
    stall: float = DEFAULT_STALL  # seconds of silence before a stream is given up
    trusted: bool = True  # named by the user, not by a stored run alone: the key may go there

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


@dataclass(slots=True, eq=False)
class Endpoint:
    url: str
    outstanding: int = 0
    failures: int = 0  # in a row
    until: float = 0.0  # it is left alone until then
    heard: float = 0.0  # when it last said anything
    refused: bool = False  # it will never take a request: wrong key, no such model


@dataclass(slots=True)
class Endpoints:
    """All of a run. `lost`: the conversations given up since the last answer; one alone may be at fault itself."""

    all: Sequence[Endpoint]
    lost: set[int] = field(default_factory=set)

    @property
    def refused(self) -> bool:
        return all(endpoint.refused for endpoint in self.all)

    def pick(self, now: float, failed: Endpoint | None = None) -> Endpoint | None:
        """Where to send a request now: one that has just `failed` elsewhere, if it can be, not there again.

        An endpoint whose time has passed gets a single request, to show that it is well again.
        """
        ready = [e for e in self.all if not e.refused and e.until <= now and not (e.failures and e.outstanding)]
        if failed is not None and not self.alone(failed):
            ready = [e for e in ready if e is not failed]
        return min(ready, key=lambda e: (e.failures == 0, e.outstanding), default=None)

    def pause(self, now: float) -> float:
        """Seconds until a request may be sent, as far as is known."""
        return max(0.0, min((e.until - now for e in self.all if not e.refused), default=0.0))

    def alone(self, endpoint: Endpoint) -> bool:
        """Whether nobody else can be asked instead of waiting for this one."""
        return not any(e is not endpoint and not e.refused and not e.failures for e in self.all)

    def well(self, endpoint: Endpoint, now: float) -> None:
        endpoint.failures, endpoint.until, endpoint.heard = 0, 0.0, now
        self.lost.clear()

    def fail(self, times: int) -> bool:
        """Whether all have failed so many times in a row: requests take turns then, and each would need as many."""
        return all(endpoint.refused or endpoint.failures >= times for endpoint in self.all)

    def give_up(self, conversation: int) -> int:
        """How many have been given up in a row, with this one."""
        self.lost.add(conversation)
        return len(self.lost)

    def abandon(self) -> None:
        """Ask none of them any more."""
        for endpoint in self.all:
            endpoint.refused = True

    def down(self, endpoint: Endpoint, now: float) -> None:
        """It failed. What was under way when it was left alone has failed with it, and counts once."""
        endpoint.failures += now >= endpoint.until
        endpoint.until = max(endpoint.until, now + min(LONGEST, FIRST * 2 ** (endpoint.failures - 1)))
