"""What a run is told: everything that decides its outcome, besides the questions and the model."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynscale_cli.answers.vote import Method
from dynscale_cli.engine.protocol import Sampling
from dynscale_cli.sampling.prompts import Layout, Prompts
from dynscale_cli.sampling.sampler import Mode

DEFAULT_MAX_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's parameters. `budget` in tokens over the whole run; `max_tokens` for one sample."""

    budget: int
    max_tokens: int = DEFAULT_MAX_TOKENS
    max_thinking: int | None = None  # tokens of one thought before it is closed
    max_samples: int | None = None  # of one question
    sampling: Sampling = field(default_factory=Sampling)
    policy: str = "race"
    confidence: float = 0.95
    exhaust: bool = False
    mode: Mode = "hybrid"
    layout: Layout = "quoted"
    prompts: Prompts = field(default_factory=Prompts)
    answer_type: str = "auto"
    vote: Method = "majority"
    abstain_below: float = 0.0
    seed: int = 0
    stream: bool = False  # report text as it is generated
    time_limit: float | None = None  # seconds, of one part of a run
    chain_share: float | None = None  # of later tokens, before there is evidence; None: by what is known of the model

    @property
    def draws_copies(self) -> bool:
        """Whether every sample of a question would be the same."""
        return self.sampling.temperature == 0 and self.mode in ("hybrid", "parallel")
