"""Where the pulls go: fairness at first, then to whom they help, whatever the names and the order of things."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynscale_cli.allocation.allocator import Allocator
from dynscale_cli.allocation.policies import parse_policy
from dynscale_cli.errors import UsageError
from tests.allocation_runs import EVERY_POLICY, drive

EASY, HARD = 0, 1


def mixed(q: int, j: int) -> str | None:
    """Question q answers at random among q + 1 answers, and now and then not at all."""
    draw = random.Random(f"{q}/{j}")
    return None if draw.random() < 0.1 else f"answer {draw.randrange(q % 5 + 1)}"


def easy_or_hard(q: int, j: int) -> str:
    return "same" if q == EASY else ("left", "right")[j % 2]


@pytest.mark.parametrize("policy", EVERY_POLICY)
@pytest.mark.parametrize("width", [1, 3, 16])
def test_every_question_gets_its_first_sample_before_any_gets_a_second(policy: str, width: int) -> None:
    order = drive(Allocator(40, policy), mixed, 200, width)
    assert sorted(order[:40]) == list(range(40))


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_a_first_sample_that_fails_is_tried_again_before_luxury(policy: str) -> None:
    allocator = Allocator(3, policy)
    allocator.start(0)
    allocator.drop(0, cost=50)
    started = []
    for _ in range(3):
        q = allocator.choose()
        assert q is not None
        allocator.start(q)
        started.append(q)
    assert started == [1, 2, 0]  # the one that failed waits behind those that never had a chance


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_a_question_that_is_not_ready_is_passed_over_and_not_forgotten(policy: str) -> None:
    allocator = Allocator(4, policy)
    assert allocator.choose(lambda q: q == 2) == 2
    assert allocator.choose() == 0
    for q in range(4):
        allocator.start(q)
        allocator.record(q, {"a": 1.0}, 1, 10)
    assert allocator.choose(lambda q: q == 3) == 3
    assert allocator.choose(lambda q: False) is None


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_names_of_answers_do_not_matter(policy: str) -> None:
    def renamed(q: int, j: int) -> str | None:
        text = mixed(q, j)
        return None if text is None else f"{hash(text) % 1000}-{text[::-1]}"

    assert drive(Allocator(25, policy), mixed, 300, 4) == drive(Allocator(25, policy), renamed, 300, 4)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(4)), policy=st.sampled_from(["race", "ucb"]))
def test_order_of_questions_does_not_matter_where_scores_differ(order: list[int], policy: str) -> None:
    states: list[tuple[dict[str, float], int, int]] = [
        ({"a": 1.0}, 1, 90),
        ({"a": 2.0, "b": 2.0}, 4, 500),
        ({"a": 3.0, "b": 1.0}, 5, 450),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, 3, 300),
    ]

    def chosen(places: list[int]) -> list[int]:
        """Which states are chosen, one pull after the other, none coming back."""
        allocator = Allocator(4, policy)
        for place, state in enumerate(places):
            votes, samples, cost = states[state]
            allocator.start(place)
            allocator.record(place, votes, samples, cost)
        picks = []
        for _ in range(6):
            q = allocator.choose()
            assert q is not None
            allocator.start(q)
            picks.append(places[q])
        return picks

    assert chosen(order) == chosen([0, 1, 2, 3])


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_the_same_run_twice_is_the_same(policy: str) -> None:
    assert drive(Allocator(30, policy), mixed, 250, 5) == drive(Allocator(30, policy), mixed, 250, 5)


@pytest.mark.parametrize("policy", ["race", "ucb", "adaptive"])
def test_sixteen_slots_do_not_drown_an_easy_question(policy: str) -> None:
    """With every pull started before the last one came back, the hard question still gets most of them."""
    pulls = Counter(drive(Allocator(2, policy), easy_or_hard, 64, width=16))
    assert pulls[HARD] > pulls[EASY] * 1.2


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_slots_spread_over_questions_of_which_nothing_is_known(policy: str) -> None:
    """One vote more may turn nothing that the last did not, so race may open pulls in pairs; no more than that."""
    allocator = Allocator(4, policy)
    for _ in range(16):
        q = allocator.choose()
        assert q is not None
        allocator.start(q)
    pulls = [allocator.pending(q) for q in range(4)]
    assert sum(pulls) == 16
    assert max(pulls) - min(pulls) <= 2


def test_a_hopeless_question_does_not_drain_the_run() -> None:
    """Every answer of question 0 differs, the others are won by three to two: race leaves it, ucb feeds it."""

    def answer(q: int, j: int) -> str:
        draw = random.Random(f"{q}/{j}")
        return str(j) if q == 0 else "left" if draw.random() < 0.6 else "right"

    fair = 200 / 10
    assert Counter(drive(Allocator(10, "race"), answer, 200))[0] <= 1.25 * fair
    assert Counter(drive(Allocator(10, "ucb"), answer, 200))[0] >= 4 * fair


def test_race_prefers_the_cheaper_of_two_equal_questions() -> None:
    allocator = Allocator(2, "race")
    for q, cost in ((0, 1000), (1, 100)):
        allocator.start(q)
        allocator.record(q, {"a": 1.0, "b": 1.0}, 2, cost)
    assert allocator.choose() == 1


def test_race_sees_the_runs_mean_cost_change() -> None:
    """Two samples for 60 tokens look cheap, until a third question shows that they may have been lucky."""
    allocator = Allocator(3, "race")
    for q, votes, cost in ((0, {"a": 1.0, "b": 1.0}, 60), (1, {"a": 2.0, "b": 2.0}, 900)):
        allocator.start(q)
        allocator.record(q, votes, int(sum(votes.values())), cost)
    allocator.start(2)
    assert allocator.choose() == 0
    allocator.record(2, {"a": 8.0}, 8, 4_000_000)
    assert allocator.choose() == 1


def test_early_stop_wants_a_whole_window_that_agrees() -> None:
    allocator = Allocator(1, "early-stop")
    says = ["a", "b", "b", "b", "b", "b", "b", "b", "b", "b"]  # unanimous from the second on: windows do not slide
    assert len(drive(allocator, lambda q, j: says[j], 100)) == 10
    assert allocator.is_settled(0)


def test_early_stop_does_not_take_silence_for_agreement() -> None:
    allocator = Allocator(2, "early-stop")
    assert len(drive(allocator, lambda q, j: None if q == 0 or j == 2 else "a", 10)) == 10
    assert allocator.settled == 0


@pytest.mark.parametrize("name", ["best", "race:2", "ucb:x", "ucb:-1", "ucb:nan", "early-stop:0", "", "uniform:"])
def test_a_policy_that_does_not_exist_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_policy(name)
    assert caught.value.hint


def test_a_policy_is_called_as_it_was_asked_for() -> None:
    assert [parse_policy(name).name for name in EVERY_POLICY] == list(EVERY_POLICY)
