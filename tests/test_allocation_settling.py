"""When a question is done, and when a run is."""

from __future__ import annotations

import pytest

from dynscale_cli.allocation.allocator import Allocator
from tests.allocation_runs import EVERY_POLICY, drive


def unanimous(q: int, j: int) -> str:
    return "same"


def test_a_question_settles_at_the_confidence_asked_for() -> None:
    for confidence, samples in ((0.7, 1), (0.9, 3), (0.95, 4), (0.99, 6)):
        allocator = Allocator(1, confidence=confidence)
        assert len(drive(allocator, unanimous, 50)) == samples
        assert allocator.is_settled(0)
        assert allocator.confidence(0) >= confidence


@pytest.mark.parametrize("policy", ["race", "adaptive"])
def test_no_question_settles_with_a_pull_in_flight(policy: str) -> None:
    allocator = Allocator(1, policy)
    for _ in range(5):
        allocator.start(0)
    for n in range(1, 5):
        allocator.record(0, {"a": float(n)}, n, 10)
    assert allocator.choose() is None  # sure enough to wait
    assert not allocator.is_settled(0)
    assert allocator.settled == 0
    allocator.drop(0)
    assert allocator.is_settled(0)
    assert allocator.settled == 1


def test_what_comes_back_late_can_reopen_a_question() -> None:
    allocator = Allocator(1)
    for _ in range(6):
        allocator.start(0)
    for n in range(1, 5):
        allocator.record(0, {"a": float(n)}, n, 10)
    assert allocator.choose() is None
    allocator.record(0, {"a": 4.0, "b": 1.0}, 5, 10)
    allocator.record(0, {"a": 4.0, "b": 2.0}, 6, 10)
    assert not allocator.is_settled(0)
    assert allocator.choose() == 0


def test_ties_and_silence_never_settle() -> None:
    allocator = Allocator(2, confidence=0.5)
    for n in range(1, 40):
        allocator.start(0)
        allocator.record(0, {"a": n / 2, "b": n / 2}, n, 10)
        allocator.start(1)
        allocator.record(1, {}, n, 10)
    assert not allocator.is_settled(0)
    assert not allocator.is_settled(1)
    assert allocator.confidence(0) == 0.5
    assert allocator.confidence(1) == 0.0


def test_half_votes_settle_later_than_whole_ones() -> None:
    allocator = Allocator(2)
    for q, weight in ((0, 1.0), (1, 0.5)):
        for n in range(1, 6):
            allocator.start(q)
            allocator.record(q, {"a": weight * n}, n, 10)
    assert allocator.is_settled(0)
    assert not allocator.is_settled(1)


@pytest.mark.parametrize("policy", ["race", "adaptive", "early-stop"])
def test_a_run_ends_when_every_question_is_settled(policy: str) -> None:
    allocator = Allocator(20, policy)
    assert len(drive(allocator, unanimous, 10_000, width=4)) <= 20 * 8
    assert allocator.settled == 20


@pytest.mark.parametrize("policy", ["race", "adaptive", "early-stop"])
@pytest.mark.parametrize("width", [1, 16])
def test_exhaust_spends_everything_where_the_doubt_is(policy: str, width: int) -> None:
    """Questions 1 to 4 are unanimous, question 0 is not quite: sure in time, but the least sure of all."""
    allocator = Allocator(5, policy, exhaust=True)
    order = drive(allocator, lambda q, j: "b" if q == 0 and j % 8 == 7 else "a", 600, width)
    assert len(order) == 600
    assert allocator.settled == 0
    late = order[300:]
    assert late.count(0) > len(late) / 5
    assert all(late.count(q) for q in range(1, 5))


@pytest.mark.parametrize("policy", ["uniform", "ucb"])
def test_policies_of_a_fixed_budget_settle_nothing(policy: str) -> None:
    allocator = Allocator(3, policy)
    assert len(drive(allocator, unanimous, 90)) == 90
    assert allocator.settled == 0


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_a_closed_question_is_never_pulled_again(policy: str) -> None:
    allocator = Allocator(3, policy, exhaust=True)
    allocator.start(1)
    allocator.close(1)
    allocator.record(1, {"a": 1.0}, 1, 10)
    allocator.close(2)
    assert set(drive(allocator, lambda q, j: str(j), 50)) == {0}
    allocator.close(0)
    assert allocator.choose() is None


def test_no_questions_no_pulls() -> None:
    assert Allocator(0).choose() is None


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_ten_thousand_questions_are_no_burden(policy: str) -> None:
    """Eight pulls each; with a scan of all questions in Python per pull this would take hours."""
    allocator = Allocator(10_000, policy)
    order = drive(allocator, lambda q, j: "ab"[(q + j) % 3 > 1], 20_000, width=16)
    assert len(set(order)) == 10_000
