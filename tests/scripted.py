"""A model whose completions are written down: the real engine, scheduler and billing without weights.

Tokens are words. The backend keeps each slot's content as the real one keeps its KV cache, so a
wrong position, a wrong fork or a lost slot shows as a wrong content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dynscale_cli.engine.batched import BatchedEngine
from dynscale_cli.engine.protocol import EngineInfo, Message, Prompt, Sampling
from dynscale_cli.engine.reasoning import ReasoningFormat
from dynscale_cli.engine.scheduler import Share
from dynscale_cli.errors import EngineError

Script = Callable[[str, int], str]  # (the prompt as text, the sample's seed) -> its completion
END = 0


@dataclass(frozen=True)
class Content:
    """What stands for a saved KV state, or for logits."""

    tokens: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return 8 * len(self.tokens) + 8


@dataclass
class WordSampler:
    seed: int
    queue: list[int] | None = None
    written: list[int] = field(default_factory=list)


class ScriptedBackend:
    asynchronous = False

    def __init__(
        self,
        script: Script,
        *,
        width: int = 4,
        context: int = 4096,
        forced: Script = lambda prompt, seed: "0",
        fail_at: int | None = None,
    ) -> None:
        self.info = EngineInfo("scripted", width, context)
        self.reasoning = ReasoningFormat()
        self.script, self.forced, self.fail_at = script, forced, fail_at
        self.slots: list[list[int]] = [[] for _ in range(width)]
        self.evaluated = 0  # tokens
        self.steps = 0
        self.widths: list[int] = []  # sequences moved by each step
        self.samplers = 0  # alive
        self._words: list[str] = ["<end>"]
        self._ids: dict[str, int] = {}
        self._last: list[int] = []

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        text = "".join(f" <{m.role}> {m.content}" for m in messages) + " <reply>"
        return Prompt(tuple(self.tokenize(text)))

    def tokenize(self, text: str) -> list[int]:
        tokens = []
        for word in re.findall(r"\s*\S+|\s+", text):
            if word not in self._ids:
                self._ids[word] = len(self._words)
                self._words.append(word)
            tokens.append(self._ids[word])
        return tokens

    def text(self, tokens: Sequence[int]) -> str:
        return "".join(self._words[token] for token in tokens)

    def piece(self, token: int) -> bytes:
        return self._words[token].encode()

    def is_end(self, token: int) -> bool:
        return token == END

    def save(self, slot: int) -> Content:
        return Content(tuple(self.slots[slot]))

    def restore(self, slot: int, state: Content) -> None:
        self.slots[slot] = list(state.tokens)

    def move(self, source: int, target: int) -> None:
        self.slots[target] = list(self.slots[source])

    def clear(self, slot: int) -> None:
        self.slots[slot] = []

    def evaluate(self, shares: Sequence[Share]) -> None:
        self.steps += 1
        if self.fail_at is not None and self.steps >= self.fail_at:
            raise EngineError("the scripted engine failed", "nothing to do")
        assert [s.sequence.slot for s in shares] == sorted({s.sequence.slot for s in shares})
        self._last = [share.sequence.slot for share in shares]
        self.widths.append(len(shares))
        for share in shares:
            sequence = share.sequence
            content = self.slots[sequence.slot]
            assert len(content) == sequence.past, "a position does not follow the one before"
            content += sequence.pending_tokens[: share.count]
            assert len(content) <= self.info.context, "a sequence outgrew its context"
            self.evaluated += share.count

    def logits(self, share: int) -> Content:
        return Content(tuple(self.slots[self._last[share]]))

    def sampler(self, sampling: Sampling, seed: int) -> WordSampler:
        self.samplers += 1
        return WordSampler(seed)

    def sample(self, samplers: Sequence[WordSampler], shares: Sequence[int]) -> list[int]:
        return [
            self.sample_from(sampler, Content(tuple(self.slots[self._last[share]])))
            for sampler, share in zip(samplers, shares, strict=True)
        ]

    def sample_from(self, sampler: WordSampler, logits: Content) -> int:
        text = self.text(logits.tokens).rstrip()
        put_in = logits.tokens[-1:] != tuple(sampler.written[-1:])  # by `extend`, not by the model
        if sampler.queue is None:
            sampler.queue = [*self.tokenize(self.script(text, sampler.seed)), END]
        elif put_in and text.endswith("Answer:"):
            sampler.queue = [*self.tokenize(" " + self.forced(text, sampler.seed)), END]
        elif put_in and text.endswith("</think>"):
            sampler.queue = sampler.queue[sampler.queue.index(self.tokenize(" </think>")[0]) + 1 :]
        else:
            assert not put_in, "the slot does not hold what was written"
        token = sampler.queue.pop(0) if sampler.queue else END
        sampler.written.append(token)
        return token

    def logprobs(self, rows: Sequence[tuple[object, int]]) -> list[float]:
        return [-0.5] * len(rows)

    def free(self, sampler: WordSampler) -> None:
        self.samplers -= 1

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


def scripted_engine(script: Script, **options: object) -> BatchedEngine:
    """An engine over a scripted model; `chunk` goes to the engine, the rest to the backend."""
    chunk = options.pop("chunk", 64)
    cache_bytes = options.pop("cache_bytes", 1 << 20)
    return BatchedEngine(ScriptedBackend(script, **options), chunk=chunk, cache_bytes=cache_bytes)  # type: ignore[arg-type]
