"""What a user is told while nothing happens yet: a line on the terminal that goes away by itself.

Owns when such a line is worth showing: not before a wait has become long, and never outside a terminal.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Final, TextIO

from dynscale_cli.display.choose import can_redraw
from dynscale_cli.display.paint import borrow, in_front
from dynscale_cli.display.safe import plain, sayable

PATIENCE: Final = 1.5  # seconds of silence that nobody wonders about


@contextlib.contextmanager
def waiting(err: TextIO | None, text: str, *, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Show `text` while the block runs, if it takes long and somebody is looking."""
    if err is None or not can_redraw(err, environ):
        yield
        return
    shown, lock = False, threading.Lock()

    def show() -> None:
        nonlocal shown
        with lock, contextlib.suppress(OSError, ValueError):
            if in_front(err):
                err.write(f"\x1b[?7l\x1b[2m{sayable(plain(text), err.encoding or 'utf-8')}\x1b[0m\x1b[?7h")
                err.flush()
                shown = borrow(err, ours=True)

    timer = threading.Timer(PATIENCE, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock, contextlib.suppress(OSError, ValueError):
            if shown:
                borrow(err, ours=False)
                err.write("\r\x1b[K")
                err.flush()
