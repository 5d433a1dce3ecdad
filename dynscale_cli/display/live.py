"""The live view on stderr's terminal, drawn at most eight times a second.

Owns when to draw, and getting out of the way: of what else is printed, of the shell after Ctrl-Z. What is drawn is
`view`'s business, how it gets onto the terminal `frame`'s. It has no thread of its own: decode steps come every few
milliseconds, and a thread would draw between answers. Nothing that a terminal does ends a run.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Final, TextIO

from rich.console import Console

from dynscale_cli.display.board import Board
from dynscale_cli.display.closing import closing_line
from dynscale_cli.display.frame import Frame
from dynscale_cli.display.pace import Pace
from dynscale_cli.display.safe import plain
from dynscale_cli.display.terminal import in_front
from dynscale_cli.display.view import ASCII, FINE, Reading, draw
from dynscale_cli.run.events import Event, Notice, RunFinished, Stepped

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
        self._err = err
        self._frame = Frame(err, color=color, console=console)
        self._board = Board(keep_text=show)
        self._pace = Pace()
        self._clock = clock
        self._drawn = float("-inf")
        self._glyphs = FINE if "utf" in self._frame.encoding.lower() else ASCII
        self._held: list[Callable[[], None]] = []  # what is to be written above the view
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
        elif isinstance(event, RunFinished):
            self._release()
            self._frame.say(closing_line(event))

    def aside(self, write: Callable[[], None]) -> None:
        """Run what writes to the same terminal, with the view out of its way.

        What comes thick and fast is held back until the next drawing, so that the view is moved once for all of it.
        """
        self._held.append(write)
        now = self._clock()
        if now - self._drawn >= INTERVAL:
            self._draw(now)

    def __enter__(self) -> LiveView:
        self._watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._release()
        finally:
            self._unwatch()

    def _draw(self, now: float) -> None:
        self._drawn = now
        if self._came_back:
            self._came_back = False
            self._frame.forget()
        if self._held:
            self._release()
        if in_front(self._err):
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
