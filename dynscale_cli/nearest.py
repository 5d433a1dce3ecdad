"""The known word that a mistyped one most likely meant. Knows nothing of what the words stand for."""

from __future__ import annotations

from collections.abc import Iterable

from dynscale_cli.errors import UsageError


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to `word` in spelling, or None where none is close."""
    from difflib import get_close_matches

    words = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(word.lower(), words, n=1, cutoff=0.6) or [name for name in words if _begins(name, word)]
    return words[found[0]] if len(found) == 1 else None


def choose(word: str, known: Iterable[str], name: str) -> str:
    """`word`, where it is known. Raises UsageError with the nearest one: `name` is the flag that took it."""
    known = list(known)
    if word in known:
        return word
    meant = nearest(word, known)
    hint = f"{name} {meant}" if meant else f"{name} takes one of {', '.join(known)}"
    raise UsageError(f"{name} {word}: unknown", hint)


def _begins(name: str, word: str) -> bool:
    return bool(word) and name.startswith(word.lower())
