"""Intervals stay within what is possible, however few the questions."""

import random

import pytest

from dynscale_cli.evaluation.scores import difference, interval, share, student


def test_the_known_points_of_students_t() -> None:
    for degrees, point in ((1, 12.706), (10, 2.228), (11, 2.201), (15, 2.131), (60, 2.000), (10_000, 1.960)):
        assert student(degrees) == pytest.approx(point, abs=6e-4)


def test_the_interval_of_a_mean_of_draws() -> None:
    known = interval([1.0, 2.0, 3.0, 4.0])
    assert known.mean == 2.5
    assert known.half == pytest.approx(3.182 * 1.29099 / 2, abs=1e-3)
    assert (interval([99.0, 100.0], 0, 100).high, interval([0.0, 1.0], 0, 100).low) == (100, 0)
    assert interval([3.0]).half == 0


def test_shares_have_the_interval_of_wilson() -> None:
    some = share([100.0] * 17 + [0.0] * 3)  # 17 of 20, as tables have it
    assert (some.mean, round(some.low, 1), round(some.high, 1)) == (85.0, 64.0, 94.8)
    every = share([100.0] * 5)
    assert (every.mean, round(every.low, 1), every.high) == (100.0, 56.6, 100.0)
    assert (share([0.0]).low, round(share([0.0]).high, 1)) == (0.0, 79.3)


def test_differences_are_those_of_questions_that_are_drawn_again() -> None:
    rng = random.Random(1)
    values = [rng.choice([-100.0, 0.0, 0.0, 100.0]) for _ in range(400)]
    found = difference(values)
    assert found.low < found.mean < found.high
    assert found.half == pytest.approx(1.96 * 100 * 0.5**0.5 / 20, rel=0.1)  # what a large sample has
    few = difference([100.0, -100.0])
    assert (few.low, few.high) == (-100.0, 100.0)
