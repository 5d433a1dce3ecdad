"""Where a run tells what it must not lose: the protocol that a journal fulfils, and the sink that keeps nothing.

The order that makes a run survive: `allow` before tokens are spent, `sampled` and `dropped` before they count.
Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.sampling.samples import Kind, Sample

from .events import Result

How = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Start:
    """A sample of question `q` begins."""

    q: int
    number: int
    kind: Kind
    seen: tuple[int, ...] = ()  # samples that a chain is built from, in the order in which it quotes them


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sample came back."""

    q: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class Dropped:
    """A sample was stopped, with what it has cost. `failed`: why it came to nothing; `final`: others would, too."""

    q: int
    number: int
    kind: Kind
    tokens: Tokens
    failed: str | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A run, or a part of it, is over. `spent` is exact, and beyond `budget` where a server did not keep to that.

    `time`: seconds over all parts.
    """

    how: How
    spent: int
    budget: int
    settled: int
    unanswered: int
    time: float


class Sink(Protocol):
    """What a run tells, in the order in which it happens. Never raises: a run goes on without its journal."""

    def started(self, start: Start, time: float) -> None: ...

    def allow(self, spent: int) -> None:
        """Called before each step with what will then have been spent in all, at most."""

    def sampled(self, sampled: Sampled, time: float) -> None: ...

    def dropped(self, dropped: Dropped, time: float) -> None: ...

    def answered(self, result: Result, *, final: bool) -> None:
        """`final`: the question is done for good; otherwise more budget would go on with it."""

    def ended(self, ended: Ended) -> None: ...

    def complaint(self) -> str | None:
        """What could not be kept, told once; None otherwise."""


class Nowhere:
    """Keeps nothing."""

    def started(self, start: Start, time: float) -> None:
        """Forgotten."""

    def allow(self, spent: int) -> None:
        """Forgotten."""

    def sampled(self, sampled: Sampled, time: float) -> None:
        """Forgotten."""

    def dropped(self, dropped: Dropped, time: float) -> None:
        """Forgotten."""

    def answered(self, result: Result, *, final: bool) -> None:
        """Forgotten."""

    def ended(self, ended: Ended) -> None:
        """Forgotten."""

    def complaint(self) -> str | None:
        return None
