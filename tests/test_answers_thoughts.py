"""Hidden thoughts: split from whole completions, and told apart while they stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.answers import ThoughtTracker, split_thought

WHOLE = [
    ("42", "", "42", False),
    ("<think>a</think>42", "a", "42", False),
    ("<THINK>a</THINK>42", "a", "42", False),
    ("<think>a", "a", "", True),
    ("a</think>42", "a", "42", False),
    ("so <think>a</think>42", "a", "so 42", False),
    ("<think>a</think>4<think>b</think>2", "ab", "42", False),
    ("<think>a</think>42</think>", "a", "42", False),
    ("<thinking>a</thinking>42", "a", "42", False),
    ("<reasoning>a</reasoning>42", "a", "42", False),
    ("[THINK]a[/THINK]42", "a", "42", False),
    ("<|begin_of_thought|>a<|end_of_thought|>42", "a", "42", False),
    ("<seed:think>a</seed:think>42", "a", "42", False),
    ("◁think▷a◁/think▷42", "a", "42", False),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>42", "a<|end|>", "42", False),
    ("<|channel|>analysis<|message|>a", "a", "", True),
    ("analysisWe think.assistantfinal42", "We think.", "42", False),
    ("analysisWe think", "We think", "", True),
    ("analysis of the data: 42", "", "analysis of the data: 42", False),
    ("1 < 2 and [3]", "", "1 < 2 and [3]", False),
    ("", "", "", False),
]


@pytest.mark.parametrize(("text", "thought", "rest", "still_open"), WHOLE)
def test_splits_whole_completions(text: str, thought: str, rest: str, still_open: bool) -> None:
    assert split_thought(text) == (thought, rest, still_open)


def streamed(pieces: list[str], thinking: bool = False) -> tuple[str, str, bool]:
    tracker = ThoughtTracker(thinking)
    out = [part for piece in pieces for part in tracker.feed(piece)] + tracker.finish()
    joined = {side: "".join(text for text, hidden in out if hidden is side) for side in (True, False)}
    return joined[True], joined[False], tracker.thinking


OPENED = [row for row in WHOLE if not row[0].startswith("a</think>")]


@given(row=st.sampled_from(OPENED), data=st.data())
def test_streaming_in_any_pieces_says_the_same_as_splitting(
    row: tuple[str, str, str, bool], data: st.DataObject
) -> None:
    text, thought, rest, still_open = row
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    pieces = [text[start:end] for start, end in pairwise(cuts)]
    assert streamed(pieces) == (thought, rest, still_open)


def test_a_thought_that_the_prompt_opened_is_known_from_the_start() -> None:
    assert streamed(["a</th", "ink>42"], thinking=True) == ("a", "42", False)


def test_text_is_not_held_back_without_need() -> None:
    tracker = ThoughtTracker()
    assert tracker.feed("The answer ") == [("The answer ", False)]
    assert tracker.feed("is <") == [("is ", False)]
    assert tracker.feed("5") == [("<5", False)]
