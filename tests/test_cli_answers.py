"""Questions in, answers out: where questions may come from, and that stdout holds answers and nothing else."""

import json
from subprocess import DEVNULL

import pytest

from tests.cli_process import MINUTES, QUICK, ask, dynscale, lines, start

TWO = "What is 1+1?\nWhat is 2+2?\n"


def test_one_question_on_the_bundled_model_without_a_flag(tmp_path):
    done = dynscale("ask", "What is 1+1?", cwd=tmp_path, env={"DYNSCALE_HOME": ""})
    assert done.returncode == 0, done.stderr
    (answer,) = lines(done.stdout)
    assert answer.strip()
    assert b"of 2,048 left" in done.stderr


def test_several_questions_are_answered_in_their_order(tmp_path):
    done = ask("--json", "What is 1+1?", "What is 2+2?", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in lines(done.stdout)]
    assert [(r["id"], r["index"], r["question"]) for r in results] == [
        ("1", 0, "What is 1+1?"),
        ("2", 1, "What is 2+2?"),
    ]


@pytest.mark.parametrize("argument", [(), ("-",)])
def test_questions_from_a_pipe(tmp_path, argument):
    done = ask("--json", *argument, cwd=tmp_path, stdin=TWO.encode())
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["question"] for line in lines(done.stdout)] == TWO.splitlines()


def test_a_piped_input_can_be_one_question(tmp_path):
    done = ask("--whole", "--json", cwd=tmp_path, stdin=TWO.encode())
    assert [json.loads(line)["question"] for line in lines(done.stdout)] == [TWO.strip()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.txt", TWO),
        ("q.jsonl", '{"id": "a", "question": "What is 1+1?", "answer": "2"}\n{"qid": "b", "prompt": "What is 2+2?"}\n'),
        ("q.csv", "id,question,answer\na,What is 1+1?,2\nb,What is 2+2?,\n"),
    ],
)
def test_questions_from_a_file(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    done = ask("-f", name, "--limit", "1", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (result,) = map(json.loads, lines(done.stdout))
    assert result["question"] == "What is 1+1?"
    stated = None if name == "q.txt" else "2"
    assert result["gold"] == stated
    assert result["correct"] is (None if stated is None else result["answer"] == "2")


def test_a_question_in_the_arguments_leaves_standard_input_alone(tmp_path):
    """As in `while read -r q; do dynscale ask "$q"; done`: the next question must still be there."""
    (tmp_path / "q.txt").write_text(TWO)
    with (tmp_path / "q.txt").open("rb") as stream:
        process = start("ask", *QUICK, "What is 1+1?", cwd=tmp_path, stdin=stream, stdout=DEVNULL, stderr=DEVNULL)
        assert process.wait(MINUTES) == 0
        assert stream.read() == TWO.encode()


def test_json_tells_all_that_was_promised(tmp_path):
    done = ask("--json", "What is 1+1?", cwd=tmp_path)
    result = json.loads(done.stdout)
    promised = [
        "id",
        "index",
        "question",
        "answer",
        "confidence",
        "votes",
        "samples",
        "tokens",
        "stopped",
        "forced",
        "seed",
        "model",
        "seconds",
        "error",
        "kinds",
        "gold",
        "correct",
    ]
    assert set(promised) <= set(result)
    assert set(result["tokens"]) == {"prompt", "generated", "reused"}
    assert result["samples"] >= 1
    assert result["answer"] in result["votes"]


def test_unordered_answers_are_the_same_answers(tmp_path):
    done = [ask("--json", *flag, cwd=tmp_path, stdin=TWO.encode()) for flag in ((), ("--unordered",))]
    told = [sorted((r["index"], r["answer"]) for r in map(json.loads, lines(d.stdout))) for d in done]
    assert told[0] == told[1]


def test_progress_is_one_plain_line_a_question(tmp_path):
    done = ask(cwd=tmp_path, stdin=TWO.encode())
    said = [line for line in lines(done.stderr) if not line.startswith("dynscale: ")]  # notices beside them
    assert [line[:4] for line in said[:2]] == ["1/2 ", "2/2 "]
    assert said[2].startswith("2 questions")
    assert b"\x1b" not in done.stderr + done.stdout


def test_quiet_says_nothing_but_answers(tmp_path):
    done = ask("-q", "What is 1+1?", cwd=tmp_path)
    assert done.stderr == b""
    assert len(lines(done.stdout)) == 1


def test_explain_tells_why_on_stderr(tmp_path):
    done = ask("-q", "--explain", "What is 1+1?", cwd=tmp_path)
    assert len(lines(done.stdout)) == 1
    assert "stopped since" in lines(done.stderr)[0]


def test_exported_samples_can_be_replayed(tmp_path):
    (tmp_path / "q.jsonl").write_text(
        '{"question": "What is 1+1?", "answer": "2"}\n{"question": "What is 2+2?", "answer": "4"}\n'
    )
    flags = ("--mode", "parallel", "--exhaust", "--export", "pool.jsonl")
    done = ask("-f", "q.jsonl", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pool = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    assert [row["qid"] for row in pool] == ["1", "2"]
    assert all(len(row["answers"]) == len(row["tokens"]) > 1 for row in pool)
    replayed = dynscale("replay", "pool.jsonl", "--seeds", "2", cwd=tmp_path)
    assert replayed.returncode == 0, replayed.stderr
    assert b"race" in replayed.stdout


def test_the_same_seed_gives_the_same_answers(tmp_path):
    def told(seed: str) -> list[dict]:
        results = map(json.loads, lines(ask("--json", "--seed", seed, cwd=tmp_path, stdin=TWO.encode()).stdout))
        return [{key: r[key] for key in ("answer", "votes", "samples", "tokens")} for r in results]

    assert told("7") == told("7") != told("8")


def test_the_module_is_the_command(tmp_path, monkeypatch):
    from tests import cli_process

    monkeypatch.setattr(cli_process, "COMMAND", [cli_process.sys.executable, "-m", "dynscale_cli"])
    done = cli_process.dynscale("ask", *QUICK, "-q", "What is 1+1?", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(lines(done.stdout)) == 1


def test_what_was_told_before_an_engine_failed_at_once_is_shown_but_not_what_a_budget_did_not_pay_for():
    from dynscale_cli.cli.session import _paid
    from dynscale_cli.errors import BudgetError, EngineError
    from dynscale_cli.run.events import Notice

    def events(error):
        yield Notice("this question does not fit")
        raise error

    for error, shown in ((EngineError("gone"), 1), (BudgetError("too little"), 0)):
        told = _paid(events(error))
        assert len([next(told) for _ in range(shown)]) == shown
        with pytest.raises(type(error)):
            next(told)
