"""Whose a terminal is just now, what it can do, and a line for whoever waits before there is a view.

Owns what Rich does not do: staying quiet in the background, and giving terminals back when the process ends at once.
Imports nothing that costs time, for whoever waits imports it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Final, TextIO

from dynscale_cli.display.text import plain, sayable

if TYPE_CHECKING:
    from rich.console import Console


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


def can_redraw(err: TextIO, environ: Mapping[str, str]) -> bool:
    """A terminal that understands cursor movement, with somebody looking at it."""
    try:
        terminal = err.isatty()
    except ValueError:  # closed
        return False
    watched = environ.get("CI", "").lower() in ("", "0", "false")
    understands = os.name == "nt" or environ.get("TERM", "") not in ("", "dumb", "unknown")  # Rich knows Windows
    return terminal and watched and understands


PATIENCE: Final = 1.5  # seconds of silence that nobody wonders about


@contextlib.contextmanager
def waiting(err: TextIO | None, text: str, *, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Show `text` while the block runs, if it takes long and somebody is looking."""
    if err is None or not can_redraw(err, environ):
        yield
        return
    console: Console | None = None
    lock = threading.Lock()

    def show() -> None:
        nonlocal console
        with lock, contextlib.suppress(OSError, ValueError):
            if in_front(err):
                console = _said(err, text)

    timer = threading.Timer(PATIENCE, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock, contextlib.suppress(OSError, ValueError):
            if console is not None:
                _erase(console)


def _said(err: TextIO, text: str) -> Console:
    """The cursor stays where it can be seen, for Ctrl-Z may come at any time: so this is no `Live`."""
    from rich.console import Console  # there is time now
    from rich.text import Text

    console = Console(file=err, force_terminal=True)
    line = sayable(plain(text), console.encoding)
    console.print(Text(line, "dim", no_wrap=True, overflow="ellipsis"), end="")
    borrow(err, ours=True)
    return console


def _erase(console: Console) -> None:
    from rich.control import Control
    from rich.segment import ControlType

    borrow(console.file, ours=False)
    console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
