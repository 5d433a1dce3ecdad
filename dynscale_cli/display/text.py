"""Text for a terminal: what is safe to show, numbers in words, columns, lines on standard error; and whose it is now.

Owns what may reach a terminal raw: nothing that moves the cursor, sets a title or a clipboard, or turns the order
of the letters around; and what Rich does not do: staying quiet in the background, giving terminals back when the
process ends at once, a line for whoever waits before there is a view. Imports nothing that costs time. Knows nothing of
events or layout.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Final, TextIO

from dynscale_cli.errors import DynscaleError

if TYPE_CHECKING:
    from rich.console import Console

# Whole sequences first, so that their parameters vanish with them: operating system commands and other strings up to
# their terminator, then control sequences, then any other escape. What is cut short loses its ESC below.
_SEQUENCES: Final = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]"
)
_BREAKS: Final = re.compile(r"\r\n?|[\n\v\f\x85\u2028\u2029]")
_FORBIDDEN: Final = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f"  # controls
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks, overrides and isolates
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"  # byte order marks, annotations, tags
)
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")
# Valid in JSON as they are, but a terminal might act on them.
_RISKY: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACES: Final = re.compile(r"\s+")
_PLAINER: Final = str.maketrans({"…": "...", "·": "|", "×": "x", "━": "#", "─": "-", "•": "*", "✓": "+", "✗": "x"})


def plain(text: str) -> str:
    """`text` without control characters, escape sequences and bidi overrides, on one line, white space as one space."""
    return _SPACES.sub(" ", plain_lines(text)).strip()


def plain_lines(text: str) -> str:
    """Like `plain`, but line breaks stay, all as "\\n", and spaces stay as they are."""
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCES.sub("", text)
    text = _BREAKS.sub("\n", text).replace("\t", "    ")
    return _SURROGATES.sub("\ufffd", _FORBIDDEN.sub("", text))


def harmless(line: str) -> str:
    """A line of JSON as it is, but for characters that a terminal might act on: these are escaped."""
    return _RISKY.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def sayable(text: str, encoding: str) -> str:
    """`text` as far as `encoding` has letters for it: our own signs by their likes, what else is missing as "?"."""
    if text.isascii() or encoding.lower() in ("utf-8", "utf8"):
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAINER).encode(encoding, "replace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "replace").decode()
    return text


LONGEST: Final = 60  # characters of an answer in a line


def short(text: str, limit: int = LONGEST) -> str:
    """One plain line of at most `limit` characters."""
    text = plain(text[: 8 * limit])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(share: float | None) -> str:
    """`97%`, or nothing where it is not known; never 100% of what no number of votes makes certain."""
    if share is None:
        return ""
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def clock(seconds: float) -> str:
    """`42 s`, `2:05`, `1:02:05`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def roughly(seconds: float) -> str:
    """A time that is only estimated, no finer than it is known: `42 s`, `2:05`, `14 min`, `3 h 20 min`."""
    if seconds < 60:
        return clock(seconds)
    if seconds < 600:
        return clock(5 * round(seconds / 5))
    minutes = round(seconds / 60) if seconds < 3600 else 5 * round(seconds / 300)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def cut(text: str, cells: int) -> str:
    """One plain line of at most so many cells. What is too long loses its middle: questions often differ at the end."""
    text = plain(text if len(text) <= 4 * cells else f"{text[: 2 * cells]} {text[-2 * cells :]}")
    if width(text) <= cells:
        return text
    tail = _within(text[::-1], (cells - 1) * 2 // 5)[::-1]
    return f"{_within(text, cells - 1 - width(tail)).rstrip()}…{tail}"


def _within(text: str, cells: int) -> str:
    """As much of the text as fits."""
    if text.isascii():
        return text[: max(0, cells)]
    end = 0
    while end < len(text) and (cells := cells - width(text[end])) >= 0:
        end += 1
    return text[:end]


def joined(parts: Iterable[str], most: int = 80) -> list[str]:
    """Parts with a dot between, in as few lines as hold them."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 3 + len(part) <= most:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines


GAP: Final = "  "  # between two columns
LEAST: Final = 12  # cells below which no column is cut


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Each column as wide as its widest cell; those in `right` are flush right. Cells are made plain here."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = _widths(rows)
    return [GAP.join(_cells(row, widths, right)).rstrip() for row in rows]


def fitted(
    names: Sequence[str], rows: Iterable[Sequence[str]], cells: int, right: Collection[str], cuttable: Collection[str]
) -> list[str]:
    """Columns under their names, no wider than so many cells: those that can be cut lose the middles of their texts."""
    table = [list(names), *([plain(cell) for cell in row] for row in rows)]
    widths = _widths(table)
    loose = [place for place, name in enumerate(names) if name in cuttable]
    over = sum(widths) + len(GAP) * (len(names) - 1) - cells
    while over > 0 and widths[widest := max(loose, key=lambda place: widths[place])] > LEAST:
        widths[widest] -= 1
        over -= 1
    table = [[cut(cell, most) for cell, most in zip(row, widths, strict=True)] for row in table]
    return columns(table, [place for place, name in enumerate(names) if name in right])


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(width, column)) for column in zip(*rows, strict=True)]


def _cells(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> list[str]:
    gaps = [" " * (widest - width(cell)) for cell, widest in zip(row, widths, strict=True)]
    return [
        gap + cell if place in right else cell + gap for place, (cell, gap) in enumerate(zip(row, gaps, strict=True))
    ]


def width(text: str) -> int:
    """In cells of a terminal, of which a wide letter takes two."""
    if text.replace("…", "").isascii():  # rich takes a moment to import
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def report(error: DynscaleError) -> None:
    """Print an error as users see it. A closed stderr is nobody's fault."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"dynscale: {plain(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"  try: {plain(error.hint)}", file=sys.stderr)
        sys.stderr.flush()


def say(line: str) -> None:
    """One line on stderr, whatever has become of it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(plain_lines(line), file=sys.stderr, flush=True)


def hand_out(text: str) -> None:
    """Print what a program may want to have exactly, such as a path: plain on a terminal, as it is in a pipe."""
    print(plain(text) if sys.stdout.isatty() else text)


# --- whose a terminal is ------------------------------------------------------------------------------------------

RESTORE: Final = b"\x1b[?2026l\x1b[?7h\x1b[?25h\r\n"  # show what was held back; wrap; show the cursor

_borrowed: dict[int, bool] = {}  # descriptors of terminals that something is drawn on; whether we keep keys off them


def borrow(err: IO[str], *, ours: bool, alone: bool = False) -> bool:
    """Note whether something is drawn on this terminal just now; whether that is news.

    `alone`: keys that are pressed meanwhile do not show, since they would push what is drawn out of its place. The
    shell gets them afterwards, as ever.
    """
    try:
        descriptor = err.fileno()
    except (OSError, ValueError):
        descriptor = -1
    news = (descriptor in _borrowed) != ours
    if ours:
        _borrowed[descriptor] = (alone and _show_keys(descriptor, False)) or _borrowed.get(descriptor, False)
    elif _borrowed.pop(descriptor, False):
        _show_keys(descriptor, True)
    return news


def put_back() -> None:
    """Leave every terminal as it was found, past all buffers and locks: for a process that ends at once."""
    for descriptor, keys_are_off in list(_borrowed.items()):
        if keys_are_off:
            _show_keys(descriptor, True)
        with contextlib.suppress(OSError):
            os.write(descriptor, RESTORE)


def _show_keys(descriptor: int, show: bool) -> bool:
    """Have a terminal show the keys that are pressed, or not; whether that is a change. One that is not ours stays."""
    if sys.platform == "win32":
        return False
    import termios

    with contextlib.suppress(OSError, ValueError, termios.error):
        modes = termios.tcgetattr(descriptor)
        if bool(modes[3] & termios.ECHO) != show and _in_front(descriptor):
            modes[3] ^= termios.ECHO
            termios.tcsetattr(descriptor, termios.TCSANOW, modes)
            return True
    return False


def in_front(err: IO[str]) -> bool:
    """Whether the terminal is ours to draw on: not while the shell has put us into the background."""
    try:
        return _in_front(err.fileno())
    except (OSError, ValueError):
        return True


def _in_front(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except (AttributeError, OSError):  # Windows; a terminal that does not control us
        return True


def is_pipe(out: IO[str]) -> bool:
    """Whether another program reads this, which may write to our terminal, or ask somebody there."""
    try:
        return stat.S_ISFIFO(os.fstat(out.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):
        return False


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
