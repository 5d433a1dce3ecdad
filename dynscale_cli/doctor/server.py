"""The servers that would be asked instead of a model file: whether something listens there. Sends them nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from .finding import Finding

SECONDS = 3.0


def servers(endpoints: Sequence[str]) -> Iterator[Finding]:
    for endpoint in endpoints:
        try:
            parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), SECONDS).close()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            yield Finding("server", "wrong", f"{endpoint}: {why}; ask would go there", "dynscale config get endpoint")
        else:
            yield Finding("server", "fine", f"{endpoint} listens; ask goes there, unless -m names a file")
