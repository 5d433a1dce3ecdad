"""Numbers and verdicts in words, the same in every display. Pure; every text that enters is made plain here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dynscale_cli.display.safe import plain
from dynscale_cli.run.events import Result

LONGEST: Final = 60  # characters of an answer in a line
REASON: Final = 160  # of an error, whose end often says what to do


def short(text: str, limit: int = LONGEST) -> str:
    """One plain line of at most `limit` characters."""
    text = plain(text[: 8 * limit])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def amount(number: float) -> str:
    """A whole number with separators, or one decimal: votes may be halves."""
    return f"{number:,.0f}" if abs(number - round(number)) < 0.05 else f"{number:,.1f}"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def votes(tally: Mapping[str, float]) -> str:
    """How the leader stands: `5 of 6 votes`."""
    if not tally:
        return "no votes"
    total = sum(tally.values())
    return f"{amount(max(tally.values()))} of {amount(total)} {'vote' if total == 1 else 'votes'}"


def sure(confidence: float | None) -> str:
    """`97% sure`; never 100%, since no number of votes makes it so. Nothing below two votes."""
    return f"{percent(confidence)} sure" if confidence is not None else ""


def percent(share: float | None) -> str:
    """`97%`, or nothing where it is not known."""
    if share is None:
        return ""
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def clock(seconds: float) -> str:
    """`42 s`, `2:05`, `1:02:05`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def roughly(seconds: float) -> str:
    """A time that is only estimated, no finer than it is known: `42 s`, `2:05`, `14 min`, `3 h 20 min`."""
    if seconds < 60:
        return clock(seconds)
    if seconds < 600:
        return clock(5 * round(seconds / 5))
    minutes = round(seconds / 60) if seconds < 3600 else 5 * round(seconds / 300)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def stopped(result: Result) -> str:
    """Why a question got no more samples, in a word or two; for an error, what it was."""
    return short(result.error, REASON) if result.stopped == "error" and result.error else result.stopped
