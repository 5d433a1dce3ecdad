"""Models that think: thoughts and what is said, told apart in whole completions and while they stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.engine.reasoning import ReasoningFormat, Split, learn

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
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>42", "a", "42", False),
    ("<|channel|>analysis<|message|>a", "a", "", True),
    ("analysisWe think.assistantfinal42", "We think.", "42", False),
    ("analysisWe think", "We think", "", True),
    ("analysis of the data: 42", "", "analysis of the data: 42", False),
    ("1 < 2 and [3]", "", "1 < 2 and [3]", False),
    ("", "", "", False),
    # In formats of their own
    ("<mm:think>a</mm:think>42", "a", "42", False),
    ("<think:open>a</think:open>42", "a", "42", False),
    ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>42<|END_RESPONSE|>", "a", "42", False),
    ("<|inner_prefix|>a<|inner_suffix|>42", "a", "42", False),
    ("<|channel>thought\na<channel|>42", "\na", "42", False),
    ("<unused94>thought\na<unused95>42", "\na", "42", False),
    ("<|think|>a<|end|><|begin|>assistant<|content|>42", "a", "42", False),
    ("<|open|>think<|sep|>a<|close|>think<|sep|><|open|>response<|sep|>42<|close|>response<|sep|>", "a", "42", False),
    ("<|channel|>analysis<|message|>a<|end|><|channel|>final <|constrain|>json<|message|>42", "a", "42", False),
    ("<|channel|>final<|message|>42", "", "42", False),
    # Thoughts within thoughts, and one opened twice
    ("<thinking>a<reflection>b</reflection>c</thinking>42", "abc", "42", False),
    ("<think>a<think>b</think>42", "ab", "42", False),
    # A channel is not left by another format's marker
    ("<|channel|>analysis<|message|>a</think>b", "ab", "", True),
    # Around what is said
    ("<think>a</think><response>42</response>", "a", "42", False),
    ("<think>a</think>\n<response>\n42\n</response>", "a", "\n\n42\n", False),
    ("It is <|begin_of_box|>42<|end_of_box|>", "", "It is <|begin_of_box|>42<|end_of_box|>", False),
    ("42[END FINAL RESPONSE]", "", "42", False),
    ("42<｜end▁of▁sentence｜>", "", "42", False),
    ("42</s>", "", "42", False),
    ("```xml\n<response>42</response>\n```", "", "```xml\n<response>42</response>\n```", False),
    ("the tag `<response>` is", "", "the tag `<response>` is", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "thought", "rest", "still_open"), WHOLE)
def test_splits_whole_completions(text: str, thought: str, rest: str, still_open: bool) -> None:
    assert ReasoningFormat().split(text) == Split(thought, rest, not still_open)


def streamed(pieces: list[str], thinking: bool = False) -> tuple[str, str, bool]:
    tracker = ReasoningFormat().tracker(thinking)
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
    tracker = ReasoningFormat().tracker()
    assert tracker.feed("The answer ") == [("The answer ", False)]
    assert tracker.feed("is <") == [("is ", False)]
    assert tracker.feed("5") == [("<5", False)]


def test_a_cut_inside_a_thought_that_the_prompt_opened_has_said_nothing() -> None:
    assert ReasoningFormat().split("so it is 8. Wait", open_thought=True) == ("so it is 8. Wait", "", False)


def test_thoughts_of_megabytes_are_split_in_one_pass() -> None:
    thought, said, closed = ReasoningFormat().split("<think>" + "<thin " * 300_000 + "</think>42")
    assert (len(thought), said, closed) == (1_800_000, "42", True)


CLOSINGS = [
    ("<think>a", "\n</think>\n\n"),
    ("<thought>a", "\n</thought>\n\n"),
    ("[THINK]a", "[/THINK]"),
    ("◁think▷a", "◁/think▷"),
    ("<|inner_prefix|>a", "<|inner_suffix|>"),
    ("<|channel|>analysis<|message|>a", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|open|>think<|sep|>a", "<|close|>think<|sep|><|open|>response<|sep|>"),
]


@pytest.mark.parametrize(("cut", "closing"), CLOSINGS)
def test_a_thought_is_closed_as_it_was_opened_and_the_answer_is_said(cut: str, closing: str) -> None:
    tracker = ReasoningFormat().tracker()
    tracker.feed(cut)
    assert tracker.closing == closing
    assert ReasoningFormat().split(f"{cut}{closing}Answer: 7").said.strip() == "Answer: 7"


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<think>", "</think>"),
        ('<think type="deep">', "</think>"),
        ("<thought_process>", "</thought_process>"),
        ("<inner_monologue>", "</inner_monologue>"),
        ("<deep_think>", "</deep_think>"),
        ("<judge>", "</judge>"),
        ("[REASONING]", "[/REASONING]"),
        ("<|thinking|>", "<|/thinking|>"),
        ("<|thought_begin|>", "<|thought_end|>"),
        ("<|begin_of_reasoning|>", "<|end_of_reasoning|>"),
        ("<｜begin▁of▁think｜>", "<｜end▁of▁think｜>"),
        ("<seed:think>", "</seed:think>"),
        ("<|inner_prefix|>", "<|inner_suffix|>"),
    ],
)
def test_a_thought_is_closed_as_it_was_opened(opening: str, closing: str) -> None:
    tracker = ReasoningFormat().tracker()
    tracker.feed(f"{opening}It is 8.")
    assert tracker.closing.strip() == closing
    assert ReasoningFormat().split(f"{opening}It is 8.{tracker.closing}It is 7.").said.strip() == "It is 7."
    assert ReasoningFormat().split(f"{opening}It is 8. No") == ("It is 8. No", "", False)
    assert ReasoningFormat().split(f"It is 8.{closing}It is 7.", open_thought=True).said.strip() == "It is 7."


def test_granites_words_for_a_thought_are_markers_where_its_template_asks_for_them() -> None:
    text = "Here is my thought process:\nIt is 8.\n\nHere is my response:\nIt is 7."
    form = learn(lambda turns, generation: "", "Write behind 'Here is my thought process:' what you think.")
    assert form.split(text).said.strip() == "It is 7."
    assert ReasoningFormat().split(text).said == text
