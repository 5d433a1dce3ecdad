"""From addresses to an engine: clients, the served model's name, its context.

Owns what is asked of `/v1/models`. Imports the openai package, so it is imported where a server is used.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openai import AsyncOpenAI, Timeout

from dynscale_cli.errors import EngineError, UsageError

from .client import ChatClient
from .endpoints import Endpoint, Endpoints, Patience, ServerOptions, api_key
from .engine import DEFAULT_WIDTH, ServerEngine
from .faults import Fault, Unreadable, read, redact

CONNECT = 10.0  # seconds to be let in, and to name the models
CONTEXT = 8192  # tokens, where a server does not tell: most serve more, and one that serves less says so itself
# What servers call the tokens that fit: vLLM and SGLang, llama-server, LM Studio, Groq, OpenRouter.
SIZES = ("max_model_len", "n_ctx", "n_ctx_train", "max_context_length", "context_window", "context_length")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # the first that is set counts
SHOWN = 8  # names listed in a message


@dataclass(frozen=True, slots=True)
class Server:
    """Servers that answered, and what they serve. `context`: tokens, 0 where they do not tell."""

    client: ChatClient
    model: str
    context: int


def connect(
    options: ServerOptions,
    notice: Callable[[str], None] = lambda text: None,
    *,
    seed: int = 0,
    patience: Patience | None = None,
) -> Server:
    """Ask every endpoint for its models. Raises EngineError when none answers, UsageError when a name must be given."""
    key = api_key()
    clients = _clients(options.endpoints, key)
    patience = patience or Patience(stall=options.stall)
    endpoints = Endpoints([Endpoint(url) for url in options.endpoints], patience, random.Random(seed))
    client = ChatClient(clients, options.served_model or "", endpoints, key)
    try:
        listed = client.run(_list_all(clients, options.served_model or "", key))
        for url in _greet(endpoints, listed, options, notice):
            client.told(url)
        found = {
            name: entry for entries in listed.values() if isinstance(entries, dict) for name, entry in entries.items()
        }
        client.model = options.served_model or _only(list(found))
        if client.model in found:
            _pass_over(endpoints, listed, client.model, notice)
        elif found:  # some answer by what they have, whichever is asked for
            notice(f"no model {client.model!r} is listed there, but {_some(found)}; asking for it all the same")
    except BaseException:
        client.close()
        raise
    return Server(client, client.model, _context(found.get(client.model)))


def open_server(
    server: Server, *, context: int | None, max_tokens: int, width: int | None, together: bool = True
) -> ServerEngine:
    """An engine over servers that answered. `together`: samples of one prompt may share a request."""
    tokens = context or server.context or max(CONTEXT, 2 * max_tokens)
    return ServerEngine(server.client, context=tokens, width=width or DEFAULT_WIDTH, together=together)


def _clients(urls: Sequence[str], key: str) -> dict[str, AsyncOpenAI]:
    """A client for each address. What it reads of the environment may be wrong there: that is a UsageError."""
    timeout = Timeout(None, connect=CONNECT)
    try:
        return {url: AsyncOpenAI(base_url=url, api_key=key or "none", max_retries=0, timeout=timeout) for url in urls}
    except OSError as error:
        name = next((name for name in CERTIFICATES if os.environ.get(name)), CERTIFICATES[0])
        where = f"{name}={os.environ.get(name, '')}"
        raise UsageError(f"no certificates can be read: {where}: {error.strerror or error}", f"unset {name}") from error
    except Exception as error:  # the HTTP library's own, or a package for SOCKS that is not installed
        message = f"the proxy that the environment names cannot be used: {redact(str(error), key)}"
        raise UsageError(message, "env | grep -i proxy shows it; unset what is wrong") from error


async def _list_all(clients: dict[str, Any], model: str, key: str) -> dict[str, dict[str, Any] | Fault]:
    listed = await asyncio.gather(*(_list(client, url, model, key) for url, client in clients.items()))
    return dict(zip(clients, listed, strict=True))


async def _list(client: Any, url: str, model: str, key: str) -> dict[str, Any] | Fault:
    """The models of one endpoint, by name."""
    try:
        page = await client.models.list(timeout=CONNECT)
        entries = getattr(page, "data", None)
        return {entry.id: entry for entry in entries or () if isinstance(getattr(entry, "id", None), str)}
    except (AttributeError, TypeError):  # the library's, of what is no list of models
        return replace(read(Unreadable("it does not list its models"), url, model, key), status=200)
    except Exception as error:
        return read(error, url, model, key)


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
    return ", ".join(sorted(names)[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


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
