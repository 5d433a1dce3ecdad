"""What went wrong with a request to a server, and whether waiting helps.

Owns the reading of the openai package's errors. Nothing here repeats a key: `redact` takes it out of whatever a server
or a library said.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any, Literal

Kind = Literal["busy", "down", "refused", "request"]
LONGEST = 300  # characters of a server's own words


@dataclass(frozen=True, slots=True)
class Fault:
    """`busy`: ask again later; `down`: the endpoint does not work just now; `refused`: it never will, asked like this;
    `request`: this request is at fault, and others are not."""

    kind: Kind
    message: str
    hint: str = ""
    pause: float | None = None  # seconds that the server asked for
    status: int | None = None  # of the HTTP answer, where there was one


class Unreadable(Exception):
    """A server's answer is not what the protocol allows."""


class Stalled(Exception):
    """Nothing came for too long."""


def redact(text: str, key: str) -> str:
    """One line of `text`, without the key and not too long."""
    text = " ".join(text.split())
    if key:
        text = text.replace(key, "***")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def read(error: BaseException, url: str, model: str, key: str) -> Fault:
    """What an error of a request to `url` means."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return replace(_by_status(status, error, url, model, key), status=status)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = redact(cause.verify_message or str(cause), key)
            return Fault(
                "refused",
                f"the certificate of {url} does not verify: {reason}",
                "SSL_CERT_FILE=ca.pem dynscale ask ...",
            )
    if isinstance(error, Stalled):
        return Fault("down", f"{url} has fallen silent: {error}", "check the server, or try a smaller --parallel")
    if isinstance(error, (Unreadable, ValueError)):
        return Fault("down", f"{url} gave no readable answer: {redact(str(error), key)}", "check --endpoint")
    words = redact(str(getattr(error, "message", "") or error), key)
    if _said_in_stream(error):
        return Fault("down", f"{url} reports: {words}", "check the server's log")
    return Fault("down", f"no server answers at {url}: {_reason(error, key)}", "start it, or check --endpoint")


def _by_status(status: int, error: BaseException, url: str, model: str, key: str) -> Fault:
    said = redact(_words(error), key)
    tail = f"({status}{': ' + said if said else ''})"
    if status in (401, 403):
        return Fault("refused", f"{url} does not accept the key {tail}", "export DYNSCALE_API_KEY=...")
    if status == 404:
        return Fault(
            "refused",
            f"{url} has no model {model!r}, or is no chat server {tail}",
            "dynscale ask --served-model NAME ...",
        )
    if status == 429 and getattr(error, "code", None) == "insufficient_quota":
        return Fault("refused", f"{url} refuses: the account has no quota left {tail}", "check your plan there")
    if status == 429:
        return Fault("busy", f"{url} is busy {tail}", "try a smaller --parallel", _pause(error))
    if status in (408, 409, 425) or status >= 500:
        return Fault("down", f"{url} failed {tail}", "check the server's log", _pause(error))
    return Fault("request", f"{url} refuses the request {tail}")


def _words(error: BaseException) -> str:
    """What the server itself said, in whichever form."""
    body: Any = getattr(error, "body", None)
    for _ in range(3):
        if not isinstance(body, dict):
            break
        body = next((body[name] for name in ("error", "message", "detail", "msg") if body.get(name)), "")
    if isinstance(body, str) and "<html" not in body.lower():
        return body
    return "" if isinstance(body, str) or body is None else str(body)


def _said_in_stream(error: BaseException) -> bool:
    """Whether the server reported an error in the middle of its answer."""
    return bool(getattr(error, "body", None))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(20):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException, key: str) -> str:
    """The innermost cause in plain words."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and (cause.strerror or cause.errno):
            return redact(re.sub(r"^Connect call failed.*", "connection refused", cause.strerror or str(cause)), key)
    return redact(str(list(_causes(error))[-1]) or type(error).__name__, key)


def _pause(error: BaseException) -> float | None:
    """Seconds that Retry-After asks for, as a number or as a date."""
    headers: Any = getattr(getattr(error, "response", None), "headers", {})
    value = headers.get("retry-after-ms")
    if value and value.strip().isdigit():
        return int(value) / 1000
    value = (headers.get("retry-after") or "").strip()
    if re.fullmatch(r"\d{1,6}(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time()) if value else None
    except (TypeError, ValueError):
        return None
