"""A chain: earlier samples of a question, laid out as one history for the next sample to build on.

Owns which samples are quoted, in which order, and how each is cut to fit. Knows nothing of tokens
beyond a function that counts them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from .kept import ATTEMPTS, Kept


def pick(samples: Sequence[Kept], votes: Sequence[str], rng: random.Random, k: int = ATTEMPTS) -> list[Kept]:
    """Up to `k` finished samples with an answer: first one for each answer, then by votes; shuffled.

    `votes` are the answer keys, most votes first. The order carries no vote: it is drawn from `rng`.
    """
    rank = {key: place for place, key in enumerate(votes)}
    usable = [s for s in samples if s.key is not None]
    usable.sort(key=lambda s: (rank.get(s.key or "", len(rank)), s.number))
    seen: set[str | None] = set()
    first = [s for s in usable if not (s.key in seen or seen.add(s.key))]  # type: ignore[func-returns-value]
    rest = [s for s in usable if s not in first]
    chosen = (first + rest)[:k]
    rng.shuffle(chosen)
    return chosen


def attempts(samples: Sequence[Kept], room: int, count: Callable[[str], int]) -> list[str]:
    """The texts to quote, each cut to an equal part of `room` tokens."""
    part = max(1, room // max(1, len(samples)))
    return [cut(sample.said, part, count) for sample in samples]


def cut(text: str, limit: int, count: Callable[[str], int]) -> str:
    """The end of `text`, at most `limit` tokens: the answer stands there, and what led to it."""
    tokens, body = count(text), text
    while tokens > limit and body:
        keep = min(len(body) - 1, int(len(body) * limit / tokens * 0.95))
        body = body[len(body) - keep :]
        text = f"… {body}" if body else ""
        tokens = count(text)
    return text
