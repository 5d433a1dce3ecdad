"""While nothing happens yet: a line for who looks at a terminal and waits, and no trace of it afterwards."""

import io
import time

import pytest

from dynscale_cli.display import text as module
from dynscale_cli.display.text import waiting
from tests.screen import Screen

XTERM = {"TERM": "xterm"}


class Terminal(Screen):
    def isatty(self) -> bool:
        return True


def test_a_long_wait_is_explained_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    err = Terminal()
    with waiting(err, "loading m\x1b[2Jodel", environ=XTERM):
        until = time.monotonic() + 60
        while not err.shown() and time.monotonic() < until:
            time.sleep(0.01)
        assert err.shown() == ["loading model"]
        assert not err.terminal.cursor.hidden
    assert err.shown() == []
    assert err.at_rest


def test_a_short_wait_and_a_pipe_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    err, dumb, pipe = Terminal(), Terminal(), io.StringIO()
    with waiting(err, "loading", environ=XTERM):
        pass
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    for stream, environ in ((pipe, XTERM), (dumb, {"TERM": "dumb"}), (None, XTERM)):
        with waiting(stream, "loading", environ=environ):
            time.sleep(0.05)
    assert err.written == dumb.written == 0
    assert pipe.getvalue() == ""
