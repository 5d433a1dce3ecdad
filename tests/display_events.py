"""A run made up for the displays: the events that a real one of so many questions would yield, without an engine."""

from __future__ import annotations

import random
from collections.abc import Iterator

from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.run.events import (
    Answered,
    Event,
    KindReport,
    Result,
    RunFinished,
    RunStarted,
    Sample,
    SampleFinished,
    SampleStarted,
    SampleText,
    Standing,
    Stepped,
    Stopped,
)

WIDTH = 16
EACH = 120  # tokens of a sample


def result(index: int = 0, answer: str | None = "42", **changes: object) -> Result:
    votes = {answer: 5.0, "41": 1.0} if answer is not None else {}
    fields: dict[str, object] = {
        "id": f"q{index + 1}", "index": index, "question": f"What is {index} + 25?", "answer": answer,
        "confidence": 0.97, "votes": votes, "samples": 6, "tokens": Tokens(112, 500, 300), "stopped": "settled",
        "forced": 1, "seed": 7, "model": "tiny", "seconds": 1.5,
        "kinds": {"parallel": KindReport(4, 400, 0.61), "chain": KindReport(2, 212)},
    }  # fmt: skip
    return Result(**{**fields, **changes})  # type: ignore[arg-type]


def sample(number: int, answer: str | None = "42") -> Sample:
    return Sample(number, "parallel", f"so {answer}", answer, answer, Tokens(10, EACH), "stop")


def run(
    questions: int, *, budget: int = 0, samples: int = 4, text: str = "Let me see. ", seed: int = 0
) -> Iterator[Event]:
    """Questions go through WIDTH slots in order; each settles after `samples` samples, mostly on one answer."""
    dice = random.Random(seed)
    budget = budget or questions * samples * (EACH + 10) * 2
    yield RunStarted(questions, budget, WIDTH, 2048, "SmolLM2-135M-Instruct")
    spent = generated = settled = 0
    for first in range(0, questions, WIDTH // samples):
        group = range(first, min(questions, first + WIDTH // samples))
        votes: dict[int, dict[str, float]] = {index: {} for index in group}
        for index in group:
            for number in range(samples):
                standing = Standing(pending=number + 1)
                question = f"What is {index} + 25? 二加二 🧮"
                yield SampleStarted(index, f"q{index + 1}", question, number, "parallel", standing)
        for step in range(EACH):
            for index in group:
                if step % 8 == 0:
                    yield SampleText(index, step % samples, text, False)
            spent, generated = spent + len(group) * samples, generated + len(group) * samples
            yield Stepped(spent, 40, generated, len(group) * samples, settled, 0.25)
        for number in range(samples):
            for index in group:
                answer = str(index + 25) if dice.random() < 0.8 else "不知道" if dice.random() < 0.5 else "👩‍👩‍👧 wide"
                votes[index][answer] = votes[index].get(answer, 0) + 1
                ranked = tuple(sorted(votes[index].items(), key=lambda item: -item[1]))
                standing = Standing(number + 1, samples - number - 1, ranked, 0.5 + ranked[0][1] / 2 / samples)
                yield SampleFinished(index, sample(number, answer), standing)
        for index in group:
            settled += 1
            leader = max(votes[index], key=lambda answer: votes[index][answer])
            stopped: Stopped = "settled" if dice.random() < 0.9 else "budget"
            yield Answered(result(index, leader, votes=votes[index], stopped=stopped))
        yield Stepped(spent, 0, generated, 0, settled, 0.25)
    kinds = {"parallel": KindReport(questions * samples, spent, 0.61), "chain": KindReport()}
    yield RunFinished(questions, settled, 0, Tokens(0, generated, 0), budget, 12.5, kinds=kinds)
