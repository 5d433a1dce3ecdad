"""`dynscale runs`, and runs that are stopped in every way there is, as processes."""

import json
import os
import resource
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli_process import MINUTES, dynscale, lines, start
from tests.tiny_gguf import write_tiny_gguf

QUESTIONS = 24
FLAGS = ("-t", "1", "-np", "4", "--max-samples", "3", "--max-tokens", "24", "--budget", "60k")
LONG = ("-t", "1", "-np", "2", "--max-samples", "40", "--max-tokens", "200", "--budget", "900k", "--exhaust")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A model that is loaded in no time and answers at random."""
    return write_tiny_gguf(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture
def ask(tiny, tmp_path):
    """`dynscale ask` over a file of questions; with `wait=False`, a process that is still running."""
    rows = [{"id": f"q{n}", "question": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(QUESTIONS)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(*arguments, flags=FLAGS, wait=True, **options):
        begin = dynscale if wait else start
        return begin("ask", "-m", str(tiny), *flags, *arguments, "-f", "q.jsonl", cwd=tmp_path, **options)

    return run


def runs(*arguments, cwd, **options):
    return dynscale("runs", *arguments, cwd=cwd, **options)


def journals(cwd) -> list[Path]:
    return sorted((cwd / "dynscale" / "runs").glob("*"))


def until_sampled(process, cwd) -> None:
    """Wait until the journal of a running process holds a few samples."""
    end = time.monotonic() + MINUTES
    while time.monotonic() < end and process.poll() is None:
        if any(path.read_bytes().count(b'{"type":"sample"') > 3 for path in journals(cwd)):
            return
        time.sleep(0.02)
    raise AssertionError(f"no sample came: {process.communicate()}")


def results(output: bytes) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def samples(journal: Path) -> list[dict]:
    return [json.loads(line) for line in journal.read_bytes().splitlines() if line.startswith(b'{"type":"sample"')]


def billed(output: bytes) -> int:
    return sum(r["tokens"]["prompt"] + r["tokens"]["generated"] for r in results(output))


def shape(output: bytes) -> list[tuple]:
    return [(r["id"], r["answer"], r["votes"], r["samples"], r["stopped"]) for r in results(output)]


def test_a_run_leaves_a_private_journal_that_can_be_listed_shown_exported_and_removed(ask, tmp_path):
    assert ask("-q").returncode in (0, 3)
    (journal,) = journals(tmp_path)
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (journal.parent, journal.parent.parent)} == {0o700}
    listed = runs("list", cwd=tmp_path)
    assert [line.split()[:2] for line in lines(listed.stdout)] == [["run", "state"], [journal.stem, "finished"]]
    assert b"\t" not in listed.stdout
    (row,) = results(runs("list", "--json", cwd=tmp_path).stdout)
    assert (row["id"], row["questions"], row["budget"], row["source"]) == (journal.stem, QUESTIONS, 60_000, "q.jsonl")
    shown = json.loads(runs("show", journal.stem[:3], "--json", cwd=tmp_path).stdout)
    assert (shown["state"], len(shown["results"]), shown["spent"]) == ("finished", QUESTIONS, row["spent"])
    assert runs("path", cwd=tmp_path).stdout.decode().strip() == str(journal.parent)
    assert runs("path", journal.stem, cwd=tmp_path).stdout.decode().strip() == str(journal)
    assert runs("export", "-o", "pool.jsonl", cwd=tmp_path).returncode == 0
    assert len(lines((tmp_path / "pool.jsonl").read_bytes())) == QUESTIONS
    assert dynscale("replay", "pool.jsonl", "--seeds", "1", "--policy", "race", cwd=tmp_path).returncode == 0
    assert runs("rm", journal.stem, cwd=tmp_path).returncode == 0
    assert journals(tmp_path) == []


def test_single_questions_and_no_journal_leave_nothing(ask, tiny, tmp_path):
    assert dynscale("ask", "-m", str(tiny), *FLAGS, "What is 1+1?", cwd=tmp_path).returncode in (0, 3)
    assert ask("-q", "--no-journal").returncode in (0, 3)
    assert journals(tmp_path) == []


def test_a_run_that_was_interrupted_ends_like_one_that_was_not(ask, bundled_model, tmp_path):
    flags = ("-m", str(bundled_model), "-t", "1", "-np", "4", "--max-samples", "5", "--max-tokens", "16")
    flags += ("--limit", "3", "--budget", "900k", "--json")
    process = ask(flags=flags, wait=False)
    until_sampled(process, tmp_path)
    process.send_signal(signal.SIGINT)
    output, error = process.communicate(timeout=MINUTES)
    assert process.returncode == 130
    assert len(results(output)) == 3
    (journal,) = journals(tmp_path)
    assert lines(error)[-1] == f"dynscale: to go on with this run: dynscale runs resume {journal.stem}"
    went_on = runs("resume", "--json", cwd=tmp_path)
    assert went_on.returncode in (0, 3), went_on.stderr
    assert shape(went_on.stdout) == shape(ask("--no-journal", flags=flags).stdout)
    shown = json.loads(runs("show", "--json", cwd=tmp_path).stdout)
    assert (shown["state"], shown["parts"]) == ("finished", 2)


@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT), (signal.SIGKILL,)])
def test_however_a_run_is_stopped_its_samples_are_kept(ask, tmp_path, signals):
    process = ask("--json", flags=(*FLAGS, "--max-tokens", "200"), wait=False)
    until_sampled(process, tmp_path)
    for number in signals:
        process.send_signal(number)
    _, error = process.communicate(timeout=MINUTES)
    assert process.returncode in (143, 130, -9)
    assert b"Traceback" not in error
    (journal,) = journals(tmp_path)
    before = samples(journal)
    went_on = runs("resume", "--json", cwd=tmp_path)
    assert went_on.returncode in (0, 3), went_on.stderr
    assert [r["index"] for r in results(went_on.stdout)] == list(range(QUESTIONS))
    after = samples(journal)
    assert after[: len(before)] == before
    assert len({(sample["q"], sample["number"]) for sample in after}) == len(after)


def test_a_run_that_is_going_on_is_nobody_else_s(ask, tmp_path):
    process = ask(flags=LONG, wait=False)
    until_sampled(process, tmp_path)
    (journal,) = journals(tmp_path)
    other = ask("-q")
    assert other.returncode in (0, 3)
    assert len(journals(tmp_path)) == 2
    for refused in (runs("resume", journal.stem, cwd=tmp_path), runs("rm", journal.stem, cwd=tmp_path)):
        assert refused.returncode == 1
        assert lines(refused.stderr)[0] == f"dynscale: run {journal.stem} is still going on"
    assert [row["state"] for row in results(runs("list", "--json", cwd=tmp_path).stdout)].count("running") == 1
    process.kill()
    process.communicate()


def test_more_budget_for_a_finished_run_keeps_its_samples_and_spends_only_new_tokens(ask, tmp_path):
    first = ask("--json", flags=("-t", "1", "-np", "4", "--max-tokens", "24", "--budget", "2000"))
    (journal,) = journals(tmp_path)
    before = samples(journal)
    more = runs("resume", "--json", "--budget", "+1k", cwd=tmp_path)
    assert more.returncode in (0, 3), more.stderr
    after = samples(journal)
    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert billed(first.stdout) <= 2000 < billed(more.stdout) <= 3000
    each = runs("resume", "--budget", "+50/q", cwd=tmp_path)
    assert each.returncode in (0, 3), each.stderr
    assert json.loads(runs("show", "--json", cwd=tmp_path).stdout)["budget"] == 3000 + 50 * QUESTIONS
    refused = runs("resume", "--budget", "1k", cwd=tmp_path)
    assert (refused.returncode, len(lines(refused.stderr))) == (2, 2)


def test_a_run_that_cannot_begin_as_it_was_asked_for_leaves_nothing(ask, tmp_path):
    refused = ask("--export", "nowhere/pool.jsonl")
    assert (refused.returncode, len(lines(refused.stderr))) == (2, 2), refused.stderr
    assert journals(tmp_path) == []


def test_changed_questions_or_another_model_are_refused(ask, tiny, tmp_path):
    ask("-q")
    (tmp_path / "q.jsonl").write_text('{"question": "What is 1+2?"}\n')
    changed = runs("resume", cwd=tmp_path)
    assert changed.returncode == 2
    assert "q.jsonl has changed" in lines(changed.stderr)[0]
    assert "--stored-questions" in lines(changed.stderr)[1]
    other = write_tiny_gguf(tmp_path / "other.gguf", seed=1)
    assert other.stat().st_size == tiny.stat().st_size
    refused = runs("resume", "--stored-questions", "-m", str(other), cwd=tmp_path)
    assert refused.returncode == 2
    assert "its weights differ" in lines(refused.stderr)[0]
    moved = tmp_path / "moved.gguf"
    moved.write_bytes(tiny.read_bytes())
    went_on = runs("resume", "--stored-questions", "-m", str(moved), "--json", cwd=tmp_path)
    assert went_on.returncode in (0, 3), went_on.stderr
    assert len(results(went_on.stdout)) == QUESTIONS


def test_the_reader_that_goes_away_leaves_a_run_to_resume(ask, tmp_path):
    process = ask("-q", "--unordered", flags=(*LONG, "--max-samples", "1"), wait=False)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(MINUTES) == 141
    assert process.stderr.read() == b""
    process.stderr.close()
    shown = json.loads(runs("show", "--json", cwd=tmp_path).stdout)
    assert shown["state"] == "interrupted"
    assert shown["results"]


def unkept(done: "subprocess.CompletedProcess[bytes]", said: str) -> None:
    """The answers are there, the loss is told once, and the exit code tells as well."""
    assert done.returncode == 1
    assert len(lines(done.stdout)) == QUESTIONS
    assert sum(said in line for line in lines(done.stderr)) == 1, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_state_directory_that_cannot_be_written(ask, tmp_path):
    (tmp_path / "dynscale").write_text("a file is in the way")
    unkept(ask(), "no journal of this run is kept")


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on the size of files")
@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_a_full_disk(ask, tmp_path, quiet):
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))  # noqa: E731
    env = {"PYTHONDONTWRITEBYTECODE": "1"}  # the limit would cut off compiled modules, too, for every later process
    unkept(ask(*quiet, preexec_fn=limit, env=env), "cannot go on with the journal")
    (journal,) = journals(tmp_path)
    assert 5000 < journal.stat().st_size <= 9000
    stored = json.loads(runs("show", "--json", cwd=tmp_path).stdout)
    assert stored["damage"] == []
    before = journal.read_bytes()
    full = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (len(before), len(before)))  # noqa: E731
    refused = runs("resume", "--json", cwd=tmp_path, preexec_fn=full, env=env)
    assert (refused.returncode, refused.stdout) == (1, b"")  # nothing is spent that could not be accounted for
    assert [b"the run stays as it is" in line for line in refused.stderr.splitlines()] == [True, False]
    assert journal.read_bytes() == before
    went_on = runs("resume", "--json", cwd=tmp_path)
    assert went_on.returncode in (0, 3), went_on.stderr
    assert len(results(went_on.stdout)) == QUESTIONS


def test_a_journal_that_is_deleted_under_the_run(ask, tmp_path):
    process = ask("--max-tokens", "200", wait=False)
    until_sampled(process, tmp_path)
    for journal in journals(tmp_path):
        journal.unlink()
    output, error = process.communicate(timeout=MINUTES)
    unkept(subprocess.CompletedProcess((), process.returncode, output, error), "it was deleted")
    assert journals(tmp_path) == []


def test_what_is_not_there_is_one_line_and_a_hint(tmp_path):
    for command in (("show",), ("resume", "nowhere"), ("rm",), ("export", "x")):
        done = runs(*command, cwd=tmp_path)
        assert (done.returncode, len(lines(done.stderr))) == (2, 2), done.stderr
    assert runs("list", cwd=tmp_path).stdout == b""


def test_without_a_name_resume_takes_the_run_that_was_left_and_says_when_there_is_nothing_to_do(ask, tmp_path):
    assert ask().returncode in (0, 3)
    finished = runs("resume", cwd=tmp_path)
    assert b" is finished: " in finished.stderr
    (journal,) = journals(tmp_path)
    left = journal.with_name("zzzzzz.jsonl")
    left.write_bytes(b"".join(line for line in journal.read_bytes().splitlines(True) if b'"type":"end"' not in line))
    os.utime(left, (1, 1))
    assert b"run zzzzzz goes on: " in runs("resume", cwd=tmp_path).stderr
