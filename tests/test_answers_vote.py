"""The vote: who leads, how ties break, what weights do, and what the allocator is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.answers import METHODS, Answer, AnswerType, Ballot, Equivalence, Method, extract, tally

NUMBER = AnswerType("number")


def ballots(*votes: tuple[str | None, int]) -> list[Ballot]:
    return [
        Ballot(number, Answer(key, key) if key is not None else None, tokens)
        for number, (key, tokens) in enumerate(votes)
    ]


def test_most_votes_lead_and_no_answer_never_votes() -> None:
    count = tally(ballots(("4", 9), (None, 1), ("5", 9), ("5", 9), (None, 1), (None, 1)), NUMBER)
    assert count.leader is not None
    assert count.leader.key == "5"
    assert (count.v1, count.v2) == (2, 1)
    assert count.weights == {"5": 2, "4": 1}
    assert count.key_of == {0: "4", 1: None, 2: "5", 3: "5", 4: None, 5: None}


def test_nobody_votes() -> None:
    count = tally(ballots((None, 3)), NUMBER)
    assert (count.leader, count.votes, count.v1, count.v2) == (None, (), 0, 0)


def test_a_tie_goes_to_the_fewest_mean_tokens_then_to_the_first_seen() -> None:
    assert tally(ballots(("4", 50), ("5", 40)), NUMBER).votes[0][0] == "5"
    assert tally(ballots(("4", 40), ("5", 10), ("5", 60), ("4", 40)), NUMBER).votes[0][0] == "5"
    assert tally(ballots(("4", 40), ("5", 40)), NUMBER).votes[0][0] == "4"


def test_a_light_ballot_counts_for_less() -> None:
    heavy, light = Answer("4", "4"), Answer("5", "5")
    count = tally([Ballot(0, heavy, 9), Ballot(1, light, 1, weight=0.5)], NUMBER)
    assert count.weights == {"4": 1.0, "5": 0.5}


def test_length_prefers_short_samples_and_keeps_the_number_of_votes() -> None:
    count = tally(ballots(("4", 100), ("5", 400)), NUMBER, "length")
    assert count.votes[0][0] == "4"
    assert count.v1 == pytest.approx(2 * count.v2)
    assert count.v1 + count.v2 == pytest.approx(2)


def test_confidence_prefers_likely_samples_and_keeps_the_number_of_votes() -> None:
    sure, unsure = Ballot(0, Answer("4", "4"), 9, logprob=-0.1), Ballot(1, Answer("5", "5"), 9, logprob=-2.0)
    count = tally([sure, unsure, Ballot(2, Answer("6", "6"), 9)], NUMBER, "confidence")
    assert [key for key, _, _ in count.votes] == ["4", "6", "5"]
    assert sum(count.weights.values()) == pytest.approx(3)


def test_keys_that_a_prover_joins_vote_together() -> None:
    class Sure:
        def same(self, first: str, second: str) -> bool:
            return True

    votes = ballots(("\\arctan(x)", 9), ("3", 9), ("\\arcsin(x*(x^{2}+1)^{-1/2})", 9))
    joined = tally(votes, AnswerType("math"), equivalence=Equivalence(Sure()))
    assert len(joined.votes) == 1
    assert len(tally(votes, AnswerType("math")).votes) == 3


def test_the_wording_shown_is_the_commonest() -> None:
    said = [extract(text, NUMBER) for text in ("Answer: $18.00", "Answer: 18", "Answer: 18")]
    count = tally([Ballot(number, answer, 9) for number, answer in enumerate(said)], NUMBER)
    assert count.leader is not None
    assert count.leader.text == "18"


def test_texts_vote_in_clusters() -> None:
    kind = AnswerType("text")
    said = [extract(text, kind) for text in ("Answer: London", "Answer: Paris", "Answer: Paris, France")]
    count = tally([Ballot(number, answer, 9) for number, answer in enumerate(said)], kind)
    assert count.leader is not None
    assert count.leader.text == "Paris"
    assert count.key_of[1] == count.key_of[2] != count.key_of[0]


def test_a_long_text_is_answered_with_a_whole_response() -> None:
    kind = AnswerType("long")
    responses = [
        "Rain falls from clouds that cool.\n\nThen rivers carry it to the sea.",
        "Bread needs flour, water, salt and yeast.",
    ]
    said = [extract(text, kind) for text in (*responses, responses[0])]
    count = tally([Ballot(number, answer, 9) for number, answer in enumerate(said)], kind)
    assert count.leader is not None
    assert count.leader.text == responses[0]


VOTES = st.lists(st.tuples(st.sampled_from(["4", "5", "6", None]), st.integers(1, 300)), max_size=14)


@given(votes=VOTES, method=st.sampled_from(METHODS), data=st.data())
def test_the_order_of_counting_does_not_matter(
    votes: list[tuple[str | None, int]], method: Method, data: st.DataObject
) -> None:
    cast = ballots(*votes)
    assert tally(data.draw(st.permutations(cast)), NUMBER, method) == tally(cast, NUMBER, method)


@given(votes=VOTES, method=st.sampled_from(METHODS))
def test_votes_sum_to_the_voters(votes: list[tuple[str | None, int]], method: Method) -> None:
    count = tally(ballots(*votes), NUMBER, method)
    assert sum(count.weights.values()) == pytest.approx(sum(key is not None for key, _ in votes))


@pytest.mark.parametrize(
    ("first", "second"), [("12 m", "12 ft"), ("1, 2, 3", "3, 2, 1"), ("192.168.0.1", "192.168.0.10")]
)
def test_a_prover_is_not_asked_about_what_is_no_formula(first: str, second: str) -> None:
    class Sure:
        def same(self, first: str, second: str) -> bool:
            return True

    assert not Equivalence(Sure()).same(first, second)


def test_words_beside_numbers_do_not_vote_where_the_question_was_taken_for_one_that_wants_a_number() -> None:
    guessed = AnswerType.parse("auto").for_question("What is 3 + 4?")
    said = ballots(("7", 9), ("let us see", 9), ("7", 9), ("a good question", 9), ("8", 9))
    assert tally(said, guessed).weights == {"7": 2, "8": 1}
    assert tally(said, AnswerType("auto")).weights == {"7": 2, "let us see": 1, "a good question": 1, "8": 1}


def test_a_guessed_kind_gives_way_where_most_samples_state_something_else() -> None:
    guessed = AnswerType.parse("auto").for_question("How many is it?")
    assert tally(ballots(("unknown", 9), ("7", 9), ("unknown", 9)), guessed).weights == {"unknown": 2, "7": 1}
    assert tally(ballots(("unknown", 9)), guessed).weights == {"unknown": 1}


def test_every_response_to_an_open_question_votes() -> None:
    guessed = AnswerType.parse("auto").for_question("Write a poem about rain.")
    assert guessed.guessed
    assert sum(tally(ballots(("rain falls", 9), ("it pours", 9), ("...", 9)), guessed).weights.values()) == 3
