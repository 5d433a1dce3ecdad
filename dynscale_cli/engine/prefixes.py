"""KV states of prompt prefixes, kept for the requests that will share them.

A fork here is the restoring of a saved state, not the copying of a live sequence: a state holds
exactly the tokens of its prefix, so nothing needs to be cut off afterwards and recurrent,
hybrid and sliding-window models fork like any other. It also holds only the cells in use, where
llama.cpp copies a whole stream (measured on the 135M model: 0.1 ms against 7 ms for 60 tokens).

Owns which states are kept and which go. Knows nothing of llama.cpp: a state is bytes of a size.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Protocol


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A prefix's KV state; `logits` after its last token where the prefix is a whole prompt."""

    state: Sized
    logits: Any = None

    @property
    def nbytes(self) -> int:
        return self.state.nbytes + (self.logits.nbytes if self.logits is not None else 0)


TOKEN_BYTES = 8 + 32  # of a token in a key: its place in the tuple, and the number itself
ENTRY_BYTES = 512  # of an entry besides: tuple, snapshot, its arrays' heads, its place in the table


class PrefixCache:
    """Token prefix -> `Snapshot`, least recently used out first beyond `capacity` bytes, those of Python included."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.nbytes = 0
        self._entries: OrderedDict[tuple[int, ...], Snapshot] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, prefix: tuple[int, ...]) -> bool:
        return prefix in self._entries

    def put(self, prefix: tuple[int, ...], snapshot: Snapshot) -> None:
        """Keep a state, unless it alone is larger than the cache."""
        nbytes = _nbytes(prefix, snapshot)
        if nbytes > self.capacity:
            return
        self._drop(prefix)
        self._entries[prefix] = snapshot
        self.nbytes += nbytes
        while self.nbytes > self.capacity:
            self._drop(next(iter(self._entries)))

    def longest(self, tokens: tuple[int, ...], boundaries: tuple[int, ...]) -> tuple[int, Snapshot | None]:
        """The longest kept prefix of `tokens` among the lengths in `boundaries`: (length, state) or (0, None).

        The whole of `tokens` counts only with the logits behind it: without, its last token must be
        evaluated again.
        """
        for length in reversed(boundaries):
            prefix = tokens[:length]
            found = self._entries.get(prefix)
            if found is not None and (length < len(tokens) or found.logits is not None):
                self._entries.move_to_end(prefix)
                return length, found
        return 0, None

    def _drop(self, prefix: tuple[int, ...]) -> None:
        dropped = self._entries.pop(prefix, None)
        if dropped is not None:
            self.nbytes -= _nbytes(prefix, dropped)


def _nbytes(prefix: tuple[int, ...], snapshot: Snapshot) -> int:
    """What an entry holds."""
    return snapshot.nbytes + len(prefix) * TOKEN_BYTES + ENTRY_BYTES
