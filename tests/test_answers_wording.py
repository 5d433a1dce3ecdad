"""What a question offers is an answer, and a guessed kind gives way: from questions and completions to votes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from dynscale_cli.answers import AnswerType, Ballot, Tally, extract, same_as_gold, tally


def vote(question: str, *said: str, stated: str = "auto") -> Tally:
    kind = AnswerType.parse(stated).for_question(question)
    answers = [extract(text, kind) for text in said]
    return tally([Ballot(number, answer, 9) for number, answer in enumerate(answers)], kind)


def shown(question: str, *said: str, stated: str = "auto") -> str | None:
    leader = vote(question, *said, stated=stated).leader
    return None if leader is None else leader.text


@pytest.mark.parametrize(
    ("question", "said", "printed"),
    [
        ("Which club won the cup in 2003-04?", "Answer: Redbridge Rovers", "Redbridge Rovers"),
        ("What is the total cost of ownership about?", "Answer: planning", "planning"),
        ("How much does she like it?", "Answer: a lot", "a lot"),
        ("Is the door open?", "Answer: It depends on the day", "It depends on the day"),
        ("How many oars? Say 'not stated' if nobody tells.", "Answer: not stated", "not stated"),
        ("Is it late? Answer yes, no or perhaps.", "Answer: Perhaps.", "perhaps"),
        ("Rate it (bad/fair/good): soup", "Answer: Fair", "fair"),
        ("Which sign fits, < or >: 2 _ 1", "Answer: 2 > 1", ">"),
        ("Which is red?\n1) grass\n2) blood\n3) snow", "Answer: blood", "2"),
        ("Which is red? (a) grass (b) blood", "Answer: blood", "B"),
        ("What is the capital of Oz?", "Answer: The capital of Oz is Emerald City.", "Emerald City"),
        ("What colour is coal in code?", "Answer: #0A0A0A", "#0A0A0A"),
        ("Which operator adds?", "Answer: `+`", "+"),
        ('Who came? End with "Guest: " and the name.', "It was late.\nGuest: Ann", "Ann"),
        ("Who came?", "I would pick Ann", "Ann"),
        ("Which operator asks whether two are equal?", "The answer is ==.", "=="),
        ("Which symbol ends a cry?", "So it is clear.\n\nThe answer is **!**.", "!"),
        ("Which club won?", "**Final Answer**\n\n**Rovers**", "Rovers"),
        ("Which city is it?", "Answer: **Oz** – the city of light", "Oz"),
        ("Which city is it?", "The answer is Oz, not Ys.", "Oz"),
        ("Which city is it?", "Answer: Oz, which is large", "Oz"),
        ("When was it built?", "Answer: It was built in 1889.", "1889"),
        ("Who drew it?", "Answer: It was drawn by Ann Bell.", "Ann Bell"),
        ("Who sailed to Mars in 1650?", "Answer: None", "None"),
        ("What was her name?", "Answer: Unknown", "Unknown"),
        ("How many came, and who spoke?", "Answer: nine people; Ann", "nine people; Ann"),
        ("What does it print?", "Answer: 0\n1\n2\n\nDo ask again!", "0\n1\n2"),
        ("Is it fit? Reply with 'fit' or 'unfit'.", "Answer: unfit", "unfit"),
        ("オズの首都はどこですか？", "答え：オズの首都は東京です。", "東京"),
        ("Did she come?", "So the answer (yes or no) is: Yes", "yes"),
        ("What does the lamp mean?", "Answer: Not Ready", "Not Ready"),
        ("Who drew it?", "Answer: J. K. Bell", "J. K. Bell"),
        ("What is the dog's name?", "Answer: The dog's name is Rex.", "Rex"),
        ("Which planet is largest?", "Answer: Oz is the largest planet.", "Oz"),
        ("Which day was it?", "Answer: on Monday", "Monday"),
        ("What score did they get?", "Answer: 3 - 2", "3 - 2"),
        ("Where did they meet?", "Answer: They met at Oz", "They met at Oz"),
        ("What is the taste of a fig?", "Answer: Figs are sweet.", "Figs are sweet"),
        ("In what city was she born?", "Answer: She was born in Ys.", "Ys"),
        ("Which metal has atomic number 99?", "Answer: Ozium has atomic number 99.", "Ozium"),
        ("Which two of Ann, Bo and Cal came?", "Answer: Dan, Ann and Bo", "Dan, Ann and Bo"),
        ("What phone comes after the Star S9?", "Answer: Star S10", "Star S10"),
        ("What is the root of 2?", "Answer: 2^(1/2)", "2^(1/2)"),
        ("Return JSON with the key a.", 'Here:\n```json\n{"a": 1}\n```', '{"a": 1}'),
    ],
)
def test_what_is_printed_is_what_the_samples_say(question: str, said: str, printed: str) -> None:
    assert shown(question, said) == printed


@pytest.mark.parametrize(
    ("question", "said", "keys"),
    [
        ("Who are the twins?", ("Answer: Bo and Al", "Answer: Al, Bo"), 1),
        ("Sort: pear, fig", ("Answer: fig, pear", "Answer: pear, fig"), 2),
        ("Who wrote it?", ("Answer: Austen", "Answer: Jane Austen"), 1),
        ("Where is it?", ("Answer: Guinea", "Answer: New Guinea"), 2),
        ("Who painted it?", ("Answer: van Dale", "Answer: Ann van Dale", "Answer: Dale"), 1),
        ("How many are left?", ("Answer: None", "Answer: 0", "Answer: none of them"), 1),
        ("Which city?", ("Answer: Ys (Oz)", "Answer: Ys"), 1),
        ("Which city?", ("Answer: Ys (Oz)", "Answer: Ys (Uz)", "Answer: Ys"), 3),
        ("Who came?", ("Answer: Nobody", "Answer: No one", "Answer: Ann"), 2),
        (
            "Rank by size: fig, pear, nut",
            ("Answer: pear > fig > nut", "Answer: pear, fig, nut", "Answer: nut > fig > pear"),
            2,
        ),
        ("How many eggs?", ("Answer: 3-5", "Answer: 3 to 5", "Answer: 3"), 2),
        ("Who wrote it?", ("Answer: Bell", "Answer: Ann Bell", "Answer: Bo Bell"), 3),
        ("Give JSON.", ('{"a": 1, "b": 2}', '{"b": 2.0, "a": 1}', '{"a": 2, "b": 1}'), 2),
        ("Who drew it?", ("Answer: J. K. Bell", "Answer: J.K. Bell", "Answer: JK Bell", "Answer: Bell"), 1),
        ("Which country?", ("Answer: Oz Sea Isles", "Answer: OSI", "Answer: O.S.I.", "Answer: USI"), 2),
        ("Which city?", ("Answer: Orlân", "Answer: Orlan", "Answer: Orlon"), 2),
        ("What colours are in it?", ("Answer: red and blue", "Answer: blue, red"), 1),
        ("What numbers are its prime factors?", ("Answer: 2, 2, 3", "Answer: 3, 2, 2", "Answer: 2, 3"), 2),
        ("Between which years was it?", ("Answer: 1914-1918", "Answer: from 1914 to 1918", "Answer: 1914 to 1918"), 1),
        ("How fast is it going about?", ("Answer: about 30,000 km/s", "Answer: 30000 km/s"), 1),
        ("What is the ratio of a to b?", ("Answer: 3:2", "Answer: 3/2", "Answer: 6 to 4", "Answer: 2:3"), 2),
        ("What is the probability?", ("Answer: 1/13", "Answer: 1 in 13", "Answer: 1 out of 13"), 1),
        ("Which university is it?", ("Answer: University of Oz", "Answer: Oz University", "Answer: Oz"), 1),
        ("What score did they get?", ("Answer: 3 - 2", "Answer: 3-2", "Answer: 3:2", "Answer: 1"), 2),
        ("What is the remainder?", ("Answer: remainder 1", "Answer: 1"), 1),
        ("What is the version?", ("Answer: 3.10", "Answer: v3.10", "Answer: version 3.10", "Answer: 3.1"), 2),
        ("What is the greatest common divisor?", ("Answer: gcd(8, 12) = 4", "Answer: 4"), 1),
        ("What is the integral of 2x?", ("Answer: $x^2 + C$", "Answer: x^2 + c", "Answer: x^2 + cx"), 2),
        ("Solve for x: x > y", ("Answer: $x > y$", "Answer: $y < x$"), 1),
        ("What grade is it?", ("Answer: A-", "Answer: an A-", "Answer: A", "Answer: A+"), 3),
        ("Which note is it?", ("Answer: C#", "Answer: C♯", "Answer: C"), 2),
        ("Which ocean is it?", ("Answer: Oz Ocean", "Answer: the Oz", "Answer: Ys"), 2),
        ("What is it to him?", ("Answer: Oz Ocean", "Answer: Oz"), 2),
        ("Which city is it?", ("Answer: Oz City", "Answer: Oz"), 2),
        ("Which day in 2031?", ("Answer: March 5, 2031", "Answer: 5 March", "Answer: March 6"), 2),
        ("Which day?", ("Answer: March 5, 2031", "Answer: March 5, 2032", "Answer: 5 March"), 3),
        ("How many dozen eggs?", ("Answer: 3 dozen", "Answer: 3", "Answer: 36"), 2),
        ("What is its address?", ("Answer: a@b.example", "Answer: <a@b.example>"), 1),
        ("What is the growth?", ("Answer: $O(n \\log n)$", "Answer: O(n log n)", "Answer: O(n)"), 2),
        ("What is the vector?", ("Answer: <1, 2>", "Answer: (1, 2)", "Answer: (2, 1)"), 2),
        ("What does it return?", ("Answer: It returns 6", "Answer: 6", "Answer: 5"), 2),
        ("Which way from A to C?", ("Answer: A -> B -> C", "Answer: A → B → C", "Answer: A -> C"), 2),
    ],
)
def test_answers_that_mean_the_same_are_one_vote(question: str, said: tuple[str, ...], keys: int) -> None:
    assert len(vote(question, *said).votes) == keys


@pytest.mark.parametrize(
    "question",
    [
        "Explain tides.", "What's the difference between a frog and a toad?", "Six names for a boat", "Fix this: he go",
        "Soup recipe", "Schreib mir einen Brief", "Décris un chat", "Escribe una carta", "写一首诗", "Tips for sailing",
    ],
)  # fmt: skip
def test_open_questions_keep_their_lines(question: str) -> None:
    response = "One.\n\n- two\n- three"
    assert shown(question, response) == response


def test_a_stated_kind_stays() -> None:
    assert shown("Who came?", "Answer: Ann", stated="number") is None


@pytest.mark.parametrize("tags", ["answer", "final_answer", "solution", "conclusion", "result", "box"])
def test_a_wrapper_around_a_stated_answer_is_no_part_of_it(tags: str) -> None:
    wrapped = (
        "<|begin_of_box|>Answer: Canberra<|end_of_box|>" if tags == "box" else f"<{tags}>Answer: Canberra</{tags}>"
    )
    assert shown("What is the capital of Australia?", wrapped) == "Canberra"


def test_a_pattern_that_tries_for_ever_is_given_up() -> None:
    assert extract("a" * 5000 + "!", AnswerType.parse("regex:(a+)+$")) is None


def test_a_pattern_is_given_up_in_any_thread_and_the_next_text_is_read_all_of_it() -> None:
    texts = ["a" * 5000 + "!", "a" * 5000, "b Code: 7" + " b" * 5000]
    with ThreadPoolExecutor(2) as pool:
        read = [
            *pool.map(lambda text: extract(text, AnswerType.parse("regex:^(a+)+$")), texts[:2]),
            *pool.map(lambda text: extract(text, AnswerType.parse(r"regex:Code: (\d+)")), texts[2:]),
        ]
    assert [answer and answer.text for answer in read] == [None, "a" * 5000, "7"]


def test_a_pattern_that_ignores_case_folds_it() -> None:
    first, second = (extract(text, AnswerType.parse(r"regex:(?i)code: (\w+)")) for text in ("Code: AB", "code: ab"))
    assert first is not None
    assert second is not None
    assert first.key == second.key


def test_a_list_of_right_answers_accepts_each() -> None:
    kind = AnswerType().for_question("Who wrote it?")
    assert same_as_gold("Clemens", '["Mark Twain", "Samuel Clemens"]', kind)
    assert not same_as_gold("Poe", '["Mark Twain", "Samuel Clemens"]', kind)
