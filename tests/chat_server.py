"""A chat server on the loopback address that does what a test's script tells it to, well or badly.

Tokens are words: an honest answer stops at `max_tokens` of them, and `usage` counts them.

"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEMPLATE = 5  # tokens that its template puts around a message


def count(messages: list[dict[str, str]]) -> int:
    return sum(len(m["content"].split()) + TEMPLATE for m in messages)


class Talk:
    """One request, and the ways to answer it. `number` counts requests from 0; `conversation` is all its text."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], number: int) -> None:
        self.body, self.number, self._handler = body, number, handler
        self.conversation = "\n".join(m["content"] for m in body["messages"])
        self.limit = body.get("max_tokens", body.get("max_completion_tokens", 0))
        self.said = 0  # chunks with text that went out
        self._open = self._chunked = False

    def honest(self, text: str, *, cached: int = 0, usage: bool = True, pace: float = 0, **delta: Any) -> None:
        """Answer as a good server would, once for each of `n`, a word each `pace` seconds."""
        words = text.split(" ")
        kept = words[: self.limit]
        reason = "length" if len(words) > self.limit else "stop"
        for place in range(self.body.get("n", 1)):
            for number, word in enumerate(kept):
                time.sleep(pace)
                self.chunk(word if not number else f" {word}", place, **delta)
            self.chunk(None, place, reason=reason)
        if usage:
            self.usage(count(self.body["messages"]), len(kept) * self.body.get("n", 1), cached)
        self.done()

    def chunk(
        self, text: str | None, place: int = 0, reason: str | None = None, field: str = "content", **more: Any
    ) -> None:
        delta = {} if text is None else {field: text}
        self.event({"choices": [{"index": place, "delta": delta, "finish_reason": reason, **more}]})
        self.said += text is not None

    def usage(self, prompt: Any, generated: Any, cached: Any = 0) -> None:
        counts = {"prompt_tokens": prompt, "completion_tokens": generated}
        self.event({"choices": [], "usage": {**counts, "prompt_tokens_details": {"cached_tokens": cached}}})

    def event(self, data: dict[str, Any]) -> None:
        self.raw(f"data: {json.dumps({'object': 'chat.completion.chunk', **data})}\n\n".encode())

    def raw(self, data: bytes) -> None:
        if not self._open:
            self._chunked = self._handler.protocol_version == "HTTP/1.1"
            kept = {"Transfer-Encoding": "chunked"} if self._chunked else {}
            self._head(200, {"Content-Type": "text/event-stream", **kept})
        self._handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        self._handler.wfile.flush()

    def done(self) -> None:
        self.raw(b"data: [DONE]\n\n")
        if self._chunked:
            self._handler.wfile.write(b"0\r\n\r\n")

    def whole(self, text: str, usage: dict[str, Any] | None) -> None:
        """An answer in one piece."""
        message = {"role": "assistant", "content": text}
        body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
        self.status(200, body)

    def status(self, status: int, body: Any = None, **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body or {"error": {"message": "no"}}).encode()
        kind = "text/html" if isinstance(body, str) else "application/json"
        self._head(
            status,
            {
                "Content-Type": kind,
                "Content-Length": str(len(data)),
                **{k.replace("_", "-"): v for k, v in headers.items()},
            },
        )
        self._handler.wfile.write(data)

    def reset(self) -> None:
        """Break the connection in the middle."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.connection.close()

    def hang(self, seconds: float = 30.0) -> bool:
        """Say nothing until the client goes away; whether it did."""
        self._handler.connection.settimeout(seconds)
        try:
            return self._handler.connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self._open = True
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        if self._handler.protocol_version == "HTTP/1.0":
            self._handler.send_header("Connection", "close")
        self._handler.end_headers()


Script = Callable[[Talk], None]


class ChatServer:
    """A context manager: the server runs as long as the block. `models` is what /v1/models lists.

    Connections are kept alive where `kept` says so: for so many answers, after which one is closed without a word as
    soon as another request comes, or, below 1, until so many seconds have passed. `native` answers what is asked
    outside of /v1, as a llama-server does.
    """

    def __init__(
        self,
        script: Script,
        *,
        models: Any = ("small",),
        extra: dict[str, Any] | None = None,
        tls: Any = None,
        kept: float = 0,
        native: Callable[[str, dict[str, Any]], Any] = lambda path, body: None,
    ):
        self.native = native
        self.kept, self.dropped = kept, 0
        self.headers: list[dict[str, str]] = []
        self.script, self.models, self.extra = script, models, extra or {}
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: set[str | None] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ChatServer:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if server.kept else "HTTP/1.0"
            served = 0

            def log_message(self, *_: object) -> None:
                pass

            def is_native(self, body: dict[str, Any]) -> bool:
                if self.path.startswith("/v1/"):
                    return False
                found = server.native(self.path.partition("?")[0], body)
                Talk(self, {"messages": []}, 0).status(404 if found is None else 200, found)
                return True

            def do_GET(self) -> None:
                server.keys.add(self.headers.get("Authorization"))
                if self.is_native({}):
                    return
                if callable(server.models):
                    server.models(Talk(self, {"messages": []}, 0))
                    return
                data = [{"id": name, "object": "model", **server.extra} for name in server.models]
                Talk(self, {"messages": []}, 0).status(200, {"object": "list", "data": data})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.is_native(body):
                    return
                if self.served >= server.kept >= 1:
                    server.dropped += 1
                    self.close_connection = True
                    return
                self.served += 1
                with server._lock:
                    server.headers.append({name.lower(): value for name, value in self.headers.items()})
                    number = len(server.bodies)
                    server.bodies.append(body)
                    server.times.append(time.monotonic())
                    server.keys.add(self.headers.get("Authorization"))
                with contextlib.suppress(ConnectionError):  # the client has had enough
                    server.script(Talk(self, dict(body), number))
                if 0 < server.kept < 1:
                    self.connection.settimeout(server.kept)

        return Handler
