"""Which tokens go into the next batch: continuous batching over every active sequence.

Owns slots, the waiting line and the make-up of each step. Pure: it moves integers about and
knows neither llama.cpp nor text, so it is tested without a model.

Slots are kept dense (0, 1, 2, ... in use) because llama.cpp splits a batch of separate streams
wherever the sequence ids have a gap: eight sequences on every other slot take twice the time of
eight neighbours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .protocol import Charge, Request


@dataclass(slots=True, eq=False)
class Sequence:
    """One request in a slot. `pending_tokens` is evaluated next, behind the `past` tokens in the KV cache."""

    request: Request
    slot: int = -1
    past: int = 0
    pending_tokens: list[int] = field(default_factory=list)
    sampled_pending: int = 0  # how many of the first tokens of `pending_tokens` the model sampled (0 or 1)
    sampled: int = 0
    limit: int = 0
    finished: bool = False  # it has ended, and moves again only if it is extended
    prompt: int = 0  # tokens charged
    generated: int = 0
    reused: int = 0

    def begin(self, length: int) -> None:
        """Start behind a restored prefix of `length` tokens."""
        self.past = self.reused = length
        self.pending_tokens = list(self.request.prompt.tokens[length:])
        self.limit = self.request.max_tokens

    def accept(self, token: int) -> None:
        """Take a sampled token: it is evaluated at the next step, if there is one."""
        self.pending_tokens, self.sampled_pending = [token], 1
        self.sampled += 1

    def extend(self, tokens: Iterable[int], limit: int) -> None:
        """Go on behind `tokens`, sampling at most `limit` more."""
        self.pending_tokens = self.pending_tokens + list(tokens)
        self.limit = self.sampled + limit
        self.finished = False

    def boundaries(self) -> list[int]:
        """Prefix lengths of the prompt that are worth keeping and not evaluated yet."""
        return [length for length in self.request.cache_boundaries if length > self.past]


@dataclass(frozen=True, slots=True)
class Share:
    """A sequence's part of a batch: its next `count` tokens; `last`: the logits behind them are wanted."""

    sequence: Sequence
    count: int
    last: bool

    @property
    def charge(self) -> Charge:
        sampled = min(self.count, self.sequence.sampled_pending)
        return Charge(self.sequence.request.id, self.count - sampled, sampled)


class Scheduler:
    """Continuous batching: `width` slots, prompt tokens limited to `chunk` a step."""

    def __init__(self, width: int, chunk: int) -> None:
        self.width = width
        self.chunk = chunk
        self.waiting: list[Request] = []
        self._slots: list[Sequence | None] = [None] * width
        self._coming: Counter[tuple[int, ...]] = Counter()  # prefixes that active sequences are evaluating

    @property
    def active(self) -> list[Sequence]:
        """Sequences in slot order."""
        return [sequence for sequence in self._slots if sequence is not None]

    @property
    def free_slots(self) -> int:
        return self._slots.count(None) - len(self.waiting)

    def admit(self, reusable: Callable[[Request], int]) -> list[Sequence]:
        """Give free slots to waiting requests, first come first served.

        `reusable` says how long a prefix is at hand now. A request whose longer prefix is just being
        evaluated by another waits for it, and the next in line goes first.
        """
        admitted: list[Sequence] = []
        for request in list(self.waiting):
            if None not in self._slots:
                break
            length = reusable(request)
            if any(request.prompt.tokens[:b] in self._coming for b in request.cache_boundaries if b > length):
                continue
            self.waiting.remove(request)
            sequence = Sequence(request, slot=self._slots.index(None))
            sequence.begin(length)
            self._slots[sequence.slot] = sequence
            self._coming.update(request.prompt.tokens[:b] for b in sequence.boundaries())
            admitted.append(sequence)
        return admitted

    def release(self, sequence: Sequence) -> None:
        """Free a slot."""
        self._coming -= Counter(sequence.request.prompt.tokens[:b] for b in sequence.boundaries())
        self._slots[sequence.slot] = None

    def compact(self) -> list[tuple[int, int]]:
        """Close the gaps between slots. Returns the moves (from, to), to be made in this order."""
        moves: list[tuple[int, int]] = []
        while True:
            gap = self._slots.index(None) if None in self._slots else self.width
            last = max((s.slot for s in self.active), default=-1)
            if gap > last:
                return moves
            sequence = self._slots[last]
            assert sequence is not None
            self._slots[last], self._slots[gap] = None, sequence
            sequence.slot = gap
            moves.append((last, gap))

    def plan(self) -> list[Share]:
        """The next batch, in slot order: a token of every decoding sequence, then prompt chunks, by age.

        Where a prefix is to be recalled, that first and alone.
        """
        left = self.chunk
        shares = []
        open_ones = [s for s in self.active if not s.finished]
        moving = [s for s in open_ones if s.past < s.request.recall] or open_ones
        for sequence in sorted(moving, key=lambda sequence: sequence.request.id):
            count = len(sequence.pending_tokens)
            if count > 1:
                count = min([count, left, *(b - sequence.past for b in sequence.boundaries())])
                left -= count
            if count:
                shares.append(Share(sequence, count, count == len(sequence.pending_tokens)))
        return sorted(shares, key=lambda share: share.sequence.slot)

    def advance(self, share: Share) -> int | None:
        """Account for an evaluated share. Returns the prefix length worth keeping that was just reached."""
        sequence, charge = share.sequence, share.charge
        before = sequence.boundaries()
        sequence.past += share.count
        sequence.prompt += charge.prompt
        sequence.generated += charge.generated
        sequence.sampled_pending -= charge.generated
        del sequence.pending_tokens[: share.count]
        if not before or before[0] != sequence.past:
            return None
        prefix = sequence.request.prompt.tokens[: sequence.past]
        self._coming[prefix] -= 1
        if not self._coming[prefix]:
            del self._coming[prefix]
        return sequence.past
