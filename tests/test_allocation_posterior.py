"""How sure a lead is, and what more votes are worth: against enumeration in exact fractions."""

from fractions import Fraction
from math import comb, factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.allocation.posterior import _half_beta, confidence, doubt, gain, gain_at

votes = st.integers(0, 30)
weights = st.floats(0, 30).map(lambda x: round(x, 3))


def beta(a: int, b: int) -> Fraction:
    return Fraction(factorial(a - 1) * factorial(b - 1), factorial(a + b - 1))


def ahead(first: int, second: int) -> Fraction:
    """P(theta > 1/2) by integrating the polynomial theta^first (1 - theta)^second term by term."""
    area = Fraction(0)
    for k in range(second + 1):
        power = first + k + 1
        area += comb(second, k) * (-1) ** k * (1 - Fraction(1, 2**power)) / power
    return area / beta(first + 1, second + 1)


def worth(first: int, second: int, more: int) -> Fraction:
    """The expected rise of max(P, 1 - P), over every number of votes that the leader may get."""
    a, b = first + 1, second + 1
    total = Fraction(0)
    for k in range(more + 1):
        chance = comb(more, k) * beta(a + k, b + more - k) / beta(a, b)
        p = ahead(first + k, second + more - k)
        total += chance * max(p, 1 - p)
    now = ahead(first, second)
    return total - max(now, 1 - now)


@pytest.mark.parametrize("first", range(7))
@pytest.mark.parametrize("second", range(7))
def test_confidence_is_the_posterior_probability_of_the_lead(first: int, second: int) -> None:
    assert confidence(first, second) == pytest.approx(float(ahead(first, second)), rel=1e-13)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (1, 1), (2, 1), (3, 0), (4, 2), (5, 5), (7, 3)])
@pytest.mark.parametrize("more", [1, 2, 3, 4, 8, 16])
def test_gain_is_the_expected_rise_of_being_right(first: int, second: int, more: int) -> None:
    assert gain(first, second, more) == pytest.approx(float(worth(first, second, more)), rel=1e-11, abs=1e-300)


def test_known_values() -> None:
    assert confidence(1, 0) == 0.75
    assert confidence(4, 0) == 1 - 1 / 32
    assert gain(0, 0, 1) == 0.25


@given(votes, votes)
def test_incomplete_beta_agrees_with_the_exact_sum_at_whole_votes(first: int, second: int) -> None:
    assert _half_beta(first + 1, second + 1) == pytest.approx(doubt(first, second), rel=1e-10)


@given(weights, weights)
def test_doubt_of_one_side_is_the_confidence_of_the_other(first: float, second: float) -> None:
    assert doubt(first, second) + doubt(second, first) == pytest.approx(1.0, abs=1e-12)


@given(weights, weights)
def test_a_further_part_of_a_vote_makes_the_leader_surer(first: float, second: float) -> None:
    assert confidence(first + 0.25, second) > confidence(first, second) - 1e-13
    whole = int(first)
    assert confidence(whole, second) - 1e-12 <= confidence(first, second) <= confidence(whole + 1, second) + 1e-12


@given(weights, weights, st.floats(0, 12))
def test_more_votes_are_never_worth_less(a: float, b: float, more: float) -> None:
    first, second = max(a, b), min(a, b)
    assert 0.0 <= gain_at(first, second, more) <= gain_at(first, second, more + 1) + 1e-12
    assert gain_at(first, second, more) <= doubt(first, second)


def test_a_lead_that_no_vote_can_turn_gains_nothing() -> None:
    assert gain(9, 1, 7) == 0.0
    assert gain(9, 1, 9) > 0.0


def test_long_races_stay_finite() -> None:
    assert confidence(60_000.0, 59_000.0) == pytest.approx(0.99813, abs=1e-4)
    assert confidence(600.5, 600.5) == 0.5
    assert 0.0 < doubt(400.0, 100.0) < 1e-40
