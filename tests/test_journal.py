"""The journal in its own terms: damage, locks, sizes, and what a resumed run makes of it."""

import json
from dataclasses import asdict, replace

import pytest

from dynscale_cli.display.runs import print_list
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.questions import Question
from dynscale_cli.run import entries, identity
from dynscale_cli.run import journal as journals
from dynscale_cli.run.events import Answered, KindReport, Notice, Result, RunFinished, SampleFinished, members
from dynscale_cli.run.past import Past
from dynscale_cli.run.request import RunRequest
from dynscale_cli.run.run import Run
from dynscale_cli.run.settings import Settings
from dynscale_cli.run.sink import Dropped, Sampled, Start
from dynscale_cli.run.store import Store
from dynscale_cli.run.summary import summaries
from dynscale_cli.sampling.samples import Sample
from tests.kills import script
from tests.scripted import scripted_engine

ASKED = [Question(n, f"q{n}", f"What is {n} plus {n}?", (), str(2 * n)) for n in range(6)]
SETTINGS = Settings(budget=50_000, max_samples=8, max_tokens=60)
SAMPLE = Sample(1, "chain", "so\nAnswer: 7", "7", "7", Tokens(30, 20, 4), "length", True, 0.5, -0.25, (2, 0))
MODEL = {"kind": "scripted", "name": "scripted", "path": "nowhere"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "state" / "runs")


def begin(store, settings=SETTINGS, questions=ASKED):
    """(results, events, path) of a run that is told to a journal."""
    journal = store.create(RunRequest(settings, MODEL, 4, 4096, len(questions)), questions)
    return take(Run(questions, scripted_engine(script), settings, journal=journal, clock=lambda: 0.0), journal)


def resume(store, name=None, budget=None):
    journal, stored = store.reopen(name)
    budget = budget or stored.budget
    journal.resume(budget)
    settings = replace(stored.settings, budget=budget)
    engine = scripted_engine(script)
    run = Run(stored.questions, engine, settings, journal=journal, past=Past(stored), clock=lambda: 0.0)
    return take(run, journal)


def take(run, journal):
    events = list(run.events())
    journal.close()
    results = sorted((e.result for e in events if isinstance(e, Answered)), key=lambda r: r.index)
    return results, events, journal.path


def shape(results):
    return [(r.id, r.answer, r.votes, r.samples, r.stopped, r.forced, r.confidence) for r in results]


def test_cut_anywhere_a_run_ends_as_it_would_have(store):
    """Chains and a learned share of them included, whatever had been written when it stopped."""
    want, _, path = begin(store)
    whole = path.read_bytes()
    ends = [place for place in range(len(whole)) if whole[place : place + 1] == b"\n"][len(ASKED) + 2 :]
    for end in ends[:: len(ends) // 12]:
        path.write_bytes(whole[: end + 12])  # and a torn line
        results, events, _ = resume(store)
        assert shape(results) == shape(want), end
        finished = next(event for event in events if isinstance(event, RunFinished))
        assert finished.tokens.billed + finished.lost <= SETTINGS.budget
        assert store.read().damage == []


def test_a_finished_run_that_is_resumed_draws_nothing_and_says_the_same(store):
    want, events, _ = begin(store)
    drawn = sum(isinstance(event, SampleFinished) for event in events)
    results, events, path = resume(store)
    assert results == want  # to the token and the second
    assert all(event.replayed for event in events if isinstance(event, Answered))
    assert sum(isinstance(event, SampleFinished) for event in events) == drawn
    assert sum(1 for _ in store.read(path.stem).samples()) == drawn


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (lambda entry: entries.start_line(entry, 1.5), Start(3, 1, "chain", (2, 0))),
        (lambda entry: entries.drop_line(entry, 1.5), Dropped(3, 1, "parallel", Tokens(9, 2), "it broke off", True)),
        (lambda entry: entries.sample_line(entry, 1.5), Sampled(3, SAMPLE, False)),
    ],
)
def test_every_pull_is_read_as_it_was_written(line, entry):
    raw = line(entry).rstrip()
    assert entries.PULLS[entries.kind_of(raw)](json.loads(raw)) == entry


def test_a_run_that_is_left_has_answered_what_it_has_told(store):
    journal = store.create(RunRequest(SETTINGS, MODEL, 4, 4096, len(ASKED)), ASKED)
    run = Run(ASKED, scripted_engine(script), SETTINGS, journal=journal)
    next(event for event in run.events() if isinstance(event, Answered))
    run.leave()
    journal.close()
    assert [(row.state, row.answered) for row in summaries(store)] == [("interrupted", 1)]


def test_a_run_on_which_more_was_spent_than_it_had_goes_on_and_draws_nothing(store):
    """As a server does that does not keep to what it is asked for."""
    want, _, _ = begin(store)
    drawn = sum(1 for _ in store.read().samples())
    results, events, _ = resume(store, budget=100)
    assert shape(results) == shape(want)
    assert sum(1 for _ in store.read().samples()) == drawn
    assert any("beyond the budget" in event.message for event in events if isinstance(event, Notice))


def test_a_damaged_line_is_named_and_costs_no_more_than_itself(store):
    begin(store)
    path = store.path()
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if n > 40 and line.startswith(b'{"type":"sample"'))
    lines[place] = lines[place].replace(b"word", b"ward", 1)
    path.write_bytes(b"".join(lines))
    stored = store.read()
    assert [damage.line for damage in stored.damage] == [place + 1]
    kept = list(stored.samples())
    assert len(kept) == sum(line.startswith(b'{"type":"sample"') for line in lines) - 1
    results, _, _ = resume(store)
    assert [result.index for result in results] == list(range(len(ASKED)))
    assert all(sample in list(store.read().samples()) for sample in kept)


def test_a_question_whose_line_is_damaged_is_lost_alone(store):
    before, _, _ = begin(store, replace(SETTINGS, budget=500))
    path = store.path()
    path.write_bytes(path.read_bytes().replace(b"What is 2 plus 2?", b"What is 3 plus 2?", 1))
    results, _, _ = resume(store, budget=3000)
    assert [result.stopped == "error" for result in results] == [result.index == 2 for result in results]
    assert results[2].votes == before[2].votes
    assert "damaged" in results[2].error


def test_what_is_no_journal_is_an_error_of_one_line(store):
    begin(store)
    path = store.path()
    path.write_bytes(b"{}" + path.read_bytes())
    with pytest.raises(DynscaleError, match="first line is damaged"):
        store.read()
    assert [row.state for row in summaries(store)] == ["damaged"]


@pytest.mark.parametrize("change", [{"format": 2}, {"settings": {"budget": 9, "unheard": "of"}}])
def test_a_journal_of_a_newer_version_is_not_called_damaged(store, capsys, change):
    begin(store)
    path = store.path()
    request = json.loads(path.read_bytes().splitlines()[0])
    del request["type"], request["crc"]
    path.write_bytes(entries.line("run", {**request, "dynscale": "0.10.0", **change}))
    for read in (store.read, store.reopen):
        with pytest.raises(DynscaleError) as raised:
            read()
        assert f"run {path.stem} was written by dynscale 0.10.0, which is newer" in raised.value.message
        assert raised.value.hint.startswith("pip install --upgrade")
    assert [row.state for row in summaries(store)] == ["newer"]
    print_list(summaries(store))
    assert "by dynscale 0.10.0" in capsys.readouterr().out


def test_a_sample_whose_line_is_there_twice_counts_once(store):
    want, _, path = begin(store, replace(SETTINGS, max_samples=3))
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if line.startswith(b'{"type":"sample"'))
    path.write_bytes(b"".join([*lines[: place + 1], lines[place], *lines[place + 1 :]]))
    kept = [(q, sample.number) for q, sample in store.read().samples()]
    assert len(kept) == len(set(kept)) == sum(result.samples for result in want)
    results, _, _ = resume(store)
    assert shape(results) == shape(want)


@pytest.mark.parametrize("kind", ["start", "sample", "drop"])
@pytest.mark.parametrize("values", [{}, {"q": 99, "number": 0, "kind": "chain", "seen": []}])
def test_a_line_that_is_whole_and_not_understood_is_an_error_of_one_line(store, kind, values):
    _, _, path = begin(store)
    path.write_bytes(path.read_bytes() + entries.line(kind, values))
    with pytest.raises(DynscaleError, match=f"not a {kind} as this dynscale knows it"):
        list(store.read().entries())


@pytest.mark.parametrize(
    ("kind", "values"), [("answer", {"index": 0}), ("spent", {"upto": "9"}), ("resume", {"budget": -1, "spent": 0})]
)
def test_a_line_of_an_account_that_is_not_understood_is_named_and_left_out(store, kind, values):
    want, _, path = begin(store)
    number = len(path.read_bytes().splitlines()) + 1
    path.write_bytes(path.read_bytes() + entries.line(kind, values))
    assert [(damage.line, damage.what) for damage in store.read().damage] == [
        (number, f"not the {kind} that it says it is")
    ]
    results, _, _ = resume(store)
    assert shape(results) == shape(want)


@pytest.mark.parametrize("killed", [True, False])
def test_a_resumed_run_that_is_left_while_it_tells_its_past_has_forgotten_nothing(store, killed):
    """As when the reader of its answers goes away at once."""
    _, _, path = begin(store, replace(SETTINGS, max_samples=3))
    lost = entries.line("spent", {"upto": 40_000})
    whole = path.read_bytes()
    path.write_bytes(whole + lost if killed else whole)
    before = store.read()
    (row,) = summaries(store)
    journal, stored = store.reopen()
    journal.resume(stored.budget)
    run = Run(stored.questions, scripted_engine(script), stored.settings, journal=journal, past=Past(stored))
    next(event for event in run.events() if isinstance(event, Answered))
    run.leave()
    journal.close()
    assert store.read().spent == before.spent
    (after,) = summaries(store)
    assert (after.state, after.answered, after.spent) == (row.state, row.answered, row.spent)


def test_a_journal_has_one_writer(store):
    journal = store.create(RunRequest(SETTINGS, MODEL, 4, 4096, len(ASKED)), ASKED)
    with pytest.raises(DynscaleError, match="still going on"):
        store.reopen(journal.id)
    with pytest.raises(DynscaleError, match="still going on"):
        store.remove(journal.path)
    assert store.trim() == Store(store.folder, max_bytes=1).trim() == []
    journal.close()
    assert store.remove(journal.path) > 0


def test_beyond_the_bound_the_oldest_finished_runs_go_first(store):
    paths = [begin(store)[2] for _ in range(3)]
    stopped = store.create(RunRequest(SETTINGS, MODEL, 4, 4096, len(ASKED)), ASKED)
    stopped.close()
    sizes = [path.stat().st_size for path in paths]
    small = Store(store.folder, max_bytes=sizes[2] + stopped.path.stat().st_size)
    assert small.trim(keep=paths[2]) == paths[:2]
    assert sorted(store.paths()) == sorted([paths[2], stopped.path])


def test_ids_are_completed_from_their_beginning(store):
    first = begin(store, questions=ASKED[:1])[2]
    assert store.path(first.stem[:4]) == first
    other = first.with_stem(first.stem[:4] + ("aa" if first.stem[4:] != "aa" else "bb"))
    other.write_bytes(first.read_bytes())
    assert store.path(first.stem) == first
    with pytest.raises(UsageError, match="2 runs"):
        store.path(first.stem[:4])
    with pytest.raises(UsageError, match="empty"):
        store.path("")
    with pytest.raises(UsageError, match="no run"):
        store.path("nothing")


def test_a_resumed_run_says_where_it_stands(store):
    begin(store, replace(SETTINGS, budget=1200))
    _, events, _ = resume(store, budget=2400)
    notice = next(event.message for event in events if isinstance(event, Notice))
    assert "goes on: " in notice
    assert f"of {len(ASKED)} questions are done" in notice
    assert next(event for event in events if isinstance(event, RunFinished)).budget == 2400


def test_models_that_differ_in_their_weights_alone_are_told_apart(tmp_path):
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    first.write_bytes(b"GGUF" + bytes(3_000_000))
    second.write_bytes(b"GGUF" + bytes(2_000_000) + b"\1" * 400_000 + bytes(600_000))
    assert identity.fingerprint([first]) != identity.fingerprint([second])
    known = {**MODEL, "size": 1, "hash": "a"}
    assert identity.difference(known, {**known, "path": "elsewhere", "name": "renamed"}) is None
    assert identity.difference(known, {**known, "size": 2}) == "size was 1 and is 2"


def test_no_secret_of_a_server_is_stored():
    stored = identity.server(["https://me:secret@host:8000/v1?key=secret"], "qwen")
    assert stored["path"] == "https://host:8000/v1"
    assert "secret" not in str(stored)


def test_questions_are_written_in_portions_that_lose_none(store, monkeypatch):
    for portion in (1, 4, 6):
        monkeypatch.setattr(journals, "PORTION", portion)
        journal = store.create(RunRequest(SETTINGS, MODEL, 4, 4096, len(ASKED)), ASKED)
        journal.close()
        assert journal.path.read_bytes().endswith(b"".join(map(entries.question_line, ASKED)))


def test_members_of_a_record_are_the_json_that_asdict_would_give():
    kinds = {"chain": KindReport(2, 12, 0.5)}
    told = Result("q1", 0, "é?", "7", 0.9, {"7": 2.0}, 3, Tokens(1, 2, 3), "settled", 0, 1, "m", 0.5, kinds=kinds)
    for record in (told, SAMPLE, Question(3, "q3", "Which?", ("a", "b")), Dropped(1, 2, "chain", Tokens(1, 2, 3))):
        assert json.dumps(members(record), default=members) == json.dumps(asdict(record))


def test_a_run_that_goes_on_does_not_hold_the_results_that_it_has_told(store):
    _, _, path = begin(store)
    journal, stored = store.reopen(path.stem)
    assert stored.results
    run = Run(stored.questions, scripted_engine(script), stored.settings, journal=journal, past=Past(stored))
    told = [event.result for event in run.events() if isinstance(event, Answered)]
    journal.close()
    assert (len(told), stored.results) == (len(ASKED), {})
