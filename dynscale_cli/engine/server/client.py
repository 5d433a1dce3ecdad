"""One chat's life between here and a server: sent, read as it comes, sent again where that helps.

Owns the event loop and its thread, the HTTP (as the openai package does it), retries, and what a server does not take
of a request. Knows nothing of samples, texts or budgets: whatever happens is put into `inbox` as news.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from dynscale_cli.engine.protocol import Message, Sampling

from .endpoints import Endpoint, Endpoints
from .faults import Fault, Stalled, Unreadable, read, redact
from .stream import ABSURD, AnswerReader, Delta, Overrun, Usage

T = TypeVar("T")
LONG_PAUSE = 10.0  # seconds: a wait that the user should know of
# Fields that not every server takes, and without which a run goes on.
OPTIONAL = ("top_k", "seed", "stream_options", "logprobs", "ignore_eos", "temperature", "top_p")


@dataclass(frozen=True, slots=True, eq=False)
class ChatRequest:
    """One request to a server: a conversation, to be gone on with once for each of `ids`."""

    ids: tuple[int, ...]
    messages: tuple[Message, ...]
    max_tokens: int
    sampling: Sampling
    seed: int
    logprobs: bool = False
    ignore_end: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has begun to answer. `blind`: nothing will be heard of it before it is done."""

    chat: ChatRequest
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more will come of a chat. `reasons`: for each id, None where its completion broke off."""

    chat: ChatRequest
    reasons: tuple[str | None, ...] = ()
    usage: Usage | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Alone:
    """The server does not answer several times at once: these are still to be answered, each by itself."""

    chat: ChatRequest
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """Something to tell the user."""

    message: str


@dataclass(frozen=True, slots=True)
class Dead:
    """There is no endpoint left, or an error of our own."""

    fault: Fault


News: TypeAlias = Accepted | Delta[ChatRequest] | Over | Alone | Said | Dead


class ChatClient:
    """Carries orders to endpoints. `send`, `recall` and `close` may be called from any thread."""

    def __init__(self, clients: Mapping[str, Any], model: str, endpoints: Endpoints, key: str = "") -> None:
        self.inbox: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self.model = model
        self._clients, self._endpoints, self._key = clients, endpoints, key
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[ChatRequest, asyncio.Task[None]] = {}
        self._without: set[str] = set()
        self._limit = "max_tokens"
        self._whole = False  # the server is asked for whole answers instead of streams
        self.counts: bool | None = None  # it reports usage, or at least says that it will
        self._missing_so_far = True
        self._several: bool | None = None  # it takes n > 1
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def send(self, chat: ChatRequest) -> None:
        self._loop.call_soon_threadsafe(self._begin, chat)

    def recall(self, chat: ChatRequest) -> None:
        """Close the chat's stream, wherever it is; no more news of it comes once the loop has heard."""
        self._loop.call_soon_threadsafe(self._cancel, chat)

    def close(self) -> None:
        """Close every stream and connection; a server that does not let go is not waited for."""
        if not self._loop.is_closed():
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(2.0)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2.0)
            if not self._thread.is_alive():
                self._loop.close()

    def told(self, about: str) -> None:
        """The user knows already."""
        self._told.add(about)

    # In the loop

    def _begin(self, chat: ChatRequest) -> None:
        task = self._tasks[chat] = self._loop.create_task(self._deliver(chat))
        task.add_done_callback(lambda done: self._done(chat, done))

    def _cancel(self, chat: ChatRequest) -> None:
        if chat in self._tasks:
            self._tasks[chat].cancel()

    def _done(self, chat: ChatRequest, task: asyncio.Task[None]) -> None:
        self._tasks.pop(chat, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.inbox.put(Dead(Fault("down", redact(f"an error of our own: {error!r}", self._key), "report this")))

    async def _shut(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in self._clients.values():
            await client.close()

    async def _deliver(self, chat: ChatRequest) -> None:
        """Try until it is answered, cannot be, or nobody is left to try."""
        tries = waits = 0
        while True:
            endpoint = await self._free()
            if endpoint is None:
                return
            reading: AnswerReader[ChatRequest] = AnswerReader(
                chat, len(chat.ids), chat.max_tokens, self.inbox.put, self._loop.time
            )
            fault = await self._try(endpoint, chat, reading)
            if fault is None:
                self._endpoints.well(endpoint)
                self._report(chat, reading)
                return
            if not reading.begun:
                if self._without_one(fault):
                    continue
                if len(chat.ids) > 1 and not self._several and fault.kind in ("request", "down"):
                    self._several = False
                    self.inbox.put(Alone(chat, chat.ids))
                    return
            self._blame(endpoint, fault, chat)
            tries, waits = tries + (fault.kind == "down"), waits + (fault.kind == "busy")
            patience = self._endpoints.patience
            if fault.kind == "request" or reading.begun or tries >= patience.tries or waits >= patience.waits:
                self.inbox.put(Over(chat, tuple(reading.reasons), reading.usage, fault))
                return
            if self._endpoints.dead:
                self.inbox.put(Dead(fault))
                return

    async def _free(self) -> Endpoint | None:
        """An endpoint that takes a request, as soon as there is one; None once all have refused."""
        while True:
            now = self._loop.time()
            endpoint = self._endpoints.pick(now)
            if endpoint is not None or all(e.refused for e in self._endpoints.all):
                return endpoint
            await asyncio.sleep(max(0.02, self._endpoints.pause(now)))

    async def _try(self, endpoint: Endpoint, chat: ChatRequest, reading: AnswerReader[ChatRequest]) -> Fault | None:
        """One attempt, given up when nothing comes for too long."""
        endpoint.outstanding += len(chat.ids)
        patience = self._endpoints.patience.whole if self._whole else self._endpoints.patience.stall
        attempt = self._loop.create_task(self._converse(self._clients[endpoint.url], chat, reading))
        try:
            while not attempt.done():
                silent = self._loop.time() - reading.heard
                if silent >= patience:
                    raise Stalled(f"nothing came for {patience:g} seconds")
                await asyncio.wait({attempt}, timeout=patience - silent)
            await attempt
        except asyncio.CancelledError:
            raise
        except Overrun:
            self._say("the server goes on beyond the max_tokens that it was asked for: its answers are cut off there")
        except Exception as error:
            return read(error, endpoint.url, self.model, self._key)
        finally:
            attempt.cancel()
            endpoint.outstanding -= len(chat.ids)
        return None

    async def _converse(self, client: Any, chat: ChatRequest, reading: AnswerReader[ChatRequest]) -> None:
        create: Callable[..., Any] = client.chat.completions.create
        if self._whole:
            reading.whole = True
            self.inbox.put(Accepted(chat, blind=True))
            whole = await create(**self._arguments(chat))
            reading.take(whole)
            reading.check()
            return
        stream = await create(stream=True, **self._arguments(chat))
        self.inbox.put(Accepted(chat))
        reading.heard = self._loop.time()
        try:
            async for chunk in stream:
                reading.take(chunk)
                if reading.counts:
                    self.counts = True
        finally:
            await stream.close()
        if not reading.seen and "application/json" in stream.response.headers.get("content-type", ""):
            self._whole = True
            raise Unreadable("it does not stream")
        reading.check()

    def _arguments(self, chat: ChatRequest) -> dict[str, Any]:
        """The fields of a request, without those that the server does not take."""
        sampling = chat.sampling
        more = {"top_k": sampling.top_k if sampling.top_k > 0 and sampling.temperature > 0 else None}
        more["ignore_eos"] = True if chat.ignore_end else None
        fields: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p if sampling.top_p < 1 else None,
            "seed": chat.seed,
            "logprobs": True if chat.logprobs else None,
            "n": len(chat.ids) if len(chat.ids) > 1 else None,
            "stream_options": None if self._whole else {"include_usage": True},
        }
        wanted = {name: value for name, value in fields.items() if value is not None and name not in self._without}
        extra = {name: value for name, value in more.items() if value is not None and name not in self._without}
        return {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in chat.messages],
            self._limit: chat.max_tokens,
            "extra_body": extra,
            **wanted,
        }

    def _report(self, chat: ChatRequest, reading: AnswerReader[ChatRequest]) -> None:
        """A chat that was answered, all of it or, where the server takes no `n`, its first part."""
        missing = tuple(id for place, id in enumerate(chat.ids) if place not in reading.seen)
        if len(chat.ids) > 1:
            self._several = not missing
        self.inbox.put(Over(chat, tuple(reading.reasons), reading.usage))
        if reading.absurd:
            self._say(ABSURD)
        if missing:
            self.inbox.put(Alone(chat, missing))
        if reading.usage is None and not reading.absurd and not reading.overrun and self._missing_so_far:
            self._uncounted(reading.whole)
        elif reading.usage is not None:
            self.counts, self._missing_so_far = True, False

    def _uncounted(self, whole: bool) -> None:
        """An answer came without its usage. Some servers count what they do not stream."""
        if not whole:
            self._whole = True
            self._say("the server counts no tokens in its streams: asking it for whole answers, which it may count")
        else:
            self._whole = self.counts = self._missing_so_far = False
            self._say("the server does not count tokens: an answer is billed as many as it has bytes")

    def _without_one(self, fault: Fault) -> bool:
        """Whether the request can be sent again without a field that the server has named."""
        words = fault.message
        if fault.kind not in ("request", "down") or "context" in words:
            return False
        if self._limit == "max_tokens" and "max_completion_tokens" in words and "nsupported" in words:
            self._limit = "max_completion_tokens"
            return True
        for name in OPTIONAL:
            if name not in self._without and re.search(rf"\b{name}\b", words):
                self._without.add(name)
                self._say(f"the server does not take {name}: going on without it")
                return True
        return False

    def _blame(self, endpoint: Endpoint, fault: Fault, chat: ChatRequest) -> None:
        """Set an endpoint aside, as long as its fault asks for, and say so once."""
        now, others = self._loop.time(), len(self._endpoints.all) > 1
        if fault.kind == "busy":
            self._endpoints.busy(endpoint, now, fault.pause)
            if fault.pause is not None and fault.pause >= LONG_PAUSE:
                self._say(f"{endpoint.url} asks to wait {fault.pause:.0f} seconds")
        elif fault.kind == "down":
            victim = hash(chat.messages) if fault.status is not None else None
            self._endpoints.down(endpoint, now, fault.pause, victim)
            self._say(f"{fault.message}; " + ("going on with the others" if others else "trying again"), endpoint.url)
        elif fault.kind == "refused":
            endpoint.refused = True
            if not self._endpoints.dead:
                self._say(f"{fault.message}; going on without it", f"{endpoint.url} refuses")

    def _say(self, message: str, about: str = "") -> None:
        """Tell the user, once."""
        if (about or message) not in self._told:
            self._told.add(about or message)
            self.inbox.put(Said(message))
