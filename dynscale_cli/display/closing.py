"""The last line on stderr: what a run did and what it cost."""

from __future__ import annotations

from dynscale_cli.display.words import count
from dynscale_cli.run.events import RunFinished


def closing_line(event: RunFinished) -> str:
    """Questions, settled, unanswered; tokens prompt, generated, reused; budget left; seconds and tokens a second."""
    tokens = event.tokens
    parts = [f"{count(event.questions, 'question')}, {event.settled:,} settled, {event.unanswered:,} unanswered"]
    billed = f"{tokens.prompt:,} prompt + {tokens.generated:,} generated"
    parts.append(f"{count(tokens.billed, 'token')} ({billed}; {tokens.reused:,} reused)")
    if event.lost:
        parts.append(f"{count(event.lost, 'token')} lost with samples that were not kept")
    left = event.budget - tokens.billed - event.lost
    parts.append(f"{max(0, left):,} of {event.budget:,} left")
    if left < 0:
        parts.append(f"{count(-left, 'token')} beyond the budget, which the server spent unasked")
    parts.append(f"{event.seconds:.1f} s")
    if event.seconds > 0:
        parts.append(f"{tokens.generated / event.seconds:,.0f} tokens/s")
    return ("interrupted: " if event.interrupted else "") + " · ".join(parts)
