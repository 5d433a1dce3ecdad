"""Reading questions: every format, every script, and one clear line for what cannot be read."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.errors import UsageError
from dynscale_cli.questions import Question, read

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def texts(questions: list[Question]) -> list[str]:
    return [question.text for question in questions]


def complaint(**arguments: object) -> UsageError:
    with pytest.raises(UsageError) as error:
        read(**arguments)  # type: ignore[arg-type]
    assert "\n" not in error.value.message
    assert error.value.hint
    return error.value


class Reader(io.RawIOBase):
    """A stream that must not be read."""

    def readable(self) -> bool:
        raise AssertionError("standard input was read")


# Where questions come from


def test_arguments_are_questions_in_order_with_places_for_ids() -> None:
    found = read(["What is 1 + 1?", " Why? "])
    assert found == [Question(0, "1", "What is 1 + 1?"), Question(1, "2", "Why?")]


def test_a_question_as_argument_leaves_standard_input_alone() -> None:
    assert texts(read(["Why?"], stdin=Reader())) == ["Why?"]  # type: ignore[arg-type]


def test_piped_input_is_read_when_nothing_else_is_given() -> None:
    assert texts(read(stdin=io.BytesIO(b"a\nb\n"))) == ["a", "b"]


def test_a_dash_is_standard_input_among_other_arguments() -> None:
    assert texts(read(["first", "-"], stdin=io.BytesIO(b"a\nb\n"))) == ["first", "a", "b"]


def test_a_file_follows_the_arguments(put: Put) -> None:
    assert texts(read(["first"], put("q.txt", "a\nb\n"))) == ["first", "a", "b"]


def test_nothing_at_all_and_a_closed_input_are_usage_errors() -> None:
    assert complaint().exit_code == 2
    assert "closed" in complaint(arguments=["-"]).message
    assert "empty" in complaint(arguments=["  "]).message


def test_an_argument_in_another_encoding_is_refused() -> None:
    assert "UTF-8" in complaint(arguments=[os.fsdecode(b"caf\xe9")]).message


# Plain text


def test_blank_lines_line_ends_and_a_byte_order_mark_do_not_matter(put: Put) -> None:
    assert texts(read(file=put("q.txt", b"\xef\xbb\xbfa\r\n\r\n  \n\tb \r\nc"))) == ["a", "b", "c"]


def test_only_line_ends_divide_lines(put: Put) -> None:
    line = "one\u2028still\x0bone\x85"
    assert texts(read(file=put("q.txt", line + "\ntwo"))) == [line.strip(), "two"]


def test_any_script(put: Put) -> None:
    lines = ["¿Cuánto es 2 + 2?", "二加二是多少?", "כמה זה 2 ועוד 2?", "٢ + ٢ = ؟", "🧮 2️⃣➕2️⃣"]
    assert texts(read(file=put("q.txt", "\n".join(lines)))) == lines


def test_whole_makes_one_question_of_any_format(put: Put) -> None:
    body = '{"question": "a"}\r\n\n{"question": "b"}\n'
    assert texts(read(file=put("q.jsonl", body), whole=True)) == ['{"question": "a"}\n\n{"question": "b"}']


def test_a_hundred_thousand_lines_and_a_line_of_a_megabyte(put: Put) -> None:
    path = put("q.txt", "x" * 1_000_000 + "\n" + "What is 1 + 1?\n" * 100_000)
    found = read(file=path)
    assert len(found) == 100_001
    assert len(found[0].text) == 1_000_000


def test_a_limit_ends_an_input_that_never_does() -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            buffer[:2] = b"q\n"
            return 2

    assert len(read(stdin=io.BufferedReader(Endless()), limit=3)) == 3  # type: ignore[arg-type]


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"))))
def test_every_line_with_something_on_it_is_a_question(lines: list[str]) -> None:
    expected = [line.strip() for line in lines if line.strip()]
    stream = io.BytesIO("\n".join(["x", *lines]).encode())
    assert texts(read(stdin=stream)) == ["x", *expected]


# JSON lines


def lines(*found: object) -> str:
    return "\n".join(json.dumps(one) for one in found)


def test_both_names_of_every_field(put: Put) -> None:
    body = lines({"id": 7, "question": "a", "answer": 3}, {"qid": "x", "prompt": " b ", "gold": "4"}, {"prompt": "c"})
    assert read(file=put("q.jsonl", body)) == [
        Question(0, "7", "a", (), "3"),
        Question(1, "x", "b", (), "4"),
        Question(2, "3", "c"),
    ]


def test_a_leading_brace_means_json_whatever_the_name(put: Put) -> None:
    assert texts(read(stdin=io.BytesIO(b'\xef\xbb\xbf\n {"question": "a"}\n\n'))) == ["a"]
    assert texts(read(file=put("q.txt", "{1, 2} ∪ {3}?"))) == ["{1, 2} ∪ {3}?"]  # .txt is text


def test_choices_as_a_list_and_by_label(put: Put) -> None:
    body = lines(
        {"question": "a", "choices": ["x", 2.5, " z "], "answer": "B"},
        {"question": "b", "choices": {"1": "x", "2": "y"}, "answer": "2"},
    )
    first, second = read(file=put("q.jsonl", body))
    assert (first.choices, first.gold) == (("x", "2.5", "z"), "B")
    assert (second.choices, second.gold) == (("x", "y"), "B")


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ("She has 9*2=18.\n#### 18", "18"),
        ("#### 1,000\n", "1,000"),
        ("18", "18"),
        (True, "yes"),
        (None, None),
        (" ", None),
    ],
)
def test_what_a_stated_answer_means(put: Put, stated: object, meant: str | None) -> None:
    assert read(file=put("q.jsonl", lines({"question": "a", "answer": stated})))[0].gold == meant


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"question": "b"', "line 3: not JSON"),
        ("[1, 2]", "expected a JSON object, found a list"),
        ("null", "found null"),
        ('{"qid": "x"}', "line 3: no question"),
        ('{"question": 5}', "must be text, not a number"),
        ('{"question": " "}', "the question is empty"),
        ('{"question": "a\\u0000b"}', "NUL"),
        ('{"question": "a", "id": [1]}', "id must be text or a whole number, not a list"),
        ('{"question": "a", "id": true}', "not true or false"),
        ('{"question": "a", "choices": "xyz"}', "choices must be a list"),
        ('{"question": "a", "choices": ["x", ["y"]]}', "each choice must be text, not a list"),
        ('{"question": "a", "choices": ["x"]}', "1 choices, not 2 to 26"),
        ('{"question": "a", "answer": {"x": 1}}', "answer must be text or a number, not an object"),
        ("[" * 100_000, "line 3: not JSON: too deeply nested"),
        (f'{{"question": "a", "answer": {"9" * 5000}}}', "line 3: not JSON: a number of thousands of digits"),
    ],
)
def test_a_bad_record_is_named_by_its_line(put: Put, line: str, words: str) -> None:
    path = put("q.jsonl", '{"question": "a"}\n\n' + line)
    error = complaint(file=path)
    assert words in error.message
    assert f"{path}, line 3" in error.message
    assert len(error.message) < 300 + len(str(path))


@pytest.mark.parametrize(
    "content",
    [
        '[{"question": "a"}, {"question": "b"}]',
        '[\n  {"question": "a"},\n  {"question": "b"}\n]',
        '{\n  "version": 1,\n  "data": [{"question": "a"}, {"question": "b"}]\n}',
    ],
)
@pytest.mark.parametrize("name", ["q.json", "q"])
def test_json_over_many_lines_or_in_one_list_is_read(put: Put, name: str, content: str) -> None:
    assert texts(read(file=put(name, content))) == ["a", "b"]


def test_a_list_of_numbers_may_begin_a_question() -> None:
    assert texts(read(stdin=io.BytesIO(b"[3, 4] has what sum?\n"))) == ["[3, 4] has what sum?"]


def test_half_an_emoji_becomes_a_sign_that_can_be_written(put: Put) -> None:
    body = r'{"id": "x\ud83d", "question": "a\ud83d\ude00 b\ude00", "choices": ["\ud83d", "y"]}'
    found = read(file=put("q.jsonl", body))
    assert found == [Question(0, "x\ufffd", "a\U0001f600 b\ufffd", ("\ufffd", "y"))]


def test_a_limit_stops_before_a_bad_record(put: Put) -> None:
    assert texts(read(file=put("q.jsonl", '{"question": "a"}\noops'), limit=1)) == ["a"]


def test_an_id_that_appears_twice_is_told_apart_and_said(put: Put) -> None:
    body = lines({"id": "x", "question": "a"}, {"question": "b"}, {"id": "x", "question": "c"})
    told: list[str] = []
    assert [question.id for question in read(file=put("q.jsonl", body), tell=told.append)] == ["x", "2", "x#2"]
    assert "x#2" in told[0]


def test_a_place_is_never_taken_for_an_id_of_the_file(put: Put) -> None:
    path = put("q.jsonl", lines({"id": 2, "question": "a"}, {"question": "b"}, {"id": 1, "question": "c"}))
    assert [question.id for question in read(["z"], path)] == ["#1", "2", "3", "1"]


# CSV


def test_columns_by_name_quotes_and_delimiters(put: Put) -> None:
    body = 'ID,Question,Choices,Answer\n1,"Which, or\nwhat?",red|blue,A\n\n2,Why?,"[""a"", ""b|c""]",\n'
    first, second = read(file=put("q.csv", body))
    assert first == Question(0, "1", "Which, or\nwhat?", ("red", "blue"), "A")
    assert second == Question(1, "2", "Why?", ("a", "b|c"))
    assert texts(read(file=put("q.tsv", "prompt\tgold\nWhy, then?\t3\n"))) == ["Why, then?"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("id,answer\n1,2\n", "no column is named question or prompt"),
        ("question\na,b\n", "line 2: 2 cells under 1 column"),
        ("id,question\n1,a\n2,\n", "line 3: no question"),
        ('question\n"a\nb', "line 2: not CSV"),
        ("question\n", "no question in it"),
        ('question,choices\na,"[1"\n', "line 2: the choices are not a JSON list"),
    ],
)
def test_bad_tables(put: Put, body: str, words: str) -> None:
    assert words in complaint(file=put("q.csv", body)).message


def test_a_line_after_a_cell_of_several_is_still_counted_right(put: Put) -> None:
    assert "line 4" in complaint(file=put("q.csv", 'question\n"a\nb"\nc,d\n')).message


def test_a_long_cell(put: Put) -> None:
    assert len(read(file=put("q.csv", "question\n" + "x" * 200_000))[0].text) == 200_000


# Files that are not questions


@pytest.mark.parametrize("name", ["q.txt", "q.jsonl", "q.csv", "q"])
@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
def test_an_empty_file(put: Put, name: str, content: bytes) -> None:
    message = complaint(file=put(name, content)).message
    assert "no question" in message or "no column" in message


def test_a_binary_file_and_other_encodings_name_the_byte(put: Put) -> None:
    assert "line 2, byte 3: a NUL byte" in complaint(file=put("q.txt", b"a\nxx\0y\n")).message
    assert "line 1, byte 4: not UTF-8" in complaint(file=put("q.txt", "caf\xe9".encode("latin-1"))).message
    assert texts(read(file=put("q.txt", "a\nb\n".encode("utf-16")))) == ["a", "b"]
    assert "WINDOWS-1252" in complaint(file=put("q.csv", "question\ncaf\xe9".encode("cp1252"))).hint
    assert complaint(file=put("q 1.gz", gzip.compress(b"a\n"))).hint.endswith("q 1.gz' | dynscale ask -")


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    assert "No such file" in complaint(file=tmp_path / "q.txt").message
    assert "directory" in complaint(file=tmp_path).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(put: Put) -> None:
    path = put("q.txt", "a")
    path.chmod(0)
    assert "Permission denied" in complaint(file=path).message


def test_standard_input_that_is_a_directory() -> None:
    class Directory(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            raise IsADirectoryError(21, "Is a directory")

    assert "standard input: Is a directory" in complaint(stdin=io.BufferedReader(Directory())).message


# As public files have it


def test_an_input_of_nul_bytes_without_end_is_refused_at_the_first() -> None:
    with open("/dev/zero", "rb") as zeros:
        assert "byte 1: a NUL byte" in complaint(stdin=zeros).message


@pytest.mark.parametrize(
    ("record", "choices", "gold"),
    [
        ({"question": "q", "choices": ["a", "b", "c"], "answer": 2}, ("a", "b", "c"), "C"),
        (
            {"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"},
            ("a", "b"),
            "B",
        ),
        (
            {"question": {"stem": "q", "choices": [{"text": "a", "label": "1"}, {"text": "b", "label": "2"}]},
             "answerKey": "2"},
            ("a", "b"),
            "B",
        ),
        ({"question": "q", "options": {"A": "a", "B": "b"}, "answer": "B", "answer_idx": 1}, ("a", "b"), "B"),
        ({"question": "q", "A": "a", "B": "b", "C": "c", "D": "d", "answer": "D"}, ("a", "b", "c", "d"), "D"),
        ({"question": "q", "option1": "a", "option2": "b", "answer": "1"}, ("a", "b"), "A"),
        ({"question": "q", "answers": {"text": ["x", "y"], "answer_start": [1, 2]}}, (), '["x", "y"]'),
        ({"question": "q", "answer": {"value": "x", "aliases": ["x", "z"]}}, (), '["x", "z"]'),
        ({"problem": "q", "solution": "so $\\boxed{5}$."}, (), "5"),
        ({"messages": [{"role": "user", "content": "q"}]}, (), None),
        ({"custom_id": "7", "body": {"model": "m", "messages": [{"role": "user", "content": "q"}]}}, (), None),
    ],
)  # fmt: skip
def test_records_as_public_files_have_them(
    put: Put, record: object, choices: tuple[str, ...], gold: str | None
) -> None:
    (found,) = read(file=put("q.jsonl", lines(record)))
    assert (found.text, found.choices, found.gold) == ("q", choices, gold)


def test_numbers_of_choices_count_from_where_the_file_shows(put: Put) -> None:
    one, two = {"question": "q", "choices": {"A": "a", "B": "b"}}, {"question": "r", "choices": ["a", "b"]}
    zero = lines(one | {"answer": 1}, one | {"answer": 0})
    assert [found.gold for found in read(file=put("zero.jsonl", zero))] == ["B", "A"]
    past = lines(two | {"answer": 1}, two | {"answer": 2})
    assert [found.gold for found in read(file=put("past.jsonl", past))] == ["A", "B"]
    unclear = lines(one | {"answer": 1})
    assert "may mean more than one" in complaint(file=put("unclear.jsonl", unclear)).message


def test_a_table_in_a_pipe_is_known_by_its_header() -> None:
    for delimiter in ",;\t":
        body = delimiter.join(("id", "question", "answer")) + "\n" + delimiter.join(("7", "What?", "3"))
        (found,) = read(stdin=io.BytesIO(body.encode()))
        assert (found.id, found.text, found.gold) == ("7", "What?", "3")
    assert len(read(stdin=io.BytesIO(b"What is this question, and why?\nb\n"))) == 2


def test_a_template_makes_questions_of_fields(put: Put) -> None:
    template = "Is {name} in {country}?"
    rows = put("q.csv", "name;country;note\nRome;Italy;x\nOslo;Chile;y\n")
    told: list[str] = []
    assert texts(read(file=rows, template=template, tell=told.append)) == ["Is Rome in Italy?", "Is Oslo in Chile?"]
    assert "not used: note" in told[0]
    objects = put("q.jsonl", lines({"Name": "Rome", "country": "Italy", "answer": "yes"}))
    assert read(file=objects, template=template)[0].gold == "yes"
    assert "'town'" in complaint(file=objects, template="{town}?").message
    assert complaint(file=objects, template="{").exit_code == 2


def test_files_may_be_several_and_patterns(put: Put) -> None:
    path = [put(f"{name}.txt", f"{name}\n") for name in "abc"][2]
    assert texts(read(file=[path.parent / "[ab].txt", path])) == ["a", "b", "c"]
    assert "no file matches" in complaint(file=[path.parent / "x*.txt"]).message


def test_parquet_is_read_row_by_row(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "q.parquet"
    columns = {
        "question": ["a", "b"],
        "choices": [{"text": ["x", "y"], "label": ["A", "B"]}, None],
        "answer": ["B", "2"],
    }
    parquet.write_table(arrow.table(columns), path)
    assert [(one.text, one.choices, one.gold) for one in read(file=path)] == [("a", ("x", "y"), "B"), ("b", (), "2")]
    path.write_bytes(b"nothing")
    assert "not Parquet" in complaint(file=path).message


def test_parquet_in_a_pipe_is_told_what_it_is() -> None:
    assert "Parquet" in complaint(stdin=io.BytesIO(b"PAR1\x15\x00\x15")).message


def test_fields_of_which_none_is_the_question_are_named_with_what_to_do(put: Put) -> None:
    error = complaint(file=put("cities.jsonl", '{"rank": 1, "name": "Rome"}'))
    assert error.message.endswith("no question; its fields: rank, name")
    assert '--template "… {name} …"' in error.hint
