"""Which servers to ask and how: addresses, the served model's name, the key.

Owns their checks. Imports no library: `ask --help` and usage errors need these. The key is read from the environment
when a connection is made and is part of no record, so that it cannot be shown or stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
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
