"""Progress without a terminal, the closing line, and --explain."""

from __future__ import annotations

import io

import pytest

from dynscale_cli.display import text as words
from dynscale_cli.display.answers import Explain, Verdicts, answer_line, question_line
from dynscale_cli.display.lines import Display, Lines, Score, choose_display, closing_lines
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.run.events import (
    Answered,
    KindReport,
    Notice,
    RunFinished,
    SampleFinished,
    SampleStarted,
    Standing,
)
from dynscale_cli.sampling.samples import Sample
from tests.display_events import result, run

END = RunFinished(64, 60, 1, Tokens(3000, 9345, 5000), 40960, 57.3)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_one_line_a_question() -> None:
    line = answer_line(result(16), 3, 64)
    assert line == "3/64 q17  42  5 of 6 votes  612 tokens  settled"
    assert answer_line(result(16, gold="42", correct=True), 3, 64).endswith("612 tokens  settled  right")


def test_a_question_without_a_name_is_named_by_its_words_where_there_are_several() -> None:
    told = result(0, "7", id="1", question="What is 3 + 4?")
    assert answer_line(told, 1, 2) == "1/2 What is 3 + 4?  7  5 of 6 votes  612 tokens  settled"
    assert answer_line(told, 1, 1) == "7  5 of 6 votes  612 tokens  settled"


def test_questions_without_an_answer_and_with_an_error() -> None:
    assert answer_line(result(0, None, stopped="no answer"), 1, 1) == "1/1 q1  no answer  612 tokens  none in 6 samples"
    line = answer_line(result(0, None, stopped="error", error="the prompt needs 9000 tokens"), 1, 1)
    assert line.endswith("the prompt needs 9000 tokens")
    told = "the prompt of 1,250,052 tokens does not fit a context of 1,024 tokens"
    assert answer_line(result(0, None, stopped="error", error=told), 1, 1).endswith(told)


def test_a_run_of_three_questions() -> None:
    err = io.StringIO()
    with Lines(err) as display:
        for event in run(3):
            display.handle(event)
    lines = err.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["1/3", "2/3", "3/3", "3", lines[4].split()[0]]
    assert lines[3].startswith("3 questions, 3 settled, 0 unanswered · ")
    assert " prompt + " in lines[4]


def test_notices_and_hostile_text_are_one_plain_line_each() -> None:
    err = io.StringIO()
    display = Lines(err)
    display.handle(Notice("width\nhalved\x1b[2J"))
    display.handle(Answered(result(0, "4\x1b]0;x\x07\n2" * 100)))
    first, second = err.getvalue().splitlines()
    assert first == "dynscale: width halved"
    assert "\x1b" not in second
    assert len(second) < 200


def test_show_prints_what_each_sample_said_in_plain_lines() -> None:
    err = io.StringIO()
    display = choose_display(err, show=True, environ={})
    display.handle(SampleStarted(0, "q\x1b[2J1", "Why?", 0, "parallel", Standing(pending=1)))
    said = "So:\r\n  6 * 7\x1b]0;x\x07\nAnswer: 42\n"
    display.handle(SampleFinished(0, Sample(0, "parallel", said, "42", "42", Tokens(9, 9), "stop"), Standing(1)))
    assert err.getvalue().splitlines() == ["q1, sample 1 (parallel): 42", "  So:", "    6 * 7", "  Answer: 42"]


def test_an_answer_that_is_not_sure_enough_is_not_called_settled() -> None:
    """With `--abstain-below`, a question may be settled and have no answer."""
    told = result(0, None, id="1", votes={"7": 12.0, "8": 5.0}, samples=17)
    assert answer_line(told, 1, 1) == "no answer  12 of 17 votes  612 tokens  not sure enough"
    assert Verdicts([told.question], 80).row(told) == "no answer   12 of 17 votes · not sure enough after 612 tokens\n"
    assert "7 is not sure enough (12 of 17 votes)" in question_line(told)


def test_the_closing_lines_add_up_and_fit_80_columns() -> None:
    assert closing_lines(END, Score(17, 20)) == [
        "64 questions, 60 settled, 1 unanswered · 17 of 20 right · 57.3 s · 163 tokens/s",
        "12,345 tokens (3,000 prompt + 9,345 generated; 5,000 reused)",
        "28,615 of 40,960 left",
    ]
    end = RunFinished(10**6, 10**6, 10**5, Tokens(3 * 10**7, 9 * 10**7, 5 * 10**7), 10**9, 57000.3, lost=10**6)
    assert max(map(len, closing_lines(end, Score(10**5, 10**6)))) <= 80
    assert closing_lines(RunFinished(1, 1, 0, Tokens(9, 9), 90, 2.0), Score())[0] == "2.0 s · 4 tokens/s"


def test_a_run_with_right_answers_tells_how_many_were_found() -> None:
    err = io.StringIO()
    with Lines(err) as display:
        for index, correct in enumerate((True, False, True)):
            display.handle(Answered(result(index, gold="42", correct=correct)))
        display.handle(END)
    assert " · 2 of 3 right · " in err.getvalue()


class TestVerdicts:
    def test_one_question_is_one_line(self) -> None:
        verdicts = Verdicts(["Which is the capital?"], 80)
        assert verdicts.head() == ""
        assert verdicts.row(result(0, "Paris")) == "Paris   5 of 6 votes · settled after 612 tokens\n"
        assert verdicts.row(result(0, None, stopped="budget")) == "no answer   budget spent after 612 tokens\n"

    def test_several_are_rows_of_equal_columns(self) -> None:
        verdicts = Verdicts(["What is 0 + 25?", "What is 1 + 25?"], 80)
        rows = [verdicts.head(), verdicts.row(result(0)), verdicts.row(result(1, "6", stopped="budget"))]
        assert [row.rstrip() for row in rows] == [
            "question         answer                              votes",
            "What is 0 + 25?  42                                 5 of 6  settled",
            "What is 1 + 25?  6                                  5 of 6  budget spent",
        ]

    def test_what_is_settled_is_right_only_where_that_is_known(self) -> None:
        row = Verdicts(["a", "b"], 80).row(result(0, gold="41", correct=False))
        assert row.rstrip().endswith("settled, wrong")

    def test_a_long_answer_keeps_its_lines_and_nothing_is_cut_off(self) -> None:
        verdicts = Verdicts(["What is 0 + 25?", "b"], 80)
        said = "TCP connects.\nUDP\x1b[2J does not."
        row = verdicts.row(result(0, said, votes={said: 3.0}))
        assert row == "What is 0 + 25?\n  TCP connects.\n  UDP does not.\n  3 of 3 votes · settled after 612 tokens\n"
        assert "word " * 20 in verdicts.row(result(0, "word " * 20 + "end"))

    def test_a_response_that_a_sample_wrote_from_the_others_has_no_votes(self) -> None:
        row = Verdicts(["Compare them."], 80).row(result(0, "Both\nsend.", votes={"One": 1.0, "Two": 2.0}, samples=4))
        assert row == "Both\nsend.\n\nwritten from 3 samples · settled after 612 tokens\n"

    def test_half_votes_are_counted_as_samples_and_the_cut_ones_are_named(self) -> None:
        cut = result(0, "7", votes={"7": 2.5, "9": 1.0}, counts={"7": 3, "9": 2}, cut=3)
        row = Verdicts(["What is 3 + 4?"], 80).row(cut)
        assert row == "7   3 of 5 votes · settled after 612 tokens · 3 samples cut off\n"
        assert answer_line(cut, 1, 9) == "1/9 q1  7  3 of 5 votes  612 tokens  settled  3 samples cut off"
        stored = result(0, "7", votes={"7": 2.5, "9": 1.0})
        assert "3 of 4 votes" in answer_line(stored, 1, 9)

    def test_questions_that_differ_at_their_ends_can_be_told_apart(self) -> None:
        texts = [f"In the long story about the {'very ' * 30}old man, who is the {name}?" for name in ("son", "dog")]
        verdicts = Verdicts(texts, 80)
        rows = [verdicts.row(result(n, question=text)) for n, text in enumerate(texts)]
        assert "the son?" in rows[0]
        assert "the dog?" in rows[1]
        assert max(map(len, rows)) <= 81


def test_what_a_server_spent_unasked_is_said_and_nothing_negative_is_left() -> None:
    end = RunFinished(1, 1, 0, Tokens(800, 500), 1200, 0.0, lost=20)
    said = closing_lines(end, Score())
    assert said[1].endswith(" · 0 of 1,200 left")
    assert said[-1].endswith("120 tokens beyond the budget, which the server spent unasked")


def test_an_interrupted_run_says_so_first() -> None:
    end = RunFinished(1, 0, 0, Tokens(), 100, 0.0, interrupted=True)
    assert closing_lines(end, Score()) == [
        "interrupted · 0.0 s",
        "0 tokens (0 prompt + 0 generated; 0 reused) · 100 of 100 left",
    ]
    many = RunFinished(3, 1, 0, Tokens(), 100, 0.0, interrupted=True)
    assert closing_lines(many, Score())[0].startswith("interrupted: 3 questions, 1 settled")


def test_quiet_says_nothing_and_a_closed_stderr_ends_no_run() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(32, "Broken pipe")

    for display in (choose_display(Closed()), choose_display(None)):
        with display:
            for event in run(2):
                display.handle(event)
    err = io.StringIO()
    with choose_display(err, quiet=True) as display:
        for event in run(2):
            display.handle(event)
    assert err.getvalue() == ""


def test_failures_speak_even_when_it_is_to_be_quiet() -> None:
    err = io.StringIO()
    display = choose_display(err, quiet=True)
    for index in range(3):
        display.handle(Answered(result(index, None, stopped="error", error="the server said no")))
    assert err.getvalue() == "dynscale: q1: the server said no\n"


@pytest.mark.parametrize(
    ("err", "environ", "kind"),
    [
        (io.StringIO(), {"TERM": "xterm"}, Lines),
        (Terminal(), {"TERM": "dumb"}, Lines),
        (Terminal(), {}, Lines),
        (Terminal(), {"TERM": "xterm", "CI": "true"}, Lines),
    ],
)
def test_what_cannot_be_redrawn_gets_lines(err: io.StringIO, environ: dict[str, str], kind: type[Display]) -> None:
    assert type(choose_display(err, environ=environ)) is kind


def test_explain_tells_why_each_question_got_its_samples() -> None:
    explain = Explain()
    for event in (Answered(result(1, None, stopped="budget")), Answered(result(0)), END):
        explain.handle(event)
    first, second, _ = explain.lines()
    assert first == (
        "q1: 42 after 6 samples (4 parallel, 2 chain), 612 tokens: 5 votes against 1 for 41;"
        " stopped since more samples were not expected to change the leader"
    )
    assert second == "q2: no answer after 6 samples (4 parallel, 2 chain), 612 tokens; the budget was spent"


def test_explain_names_all_that_was_voted_for() -> None:
    line = question_line(result(0, votes={"42": 4.5, "41": 1.0, "7": 1.0, "8": 0.5}))
    assert "5 votes against 1 for 41 and 2 for 2 others" in line


def test_explain_tells_what_each_kind_earned_and_cost() -> None:
    explain = Explain()
    kinds = {"parallel": KindReport(4, 400, 0.61), "chain": KindReport(2, 212), "other": KindReport()}
    explain.handle(RunFinished(1, 1, 0, Tokens(), 1000, 1.0, kinds=kinds))
    assert list(explain.lines()) == [
        "parallel: 4 samples, 400 tokens, 100 tokens each, agreement 61%",
        "chain: 2 samples, 212 tokens, 106 tokens each, agreement not known yet",
        "other: no samples",
        "share of chains: 0% at first, 0% as learned",
    ]


@pytest.mark.parametrize("cells", [40, 60, 80])
def test_columns_that_are_too_wide_lose_the_middles_of_their_texts(cells: int) -> None:
    texts = [f"In the {'very ' * 30}long story, who is the {name}?" for name in ("son", "dog")]
    rows = [[text, "an answer " * 9, "1,234"] for text in texts]
    lines = words.fitted(("question", "answer", "tokens"), rows, cells, {"tokens"}, {"question", "answer"})
    assert max(map(len, lines)) <= cells
    assert all(line.endswith(" 1,234") for line in lines[1:])
    assert [name for name, line in zip(("son", "dog"), lines[1:], strict=True) if f"{name}?" in line] == ["son", "dog"]


def test_a_line_that_has_room_for_it_cuts_no_answer_and_no_line_outgrows_80_columns() -> None:
    told = result(0, "the answer " * 20, id="1", question="Why is it so? " * 20)
    line = answer_line(told, 10, 64)
    assert len(line) == 80
    assert line.startswith("10/64 Why is it so?")
    assert answer_line(result(0, "a " * 12 + "end"), 1, 1).startswith("1/1 q1  " + "a " * 12 + "end  5 of 6")


@pytest.mark.parametrize(
    ("share", "text"), [(0.5, "50%"), (0.994, "99%"), (0.9999, ">99%"), (1.0, "100%"), (0.0, "0%")]
)
def test_certainty_is_not_rounded_up(share: float, text: str) -> None:
    assert words.percent(share) == text


@pytest.mark.parametrize(("seconds", "text"), [(3.4, "3 s"), (59.7, "1:00"), (125, "2:05"), (3725, "1:02:05")])
def test_times(seconds: float, text: str) -> None:
    assert words.clock(seconds) == text
