"""A Hugging Face hub on the loopback address: the parts of its interface that a download uses, and its ways to fail."""

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories as `{repo: {path: content}}`, and what goes wrong with them. `requests` tells what was asked."""

    repos: dict[str, dict[str, bytes]]
    gated: set[str] = field(default_factory=set)  # repositories that want a token
    busy: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # part of a path -> statuses to come
    cuts: list[int] = field(default_factory=list)  # bytes after which the next downloads break off
    hangs: list[int] = field(default_factory=list)  # bytes after which they stop sending
    damage: bool = False  # send other bytes than announced
    excess: bytes = b""  # send more than announced
    no_rest: bool = False  # refuse what is asked for from the middle on
    etag: str = ""  # answer with this one instead of the content's
    padding: int = 0  # bytes of nothing in the list of files
    listed: bytes | None = None  # what comes in its place
    announced: dict[str, int] = field(default_factory=dict)  # path -> a size that is a lie
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    hung: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return {"HF_ENDPOINT": f"http://127.0.0.1:{self.port}", "NO_PROXY": "*", "HF_HUB_DOWNLOAD_TIMEOUT": "60"}

    def downloads(self) -> list[dict[str, str]]:
        """The headers of the requests for the bytes themselves."""
        return [headers for method, path, headers in self.requests if method == "GET" and path.startswith("/cdn/")]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append((self.command, path, {key.lower(): value for key, value in self.headers.items()}))
        for part, statuses in self.hub.busy.items():
            if part in path and statuses:
                self.answer(statuses.pop(0), {"Retry-After": "0"})
                return
        if path.startswith("/api/models/"):
            self.api(path.removeprefix("/api/models/"))
        elif path.startswith("/cdn/"):
            repo, _, name = path.removeprefix("/cdn/").partition("/-/")
            self.content(self.hub.repos[repo][name])
        elif "/resolve/" in path:
            self.resolve(*path[1:].split(f"/resolve/{COMMIT}/", 1))
        else:
            self.answer(404)

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def api(self, repo: str) -> None:
        if repo not in self.hub.repos:
            self.answer(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            return
        siblings = [
            {
                "rfilename": path,
                "size": self.hub.announced.get(path, len(content)),
                "blobId": "0" * 40,
                "lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130},
            }
            for path, content in self.hub.repos[repo].items()
        ]
        listed = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings}
        body = self.hub.listed or json.dumps(listed).encode() + b" " * self.hub.padding
        self.answer(200, {"Content-Type": "application/json"}, body)

    def resolve(self, repo: str, name: str) -> None:
        """Points to the servers that hold the bytes, which are others: they must not be shown the token."""
        if repo in self.hub.gated and "authorization" not in self.hub.requests[-1][2]:
            self.answer(401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
            return
        content = self.hub.repos[repo][name]
        headers = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{self.hub.etag or hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "Location": f"http://localhost:{self.hub.port}/cdn/{repo}/-/{name}",
        }
        self.answer(302, headers)

    def content(self, content: bytes) -> None:
        first, _, last = (self.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")
        rest = content[int(first) : int(last) + 1 if last else None]
        if self.hub.damage:
            rest = bytes(len(rest))
        rest += self.hub.excess
        if self.hub.no_rest and self.headers["Range"]:
            self.answer(416)
            return
        self.send_response(206 if self.headers["Range"] else 200)
        self.send_header("Content-Length", str(len(rest)))
        if self.headers["Range"]:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.hub.cuts:
            self.wfile.write(rest[: self.hub.cuts.pop(0)])
            self.close_connection = True
        elif self.hub.hangs:
            self.wfile.write(rest[: self.hub.hangs.pop(0)])
            self.wfile.flush()
            self.hub.hung.set()
            self.hub.ended.wait()
        else:
            self.wfile.write(rest)
