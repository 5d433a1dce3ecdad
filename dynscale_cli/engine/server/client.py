"""One chat request's life between here and a server: sent, read as it comes, sent elsewhere where that helps.

Owns the event loop and its thread, the calls of the openai package, and what a server does not take of a request. The
package tries again, and waits as a server asks; here it is decided when another endpoint is asked instead. Knows
nothing of samples, texts or budgets: whatever happens is put into `inbox` as news.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from openai import AsyncStream

from .endpoints import Endpoint, Endpoints, ServerOptions
from .faults import Fault, Stalled, Unreadable, read, redact, status_fault
from .news import Accepted, Alone, ChatRequest, Closed, Dead, Inbox, Over, Said
from .stream import ABSURD, AnswerReader, Overrun
from .transport import open_connection

T = TypeVar("T")
UNDER_WAY: ContextVar[AnswerReader[ChatRequest] | None] = ContextVar("UNDER_WAY", default=None)
WHOLE = 600.0  # seconds of silence of a server that does not stream, at least
PAUSE = 120.0  # seconds that the package waits between two attempts at most, where a server asks for it
# Failures of one request, or of all endpoints in a row, each tried again by the package, before it is given up.
TRIES = 4
START, PER_TOKEN = 600.0, 5.0  # seconds that an answer may take in all, however lively: to begin, and for each token
# Fields that not every server takes, and without which a run goes on.
OPTIONAL = (
    "top_k", "min_p", "seed", "stream_options", "logprobs", "ignore_eos", "temperature", "top_p", "stop",
    "chat_template_kwargs", "reasoning_effort", "timings_per_token",
)  # fmt: skip


class ChatClient:
    """Carries chat requests to endpoints. `send`, `hang_up`, `recall` and `close` may be called from any thread.

    `counting`: the fields by which servers are asked to count as they go, if they do: each chunk tells then what its
    completion has cost so far.
    """

    counting: Mapping[str, Any] = {}

    def __init__(self, options: ServerOptions, endpoints: Endpoints, key: str = "") -> None:
        """Raises UsageError for what the environment says of proxies and certificates, and cannot be."""
        self.inbox = Inbox()
        self.model, self.endpoints = options.served_model or "", len(options.endpoints)
        self._endpoints, self._stall, self._key = endpoints, options.stall, key
        self._next = "; going on with the others" if self.endpoints > 1 else "; trying again"  # of what has failed
        self._connections = {url: open_connection(url, key) for url in options.endpoints}
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[ChatRequest, asyncio.Task[None]] = {}
        self._lines: dict[ChatRequest, Any] = {}  # sockets of what a server has; None before it answers
        self._leaving: set[ChatRequest] = set()
        self._unsent: set[ChatRequest] = set()  # came when there was no endpoint left
        self._last: Fault | None = None  # what the last endpoint has failed with
        self._without: set[str] = set()
        self._limit = "max_tokens"
        self._whole = False  # the server is asked for whole answers instead of streams
        self.counts: bool | None = None  # it reports usage, or at least says that it will
        self._missing_so_far = True
        self._several: bool | None = None  # it takes n > 1
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Do something in the loop, meanwhile."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop, and wait for it."""
        return self.start(work).result()

    def send(self, chat: ChatRequest) -> None:
        self._loop.call_soon_threadsafe(self._begin, chat)

    def hang_up(self, chat: ChatRequest) -> None:
        """Tell the server that no more of a chat is wanted.

        What comes until it lets go is news, where it counts as it goes; the last is `Closed`.
        """
        self._loop.call_soon_threadsafe(self._hang_up, chat)

    def recall(self, chat: ChatRequest) -> None:
        """Close the chat's stream, whatever may still come; no more news of it comes once the loop has heard."""
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

    def watch(self, told: Iterable[str] = ()) -> None:
        """Tell from now on which endpoints fail; of those in `told` the user knows already."""
        self._told.update(told)
        for url, connection in self._connections.items():
            connection.transport.begun = self._begun
            connection.transport.failed = partial(self._failed, url)

    def models(self, seconds: float) -> dict[str, dict[str, Any] | Fault]:
        """What each endpoint lists: its models by name, or why it does not."""
        return self.run(self._list_all(seconds))

    # In the loop

    async def _list_all(self, seconds: float) -> dict[str, dict[str, Any] | Fault]:
        listed = await asyncio.gather(*(self._list(url, seconds) for url in self._connections))
        return dict(zip(self._connections, listed, strict=True))

    async def _list(self, url: str, seconds: float) -> dict[str, Any] | Fault:
        try:
            page = await asyncio.wait_for(self._connections[url].prompt.models.list(timeout=seconds), 2 * seconds)
            entries = getattr(page, "data", None)
            return {entry.id: entry for entry in entries or () if isinstance(getattr(entry, "id", None), str)}
        except (AttributeError, TypeError):  # the library's, of what is no list of models
            return replace(read(Unreadable("it does not list its models"), url, self.model, self._key), status=200)
        except asyncio.TimeoutError:
            return read(Stalled(f"no list of models in {2 * seconds:g} seconds"), url, self.model, self._key)
        except Exception as error:
            return read(error, url, self.model, self._key)

    def _begin(self, chat: ChatRequest) -> None:
        task = self._tasks[chat] = self._loop.create_task(self._deliver(chat))
        task.add_done_callback(lambda done: self._done(chat, done))

    def _cancel(self, chat: ChatRequest) -> None:
        if chat in self._tasks:
            self._tasks[chat].cancel()

    def _hang_up(self, chat: ChatRequest) -> None:
        """Shut our side of the stream: a server sees that as the end, and we still hear what was on its way."""
        if chat in self._leaving:  # what is shut twice is an error once the server has closed
            return
        if chat not in self._tasks:
            self.inbox.put(Closed(chat, sent=chat not in self._unsent, noticed=True))  # it was over
            return
        self._leaving.add(chat)
        line = self._lines.get(chat)
        try:
            if line is None or not self.counting:
                raise OSError("there is nothing to wait for")
            line.shutdown(socket.SHUT_WR)
        except OSError:
            self._cancel(chat)

    def _done(self, chat: ChatRequest, task: asyncio.Task[None]) -> None:
        self._tasks.pop(chat, None)
        sent = chat in self._lines
        self._lines.pop(chat, None)
        if chat in self._leaving:
            self._leaving.remove(chat)
            self.inbox.put(Closed(chat, sent, not task.cancelled()))
        if self._last is not None and not self._tasks:  # all that was under way has come to its end
            self.inbox.put(Dead(self._last))
        if not task.cancelled() and (error := task.exception()) is not None:
            self.inbox.put(Dead(Fault("down", redact(f"an error of our own: {error!r}", self._key), "report this")))

    async def _shut(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._connections.values():
            await connection.transport.aclose()

    async def _deliver(self, chat: ChatRequest) -> None:
        """Try until it is answered, cannot be, or nobody is left to try."""
        tries, endpoint = 0, None
        while (endpoint := await self._free(endpoint)) is not None:
            reading = AnswerReader(chat, len(chat.ids), chat.max_tokens, self.inbox.put, self._loop.time)
            if (fault := await self._try(endpoint, chat, reading)) is None:
                self._endpoints.well(endpoint, self._loop.time())
                self._report(chat, reading)
            if fault is None or chat in self._leaving:
                return
            if not reading.begun:
                if self._without_one(fault):
                    continue
                if len(chat.ids) > 1 and not self._several and fault.kind in ("request", "down"):
                    self._several = False
                    self.inbox.put(Alone(chat, chat.ids))
                    return
            self._blame(endpoint, fault)
            tries += fault.kind != "refused"
            if fault.kind == "request" or reading.begun:
                self.inbox.put(Over(chat, tuple(reading.reasons), reading.bill, fault))
                return
            lost = tries >= TRIES or self._endpoints.fail(TRIES)
            others = lost and self._endpoints.give_up(hash(chat.messages)) > 1
            if lost and self._endpoints.fail(1) and (fault.status is None or others):
                self._endpoints.abandon()
            if self._endpoints.refused:  # the run ends with that, once all that was under way has come to its end
                self._last = fault
            elif lost:
                self.inbox.put(Over(chat, tuple(reading.reasons), reading.bill, fault))
                return
        self._unsent.add(chat)

    def without_key(self, text: str) -> str:
        """What a server said, without the key that it was sent: that is neither shown nor stored."""
        return text.replace(self._key, "***") if self._key else text

    def may_be_key(self, text: str) -> int:
        """How many last characters of a text may be the beginning of the key."""
        if not self._key:
            return 0
        sizes = range(min(len(text), len(self._key) - 1), 0, -1)
        return next((size for size in sizes if text.endswith(self._key[:size])), 0)

    def somewhere(self) -> tuple[str, Any] | None:
        """The address of an endpoint that is well, and what sends to it, once."""
        url = next((e.url for e in self._endpoints.all if not e.refused and not e.failures), "")
        return (url, self._connections[url].prompt) if url else None

    async def _free(self, failed: Endpoint | None) -> Endpoint | None:
        """An endpoint that takes a request, not where it has just `failed` if another is well; None once all refuse."""
        while not self._endpoints.refused:
            now = self._loop.time()
            if (endpoint := self._endpoints.pick(now, failed)) is not None:
                return endpoint
            await asyncio.sleep(max(0.02, self._endpoints.pause(now)))
        return None

    async def _try(self, endpoint: Endpoint, chat: ChatRequest, reading: AnswerReader[ChatRequest]) -> Fault | None:
        """One attempt, given up when nothing comes for too long, or when it takes too long in all."""
        endpoint.outstanding += len(chat.ids)
        patience = max(self._stall, WHOLE) if self._whole else self._stall
        end = self._loop.time() + START + PER_TOKEN * chat.max_tokens
        connection = self._connections[endpoint.url]
        client = connection.patient if self._endpoints.alone(endpoint) else connection.prompt
        attempt = self._loop.create_task(self._converse(client, endpoint, chat, reading))
        try:
            while not attempt.done():
                # One whose turn has not come is not left in silence while others are answered.
                heard = reading.heard if reading.begun else max(reading.heard, endpoint.heard)
                left = min(heard + patience, end) - self._loop.time()
                if left <= 0:
                    silent = self._loop.time() - heard >= patience
                    raise Stalled(f"nothing came for {patience:g} seconds" if silent else "its answer does not end")
                await asyncio.wait({attempt}, timeout=left)
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

    async def _converse(self, client: Any, at: Endpoint, chat: ChatRequest, reading: AnswerReader[ChatRequest]) -> None:
        UNDER_WAY.set(reading)  # in this attempt's own context
        # As the package's own method, but for plain records: checked ones cost it more than all else of a chunk.
        create = partial(client.post, "/chat/completions", cast_to=object)
        if self._whole:
            reading.whole = True
            self.inbox.put(Accepted(chat, blind=True))
            reading.take(await create(body=self._body(chat)))
            reading.check()
            return
        stream = await create(body={"stream": True, **self._body(chat)}, stream=True, stream_cls=AsyncStream[object])
        self.inbox.put(Accepted(chat))
        network = stream.response.extensions.get("network_stream")
        self._lines[chat] = network.get_extra_info("socket") if network is not None else None
        reading.heard = self._loop.time()
        try:
            async for chunk in stream:
                reading.take(chunk)
                at.heard = reading.heard
                self.counts = reading.counts or self.counts
        finally:
            await stream.close()
        if not reading.seen and "application/json" in stream.response.headers.get("content-type", ""):
            self._whole = True
            raise Unreadable("it does not stream")
        reading.check()

    def _body(self, chat: ChatRequest) -> dict[str, Any]:
        """The fields of a request, without those that the server does not take."""
        sampling = chat.sampling
        fields: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p if sampling.top_p < 1 else None,
            "stop": list(sampling.stop) or None,
            "seed": chat.seed,
            "logprobs": True if chat.logprobs else None,
            "n": len(chat.ids) if len(chat.ids) > 1 else None,
            "stream_options": None if self._whole else {"include_usage": True},
            "top_k": sampling.top_k if sampling.top_k > 0 and sampling.temperature > 0 else None,
            "min_p": sampling.min_p if sampling.min_p > 0 and sampling.temperature > 0 else None,
            "ignore_eos": True if chat.ignore_end else None,
            **({} if self._whole else self.counting),
            **chat.fields,
        }
        return {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in chat.messages],
            self._limit: chat.max_tokens,
            **{name: value for name, value in fields.items() if value is not None and name not in self._without},
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

    def _begun(self) -> None:
        """An attempt goes out: from now on the server may be at work on it."""
        if (reading := UNDER_WAY.get()) is not None:
            self._lines.setdefault(reading.chat, None)

    def _failed(self, url: str, failure: BaseException | int) -> None:
        """An attempt has failed, which the package may try again: said once, since that can take a while."""
        if (reading := UNDER_WAY.get()) is None:
            return  # nothing that a sample depends on
        self._lines.pop(reading.chat, None)
        reading.heard = self._loop.time() + PAUSE
        fault = status_fault(failure, url) if isinstance(failure, int) else read(failure, url, self.model, self._key)
        if fault.kind in ("busy", "down"):
            self._say(fault.message + self._next, url)

    def _blame(self, endpoint: Endpoint, fault: Fault) -> None:
        """Leave an endpoint alone for a while, or for good, and say so once."""
        if fault.kind in ("busy", "down"):
            self._endpoints.down(endpoint, self._loop.time())
            self._say(fault.message + self._next, endpoint.url)
        elif fault.kind == "refused":
            endpoint.refused = True
            if not self._endpoints.refused:
                self._say(f"{fault.message}; going on without it", f"{endpoint.url} refuses")

    def _say(self, message: str, about: str = "") -> None:
        """Tell the user, once."""
        if (about or message) not in self._told:
            self._told.add(about or message)
            self.inbox.put(Said(message))
