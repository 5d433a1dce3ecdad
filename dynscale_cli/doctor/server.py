"""The servers that would be asked instead of a model file: whether that is so, and whether something listens there.

Sends them nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from dynscale_cli.settings.origin import Found

from .finding import Finding

SECONDS = 3.0


def asked(settings: Mapping[str, Found]) -> Iterator[Finding]:
    """Of a model file and a server, `ask` takes what is written nearer to the command line, and says nothing."""
    model, endpoint = settings["model"], settings["endpoint"]
    if not endpoint.value:
        return
    if not goes_before(settings):
        text = f"{_place(endpoint)} is not asked: {_place(model)} goes before it"
        yield Finding("server", "warning", text, _without(model))
        return
    if model.nearness:
        text = f"{_place(model)} is not used: {_place(endpoint)} goes before it"
        yield Finding("server", "warning", text, _without(model))
    yield from servers(endpoint.value)


def goes_before(settings: Mapping[str, Found]) -> bool:
    """Whether `ask` goes to a server and does without a model file."""
    if not settings or not settings["endpoint"].value:
        return False
    return settings["endpoint"].nearness >= settings["model"].nearness


def _place(found: Found) -> str:
    where = {"environment": "environment", "profile": f"profile {found.where}"}.get(found.origin, "config.toml")
    return f"{found.key} ({where})"


def _without(found: Found) -> str:
    """The command by which a setting is no more."""
    if found.origin == "environment":
        return f"unset {found.where}"
    return f"dynscale config unset {f'profile.{found.where}.' if found.origin == 'profile' else ''}{found.key}"


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
