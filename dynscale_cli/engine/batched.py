"""The engine itself: a scheduler, a prefix cache and one model's KV cache, moved by `step()`.

Owns the life of a request from `submit` to its last event, and the text of its completion.
Knows nothing of llama.cpp: a `Backend` evaluates, so a scripted one runs the very same code.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from typing import Any, Protocol

from .protocol import Charge, EngineEvent, EngineInfo, Finished, Message, Piece, Prompt, Request, Sampling, Tokens
from .reasoning import ReasoningFormat
from .scheduler import PrefixCache, Scheduler, Sequence, Share, Sized, Snapshot


class Sampler(Protocol):
    """Draws one sequence's tokens; seeded, and freed by the backend that made it."""


class Backend(Protocol):
    """One model and its KV cache, slot by slot. Token ids in, logits inside, token ids out."""

    info: EngineInfo
    reasoning: ReasoningFormat
    asynchronous: bool  # a device computes: `evaluate` returns at once, and what asks for logits waits

    def prompt(self, messages: Seq[Message]) -> Prompt: ...
    def tokenize(self, text: str) -> list[int]: ...
    def piece(self, token: int) -> bytes:
        """The token's own bytes, which may be a part of a character."""

    def is_end(self, token: int) -> bool: ...
    def save(self, slot: int) -> Sized:
        """The slot's whole KV state."""

    def restore(self, slot: int, state: Any) -> None:
        """Replace the slot's content."""

    def move(self, source: int, target: int) -> None:
        """Put what a slot holds into another."""

    def clear(self, slot: int) -> None: ...
    def evaluate(self, shares: Seq[Share]) -> None:
        """Decode one batch, in slot order. Raises EngineError; Aborted when stopped."""

    def logits(self, share: int) -> Sized:
        """A copy of the logits behind share number `share` of the last batch."""

    def sampler(self, sampling: Sampling, seed: int) -> Any: ...
    def sample(self, samplers: Seq[Any], shares: Seq[int]) -> list[int]:
        """The next token of each sampler, from the logits behind that share of the last batch."""

    def sample_from(self, sampler: Any, logits: Any) -> int: ...
    def logprobs(self, rows: Seq[tuple[int | Any, int]]) -> list[float]:
        """log P(token) for (share number or logits, token) pairs, before temperature and cuts."""

    def free(self, sampler: Any) -> None: ...
    def abort(self) -> None:
        """Stop what is running, from another thread; only `close` is of use afterwards."""

    def close(self) -> None: ...


@dataclass(slots=True)
class Completion:
    """What a sequence has written so far."""

    sampler: Any
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )
    text: str = ""
    unread: list[int] = field(default_factory=list)  # tokens that are not in the text yet
    stop: tuple[str, ...] = ()
    logprob: float = 0.0


class BatchedEngine:
    """`Engine` over a `Backend`: many requests, one batch a step.

    `chunk`: prompt tokens a step at most; `cache_bytes`: memory for kept prefixes.
    """

    def __init__(self, backend: Backend, *, chunk: int = 128, cache_bytes: int = 1 << 30) -> None:
        self._backend = backend
        self._scheduler = Scheduler(backend.info.width, chunk)
        self._prefixes = PrefixCache(cache_bytes)
        self._completions: dict[int, Completion] = {}
        self._sequences: dict[int, Sequence] = {}
        self._held: dict[int, tuple[int, Snapshot | None]] = {}  # what a waiting request was promised
        self._ended: list[Sequence] = []  # finished, their slots not yet given away
        self._events: list[Piece | Finished] = []
        self._plan: list[Share] | None = None
        self._charges: list[Charge] = []  # of the plan

    @property
    def info(self) -> EngineInfo:
        return self._backend.info

    @property
    def reasoning(self) -> ReasoningFormat:
        return self._backend.reasoning

    @property
    def free_slots(self) -> int:
        return self._scheduler.free_slots + len(self._ended)

    def prompt(self, messages: Seq[Message]) -> Prompt:
        return self._backend.prompt(messages)

    def count(self, text: str) -> int:
        return len(self._backend.tokenize(text))

    def prefill_cost(self, request: Request) -> int:
        return len(request.prompt) - self._prefixes.longest(request.prompt.tokens, request.cache_boundaries)[0]

    def extend_cost(
        self, request: Request, text: str, max_tokens: int, turn: str = "", written: str | None = None
    ) -> int:
        return 1 + self.count(text) + max_tokens  # the newest token is not evaluated yet

    def submit(self, request: Request) -> None:
        if not request.prompt.tokens or len(request.prompt) + request.max_tokens > self.info.context:
            raise ValueError(f"request {request.id} does not fit a context of {self.info.context} tokens")
        self._held[request.id] = self._prefixes.longest(request.prompt.tokens, request.cache_boundaries)
        self._scheduler.waiting.append(request)
        self._plan = None

    def extend(
        self, id: int, text: str, max_tokens: int, stop: tuple[str, ...] = (), turn: str = "", held: int = 0
    ) -> None:
        tokens = self._backend.tokenize(text)
        sequence = self._sequences.get(id)
        if sequence is None:
            raise ValueError(f"request {id} is not active")
        room = self.info.context - sequence.past - len(sequence.pending_tokens) - len(tokens)
        if room < 1:
            raise ValueError(f"request {id} has no room left to extend")
        if not tokens and not sequence.pending_tokens:
            raise ValueError(f"request {id} has nothing to go on from")
        if sequence in self._ended:
            self._ended.remove(sequence)
            self._events = [e for e in self._events if e.id != id or not isinstance(e, Finished)]
        sequence.extend(tokens, min(max_tokens, room))
        self._read(id)
        self._completions[id].decoder.reset()  # half a character was not told, and does not run into the text
        self._write(id, text)
        self._completions[id].stop = stop
        self._plan = None

    def cancel(self, id: int) -> Tokens:
        tokens = self.usage(id)
        self._scheduler.waiting = [r for r in self._scheduler.waiting if r.id != id]
        self._held.pop(id, None)
        self._events = [e for e in self._events if e.id != id]
        sequence = self._sequences.get(id)
        if sequence is not None:
            if sequence in self._ended:
                self._ended.remove(sequence)
            self._release(sequence)
        self._plan = None
        return tokens

    def hold(self, ids: Collection[int]) -> None:
        if self._scheduler.held != set(ids):
            self._scheduler.held = set(ids)
            self._plan = None

    def expect(self, messages: Seq[Message]) -> None:
        """Nothing: a prompt is laid out at once."""

    def halt(self, ids: Collection[int]) -> None:
        """Nothing: between two steps no request goes on."""

    def usage(self, id: int) -> Tokens:
        sequence = self._sequences.get(id)
        return Tokens(sequence.prompt, sequence.generated, sequence.reused) if sequence else Tokens()

    def plan_step(self) -> list[Charge]:
        if self._plan is None:
            self._release_ended()
            self._admit()
            for source, target in self._scheduler.compact():
                self._backend.move(source, target)
            self._plan = self._scheduler.plan()
            self._charges = [share.charge for share in self._plan]
        return self._charges

    @property
    def max_committed(self) -> int:
        coming = sum(charge.prompt + charge.generated for charge in self.plan_step())
        return coming + sum(sequence.prompt + sequence.generated for sequence in self._sequences.values())

    def step(self) -> list[EngineEvent]:
        self.plan_step()
        shares, self._plan = self._plan or [], None
        if shares:
            self._backend.evaluate(shares)
            self._read_all()  # while a device computes
            for number, share in enumerate(shares):
                kept = self._scheduler.advance(share)
                if kept is not None:
                    self._keep(number, share, kept)
            self._sample([(number, share.sequence) for number, share in enumerate(shares) if share.last])
        if not shares or not self._backend.asynchronous:
            self._read_all()
        events, self._events = self._events, []
        return list(events)

    def abort(self) -> None:
        self._backend.abort()

    def close(self) -> None:
        for completion in self._completions.values():
            self._backend.free(completion.sampler)
        self._completions.clear()
        self._backend.close()

    def _admit(self) -> None:
        """Seat waiting requests; those whose whole prompt is known are sampled at once, for nothing."""
        for sequence in self._scheduler.admit(self._reusable):
            request = sequence.request
            _, snapshot = self._held.pop(request.id)
            if snapshot is not None:
                self._backend.restore(sequence.slot, snapshot.state)
            else:
                self._backend.clear(sequence.slot)
            self._sequences[request.id] = sequence
            sampler = self._backend.sampler(request.sampling, request.seed)
            opened = self.reasoning.opening if request.prompt.open_thought else ""
            self._completions[request.id] = Completion(
                sampler, text=opened, stop=(*request.prompt.stop, *request.sampling.stop)
            )
            if not sequence.pending_tokens and snapshot is not None:
                self._sample([(snapshot.logits, sequence)])

    def _reusable(self, request: Request) -> int:
        """The longest prefix at hand. It is held from `submit` on: what was quoted cannot be evicted."""
        found = self._prefixes.longest(request.prompt.tokens, request.cache_boundaries)
        self._held[request.id] = max(found, self._held[request.id], key=lambda prefix: prefix[0])
        return self._held[request.id][0]

    def _keep(self, number: int, share: Share, length: int) -> None:
        sequence = share.sequence
        logits = self._backend.logits(number) if share.last else None
        prefix = sequence.request.prompt.tokens[:length]
        self._prefixes.put(prefix, Snapshot(self._backend.save(sequence.slot), logits))

    def _sample(self, rows: list[tuple[Any, Sequence]]) -> None:
        samplers = [self._completions[sequence.request.id].sampler for _, sequence in rows]
        sources = [source for source, _ in rows]
        if all(isinstance(source, int) for source in sources):
            tokens = self._backend.sample(samplers, sources) if rows else []
        else:
            tokens = [self._backend.sample_from(*pair) for pair in zip(samplers, sources, strict=True)]
        drawn = [(source, sequence, token) for (source, sequence), token in zip(rows, tokens, strict=True)]
        wanted = [(source, token) for source, sequence, token in drawn if sequence.request.logprobs]
        logprobs = iter(self._backend.logprobs(wanted) if wanted else ())
        for _, sequence, token in drawn:
            if sequence.request.logprobs:
                self._completions[sequence.request.id].logprob += next(logprobs)
            self._take(sequence, token)

    def _take(self, sequence: Sequence, token: int) -> None:
        """A new token: more text, or the end."""
        request = sequence.request
        sequence.accept(token)
        if self._backend.is_end(token) and not request.ignore_end:
            sequence.pending_tokens, sequence.sampled_pending = [], 0
            self._finish(sequence, "stop")
            return
        completion = self._completions[request.id]
        completion.unread.append(token)
        if completion.stop and self._stops(request.id, completion):
            self._finish(sequence, "stop")
        elif sequence.sampled >= sequence.limit:
            self._finish(sequence, "length")

    def _stops(self, id: int, completion: Completion) -> bool:
        """Whether the newest token completes a text that ends the completion, which is cut off there."""
        seen = len(completion.text)
        self._read(id)
        for stop in completion.stop:
            at = completion.text.find(stop, max(0, seen - len(stop) + 1))
            if at >= 0:
                completion.text = completion.text[:at]
                return True
        return False

    def _read_all(self) -> None:
        """Tell the texts of all tokens that were not told when they were drawn."""
        for id in self._completions:
            self._read(id)

    def _read(self, id: int) -> None:
        completion = self._completions[id]
        if completion.unread:
            tokens, completion.unread = completion.unread, []
            self._write(id, completion.decoder.decode(b"".join(map(self._backend.piece, tokens))))

    def _write(self, id: int, text: str) -> None:
        if text:
            self._completions[id].text += text
            self._events.append(Piece(id, text))

    def _finish(self, sequence: Sequence, reason: Any) -> None:
        self._read(sequence.request.id)
        completion = self._completions[sequence.request.id]
        mean = completion.logprob / sequence.sampled if sequence.request.logprobs else None
        tokens = Tokens(sequence.prompt, sequence.generated, sequence.reused)
        self._events.append(Finished(sequence.request.id, reason, completion.text, tokens, mean))
        sequence.finished = True
        self._ended.append(sequence)

    def _release_ended(self) -> None:
        """Free the slots of what has ended, once that was told: until then it may still be extended."""
        untold = {event.id for event in self._events if isinstance(event, Finished)}
        ended, self._ended = self._ended, []
        for sequence in ended:
            if sequence.request.id in untold:
                self._ended.append(sequence)
            else:
                self._release(sequence)

    def _release(self, sequence: Sequence) -> None:
        del self._sequences[sequence.request.id]
        self._backend.free(self._completions.pop(sequence.request.id).sampler)
        self._scheduler.release(sequence)
