"""One question's progress through a run: its samples, its votes and what it cost.

Owns the bookkeeping of a single question. Knows nothing of other questions, of the engine or of the
budget.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dynscale_cli.answers.types import AnswerType
from dynscale_cli.answers.vote import Ballot, Tally
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.questions import Question
from dynscale_cli.sampling.kept import Kept, keep
from dynscale_cli.sampling.sampler import Asked

from .events import KindReport, Sample


@dataclass(slots=True)
class Track:
    """A question that has been pulled at least once and is not answered yet."""

    question: Question
    kind: AnswerType
    asked: Asked | None
    started_at: float
    started: int = 0  # pulls, which also number the samples
    pending: int = 0  # pulls in flight
    samples: list[Kept] = field(default_factory=list)
    generated: int = 0  # tokens of these
    tally: Tally | None = None
    tokens: Tokens = field(default_factory=Tokens)
    forced: int = 0
    failed: int = 0  # pulls that came to nothing
    failures: int = 0  # in a row
    error: str | None = None
    free: bool = False  # samples of it cost nothing, and there were enough of them
    kinds: dict[str, KindReport] = field(default_factory=dict)

    def add(self, sample: Sample, ballot: Ballot, *, whole: bool = False) -> None:
        committed = ballot.answer is None or ballot.answer.committed
        self.samples.append(keep(sample, committed=committed, earlier=self.samples, whole=whole))
        self.generated += sample.tokens.generated
        self.failures = 0
        self.forced += sample.forced
        self._report(sample.kind, 1, 0)

    def pay(self, kind: str, tokens: Tokens) -> None:
        """Count what a pull cost, whether or not it became a sample."""
        self.tokens += tokens
        self._report(kind, 0, tokens.billed)

    @property
    def ballots(self) -> list[Ballot]:
        return [sample.ballot for sample in self.samples]

    @property
    def votes(self) -> dict[str, float]:
        """Answer key -> weight, most votes first."""
        return self.tally.weights if self.tally else {}

    @property
    def shown(self) -> tuple[tuple[str, float], ...]:
        """(answer as shown, weight), most votes first."""
        return tuple((text, weight) for _, text, weight in self.tally.votes) if self.tally else ()

    def report(self) -> dict[str, KindReport]:
        return dict(sorted(self.kinds.items()))

    def _report(self, kind: str, samples: int, tokens: int) -> None:
        known = self.kinds.get(kind, KindReport())
        self.kinds[kind] = KindReport(known.samples + samples, known.tokens + tokens)
