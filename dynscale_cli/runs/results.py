"""How a question stands, and its outcome, as the records that leave a run.

Owns the making of `Standing` and `Result` from a track. Knows nothing of other questions or of the engine.
"""

from __future__ import annotations

from dynscale_cli.answers.equivalence import Equivalence, same_as_gold

from .events import KindReport, Result, Standing, Stopped
from .settings import Settings
from .track import Track


def standing(track: Track, pending: int, confidence: float, settled: bool) -> Standing:
    return Standing(len(track.samples), pending, track.shown, confidence, settled)


def result(
    track: Track,
    stopped: Stopped,
    *,
    confidence: float,
    settings: Settings,
    model: str,
    seconds: float,
    equivalence: Equivalence,
    kinds: dict[str, KindReport],
) -> Result:
    """A question's outcome. A leader less sure than `settings.abstain_below` is no answer."""
    question, leader = track.question, track.tally.leader if track.tally else None
    answer = leader.text if leader and confidence >= settings.abstain_below else None
    if track.samples and leader is None and stopped in ("budget", "limit"):
        stopped = "no answer"
    correct = None
    if question.gold is not None:
        correct = answer is not None and same_as_gold(answer, question.gold, track.kind, question.choices, equivalence)
    return Result(
        id=question.id,
        index=question.index,
        question=question.text,
        answer=answer,
        confidence=round(confidence, 6),
        votes={text: round(weight, 6) for text, weight in track.shown},
        samples=len(track.samples),
        tokens=track.tokens,
        stopped=stopped,
        forced=track.forced,
        seed=settings.seed,
        model=model,
        seconds=round(seconds, 3),
        error=track.error,
        kinds=kinds,
        gold=question.gold,
        correct=correct,
        prompts=settings.prompts.version,
    )
