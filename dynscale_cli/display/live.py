"""The live view on stderr's terminal, and bars of what takes long, drawn at most eight times a second.

Owns when to draw and how it gets onto the terminal, and getting out of the way: of what else is printed, of the shell
after Ctrl-Z. What is drawn is `view`'s business. It has no thread of its own: decode steps come every few milliseconds,
and a thread would draw between answers. Nothing that a terminal does ends a run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Final, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.progress import Progress, ProgressColumn, TaskID
from rich.segment import ControlType, Segment
from rich.style import Style

from dynscale_cli.display.answers import Verdicts
from dynscale_cli.display.board import Board, Pace
from dynscale_cli.display.lines import Display, Score, closing_lines
from dynscale_cli.display.text import borrow, in_front, is_pipe, plain, sayable
from dynscale_cli.display.view import ASCII, FINE, Line, Reading, draw
from dynscale_cli.run.events import Answered, Event, Notice, RunFinished, Stepped


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
        borrow(self._console.file, ours=True, alone=not is_pipe(sys.stdout))
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


INTERVAL: Final = 1 / 8  # seconds between two drawings


class Bar(Progress):
    """A bar of Rich's that is drawn as it moves, and leaves the terminal to the shell at any time.

    The cursor stays to be seen, since Ctrl-Z may come at any time, and nothing is drawn in the background.
    """

    def __init__(self, *columns: str | ProgressColumn, console: Console, transient: bool = False) -> None:
        super().__init__(*columns, console=console, transient=transient, auto_refresh=False, redirect_stdout=False)
        self._drawn = float("-inf")

    def start(self) -> None:
        super().start()
        self.console.show_cursor(True)

    def stop(self) -> None:
        borrow(self.console.file, ours=False)
        super().stop()

    def moves(self, task: TaskID, **changes: Any) -> None:
        self.update(task, **changes)
        now = time.monotonic()
        if now - self._drawn >= INTERVAL and in_front(self.console.file):
            self._drawn = now
            borrow(self.console.file, ours=True, alone=not is_pipe(sys.stdout))
            self.refresh()


REST: Final = 1.0  # seconds between two times that the view goes away for somebody else to write
MOST_ROWS: Final = 200  # of the table that stays: who asks more reads the answers elsewhere


class LiveView(Display):
    """A display that redraws itself while events come in; `handle` costs a microsecond when it does not."""

    live = True

    def __init__(
        self,
        err: TextIO,
        *,
        color: bool = True,
        show: bool = False,
        verdicts: Verdicts | None = None,
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
    ) -> None:
        super().__init__(err)
        self._terminal = err
        self._frame = Frame(err, color=color, console=console)
        self._board = Board(keep_text=show)
        self._pace = Pace()
        self._score = Score()
        self._verdicts, self._rows = verdicts, list[str]()
        self._clock = clock
        self._drawn = float("-inf")
        self._glyphs = FINE if "utf" in self._frame.encoding.lower() else ASCII
        self._held: list[Callable[[], None]] = []  # what is to be written above the view
        self._pause = self._held_until = 0.0  # where somebody else writes it to this terminal: how long that may take
        self._asked_to_stop = self._came_back = False
        self._handlers: dict[int, Any] = {}

    def handle(self, event: Event) -> None:
        """Take an event in; draw if it is time to. Notices and the closing line are printed above the view."""
        self._board.apply(event)
        if self._asked_to_stop:
            self._suspend()
        if isinstance(event, Stepped):
            now = self._clock()
            if now - self._drawn >= INTERVAL:
                self._pace.read(now, event.generated, event.spent, self._board.answered)
                self._draw(now)
        elif isinstance(event, Notice):
            self.aside(lambda: self._frame.say(f"dynscale: {plain(event.message)}"))
        elif isinstance(event, Answered):
            self._score.take(event.result)
            if self._verdicts is not None and len(self._rows) < MOST_ROWS:
                self._rows.append(self._verdicts.row(event.result))
        elif isinstance(event, RunFinished):
            self._release()
            self._leave_verdicts(event.questions)
            for line in closing_lines(event, self._score):
                self._frame.say(line)

    def _leave_verdicts(self, questions: int) -> None:
        """What stays when the view has gone."""
        if self._verdicts is None or not self._rows:
            return
        for line in (self._verdicts.head() + "".join(self._rows)).rstrip("\n").split("\n"):
            self._frame.say(line)
        if questions > len(self._rows):
            self._frame.say(f"… and {questions - len(self._rows):,} more")

    def aside(self, write: Callable[[], None], *, pause: float = 0.0) -> None:
        """Run what writes to the same terminal, with the view out of its way for `pause` seconds more.

        What comes thick and fast is held back until the next drawing, so that the view is moved once for all of it.
        """
        self._held.append(write)
        self._pause = max(self._pause, pause)
        now = self._clock()
        if now - self._drawn >= INTERVAL:
            self._draw(now)

    def __enter__(self) -> LiveView:
        self._watch()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._release()
        finally:
            self._unwatch()

    def _draw(self, now: float) -> None:
        self._drawn = now
        if self._came_back:
            self._came_back = False
            self._frame.forget()
        if self._held and now >= self._held_until:
            self._release()
            if self._pause:
                self._drawn, self._held_until, self._pause = now + self._pause, now + REST, 0.0
                return
        if in_front(self._terminal):
            columns, rows = self._frame.size()
            # The last column stays empty: some terminals have wrapped before it is clear that nothing follows.
            self._frame.draw(draw(self._board, self._reading(now), columns - 1, rows, self._glyphs))
        else:
            self._frame.forget()

    def _reading(self, now: float) -> Reading:
        board = self._board
        if board.started is None or board.step is None:
            return Reading()
        left = self._pace.left(now, board.started.budget - board.step.spent, board.started.questions - board.answered)
        return Reading(self._pace.speed(), left, self._pace.sure)

    def _release(self) -> None:
        """Take the view away, and write what was held back."""
        self._frame.clear()
        while self._held:
            self._held.pop(0)()

    # Ctrl-Z, and what follows

    def _watch(self) -> None:
        """Hear of Ctrl-Z and of coming back; only note it, since a handler may interrupt a drawing."""
        if hasattr(signal, "SIGTSTP") and threading.current_thread() is threading.main_thread():
            for number, note in ((signal.SIGTSTP, self._note_stop), (signal.SIGCONT, self._note_return)):
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._handlers[number] = signal.signal(number, note)

    def _unwatch(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _note_stop(self, number: int, frame: FrameType | None) -> None:
        self._asked_to_stop = True

    def _note_return(self, number: int, frame: FrameType | None) -> None:
        self._came_back = True

    def _suspend(self) -> None:
        """Hand the terminal back as it was, stop as any process does, and go on where the time stood still."""
        self._asked_to_stop = False
        self._release()
        began = self._clock()
        with self._unheard():
            signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)
        self._pace.skip(self._clock() - began)
        self._came_back = True
        self._drawn = float("-inf")

    @contextlib.contextmanager
    def _unheard(self) -> Iterator[None]:
        ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            yield
        finally:
            signal.signal(signal.SIGTSTP, ours)
