"""The view's lines on a terminal, by Rich's `Live`: drawn in place, taken away, or left behind.

Owns when Rich is asked to write: once for each frame, and not at all for one that is as the last. Must not know what
the lines mean. Errors of the terminal end here: what could not be written is forgotten.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.style import Style

from dynscale_cli.display.safe import sayable
from dynscale_cli.display.terminal import borrow
from dynscale_cli.display.view import Line


class Mode(Control):
    """A switch of the terminal that Rich has no name for."""

    def __init__(self, text: str) -> None:
        self.segment = Segment(text, None, [])


BEGIN: Final = Mode("\x1b[?2026h\x1b[?7l")  # show nothing until the end, where a terminal can; do not wrap
END: Final = Mode("\x1b[?7h\x1b[?2026l")
ERASED_ABOVE: Final = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))


class Frame:
    """What stands at the bottom of one terminal. To Rich, it is the renderable of its `Live`."""

    def __init__(self, err: TextIO, *, color: bool = True, console: Console | None = None) -> None:
        self._console = console or Console(
            file=err, force_terminal=True, force_interactive=True, no_color=not color,
            highlight=False, markup=False, emoji=False,
        )  # fmt: skip
        self._live: Live | None = None
        self._lines: Sequence[Line] = []  # as drawn last, in a window of `_size`
        self._size = self._console.size

    @property
    def encoding(self) -> str:
        return self._console.encoding

    def size(self) -> ConsoleDimensions:
        """Of the window now. This terminal's own word, before that of the other streams or of the environment."""
        with contextlib.suppress(OSError, ValueError):
            columns, rows = os.get_terminal_size(self._console.file.fileno())
            if columns and rows:
                self._console.size = ConsoleDimensions(columns, rows)
        return self._console.size

    def draw(self, lines: Sequence[Line]) -> None:
        """Put these lines in the place of those that were drawn last."""
        size = self._console.size
        if (lines, size) == (self._lines, self._size) and (self._live is not None or not lines):
            return
        if size.width < self._size.width:
            self.clear()
        self._lines, self._size = lines, size
        with self._whole():
            if self._live is None:
                self._live = self._begun()
            self._live.refresh()

    def clear(self) -> None:
        """Take the lines away and show the cursor; what comes next is written where they began."""
        live, self._live = self._live, None
        wrapped, self._lines = self._wrapped(), []
        cursor_is_hidden = borrow(self._console.file, ours=False)
        if live is not None:
            with self._whole():
                live.stop()
                self._console.control(Control(*ERASED_ABOVE * wrapped))
        elif cursor_is_hidden:
            with self._forgiven():
                self._console.show_cursor(True)

    def forget(self) -> None:
        """Somebody else has written below the lines: leave them, and begin anew. So for what could not be written."""
        live, self._live = self._live, None
        with contextlib.suppress(OSError, ValueError), self._console.capture():
            if live is not None:
                live.stop()

    def say(self, line: str) -> None:
        """Print a line where the view is not: call `clear` before."""
        with self._forgiven():
            self._console.print(sayable(line, self.encoding), soft_wrap=True, highlight=False, markup=False)

    def _begun(self) -> Live:
        """A new `Live` each time: one that has been stopped still believes that its old lines are above the cursor."""
        live = Live(
            self, console=self._console, auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop",
        )  # fmt: skip
        live.start()
        borrow(self._console.file, ours=True)
        return live

    def _wrapped(self) -> int:
        """How many rows more than lines there are: a window that became narrower has wrapped what was drawn."""
        width = max(1, self.size().width)
        sizes = [sum(cell_len(text) for text, _ in line) for line in self._lines]
        return sum((size - 1) // width for size in sizes if size)

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Write in one go, and let it be shown so."""
        with self._forgiven(), self._console:
            self._console.control(BEGIN)
            yield
            self._console.control(END)

    @contextlib.contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            self.forget()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            column = 0
            for text, style in line:
                yield Segment(sayable(text, self.encoding), Style.parse(style) if style else None)
                column += cell_len(text)
                if not text.isascii():  # terminals differ over how wide that is
                    yield Control.move_to_column(column).segment
