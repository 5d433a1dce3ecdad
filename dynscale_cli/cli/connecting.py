"""A session on a server instead of a model file: which of the two is meant, and the connection.

Owns that choice and what of the flags has no effect on a server. Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dynscale_cli.engine.server.endpoints import ServerOptions, require_client
from dynscale_cli.errors import UsageError

from .background import Background
from .parser import NEARNESS, nearness

if TYPE_CHECKING:
    import typer

    from dynscale_cli.engine.server.connect import Server
    from dynscale_cli.engine.server.engine import ServerEngine
    from dynscale_cli.run.settings import Settings

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
    """Servers, being asked for their models while the rest of the session gets ready."""

    def __init__(self, options: ServerOptions, notice: Callable[[str], None]) -> None:
        self.options = options
        self._server = Background(lambda: _connected(options, notice))

    @property
    def identity(self) -> dict[str, Any]:
        """Which model this is, for a journal to tell it from another."""
        from dynscale_cli.run.request import server

        return server(self.options.endpoints, self._server.wait().model)

    def engine(self, settings: Settings, context: int | None, width: int | None) -> ServerEngine:
        from dynscale_cli.engine.server.connect import open_server

        return open_server(
            self._server.wait(),
            context=context,
            max_tokens=settings.max_tokens,
            width=width,
            together=settings.max_thinking is None,  # a thought of one sample cannot be closed in a shared request
        )


def _connected(options: ServerOptions, notice: Callable[[str], None]) -> Server:
    from dynscale_cli.engine.server.connect import connect

    return connect(options, notice)
