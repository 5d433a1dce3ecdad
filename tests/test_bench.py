"""The bench's logic on a scripted model: equal tokens, one pool, nothing lost when it is stopped."""

import io
import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from dynscale_cli.answers.equivalence import Equivalence
from dynscale_cli.display.tables import Line, bench_tables, chart
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.errors import UsageError
from dynscale_cli.evaluation.bench import Bench, Plan, check_budgets, check_gold
from dynscale_cli.evaluation.methods import BASELINE, LEVELS, NAMED, Judge, arithmetic, in_order, parse_methods
from dynscale_cli.evaluation.runs import BenchRequest, BenchRuns, BenchStopped
from dynscale_cli.questions import Question
from dynscale_cli.run.events import Dropped, Sampled, Start
from dynscale_cli.run.request import Settings
from dynscale_cli.run.store import Store
from dynscale_cli.sampling.samples import Sample
from tests.scripted import scripted_engine

COUNT = 24
QUESTIONS = [Question(n, str(n), f"How many are number {n} here?", (), str(100 + n)) for n in range(COUNT)]
SETTINGS = Settings(budget=1, max_tokens=60, max_samples=8, answer_type="number")


def script(prompt: str, seed: int) -> str:
    """Questions differ in difficulty; a chain is right as often as a single sample."""
    rng = random.Random(seed)
    number = int(re.findall(r"number (\d+) here", prompt)[0])
    right = rng.random() < 0.25 + 0.7 * number / COUNT
    return " so" * rng.randint(5, 20) + f" Answer: {100 + number if right else rng.randint(1, 4)}"


def bench(folder: Path, methods="single,self-consistency,adaptive-consistency,sequential,dynscale", **changes):
    interrupted = changes.pop("interrupted", lambda: False)
    plan = Plan(QUESTIONS, parse_methods(methods), **({"seeds": (1, 2), "samples": (1, 2, 4, 8)} | changes))
    ask = BenchRequest(
        QUESTIONS, SETTINGS if not plan.budgets else replace(SETTINGS, max_samples=None), {"kind": "scripted"}
    )
    stores = Store(folder / "runs.db"), Store(folder / "bench.db")
    engine = scripted_engine(script, width=8)
    return Bench(plan, BenchRuns(ask, engine, *stores, interrupted=interrupted))


def figures(report):
    """What must not depend on how often a bench was stopped, or on the clock."""
    points = [[replace(point, seconds=None) for point in score.points] for score in report.scores]
    return points, [(score.reach, score.calibration, score.curve) for score in report.scores], report.difficulty


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    made = bench(folder)
    made.draw()
    return folder, made, made.report("dynscale bench", 1.0)


def test_every_method_is_scored_at_the_same_tokens(whole):
    _, _, report = whole
    assert [score.method for score in report.scores] == [
        "single", "self-consistency", "adaptive-consistency", "sequential", "dynscale"
    ]  # fmt: skip
    for score in report.scores:
        for point, budget in zip(score.points, report.budgets, strict=True):
            assert point.spent.billed <= budget
            assert point.accuracy.low <= point.accuracy.mean <= point.accuracy.high
    base = next(score for score in report.scores if score.method == BASELINE.name)
    assert [point.samples for point in base.points] == [1, 2, 4, 8]
    assert [point.spent.billed for point in base.points] == list(report.budgets)
    assert all(point.gain.mean == 0 for point in base.points)
    assert (base.reach.share or 2) <= 1


def test_hard_questions_get_more_samples_and_easy_ones_fewer(whole):
    _, _, report = whole
    easy, hard = report.difficulty[0], report.difficulty[-1]
    assert easy.one > hard.one
    assert easy.samples["dynscale"] < easy.samples["self-consistency"] < hard.samples["dynscale"]


def test_policies_on_the_pool_decode_only_what_it_lacks(whole):
    """Five methods and two seeds for less than the price of four runs by self-consistency."""
    _, _, report = whole
    spent = sum(score.points[-1].spent.billed for score in report.scores) * 2
    assert report.decoded < 0.75 * spent


def test_an_answer_that_is_worded_in_several_ways_is_one_majority(tmp_path):
    """The key that stands for an answer is not the same in every run: what is counted is the answer."""
    said = ("Paris", "Paris, France")
    question = Question(0, "1", "Which city?", (), "Paris")
    plan = Plan([question], parse_methods("dynscale"), (1, 2, 3), (1, 8))
    ask = BenchRequest([question], replace(SETTINGS, answer_type="text"), {"kind": "scripted"})
    engine = scripted_engine(lambda prompt, seed: f"Answer: {said[seed % 2]}", width=8)
    made = Bench(plan, BenchRuns(ask, engine, Store(tmp_path / "runs.db"), Store(tmp_path / "bench.db")))
    made.draw()
    report = made.report("dynscale bench", 1.0)
    for score in report.scores:
        assert score.calibration.sure == score.calibration.majority == 3
    out = io.StringIO()
    Console(file=out, width=110).print(bench_tables(report, 110))
    assert "One question: no intervals" in out.getvalue()
    assert ".." not in out.getvalue()
    assert ".." not in out.getvalue().partition("reused")[2].partition("pools")[0]
    assert "1 question, " in out.getvalue()


@pytest.mark.parametrize(("value", "scale"), [(100.0, ["100", "95"]), (0.0, ["5", "0"]), (42.0, ["45", "40"])])
def test_a_chart_of_one_value_stays_between_0_and_100(value, scale):
    rows = chart([Line("a", [value] * 3)], 20, 5, "left", "right")
    assert [row.partition("│")[0].strip() for row in (rows[0], rows[4])] == scale


def test_a_second_bench_finds_everything_and_decodes_nothing(whole):
    folder, _, report = whole
    again = bench(folder)
    again.draw()
    assert again.runs.decoded == 0
    assert figures(again.report("dynscale bench", 1.0)) == figures(report)


def test_a_bench_that_is_stopped_again_and_again_comes_to_the_same_figures(whole, tmp_path):
    _, _, report = whole
    for patience in (40, 300, 7, 900, 150):
        calls = iter(range(patience))
        stopped = bench(tmp_path, interrupted=lambda calls=calls: next(calls, None) is None)
        with pytest.raises(BenchStopped):
            stopped.draw()
    last = bench(tmp_path)
    last.draw()
    assert figures(last.report("dynscale bench", 1.0))[0][1] == figures(report)[0][1]  # the pool, sample by sample


def test_the_pool_is_a_stored_run_that_can_be_exported_and_replayed(whole, tmp_path):
    from dynscale_cli.evaluation.logs import read_log
    from dynscale_cli.run.export import export_run

    folder, _, report = whole
    stored = Store(folder / "runs.db").read(report.pools[0])
    assert stored.request.command == "bench self-consistency"
    export_run(stored, tmp_path / "pool.jsonl")
    assert [len(pool.answers) for pool in read_log(tmp_path / "pool.jsonl").pools] == [8] * COUNT
    assert len(Store(folder / "runs.db").ids()) == 2  # the user's runs are not cluttered with the rest


def test_budgets_may_be_tokens(tmp_path):
    made = bench(tmp_path, "dynscale", seeds=(1,), budgets=(1500, 3000))
    made.draw()
    report = made.report("dynscale bench --budgets", 1.0)
    assert report.budgets == (1500, 3000)
    assert all(1300 < score.points[0].spent.billed <= 1500 for score in report.scores)


def test_a_budget_below_one_sample_of_every_question_is_refused_before_decoding():
    engine = scripted_engine(script)
    judge = Judge(QUESTIONS, "number", Equivalence())
    with pytest.raises(UsageError, match="24 questions"):
        check_budgets((200, 9000), judge, engine, SETTINGS)
    check_budgets((9000,), judge, engine, SETTINGS)


@pytest.mark.parametrize(("gold", "kind"), [(None, "auto"), ("blue", "number"), ("C", "choice")])
def test_questions_that_cannot_be_scored_are_refused(gold, kind):
    question = Question(0, "q7", "Which of these is it?", ("one", "two") if kind == "choice" else (), gold)
    with pytest.raises(UsageError, match="q7"):
        check_gold([question], Judge([question], kind, Equivalence()))


def test_methods_have_names_and_any_policy_goes_with_any_mode():
    found = parse_methods("dynscale, ucb:0.5/hybrid,race/parallel,dynscale")
    assert [(m.name, m.policy, m.mode) for m in found] == [
        ("self-consistency", "uniform", "parallel"),
        ("dynscale", "race", "hybrid"),
        ("ucb:0.5/hybrid", "ucb:0.5", "hybrid"),
        ("race/parallel", "race", "parallel"),
    ]
    assert parse_methods(",".join(NAMED)) == list(NAMED.values())
    for wrong in ("", "best", "race", "race/fast", "fast/parallel", "race:3/parallel"):
        with pytest.raises(UsageError):
            parse_methods(wrong)


def test_pulls_count_in_the_order_in_which_they_began_up_to_the_first_that_is_missing():
    def done(q, number):
        return Sampled(q, Sample(number, "parallel", "", "1", "1", Tokens(0, 9), "stop"))

    stopped = Dropped(1, 0, "parallel", Tokens(3))
    begun = [done(0, 0), stopped, done(1, 1), done(1, 0), Start(2, 0, "parallel"), done(0, 1)]
    assert [(s.q, s.sample.number) for s in in_order(begun)] == [(0, 0), (1, 0), (1, 1)]


def test_the_own_questions_are_graded_right_and_the_same_every_time():
    questions, levels = arithmetic()
    assert (questions, levels) == arithmetic()
    assert len(questions) >= 96
    assert len({question.text for question in questions}) == len(questions)
    assert sorted(q for found in levels.values() for q in found) == list(range(len(questions)))
    for question in questions:
        numbers = re.fullmatch(r"What is ([\d +-]+)\?", question.text)
        assert str(eval(numbers[1])) == question.gold
    assert {question.text for question in arithmetic(seed=1)[0]} != {question.text for question in questions}
    assert len(arithmetic(10)[0]) == 10
    assert len(levels) == len(LEVELS)


def test_the_report_is_json(whole):
    from dataclasses import asdict

    found = json.loads(json.dumps(asdict(whole[2])))
    assert found["scores"][1]["points"][3]["spent"]["generated"] > 0
