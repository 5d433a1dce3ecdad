"""Terminals, pipes, and streams that are closed or full."""

import json
import os
import pty
import re
import select
import subprocess
import time

import pytest

from tests.cli_process import COMMAND, MINUTES, QUICK, ask, dynscale, environment, lines, start

QUESTION = "What is 1+1?"


def shell(script: str, cwd, **env: str) -> "subprocess.CompletedProcess[bytes]":
    """Run `script` in a shell that has `dynscale` and the flags of `QUICK` as $QUICK."""
    env = environment(cwd, {"QUICK": " ".join(QUICK)} | env)
    return subprocess.run(["bash", "-c", script], cwd=cwd, env=env, capture_output=True, check=False, timeout=MINUTES)


def on_terminals(*arguments: str, cwd, out: bool, err: bool, into: bool = False, env=None) -> tuple[int, bytes, bytes]:
    """Run `dynscale` with terminals for the streams named: (exit code, stdout, stderr). One terminal serves both."""
    master, terminal = pty.openpty()
    reads, writes = zip(os.pipe(), os.pipe(), strict=True)
    ends = (terminal if out else writes[0], terminal if err else writes[1])
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=terminal if into else subprocess.DEVNULL,
        stdout=ends[0],
        stderr=ends[1],
        cwd=cwd,
        env=environment(cwd, {"COLUMNS": "80", "LINES": "24"} | (env or {})),
    )
    for descriptor in (*writes, terminal):
        os.close(descriptor)
    said = collect([master, *reads])
    sides = [said[master] if on else said[read] for on, read in zip((out, err), reads, strict=True)]
    return process.wait(MINUTES), *sides


def collect(descriptors: list[int]) -> dict[int, bytes]:
    """Everything that can be read from each, until all are at their end."""
    said = dict.fromkeys(descriptors, b"")
    left, end = set(descriptors), time.monotonic() + MINUTES
    while left and time.monotonic() < end:
        for descriptor in select.select(list(left), [], [], 1)[0]:
            try:
                data = os.read(descriptor, 65536)
            except OSError:  # Linux, for a terminal that nobody has open any more
                data = b""
            said[descriptor] += data
            if not data:
                left.discard(descriptor)
    for descriptor in descriptors:
        os.close(descriptor)
    return said


@pytest.mark.parametrize("out", [True, False])
@pytest.mark.parametrize("err", [True, False])
def test_every_combination_of_terminal_and_pipe(tmp_path, out, err):
    code, stdout, stderr = on_terminals("ask", *QUICK, QUESTION, cwd=tmp_path, out=out, err=err)
    assert code == 0, stderr
    assert (b"\x1b[" in stderr) is err  # a live view on a terminal, plain lines otherwise
    if not out:
        assert b"\x1b" not in stdout
        assert len(lines(stdout)) == 1
    elif not err:
        assert len(lines(stdout)) == 1
        assert b"\x1b" not in stdout
    if not err:
        assert " tokens  " in lines(stderr)[0]  # the answer, its votes, its tokens, why it got no more


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_no_color_and_a_dumb_terminal(tmp_path, env):
    flags = () if env else ("--no-color",)
    code, stdout, stderr = on_terminals("ask", *QUICK, *flags, QUESTION, cwd=tmp_path, out=False, err=True, env=env)
    assert code == 0
    assert len(lines(stdout)) == 1
    assert not re.search(rb"\x1b\[([0-9]+;)*[349][0-9]m", stderr)  # colours
    if env == {"TERM": "dumb"}:
        assert b"\x1b" not in stderr


def test_no_question_on_a_terminal_is_a_short_help(tmp_path):
    code, stdout, stderr = on_terminals("ask", cwd=tmp_path, out=False, err=False, into=True)
    assert code == 2
    assert stdout == b""
    assert len(lines(stderr)) == 2
    assert b'dynscale ask "' in stderr
    assert b"-f FILE" in stderr


def test_questions_are_typed_at_a_terminal_where_a_dash_asks_for_it(tmp_path):
    main, terminal = pty.openpty()
    flags = ("ask", *QUICK, "--max-samples", "1", "-")
    process = start(*flags, cwd=tmp_path, stdin=terminal)
    os.close(terminal)
    assert process.stderr.readline() == b"dynscale: one question a line; Ctrl-D ends the last\n"
    os.write(main, b"What is 1+1?\nWhat is 2+2?\n\x04")
    out, err = process.communicate(timeout=MINUTES)
    os.close(main)
    assert len(lines(out)) == 2, err


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    """`dynscale ask -f questions.txt | head -1`."""
    (tmp_path / "q.txt").write_text("".join(f"What is {n}+1?\n" for n in range(200)))
    flags = ("-np", "1", "--max-samples", "1", "--max-tokens", "4", "--budget", "40k", "-q")
    process = start("ask", *QUICK, *flags, "-f", "q.txt", cwd=tmp_path)
    assert process.stdout.readline().endswith(b"\n")
    process.stdout.close()
    assert process.wait(MINUTES) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_help_into_a_pipe_that_closes(tmp_path):
    done = shell("dynscale ask --help | true; echo ${PIPESTATUS[0]}", tmp_path)
    assert done.stderr == b""
    assert done.stdout in (b"141\n", b"0\n")  # 0: all of it fitted into the pipe before the reader went


@pytest.mark.parametrize(
    ("closed", "code"), [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), ("2>/dev/full", 0)]
)
def test_a_closed_stream_harms_nobody(tmp_path, closed, code):
    done = shell(f"dynscale ask $QUICK --export pool.jsonl '{QUESTION}' {closed}", tmp_path)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    assert len(lines(done.stdout)) == (0 if ">&-" in closed.split() else 1)
    (row,) = map(json.loads, (tmp_path / "pool.jsonl").read_text().splitlines())  # nothing else was written into it
    assert row["answers"]


def test_a_closed_standard_input_without_a_question(tmp_path):
    done = shell("dynscale ask <&-", tmp_path)
    assert done.returncode == 2
    assert lines(done.stderr)[0] == "dynscale: no question"


def test_a_full_disk_is_one_line(tmp_path):
    done = shell(f"dynscale ask $QUICK -q --export pool.jsonl '{QUESTION}' > /dev/full", tmp_path)
    assert done.returncode == 1
    assert lines(done.stderr)[0] == "dynscale: cannot write the answers to standard output: No space left on device"
    assert len(lines(done.stderr)) == 2
    assert json.loads((tmp_path / "pool.jsonl").read_text())["answers"]  # what was sampled is not lost


def test_help_on_a_full_disk_is_one_line(tmp_path):
    done = shell("dynscale --help > /dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr == b"dynscale: standard output: No space left on device\n"


def test_an_export_that_does_not_fit_loses_no_answer(tmp_path):
    done = ask("-q", "--export", "/dev/full", QUESTION, cwd=tmp_path)
    assert done.returncode == 1
    assert len(lines(done.stdout)) == 1
    assert any("cannot write /dev/full" in line for line in lines(done.stderr))


def test_an_output_that_is_not_utf_8(tmp_path):
    narrow = {"LANG": "C", "PYTHONIOENCODING": "ascii"}
    (tmp_path / "q.jsonl").write_text(
        '{"id": "ü\U0001f600", "question": "What is 1+1, Jürgen?"}\n{"question": "What is 2+2?"}\n'
    )
    done = ask("-q", "--json", "--max-samples", "1", "-f", "q.jsonl", cwd=tmp_path, env=narrow)
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["id"] for line in lines(done.stdout)} == {"ü\U0001f600", "2"}
    shown = dynscale("runs", "show", cwd=tmp_path, env=narrow)
    assert shown.returncode == 0, shown.stderr
    assert r"J\u00fcrgen" in shown.stdout.decode("ascii")
    pool = dynscale("runs", "export", cwd=tmp_path, env=narrow)
    assert json.loads(lines(pool.stdout)[0])["qid"] == "ü\U0001f600"


def test_a_dash_for_a_file_is_standard_input(tmp_path):
    done = ask("-q", "--max-samples", "1", "-f", "-", cwd=tmp_path, stdin=b"What is 1+1?\nWhat is 2+2?\n")
    assert done.returncode == 0, done.stderr
    assert len(lines(done.stdout)) == 2
