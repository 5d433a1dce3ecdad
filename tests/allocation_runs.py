"""Helpers for the allocation tests: drive an allocator on questions whose answers are given by a function."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from dynscale_cli.allocation.allocator import Allocator

EVERY_POLICY = ("race", "ucb", "ucb:0.25", "adaptive", "early-stop", "uniform")


def drive(
    allocator: Allocator,
    answer: Callable[[int, int], str | None],
    pulls: int,
    width: int = 1,
    cost: Callable[[int], int] = lambda q: 100,
) -> list[int]:
    """Make up to `pulls` pulls with `width` in flight, first in first out; the questions in the order of starting.

    `answer(q, j)` is what sample j of question q says.
    """
    tallies: dict[int, Counter[str]] = {}
    samples: Counter[int] = Counter()
    flights: deque[int] = deque()
    order: list[int] = []
    while True:
        while len(flights) < width and len(order) < pulls and (q := allocator.choose()) is not None:
            allocator.start(q)
            flights.append(q)
            order.append(q)
        if not flights:
            return order
        q = flights.popleft()
        text = answer(q, samples[q])
        samples[q] += 1
        tally = tallies.setdefault(q, Counter())
        if text is not None:
            tally[text] += 1
        allocator.record(q, tally, samples[q], cost(q))
