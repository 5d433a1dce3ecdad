"""A log is read as it is meant, and a malformed one is an error that names file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynscale_cli.answers.equivalence import Equivalence
from dynscale_cli.answers.types import AnswerType
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.errors import UsageError
from dynscale_cli.evaluation.logs import read_log
from dynscale_cli.questions import Question
from dynscale_cli.run.export import NewFile, Pool
from dynscale_cli.sampling.samples import Sample
from tests.replay_logs import row, write_log

GOOD = row("1", ["a", "b"])


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != key}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (without("gold"), "gold"),
        (without("qid"), "qid"),
        (without("answers"), "answers"),
        (without("tokens"), "tokens"),
        ({**GOOD, "gold": None}, "gold"),
        (row("1", ["a", "b"], [1]), "2 answers but 1"),
        (row("1", ["a", "b"], [1, -4]), "-4"),
        (row("1", ["a", "b"], [1, 2.5]), "2.5"),
        (row("1", ["a", "b"], [1, True]), "true"),
        (row("1", ["a", "b"], [1, 10**400]), "not a token count"),
        (row("1", ["a", "b"], [1, float("inf")]), "not a token count"),
        (row("1", [], []), "no samples"),
        (row("1", ["a", {"x": 1}]), "neither text nor a number"),
        ({**GOOD, "answers": "ab"}, "not a list"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, bad: dict[str, Any], says: str) -> None:
    path = write_log(tmp_path / "pool.jsonl", [GOOD, bad])
    with pytest.raises(UsageError) as caught:
        read_log(path)
    assert caught.value.message.startswith(f"{path}:2: ")
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no questions"),
        (b"\n  \n", "no questions"),
        (b'{"qid": 1,\n', ":1: not JSON"),
        (b"[1, 2]\n", ":1: not an object"),
        (b"[" * 100_000, ":1: not JSON"),
        (b"9" * 5_000, ":1: not JSON"),
        (b"\xff\xfe\x00", "not a text file"),
        (b'{"qid": "1", "gold": "a", "answers": ["a"], "tokens": [0]}', "no token count above 0"),
        (b'{"qid": "1", "gold": "a", "answers": ["a"], "tokens": [null]}', "no token count above 0"),
    ],
)
def test_what_is_no_log_at_all(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_log(path)
    assert caught.value.message.startswith(str(path))
    assert says in caught.value.message


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(UsageError, match=str(path)):
            read_log(path)


def test_unknown_counts_are_the_questions_median_or_else_the_logs(tmp_path: Path) -> None:
    rows = [row("1", ["a"] * 4, [10, None, 30, 90]), row("2", ["a", "b"], [None, None])]
    first, second = read_log(write_log(tmp_path / "pool.jsonl", rows)).pools
    assert first.tokens == (10, 30, 30, 90)
    assert second.tokens == (30, 30)


def test_only_line_ends_divide_lines_and_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text("\ufeff" + json.dumps(row("a\u2028b", ["x\x85y"]), ensure_ascii=False) + "\r\n", encoding="utf-8")
    assert read_log(path).pools[0].answers == ("x\x85y",)


def test_numbers_stand_for_their_digits_and_null_for_no_answer(tmp_path: Path) -> None:
    (pool,) = read_log(write_log(tmp_path / "pool.jsonl", [row("1", [42, None, "42"], gold=42)])).pools
    assert pool.answers == ("42", None, "42")
    assert pool.gold == "42"


def test_other_programs_logs_are_read(tmp_path: Path) -> None:
    """With a byte order mark, Windows' line ends, counts as 310.0, and signs in answers that Python ends lines at."""
    line = json.dumps(row("1", ["a\u2028b", "a\x85b"], [310.0, 7]), ensure_ascii=False)
    path = tmp_path / "pool.jsonl"
    path.write_bytes(f"\ufeff{line}\r\n{line}\r\n".encode())
    first, second = read_log(path).pools
    assert first == second
    assert first.answers == ("a\u2028b", "a\x85b")
    assert first.tokens == (310, 7)


def test_a_log_is_called_as_its_file(tmp_path: Path) -> None:
    assert read_log(write_log(tmp_path / "my.model.jsonl", [GOOD])).name == "my.model"


def test_half_an_emoji_from_a_server_does_not_cost_the_exported_pool(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    pool = Pool([Question(0, "1", "a", (), "b")], AnswerType.parse("text"), Equivalence())
    pool.add(0, Sample(0, "parallel", "\ud83d", "\ud83d", "\ud83d", Tokens(1, 1, 0), "stop"))
    NewFile(path).write(pool.lines())
    assert read_log(path).pools[0].answers == ("\ud83d",)
