"""Samples in flight, and how long they are expected to become.

Owns the record of a pull and the forecast of its length. Knows nothing of the engine or of the budget.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynscale_cli.answers.extract import Answer
from dynscale_cli.engine.protocol import Finished, Tokens
from dynscale_cli.engine.reasoning import ThoughtTracker
from dynscale_cli.sampling.sampler import Draft

from .events import Sample
from .track import Track

FIRST_GUESS = 256  # generated tokens expected of a sample before the run has seen one


@dataclass(slots=True)
class Pull:
    """One sample in flight."""

    draft: Draft
    question: int
    number: int
    thoughts: ThoughtTracker
    generated: int = 0
    text: str = ""  # where a thought may have to be closed
    closing: bool = False  # it was asked for its answer
    out_of_budget: bool = False
    thought_closed: bool = False
    spoke: bool = False  # its first token was evaluated
    paid: int = 0  # tokens of its prompt that an earlier part of the run evaluated, and this one recalls

    def cost(self, tokens: Tokens) -> int:
        """What it is billed but for the interruptions of its run, by which the allocator must not be moved."""
        return tokens.billed - max(0, self.draft.request.recall - tokens.reused) + self.paid

    def sample(self, event: Finished, answer: Answer | None) -> Sample:
        """What has become of it."""
        return Sample(
            number=self.number,
            kind=self.draft.kind,
            text=event.text,
            answer=answer.text if answer else None,
            key=answer.key if answer else None,
            tokens=event.tokens,
            finish="budget" if self.out_of_budget else event.reason,
            forced=self.closing,
            logprob=event.logprob,
            seen=self.draft.seen,
        )


class Forecast:
    """Expected generated tokens of samples: the question's own mean, shrunk to the run's by one sample."""

    def __init__(self, max_tokens: int) -> None:
        self.samples = 0
        self.generated = 0
        self._guess = min(FIRST_GUESS, max_tokens)

    def finished(self, generated: int) -> None:
        self.samples += 1
        self.generated += generated

    def length(self, track: Track) -> float:
        """Of one more sample of this question."""
        run = self.generated / self.samples if self.samples else self._guess
        return (track.generated + run) / (len(track.samples) + 1)

    def remaining(self, pull: Pull, track: Track) -> float:
        """Of a pull in flight. One that has outlived the mean is expected to go on for a quarter of it."""
        if pull.closing:  # it pays out of its reserve
            return 0.0
        mean = self.length(track)
        return max(mean - pull.generated, mean / 4)
