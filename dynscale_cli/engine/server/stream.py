"""What a server says in answer to one request, chunk by chunk, read without trusting any of it.

Owns which fields of a chunk mean what, and when an answer is longer than was asked for. Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from .faults import Reported, Unreadable

T = TypeVar("T")
LENGTHS = ("length", "max_tokens", "model_length")  # what servers call an end at max_tokens
# And one that is no end of an answer: the server was stopped, or something went wrong there.
BROKEN_OFF = ("abort", "aborted", "cancelled", "error")
THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")  # fields that hold thoughts apart
ABSURD = "the server's count of tokens cannot be: its answers are billed as many tokens as they have bytes"
BYTES_PER_TOKEN = 16  # no text has that many on average, so an answer of more is longer than asked for
SPARE_CHUNKS = 1000  # beyond those that the text may take: signs of life, and nothing else, are no answer


class Overrun(Exception):
    """More came than was asked for."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counts them, for all completions of a request together."""

    prompt: int
    generated: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Delta(Generic[T]):
    """More text of completion number `place`; `logprobs` of its tokens, where they were given."""

    chat: T
    place: int
    text: str
    thought: bool
    logprobs: tuple[float, ...] = ()
    counted: Usage | None = None  # what this completion has cost so far, where the server says so as it goes


class AnswerReader(Generic[T]):
    """One attempt at a chat of `count` completions. `tell` hears of every `Delta`; `heard` is when something came."""

    def __init__(
        self, chat: T, count: int, max_tokens: int, tell: Callable[[Delta[T]], None], clock: Callable[[], float]
    ) -> None:
        self.reasons: list[str | None] = [None] * count
        self.seen: set[int] = set()  # places that anything was said of
        self.begun = False  # text has come
        self.usage: Usage | None = None
        self.absurd = False  # a usage came that cannot be
        self._final = self._used = False  # the usage is of the whole answer; one has come
        self.counts = False  # a usage came, or its place was kept for the end
        self.overrun = self.whole = self._broken = False
        self._counted: Usage | None = None  # of the chunk that is being read
        self._bills: list[Usage] = []  # what came when completions were over
        self.heard = clock()
        self.chat, self._limit, self._tell, self._clock = chat, max_tokens, tell, clock
        self._chunks, self._bytes = [0] * count, [0] * count
        self._left = SPARE_CHUNKS + BYTES_PER_TOKEN * (max_tokens + 16) * count  # chunks, of whatever kind

    def take(self, chunk: Any) -> None:
        """Read a chunk of a stream, or a whole answer. Raises Overrun where it should have ended, Reported for one that
        is an error."""
        self.heard = self._clock()
        self._left -= 1
        if self._left < 0:
            raise Unreadable("it does not end")
        if not isinstance(chunk, dict):
            raise Unreadable("it is not a chat completion")
        found, choices = chunk.get("usage"), chunk.get("choices")
        self.counts = self.counts or "usage" in chunk
        self._counted = _timed(chunk.get("timings"))
        if found is not None:
            self._final = not choices or not self._used  # one that comes with chunk after chunk is a running count
            self.usage, self._used = _usage(found), True
            self.absurd = self.usage is None
            self._counted = self._counted or (self.usage if len(self.reasons) == 1 else None)
            if self.usage is not None and not choices:
                self._bills.append(self.usage)
        if not choices and (error := chunk.get("error")):
            raise Reported(error)
        for choice in _records(choices):
            place = choice.get("index")
            if place is None and len(self.reasons) == 1:
                place = 0
            if isinstance(place, int) and 0 <= place < len(self.reasons):
                self._choice(place, choice)

    @property
    def bill(self) -> Usage | None:
        """The usage of the whole answer, if that has come."""
        return self.usage if self._final else None

    def check(self) -> None:
        """The answer has ended. Raises Unreadable when it was none."""
        if not self.seen:
            raise Unreadable("it is not a chat completion")
        if len(self._bills) == len(self.reasons):  # llama-server bills each by itself; the prompt was evaluated once
            self.usage = replace(self._bills[0], generated=sum(bill.generated for bill in self._bills))
        if self._final and not self._broken:  # the last word was said: then an end may go without a reason
            self.reasons = [r or "stop" if n in self.seen else None for n, r in enumerate(self.reasons)]
        if any(self.reasons[place] is None for place in self.seen):
            raise Unreadable("it breaks off")

    def _choice(self, place: int, choice: dict[str, Any]) -> None:
        self.seen.add(place)
        whole = choice.get("delta") is None
        delta = _record(choice.get("message" if whole else "delta"))
        logprobs = tuple(_logprobs(choice))
        thought = next((text for name in THOUGHTS if (text := _text(delta.get(name)))), "")
        content = delta.get("content")
        thought = thought or _joined(content, "thinking")
        said = _text(content) or _joined(content, "text") or _text(delta.get("refusal"))
        for text, thinking in ((thought, True), (said, False)):
            if text:
                self.begun = True
                scored = () if thinking and said else logprobs
                self._tell(Delta(self.chat, place, text, thinking, scored, self._counted))
        reason = choice.get("finish_reason")
        if reason in BROKEN_OFF:
            self._broken = True
        elif isinstance(reason, str):
            self.reasons[place] = "length" if reason in LENGTHS else "stop"
        self._measure(place, len(thought.encode()) + len(said.encode()), 0 if whole else max(1, len(logprobs)))

    def _measure(self, place: int, size: int, tokens: int) -> None:
        if size:
            self._bytes[place] += size
            self._chunks[place] += tokens
        if self._chunks[place] > self._limit or self._bytes[place] > BYTES_PER_TOKEN * (self._limit + 16):
            self.overrun = True
            for seen in self.seen:
                self.reasons[seen] = self.reasons[seen] or "length"
            raise Overrun


def _record(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _records(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _joined(content: Any, kind: str) -> str:
    """The text of all parts of this kind, where content comes as a list of parts; a thought may have parts itself."""
    parts = [part for part in _records(content) if part.get("type") == kind]
    return "".join(_text(part.get(kind)) or _joined(part.get(kind), "text") for part in parts)


def _text(value: Any) -> str:
    return value.encode("utf-8", "replace").decode() if value and isinstance(value, str) else ""


def _logprobs(choice: dict[str, Any]) -> Iterable[float]:
    for token in _records(_record(choice.get("logprobs")).get("content")):
        value = token.get("logprob")
        if isinstance(value, (int, float)):
            yield float(value)


def _timed(timings: Any) -> Usage | None:
    """llama-server's `timings` of one completion, which it gives with every chunk where it is asked to."""
    if timings is None:
        return None
    told = _record(timings)
    counts: list[Any] = [told.get(name) for name in ("prompt_n", "predicted_n", "cache_n")]
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in counts):
        return None
    prompt, generated, cached = counts
    return Usage(prompt + cached, generated, cached)


def _usage(found: Any) -> Usage | None:
    """What a server counted, or None where it cannot be so."""
    usage = _record(found)
    prompt, generated = usage.get("prompt_tokens"), usage.get("completion_tokens")
    cached = _record(usage.get("prompt_tokens_details")).get("cached_tokens") or 0
    counts = (prompt, generated, cached)
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in counts) or not prompt or cached > prompt:
        return None
    assert isinstance(generated, int)
    return Usage(prompt, generated, cached)
