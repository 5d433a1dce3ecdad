"""From addresses to an engine: clients, the served model's name, its context, its chat template.

Owns what is asked of `/v1/models`. Imports the openai package, so it is imported
where a server is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.template import ChatTemplate
from dynscale_cli.errors import EngineError, UsageError

from .client import ChatClient
from .endpoints import Endpoint, Endpoints, ServerOptions, api_key
from .engine import DEFAULT_WIDTH, ServerEngine, shown
from .faults import Fault, printable
from .llama_server import LlamaServer
from .transport import OPENAI

CONNECT = 10.0  # seconds to be let in, and to name the models
LOADING, AGAIN = 600.0, 0.5  # seconds that a server may take to load its model where it says so, and between two looks
CONTEXT = 8192  # tokens, where a server does not tell: most serve more, and one that serves less says so itself
# What servers call the tokens that fit: vLLM and SGLang, llama-server, LM Studio, Groq, OpenRouter.
SIZES = ("max_model_len", "n_ctx", "n_ctx_train", "max_context_length", "context_window", "context_length")
SHOWN = 8  # names listed in a message
LLAMA_SERVER = "llamacpp"  # who owns a model, in its own words
# Servers that count as they go, by who owns their models, and how they are asked to.
COUNTING: dict[str, dict[str, Any]] = {
    LLAMA_SERVER: {"timings_per_token": True},
    "vllm": {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
}
# And whose servers evaluate a prompt once for several completions of it. vLLM does so for each, and says once.
SHARING = frozenset({LLAMA_SERVER, "sglang"})
UNSWITCHED = "{model}'s chat template has no switch for thinking: --think off has no effect on a server"


@dataclass(frozen=True, slots=True)
class Server:
    """Servers that answered, and what they serve: what they do not tell is 0 or None.

    `context`: tokens; `shares`: several completions can be asked for at once; `native`: what a llama-server tells too.
    """

    client: ChatClient
    model: str
    context: int
    shares: bool = False
    native: LlamaServer | None = None
    template: ChatTemplate | None = None

    @property
    def thinks(self) -> bool | None:
        """Whether the model is expected to think; None where that is not known."""
        thinking = self.template.thinking if self.template else None
        return None if thinking is None else thinking.on or thinking.closed

    @property
    def notices(self) -> list[str]:
        """What the user should know of how the model was asked to think."""
        if self.template is None:
            return []
        told = [UNSWITCHED] if self.template.thinking.closed else self.template.notices
        return [text.format(model=shown(self.model)) for text in told]


def connect(
    options: ServerOptions,
    notice: Callable[[str], None] = lambda text: None,
    loading: LoadOptions | None = None,
) -> Server:
    """Ask every endpoint for its models. Raises EngineError when none answers, UsageError when a name must be given.

    `loading`: what is wished of the model's thoughts.
    """
    endpoints = Endpoints([Endpoint(url) for url in options.endpoints])
    key = api_key()
    if key and not options.trusted:
        key = ""
        notice(f"{', '.join(options.endpoints)} is named by the stored run alone, and gets no key; --endpoint sends it")
    client = ChatClient(options, endpoints, key)
    try:
        listed = _list(client, notice)
        client.watch(_greet(endpoints, listed, options, notice))
        found = {
            name: entry for entries in listed.values() if isinstance(entries, dict) for name, entry in entries.items()
        }
        client.model = options.served_model or _only(list(found))
        if client.model in found:
            _pass_over(endpoints, listed, client.model, notice)
        elif found:  # some answer by what they have, whichever is asked for
            notice(f"no model {client.model!r} is listed there, but {_some(found)}; asking for it all the same")
        entry = found.get(client.model)
        owner = getattr(entry, "owned_by", "")
        client.counting = COUNTING.get(owner, {})
        native = LlamaServer(client) if owner == LLAMA_SERVER else None
        template = native.template(loading or LoadOptions()) if native else None
    except BaseException:
        client.close()
        raise
    shares = owner in SHARING or all(urlsplit(url).hostname == OPENAI for url in options.endpoints)
    client.counts = True if shares or client.counting else None  # else a few requests have to show it
    return Server(client, client.model, _context(entry), shares, native, template)


def open_server(
    server: Server,
    *,
    context: int | None,
    max_tokens: int,
    width: int | None,
    fields: Mapping[str, Any] | None = None,
    together: bool = True,
) -> ServerEngine:
    """An engine over servers that answered. `together`: samples of one prompt may share a request; `fields`: what every
    request says besides."""
    tokens = context or server.context or max(CONTEXT, 2 * max_tokens)
    slots = server.native.slots if server.native else 0
    return ServerEngine(
        server.client,
        context=tokens,
        width=width or min(DEFAULT_WIDTH, slots or DEFAULT_WIDTH),
        fields=fields or {},
        together=together and server.shares,
        template=server.template,
        counter=server.native,
    )


def _list(client: ChatClient, notice: Callable[[str], None]) -> dict[str, dict[str, Any] | Fault]:
    """What each endpoint lists. Where none does yet, one that is still loading its model is waited for."""
    end, told = time.monotonic() + LOADING, False
    while True:
        listed = client.models(CONNECT)
        faults = [fault for fault in listed.values() if isinstance(fault, Fault)]
        loading = any(fault.status == 503 and "loading" in fault.message.lower() for fault in faults)
        if not loading or len(faults) < len(listed) or time.monotonic() > end:
            return listed
        if not told:
            notice("the server is loading its model: waiting for it")
        told = True
        time.sleep(AGAIN)


def _greet(
    endpoints: Endpoints, listed: dict[str, Any], options: ServerOptions, notice: Callable[[str], None]
) -> list[str]:
    """Set aside who did not answer, and name them. One that only lists no models may answer, if the model is known."""
    faults = {}
    for endpoint in endpoints.all:
        fault = listed[endpoint.url]
        if not isinstance(fault, Fault):
            continue
        if options.served_model and fault.status not in (None, 401, 403):
            continue
        faults[endpoint.url] = fault
        endpoint.refused = fault.kind == "refused"
        endpoint.failures += 1
    if len(faults) == len(endpoints.all):
        fault = next(iter(faults.values()))
        raise EngineError(fault.message, fault.hint)
    for fault in faults.values():
        notice(f"{fault.message}; going on with the others")
    return list(faults)


def _pass_over(endpoints: Endpoints, listed: dict[str, Any], model: str, notice: Callable[[str], None]) -> None:
    """Ask nobody who lists other models only: that may answer by what it has."""
    for endpoint in endpoints.all:
        names = listed[endpoint.url]
        if isinstance(names, dict) and names and model not in names:
            endpoint.refused = True
            notice(f"{endpoint.url} has no model {model!r}; going on without it")


def _only(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    if not names:
        raise UsageError("the server names no model", "dynscale ask --served-model NAME ...")
    raise UsageError(f"the server has {len(names)} models: {_some(names)}", "dynscale ask --served-model NAME ...")


def _some(names: Collection[str]) -> str:
    return ", ".join(printable(name) for name in sorted(names)[:SHOWN]) + (
        f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    )


def _context(entry: Any) -> int:
    """Tokens that a sequence can hold, as far as the server tells."""
    more = getattr(entry, "model_extra", None) or {}
    meta = more.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    for name in SIZES:
        value = more.get(name, meta.get(name))
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
