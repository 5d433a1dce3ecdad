"""The layout of the live view: it fits any window, aligns, and shows what matters first."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from itertools import pairwise, takewhile

import pytest
from rich.cells import cell_len

from dynscale_cli.display.board import RECENT, Board, Pace
from dynscale_cli.display.view import ASCII, FINE, Glyphs, Reading, draw
from dynscale_cli.run.events import (
    Answered,
    Event,
    RunStarted,
    SampleFinished,
    SampleStarted,
    SampleText,
    Standing,
    Stepped,
)
from tests.display_events import result, run, sample


def board_of(*events: Event, keep_text: bool = False) -> Board:
    board = Board(keep_text=keep_text)
    for event in events:
        board.apply(event)
    return board


def half_way(questions: int) -> Board:
    """A run stopped while its second group of questions is being sampled."""
    return board_of(*takewhile(lambda event: not (isinstance(event, Stepped) and event.spent > 3000), run(questions)))


UNKNOWN = Reading()


def shown(
    board: Board, width: int = 100, height: int = 24, reading: Reading = UNKNOWN, glyphs: Glyphs = FINE
) -> list[str]:
    return ["".join(text for text, _ in line) for line in draw(board, reading, width, height, glyphs)]


def start(questions: int = 2, budget: int = 1000) -> RunStarted:
    return RunStarted(questions, budget, 16, 2048, "tiny")


def begun(index: int, standing: Standing, question: str = "Why?", name: str | None = None) -> SampleStarted:
    return SampleStarted(index, name or f"q{index + 1}", question, 0, "parallel", standing)


@pytest.mark.parametrize("questions", [1, 2, 20, 10_000])
@pytest.mark.parametrize("width", [1, 10, 24, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [1, 2, 4, 10, 50])
def test_it_never_outgrows_the_window(questions: int, width: int, height: int) -> None:
    lines = shown(half_way(questions), width, height, Reading(123.4, 56.7))
    assert len(lines) <= max(1, height - 1)
    assert all(cell_len(line) <= width for line in lines)


def test_before_the_run_there_is_nothing() -> None:
    assert shown(Board()) == []


def test_columns_align_over_wide_characters_and_emoji() -> None:
    votes = ("42", "二加二是四", "👩‍👩‍👧 wide", "é")
    board = board_of(
        start(4), *(begun(i, Standing(2, 1, ((answer, 2.0),), 0.9), "Q?") for i, answer in enumerate(votes))
    )
    rows = [line for line in shown(board) if "Q?" in line]
    assert len(rows) == 4
    assert len({cell_len(row[: row.index("Q?")]) for row in rows}) == 1


def test_the_active_and_the_least_settled_come_first() -> None:
    calm = [begun(i, Standing(4, 0, (("1", 4.0),), 0.9 + i / 1000)) for i in range(60)]
    busy = begun(60, Standing(4, 1, (("1", 4.0),), 0.99))
    torn = begun(61, Standing(4, 0, (("1", 2.0), ("2", 2.0)), 0.5))
    lines = shown(board_of(start(100), *calm, busy, torn), height=10)
    names = [word for line in lines for word in line.split()[:2] if re.fullmatch(r"q\d+", word)]
    assert {"q61", "q62", "q1", "q2"} <= set(names)
    assert names == sorted(names, key=lambda name: int(name[1:]))
    assert any(f"… and {100 - len(names)} more" in line for line in lines)


def test_rows_keep_their_places_while_others_come_and_go() -> None:
    """Two of a thousand questions are sampled at a time: each step moves what is new, and nothing else."""
    board = board_of(start(1000), *(begun(i, Standing(2, 0, (("1", 1.0), ("2", 1.0)), 0.5)) for i in range(40)))
    before = shown(board, height=20)
    for step in range(40):
        board.apply(begun(step, Standing(2, 0, (("1", 1.0),), 0.9)))
        board.apply(begun(step + 40, Standing(0, 1)))
        after = shown(board, height=20)
        assert sum(old != new for old, new in zip(before, after, strict=True)) <= 3, (before, after)
        before = after


def test_of_the_questions_that_moved_last_the_least_settled_are_chosen_however_long_the_run() -> None:
    dice, board = random.Random(5), board_of(start(3000))
    moved: dict[int, tuple[bool, float, int]] = {}
    for event in range(5_000):
        index, pending = dice.randrange(300), int(dice.random() < 0.05)
        standing = Standing(event, pending, (("1", 1.0),), dice.randrange(100) / 100)
        board.apply(begun(index, standing))
        moved.pop(index, None)
        moved[index] = (not pending, standing.confidence, index)
        if event % 500 == 0:
            busy = [key for key in moved.values() if not key[0]]
            last = [key for key in moved.values() if key[0]][-RECENT:]
            assert [row.index for row in board.chosen(10)] == sorted(key[2] for key in sorted(busy + last)[:10])


def test_a_settled_question_shows_its_answer_and_does_not_return() -> None:
    board = board_of(start(), begun(0, Standing(pending=1)), Answered(result(0, "42")))
    (row,) = [line for line in shown(board) if "q1" in line]
    assert not row.startswith(("✓", "✗")), "settled is not right"
    assert "settled" in row
    judged = board_of(start(), *(Answered(result(n, "42", gold="42", correct=not n)) for n in range(2)))
    assert [line[0] for line in shown(judged) if re.search(r"q\d", line)] == ["✓", "✗"]
    assert "42" in row
    assert "5 of 6" in row
    assert board.rows == {}


def test_the_totals_are_all_there() -> None:
    board = board_of(start(20, 40_960), Stepped(12_345, 40, 9_000, 16, 12, 0.25), Answered(result(0)))
    foot = " ".join(shown(board, reading=Reading(214.4, 133)))
    assert "12,345 of 40,960 tokens" in foot
    for part in ("12 of 20 settled", "214 tokens/s", "28,615 left", "chains 25%", "about 2:15 to go"):
        assert part in foot


def test_the_bar_is_as_full_as_the_budget_is_spent() -> None:
    for spent, share in ((0, 0.0), (500, 0.5), (1000, 1.0)):
        bar = shown(board_of(start(), Stepped(spent, 0, spent, 1, 0, 0.0)))[-2]
        assert bar.count("━") / (bar.count("━") + bar.count("─")) == pytest.approx(share, abs=0.02)


def test_a_single_question_shows_its_votes_as_they_move() -> None:
    standing = Standing(6, 2, (("42", 4.5), ("41", 1.0)), 0.97)
    asked = begun(0, Standing(pending=8), "What is\n17 + 25?")
    board = board_of(start(1), asked, SampleFinished(0, sample(0, None), standing))
    text = "\n".join(shown(board))
    assert "What is 17 + 25?" in text
    assert "5 votes" in text
    assert "1 vote\n" in text
    assert "leads 5 of 6 · 6 samples, 2 running · 130 tokens · 1 without an answer" in text
    bars = [line.count("━") for line in shown(board)[1:3]]
    assert bars[0] > 3 * bars[1] > 0


@pytest.mark.parametrize("width", range(20, 60))
@pytest.mark.parametrize("most", [3.0, 1234567.5])
def test_votes_of_any_number_fit_a_narrow_window(width: int, most: float) -> None:
    standing = Standing(6, 2, (("不知道" * 9, most), ("41", 1.0)), 0.97)
    board = board_of(start(1), begun(0, Standing(pending=8)), SampleFinished(0, sample(0, None), standing))
    assert all(cell_len(line) <= width for line in shown(board, width))


def test_running_text_follows_one_sample_and_is_made_plain() -> None:
    first, other = SampleText(0, 0, "one \x1b[2J", False), SampleText(0, 1, "NOISE", False)
    asked, more = begun(0, Standing(pending=2)), SampleText(0, 0, "two", False)
    board = board_of(start(1), asked, first, other, more, keep_text=True)
    text = "\n".join(shown(board))
    assert "one two" in text
    assert "NOISE" not in text
    board.apply(SampleFinished(0, sample(0), Standing(1, 1)))
    board.apply(SampleText(0, 1, "then this", False))
    assert "then this" in "\n".join(shown(board))


def test_running_text_keeps_to_its_lines() -> None:
    flood = SampleText(0, 0, "二" * 50_000 + "\n" * 100 + "end", False)
    lines = shown(board_of(start(1), begun(0, Standing(pending=1)), flood, keep_text=True), 80, 12)
    assert "end" in lines[-2]
    assert len(lines) <= 11


def test_running_text_of_many_questions_says_whose_it_is() -> None:
    events = [begun(i, Standing(pending=1)) for i in range(60)]
    lines = shown(board_of(start(60), *events, SampleText(7, 2, "let me\nsee", False), keep_text=True), height=20)
    place = lines.index("q8, sample 3")
    assert [line.strip() for line in lines[place + 1 : place + 3]] == ["let me", "see"]
    assert len(lines) <= 19


@pytest.mark.parametrize("questions", [1, 5])
def test_control_sequences_never_get_through(questions: int) -> None:
    evil = "\x1b]0;x\x07\x9b2J\u202e\r\n"
    standing = Standing(1, 1, ((f"4{evil}2", 1.0),), 0.5)
    events = [begun(0, standing, f"why{evil}?", f"id{evil}"), SampleText(0, 0, evil, False)]
    board = board_of(start(questions), *events, Answered(result(1, f"x{evil}", id=evil, question=evil)), keep_text=True)
    assert all(line.isprintable() for line in shown(board, 120))


def test_a_terminal_without_unicode_gets_ascii() -> None:
    events = [begun(i, Standing(2, 1, (("4", 1.0), ("5", 1.0)), 0.5)) for i in range(40)]
    for questions in (1, 40):
        assert all(line.isascii() for line in shown(board_of(start(questions), *events), glyphs=ASCII))


def test_it_does_not_grow_with_the_run() -> None:
    board = board_of(*run(2000))
    assert board.answered == 2000
    assert len(board.rows) == 0
    assert len(board.recent) == RECENT


def test_speed_and_time_left() -> None:
    pace = Pace()
    assert pace.speed() is None
    assert pace.left(0.0, 1000, 5) is None
    for second in range(11):
        pace.read(float(second), 100 * second, 150 * second, second // 2)
    assert pace.speed() == pytest.approx(100)
    assert pace.left(10.0, 150_000, 2) == pytest.approx(4)  # five questions were answered in ten seconds, two are left
    assert pace.sure
    budget = replace(pace, _end=None)
    assert budget.left(10.0, 1500, 1000) == pytest.approx(10)  # the budget lasts ten seconds more
    assert not budget.sure


def test_the_time_left_does_not_jump() -> None:
    """Cheap prompts first, then slow samples; answers that come in bursts, late."""
    pace, told = Pace(), []
    for tick in range(8 * 300):
        now = tick / 8
        spent = 4000 * min(now, 2.0) + 100 * now
        answered = 0 if now < 60 else 20 * int((now - 50) / 10)
        pace.read(now, round(100 * now), round(spent), answered)
        told.append(pace.left(now, round(100_000 - spent), max(0, 400 - answered)))
    told = told[told.count(None) :]
    assert len(told) > 2000
    falls = [later - earlier for earlier, later in pairwise(told)]
    assert max(map(abs, falls)) < max(told) / 10  # a tenth of the whole, eight times a second


def test_a_run_that_was_stopped_for_an_hour_is_as_far_as_before() -> None:
    pace = Pace()
    for second in range(11):
        pace.read(float(second), 100 * second, 150 * second)
    before = pace.left(10.0, 15_000, 5)
    pace.skip(3600.0)
    assert pace.left(3610.0, 15_000, 5) == pytest.approx(before)
    assert pace.speed() == pytest.approx(100)


def test_speed_forgets_what_is_long_ago() -> None:
    pace = Pace()
    for second in range(100):
        pace.read(float(second), 1000 * min(second, 50), 0)
    assert pace.speed() == 0
