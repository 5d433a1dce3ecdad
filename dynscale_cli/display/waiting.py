"""What a user is told while nothing happens yet: a line on the terminal that goes away by itself.

Owns when such a line is worth showing: not before a wait has become long, and never outside a terminal.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, TextIO

from dynscale_cli.display.choose import can_redraw
from dynscale_cli.display.safe import plain, sayable
from dynscale_cli.display.terminal import borrow, in_front

if TYPE_CHECKING:
    from rich.console import Console

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
