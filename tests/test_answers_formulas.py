"""Formulas: equal ones are one vote, and no two that differ are, with sympy as the judge of thousands of pairs."""

from __future__ import annotations

import pytest

from dynscale_cli.answers import AnswerType, Equivalence, canonical
from dynscale_cli.answers.prover import equal

MATH = AnswerType("math")


def key(formula: str) -> str:
    found = canonical(formula, MATH)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(3))
def test_no_wrong_join_and_few_equal_formulas_missed(seed: int) -> None:
    pytest.importorskip("sympy")
    from tests.formula_pairs import pairs

    equivalence = Equivalence()
    wrong, missed, equals = [], [], 0
    for first, second, expected in pairs(seed, 120):
        found = equivalence.same(key(first), key(second))
        equals += expected
        if found and not expected:
            wrong.append((first, second))
        elif expected and not found:
            missed.append((first, second))
    assert not wrong
    assert len(missed) <= 0.02 * equals, missed


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("xy^2", "x^2y^2"),
        ("\\pi r^2 h", "\\pi r^2"),
        ("2^{2025}", "3^{2025}"),
        ("2^{2025}", "2^{2024}"),
        ("x + x = 2x", "y + y = 2y"),
        ("\\sqrt{-x}", "\\sqrt{x}"),
        ("2^nx", "2^{nx}"),
        ("16by", "16b"),
        ("8 t^2 - 1", "9 t^2"),
        ("\\sin x^2", "\\sin^2 x"),
        ("e^{x+1}", "e^x + 1"),
        ("\\ln 8", "\\ln 6"),
        ("10^{10^{10}}", "10^{10^{11}}"),
        ("50 m^2", "50 m^3"),
        ("12\\pi \\text{ cm}", "12\\pi \\text{ m}"),
    ],
)
def test_formulas_that_differ_are_two_votes(first: str, second: str) -> None:
    assert not Equivalence().same(key(first), key(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2^{2025}", "2 \\cdot 2^{2024}"),
        ("6^{3000}", "2^{3000} \\cdot 3^{3000}"),
        ("2^{n+1}", "2 \\cdot 2^n"),
        ("e^{2x}", "(e^x)^2"),
        ("4^n", "2^{2n}"),
        ("\\ln 8", "3 \\ln 2"),
        ("\\log_2 8", "3"),
        ("\\log_4 8", "\\frac{3}{2}"),
        ("\\frac{x^2-1}{x-1}", "x+1"),
        ("\\frac{1}{x} + \\frac{1}{y}", "\\frac{x+y}{xy}"),
        ("\\sin^2 x + \\cos^2 x", "1"),
        ("\\sin 2x", "2 \\sin x \\cos x"),
        ("\\cos 3x", "4\\cos^3 x - 3\\cos x"),
        ("\\tan x \\cos x", "\\sin x"),
        ("(-b)^{3/2}", "-b\\sqrt{-b}"),
        ("(\\sqrt{x+1})^2", "x+1"),
        ("50\\text{ m}^2", "50 m²"),
        ("60\\mathrm{~km}/\\mathrm{hr}", "60 \\text{ km/h}"),
        ("12\\pi \\text{ cm}", "12 \\pi"),
    ],
)
def test_equal_formulas_are_one_vote(first: str, second: str) -> None:
    assert Equivalence().same(key(first), key(second))


@pytest.mark.parametrize(
    "monster",
    [
        "(a+b+c+d+e+f)^{24}",
        "\\sin(6x)^{20}-\\cos(6y)^{20}",
        "\\frac{1}{(x-1)^{99}}+x",
        "x^{999999999999}-x",
        "((x+1)^{20}+1)^{20}",
    ],
)
def test_what_grows_too_large_is_not_proven(monster: str) -> None:
    assert not equal(key(monster), "y")
