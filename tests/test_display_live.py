"""The live view on a real pseudo-terminal: four combinations of terminal and pipe, and nothing raw gets through."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from dynscale_cli.display.live import INTERVAL, LiveView
from dynscale_cli.runs.events import Notice, RunStarted, SampleText, Stepped
from tests.display_events import run

SCRIPT = """
import sys, itertools
from dynscale_cli.display.answers import Answers
from dynscale_cli.display.choose import choose_display
from tests.display_events import run
ticks = itertools.count()
with choose_display(sys.stderr, show=True, clock=lambda: next(ticks) / 100) as display:
    answers = Answers(sys.stdout, QUESTIONS, aside=display.aside if sys.stdout.isatty() else None)
    for event in run(QUESTIONS, text="hidden \\x1b]0;evil\\x07 \\x1b[2J"):
        answers.handle(event)
        display.handle(event)
"""


def spawn(questions: int, *, out_tty: bool, err_tty: bool, **environ: str) -> tuple[str, str]:
    """(what came out of stdout, out of stderr) of a child; both of one terminal if both are terminals."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.replace("QUESTIONS", str(questions))],
        stdin=subprocess.DEVNULL,
        stdout=side if out_tty else subprocess.PIPE,
        stderr=side if err_tty else subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "CI": "", **environ},
    )
    os.close(side)
    screen = b"".join(read_all(main))
    out, err = process.communicate(timeout=60)
    os.close(main)
    assert process.returncode == 0, (err, screen)
    shown = screen.decode()
    return (shown if out_tty else out.decode()), (shown if err_tty else err.decode())


def read_all(descriptor: int) -> Iterator[bytes]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1.0)[0]:
            continue
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # the child has closed its side
            return
        if not data:
            return
        yield data


ANSWERS = [str(number) for number in range(25, 31)]


def test_answers_reach_a_pipe_while_the_view_is_on() -> None:
    out, err = spawn(6, out_tty=False, err_tty=True)
    assert out.split() == ANSWERS
    assert "tokens/s" in err
    assert "\x1b[" in err
    assert "6 questions, 6 settled" in err


def test_on_one_terminal_every_answer_stays_readable() -> None:
    screen, _ = spawn(6, out_tty=True, err_tty=True)
    lines = replay(screen)
    assert [line for line in lines if line in ANSWERS] == ANSWERS
    assert any(line.startswith("6 questions, 6 settled") for line in lines)
    assert not any("answer  " in line or "━" in line for line in lines), "the view was not taken away"


def test_with_stderr_in_a_pipe_there_are_plain_lines() -> None:
    out, err = spawn(6, out_tty=True, err_tty=False)
    assert out.split() == ANSWERS
    assert "\x1b" not in err
    assert [line.split()[0] for line in err.splitlines()] == [f"{n}/6" for n in range(1, 7)] + ["6"]


def test_with_both_in_pipes_nothing_is_drawn() -> None:
    out, err = spawn(6, out_tty=False, err_tty=False)
    assert out.split() == ANSWERS
    assert "\x1b" not in out + err


@pytest.mark.parametrize("questions", [1, 6])
def test_what_a_model_says_never_acts_on_the_terminal(questions: int) -> None:
    screen, _ = spawn(questions, out_tty=True, err_tty=True)
    assert "evil" not in screen
    assert "\x1b]" not in screen
    assert "\x1b[2J" not in screen
    if questions == 1:
        assert "hidden" in screen


def test_no_color_leaves_no_color() -> None:
    colored, plain = (spawn(6, out_tty=False, err_tty=True, NO_COLOR=value)[1] for value in ("", "1"))
    colors = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;5;\d+)m")
    assert colors.search(colored)
    assert not colors.search(plain)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    assert "\x1b" not in spawn(6, out_tty=False, err_tty=True, TERM="dumb")[1]


def replay(screen: str) -> list[str]:
    """What is left on a terminal after all that was written: line feeds, returns, cursor up and erasures."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", screen):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b["):
            if part.endswith("A"):
                row = max(0, row - int(part[2:-1] or 1))
            elif part.endswith("K"):
                lines[row] = ""
        else:
            lines[row] = (lines[row][:column] + part + lines[row][column + len(part) :]).rstrip()
            column += len(part)
    return lines


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Counting(LiveView):
    drawings = 0

    def _draw(self, now: float) -> None:
        self.drawings += 1
        super()._draw(now)


def console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=24)


def test_thousands_of_events_are_drawn_eight_times_a_second() -> None:
    clock = Clock()
    view = Counting(io.StringIO(), clock=clock, console=console())
    with view:
        view.handle(RunStarted(2, 10_000, 16, 2048, "tiny"))
        for step in range(4000):
            clock.now = step / 2000
            view.handle(Stepped(step, 0, step, 16, 0, 0.0))
            view.handle(SampleText(0, 0, "word ", False))
    assert view.drawings == pytest.approx(2 / INTERVAL, abs=2)


def test_a_notice_is_printed_above_the_view() -> None:
    screen = console()
    with LiveView(io.StringIO(), clock=Clock(), console=screen) as view:
        for event in run(3):
            view.handle(event)
        view.handle(Notice("the width is 8 now\x1b[2J"))
    assert isinstance(screen.file, io.StringIO)
    assert "dynscale: the width is 8 now" in replay(screen.file.getvalue())


def test_the_cursor_is_back_after_an_error() -> None:
    screen = console()
    view = LiveView(io.StringIO(), clock=Clock(), console=screen)

    def interrupted() -> None:
        with view:
            view.handle(RunStarted(2, 10_000, 16, 2048, "tiny"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0


def test_a_terminal_that_goes_away_ends_no_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    screen = Console(file=Gone(), force_terminal=True, width=80, height=24)
    clock = Clock()
    with LiveView(io.StringIO(), clock=clock, console=screen) as view:
        for event in run(3):
            clock.now += 0.1
            view.handle(event)
