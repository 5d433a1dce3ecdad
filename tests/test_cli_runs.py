"""`dynscale runs`, and runs that are stopped in every way there is, as processes."""

import json
import resource
import signal
import sqlite3
import stat
import subprocess
import time
from contextlib import closing, suppress
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


def database(cwd) -> Path:
    return cwd / "dynscale" / "runs.db"


def ask_database(cwd, statement: str) -> list[tuple]:
    """What a person would get; nothing where there is no database yet."""
    if not database(cwd).exists():
        return []
    with closing(sqlite3.connect(database(cwd))) as connection, suppress(sqlite3.OperationalError):
        return connection.execute(statement).fetchall()
    return []


def ids(cwd) -> list[str]:
    return [id for (id,) in ask_database(cwd, "select id from runs order by rowid")]


def until_sampled(process, cwd) -> None:
    """Wait until a few samples of a running process are stored."""
    end = time.monotonic() + MINUTES
    while time.monotonic() < end and process.poll() is None:
        if len(samples(cwd)) > 3:
            return
        time.sleep(0.02)
    raise AssertionError(f"no sample came: {process.communicate()}")


def results(output: bytes) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def samples(cwd) -> list[tuple]:
    """In the order in which they came."""
    return ask_database(cwd, "select place, number, text from draws where finish in ('stop', 'length') order by came")


def billed(output: bytes) -> int:
    return sum(r["tokens"]["prompt"] + r["tokens"]["generated"] for r in results(output))


def shape(output: bytes) -> list[tuple]:
    return [(r["id"], r["answer"], r["votes"], r["samples"], r["stopped"]) for r in results(output)]


def test_a_run_leaves_what_can_be_listed_shown_exported_and_removed(ask, tmp_path):
    assert ask("-q").returncode in (0, 3)
    (id,) = ids(tmp_path)
    files = [path for path in (tmp_path / "dynscale").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(database(tmp_path).parent.stat().st_mode) == 0o700
    listed = runs("list", cwd=tmp_path)
    assert [line.split()[:2] for line in lines(listed.stdout)] == [["run", "state"], [id, "finished"]]
    assert "What is 0+0? + 23" in lines(listed.stdout)[1]
    (row,) = results(runs("list", "--json", cwd=tmp_path).stdout)
    assert (row["id"], row["questions"], row["budget"], row["source"]) == (id, QUESTIONS, 60_000, "q.jsonl")
    shown = json.loads(runs("show", id[:3], "--json", cwd=tmp_path).stdout)
    assert (shown["state"], len(shown["results"]), shown["spent"]) == ("finished", QUESTIONS, row["spent"])
    assert b"What is 23+23?" in runs("show", cwd=tmp_path).stdout
    drawn = json.loads(runs("show", "--samples", "--json", cwd=tmp_path).stdout)["samples"]
    assert len(drawn) == len(samples(tmp_path)) == sum(result["samples"] for result in shown["results"])
    assert runs("path", cwd=tmp_path).stdout.decode().strip() == str(database(tmp_path))
    assert runs("export", "-o", "pool.jsonl", cwd=tmp_path).returncode == 0
    assert len(lines((tmp_path / "pool.jsonl").read_bytes())) == QUESTIONS
    assert dynscale("replay", "pool.jsonl", "--seeds", "1", "--policy", "race", cwd=tmp_path).returncode == 0
    assert runs("rm", id, cwd=tmp_path).returncode == 0
    assert ids(tmp_path) == []


def test_a_single_question_is_kept_and_can_be_bought_more(tiny, tmp_path):
    flags = ("-t", "1", "-np", "4", "--max-tokens", "24", "--budget", "200")
    first = dynscale("ask", "-m", str(tiny), *flags, "What is 1+1?", cwd=tmp_path)
    (id,) = ids(tmp_path)
    assert lines(first.stderr)[-1].endswith(f"to buy more: dynscale runs resume {id} --budget +200")
    assert runs("resume", id, "--budget", "+200", cwd=tmp_path).returncode in (0, 3)
    assert json.loads(runs("show", "--json", cwd=tmp_path).stdout)["budget"] == 400
    assert b"  sample 1, parallel" in runs("show", "--samples", cwd=tmp_path).stdout


def test_no_journal_leaves_nothing(ask, tmp_path):
    assert ask("-q", "--no-journal").returncode in (0, 3)
    assert not database(tmp_path).exists()


def test_all_finished_runs_are_removed_but_for_those_that_bench_draws_from(ask, tiny, tmp_path):
    ask("-q")
    ask("-q")
    bench = ("bench", "q.jsonl", "-m", str(tiny), "-t", "1", "--samples", "2", "--seeds", "1", "--limit", "2")
    assert dynscale(*bench, "--methods", "self-consistency", "-q", cwd=tmp_path).returncode == 0
    assert len(ids(tmp_path)) == 3
    removed = runs("rm", "--finished", cwd=tmp_path)
    assert removed.stdout == b"removed 2 runs\n"
    assert [command for (command,) in ask_database(tmp_path, "select command from runs")] == ["bench self-consistency"]


def test_a_run_that_was_interrupted_ends_like_one_that_was_not(ask, bundled_model, tmp_path):
    flags = ("-m", str(bundled_model), "-t", "1", "-np", "4", "--max-samples", "5", "--max-tokens", "16")
    flags += ("--limit", "3", "--budget", "900k", "--json")
    process = ask(flags=flags, wait=False)
    until_sampled(process, tmp_path)
    process.send_signal(signal.SIGINT)
    output, error = process.communicate(timeout=MINUTES)
    assert process.returncode == 130
    assert len(results(output)) == 3
    (id,) = ids(tmp_path)
    assert lines(error)[-1] == f"dynscale: to go on with this run: dynscale runs resume {id}"
    went_on = runs("resume", "--json", cwd=tmp_path)
    assert went_on.returncode in (0, 3), went_on.stderr
    assert [r["samples"] for r in results(went_on.stdout)] == [5, 5, 5]
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
    before = samples(tmp_path)
    went_on = runs("resume", "--json", cwd=tmp_path)
    assert went_on.returncode in (0, 3), went_on.stderr
    assert [r["index"] for r in results(went_on.stdout)] == list(range(QUESTIONS))
    after = samples(tmp_path)
    assert after[: len(before)] == before
    assert len({(place, number) for place, number, _ in after}) == len(after)


def test_a_run_that_is_going_on_is_nobody_else_s(ask, tmp_path):
    process = ask(flags=LONG, wait=False)
    until_sampled(process, tmp_path)
    (id,) = ids(tmp_path)
    other = ask("-q")
    assert other.returncode in (0, 3)
    assert len(ids(tmp_path)) == 2
    for refused in (runs("resume", id, cwd=tmp_path), runs("rm", id, cwd=tmp_path)):
        assert refused.returncode == 1
        assert lines(refused.stderr)[0] == f"dynscale: run {id} is still going on"
    assert [row["state"] for row in results(runs("list", "--json", cwd=tmp_path).stdout)].count("running") == 1
    process.kill()
    process.communicate()


def test_more_budget_for_a_finished_run_keeps_its_samples_and_spends_only_new_tokens(ask, tmp_path):
    first = ask("--json", flags=("-t", "1", "-np", "4", "--max-tokens", "24", "--budget", "2000"))
    before = samples(tmp_path)
    more = runs("resume", "--json", "--budget", "+1k", cwd=tmp_path)
    assert more.returncode in (0, 3), more.stderr
    after = samples(tmp_path)
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
    said = [line for line in lines(refused.stderr) if "checking" not in line]
    assert (refused.returncode, len(said)) == (2, 2), refused.stderr
    assert ids(tmp_path) == []


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
    unkept(ask(), "this run is not kept")


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on the size of files")
@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_a_full_disk(ask, tmp_path, quiet):
    def full(size):
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    env = {"PYTHONDONTWRITEBYTECODE": "1"}  # the limit would cut off compiled modules, too, for every later process
    unkept(ask(*quiet, preexec_fn=full(120_000), env=env), "cannot go on storing this run")
    before = samples(tmp_path)
    assert before
    refused = runs("resume", "--json", cwd=tmp_path, preexec_fn=full(1_000), env=env)
    assert (refused.returncode, refused.stdout) == (1, b"")  # nothing is spent that could not be accounted for
    assert len(lines(refused.stderr)) == 2, refused.stderr
    assert samples(tmp_path) == before
    went_on = runs("resume", "--json", cwd=tmp_path)
    assert went_on.returncode in (0, 3), went_on.stderr
    assert len(results(went_on.stdout)) == QUESTIONS
    assert samples(tmp_path)[: len(before)] == before


def test_a_database_that_is_deleted_under_the_run(ask, tmp_path):
    process = ask("--max-tokens", "200", wait=False)
    until_sampled(process, tmp_path)
    database(tmp_path).unlink()
    output, error = process.communicate(timeout=MINUTES)
    unkept(subprocess.CompletedProcess((), process.returncode, output, error), "it was deleted")
    assert ids(tmp_path) == []


def test_what_is_not_there_is_one_line_and_a_hint(tmp_path):
    for command in (("show",), ("resume", "nowhere"), ("rm",), ("export", "x")):
        done = runs(*command, cwd=tmp_path)
        assert (done.returncode, len(lines(done.stderr))) == (2, 2), done.stderr
    assert runs("list", cwd=tmp_path).stdout == b""


def test_without_a_name_resume_takes_the_newest_run_whatever_its_state_and_says_which(ask, tmp_path):
    assert ask().returncode in (0, 3)
    (first,) = ids(tmp_path)
    assert f"run {first} is finished: ".encode() in runs("resume", cwd=tmp_path).stderr
    assert ask("--max-samples", "4").returncode in (0, 3)
    newest = ids(tmp_path)[-1]
    assert f"run {newest} is finished: ".encode() in runs("resume", cwd=tmp_path).stderr


def test_nothing_that_a_run_says_reaches_a_terminal_raw(ask, tmp_path):
    ask("-q", "--limit", "2")
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\x9b2J"
    with closing(sqlite3.connect(database(tmp_path))) as connection, connection:
        connection.execute("update questions set question = question || ?, answer = ?", (evil, evil))
        connection.execute("update draws set text = ?, answer = ?", (evil, evil))
        connection.execute("update runs set model = ?, source = ?, command = ?, dynscale = ?", (evil,) * 4)
    for arguments in (("list",), ("list", "--json"), ("show",), ("show", "--samples"), ("show", "--samples", "--json")):
        shown = runs(*arguments, cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
        text = shown.stdout.decode()
        assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}, arguments
