"""The HTTP client underneath the openai package: what goes out with a request, and how much may come back.

Owns three rules. Only the headers of a chat request go out, whatever the environment would add: an organisation, a
project or a header of one's own is for openai's own host alone. A request that met a kept-alive connection which the
server had just closed goes out again at once, on another: that is nobody's fault. What comes back is not compressed,
and neither a line nor an answer is longer than any can be. Knows nothing of chats; retries are the package's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

from dynscale_cli.network import connection_error, direct

from .faults import Unreadable

# The package's HTTP library: httpx, or what its newer versions have in its place.
httpx: Any = import_module(DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])

OPENAI: Final = "api.openai.com"
SENT: Final = frozenset(
    {"host", "accept", "authorization", "connection", "content-length", "content-type", "user-agent"}
)
LONGEST_LINE: Final = 4 << 20  # bytes: a chunk of a stream with its log-probabilities has a thousandth of that
LONGEST_ANSWER: Final = 64 << 20  # bytes of an answer in one piece
STALE: Final = frozenset({"RemoteProtocolError", "ReadError", "WriteError"})  # how a closed connection shows
HOPELESS: Final = 500  # a status that the same request meets again, unlike 502, 503 and 504
UNKNOWN: Final = 501  # who does not know what a POST is, is no chat server

RETRIES: Final = 8  # by the package, over some 40 seconds: a server is started again in that time
CONNECT: Final = 10.0  # seconds to be let in
# Each request looks through the connections that are idle: 4 ms where a hundred are kept.
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=16)


class Transport(DefaultAsyncHttpxClient):
    """A client for one endpoint. `begun` hears of every attempt, `failed` of those that fail: an error or a status."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.begun: Callable[[], None] = lambda: None
        self.failed: Callable[[BaseException | int], None] = lambda failure: None

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        if request.url.host != OPENAI:
            for name in [name for name in request.headers if name.lower() not in SENT]:
                del request.headers[name]
        request.headers["Accept-Encoding"] = "identity"
        self.begun()
        try:
            response = await self._send_fresh(request, options)
        except Exception as error:
            self.failed(error)
            raise
        status = response.status_code
        if status in (HOPELESS, UNKNOWN):
            response.headers["x-should-retry"] = "false"
        if (status >= 500 and status != UNKNOWN) or status in (408, 409, 429):
            self.failed(status)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise Unreadable("it is compressed, which it was asked not to be")
        streams = "event-stream" in response.headers.get("content-type", "")
        response.stream = _Bounded(response.stream, LONGEST_LINE if streams else LONGEST_ANSWER, streams)
        if not stream:
            await response.aread()
        return response

    async def _send_fresh(self, request: Any, options: dict[str, Any]) -> Any:
        """Send, again where a connection that was kept alive turns out to be closed. Each of those is tried once."""
        connected = False

        async def trace(event: str, _: Any) -> None:
            nonlocal connected
            connected = connected or event.startswith(("connection.connect_tcp", "connection.connect_unix"))

        request.extensions = {**request.extensions, "trace": trace}
        while True:
            try:
                return await super().send(request, stream=True, **options)
            except Exception as error:
                if connected or type(error).__name__ not in STALE:
                    raise


class _Bounded(httpx.AsyncByteStream):  # type: ignore[misc]
    """A response's bytes, as long as there are not more than `limit`: in a line, or in all."""

    def __init__(self, stream: Any, limit: int, lines: bool) -> None:
        self._stream, self._limit, self._lines = stream, limit, lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            end = chunk.rfind(b"\n") if self._lines else -1
            size = size + len(chunk) if end < 0 else len(chunk) - end
            if size > self._limit:
                raise Unreadable("it is longer than any answer")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


@dataclass(frozen=True, slots=True)
class Connection:
    """An endpoint's two clients over one transport: `patient` tries again by itself, `prompt` fails at once."""

    transport: Transport
    patient: AsyncOpenAI
    prompt: AsyncOpenAI


def open_connection(url: str, key: str) -> Connection:
    """Raises UsageError, which names the variable, for proxies and certificates in the environment that cannot be."""
    timeout = Timeout(None, connect=CONNECT)
    try:
        transport = Transport(timeout=timeout, limits=LIMITS, trust_env=not direct(url))
    except Exception as error:  # the HTTP library's own, or a package that is missing
        raise connection_error(error) from error
    patient, prompt = (
        AsyncOpenAI(base_url=url, api_key=key or "none", max_retries=retries, timeout=timeout, http_client=transport)
        for retries in (RETRIES, 0)
    )
    return Connection(transport, patient, prompt)
