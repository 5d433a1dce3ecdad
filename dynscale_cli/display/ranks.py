"""Which of many waiting questions are the least settled, without a look at all of them.

Owns a heap whose outdated entries are dropped when they surface. Pure; knows questions by their numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

SPARE: Final = 1024  # outdated entries that are not worth a clean-up


class Ranks:
    """Questions by confidence, the lowest first, in the order of their numbers where it is equal."""

    def __init__(self, confidence_of: Callable[[int], float | None]) -> None:
        """`confidence_of`: the confidence of a waiting question as it stands now, None for any other."""
        self._confidence_of = confidence_of
        self._heap: list[tuple[float, int]] = []
        self._cleaned = 0  # entries left by the last clean-up

    def put(self, confidence: float, index: int) -> None:
        heappush(self._heap, (confidence, index))
        if len(self._heap) > 2 * self._cleaned + SPARE:
            self._heap = [entry for entry in set(self._heap) if self._confidence_of(entry[1]) == entry[0]]
            heapify(self._heap)
            self._cleaned = len(self._heap)

    def lowest(self, limit: int) -> list[int]:
        found: list[tuple[float, int]] = []
        while self._heap and len(found) < limit:
            entry = heappop(self._heap)
            if self._confidence_of(entry[1]) == entry[0] and (not found or found[-1] != entry):
                found.append(entry)
        for entry in found:
            heappush(self._heap, entry)
        return [index for _, index in found]
