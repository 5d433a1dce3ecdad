"""Catching up: the pulls that were in flight when an earlier part of a run stopped are drawn again, each in its place.

A run's course follows from the order in which samples come back, and that from the steps at which they began to speak.
So steps are counted through all parts of a run; a pull taken up again begins to speak at the step at which it did
before, and nothing new begins before the step at which the run stopped. What the engine had in its cache and has lost
it evaluates while everything else waits, so that the lack of it does not show. Then, as far as the budget is not what
decides, a run that was interrupted goes on exactly as it would have gone on.

Owns that count, the queue, and what is to be recalled. Knows nothing of journals or budgets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from dynscale_cli.sampling.sampler import Draft

from .sink import Spoke, Start


@dataclass(frozen=True, slots=True)
class Again:
    """A pull to be taken up again. `spoke`: of its first token, None if it never came to that."""

    start: Start
    spoke: Spoke | None = None

    @property
    def due(self) -> int:
        return self.start.step if self.spoke is None else self.spoke.step


class CatchUp:
    """`again` in the order in which the pulls began; `known`: questions whose prompt was evaluated by an earlier part;
    `until`: the step at which the run stopped. Without arguments, a run that begins: nothing to catch up with.
    """

    def __init__(self, again: Iterable[Again] = (), known: Collection[int] = (), until: int = 0) -> None:
        pulls = list(again)
        self.ids = {(pull.start.q, pull.start.number): id for id, pull in enumerate(pulls)}
        self.step = min((pull.due for pull in pulls), default=until)
        self._queue = deque(sorted(pulls, key=lambda pull: pull.due))
        self._known, self._until = known, until

    @property
    def over(self) -> bool:
        """Whether new pulls may begin."""
        return not self._queue and self.step >= self._until

    def next(self, idle: bool) -> Again | None:
        """The pull that is due, if one is; `idle`: nothing is in flight, so there is nothing to wait for."""
        if idle:
            self.step = max(self.step, self._queue[0].due if self._queue else self._until)
        return self._queue[0] if self._queue and self._queue[0].due <= self.step else None

    def hurry(self) -> None:
        """What comes back in which order is not ours to repeat, as on a server: all that is open is due at once."""
        self.step = max([self.step, self._until, *(pull.due for pull in self._queue)])

    def taken(self) -> None:
        """The pull that was due has begun."""
        self._queue.popleft()

    def give_up(self, q: int) -> None:
        """A question is not gone on with."""
        self._queue = deque(pull for pull in self._queue if pull.start.q != q)

    def recalling(self, draft: Draft, q: int, again: Again | None) -> Draft:
        """The draft, with the part of its prompt that an earlier part of the run had evaluated when it began."""
        request = draft.request
        if again is not None and again.spoke is not None:
            recall = len(request.prompt)
        elif q in self._known:
            recall = max(request.cache_boundaries, default=0)
        elif self._known:
            recall = min(request.cache_boundaries, default=0)
        else:
            return draft
        return replace(draft, request=replace(request, recall=recall))
