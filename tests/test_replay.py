"""A replay spends what it may, votes as a live run does, and finds the best policy where it is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynscale_cli.evaluation.logs import Log, Pool, read_log
from dynscale_cli.evaluation.replay import STEPS, Setting, Tally, draw_orders, replay, sweep
from tests.replay_logs import easy_and_hard, row, write_log

POLICIES = ["race", "ucb", "adaptive", "early-stop", "uniform"]


def tally(answers: list[str | None], tokens: list[int], gold: str) -> Tally:
    result = Tally(Pool("1", gold, tuple(answers), tuple(tokens)))
    for sample in range(len(answers)):
        result.add(sample)
    return result


def test_most_votes_win_and_silence_has_none() -> None:
    assert tally(["a", "b", "a", None, None, None], [9, 1, 9, 1, 1, 1], "a").right == 1
    assert tally([None, None], [1, 1], "a").right == 0


def test_ties_go_to_the_fewest_mean_tokens_then_to_the_first_seen() -> None:
    assert tally(["a", "b"], [50, 40], "b").right == 1
    assert tally(["a", "b"], [40, 40], "a").right == 1
    assert tally(["b", "a", "a", "b"], [90, 20, 50, 10], "a").right == 1  # 35 against 50
    assert tally(["a", "b", "c", "a", "b", "c"], [9, 5, 7, 9, 5, 7], "b").right == 1


def test_split_ties_count_in_parts() -> None:
    assert tally(["a", "b", "c"], [1, 2, 3], "c").split == pytest.approx(1 / 3)
    assert tally(["a", "b", "b"], [1, 2, 3], "a").split == 0
    assert tally(["a", "b", "c", "b", "a"], [1] * 5, "a").split == 0.5


def test_a_constant_time_tally_agrees_with_counting_anew(tmp_path: Path) -> None:
    log = read_log(write_log(tmp_path / "a.jsonl", easy_and_hard()))
    pool, order = log.pools[-1], draw_orders(log, 3)[-1]
    kept = Tally(pool)
    for n, sample in enumerate(order, 1):
        kept.add(sample)
        votes = {key: sum(pool.answers[j] == key for j in order[:n]) for key in ("right", "wrong")}
        tied = votes["right"] == votes["wrong"]
        assert kept.split == (0.5 if tied else votes["right"] > votes["wrong"])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("in_flight", [1, 16])
def test_no_budget_is_exceeded(tmp_path: Path, policy: str, in_flight: int) -> None:
    rows = [row(str(q), ["right", "wrong", None, "odd"] * 20, [3, 50, 700, 11] * 20) for q in range(7)]
    curve = replay(read_log(write_log(tmp_path / "a.jsonl", rows)), policy, Setting(in_flight), seed=0)
    for i, spent in enumerate(curve.spent, 1):
        assert spent <= i / STEPS
    assert list(curve.spent) == sorted(curve.spent)


def test_a_single_round_of_equal_costs_is_one_sample_each() -> None:
    log = Log("two", (Pool("1", "a", ("a",) * 64, (10,) * 64), Pool("2", "a", ("b",) * 64, (10,) * 64)))
    curve = replay(log, "uniform", Setting(), seed=0)
    assert curve.accuracy[STEPS // 2 - 1] == 0.5  # one sample of the first question
    assert curve.spent[STEPS - 1] == 1.0
    assert curve.spent[-1] == 32.0


def test_a_settled_run_keeps_its_accuracy_and_its_tokens() -> None:
    log = Log("sure", (Pool("1", "a", ("a",) * 64, (10,) * 64),))
    curve = replay(log, "race", Setting(), seed=0)
    assert curve.spent[-1] == 4.0
    assert set(curve.accuracy[4 * STEPS :]) == {1.0}
    assert replay(log, "race", Setting(exhaust=True), seed=0).spent[-1] == 32.0


def test_a_pool_that_runs_dry_closes_its_question() -> None:
    log = Log("dry", (Pool("1", "a", ("a", "b"), (10, 10)), Pool("2", "a", ("a", "b") * 40, (10,) * 80)))
    for policy in POLICIES:
        assert replay(log, policy, Setting(4, exhaust=True), seed=0).spent[-1] == 32.0


def test_every_policy_meets_the_same_draws(tmp_path: Path) -> None:
    log = read_log(write_log(tmp_path / "a.jsonl", easy_and_hard()))
    first = {policy: replay(log, policy, Setting(), 5).accuracy[STEPS - 1] for policy in POLICIES}
    assert len(set(first.values())) == 1  # after one sample of every question all are alike
    assert draw_orders(log, 5) != draw_orders(log, 6)


def test_the_best_policy_of_a_known_log(tmp_path: Path) -> None:
    """Half the questions need one sample, the other half many: adaptive policies must win, race first of all."""
    log = read_log(write_log(tmp_path / "a.jsonl", easy_and_hard()))
    scores = {score.policy: score for score in sweep([log], POLICIES, Setting(), seeds=12).overall.scores}
    at_8 = {policy: score.points[2] for policy, score in scores.items()}
    assert at_8["race"].gain.low > 0
    assert max(at_8, key=lambda policy: at_8[policy].accuracy.mean) == "race"
    assert at_8["race"].accuracy.mean > at_8["uniform"].accuracy.mean + 2
    reach = {policy: score.reach[16] for policy, score in scores.items()}
    assert reach["race"] is not None
    assert reach["race"] < 0.75


def test_nothing_to_win_where_every_sample_says_the_same(tmp_path: Path) -> None:
    log = read_log(write_log(tmp_path / "a.jsonl", [row(str(q), ["right"] * 40) for q in range(5)]))
    report = sweep([log], ["race"], Setting(), seeds=3)
    (score,) = report.overall.scores
    assert all(point.gain.mean == 0 and point.accuracy.mean == 100 for point in score.points)
    assert score.points[-1].spent == 4.0


def test_an_accuracy_that_is_never_reached_is_none(tmp_path: Path) -> None:
    """Settled at the first vote, race stays below what uniform learns in time."""
    log = read_log(write_log(tmp_path / "a.jsonl", easy_and_hard(easy=0)))
    (score,) = sweep([log], ["race"], Setting(confidence=0.6), seeds=8).overall.scores
    assert score.reach[32] is None


def test_no_tokens_are_saved_that_a_short_pool_has_not_got() -> None:
    """×4 and more are the same here: what is saved is a share of the three rounds that can be spent."""
    log = Log("short", tuple(Pool(str(q), "right", ("right",) * 3, (10, 10, 10)) for q in range(2)))
    assert log.rounds == 3
    report = sweep([log], ["uniform"], Setting(), seeds=2)
    assert report.overall.rounds == 3
    assert set(report.overall.scores[0].reach.values()) == {1 / 3}  # right from the first sample on


def test_logs_weigh_alike_in_the_overall_figures(tmp_path: Path) -> None:
    right = read_log(write_log(tmp_path / "right.jsonl", [row(str(q), ["right"] * 40) for q in range(9)]))
    wrong = read_log(write_log(tmp_path / "wrong.jsonl", [row("1", ["wrong"] * 40, 5)]))
    report = sweep([right, wrong], ["uniform"], Setting(), seeds=2)
    assert report.overall.baseline[8] == 50
    assert [log.baseline[8] for log in report.logs] == [100, 0]
