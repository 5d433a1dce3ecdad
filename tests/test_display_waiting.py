"""While nothing happens yet: a line for who looks at a terminal and waits, and no trace of it afterwards."""

import io
import time

import pytest

from dynscale_cli.display import waiting as module
from dynscale_cli.display.waiting import waiting

XTERM = {"TERM": "xterm"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_long_wait_is_explained_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    err = Terminal()
    with waiting(err, "loading m\x1b[2Jodel", environ=XTERM):
        until = time.monotonic() + 60
        while not err.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
        assert "loading model" in err.getvalue()
    assert err.getvalue().endswith("\r\x1b[K")


def test_a_short_wait_and_a_pipe_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    err, pipe = Terminal(), io.StringIO()
    with waiting(err, "loading", environ=XTERM):
        pass
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    for stream, environ in ((pipe, XTERM), (Terminal(), {"TERM": "dumb"}), (None, XTERM)):
        with waiting(stream, "loading", environ=environ):
            time.sleep(0.05)
        assert stream is None or stream.getvalue() == ""
    assert err.getvalue() == ""
