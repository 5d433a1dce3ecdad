"""What went wrong with a request to a server, and whether waiting helps.

Owns the reading of the openai package's errors. Nothing here repeats a key: `redact` takes it out of whatever a server
or a library said.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from dynscale_cli.network import proxy_of

Kind = Literal["busy", "down", "refused", "request"]
LONGEST = 300  # characters of a server's own words
# Causes by their class, as the HTTP library has them: something answered, and it was no HTTP or broke off.
GARBLED = frozenset({"RemoteProtocolError", "DecodingError", "TooManyRedirects", "RecursionError"})
# What gateways answer with a status that says less, by an error's type or in words.
KEYLESS = frozenset({"auth_error", "authentication_error", "no_db_connection"})
NO_MODEL = re.compile(
    r"\b(invalid|unknown|no such) model\b|\bmodel\b.{,80}\b(not found|does not exist)\b", re.IGNORECASE
)
BROKEN = frozenset({"ReadError", "WriteError", "CloseError"})
CUT_OFF = re.compile(r"peer closed connection|server disconnected", re.IGNORECASE)  # in the HTTP library's own words


@dataclass(frozen=True, slots=True)
class Fault:
    """`busy`: ask again later; `down`: the endpoint does not work just now; `refused`: it never will, asked like this;
    `request`: this request is at fault, and others are not."""

    kind: Kind
    message: str
    hint: str = ""
    status: int | None = None  # of the HTTP answer, where there was one


class Unreadable(Exception):
    """A server's answer is not what the protocol allows."""


class Reported(Exception):
    """A server's answer is an error, in its own words."""

    def __init__(self, body: Any) -> None:
        super().__init__(spoken(body) or "an error without a word")


class Stalled(Exception):
    """Nothing came for too long."""


def printable(text: str) -> str:
    """Text of others as it may be shown: nothing in it moves a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def redact(text: str, key: str) -> str:
    """One line of `text`, without the key or what moves a terminal, and not too long."""
    text = printable(" ".join(text.split()))
    if key:
        text = text.replace(key, "***")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def read(error: BaseException, url: str, model: str, key: str) -> Fault:
    """What an error of a request to `url` means."""
    proxy = proxy_of(url)
    place = f"{url} through the proxy {proxy}" if proxy else url
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        keyless = getattr(error, "type", None) in KEYLESS
        return replace(_by_status(status, keyless, error, place, model, key), status=401 if keyless else status)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return _by_tls(cause, url, key)
    if isinstance(error, Stalled):
        return Fault("down", f"{place} has fallen silent: {error}", "check the server, or: --stall-timeout 600")
    if isinstance(error, Reported) or getattr(error, "body", None):
        words = redact(str(error) if isinstance(error, Reported) else spoken(_body(error)), key)
        return Fault("down", f"{place} reports: {words}", "check the server's log")
    reason, names = _reason(error, key), {type(cause).__name__ for cause in _causes(error)}
    if names & BROKEN or (names & GARBLED and CUT_OFF.search(reason)):
        return Fault("down", f"{place} broke the connection off: {reason}", "check the server's log")
    if isinstance(error, (Unreadable, ValueError)) or names & GARBLED:
        return Fault("down", f"{place} gave no readable answer: {reason}", "check --endpoint")
    hint = f"export NO_PROXY={urlsplit(url).hostname}, or check the proxy" if proxy else "start it, or check --endpoint"
    return Fault("down", f"no server answers at {place}: {reason}", hint)


def _by_tls(error: ssl.SSLError, url: str, key: str) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = redact(error.verify_message or str(error), key)
        return Fault(
            "refused", f"the certificate of {url} does not verify: {reason}", "SSL_CERT_FILE=ca.pem dynscale ask ..."
        )
    plain = url.replace("https://", "http://", 1)
    return Fault("down", f"{url} does not answer in https: {redact(str(error), key)}", f"--endpoint {plain}")


def _by_status(status: int, keyless: bool, error: BaseException, url: str, model: str, key: str) -> Fault:
    said = redact(spoken(_body(error)), key)
    tail = f"({status}{': ' + said if said else ''})"
    if keyless or status in (401, 403):
        return Fault("refused", f"{url} does not accept the key {tail}", "export DYNSCALE_API_KEY=...")
    if status == 402:
        return Fault("refused", f"{url} refuses: it wants to be paid {tail}", "check your account there")
    if status < 400 or status in (404, 405, 501) or (status in (400, 422) and NO_MODEL.search(said)):
        return Fault(
            "refused",
            f"{url} {f'has no model {model!r}' if model else 'lists no models'}, or is no chat server {tail}",
            "check --endpoint and --served-model NAME",
        )
    if status == 429 and getattr(error, "code", None) == "insufficient_quota":
        return Fault("refused", f"{url} refuses: the account has no quota left {tail}", "check your plan there")
    if status == 429:
        return Fault("busy", f"{url} is busy {tail}", "try a smaller --parallel")
    if status in (408, 409, 425) or status >= 500:
        return Fault("down", f"{url} failed {tail}", "check the server's log")
    return Fault("request", f"{url} refuses the request {tail}")


def status_fault(status: int, url: str) -> Fault:
    """What an answer means of which only the status is known so far."""
    kind: Kind = "busy" if status == 429 else "down"
    return Fault(kind, f"{url} is busy ({status})" if kind == "busy" else f"{url} failed ({status})", status=status)


def spoken(body: Any) -> str:
    """What a server itself said, in whichever form."""
    for _ in range(3):
        if not isinstance(body, dict):
            break
        body = next((body[name] for name in ("error", "message", "detail", "msg") if body.get(name)), "")
    if isinstance(body, str):
        return "" if "<html" in body.lower() else body
    return "" if body is None else str(body)


def _body(error: BaseException) -> Any:
    return getattr(error, "body", None)


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
