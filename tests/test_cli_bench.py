"""`dynscale bench` as users meet it: the bundled model, its own questions or theirs, a report, or one clear error."""

import json
import signal
import sqlite3
import time
from contextlib import closing, suppress

import pytest

from tests.cli_process import dynscale, lines, start


def drawn(cwd) -> int:
    """Samples of the pools so far."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(cwd / "dynscale" / "runs.db")) as connection:
        return connection.execute("select count(*) from samples").fetchone()[0]
    return 0


QUICK = ("-t", "1", "-np", "4", "--limit", "6", "--samples", "1,3", "-n", "12")


def test_it_says_how_long_it_takes_compares_and_draws(tmp_path):
    pytest.importorskip("matplotlib")
    done = dynscale("bench", *QUICK, "--methods", "single,sequential,dynscale", "--plot", "b.png", cwd=tmp_path)
    told, shown = lines(done.stderr), done.stdout.decode()
    assert done.returncode == 0, told
    assert "4 methods on 6 questions, seeds 1" in told[0]
    assert "tokens/s" in told[1]
    assert "about" in told[1]
    for name in ("single", "self-consistency", "sequential", "dynscale"):
        assert any(line.startswith(name) for line in shown.splitlines())
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")

    again = dynscale("bench", *QUICK, "--methods", "single,sequential,dynscale", "--json", cwd=tmp_path)
    assert "nothing is decoded" in lines(again.stderr)[1]
    (line,) = lines(again.stdout)
    report = json.loads(line)
    assert report["decoded"] == 0  # everything was stored
    assert [score["method"] for score in report["scores"]][:2] == ["self-consistency", "single"]
    assert report["samples"] == [1, 3]
    assert report["command"].startswith("dynscale bench ")

    pool = report["pools"][0]
    listed = dynscale("runs", "list", cwd=tmp_path).stdout.decode()
    assert pool in listed
    assert dynscale("runs", "export", pool, "-o", "pool.jsonl", cwd=tmp_path).returncode == 0
    replayed = dynscale("replay", "pool.jsonl", "--seeds", "1", "--policy", "race", "--json", cwd=tmp_path)
    assert json.loads(replayed.stdout)["logs"][0]["questions"] == 6


def test_a_bench_that_cannot_be_stored_promises_nothing(tmp_path):
    (tmp_path / "file").touch()
    few = ("-t", "1", "-np", "1", "--limit", "1", "--samples", "1", "-n", "6", "--methods", "single")
    done = dynscale("bench", *few, cwd=tmp_path, env={"DYNSCALE_HOME": str(tmp_path / "file" / "home")})
    assert done.returncode == 0, done.stderr
    assert b"what this bench draws is not kept" in done.stderr
    assert b"loses nothing" not in done.stderr


def test_after_ctrl_c_the_same_command_goes_on(tmp_path):
    command = (
        "bench",
        "-t",
        "1",
        "-np",
        "2",
        "--limit",
        "8",
        "-n",
        "12",
        "--samples",
        "1,2",
        "--methods",
        "self-consistency",
    )
    process = start(*command, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not drawn(tmp_path):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from there" in told.decode()
    before = drawn(tmp_path)
    done = dynscale(*command, "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert before > 0
    assert drawn(tmp_path) == 16
    assert json.loads(done.stdout)["scores"][0]["points"][1]["samples"] == 2


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        (["q.jsonl"], '{"question": "What is 3 + 4?"}\n', "question 1 states no right answer"),
        (["q.jsonl", "--answer-type", "number"], '{"question": "Sky?", "answer": "blue"}\n', "not of the type number"),
        (["--methods", "single,best"], "", "--methods best: no such method"),
        (["--methods", "race/fast"], "", "no such mode"),
        (["--samples", "0,1"], "", "--samples 0,1"),
        (["--samples", "1,99999999"], "", "--samples 1,99999999"),
        (["--seeds", "9" * 30], "", "--seeds"),
        (["--samples", "1", "--budgets", "9k"], "", "--samples and --budgets"),
        (["--budgets", "400,9k"], "", "one sample of each of 96 questions"),
        (["--plot", "b.txt"], "", "cannot plot to b.txt"),
        (["none.jsonl"], "", "No such file"),
    ],
)
def test_what_cannot_be_compared_is_one_clear_error(arguments, text, message, tmp_path):
    (tmp_path / "q.jsonl").write_text(text)
    done = dynscale("bench", *arguments, "-t", "1", cwd=tmp_path)
    told = lines(done.stderr)
    assert done.returncode == 2
    assert message in told[0]
    assert told[1].startswith("  try: ")
    assert len(told) == 2
    assert done.stdout == b""
