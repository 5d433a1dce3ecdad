"""Intervals are Student's."""

import pytest

from dynscale_cli.evaluation.intervals import interval, student


def test_the_known_points_of_students_t() -> None:
    for degrees, point in ((1, 12.706), (10, 2.228), (11, 2.201), (15, 2.131), (60, 2.000), (10_000, 1.960)):
        assert student(degrees) == pytest.approx(point, abs=6e-4)


def test_the_interval_of_a_mean() -> None:
    known = interval([1.0, 2.0, 3.0, 4.0])
    assert known.mean == 2.5
    assert known.half == pytest.approx(3.182 * 1.29099 / 2, abs=1e-3)


def test_one_value_has_no_width() -> None:
    assert interval([3.0]).half == 0
