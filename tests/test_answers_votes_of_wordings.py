"""What models write in many ways is one vote, and what differs is not: by question, from completions to votes."""

from __future__ import annotations

import pytest

from dynscale_cli.answers import AnswerType, Ballot, extract, tally

Wordings = tuple[str, ...]


def votes(question: str, *said: str) -> list[str | None]:
    """What each of the completions votes for, None where it does not."""
    kind = AnswerType().for_question(question)
    count = tally([Ballot(number, extract(text, kind), 9) for number, text in enumerate(said)], kind)
    return [count.key_of[number] for number in range(len(said))]


@pytest.mark.parametrize(
    ("question", "same"),
    [
        # lists, however they are laid out
        (
            "Name the three gems.",
            ("Answer: ruby, jade, opal", "Answer:\n- Ruby\n- Jade\n- Opal", "Answer: Opal, Ruby and Jade"),
        ),
        ("Sort from small to large: bee, elk, cow", ("Answer: bee, cow, elk", "Answer:\n1. bee\n2. cow\n3. elk")),
        ("Sort from small to large: bee, elk, cow", ("Answer: bee, cow, elk", "Answer: 1. bee 2. cow 3. elk")),
        ("Sort from large to small: 3, 8, 5", ("Answer: 8, 5, 3", "Answer: 8 > 5 > 3")),
        ("In which order do steps A, B, C come?", ("Answer: C, A, B", "Answer: C > A > B")),
        ("Select all that apply.\nA) 2\nB) 6\nC) 7", ("Answer: A, C", "Answer: A) 2 and C) 7", "Answer: (C) and (A)")),
        # number systems
        (
            "What is 5 in binary?",
            ("Answer: 101", "Answer: 101_2", "Answer: $101_2$", "Answer: 101₂", "Answer: 101 (base 2)"),
        ),
        ("Write 20 in base 3.", ("Answer: 202", "Answer: 202_3", "Answer: $202_{3}$")),
        (
            "What is 171 in hexadecimal?",
            ("Answer: 0xAB", "Answer: AB", "Answer: AB_{16}", "Answer: $\\mathrm{AB}_{16}$"),
        ),
        # probabilities
        ("What is the chance of rain?", ("Answer: 0.25", "Answer: 25 %", "Answer: 1/4", "Answer: 25 percent")),
        # numbers in words
        ("How many eggs are three boxes?", ("Answer: two dozen", "Answer: 24", "Answer: twenty-four")),
        (
            "How many dogs are left?",
            ("Answer: none", "Answer: 0", "Answer: There are no dogs left.", "Answer: no dogs"),
        ),
        ("Wie viele Beine hat er?", ("Antwort: dreiundzwanzig", "Antwort: 23 Beine")),
        ("Combien de chats ?", ("Réponse : dix-sept", "Réponse : 17 chats")),
        ("¿Cuántos perros?", ("Respuesta: treinta y dos", "Respuesta: 32")),
        ("Сколько кошек?", ("Ответ: двадцать три", "Ответ: 23")),
        ("桌子有几条腿？", ("答案：四条", "答案：4")),
        ("What is the debt?", ("Answer: 2.5 bn", "Answer: 2.5 billion", "Answer: 2,500,000,000")),
        ("Which century was it?", ("Answer: the 21st century", "Answer: the twenty-first century")),
        ("When is the fair?", ("Answer: the third of May", "Answer: 3 May", "Answer: May 3rd")),
        ("When was it built?", ("Answer: 1902", "Answer: in the year 1902")),
        # roots and intervals
        (
            "Solve x^2 - 7x + 10 = 0.",
            ("Answer: x_1 = 2, x_2 = 5", "Answer: x = 5 or x = 2", "Answer: x₁ = 2 and x₂ = 5"),
        ),
        (
            "Solve |x - 3| < 2.",
            ("Answer: (1, 5)", "Answer: ]1, 5[", "Answer: x > 1 and x < 5", "Answer: the interval (1,5)"),
        ),
        (
            "Solve x^2 = -4 for real x.",
            ("Answer: no real solutions", "Answer: There is no solution.", "Answer: $\\emptyset$"),
        ),
        # sides
        ("Did the cat see it?", ("Answer: No", "Answer: It did not.", "Answer: It didn't")),
        ("Will the cat come?", ("Answer: Yes", "Answer: It will.", "Answer: Almost certainly yes")),
        # options
        ("下面哪个是红色的？\nA. 草\nB. 血\nC. 雪", ("答案：B", "故选：B。", "所以选B", "应选 **B**")),
        ("Was ist rot?\nA) Gras\nB) Blut", ("Antwort: B", "Richtig ist B.")),
        ("Which is longer, 5/8 or 3/5?", ("Answer: 5/8", "Answer: 5/8 is longer.")),
        # signs and links
        (
            "Which symbol goes between 2 and 4/2?",
            ("Answer: =", "Answer: $=$", "Answer: \\(=\\)", "Answer: the `=` sign"),
        ),
        (
            "What is her address?",
            ("Answer: ann@oz.org", "Answer: <ann@oz.org>", "Answer: [ann@oz.org](mailto:ann@oz.org)"),
        ),
        # units
        ("What is the resistance?", ("Answer: 2.2 kΩ", "Answer: $2.2\\,k\\Omega$", "Answer: 2200 ohms")),
        ("What is the angle?", ("Answer: 12° 30'", "Answer: 12.5°", "Answer: 12 degrees 30 minutes")),
        ("What is the concentration?", ("Answer: 0.2 M", "Answer: 0.2 mol/L", "Answer: 200 mM")),
        # times
        ("When does it start?", ("Answer: 8:45 pm", "Answer: 20:45", "Answer: a quarter to nine in the evening")),
        ("When does it start?", ("Answer: 6:00 AM", "Answer: 6 o'clock in the morning", "Answer: six o'clock a.m.")),
        ("How long did it take?", ("Answer: 3:20 hours", "Answer: 3 h 20 min", "Answer: 3h20m", "Answer: 200 minutes")),
        ("How long is the song?", ("Answer: 3m30s", "Answer: 3 min 30 s", "Answer: 210 seconds")),
        # names
        ("Who wrote Emma?", ("Answer: Jane Austen", "Answer: J. Austen", "Answer: Jane Austen wrote Emma in 1815.")),
        (
            "Who was shot?",
            ("Answer: John Kennedy", "Answer: John F. Kennedy", "Answer: Kennedy", "Answer: Mr. Kennedy"),
        ),
        ("What does status 418 mean?", ("Answer: I am a teapot", "Answer: 418 I am a teapot")),
        ("What is the formula of the ion?", ("Answer: SO₄²⁻", "Answer: $SO_4^{2-}$", "Answer: \\ce{SO4^2-}")),
        ("What is the formula of the gas?", ("Answer: CO₂", "Answer: CO2", "Answer: CO<sub>2</sub>")),
        ("Which is faster, a lion or a horse?", ("Answer: The lion", "Answer: lion", "Answer: The lion is faster.")),
        # formulas
        ("Expand (x+2)^2.", ("Answer: x^2 + 4x + 4", "Answer: (x+2)^2 = x^2 + 4x + 4")),
        ("Simplify (x^2-4)/(x-2).", ("Answer: x + 2", "Answer: $x + 2$, x ≠ 2", "Answer: x + 2 (for x ≠ 2)")),
        ("What is the domain of f?", ("Answer: x ≠ 3", "Answer: all real numbers except 3", "Answer: ℝ \\ {3}")),
        (
            "What is the product of the matrices?",
            (
                "Answer: [[1, 2], [3, 5]]",
                "Answer: $\\left[\\begin{array}{cc}1 & 2\\\\ 3 & 5\\end{array}\\right]$",
                "Answer: $\\begin{pmatrix}1&2\\\\3&5\\end{pmatrix}$",
            ),
        ),
        ("How many hands are there?", ("Answer: {6 \\choose 2}", "Answer: C(6, 2)", "Answer: 15", "Answer: 6C2")),
        ("What was the profit?", ("Answer: $2.5 million", "Answer: 2.5M USD", "Answer: 2,500,000 dollars")),
        ("What is the usual pulse?", ("Answer: 50-90 bpm", "Answer: 50 to 90 bpm", "Answer: between 50 and 90 bpm")),
        ("Which city is it?", ("Answer: Oz", "Answer: Oz 🏛️", "### Answer\n\n> Oz")),
        # what is offered, in other forms of the word
        ("Should they accept or reject it? (accept/reject)", ("Answer: accept", "Answer: Accepted", "Answer: accepts")),
        ("Is f rising, falling or level on (0, 2)?", ("Answer: rising", "Answer: f is rising", "Answer: Rising.")),
        # programs
        ("What does this print?\nprint('a')\nprint('b')", ("Answer:\n```\na\nb\n```", "Output:\na\nb")),
    ],
)
def test_wordings_of_one_answer_are_one_vote(question: str, same: Wordings) -> None:
    found = votes(question, *same)
    assert None not in found
    assert len(set(found)) == 1, found


@pytest.mark.parametrize(
    ("question", "first", "second"),
    [
        ("Is it in stock? Answer yes, no or not listed.", "Answer: not listed", "Answer: no"),
        ("Name the three gems.", "Answer:\n- Ruby\n- Jade\n- Opal", "Answer: ruby"),
        ("Which gems are there?", "Answer: ruby (red) and jade (green)", "Answer: ruby"),
        ("Select all that apply.\nA) 2\nB) 6\nC) 7", "Answer: A) 2 and C) 7", "Answer: A"),
        ("In which order do steps A, B, C come?", "Answer: B A C", "Answer: B C"),
        ("Which vitamin is it?", "Answer: vitamin A", "Answer: vitamin"),
        ("Which order holds?", "Answer: a > b > c", "Answer: a > d > c"),
        ("What is the link?", "Answer: https://oz.org/a", "Answer: https://oz.org/"),
        ("What is the password?", "Answer: rain9", "Answer: Rain9"),
        ("What is the key of the API?", "Answer: k-aB1", "Answer: k-ab1"),
        ("What is the variable called?", "Answer: `userId`", "Answer: `userid`"),
        ("What is 5 in binary?", "Answer: 101_2", "Answer: 101_3"),
        ("What is the chance of rain?", "Answer: 25%", "Answer: 25"),
        ("What is the chance of rain, in percent?", "Answer: 0.25", "Answer: 25%"),
        ("How many eggs are three boxes?", "Answer: two dozen", "Answer: 2"),
        ("Which is longer, 5/8 or 3/5?", "Answer: 5/8 is longer.", "Answer: 3/5 is longer."),
        ("Solve the system in x_1 and x_2.", "Answer: x_1 = 2, x_2 = 5", "Answer: x_1 = 5, x_2 = 2"),
        ("Solve |x - 3| < 2.", "Answer: ]1, 5[", "Answer: [1, 5]"),
        ("When does it start?", "Answer: a quarter to nine", "Answer: a quarter past nine"),
        ("What is the formula of the ion?", "Answer: SO₄²⁻", "Answer: SO₄²⁺"),
        ("What does status 418 mean?", "Answer: 418 Teapot", "Answer: 418 Kettle"),
        ("Which World War was it?", "Answer: World War 2", "Answer: 2"),
        ("What does print('ab'.upper()) print?", "Answer: AB", "Answer: ab"),
        ("Who was shot?", "Answer: John Adams", "Answer: John Quincy Adams"),
        ("What is the usual pulse?", "Answer: 50-90 bpm", "Answer: 60-100 bpm"),
        ("What are the mean and the median?", "Answer: mean = 3, median = 2", "Answer: mean = 2, median = 3"),
        ("What is the rule?", "Answer: all x ≥ 2", "Answer: all x ≤ 2"),
        ("What is the domain of f?", "Answer: all real numbers except 3", "Answer: 3"),
        ("How many hands are there?", "Answer: C(6, 2)", "Answer: C(6, 3)"),
        ("How long is it?", "Answer: 30s", "Answer: 30 min"),
    ],
)
def test_answers_that_differ_are_two_votes(question: str, first: str, second: str) -> None:
    found = votes(question, first, second)
    assert None not in found
    assert len(set(found)) == 2, found


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Who came?", "Answer: [your answer]"),
        ("Who came?", "Answer: <answer>"),
        ("Who came?", "Answer: [insert answer here]"),
        ("Who came?", "Answer: \\boxed{}"),
        ("Who came?", "I'm sorry, I can't answer that."),
        ("Who came?", "Answer: I do not have enough information."),
        ("Who came?", "Please provide more context."),
        ("Who came?", "Let's"),
        ("Who came?", "First, we"),
        ("What is 12 + 9 - 4?", "12 + 9 - 4"),
        ("What is 12 + 9 - 4?", "12 + 9 = 21. Then subtract 4"),
        ("What is 12 + 9 - 4?", "Let me compute: 12 + 9 ="),
        ("What is 12 + 9 - 4?", "Is the answer 21? Let me check."),
        ("What is 12 + 9 - 4?", "Suppose the answer is 21."),
    ],
)
def test_what_commits_to_nothing_is_no_vote(question: str, said: str) -> None:
    assert votes(question, said) == [None]
