"""What the environment says of the network, and which variable is to blame where that cannot be.

Owns the names of the variables for proxies and certificates. Knows no HTTP library.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from dynscale_cli.errors import UsageError

PROXIES: Final = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # the first that is set counts


def proxy_of(url: str) -> str:
    """The proxy that the environment puts before `url`, if any, without a password."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return ""
    return proxy.rpartition("@")[2].rpartition("//")[2]


def direct(url: str) -> bool:
    """Whether no proxy and no certificate of the environment matters for this address, be they wrong or not."""
    parts = urlsplit(url)
    return parts.scheme == "http" and bool(proxy_bypass(parts.hostname or ""))


def connection_error(error: Exception) -> UsageError:
    """What an HTTP library says when it is set up, as the variable that it does not take."""
    if isinstance(error, OSError):
        name = next((name for name in CERTIFICATES if os.environ.get(name)), CERTIFICATES[0])
        where = f"{name}={os.environ.get(name, '')}"
        return UsageError(f"no certificates can be read: {where}: {error.strerror or error}", f"unset {name}")
    given = [name for upper in PROXIES for name in (upper, upper.lower()) if os.environ.get(name)]
    socks = [name for name in given if os.environ[name].lower().startswith(("socks5://", "socks5h://"))]
    name = next(iter(socks or given), "the proxy of the environment")
    if socks and find_spec("socksio") is None:
        return UsageError(f"{name} names a SOCKS proxy, for which a package is missing", "pip install socksio")
    detail = str(error).partition("\n")[0].partition("@")[0]  # a password stands before the host
    return UsageError(f"{name} cannot be used: {detail}", f"unset {name}, or give a proxy such as http://HOST:PORT")
