"""Whose a terminal is just now: the shell's or ours, and whether something of ours is drawn on it.

Owns what Rich does not do: staying quiet in the background, and giving terminals back when the process ends at once.
Imports nothing that costs time, for whoever waits imports it.
"""

from __future__ import annotations

import contextlib
import os
from typing import IO, Final

RESTORE: Final = b"\x1b[?2026l\x1b[?7h\x1b[?25h\r\n"  # show what was held back; wrap; show the cursor

_borrowed: set[int] = set()  # descriptors of terminals that something is drawn on


def borrow(err: IO[str], *, ours: bool) -> bool:
    """Note whether something is drawn on this terminal just now; whether that is news."""
    try:
        descriptor = err.fileno()
    except (OSError, ValueError):
        descriptor = -1
    news = (descriptor in _borrowed) != ours
    (_borrowed.add if ours else _borrowed.discard)(descriptor)
    return news


def put_back() -> None:
    """Leave every terminal as it was found, past all buffers and locks: for a process that ends at once."""
    for descriptor in _borrowed:
        with contextlib.suppress(OSError):
            os.write(descriptor, RESTORE)


def in_front(err: IO[str]) -> bool:
    """Whether the terminal is ours to draw on: not while the shell has put us into the background."""
    try:
        return os.tcgetpgrp(err.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # Windows; a terminal that does not control us
        return True
