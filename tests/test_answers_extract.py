"""What is read in a completion, row by row, and what holds for every text."""

from __future__ import annotations

import answers_completions as table
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dynscale_cli.answers import AnswerType, canonical, extract

ROWS = [
    pytest.param(completion, kind, choices, expected, id=f"{kind}-{index}")
    for kind, rows, choices in (
        ("number", table.NUMBER, ()),
        ("choice", table.CHOICE, table.CAPITALS),
        ("choice", table.SPEED_CHOICE, table.SPEEDS),
        ("boolean", table.BOOLEAN, ()),
        ("math", table.MATH, ()),
        ("auto", table.AUTO, ()),
        ("text", table.TEXT, ()),
    )
    for index, (completion, expected) in enumerate(rows)
]


def test_the_table_is_large_enough() -> None:
    assert len(ROWS) >= 320


@pytest.mark.parametrize(("completion", "kind", "choices", "expected"), ROWS)
def test_extracts_what_a_careful_person_reads(
    completion: str, kind: str, choices: tuple[str, ...], expected: str | None
) -> None:
    answer_type = AnswerType.parse(kind)
    answer = extract(completion, answer_type, choices=choices)
    wanted = canonical(expected, answer_type, choices) if expected is not None else None
    assert (answer.key if answer is not None else None) == wanted
