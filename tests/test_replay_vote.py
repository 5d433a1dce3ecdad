"""The replay counts votes in its own quick way: it must elect whom the live vote elects."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.answers.extract import Answer
from dynscale_cli.answers.types import AnswerType
from dynscale_cli.answers.vote import Ballot, tally
from dynscale_cli.evaluation.logs import Pool
from dynscale_cli.evaluation.replay import Tally

samples = st.lists(st.tuples(st.sampled_from(["A", "B", "C", "D", None]), st.integers(1, 4)), min_size=1, max_size=14)


@given(samples)
def test_the_quick_tally_elects_the_leader_of_the_live_vote(drawn: list[tuple[str | None, int]]) -> None:
    ballots = [Ballot(n, Answer(key, key) if key else None, tokens) for n, (key, tokens) in enumerate(drawn)]
    leader = tally(ballots, AnswerType("choice")).leader
    for gold in "ABCD":
        quick = Tally(Pool("1", gold, tuple(key for key, _ in drawn), tuple(tokens for _, tokens in drawn)))
        for sample in range(len(drawn)):
            quick.add(sample)
        assert quick.right == (leader is not None and leader.key == gold)
