"""Answers on stdout: their order, their form, and nothing lost."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable

import pytest

from dynscale_cli.display.answers import Answers
from dynscale_cli.run.events import Answered, Notice
from tests.display_events import result


class Out(io.StringIO):
    """A stream that remembers what had been written at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def feed(answers: Answers, *indices: int) -> None:
    for index in indices:
        answers.handle(Answered(result(index, f"a{index}")))


def test_input_order_whatever_the_order_of_settling_and_each_as_soon_as_it_can() -> None:
    out = Out()
    feed(Answers(out, 4), 2, 0, 3, 1)
    assert out.getvalue() == "a0\na1\na2\na3\n"
    assert out.flushed == ["a0\n", "a0\na1\na2\na3\n"]


def test_unordered_prints_at_once() -> None:
    out = Out()
    feed(Answers(out, 3, unordered=True), 2, 0)
    assert out.flushed == ["a2\n", "a2\na0\n"]


def test_a_question_without_an_answer_keeps_its_line() -> None:
    out = Out()
    answers = Answers(out, 3)
    for index, answer in enumerate(("x", None, "z")):
        answers.handle(Answered(result(index, answer)))
    assert out.getvalue() == "x\n\nz\n"


def test_on_a_terminal_a_run_that_ends_early_does_not_scroll_its_answers_away() -> None:
    class Terminal(Out):
        def isatty(self) -> bool:
            return True

    for out, said in ((Terminal(), "x\n\nz\n"), (Out(), "x\n\nz\n" + "\n" * 997)):
        answers = Answers(out, 1000)
        for index, answer in enumerate(("x", None, "z", *[None] * 997)):
            answers.handle(Answered(result(index, answer)))
        answers.finish()
        assert out.getvalue() == said


def test_line_breaks_become_spaces_in_a_batch_and_stay_for_a_single_question() -> None:
    text = "first\nsecond\x1b[2J"
    batch, single = Out(), Out()
    Answers(batch, 2).handle(Answered(result(0, text)))
    Answers(single, 1).handle(Answered(result(0, text)))
    assert batch.getvalue() == "first second\n"
    assert single.getvalue() == "first\nsecond\n"


def test_json_is_one_object_a_line_with_every_field() -> None:
    out = Out()
    answers = Answers(out, 2, as_json=True)
    answers.handle(Answered(result(0, "a\nb — 二\x9b\u202e\x1b")))
    answers.handle(Answered(result(1, None, error="too long", stopped="error")))
    first, second = out.getvalue().splitlines()
    assert "二" in first
    assert not set("\x9b\u202e\x1b") & set(first)
    found = json.loads(first)
    assert found["answer"] == "a\nb — 二\x9b\u202e\x1b"
    assert found["tokens"] == {"prompt": 112, "generated": 500, "reused": 300}
    assert set(found) >= {"id", "index", "question", "confidence", "votes", "samples", "stopped", "forced", "seed"}
    assert (found["model"], found["seconds"]) == ("tiny", 1.5)
    assert json.loads(second)["answer"] is None


def test_what_was_held_back_is_printed_in_the_end() -> None:
    out = Out()
    answers = Answers(out, 4)
    feed(answers, 3, 1)
    answers.finish()
    answers.finish()
    assert out.getvalue() == "a1\na3\n"


def test_a_view_on_the_same_terminal_steps_aside() -> None:
    out, calls = Out(), list[str]()

    def aside(write: Callable[[], None]) -> None:
        calls.append("off")
        write()
        calls.append("on")

    feed(Answers(out, 1, aside=aside), 0)
    assert (calls, out.getvalue()) == (["off", "on"], "a0\n")


def test_a_reader_that_went_away_is_the_callers_business() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        feed(Answers(Closed(), 1), 0)


def test_other_events_print_nothing() -> None:
    out = Out()
    Answers(out, 1).handle(Notice("width is 8"))
    assert out.getvalue() == ""


def test_answers_that_wait_for_one_before_them_take_no_memory() -> None:
    out, count = Out(), 1000
    answers = Answers(out, count, as_json=True)
    tracemalloc.start()
    try:
        feed(answers, *range(1, count))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert (out.getvalue(), held // count < 200) == ("", True), held
    answers.handle(Answered(result(0, "é\ud83d")))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["answer"] for line in lines] == ["é\ud83d", *(f"a{n}" for n in range(1, count))]
    assert len(out.getvalue()) > 200 * count
