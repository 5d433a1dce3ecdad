"""Which display a run gets, by what stderr is and what the user said."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, TextIO

from dynscale_cli.display.lines import Lines, Quiet
from dynscale_cli.run.events import Event


class Display(Protocol):
    """Consumes a run's events. A context manager, so that a terminal is always put back in order."""

    def handle(self, event: Event) -> None:
        """Take an event in. Never raises for a terminal that went away."""

    def aside(self, write: Callable[[], None]) -> None:
        """Run what writes to the same terminal with the view out of its way."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def choose_display(
    err: TextIO | None,
    *,
    quiet: bool = False,
    color: bool = True,
    show: bool = False,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.monotonic,
) -> Display:
    """Nothing for `quiet` or a closed stderr; a live view on a terminal that can do it; else plain lines.

    `color` is off for --no-color; NO_COLOR has the same effect. `show` adds the text of samples: in the view as it is
    generated, one sample at a time; in plain lines each sample when it is done.
    """
    if quiet or err is None:
        return Quiet()
    if not can_redraw(err, environ):
        return Lines(err, show=show)
    from dynscale_cli.display.live import LiveView  # rich takes 0.1 s to import

    return LiveView(err, color=color and not environ.get("NO_COLOR"), show=show, clock=clock)


def can_redraw(err: TextIO, environ: Mapping[str, str]) -> bool:
    """A terminal that understands cursor movement, with somebody looking at it."""
    try:
        terminal = err.isatty()
    except ValueError:  # closed
        return False
    watched = environ.get("CI", "").lower() in ("", "0", "false")
    understands = os.name == "nt" or environ.get("TERM", "") not in ("", "dumb", "unknown")  # Rich knows Windows
    return terminal and watched and understands
