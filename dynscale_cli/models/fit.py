"""Whether a model and the KV cache of a run fit in memory. Pure: the header and the sizes come in as values."""

from __future__ import annotations

from dataclasses import dataclass

from dynscale_cli.models.gguf import GGUFHeader

ROUND = 256  # llama.cpp rounds a sequence's share of the cache up to this many tokens
TYPICAL = 1280  # tokens: a short question, a sample of the default 1024, and asking it for its answer, rounded up


@dataclass(frozen=True, slots=True)
class Fit:
    """Bytes that a run takes, and whether they are there. `free` is None where nothing is known of this machine."""

    width: int
    context: int  # tokens of one sequence
    weights: int
    cache: int  # at most: layers with a sliding window keep less
    free: int | None
    widest: int | None  # the widest run that fits, up to the one asked for

    @property
    def fits(self) -> bool | None:
        return None if self.free is None else self.weights + self.cache <= self.free


def fit(header: GGUFHeader, width: int, context: int, key_bytes: float, value_bytes: float, free: int | None) -> Fit:
    """What `width` samples of `context` tokens take beside the weights, with cache elements of these sizes."""
    context = min(context, header.context_length)
    one = -(-context // ROUND) * ROUND * header.kv_bytes(key_bytes, value_bytes)
    left = None if free is None else free - header.size
    widest = None if left is None else max(0, min(width, left // one if one else width)) if left > 0 else 0
    return Fit(width, context, header.size, width * one, free, widest)


def thinks(template: str | None) -> str:
    """Whether a model thinks before it answers, as far as its chat template tells: yes, no, or what switches it."""
    if not template:
        return "no"
    for switch in ("enable_thinking", "reasoning_effort", "thinking_budget"):
        if switch in template:
            return f"yes ({switch} in its template)"
    marks = ("<think>", "</think>", "<|channel|>", "[THINK]", "<seed:think>", "reasoning")
    return "yes" if any(mark in template for mark in marks) else "no"
