"""Which answers are one vote: pairs, classes, gold answers, and the prover that must never be in the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.answers import AnswerType, Equivalence, Prover, canonical, same_as_gold
from tests import answers_pairs as table

CAPITALS = ("London", "Paris", "Rome", "Madrid")
PAIRS = [(*pair, True) for pair in table.SAME] + [(*pair, False) for pair in table.DIFFERENT]


@pytest.mark.parametrize(("kind", "first", "second", "expected"), PAIRS)
def test_pairs_are_one_vote_or_two(kind: str, first: str, second: str, expected: bool) -> None:
    choices = CAPITALS if kind == "choice" else ()
    keys = [canonical(text, AnswerType.parse(kind), choices) or "" for text in (first, second)]
    assert all(keys)
    assert Equivalence().same(*keys, ordered=False) is expected


# --- classes ---------------------------------------------------------------------------------------------------


class Opinionated:
    """A prover whose opinions are neither transitive nor sensible."""

    def same(self, first: str, second: str) -> bool:
        return (len(first) + len(second)) % 3 == 0


@given(
    keys=st.lists(st.sampled_from(["x", "x+1", "2*x", "x^{2}", "(1,2)", "5", "yes", "x^{3}-1", "\\pi"]), max_size=12)
)
def test_classes_partition_the_keys_whatever_the_prover_says(keys: list[str]) -> None:
    classes = Equivalence(Opinionated()).classes(keys)
    assert set(classes) == set(keys)
    for key, representative in classes.items():
        assert classes[representative] == representative
        assert key == representative or keys.index(representative) < keys.index(key)


@given(keys=st.lists(st.text(max_size=6)), first=st.text(max_size=6), second=st.text(max_size=6))
def test_without_a_prover_only_equal_keys_are_the_same(keys: list[str], first: str, second: str) -> None:
    equivalence = Equivalence()
    assert equivalence.same(first, second) is (first == second) is equivalence.same(second, first)
    assert all(key == representative for key, representative in equivalence.classes(keys).items())


class Counting:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def same(self, first: str, second: str) -> bool:
        self.asked.append((first, second))
        return False


def test_the_prover_is_not_asked_what_exact_arithmetic_knows() -> None:
    prover = Counting()
    equivalence = Equivalence(prover)
    for pair in (
        ("5", "7"),
        ("0.333", "1/3"),
        ("yes", "no"),
        ("paris", "great gatsby"),
        ("(1,2)", "[1,2]"),
        ("x+1", "x+1"),
    ):
        equivalence.same(*pair)
    assert prover.asked == []
    equivalence.same("\\sin(x)", "\\cos(x)")
    assert prover.asked == [("\\cos(x)", "\\sin(x)")]


def test_the_prover_is_not_asked_what_it_would_misread() -> None:
    prover = Counting()
    equivalence = Equivalence(prover)
    for pair in (
        ("1010_{2}", "1010_{3}"),  # bases are dropped,
        ("10:30", "1/3"),  # times divided,
        ("2020-05-01", "2014"),  # dates subtracted,
        ("R^{2}*\\pi-\\pi*r^{2}", "-R^{2}*\\pi+\\pi*r^{2}"),  # and capitals taken for small letters
        ("2*\\Omega", "2*\\omega"),
    ):
        assert not equivalence.same(*pair)
    assert prover.asked == []


# --- gold ------------------------------------------------------------------------------------------------------

GOLD = [
    ("18", "18", "number", (), True),
    ("$18.00", "18", "number", (), True),
    ("18", "She makes 9 * 2 = $18 every day.\n#### 18", "number", (), True),
    ("1800", "… so 1,800 in all.\n#### 1,800", "number", (), True),
    ("19", "18", "number", (), False),
    ("0.5", "\\frac{1}{2}", "number", (), True),
    ("1/2", "\\frac{1}{2}", "math", (), True),
    ("B", "B", "choice", CAPITALS, True),
    ("B", "(B)", "choice", CAPITALS, True),
    ("B", "Paris", "choice", CAPITALS, True),
    ("Paris", "B", "choice", CAPITALS, True),
    ("A", "Paris", "choice", CAPITALS, False),
    ("B", "B", "auto", CAPITALS, True),
    ("E", "E", "choice", (), True),
    ("yes", "True", "boolean", (), True),
    ("no", "True", "boolean", (), False),
    ("paris", "Paris", "text", (), True),
    ("Paris", "paris", "auto", (), True),
    ("25%", "0.25", "number", (), True),
    ("5 March", "March 5, 2031", "auto", (), False),
    ("March 5, 2031", "5 March", "auto", (), True),
    ("0.25", "25%", "number", (), True),
    ("25", "25%", "number", (), True),
    ("0.25", "25", "number", (), False),
    ("", "18", "number", (), False),
    ("18", "", "number", (), False),
]


@pytest.mark.parametrize(("answer", "gold", "kind", "choices", "expected"), GOLD)
def test_gold_answers_in_the_forms_data_sets_have(
    answer: str, gold: str, kind: str, choices: tuple[str, ...], expected: bool
) -> None:
    assert same_as_gold(answer, gold, AnswerType.parse(kind), choices) is expected


# --- the prover ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prover() -> Iterator[Prover]:
    pytest.importorskip("math_verify")
    with_process = Prover(seconds=20)
    yield with_process
    with_process.close()


def key(formula: str) -> str:
    found = canonical(formula, AnswerType("math"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(*pair, True) for pair in table.SAME_BY_PROOF] + [(*pair, False) for pair in table.NOT_BY_PROOF],
)
def test_formulas_that_only_a_proof_joins(prover: Prover, first: str, second: str, expected: bool) -> None:
    equivalence = Equivalence(prover)
    assert equivalence.same(key(first), key(second)) is expected
    assert equivalence.same(key(second), key(first)) is expected


def test_the_prover_works_off_the_main_thread(prover: Prover) -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(prover.same("\\tan(x)", "(\\cos(x))^{-1}*\\sin(x)")))
    thread.start()
    thread.join(60)
    assert found == [True]


def test_an_overrun_is_killed_and_then_no_more_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("math_verify")
    impatient = Prover(seconds=0.0, start_seconds=60, overruns=2)
    try:
        assert impatient.same("\\sin(x)", "x") is False
        assert impatient.available
        assert impatient.same("\\sin(x)", "y") is False
        assert not impatient.available
        monkeypatch.setattr("dynscale_cli.child.Child", None)  # nothing is started any more
        assert impatient.same("\\sin(x)", "z") is False
    finally:
        impatient.close()


def test_without_the_extra_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynscale_cli.answers.prover.find_spec", lambda name: None)
    absent = Prover()
    assert not absent.available
    assert Equivalence(absent).same("\\sin(x)", "\\cos(x)") is False
    absent.close()


def test_a_bracket_in_a_gold_answer_does_not_accept_everything() -> None:
    kind = AnswerType()
    assert not same_as_gold("5 km", "C)", kind)
    assert same_as_gold("Paris", "Paris (France)", kind)
    assert not same_as_gold("Lyon", "Paris (France)", kind)
