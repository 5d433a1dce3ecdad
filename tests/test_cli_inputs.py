"""What is asked: a text that all questions are about, and what was most likely meant where something else was typed."""

import json
import os
import sys

import pytest

from dynscale_cli.cli import ask as inputs
from dynscale_cli.cli.options import Options
from dynscale_cli.errors import UsageError
from dynscale_cli.questions import read_text
from tests.cli_process import ask, lines

REPORT = "\n".join(f"Month {n}: the shop in town {n} sold {3 * n} rakes and {7 * n} spades." for n in range(1, 13))


def prompts(done):
    return sum(json.loads(line)["tokens"]["prompt"] for line in lines(done.stdout))


def test_a_context_is_billed_once_for_all_questions_and_samples(tmp_path):
    (tmp_path / "report.txt").write_text(REPORT)
    questions = (
        "How many rakes were sold in month 3?",
        "How many spades were sold in month 2?",
        "Which town is first?",
    )
    flags = ("--json", "--mode", "parallel", "--max-samples", "3", "--budget", "3000")
    with_context = ask(*flags, "--context", "report.txt", *questions, cwd=tmp_path)
    without = ask(*flags, *questions, cwd=tmp_path)
    assert with_context.returncode in (0, 3), with_context.stderr
    prompts = [
        sum(json.loads(line)["tokens"]["prompt"] for line in lines(each.stdout)) for each in (with_context, without)
    ]
    length = len(REPORT.split()) * 4 // 3  # about so many tokens
    assert length / 2 < prompts[0] - prompts[1] < 2 * length


def test_a_context_comes_from_a_pipe_and_questions_from_the_arguments(tmp_path):
    done = ask("--context", "-", "--max-samples", "1", "--json", "Who?", stdin=b"Maria signed it.", cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert [json.loads(line)["question"] for line in lines(done.stdout)] == ["Who?"]
    assert b"is not read" not in done.stderr


def test_a_context_that_does_not_fit_is_one_line_with_both_numbers(tmp_path):
    (tmp_path / "long.txt").write_text("word " * 9000)
    done = ask("--context", "long.txt", "Why?", cwd=tmp_path)
    assert done.returncode == 2
    (said,) = [line for line in lines(done.stderr) if line.startswith("dynscale: the context")]
    assert "tokens; the model holds 8,192" in said


@pytest.mark.parametrize(
    ("told", "said", "hint"),
    [
        ({"questions": ["q.txt"]}, "q.txt is a file", "dynscale ask -f q.txt"),
        (
            {"questions": ["What", "is", "the", "capital", "of", "France"]},
            "6 questions of one word",
            "'What is the capital of",
        ),
        ({"context": ["-"]}, "no question about it", "--context -"),
        ({"questions": ["-", "Why?"], "context": ["-"]}, "stands twice", "name a file"),
    ],
)
def test_what_was_most_likely_meant_is_said(tmp_path, monkeypatch, told, said, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.txt").write_text("Why?\n")
    with pytest.raises(UsageError) as error:
        inputs.check_inputs(Options(**told))
    assert said in error.value.message
    assert hint in error.value.hint


def test_an_unreadable_context_is_not_told_to_name_questions(tmp_path):
    for path in (tmp_path, tmp_path / "gone.txt"):
        with pytest.raises(UsageError) as error:
            read_text(path)
        assert "question" not in error.value.message
        assert "-f" not in error.value.hint


def test_columns_without_a_question_lead_to_the_template(tmp_path):
    (tmp_path / "cities.csv").write_text("name;country\nParis;France\n")
    with pytest.raises(UsageError) as error:
        inputs.read_inputs(Options(file=[tmp_path / "cities.csv"]), print)
    assert '--template "… {column} …"' in error.value.hint


def test_an_empty_stop_is_refused_since_it_would_end_every_sample_at_once():
    with pytest.raises(UsageError, match="--stop is empty"):
        Options(stop=[""]).settings(100)


@pytest.mark.parametrize("questions", [["Why?"], ["1+1", "2+2", "3+3"], ["Paris", "Rome"], ["Who was it?", "a b", "c"]])
def test_questions_are_asked_as_they_are(questions):
    inputs.check_inputs(Options(questions=questions))


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of another kind")
@pytest.mark.parametrize(("content", "told"), [(b"unread", 1), (b"", 0)])
def test_a_pipe_that_goes_unread_beside_a_question_is_named(monkeypatch, content, told):
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    notices = []
    with os.fdopen(reader) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        inputs.notice_unread(Options(questions=["Why?"]), notices.append)
        inputs.notice_unread(Options(), notices.append)  # is read
    assert len(notices) == told
    assert all("--context -" in notice for notice in notices)


def test_a_seed_that_nobody_chose_is_printed(tmp_path):
    done = ask("--seed", "-1", "--json", "--max-samples", "1", "What is 1+1?", cwd=tmp_path)
    seed = json.loads(done.stdout)["seed"]
    assert f"dynscale: seed {seed}" in lines(done.stderr)


def test_a_template_without_a_file_is_refused(tmp_path):
    done = ask("--template", "Is {name} tall?", "What?", cwd=tmp_path)
    assert done.returncode == 2
    assert b"no file is read" in done.stderr
