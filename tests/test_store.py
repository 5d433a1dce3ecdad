"""Runs in their database: what is stored when, damage, locks, sizes, and what a resumed run makes of it."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, replace

import pytest

from dynscale_cli.display.listings import print_list
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.questions import Question
from dynscale_cli.run import database, request
from dynscale_cli.run import store as stores
from dynscale_cli.run.events import (
    Answered,
    Dropped,
    Ended,
    KindReport,
    Notice,
    Result,
    RunFinished,
    Sampled,
    SampleFinished,
    Start,
    members,
)
from dynscale_cli.run.request import RunRequest, Settings
from dynscale_cli.run.run import Run
from dynscale_cli.run.store import Store
from dynscale_cli.run.stored import Past
from dynscale_cli.sampling.samples import Sample
from tests.kills import script
from tests.scripted import scripted_engine

ASKED = [Question(n, f"q{n}", f"What is {n} plus {n}?", (), str(2 * n)) for n in range(6)]
SETTINGS = Settings(budget=50_000, max_samples=8, max_tokens=60)
SAMPLE = Sample(
    1, "chain", "so\nAnswer: 7", "7", "7", Tokens(30, 20, 4), "length", True, True, True, 0.5, -0.25, (2, 0)
)
MODEL = {"kind": "scripted", "name": "scripted", "path": "nowhere"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "state" / "runs.db")


def asked(settings=SETTINGS, questions=ASKED):
    return RunRequest(settings, MODEL, 4, 4096, len(questions)), questions


def begin(store, settings=SETTINGS, questions=ASKED):
    """(results, events, id) of a run that is stored."""
    recorder = store.create(*asked(settings, questions))
    return take(Run(questions, scripted_engine(script), settings, journal=recorder, clock=lambda: 0.0), recorder)


def resume(store, name=None, budget=None):
    recorder, stored = store.reopen(name)
    budget = budget or stored.budget
    recorder.resume(budget)
    settings = replace(stored.settings, budget=budget)
    engine = scripted_engine(script)
    run = Run(stored.questions, engine, settings, journal=recorder, past=Past(stored), clock=lambda: 0.0)
    return take(run, recorder)


def take(run, recorder):
    events = list(run.events())
    recorder.close()
    results = sorted((e.result for e in events if isinstance(e, Answered)), key=lambda r: r.index)
    return results, events, recorder.id


def change(store, statement, *values):
    with closing(sqlite3.connect(store.path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def shape(results):
    return [(r.id, r.answer, r.votes, r.samples, r.stopped, r.forced, r.confidence) for r in results]


def test_a_person_can_ask_the_database(store):
    begin(store, questions=[Question(0, "1", "What is 3 plus 4?")])
    rows = change(store, "select question, answer, text from samples")
    assert {(question, answer) for question, answer, _ in rows} <= {("What is 3 plus 4?", a) for a in ("7", "8")}
    assert all("word" in text for *_, text in rows)
    ((question, answer),) = change(store, "select question, answer from questions")
    assert (question, answer) == ("What is 3 plus 4?", store.read().results[0].answer)
    assert change(store, "select state, model, questions from runs") == [("finished", "scripted", 1)]


def test_the_database_is_private_whatever_the_umask(store):
    before = os.umask(0)
    try:
        recorder = store.create(*asked())
        names = [path for path in store.path.parent.iterdir() if path.is_file()]
        assert len(names) > 1
        assert {stat.S_IMODE(path.stat().st_mode) for path in names} == {0o600}
        assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
        recorder.close()
    finally:
        os.umask(before)
    store.path.chmod(0o644)  # as a copy of it may be
    store.read()
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_what_is_drawn_is_read_as_it_was_told(store):
    recorder = store.create(*asked())
    told = [
        (Start(3, 1, "chain", (2, 0)), Sampled(3, SAMPLE)),
        (Start(3, 2, "parallel"), Dropped(3, 2, "parallel", Tokens(9, 2), "it broke off", True)),
        (Start(3, 3, "parallel"), Dropped(3, 3, "parallel", Tokens(9, 2))),
    ]
    waiting = Start(2, 0, "chain", (5,))
    for start, _ in told:
        recorder.started(start)
    recorder.started(waiting)
    recorder.allow(100)
    for _, came in reversed(told):
        recorder.returned(came, 1.5)
    recorder.allow(100)
    stored = store.read()
    assert list(stored.draws()) == [(1.5, came) for _, came in reversed(told)]
    assert list(stored.as_begun()) == [*(came for _, came in told), waiting]
    assert stored.in_flight() == [waiting]
    recorder.close()


def test_a_sample_is_stored_before_the_next_step_and_an_answer_before_it_is_told(store):
    recorder = store.create(*asked())
    for event in Run(ASKED, scripted_engine(script), SETTINGS, journal=recorder).events():
        if isinstance(event, Answered):
            stored = store.read()
            assert stored.results[event.result.index] == event.result
            assert sum(q == event.result.index for q, _ in stored.samples()) == event.result.samples
    recorder.close()


def test_stopped_at_any_moment_a_run_ends_with_all_that_it_had_and_within_its_budget(store):
    """Chains and a learned share of them included."""
    full = {(sample.number, q) for _ in [begin(store)] for q, sample in store.read().samples()}
    for stop in range(5, len(full), 9):
        recorder = store.create(*asked())
        run, came = Run(ASKED, scripted_engine(script), SETTINGS, journal=recorder), 0
        for event in run.events():
            came += isinstance(event, SampleFinished)
            if came == stop:
                break
        recorder._write()
        recorder._closed = True  # as after a kill: nothing more is written
        recorder._lock.release()
        kept = list(store.read().samples())
        assert len(kept) >= stop - 1
        results, events, id = resume(store)
        assert [result.index for result in results] == list(range(len(ASKED)))
        assert list(store.read(id).samples())[: len(kept)] == kept
        finished = next(event for event in events if isinstance(event, RunFinished))
        assert finished.tokens.billed + finished.lost <= SETTINGS.budget
        recorder._checkpoints.close()
        recorder._connection.close()


def test_a_finished_run_that_is_resumed_draws_nothing_and_says_the_same(store):
    want, events, _ = begin(store)
    drawn = sum(isinstance(event, SampleFinished) for event in events)
    results, events, id = resume(store)
    assert results == want  # to the token and the second
    assert all(event.replayed for event in events if isinstance(event, Answered))
    assert sum(1 for _ in store.read(id).samples()) == drawn


def test_a_run_that_is_left_has_answered_what_it_has_told(store):
    recorder = store.create(*asked())
    run = Run(ASKED, scripted_engine(script), SETTINGS, journal=recorder)
    next(event for event in run.events() if isinstance(event, Answered))
    run.leave()
    recorder.close()
    assert [(row.state, row.answered) for row in store.summaries()] == [("interrupted", 1)]


def test_a_run_on_which_more_was_spent_than_it_had_goes_on_and_draws_nothing(store):
    """As a server does that does not keep to what it is asked for."""
    want, _, _ = begin(store)
    drawn = sum(1 for _ in store.read().samples())
    results, events, _ = resume(store, budget=100)
    assert shape(results) == shape(want)
    assert sum(1 for _ in store.read().samples()) == drawn
    assert any("beyond the budget" in event.message for event in events if isinstance(event, Notice))


def test_the_bound_that_a_killed_run_had_announced_stays_spent(store):
    recorder = store.create(*asked())
    recorder.allow(1000)
    recorder._closed = True
    recorder._lock.release()
    assert 1000 <= store.read().spent <= 1000 + stores.STRIDE
    assert [row.state for row in store.summaries()] == ["killed"]
    recorder._checkpoints.close()
    recorder._connection.close()


def test_a_result_that_cannot_be_read_is_named_and_costs_no_more_than_itself(store):
    want, _, _ = begin(store)
    change(store, "update questions set result = '{' where place = 2")
    assert store.read().damage == ["the result of question 3 cannot be read"]
    results, _, _ = resume(store)
    assert shape(results) == shape(want)


def test_a_sample_that_cannot_be_read_is_an_error_of_one_line(store):
    begin(store)
    change(store, "update draws set seen = 'x', place = 77 where draw = 3")
    with pytest.raises(DynscaleError, match=r"draw 3 of run .* is damaged"):
        list(store.read().samples())


@pytest.mark.parametrize("damage", ["request = 'x'", "request = '{}'", "budget = 'x'"])
def test_one_damaged_run_breaks_no_list(store, damage):
    _, _, id = begin(store)
    begin(store)
    change(store, f"update runs set {damage} where id = ?", id)
    assert sorted(row.state for row in store.summaries()) == ["damaged", "finished"]
    with pytest.raises(DynscaleError, match="damaged"):
        store.read(id)
    store.remove(id)
    assert [row.state for row in store.summaries()] == ["finished"]


def test_what_is_no_database_is_an_error_of_one_line_that_says_what_to_do(store):
    begin(store)
    store.path.write_bytes(b"no database " * 1000)
    for read in (store.read, store.summaries, store.ids, lambda: store.create(*asked())):
        with pytest.raises(DynscaleError) as raised:
            read()
        assert "not a database" in raised.value.message
        assert f"mv {store.path} " in raised.value.hint


def test_a_database_of_a_newer_version_is_left_alone(store):
    begin(store)
    change(store, f"pragma user_version = {database.VERSION + 1}")
    for read in (store.read, store.reopen, store.summaries, lambda: store.create(*asked())):
        with pytest.raises(DynscaleError) as raised:
            read()
        assert "newer dynscale" in raised.value.message
        assert raised.value.hint.startswith("pip install --upgrade")


def test_a_run_with_settings_of_a_newer_version_is_not_called_damaged(store, capsys):
    _, _, id = begin(store)
    values = json.loads(change(store, "select request from runs")[0][0])
    values["settings"]["unheard"] = "of"
    change(store, "update runs set request = ?", json.dumps({**values, "dynscale": "99.0"}))
    with pytest.raises(DynscaleError, match=f"run {id} was written by dynscale 99.0, which is newer"):
        store.read()
    assert [(row.state, row.dynscale) for row in store.summaries()] == [("newer", request.__version__)]
    print_list(store.summaries())
    assert "newer" in capsys.readouterr().out


@pytest.mark.parametrize("killed", [True, False])
def test_a_resumed_run_that_is_left_while_it_tells_its_past_has_forgotten_nothing(store, killed):
    """As when the reader of its answers goes away at once."""
    begin(store, replace(SETTINGS, max_samples=3))
    if killed:
        change(store, "update runs set state = 'running', spent = 40000")
    before = store.read()
    (row,) = store.summaries()
    recorder, stored = store.reopen()
    recorder.resume(stored.budget)
    run = Run(stored.questions, scripted_engine(script), stored.settings, journal=recorder, past=Past(stored))
    next(event for event in run.events() if isinstance(event, Answered))
    run.leave()
    recorder.close()
    assert store.read().spent == before.spent
    (after,) = store.summaries()
    assert (after.state, after.answered, after.spent) == (row.state, row.answered, row.spent)


def test_a_run_has_one_writer(store):
    recorder = store.create(*asked())
    with pytest.raises(DynscaleError, match="still going on"):
        store.reopen(recorder.id)
    with pytest.raises(DynscaleError, match="still going on"):
        store.remove(recorder.id)
    assert Store(store.path, max_bytes=1).trim() == []
    assert [row.state for row in store.summaries()] == ["running"]
    recorder.close()
    assert store.remove(recorder.id) > 0
    assert store.ids() == []


WRITER = """
import sys
from tests.test_store import ASKED, SETTINGS, begin
from dynscale_cli.run.store import Store
from pathlib import Path
begin(Store(Path(sys.argv[1])))
"""


def test_runs_of_several_processes_at_once_lose_nothing(store):
    command = [sys.executable, "-c", WRITER, str(store.path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [(b"", 0)] * 3
    rows = store.summaries()
    assert [(row.state, row.answered) for row in rows] == [("finished", len(ASKED))] * 3
    drawn = {row.id: sum(1 for _ in store.read(row.id).samples()) for row in rows}
    assert drawn == {row.id: sum(r.samples for r in store.read(row.id).results.values()) for row in rows}


def test_where_there_is_no_shared_memory_runs_are_stored_all_the_same(store, monkeypatch):
    def refuse(connection):
        assert connection.execute("pragma journal_mode = truncate").fetchone()[0] == "truncate"

    monkeypatch.setattr(database, "_to_write_ahead", refuse)
    want, _, _ = begin(store)
    assert shape(resume(store)[0]) == shape(want)
    assert not store.path.with_name("runs.db-wal").exists()


def test_beyond_the_bound_the_oldest_finished_runs_go_first_and_leave_their_room(store):
    text = " ".join(["long"] * 4000)
    questions = [Question(n, str(n), f"{text} {n}?") for n in range(6)]
    ids = [begin(store, questions=questions)[2] for _ in range(3)]
    stopped = store.create(*asked())
    stopped.close()
    size = store.path.stat().st_size
    small = Store(store.path, max_bytes=size // 2)
    assert small.trim(keep=ids[2]) == ids[:2]
    assert sorted(store.ids()) == sorted([ids[2], stopped.id])
    assert store.path.stat().st_size < size // 2


def test_ids_are_completed_from_their_beginning(store):
    _, _, first = begin(store, questions=ASKED[:1])
    assert store.find(first[:4].upper()) == first
    assert store.find() == first
    other = first[:4] + ("aa" if first[4:] != "aa" else "bb")
    for table, column in (("runs", "id"), ("questions", "run"), ("draws", "run")):
        names = [row[1] for row in change(store, f"pragma table_info({table})") if row[1] not in (column, "draw")]
        columns = ", ".join(names)
        change(store, f"insert into {table} ({column}, {columns}) select ?, {columns} from {table}", other)
    assert store.find(first) == first
    with pytest.raises(UsageError, match="2 runs"):
        store.find(first[:4])
    with pytest.raises(UsageError, match="empty"):
        store.find("")
    with pytest.raises(UsageError, match="no run"):
        store.find("nothing")
    with pytest.raises(UsageError, match="no run"):
        store.find("%")


def test_a_resumed_run_says_where_it_stands(store):
    begin(store, replace(SETTINGS, budget=1200))
    _, events, _ = resume(store, budget=2400)
    notice = next(event.message for event in events if isinstance(event, Notice))
    assert "goes on: " in notice
    assert f"of {len(ASKED)} questions are done" in notice
    assert next(event for event in events if isinstance(event, RunFinished)).budget == 2400


def test_a_disk_that_refuses_is_told_once_and_the_run_goes_on(store, monkeypatch):
    want, _, _ = begin(store)
    recorder = store.create(*asked())
    run = Run(ASKED, scripted_engine(script), SETTINGS, journal=recorder, clock=lambda: 0.0)
    results, complaints, came = [], [], 0
    for event in run.events():
        came += isinstance(event, SampleFinished)
        if came == 5:
            recorder._connection.execute("pragma max_page_count = 1")
        results += [event.result] if isinstance(event, Answered) else []
        complaints += [event.message] if isinstance(event, Notice) else []
    assert shape(sorted(results, key=lambda r: r.index)) == shape(want)
    assert [f"cannot go on storing this run in {store.path}: database or disk is full" in c for c in complaints] == [
        True
    ]
    recorder.close()
    recorder, stored = store.reopen(recorder.id)
    recorder.close()
    kept = sum(sample.tokens.billed for _, sample in stored.samples())
    assert kept < stored.spent == run.state.ledger.settled  # the exact account had room
    assert shape(resume(store, recorder.id)[0]) == shape(want)


def test_what_a_run_spends_unannounced_is_never_spent_again(store, monkeypatch):
    recorder = store.create(*asked())
    recorder.allow(100)
    monkeypatch.setattr(recorder, "_commit", lambda statements: (_ for _ in ()).throw(sqlite3.OperationalError("full")))
    recorder.allow(5000)
    assert "full" in recorder.complaint()
    assert recorder.complaint() is None
    recorder.ended(Ended("finished", 6000, SETTINGS.budget, 0, 6, 1.0))
    recorder._new = False
    recorder.close()
    assert store.read().spent == SETTINGS.budget
    assert [row.spent for row in store.summaries()] == [SETTINGS.budget]


def test_models_that_differ_in_their_weights_alone_are_told_apart(tmp_path):
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    first.write_bytes(b"GGUF" + bytes(3_000_000))
    second.write_bytes(b"GGUF" + bytes(2_000_000) + b"\1" * 400_000 + bytes(600_000))
    assert request.fingerprint([first]) != request.fingerprint([second])
    known = {**MODEL, "size": 1, "hash": "a"}
    assert request.difference(known, {**known, "path": "elsewhere", "name": "renamed"}) is None
    assert request.difference(known, {**known, "size": 2}) == "size was 1 and is 2"


def test_no_secret_of_a_server_is_stored():
    stored = request.server(["https://me:secret@host:8000/v1?key=secret"], "qwen")
    assert stored["path"] == "https://host:8000/v1"
    assert "secret" not in str(stored)


def test_a_run_from_somewhere_else_is_not_called_one_s_own(store, monkeypatch, tmp_path):
    begin(store)
    assert store.read().own
    text = change(store, "select request from runs")[0][0]
    change(store, "update runs set request = ?", text.replace("nowhere", "elsewhere"))
    assert not store.read().own
    change(store, "update runs set request = ?", text)
    assert store.read().own
    monkeypatch.setenv("DYNSCALE_HOME", str(tmp_path / "another"))
    assert not store.read().own


def test_half_a_character_from_a_server_can_be_stored(store):
    recorder = store.create(*asked())
    recorder.started(Start(0, 1, "chain"))
    recorder.returned(Sampled(0, replace(SAMPLE, text="so \ud83d", seen=())), 0.0)
    recorder.close()
    assert [sample.text for _, sample in store.read().samples()] == ["so \ufffd"]
    assert recorder.failure is None


def test_members_of_a_record_are_the_json_that_asdict_would_give():
    kinds = {"chain": KindReport(2, 12, 0.5)}
    told = Result("q1", 0, "é?", "7", 0.9, {"7": 2.0}, 3, Tokens(1, 2, 3), "settled", 0, 1, "m", 0.5, kinds=kinds)
    for record in (told, SAMPLE, Question(3, "q3", "Which?", ("a", "b")), Dropped(1, 2, "chain", Tokens(1, 2, 3))):
        assert json.dumps(members(record), default=members) == json.dumps(asdict(record))


def test_a_run_that_goes_on_does_not_hold_the_results_that_it_has_told(store):
    _, _, id = begin(store)
    recorder, stored = store.reopen(id)
    assert stored.results
    run = Run(stored.questions, scripted_engine(script), stored.settings, journal=recorder, past=Past(stored))
    told = [event.result for event in run.events() if isinstance(event, Answered)]
    recorder.close()
    assert (len(told), stored.results) == (len(ASKED), {})
