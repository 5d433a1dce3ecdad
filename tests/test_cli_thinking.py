"""Models that think, as a user meets them: right by default, switched by --think, never decided by a cut thought."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli_process import dynscale
from tests.tiny_gguf import write_scripted_gguf

HEAD = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
OPENED_BY_MODEL = HEAD + "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
OPENED_BY_PROMPT = HEAD + "{{ '<think>\n' }}"
DOUBTS = [" It", " looks", " like", " the answer is 8.", *[f" hm{n}" for n in range(300)], " No."]
QUESTION = "What is 3 + 4?"


def thinker(folder: Path, *, opens: bool) -> str:
    script = [*(["<think>"] if opens else []), *DOUBTS, "</think>", "\n\nAnswer: 7"]
    template = OPENED_BY_MODEL if opens else OPENED_BY_PROMPT
    return str(write_scripted_gguf(folder / "thinker.gguf", template, script))


def test_a_thinker_is_right_with_default_flags_whoever_opens_its_thought(tmp_path: Path) -> None:
    for opens in (True, False):
        done = dynscale("ask", "--json", "-t", "1", "-m", thinker(tmp_path, opens=opens), QUESTION, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        [answer] = map(json.loads, done.stdout.splitlines())
        assert (answer["answer"], answer["stopped"], answer["cut"]) == ("7", "settled", 0)
        assert "--max-tokens 8192 --budget 33792/q" in done.stderr.decode()


def test_a_guess_in_a_thought_that_was_cut_is_no_vote_that_settles(tmp_path: Path) -> None:
    model = thinker(tmp_path, opens=False)
    done = dynscale("ask", "--json", "-t", "1", "-n", "64", "-b", "1500", "-m", model, QUESTION, cwd=tmp_path)
    [answer] = map(json.loads, done.stdout.splitlines())
    assert answer["answer"] != "8"
    assert answer["stopped"] != "settled"
    assert "cut off while thinking" in done.stderr.decode()


def test_thinking_that_is_switched_off_leaves_the_budget_of_a_model_that_does_not(tmp_path: Path) -> None:
    model = thinker(tmp_path, opens=True)
    done = dynscale(
        "ask", "-t", "1", "--think", "off", "--max-samples", "1", "-m", model, QUESTION, cwd=tmp_path
    )  # the script says the same all the same
    assert "8192" not in done.stderr.decode()
    assert "of 2,048 left" in done.stderr.decode()
    levels = dynscale("ask", "--think", "a lot", QUESTION, cwd=tmp_path)
    assert levels.returncode == 2
    assert "--think" in levels.stderr.decode()
    assert "auto" in levels.stderr.decode()
