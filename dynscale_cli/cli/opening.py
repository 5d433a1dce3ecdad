"""The model of a session, being opened while the rest gets ready: a file on this machine, or servers.

Owns the choice between the two, the checks that come before anything is loaded, and the one way to an engine that
`ask`, `bench` and `runs resume` share. Knows nothing of questions but how long their prompts are.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dynscale_cli.engine.options import EXPECTED, EXPECTED_THINKING, LoadOptions
from dynscale_cli.engine.server.endpoints import ServerOptions, require_client
from dynscale_cli.errors import UsageError

from .options import SOURCES, Options

if TYPE_CHECKING:
    from dynscale_cli.engine.batched import BatchedEngine
    from dynscale_cli.engine.llama import LlamaModel
    from dynscale_cli.engine.protocol import Message
    from dynscale_cli.engine.server.connect import Server
    from dynscale_cli.engine.server.engine import ServerEngine

T = TypeVar("T")
Kind = TypeVar("Kind", bound=Options)
TYPED = SOURCES.index("COMMANDLINE")
# What llama.cpp would be told, and a server was told when it was started.
LOCAL = {
    "n_gpu_layers": "-ngl", "threads": "-t", "main_gpu": "-mg", "tensor_split": "-ts", "flash_attn": "-fa",
    "cache_type_k": "-ctk", "cache_type_v": "-ctv", "rpc": "--rpc", "chat_template": "--chat-template",
}  # fmt: skip


def open_model(options: Options, notice: Callable[[str], None]) -> ModelFile | ModelServer:
    """Begin to load the model, or to connect to the server that has it: whichever is named nearer.

    Raises DynscaleError for what cannot be opened, as far as that is known without waiting.
    """
    server = _server(options)
    if server is None:
        return ModelFile(options, notice)
    if without_effect := [flag for name, flag in LOCAL.items() if options.typed(name)]:
        notice(f"no effect on a server: {', '.join(without_effect)}")
    return ModelServer(options, server, notice)


def _server(options: Options) -> ServerOptions | None:
    """The server to ask, or None for a model file: whichever is named nearer to the command line."""
    model, endpoint = options.nearness("model"), options.nearness("endpoint")
    if not options.endpoint:
        if options.typed("served_model"):
            raise UsageError("--served-model names a model of a server", "add --endpoint URL, or use -m FILE")
        return None
    if model == endpoint == TYPED:
        raise UsageError("-m names a file, --endpoint a server", "give one of them; --served-model NAME chooses there")
    if model > endpoint:
        return None
    trusted = endpoint > 0  # else only a stored run names it, which may be somebody else's
    server = ServerOptions(tuple(options.endpoint), options.served_model, options.stall_timeout, trusted)
    require_client()
    return server


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an engine must have room for: the longest prompt and a sample of `most` tokens, `least` tokens at least.

    `samples`: how many the run is expected to draw, where that is known. `top`: see `Settings`.
    """

    prompts: Sequence[Sequence[Message]]
    most: int
    least: int = 0
    samples: int | None = None
    top: int = 0


class Background(Generic[T]):
    """`work`, under way in a thread. A signal is heard while somebody waits for it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._done.append(self._work())
        except BaseException as error:  # handed to whoever waits
            self._error = error

    def wait(self) -> T:
        """What has come of it. Raises what the work raised."""
        while self._thread.is_alive():
            self._thread.join(0.1)
        if self._error is not None:
            raise self._error
        return self._done[0]


class ModelFile:
    """A GGUF file, loading. Its header is read at once: what it refuses need not wait for a library."""

    is_server = False

    def __init__(self, options: Options, notice: Callable[[str], None]) -> None:
        from dynscale_cli.models.gguf import read_header, require_generator
        from dynscale_cli.models.resolve import resolve

        self.header = read_header(resolve(options.model))
        require_generator(self.header)
        self.options = options.loading()
        self._notice = notice
        self._model = Background(lambda: self._load(options.parallel))

    def _load(self, width: int | None) -> LlamaModel:
        from dynscale_cli.engine.loading import load_model

        return load_model(self.header, self.options, width=width, notice=self._notice)

    def identity(self) -> dict[str, Any]:
        """Which model this is, for a stored run to tell it from another."""
        from dynscale_cli.run.request import gguf

        return gguf(self.header)

    def engine(self, options: Options, wanted: Wanted) -> BatchedEngine:
        """An engine with room for what is wanted. Waits for the model."""
        from dynscale_cli.engine.loading import open_engine

        model = self.wait(quiet=options.quiet)
        if options.nearness("n_gpu_layers") and self.options.n_gpu_layers > 0 and not model.offloads:
            self._notice("-ngl has no effect: this llama.cpp is built for the CPU alone; see dynscale doctor")
        engine = open_engine(
            model,
            wanted.prompts,
            wanted.most,
            least=wanted.least,
            context=options.ctx_size,
            width=options.parallel,
            samples=wanted.samples,
            top=wanted.top,
            notice=self._notice,
        )
        return engine

    @property
    def expected(self) -> int:
        """Tokens of a sample, before there is one."""
        return EXPECTED_THINKING if self._model.wait().thinks else EXPECTED

    def suited(self, options: Kind) -> Kind:
        """The options with what suits the model where nobody chose: see `recommended`. Waits for the model."""
        from dynscale_cli.models.info import recommended

        model = self.wait(quiet=options.quiet)
        for told in model.template.notices if model.template else ():
            self._notice(told.format(model=model.name))
        known = recommended(self.header.sampling, thinking=model.thinks)
        chosen = {name: value for name, value in known.items() if not options.nearness(name)}
        if chosen:
            flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in chosen.items())
            why = "it thinks" if model.thinks else "its file recommends it"
            if model.thinks and set(chosen) & set(self.header.sampling):
                why += ", and its file recommends them"
            self._notice(f"{model.name}: {flags}, as {why}")
        return replace(options, **chosen)

    def wait(self, *, quiet: bool = False) -> LlamaModel:
        """The model, when it is loaded. Raises what loading raised."""
        from dynscale_cli.display.text import waiting

        with waiting(None if quiet else sys.stderr, f"loading {self.header.path.name}"):
            return self._model.wait()


class ModelServer:
    """Servers, being asked for their models."""

    is_server = True

    def __init__(self, options: Options, server: ServerOptions, notice: Callable[[str], None]) -> None:
        told = options.loading()
        # Nothing is loaded here.
        self.options = LoadOptions(think=told.think, template_kwargs=told.template_kwargs)
        self._notice = notice
        self._endpoints = server.endpoints
        self._server = Background(lambda: self._connect(server))

    def _connect(self, server: ServerOptions) -> Server:
        from dynscale_cli.engine.server.connect import connect

        return connect(server, self._notice, self.options)

    def identity(self) -> dict[str, Any]:
        """Which model this is, for a stored run to tell it from another."""
        from dynscale_cli.run.request import server

        return server(self._endpoints, self._server.wait().model)

    @property
    def expected(self) -> int:
        """Tokens of a sample, before there is one."""
        return EXPECTED if self._server.wait().thinks is False else EXPECTED_THINKING

    def suited(self, options: Kind) -> Kind:
        """The options with room to think where nobody chose, unless the served model is known not to do so."""
        from dynscale_cli.models.info import recommended

        server = self._server.wait()
        for told in server.notices:
            self._notice(told)
        thinking = options.think != "off" if server.thinks is None else server.thinks
        known = recommended({}, thinking=thinking)
        return replace(options, **{name: value for name, value in known.items() if not options.nearness(name)})

    def engine(self, options: Options, wanted: Wanted) -> ServerEngine:
        """An engine over the servers: the server's context is what it is, whatever the prompts."""
        from dynscale_cli.engine.server.connect import open_server
        from dynscale_cli.engine.template import server_fields

        server = self._server.wait()
        engine = open_server(
            server,
            context=options.ctx_size,
            max_tokens=wanted.most,
            width=options.parallel,
            fields=server_fields(self.options.think, self.options.template_kwargs, server.template),
            together=options.max_thinking is None,  # a thought of one sample cannot be closed in a shared request
        )
        return engine
