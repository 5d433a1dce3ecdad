"""What is read in a completion, row by row, and what holds for every text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dynscale_cli.answers import AnswerType, Equivalence, canonical, extract
from dynscale_cli.engine.reasoning import ReasoningFormat
from tests import answers_completions as table

ROWS = [
    pytest.param(completion, kind, choices, expected, id=f"{kind}-{index}")
    for kind, rows, choices in (
        ("number", table.NUMBER, ()),
        ("choice", table.CHOICE, table.CAPITALS),
        ("choice", table.SPEED_CHOICE, table.SPEEDS),
        ("choice", table.FORMULA_CHOICE, table.FORMULAS),
        ("boolean", table.BOOLEAN, ()),
        ("math", table.MATH, ()),
        ("auto", table.AUTO, ()),
        ("text", table.TEXT, ()),
    )
    for index, (completion, expected) in enumerate(rows)
]


STATED = re.compile(r"(?<!\w)answer[*_]{0,3}:|\\boxed\{|#### |the answer is (?!not)", re.IGNORECASE)


@pytest.mark.parametrize(("completion", "kind", "choices", "expected"), ROWS)
def test_extracts_what_a_careful_person_reads(
    completion: str, kind: str, choices: tuple[str, ...], expected: str | None
) -> None:
    answer_type = AnswerType.parse(kind)
    answer = extract(ReasoningFormat().split(completion).said, answer_type, choices=choices)
    if STATED.search(completion) is None and answer is None:
        return  # such a sample is asked for its answer
    wanted = canonical(expected, answer_type, choices) if expected is not None else None
    if answer is None or wanted is None:
        assert answer is wanted
    else:
        assert Equivalence().same(answer.key, wanted, ordered=False), answer


# --- for every text --------------------------------------------------------------------------------------------

KINDS = [AnswerType.parse(name) for name in ("auto", "number", "choice", "boolean", "math", "text")]
# Hypothesis seldom writes LaTeX or a label by chance; pieces that models write find more.
WRITTEN = [
    "Answer:", "the answer is", "\\boxed{", "}", "{", "$", "\\frac", "12", "3.5", ",", "(B)", "B", "A or", "yes", "not",
    "<think>", "</think>", "####", '{"answer":', "=", "x^2", "\\sqrt", "\n", " ", "**", "½", "٣", "\\text{", "±", "-",
    "/", "\\begin{pmatrix}", "&", "\\\\", "\\end{pmatrix}", "e", "999999999", "!", "|", "_", "^", "%", "€", "İ", "[",
    ")", "\\cup", "<", "\\le ", "and", ":", "π", "apples", "\\infty",
    "July ", "4 pm", "1969-07-20", "2:3", "th", "seven", " a dozen", "U.S.", "€", " cm",
]  # fmt: skip
PIECES = st.lists(st.sampled_from(WRITTEN), max_size=14).map("".join)
TEXTS = st.one_of(st.text(max_size=200), PIECES)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=250, deadline=None)
@given(text=TEXTS)
@example(text="\ud800")
@example(text="Answer: \x00")
@example(text="İ" * 50 + "Answer: 5")
def test_never_raises_and_never_gives_an_empty_answer(kind: AnswerType, text: str) -> None:
    answer = extract(text, kind, choices=("one", "two", "½") if kind.name == "choice" else ())
    assert answer is None or (answer.key and answer.text.strip())


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=250, deadline=None)
@given(text=TEXTS)
@example(text="${0$0")
def test_a_key_is_its_own_key(kind: AnswerType, text: str) -> None:
    key = canonical(text, kind)
    if key is not None:
        assert canonical(key, kind) == key


@given(value=st.fractions(max_denominator=10**6), kind=st.sampled_from([AnswerType("number"), AnswerType("math")]))
def test_equal_fractions_have_equal_keys(value: object, kind: AnswerType) -> None:
    numerator, denominator = value.numerator * 6, value.denominator * 6  # type: ignore[attr-defined]
    assert canonical(f"{numerator}/{denominator}", kind) == canonical(str(value), kind)


@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_separators_and_zeros_do_not_change_a_number(value: object) -> None:
    number = AnswerType("number")
    assert canonical(f"{value:,}", number) == canonical(f"{value}", number)  # type: ignore[str-bytes-safe]
    assert canonical(f"{value}000", number) == canonical(f"{value}", number)  # type: ignore[str-bytes-safe]


def test_huge_exponents_are_compared_without_being_written_out() -> None:
    number = AnswerType("number")
    assert canonical("1e999999999", number) == canonical("0.1e1000000000", number)
    assert canonical("1e999999999", number) != canonical("1e999999998", number)
    assert canonical("1e" + "9" * 50_000, AnswerType("math")) is not None  # compared as spelt


# --- answers that are not a row of a table ---------------------------------------------------------------------


def test_a_long_text_is_the_whole_response() -> None:
    essay = "Rain falls when clouds cool.\n\nIt then runs to the sea. Answer: see above."
    answer = extract(f"\n{essay}", AnswerType("long"))
    assert answer is not None
    assert answer.text == essay


def test_a_pattern_takes_the_group_of_its_last_match() -> None:
    kind = AnswerType.parse(r"regex:code (\w+)")
    answer = extract("code red, then code blue", kind)
    assert answer is not None
    assert answer.key == "blue"
    assert extract("nothing here", kind) is None


def test_what_ends_the_text_without_a_statement_is_no_answer() -> None:
    number = AnswerType("number")
    assert extract("The answer is 42.", number) is not None
    assert extract("She had 50 and lost 8. That leaves 42 of them.", number) is None


def test_the_text_shown_is_what_was_said() -> None:
    shown = {
        "Answer: $18.00 a day": ("number", "$18.00 a day"),
        "Answer: 25 % of it": ("number", "25 %"),
        "\\boxed{\\frac{1}{2}}": ("math", "\\frac{1}{2}"),
        "The answer is **the Great Gatsby**.": ("text", "the Great Gatsby"),
    }
    for completion, (kind, text) in shown.items():
        answer = extract(completion, AnswerType.parse(kind))
        assert answer is not None
        assert answer.text == text


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("3 + 4 = 7, which is the answer you asked for.", "7"),
        ("It is 12.\n\nAnswer: 12\n\nAll in all, the answer is the", "12"),
        ("Adding gives 9. The answer is a", None),
    ],
)
def test_a_sentence_that_only_points_elsewhere_states_no_answer(completion: str, answer: str | None) -> None:
    found = extract(completion, AnswerType.parse("auto").for_question("What is 3 + 4?", ()))
    assert (found.key if found else None) == answer


@pytest.mark.parametrize("broken_off", ["x \\in", "$x \\in$", "x ∈", "x =", "x <", "\\frac{", "(", "[", "{", "{x |"])
@pytest.mark.parametrize("kind", ["auto", "math", "number"])
def test_a_formula_that_breaks_off_is_no_error(broken_off: str, kind: str) -> None:
    extract(f"Answer: {broken_off}", AnswerType.parse(kind))
