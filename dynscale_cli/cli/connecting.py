"""A session on a server instead of a model file: which of the two is meant, and the connection.

Owns that choice and what of the flags has no effect on a server. Knows nothing of HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dynscale_cli.engine.remote import ServerOptions, require_client
from dynscale_cli.errors import UsageError

from .parser import NEARNESS, nearness

if TYPE_CHECKING:
    import typer

    from dynscale_cli.engine.connect import Server
    from dynscale_cli.engine.server import ServerEngine
    from dynscale_cli.runs.settings import Settings

TYPED = NEARNESS.index("COMMANDLINE")
# What llama.cpp would be told, and a server was told when it was started.
LOCAL = {
    "layers": "-ngl", "threads": "-t", "main_gpu": "-mg", "tensor_split": "-ts", "flash_attn": "-fa",
    "cache_type_k": "-ctk", "cache_type_v": "-ctv", "rpc": "--rpc",
}  # fmt: skip


def server_options(
    context: typer.Context, endpoints: Sequence[str] | None, served_model: str | None, stall: float
) -> ServerOptions | None:
    """The server to ask, or None for a model file: whichever is named nearer to the command line."""
    model, endpoint = nearness(context, "model"), nearness(context, "endpoint")
    if not endpoints:
        if nearness(context, "served_model") == TYPED:
            raise UsageError("--served-model names a model of a server", "add --endpoint URL, or use -m FILE")
        return None
    if model == endpoint == TYPED:
        raise UsageError("-m names a file, --endpoint a server", "give one of them; --served-model NAME chooses there")
    if model > endpoint:
        return None
    options = ServerOptions(tuple(endpoints), served_model, stall)
    require_client()
    return options


def without_effect(context: typer.Context) -> tuple[str, ...]:
    """Flags that were typed and that no server can be told."""
    return tuple(flag for name, flag in LOCAL.items() if nearness(context, name) == TYPED)


class Connecting:
    """Servers, asked for their models in a thread while the rest of the session gets ready."""

    def __init__(self, options: ServerOptions, notice: Callable[[str], None]) -> None:
        self.options = options
        self._notice = notice
        self._server: Server | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._connect, daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        try:
            from dynscale_cli.engine.connect import connect

            self._server = connect(self.options, self._notice)
        except BaseException as error:  # handed to whoever waits for the server
            self._error = error

    @property
    def identity(self) -> dict[str, Any]:
        """Which model this is, for a journal to tell it from another."""
        from dynscale_cli.runs.identity import server

        return server(self.options.endpoints, self.wait().model)

    def wait(self) -> Server:
        """The server. Raises what connecting raised."""
        while self._thread.is_alive():
            self._thread.join(0.1)
        if self._error is not None:
            raise self._error
        assert self._server is not None
        return self._server

    def engine(self, settings: Settings, context: int | None, width: int | None) -> ServerEngine:
        from dynscale_cli.engine.connect import open_server

        return open_server(
            self.wait(),
            context=context,
            max_tokens=settings.max_tokens,
            width=width,
            together=settings.max_thinking is None,  # a thought of one sample cannot be closed in a shared request
        )
