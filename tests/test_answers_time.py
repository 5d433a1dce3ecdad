"""No completion makes extraction slow: cost grows with length, whatever is repeated."""

from __future__ import annotations

from time import perf_counter

import pytest

from dynscale_cli.answers import AnswerType, canonical, extract

KINDS = [AnswerType.parse(name) for name in ("auto", "number", "choice", "boolean", "math", "text")]
REPEATED = [
    "a", "1", "1 ", "1,", "1-", "1/", "1e", "1 1/2 ", "1 000 ", "(", "{", "[", "\\boxed{", "\\boxed", "answer ",
    "answer: ", "the answer is ", "Answer: A, ", "**", "*", "_", "$", "\\frac{", "\\frac", "<think>", "</think>",
    "<", "<|", "\\", "\\,", "\\ ", "\\text{", "A ", "(A) ", "A) x\n", "is ", "is not ", "yes ", "####", "\n", " ",
    "\t", '"answer": ', '{"answer":', "=", "x^", "^", "-", "٣", "½", "²", "答案是", "İ", "actually ", "<answer>",
    "\nQ: ", "The statement is ", "\\begin{pmatrix}", "\\\\", "twenty-", "and ", "`", '"', "answer to ", "..", ". ",
    ":", "Step 1: ", "not 1", "{,}", "<|channel|>", "\\sqrt", "\\pm", "|", "!", "~", "option A is ",
    "not A but ", "Option A: x. Incorrect.\n", "so five ", "\nCheck: 1 ", "4 pm ", "2:3 ", "= 1, so ", "while a, ",
    "whether ", "```\n", "\\boxed{1}", "1% of ", "are 1 ", "July 4 ",
]  # fmt: skip
SIZE = 60_000


def seconds(text: str, kind: AnswerType) -> float:
    choices = ("London", "Paris", "Rome") if kind.name == "choice" else ()
    start = perf_counter()
    extract(text, kind, choices=choices)
    return perf_counter() - start


def is_linear(pattern: str, piece: str, kind: AnswerType) -> bool:
    """Four times the text may cost four times as much, not sixteen; what is quick is not looked at."""
    small, large = (pattern.format((piece * (size // len(piece) + 1))[:size]) for size in (SIZE // 4, SIZE))
    if seconds(large, kind) < 0.15:
        return True
    return min(seconds(large, kind) for _ in range(3)) < 10 * max(0.02, min(seconds(small, kind) for _ in range(3)))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_cost_is_linear_in_adversarial_completions(kind: AnswerType) -> None:
    patterns = ("{}", "Answer: {}", "\\boxed{{{}}}")
    slow = [(piece, pattern) for piece in REPEATED for pattern in patterns if not is_linear(pattern, piece, kind)]
    assert not slow


def test_a_canonical_key_of_a_monster_comes_at_once() -> None:
    for monster in (
        "9^9^9^9",
        "(" * 50_000,
        "{" * 20_000 + "}" * 20_000,
        "x+" * 50_000,
        "1" * 100_000,
        "((x+1)^24)^24",
        "(a+b+c+d+e)^24",
        "10^(10^9)",
        "5!!!!!",
        "\n" * 20_000,
    ):
        start = perf_counter()
        canonical(monster, AnswerType("math"))
        assert perf_counter() - start < 2, monster


@pytest.mark.parametrize("piece", ["[", "(", "a", "a/", "if ", "A) ", "a, ", "answer with "])
def test_the_wording_of_a_monstrous_question_is_read_at_once(piece: str) -> None:
    start = perf_counter()
    AnswerType().for_question((piece * 8000)[:8000])
    assert perf_counter() - start < 2
