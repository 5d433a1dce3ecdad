"""Signals: the first ends the run with what there is, the second at once."""

import json
import signal
import subprocess
import time

import pytest

from dynscale_cli.cli.session import ECHO, Interrupts
from tests.cli_process import MINUTES, QUICK, start

SLOW = ("--max-samples", "1", "--max-tokens", "400", "--budget", "400k", "-np", "1")


@pytest.fixture
def running(tmp_path):
    """A run that has answered its first question and has many to go."""
    (tmp_path / "q.txt").write_text("".join(f"What is {n}+1? Tell a long story about it.\n" for n in range(300)))
    process = start("ask", *QUICK, *SLOW, "--json", "-f", "q.txt", cwd=tmp_path)
    first = process.stdout.readline()
    yield process, first
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_what_there_is(running, number, code):
    process, first = running
    process.send_signal(number)
    rest, error = process.communicate(timeout=MINUTES)
    assert process.returncode == code
    results = [json.loads(line) for line in [first, *rest.splitlines()]]
    assert len(results) == 300
    assert results[0]["samples"] == 1
    assert results[-1]["stopped"] == "interrupted"
    assert results[-1]["answer"] is None
    assert b"Traceback" not in error
    said = error.decode().splitlines()
    assert any(line.startswith("interrupted: 300 questions") for line in said)
    assert "dynscale runs resume " in said[-1]


def test_a_signal_that_ends_the_reader_of_the_pipe_as_well_loses_no_word_on_how_to_go_on(running):
    """Ctrl-C in `dynscale ask … | jq` ends both."""
    process, _ = running
    process.stdout.close()
    process.send_signal(signal.SIGINT)
    said = process.stderr.read().decode().splitlines()
    assert process.wait(MINUTES) == 130
    assert any(line.startswith("interrupted: 300 questions") for line in said)
    assert "dynscale runs resume " in said[-1]


def test_a_signal_that_comes_twice_at_once_is_one(running):
    """As `timeout` sends it, and a wrapper in the same process group."""
    process, _ = running
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    _, error = process.communicate(timeout=MINUTES)
    assert process.returncode == 143
    assert b"dynscale runs resume " in error.splitlines()[-1]


def test_a_second_signal_ends_the_process_at_once(monkeypatch):
    left, now = [], [5.0]
    monkeypatch.setattr("dynscale_cli.cli.session._leave", left.append)
    interrupts = Interrupts(lambda: now[0])
    interrupts.on_first = lambda: None
    interrupts.receive(signal.SIGINT)
    now[0] += ECHO / 2
    interrupts.receive(signal.SIGINT)
    assert left == []
    now[0] += ECHO
    interrupts.receive(signal.SIGINT)
    assert left == [130]


def test_a_signal_while_questions_are_awaited(tmp_path):
    process = start("ask", *QUICK, cwd=tmp_path, stdin=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)  # it waits for questions
    process.send_signal(signal.SIGINT)
    assert process.wait(MINUTES) == 130
    assert b"Traceback" not in process.stderr.read()
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()
