"""The live view on stderr's terminal: a Rich `Live`, drawn at most eight times a second.

Owns when to draw, and getting out of the way of what else is printed. What is drawn is `view`'s business. Answers go
to stdout themselves: Rich redirects nothing here. Nothing it does may end a run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.style import Style

from dynscale_cli.display.board import Board
from dynscale_cli.display.closing import closing_line
from dynscale_cli.display.pace import Pace
from dynscale_cli.display.safe import plain
from dynscale_cli.display.view import ASCII, FINE, Line, Reading, draw
from dynscale_cli.runs.events import Event, Notice, RunFinished, Stepped

if TYPE_CHECKING:
    pass

INTERVAL: Final = 1 / 8  # seconds between two drawings


class LiveView:
    """A display that redraws itself while events come in; `handle` costs a microsecond when it does not."""

    def __init__(
        self,
        err: TextIO,
        *,
        color: bool = True,
        show: bool = False,
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
    ) -> None:
        self._console = console or Console(file=err, no_color=not color, highlight=False, markup=False, emoji=False)
        self._board = Board(keep_text=show)
        self._pace = Pace()
        self._clock = clock
        self._drawn = float("-inf")
        self._glyphs = FINE if "utf" in self._console.encoding.lower() else ASCII
        self._live: Live | None = None
        self._last: list[Line] = []  # as drawn, at the width `_width`
        self._width = self._console.width

    def handle(self, event: Event) -> None:
        """Take an event in; draw if it is time to. Notices and the closing line are printed above the view."""
        self._board.apply(event)
        if isinstance(event, Stepped):
            now = self._clock()
            if now - self._drawn >= INTERVAL:
                self._pace.read(now, event.generated, event.spent)
                self._draw(now)
        elif isinstance(event, Notice):
            self.aside(lambda: self._print(f"dynscale: {plain(event.message)}"))
        elif isinstance(event, RunFinished):
            self._stop()
            self._print(closing_line(event))

    def aside(self, write: Callable[[], None]) -> None:
        """Take the view off the terminal, run what writes there, and put it back below."""
        running = self._live is not None
        self._stop()
        try:
            write()
        finally:
            if running:
                self._start()

    def __enter__(self) -> LiveView:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _lines(self, width: int, height: int) -> list[Line]:
        board, now = self._board, self._clock()
        left = None
        if board.started and board.step:
            remaining = board.started.budget - board.step.spent
            left = self._pace.left(now, remaining, board.answered, board.started.questions - board.answered)
        self._last, self._width = draw(board, Reading(self._pace.speed(), left), width, height, self._glyphs), width
        return self._last

    def _draw(self, now: float) -> None:
        self._drawn = now
        if self._live is not None:
            with contextlib.suppress(OSError, ValueError):
                if self._console.width < self._width:
                    self._erase_wrapped()
                self._live.refresh()

    def _erase_wrapped(self) -> None:
        """In a window that became narrower, the terminal has wrapped the old lines: Rich would go up too few."""
        width = max(1, self._console.width)
        sizes = [sum(cell_len(text) for text, _ in line) for line in self._last]
        self._stop()
        if extra := sum((size - 1) // width for size in sizes if size):
            self._console.file.write(f"\x1b[{extra}A\x1b[J")
        self._start()

    def _start(self) -> None:
        """A new `Live` each time: one that has been stopped still believes that its old lines are above the cursor.

        It has no thread of its own: decode steps come every few milliseconds anyway, and a thread would draw between
        answers.
        """
        with contextlib.suppress(OSError, ValueError):
            self._live = Live(
                _Frame(self._lines, self._console.encoding), console=self._console, auto_refresh=False, transient=True,
                redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop",
            )  # fmt: skip
            self._live.start(refresh=self._board.started is not None)

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(OSError, ValueError):
                live.stop()

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)


class _Frame:
    """What Rich asks for the lines of the view: at the size the window has at that moment."""

    def __init__(self, lines: Callable[[int, int], list[Line]], encoding: str) -> None:
        self._lines = lines
        self._encoding = encoding

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return self._segments(self._lines(*console.size))

    def _segments(self, lines: list[Line]) -> Iterator[Segment]:
        for number, line in enumerate(lines):
            if number:
                yield Segment.line()
            for text, style in line:
                sayable = text.encode(self._encoding, "replace").decode(self._encoding)
                yield Segment(sayable, Style.parse(style) if style else None)
