"""What a budget buys, as the command reports it: never more tokens than allowed, and an exit code that tells."""

import json

import pytest

from tests.cli_process import ask, lines

FOUR = "".join(f"What is {n}+1?\n" for n in range(4))


def results(done) -> list[dict]:
    return [json.loads(line) for line in lines(done.stdout)]


def billed(done) -> int:
    return sum(r["tokens"]["prompt"] + r["tokens"]["generated"] for r in results(done))


@pytest.mark.parametrize("budget", [120, 400])
def test_the_printed_tokens_stay_within_the_budget(tmp_path, budget):
    done = ask("--json", "--exhaust", "--budget", str(budget), cwd=tmp_path, stdin=FOUR.encode())
    assert 0 < billed(done) <= budget


def test_a_budget_that_covers_only_some_questions_exits_with_3(tmp_path):
    text = "".join(f"What is {n}+1?\n" for n in range(20))
    done = ask("--json", cwd=tmp_path, stdin=text.encode())
    assert done.returncode == 3
    answers = [r["answer"] for r in results(done)]
    assert len(answers) == 20
    assert None in answers
    assert answers != [None] * 20
    assert "budget" in [r["stopped"] for r in results(done)]
    assert b"unanswered" in done.stderr


def test_a_question_without_an_answer_is_an_empty_line(tmp_path):
    done = ask("--abstain-below", "1", cwd=tmp_path, stdin=FOUR.encode())
    assert done.returncode == 3
    assert done.stdout == b"\n" * 4


@pytest.mark.parametrize("budget", ["1", "30", "60"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_budget_below_one_sample_says_what_one_costs(tmp_path, budget, form):
    done = ask(*form, "--budget", budget, cwd=tmp_path, stdin=FOUR.encode())
    assert done.returncode == 2
    assert done.stdout == b""
    error, hint = lines(done.stderr)
    cost = int(error.rsplit(" ", 1)[1])
    assert int(budget) < cost < 300
    assert "--budget" in hint
    enough = ask(*form, "--budget", str(cost), "--limit", "1", cwd=tmp_path, stdin=FOUR.encode())
    assert enough.returncode in (0, 3), (
        enough.stderr
    )  # one sample was taken; whether it holds an answer is its own affair
    assert b"does not pay" not in enough.stderr


def test_an_answer_that_is_not_sure_enough_is_withheld(tmp_path):
    done = ask("--json", "--abstain-below", "1", "What is 1+1?", cwd=tmp_path)
    assert done.returncode == 3
    (result,) = results(done)
    assert result["answer"] is None
    assert result["votes"]


def test_samples_of_one_token_are_asked_for_their_answers(tmp_path):
    done = ask("--json", "--max-tokens", "1", "What is 1+1?", cwd=tmp_path)
    assert done.returncode in (0, 3)
    (result,) = results(done)
    assert result["forced"] == result["samples"] > 0
    assert billed(done) <= 300


def test_one_prompt_that_is_too_long_leaves_the_others_alone(tmp_path):
    text = f"What is 1+1?\n{'very ' * 3000}\nWhat is 2+2?\n"
    done = ask("--json", "-c", "512", cwd=tmp_path, stdin=text.encode())
    assert done.returncode == 3
    first, long, last = results(done)
    assert long["answer"] is None
    assert long["stopped"] == "error"
    assert "512" in long["error"]
    assert first["samples"] > 0
    assert last["samples"] > 0


def test_thousands_of_questions_on_a_small_budget_come_to_an_end(tmp_path):
    text = "".join(f"What is {n}+1?\n" for n in range(3000))
    done = ask("--json", "-q", cwd=tmp_path, stdin=text.encode())
    assert done.returncode == 3
    told = results(done)
    assert [r["index"] for r in told] == list(range(3000))
    assert 0 < billed(done) <= 300
