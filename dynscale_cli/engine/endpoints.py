"""Where the next request goes: the endpoint with the fewest outstanding, among those that are not set aside.

Owns who is set aside, for how long and for how many times in a row. Pure: the clock is handed in, the jitter comes from
a generator of its own. Knows nothing of HTTP.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a failing server is waited for, in seconds.

    The n-th failure in a row sets an endpoint aside for `first`·2^(n-1), at most `longest`, give or take a half: many
    clients that failed together must not come back together. After `give_up` in a row (half a minute) it counts as
    dead, though it is still tried while others are alive. `tries` bounds the failed attempts at one request, which must
    not look like a dead server, and `waits` those that met a busy one (three minutes).
    """

    first: float = 0.5
    longest: float = 60.0
    give_up: int = 7
    tries: int = 5
    waits: int = 10
    stall: float = 120.0  # silence within a stream
    whole: float = 600.0  # silence of a server that does not stream


@dataclass(slots=True, eq=False)
class Endpoint:
    url: str
    outstanding: int = 0
    failures: int = 0  # in a row
    waits: int = 0  # pauses in a row that it asked for, being busy
    victims: set[int | None] = field(default_factory=set)  # what failed in a row; None: it was not even reached
    until: float = 0.0  # it is set aside until then
    refused: bool = False  # it will never take a request: wrong key, no such model


@dataclass(slots=True)
class Endpoints:
    all: Sequence[Endpoint]
    patience: Patience = field(default_factory=Patience)
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def pick(self, now: float) -> Endpoint | None:
        """Where to send a request now. One whose time has passed gets a single one, to show that it is well again."""
        ready = [e for e in self.all if not e.refused and e.until <= now and not (e.failures and e.outstanding)]
        return min(ready, key=lambda e: (e.failures == 0, e.outstanding), default=None)

    def pause(self, now: float) -> float:
        """Seconds until a request may be sent, as far as is known."""
        due = [e.until - now for e in self.all if not e.refused]
        return max(0.0, min(due, default=0.0))

    @property
    def dead(self) -> bool:
        """Whether there is nobody left to wait for. That one request fails again and again proves nothing."""
        return all(e.refused or (e.failures >= self.patience.give_up and _proven(e)) for e in self.all)

    def well(self, endpoint: Endpoint) -> None:
        endpoint.failures = endpoint.waits = 0
        endpoint.victims.clear()
        endpoint.until = 0.0

    def busy(self, endpoint: Endpoint, now: float, pause: float | None) -> None:
        """It asked to be left alone, for `pause` seconds if it said so."""
        endpoint.waits += now >= endpoint.until  # those that were under way were refused together
        self._set_aside(endpoint, now, pause, endpoint.waits)

    def down(self, endpoint: Endpoint, now: float, pause: float | None, victim: int | None = None) -> None:
        """It failed at `victim`. What was under way when it was set aside has failed with it, and counts once."""
        endpoint.victims.add(victim)
        endpoint.failures += now >= endpoint.until
        self._set_aside(endpoint, now, pause, endpoint.failures)

    def _set_aside(self, endpoint: Endpoint, now: float, pause: float | None, times: int) -> None:
        if pause is None:
            pause = min(self.patience.longest, self.patience.first * 2 ** max(0, times - 1)) * self.rng.uniform(
                0.5, 1.5
            )
        endpoint.until = max(endpoint.until, now + pause)


def _proven(endpoint: Endpoint) -> bool:
    return None in endpoint.victims or len(endpoint.victims) > 1
