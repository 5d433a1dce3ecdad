"""What a run tells: typed events for whoever watches it, and records for the sink that keeps it.

Events are the only way out of `run.run`: `display` and `--json` consume them, and their fields are the schema of
`--json`, which only grows. A sink is told first what must not be lost: `allow` before tokens are spent, `returned`
before a sample counts. Knows nothing of terminals, files or llama.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.sampling.samples import Kind, Sample

Stopped = Literal["settled", "budget", "limit", "no answer", "error", "interrupted", "cut off", "time"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a question's race stands: what the allocator and the live view see of it."""

    samples: int = 0  # finished
    pending: int = 0  # in flight
    votes: tuple[tuple[str, float], ...] = ()  # (answer as shown, votes), most first
    confidence: float = 0.0  # P(the leader would still lead in the long run); 0 without votes
    settled: bool = False
    counts: tuple[int, ...] = ()  # samples that gave each of these answers, whatever they weigh


@dataclass(frozen=True, slots=True)
class KindReport:
    """What one kind of sample earned and cost in a run. `agreement`: held-out, None before it is known."""

    samples: int = 0
    tokens: int = 0
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One question's outcome: one line of `--json`."""

    id: str
    index: int
    question: str
    answer: str | None
    confidence: float | None  # None below two votes
    votes: dict[str, float]
    samples: int
    tokens: Tokens
    stopped: Stopped
    forced: int
    seed: int
    model: str
    seconds: float
    error: str | None = None
    kinds: dict[str, KindReport] = field(default_factory=dict)
    gold: str | None = None
    correct: bool | None = None
    prompts: str = ""  # version of the prompts
    cut: int = (
        0  # samples that were cut off, `forced` ones among them: their votes weigh half, and settle nothing alone
    )
    note: str | None = None  # what would help, where most of them were
    counts: dict[str, int] = field(default_factory=dict)  # samples that gave each answer, whatever they weigh


@dataclass(frozen=True, slots=True)
class RunStarted:
    questions: int
    budget: int
    width: int
    context: int  # tokens of one sequence
    model: str


@dataclass(frozen=True, slots=True)
class SampleStarted:
    index: int  # of the question
    id: str
    question: str
    number: int
    kind: Kind
    standing: Standing


@dataclass(frozen=True, slots=True)
class SampleText:
    """A piece of a sample as it is generated; `thinking` while inside `<think>`."""

    index: int
    number: int
    text: str
    thinking: bool


@dataclass(frozen=True, slots=True)
class SampleFinished:
    index: int
    sample: Sample
    standing: Standing


@dataclass(frozen=True, slots=True)
class Stepped:
    """After every engine step: the run's account. spent + reserved ≤ budget holds at each."""

    spent: int
    reserved: int
    generated: int
    active: int  # sequences that the step moved
    settled: int  # questions
    chain_share: float  # of later pulls, as learned so far


@dataclass(frozen=True, slots=True)
class Answered:
    """A question is done; its result will not change. `replayed`: an earlier part of the run has told it."""

    result: Result
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know, in one line."""

    message: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    questions: int
    settled: int
    unanswered: int
    tokens: Tokens
    budget: int
    seconds: float
    interrupted: bool = False
    kinds: dict[str, KindReport] = field(default_factory=dict)
    lost: int = 0  # tokens spent on samples that a kill took away
    stopped: int = 0  # samples that were stopped so that older ones could end within the budget
    chain_share: float = 0.0  # of later tokens, as learned
    chain_share_prior: float = 0.0  # before there was any evidence


Event: TypeAlias = RunStarted | SampleStarted | SampleText | SampleFinished | Stepped | Answered | Notice | RunFinished


def members(record: Any) -> dict[str, Any]:
    """The fields of one of these records as they are, for `json.dumps`, which takes this function for those within.

    It writes what `asdict` would give it, in a fraction of the time: there can be a line for each of 100,000 questions.
    """
    return {name: getattr(record, name) for name in record.__slots__}


How: TypeAlias = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Start:
    """A sample of question `q` begins."""

    q: int
    number: int
    kind: Kind
    seen: tuple[int, ...] = ()  # samples that a chain is built from, in the order in which it quotes them


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sample of question `q` came back."""

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


class Sink:
    """What a run is told to keep, in the order in which it happens. This one keeps nothing; none ever raises."""

    def started(self, start: Start) -> None:
        """A sample is about to be submitted."""

    def allow(self, spent: int) -> None:
        """Called before each step with what will then have been spent in all, at most."""

    def returned(self, draw: Sampled | Dropped, time: float) -> None:
        """A sample is over, `time` seconds after the run began; it counts from here on."""

    def answered(self, result: Result, *, final: bool) -> None:
        """`final`: the question is done for good; otherwise more budget would go on with it."""

    def ended(self, ended: Ended) -> None:
        """Nothing comes behind it."""

    def complaint(self) -> str | None:
        """What could not be kept, told once; None otherwise."""
        return None
