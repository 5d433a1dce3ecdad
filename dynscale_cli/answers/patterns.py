"""Answers by a regular expression of the user's, within a time limit.

Owns matching under a limit: a pattern such as `(a+)+$` may try for longer than anyone can wait. Python's matcher lets
signals through, so an alarm ends it where signals are to be had; elsewhere a shorter text is searched. Must not know
what an answer is for.
"""

from __future__ import annotations

import re
import signal
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dynscale_cli.answers.normalize import plain

SECONDS = 1.0  # that one completion's search may take
_REACH = 200_000
_UNTIMED_REACH = 2_000


class _TooLong(Exception):
    pass


def last_match(pattern: str, text: str) -> tuple[str, str] | None:
    """(key, text) of the last match's first group, or of all of it; None where nothing matches within the limit.

    A pattern that ignores case makes answers that differ in case one vote.
    """
    compiled = re.compile(pattern)
    try:
        with _limited() as timed:
            searched = text[-(_REACH if timed else _UNTIMED_REACH) :]
            last = next(iter(deque(compiled.finditer(searched), maxlen=1)), None)
    except _TooLong:
        return None
    if last is None:
        return None
    groups = [group for group in last.groups() if group is not None]
    said = (groups[0] if groups else last.group()).strip()
    key = " ".join(plain(said).split())
    if not said:
        return None
    return (key.casefold() if compiled.flags & re.IGNORECASE else key), said


@contextmanager
def _limited() -> Iterator[bool]:
    """Raises _TooLong inside after SECONDS; yields False where no alarm can be set."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield False
        return

    def stop(*_: Any) -> None:
        raise _TooLong

    previous = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        yield True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
