"""Lines at the bottom of a terminal, redrawn in place; what is printed meanwhile stays above them.

Owns every control sequence that this program sends: cursor, colours, erasing. Must not know what the lines mean.

Nothing flickers: a line that is the same is not written again, one that changed is written over itself, and a terminal
that can (mode 2026) shows each drawing at once. Nothing breaks where a terminal takes a character for wider than we do:
lines do not wrap while they are drawn, and what follows such a character is put where its column begins.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TextIO, TypeAlias

from rich.cells import cell_len

from dynscale_cli.display.safe import sayable

Span: TypeAlias = tuple[str, str]  # text, style
Line: TypeAlias = Sequence[Span]
Size: TypeAlias = tuple[int, int]  # columns, rows

COLORS: Final = {"red": "31", "green": "32", "cyan": "36"}
SHADES: Final = {"bold": "1", "dim": "2"}
UNKNOWN: Final[Size] = (80, 24)
_SURE: Final = frozenset(map(chr, range(32, 127))) | set(
    "━─…·•✓✗"
)  # one cell wide, as far as terminals agree on anything

_BEGIN: Final = "\x1b[?2026h\x1b[?7l"  # show nothing until the end; do not wrap
_END: Final = "\x1b[?7h\x1b[?2026l"
_HIDE: Final = "\x1b[?25l"
_RESTORE: Final = _END + "\x1b[?25h"

_borrowed: set[int] = set()  # descriptors of terminals that something is drawn on


def borrow(err: TextIO, *, ours: bool) -> bool:
    """Note whether something is drawn on this terminal just now; whether that is news."""
    try:
        descriptor = err.fileno()
    except (OSError, ValueError):
        descriptor = -1
    news = (descriptor in _borrowed) != ours
    (_borrowed.add if ours else _borrowed.discard)(descriptor)
    return news


def put_back() -> None:
    """Leave every terminal as it was found, in one go: for a process that ends at once."""
    for descriptor in _borrowed:
        with contextlib.suppress(OSError):
            os.write(descriptor, f"{_RESTORE}\r\n".encode())


class Painter:
    """Draws on one terminal. Errors of the terminal are the caller's: OSError or ValueError."""

    def __init__(self, err: TextIO, *, color: bool = True, size: Callable[[], Size] | None = None) -> None:
        self._err = err
        self._styles = SHADES | COLORS if color else SHADES
        self.size = size or (lambda: window(err))
        self.encoding = getattr(err, "encoding", None) or "utf-8"
        self._lines: list[Line] = []  # on the terminal now, the cursor behind the last
        self._width = 0  # of the window when they were drawn

    def paint(self, lines: Sequence[Line]) -> None:
        """Put these lines in the place of those that were drawn last."""
        width, rows = self.size()
        out = [_BEGIN, "" if self._lines else _HIDE]
        if self._lines and width != self._width:
            out.append(self._erased(width, rows))
        out.append(_up(len(self._lines) - 1))
        for place, line in enumerate(lines):
            out.append("\r\n" if place else "")
            if place >= len(self._lines) or line != self._lines[place]:
                out.append(self._rendered(line))
        out += ["\x1b[J" if len(lines) < len(self._lines) else "", _END]
        self._lines, self._width = list(lines), width
        borrow(self._err, ours=True)
        self._write("".join(out))

    def clear(self, *, show_cursor: bool = True) -> None:
        """Take the lines away; what comes next is written where they began."""
        shown = bool(self._lines)
        out = self._erased(*self.size()) if shown else ""
        self._lines = []
        if show_cursor and borrow(self._err, ours=False):
            out += _RESTORE
        if out:
            self._write(out)

    def forget(self) -> None:
        """Somebody else has written below the lines: leave them, and begin anew."""
        self._lines = []

    def say(self, line: str) -> None:
        """Print a line where the view is not: call `clear` before."""
        self._write(line + "\n")

    def _erased(self, width: int, rows: int) -> str:
        """Erase what was drawn. A window that became narrower has wrapped it: there is more to go up over."""
        sizes = [sum(cell_len(text) for text, _ in line) for line in self._lines]
        height = sum(max(1, -(-size // max(1, width))) for size in sizes)
        self._lines = []
        return f"{_up(min(height, max(1, rows)) - 1)}\x1b[J"

    def _rendered(self, line: Line) -> str:
        """A line from its first column on, and nothing of what stood there before."""
        out, column, sure = [], 0, True
        for text, style in line:
            said = sayable(text, self.encoding)
            codes = ";".join(self._styles[word] for word in style.split() if word in self._styles)
            place = "" if sure else f"\x1b[{column + 1}G"
            out.append(f"{place}\x1b[{codes}m{said}\x1b[0m" if codes and said.strip() else place + said)
            column += cell_len(text)
            sure = sure and said == text and (text.isascii() or not set(text) - _SURE)
        return "".join(out) + "\x1b[K" if sure else "\x1b[2K" + "".join(out)

    def _write(self, text: str) -> None:
        self._err.write(sayable(text, self.encoding))
        self._err.flush()


def _up(lines: int) -> str:
    return f"\r\x1b[{lines}A" if lines > 0 else "\r"


def window(err: TextIO, environ: Mapping[str, str] = os.environ) -> Size:
    """The size of the terminal; where it does not say, what COLUMNS and LINES say, or 80 by 24."""
    try:
        columns, rows = os.get_terminal_size(err.fileno())
    except (OSError, ValueError):
        columns = rows = 0
    told = (_number(environ.get(name, "")) for name in ("COLUMNS", "LINES"))
    return tuple(size or more or usual for size, more, usual in zip((columns, rows), told, UNKNOWN, strict=True))  # type: ignore[return-value]


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def in_front(err: TextIO) -> bool:
    """Whether the terminal is ours to draw on: not while the shell has put us into the background."""
    try:
        return os.tcgetpgrp(err.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # Windows; a terminal that does not control us
        return True
