"""The second engine: the same protocol over OpenAI-compatible chat servers.

Owns the life of a request from `submit` to its last event, and its bill: all that it may cost is quoted beforehand, the
server's own count settles it. Requests of one prompt that start together go out as one. Knows nothing of HTTP (that is
`client`), of questions or of the budget.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from dynscale_cli.engine.options import EXPECTED, EXPECTED_THINKING
from dynscale_cli.engine.protocol import (
    Aborted,
    Charge,
    EngineEvent,
    EngineInfo,
    Failed,
    Finished,
    Message,
    Piece,
    Prompt,
    Reason,
    Remark,
    Request,
    Tokens,
)
from dynscale_cli.engine.reasoning import ReasoningFormat
from dynscale_cli.engine.template import ChatTemplate, server_fields
from dynscale_cli.errors import EngineError

from .client import ChatClient
from .faults import printable
from .llama_server import LlamaServer
from .news import Accepted, Alone, ChatRequest, Closed, Dead, News, Over, Said
from .request import PER_MESSAGE, RemoteRequest, TokenEstimator, asking, shares, size, tail
from .stream import ABSURD, Delta, Usage

DEFAULT_WIDTH = 16
THINKING_REPLY = 512  # tokens
TOGETHER = 4  # requests in one: they end when the longest of them does, and hold their places until then
LEAST_SHOWN = 128  # bytes of what a sample has written that it is shown again, at least, to be asked for its answer
FEW = 4  # requests in flight before it is known whether the server counts: they may have to be billed by their bytes
TICK = 0.04  # seconds after which text is looked at that came meanwhile
PATIENCE = 1.0  # seconds that the closing of requests may take between two steps; a server notices at its next token
LAST_PATIENCE = 0.4  # the same where the run was interrupted
UNBELIEVABLE = 1 << 17  # prompt tokens beyond every bound that no hidden system prompt explains


class ServerEngine:
    """`Engine` over a `ChatClient`.

    `together`: whether requests of one prompt may share a chat; `template`: the served model's own, where it is known;
    `counter`: who counts the tokens of a prompt before it is sent.
    """

    def __init__(
        self,
        client: ChatClient,
        *,
        context: int,
        width: int = DEFAULT_WIDTH,
        fields: Mapping[str, Any] | None = None,
        together: bool = True,
        template: ChatTemplate | None = None,
        counter: LlamaServer | None = None,
    ) -> None:
        thinks = template is None or template.thinking.on or template.thinking.closed  # closed: that is not up to us
        expected = EXPECTED_THINKING if thinks else EXPECTED
        self.info = EngineInfo(shown(client.model), width, context, upfront=True, expected=expected)
        self.reasoning = template.reasoning if template else ReasoningFormat()
        self._template, self._counter = template, counter
        self._client, self._together, self._fields = client, together, dict(fields or {})
        self._caches = False  # the server has reused a prompt
        self._thinks = False  # thoughts have come
        self._estimator = TokenEstimator()
        self._requests: dict[int, RemoteRequest] = {}
        self._waiting: list[tuple[int, tuple[Message, ...]]] = []
        self._ended: list[int] = []
        self._arrived: deque[News | None] = deque()
        self._events: list[EngineEvent] = []
        self._told: set[str] = set()
        self._error: EngineError | None = None
        self._aborted = False
        self._due: dict[int, int] | None = None  # what came since the last step, not yet told
        self._left: dict[ChatRequest, int] = {}  # tokens paid for by those who have left a chat that goes on
        self._patience = PATIENCE
        self._turns: dict[str, int] = {}

    @property
    def free_slots(self) -> int:
        width = self.info.width if self._client.counts is not None else min(FEW, self.info.width)
        return max(0, width - len(self._requests) + len(self._ended))

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        clean = self._clean(messages)
        known = self._counter is None or self._estimator.knows(clean)
        if self._counter and not known and (tokens := self._counter.count(clean, self._fields)) is not None:
            self._estimator.tell(clean, tokens)
        return Prompt(messages=clean, likely=self._estimator.likely(clean))

    def expect(self, messages: Sequence[Message]) -> None:
        """See `Engine`. Its tokens are counted meanwhile: to ask for that takes as long as a token or two."""
        if self._counter and not self._estimator.knows(clean := self._clean(messages)):
            self._counter.expect(clean, self._fields)

    def _clean(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The conversation as it is sent."""
        messages = self._template.switched(messages) if self._template else messages
        return tuple(replace(m, content=m.content.encode("utf-8", "replace").decode()) for m in messages)

    def count(self, text: str) -> int:
        return self._estimator.count(text)

    def prefill_cost(self, request: Request) -> int:
        return self._estimator.most(request.prompt.messages)

    def extend_cost(
        self, request: Request, text: str, max_tokens: int, turn: str = "", written: str | None = None
    ) -> int:
        shown = LEAST_SHOWN if written is None else size(written)
        max_tokens = self._reply_tokens(max_tokens)
        return self.prefill_cost(request) + 2 * PER_MESSAGE + self._turn_size(turn) + shown + max_tokens

    def _turn_size(self, turn: str) -> int:
        """Tokens of a turn that is said again and again, at most."""
        if turn not in self._turns:
            tokens = self._counter.count_text(turn) if self._counter else None
            self._turns[turn] = size(turn) if tokens is None else tokens + 1  # its first may merge otherwise
        return self._turns[turn]

    def _reply_tokens(self, tokens: int) -> int:
        """What a reply to a request for an answer may take: a model that thinks does so again before it."""
        return max(tokens, THINKING_REPLY) if self._thinks else tokens

    def submit(self, request: Request) -> None:
        self._requests[request.id] = RemoteRequest(request, request.max_tokens, self.prefill_cost(request))
        self._waiting.append((request.id, request.prompt.messages))

    def extend(
        self, id: int, text: str, max_tokens: int, stop: tuple[str, ...] = (), turn: str = "", held: int = 0
    ) -> None:
        """See `Engine`. What was written goes back as the assistant's turn, its end if that is all that `held` pays."""
        remote = self._requests.get(id)
        if remote is None:
            raise ValueError(f"request {id} is not active")
        max_tokens = self._reply_tokens(max_tokens)
        room = held - self.extend_cost(remote.request, text, max_tokens, turn, written="")
        if room < 0:
            raise ValueError(f"request {id} needs {-room} tokens more to be extended")
        if id in self._ended:
            self._ended.remove(id)
        else:
            self._leave(remote)
        thought, said, _ = self.reasoning.split(remote.text)
        shown = tail(f"{thought}\n\n{said}".strip(), room)
        remote.thinking = False
        remote.write(text)
        remote.limit, remote.stop, remote.extended = max_tokens, stop, True
        remote.most = self.extend_cost(remote.request, text, max_tokens, turn, written=shown) - max_tokens
        if stop:
            remote.reply_from, remote.label = len(remote.text), text.strip().rpartition("\n")[2]
        self._waiting.append((id, asking(remote.request.prompt.messages, shown, turn)))

    def cancel(self, id: int) -> Tokens:
        if (remote := self._requests.get(id)) is None:
            return Tokens()
        self._leave(remote)
        self._forget(id)
        return remote.before

    def hold(self, ids: Collection[int]) -> None:
        """Nothing: a server goes on with what it was sent."""

    def halt(self, ids: Collection[int]) -> None:
        """See `Engine`. A chat that others are in as well goes on."""
        staying = {remote.chat for id, remote in self._requests.items() if id not in ids}
        chats = dict.fromkeys(remote.chat for id in ids if (remote := self._requests.get(id)))
        self._close([chat for chat in chats if chat is not None and chat not in staying])

    def usage(self, id: int) -> Tokens:
        remote = self._requests.get(id)
        return remote.before + Tokens(0, remote.announced) if remote else Tokens()

    def plan_step(self) -> list[Charge]:
        """What has come since the last step."""
        if self._due is None:
            for id in list(self._ended):
                self._forget(id)
            self._drain()
            self._due = {id: came for id, remote in self._requests.items() if (came := remote.progress())}
        return [Charge(id, 0, tokens) for id, tokens in self._due.items()]

    @property
    def max_committed(self) -> int:
        """See `Engine`. A chat that is under way may cost its limit, and its prompt once for all that share it."""
        waiting = {id for id, _ in self._waiting}
        total, seen = 0, set()
        for id, remote in self._requests.items():
            total += remote.before.billed
            if id in waiting:
                total += remote.most + remote.limit
            elif remote.chat is not None:
                total += remote.limit + (remote.most if remote.chat not in seen else 0)
                seen.add(remote.chat)
        return total

    def step(self) -> list[EngineEvent]:
        """Send what waits, and tell what `plan_step` has charged; wait for news a moment where there is none."""
        self.plan_step()
        self._due, self._patience = None, PATIENCE
        self._launch()
        if not self._events and self._requests and not self._aborted and self._error is None:
            self._client.inbox.wait(TICK)
        if not any(isinstance(event, (Finished, Failed)) for event in self._events):  # what is over is told first
            if self._aborted:
                raise Aborted
            if self._error is not None:
                raise self._error
        events, self._events = self._events, []
        return events

    def abort(self) -> None:
        """Stop waiting, from any thread: the step under way raises Aborted."""
        self._aborted = True
        self._client.inbox.put(None)

    def close(self) -> None:
        self._client.close()

    # Orders

    def _launch(self) -> None:
        """Send the waiting requests, those of one prompt and limit together."""
        groups: list[ChatRequest] = []
        for id, messages in self._waiting:
            remote = self._requests.get(id)
            if remote is not None:
                groups = self._join(groups, remote, id, messages)
        self._waiting = []
        for chat in groups:
            for id in chat.ids:
                self._requests[id].begin(chat)
            self._client.send(chat)

    def _join(
        self, groups: list[ChatRequest], remote: RemoteRequest, id: int, messages: tuple[Message, ...]
    ) -> list[ChatRequest]:
        request = remote.request
        for place, chat in enumerate(groups):
            same = chat.messages == messages and chat.max_tokens == remote.limit and chat.sampling == request.sampling
            if same and self._share(messages) and len(chat.ids) < TOGETHER:
                return [*groups[:place], replace(chat, ids=(*chat.ids, id)), *groups[place + 1 :]]
        fields = self._fields
        if remote.stop:  # it is asked for its answer alone
            fields = {**self._fields, **server_fields("off", {})} if self._thinks else self._fields
        chat = ChatRequest(
            (id,), messages, remote.limit, request.sampling, request.seed, request.logprobs, request.ignore_end, fields
        )
        return [*groups, chat]

    def _share(self, messages: tuple[Message, ...]) -> bool:
        """Whether requests of one prompt go out as one. Where the server has it in its cache, they need not wait for
        each other's end."""
        return self._together and not (self._caches and self._estimator.seen(messages))

    def _leave(self, remote: RemoteRequest) -> None:
        """Let go of the chat under way; what came of it is paid for."""
        id, chat = remote.request.id, remote.chat
        self._waiting = [(waiting, messages) for waiting, messages in self._waiting if waiting != id]
        if chat is None:
            return
        if any(other.chat is chat for other in self._requests.values() if other is not remote):
            self._left[chat] = self._left.get(chat, 0) + remote.limit
            remote.pay(remote.closed(Closed(chat, sent=True, noticed=False), counting=False))
        else:
            self._close([chat])

    def _close(self, chats: Collection[ChatRequest]) -> None:
        """Close chats, all at once, and hear what they have cost: what a server that counts says until it lets go
        belongs to it. Those who are still with them pay."""
        for chat in chats:
            self._client.hang_up(chat)
        self._patience = min(self._patience, LAST_PATIENCE) if self._aborted else self._patience
        end, under_way = time.monotonic() + self._patience, set(chats)
        others, self._arrived = self._arrived, deque()
        news: News | None
        while under_way:
            try:
                news = others.popleft() if others else self._client.inbox.get(max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            if not isinstance(news, (Accepted, Delta, Over, Closed)) or news.chat not in under_way:
                self._arrived.append(news)
            elif isinstance(news, (Over, Closed)):
                under_way.remove(news.chat)
                self._pay(news)
            else:
                self._take(news)
        self._arrived.extendleft(reversed(others))
        self._patience = max(0.0, end - time.monotonic())
        for chat in under_way:
            self._client.recall(chat)
            self._pay(Closed(chat, sent=True, noticed=False))

    def _pay(self, end: Over | Closed) -> None:
        """A chat that was closed is over, or was just before."""
        remotes = self._with(end.chat)
        if isinstance(end, Closed):
            bill = [remote.closed(end, counting=bool(self._client.counting)) for remote in remotes]
        else:
            bill = self._bill(end, remotes)
        for remote, cost in zip(remotes, bill, strict=True):
            remote.pay(cost)

    def _forget(self, id: int) -> None:
        self._requests.pop(id, None)
        if self._due is not None:
            self._due.pop(id, None)
        if id in self._ended:
            self._ended.remove(id)

    # News

    def _drain(self) -> None:
        """Take in all news there are."""
        while True:
            try:
                news = self._arrived.popleft() if self._arrived else self._client.inbox.get()
            except queue.Empty:
                break
            if news is not None:
                self._take(news)
        for id, remote in self._requests.items():
            if remote.pieces:
                self._speak(id, remote)

    def _take(self, news: News) -> None:
        if isinstance(news, Said):
            self._say(news.message)
        elif isinstance(news, Dead):
            self._error = EngineError(news.fault.message, news.fault.hint)
        elif isinstance(news, Delta):
            remote = self._of(news.chat, news.chat.ids[news.place])
            if remote is not None:
                remote.hear(news.text, news.thought, news.logprobs, news.counted)
                self._thinks = self._thinks or news.thought
        elif isinstance(news, Accepted):
            for remote in filter(None, (self._of(news.chat, id) for id in news.chat.ids)):
                remote.accepted, remote.blind = True, news.blind
        elif isinstance(news, Alone):
            self._together = False
            for id in news.ids:
                if (remote := self._of(news.chat, id)) is not None:
                    remote.chat = None
                    self._waiting.append((id, news.chat.messages))
        elif isinstance(news, Over):
            self._over(news)

    def _of(self, chat: ChatRequest, id: int) -> RemoteRequest | None:
        """The request's remote, where it is still with this chat."""
        remote = self._requests.get(id)
        return remote if remote is not None and remote.chat is chat else None

    def _with(self, chat: ChatRequest) -> list[RemoteRequest]:
        return [remote for id in chat.ids if (remote := self._of(chat, id)) is not None]

    def _over(self, over: Over) -> None:
        chat = over.chat
        answered = [r for r in self._with(chat) if over.fault is not None or over.reasons[chat.ids.index(r.request.id)]]
        for remote, cost in zip(answered, self._bill(over, answered), strict=True):
            place = chat.ids.index(remote.request.id)
            reason = over.reasons[place] if over.reasons else None
            scored = bool(remote.scored or not remote.chunks)
            remote.pay(cost)
            self._end(remote, reason, over)
            if remote.request.logprobs and not scored:
                self._say("the server gives no log-probabilities: every vote weighs the same")

    def _bill(self, over: Over, remotes: list[RemoteRequest]) -> list[Tokens]:
        """What a chat has cost those who are still with it."""
        chat, usage, left = over.chat, over.usage, self._left.pop(over.chat, 0)
        if not remotes:
            return []
        if usage is not None and left:
            usage = replace(usage, generated=max(usage.generated - left, sum(remote.chunks for remote in remotes)))
        if usage is not None and self._believable(usage, chat, remotes):
            most = remotes[0].most
            if usage.prompt > most:
                self._say("the server counts more prompt tokens than the text can have: they are billed as counted")
            if usage.generated > len(remotes) * chat.max_tokens:
                self._say("the server generates more tokens than it was asked for: they are billed as counted")
            self._caches = self._caches or usage.cached > 0
            self._estimator.learn(chat.messages, usage.prompt, most)
            return shares(usage, remotes)
        reasons = over.reasons or (None,) * len(chat.ids)
        return [remote.bound(reasons[chat.ids.index(remote.request.id)]) for remote in remotes]

    def _believable(self, usage: Usage, chat: ChatRequest, remotes: list[RemoteRequest]) -> bool:
        """Whether a server's count can be: not more tokens than were asked for and came, not none for some text, nor
        those of one sample for several."""
        came = sum(remote.size for remote in remotes)
        asked = len(chat.ids) * chat.max_tokens
        least = sum(remote.chunks for remote in remotes) if len(chat.ids) > 1 else min(came, 1)
        believable = usage.prompt <= remotes[0].most + UNBELIEVABLE and usage.generated >= least
        if believable and usage.generated <= max(asked, came + len(remotes)):
            return True
        self._say(ABSURD)
        return False

    def _end(self, remote: RemoteRequest, reason: str | None, over: Over) -> None:
        """Tell how a request ended. One that was asked to go on, and could not, ends with what it had."""
        id = remote.request.id
        self._speak(id, remote, over=True)
        self._ended.append(id)
        self._thinks = self._thinks or bool(self.reasoning.split(remote.text).thought)
        if reason is None and not remote.extended and over.fault is not None:
            hopeless = over.fault.kind == "request"
            self._events.append(Failed(id, over.fault.message, remote.before, hopeless))
            return
        why: Reason = "stop" if reason == "stop" else "length"
        self._events.append(
            Finished(id, why, self._client.without_key(remote.reply()), remote.before, remote.mean_logprob)
        )

    def _speak(self, id: int, remote: RemoteRequest, *, over: bool = False) -> None:
        """Tell what has come. What may be the beginning of our own key waits for what follows."""
        text = self._client.without_key("".join(remote.pieces))
        certain = len(text) - (0 if over else self._client.may_be_key(text))
        remote.pieces = [text[certain:]] if text[certain:] else []
        if certain:
            self._events.append(Piece(id, text[:certain]))

    def _say(self, message: str) -> None:
        """Tell the user, once."""
        if message not in self._told:
            self._told.add(message)
            self._events.append(Remark(message))


def shown(model: str) -> str:
    """A served model's name for people: some servers call it by the path of its file."""
    name = PurePosixPath(model).stem if model.startswith("/") and model.endswith(".gguf") else model
    return printable(name)
