"""What happens in a run, as typed events: the only way out of `run.run`.

`display` and `--json` consume them; their fields are the schema of `--json`, which only grows.
Knows nothing of terminals, files or llama.cpp.
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
