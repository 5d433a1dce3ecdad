"""What kind of answer a question wants, from the flag, the choices and the wording."""

from __future__ import annotations

import pytest

from dynscale_cli.answers import AnswerType
from dynscale_cli.errors import UsageError


def guess(question: str, choices: tuple[str, ...] = ()) -> AnswerType:
    return AnswerType().for_question(question, choices)


def offered(question: str) -> tuple[str, ...]:
    return guess(question).wording.options


WORDINGS = [
    ("What is 17 + 25?", "number"),
    ("what is 17 plus 25", "number"),
    ("17 * 25 = ?", "number"),
    ("Calculate 12 / 4", "number"),
    ("How many eggs does Janet sell?", "number"),
    ("How much does she earn in a week?", "number"),
    ("Tom is 12. How old will he be in 5 years?", "number"),
    ("Josh buys a house for $80,000 and puts in $50,000. How much profit did he make?", "number"),
    ("A test has 20 true/false questions worth 2 points each. How many points is that?", "number"),
    ("What percentage of the marbles are red?", "number"),
    ("Find the sum of the first ten primes.", "auto"),
    ("¿Cuántas manzanas quedan?", "number"),
    ("Combien de pommes reste-t-il ?", "number"),
    ("Wie viele Äpfel bleiben übrig?", "number"),
    ("Сколько яблок осталось?", "number"),
    ("一共有多少个苹果？", "number"),
    ("Could you calculate 17 + 25?", "number"),
    ("Simplify $\\sqrt{12}$.", "math"),
    ("Solve for x: 2x + 3 = 7", "math"),
    ("Find the derivative of x^2.", "math"),
    ("What is the domain of f(x) = 1/x?", "math"),
    ("Compute \\frac{1}{2} + \\frac{1}{3}.", "math"),
    ("Express the interval in interval notation", "math"),
    ("Is 17 prime?", "boolean"),
    ("Does water boil at 100 °C at sea level?", "boolean"),
    ("True or false: the sun is a star.", "boolean"),
    ("Answer yes or no: is 9 odd?", "boolean"),
    ("The earth is flat. Is that right?", "boolean"),
    ("Which is larger? A) 3 B) 5 C) 4", "choice"),
    ("Which city is the capital of France?\nA. London\nB. Paris\nC. Rome", "choice"),
    ("Pick one: (a) red (b) green (c) blue", "choice"),
    ("Explain why the sky is blue.", "long"),
    ("Why is the sky blue?", "long"),
    ("Write a poem about rain.", "long"),
    ("Please summarise the following text: …", "long"),
    ("Describe photosynthesis", "long"),
    ("How does a vaccine work?", "long"),
    ("Translate 'good morning' into French.", "long"),
    ("Can you explain recursion?", "long"),
    ("Write a Python function that reverses a list of 3 + 4 numbers", "long"),
    ("Erkläre die Photosynthese.", "long"),
    ("What is the capital of France?", "auto"),
    ("Who wrote Hamlet?", "auto"),
    ("Is it red or blue?", "choice"),
    ("", "auto"),
    ("Solve x^2 - 7x + 10 = 0.", "math"),
    ("Solve the system x + y = 9, x - y = 3.", "math"),
    ("For which x is x^2 < 16?", "math"),
    ("What is 6 x 9?", "number"),
    ("What does print(x + 1) show if x = 3?", "auto"),
    ("What is the z-score?", "auto"),
    ("What is 30% of 90?", "number"),
    ("Multiply [[1,0],[0,1]] by [[2,3],[4,5]].", "math"),
    ("Is 3 + 4 equal to 8?", "boolean"),
    ("Is $x^2 + 1$ ever zero?", "boolean"),
    ("Can you simplify $x^2 \\cdot x$?", "math"),
    ("Is it 3 + 4 or 3 + 5?", "number"),
    ("Write 25 in binary.", "math"),
    ("Write 25 sentences in French.", "long"),
    ("List all the factors of 28.", "math"),
    ("List all the reasons for rain.", "long"),
    ("Was kostet das Brot?", "auto"),
    ("Was it raining?", "boolean"),
]


@pytest.mark.parametrize(("question", "expected"), WORDINGS)
def test_wording_decides(question: str, expected: str) -> None:
    assert guess(question).name == expected


def test_choices_decide_before_wording() -> None:
    assert guess("How many legs has a spider?", ("6", "8")).name == "choice"


def test_long_texts_are_asked_for_by_wording() -> None:
    assert guess("Explain gravity.").long
    assert not AnswerType.parse("text").for_question("Who wrote Hamlet?").long
    assert AnswerType.parse("text").for_question("Explain gravity.").long
    assert AnswerType.parse("number").for_question("Explain gravity.").name == "number"


def test_options_written_into_the_question_are_found() -> None:
    assert offered("Which?\nA) red\nB) dark blue\nC) green") == ("red", "dark blue", "green")
    assert offered("Pick: (a) red, (b) blue") == ("red", "blue")
    assert offered("Vitamin A. is good") == ()
    assert offered("How many?") == ()


@pytest.mark.parametrize("name", ["auto", "number", "choice", "boolean", "math", "text", r"regex:(\d+)$"])
def test_the_flag_is_read_and_written_back(name: str) -> None:
    assert str(AnswerType.parse(name)) == name


@pytest.mark.parametrize("wrong", ["", "numbr", "regex", "regex:", "regex:(", "number:5", "text:long"])
def test_a_wrong_flag_is_a_usage_error_with_a_hint(wrong: str) -> None:
    with pytest.raises(UsageError) as raised:
        AnswerType.parse(wrong)
    assert "\n" not in raised.value.message
    assert raised.value.hint
