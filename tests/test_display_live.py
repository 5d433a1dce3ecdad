"""The live view on a real pseudo-terminal: four combinations of terminal and pipe, and nothing raw gets through."""

from __future__ import annotations

import io
import itertools
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Iterator

import pytest
from rich.progress import BarColumn

from dynscale_cli.display import live
from dynscale_cli.display.live import INTERVAL, Bar, LiveView
from dynscale_cli.run.events import Event, Notice, RunStarted, SampleStarted, SampleText, Standing, Stepped
from tests.display_events import run
from tests.screen import Screen, seen

SCRIPT = """
import sys, itertools
from dynscale_cli.display.answers import Answers
from dynscale_cli.display.lines import choose_display
from tests.display_events import run
ticks = itertools.count()
with choose_display(sys.stderr, show=sys.stderr.isatty(), clock=lambda: next(ticks) / 100) as display:
    answers = Answers(sys.stdout, QUESTIONS, aside=display.aside if sys.stdout.isatty() else None)
    for event in run(QUESTIONS, text="hidden \\x1b]0;evil\\x07 \\x1b[2J"):
        answers.handle(event)
        display.handle(event)
"""


def spawn(
    questions: int, *, out_tty: bool, err_tty: bool, script: str = SCRIPT, code: int = 0, **environ: str
) -> tuple[str, str]:
    """(what came out of stdout, out of stderr) of a child; both of one terminal if both are terminals."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script.replace("QUESTIONS", str(questions))],
        stdin=subprocess.DEVNULL,
        stdout=side if out_tty else subprocess.PIPE,
        stderr=side if err_tty else subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "CI": "", **environ},
    )
    os.close(side)
    screen = b"".join(read_all(main))
    out, err = process.communicate(timeout=60)
    os.close(main)
    assert process.returncode == code, (err, screen)
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
    lines = seen(screen)
    assert [line for line in lines if line in ANSWERS] == ANSWERS
    assert any(line.startswith("6 questions, 6 settled") for line in lines)
    assert not any("answer  " in line or "━" in line for line in lines), "the view was not taken away"


def test_with_stderr_in_a_pipe_there_are_plain_lines() -> None:
    out, err = spawn(6, out_tty=True, err_tty=False)
    assert out.split() == ANSWERS
    assert "\x1b" not in err
    assert [line.split()[0] for line in err.splitlines()] == [*(f"{n}/6" for n in range(1, 7)), "6", "2,880"]


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


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Counting(LiveView):
    drawings = 0

    def _draw(self, now: float) -> None:
        self.drawings += 1
        super()._draw(now)


def view_on(screen: Screen, clock: Clock | None = None, **options: object) -> LiveView:
    return LiveView(screen, clock=clock or Clock(), console=screen.console, **options)  # type: ignore[arg-type]


def play(view: LiveView, clock: Clock, events: Iterable[Event], step: float = 0.01) -> None:
    for event in events:
        clock.now += step
        view.handle(event)


def test_thousands_of_events_are_drawn_eight_times_a_second() -> None:
    clock = Clock()
    view = Counting(io.StringIO(), clock=clock)
    with view:
        view.handle(RunStarted(2, 10_000, 16, 2048, "tiny"))
        for step in range(4000):
            clock.now = step / 2000
            view.handle(Stepped(step, 0, step, 16, 0, 0.0))
            view.handle(SampleText(0, 0, "word ", False))
    assert view.drawings == pytest.approx(2 / INTERVAL, abs=2)


def test_a_notice_is_printed_above_the_view() -> None:
    screen, clock = Screen(), Clock()
    with view_on(screen, clock) as view:
        play(view, clock, itertools.islice(run(3), 100))
        clock.now += 1
        view.handle(Notice("the width is 8 now\x1b[2J"))
        first, second = screen.shown()[:2]
        assert first == "dynscale: the width is 8 now"
        assert second.split()[:2] == ["id", "samples"]


def test_answers_that_come_at_once_move_the_view_once() -> None:
    screen, clock = Screen(), Clock()
    with view_on(screen, clock) as view:
        play(view, clock, itertools.islice(run(3), 100))
        before = screen.written
        for number in range(5000):
            view.aside(lambda number=number: print(number, file=screen))  # type: ignore[misc]
        assert screen.written - before < 5000
        clock.now += 1
        view.handle(Stepped(100, 0, 100, 4, 0, 0.0))
        shown = screen.shown()
        assert shown[:5000] == [str(number) for number in range(5000)]
        assert shown[5000].split()[:2] == ["id", "samples"]


def test_a_reader_of_the_pipe_that_writes_to_the_same_terminal_finds_the_view_away() -> None:
    """`dynscale ask … | jq`: what jq shows a moment later must not be drawn over."""
    screen, clock = Screen(), Clock()
    with view_on(screen, clock) as view:
        play(view, clock, itertools.islice(run(3), 100))
        piped = list[str]()
        view.aside(lambda: piped.append("42"), pause=0.15)
        clock.now += 1
        view.handle(Stepped(100, 0, 100, 4, 0, 0.0))
        assert piped == ["42"]
        assert screen.shown() == [], "the view is away"
        print(*piped, file=screen)  # the reader is done with it
        clock.now += 1
        view.handle(Stepped(101, 0, 101, 4, 0, 0.0))
        assert screen.shown()[0] == "42"
        assert screen.shown()[1].split()[:2] == ["id", "samples"]


def test_a_frame_that_is_the_same_is_not_written_again() -> None:
    screen, clock = Screen(), Clock()
    with view_on(screen, clock) as view:
        view.handle(RunStarted(2, 1000, 16, 2048, "tiny"))
        play(view, clock, [Stepped(1, 0, 1, 1, 0, 0.0)] * 10, 1.0)
        before, shown = screen.written, screen.shown()
        play(view, clock, [Stepped(1, 0, 1, 1, 0, 0.0)] * 10, 10.0)
        assert screen.written > before, "the time left is told anew"
        before = screen.written
        play(view, clock, [Stepped(1, 0, 1, 1, 0, 0.0)] * 10, 100.0)
        assert screen.written == before
    assert shown


def test_columns_stand_where_they_should_whatever_is_in_them() -> None:
    screen, clock = Screen(100), Clock()
    with view_on(screen, clock) as view:
        view.handle(RunStarted(3, 1000, 16, 2048, "tiny"))
        for index, answer in enumerate(("42", "👩‍👩‍👧 二加二是四", "é")):
            view.handle(SampleStarted(index, f"q{index}", "Q?", 0, "parallel", Standing(1, 1, ((answer, 2.0),), 0.9)))
        clock.now += 1
        view.handle(Stepped(1, 0, 1, 1, 0, 0.0))
        buffer = screen.terminal.buffer
        columns = [[x for x in range(100) if buffer[y][x].data == "Q"] for y in range(1, 4)]
    assert columns[0] == columns[1] == columns[2] != []


def test_in_a_window_that_changes_there_is_one_view_and_no_trace_of_the_old() -> None:
    screen, clock = Screen(100, 24), Clock()
    with view_on(screen, clock) as view:
        play(view, clock, itertools.islice(run(8), 200))
        for columns, rows in ((60, 16), (20, 5), (90, 20)):
            screen.resize(columns, rows)
            clock.now += 1
            view.handle(Stepped(100, 0, 100, 4, 0, 0.0))
            assert sum("100 of" in line for line in screen.terminal.display) == 1, screen.terminal.display
    assert screen.at_rest


def test_the_terminal_is_as_it_was_after_an_error() -> None:
    screen = Screen()
    view, clock = view_on(screen), Clock()

    def interrupted() -> None:
        with view:
            play(view, clock, itertools.islice(run(3), 100))
            assert screen.terminal.cursor.hidden
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert screen.at_rest
    assert screen.shown() == []


LEFT = """
import itertools, signal, sys
from dynscale_cli.cli.session import Interrupts
from dynscale_cli.display.lines import choose_display
from tests.display_events import run
ticks = itertools.count()
with choose_display(sys.stderr, clock=lambda: next(ticks) / 100) as display:
    for event in itertools.islice(run(QUESTIONS), 100):
        display.handle(event)
    Interrupts().receive(signal.SIGINT)
"""


def test_a_process_that_leaves_at_once_leaves_the_cursor_to_the_shell() -> None:
    _, written = spawn(6, out_tty=False, err_tty=True, script=LEFT, code=130)
    screen = Screen()
    screen.write(written)
    assert "\x1b[?25l" in written
    assert screen.at_rest


def test_a_bar_leaves_the_cursor_to_the_shell_and_draws_nothing_in_the_background(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen()
    with Bar(BarColumn(), console=screen.console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        bar.moves(task, completed=0.5)
        assert "━" in screen.shown()[0]
        assert not screen.terminal.cursor.hidden
        monkeypatch.setattr(live, "in_front", lambda err: False)
        monkeypatch.setattr(live, "INTERVAL", 0.0)
        before = screen.written
        bar.moves(task, completed=0.7)
        assert screen.written == before
    assert screen.at_rest
    assert screen.shown() == []


def test_a_terminal_that_goes_away_ends_no_run() -> None:
    class Gone(Screen):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    clock = Clock()
    with view_on(Gone(), clock) as view:
        play(view, clock, run(3), 0.1)


def test_a_terminal_without_unicode_is_told_all_in_its_own_letters() -> None:
    class Narrow(Screen):
        encoding = "ascii"

        def write(self, text: str) -> int:
            return super().write(text.encode("ascii").decode())

    screen, clock = Narrow(), Clock()
    with view_on(screen, clock, show=True) as view:
        play(view, clock, run(3))
    assert screen.shown()[0].startswith("3 questions, 3 settled, 0 unanswered | ")


STOPPED = """
import os, sys, time
from dynscale_cli.display.lines import choose_display
from dynscale_cli.display.text import put_back
from tests.display_events import run
with choose_display(sys.stderr) as display:
    for event in run(12):
        display.handle(event)
        time.sleep(0.002)
"""


LEAVES = """
        if event.__class__.__name__ == "Answered":
            put_back()
            os._exit(0)
"""


@pytest.mark.parametrize("leaves", [False, True])
def test_keys_pressed_during_the_view_leave_no_trace_and_show_again_afterwards(leaves: bool) -> None:
    main, side = pty.openpty()
    script = STOPPED + LEAVES * leaves
    environ = {**os.environ, "TERM": "xterm-256color", "CI": ""}
    process = subprocess.Popen([sys.executable, "-c", script], stdin=side, stdout=side, stderr=side, env=environ)
    os.close(side)
    screen, pressed = b"", False
    for data in read_all(main):
        screen += data
        if not pressed and b"q1" in screen:
            pressed = True
            os.write(main, b"what\nnow\n")
    assert process.wait() == 0
    shows_keys = termios.tcgetattr(main)[3] & termios.ECHO
    os.close(main)
    assert pressed
    assert shows_keys
    assert (
        leaves
        or [line for line in seen(screen.decode()) if "12 questions" not in line and " tokens (" not in line] == []
    )


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="no job control")
def test_a_run_that_is_stopped_gives_the_terminal_back_and_goes_on_when_it_returns() -> None:
    """What a shell does at Ctrl-Z and `fg`, on a terminal that is the child's own."""
    child, main = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", CI="", PYTHONPATH=os.pathsep.join(sys.path))
        if grandchild := os.fork():  # who leads a session cannot be stopped
            os.setpgid(grandchild, grandchild)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, grandchild)
            while os.WIFSTOPPED(state := os.waitpid(grandchild, os.WUNTRACED)[1]):
                os.write(1, b"[stopped]\n")
                os.kill(grandchild, signal.SIGCONT)
            os._exit(os.waitstatus_to_exitcode(state))
        os.setpgid(0, 0)
        while os.tcgetpgrp(0) != os.getpgrp():  # until the terminal is ours
            time.sleep(0.01)
        os.execv(sys.executable, [sys.executable, "-c", STOPPED])
    screen, pressed = b"", False
    for data in read_all(main):
        screen += data
        if not pressed and b"q1" in screen:
            pressed = True
            os.write(main, b"\x1a")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(main)
    before, _, after = screen.decode().partition("[stopped]\r\n")
    assert before.rstrip("^Z").rfind("\x1b[?25h") > before.rfind("\x1b[?25l")
    assert "\x1b[?25l" in after
    assert "12 questions" in after
    assert not any("answer  " in line or "━" in line for line in seen(screen.decode()))
