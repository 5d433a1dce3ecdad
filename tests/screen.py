"""A terminal as somebody in front of it sees it: pyte's, with what has scrolled off its top."""

from __future__ import annotations

import io
import re

import pyte
from rich.console import Console, ConsoleDimensions


class Screen(io.StringIO):
    """A stream that writes on a terminal of this size. `console` is Rich's on it.

    `written` counts characters, control sequences included.
    """

    encoding = "utf-8"

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__()
        self.terminal = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.Stream(self.terminal)
        self.console = Console(file=self, force_terminal=True, force_interactive=True, width=columns, height=rows)
        self.written = 0

    def write(self, text: str) -> int:
        self.written += len(text)
        self._stream.feed(re.sub(r"(?<!\r)\n", "\r\n", text))
        return len(text)

    def shown(self) -> list[str]:
        """All lines down to the last that is not empty; what has scrolled off comes first."""
        width = self.terminal.columns
        above = ["".join(line[column].data for column in range(width)) for line in self.terminal.history.top]
        lines = [line.rstrip() for line in (*above, *self.terminal.display)]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def at_rest(self) -> bool:
        """Whether it is as a shell expects it: the cursor to be seen, at the start of a line, and lines wrapped."""
        cursor, wraps = self.terminal.cursor, pyte.modes.DECAWM in self.terminal.mode
        return not cursor.hidden and cursor.x == 0 and wraps

    def resize(self, columns: int, rows: int) -> None:
        """Without wrapping what is there anew, as xterm does it."""
        self.terminal.resize(rows, columns)
        self.console.size = ConsoleDimensions(columns, rows)


def seen(written: str, columns: int = 80, rows: int = 24) -> list[str]:
    """The lines of a terminal after all that was written."""
    screen = Screen(columns, rows)
    screen.write(written)
    return screen.shown()
