"""Prompts: what the model reads, and how a user replaces it."""

from pathlib import Path

import pytest

from dynscale_cli.errors import UsageError
from dynscale_cli.questions import Question
from dynscale_cli.sampling.prompts import LAYOUTS, Prompts, load_prompts

QUESTION = Question(0, "1", "Which is red?", ("grass", "blood"), "B")


def test_a_question_whose_answers_are_compared_says_where_to_put_the_answer():
    [message] = Prompts().parallel(QUESTION, compared=True)
    assert message.role == "user"
    assert message.content.startswith("Which is red?\n\nA) grass\nB) blood")
    assert "Answer:" in message.content


def test_a_long_form_question_is_put_as_it_is():
    [message] = Prompts().parallel(Question(0, "1", "Explain the sea."), compared=False)
    assert message.content == "Explain the sea."


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("attempts", [["It is A."], ["It is A.", "It is {B}.", "It is A."]])
def test_a_chain_shows_every_attempt_in_order_and_roles_alternate(layout, attempts):
    messages = Prompts(system="Be brief.").chain(QUESTION, attempts, layout, compared=True)
    text = "\n".join(message.content for message in messages)
    assert text.startswith("Be brief.\nWhich is red?")
    at = 0
    for attempt in attempts:
        at = text.index(attempt, at) + 1
    roles = [message.role for message in messages]
    assert roles[0] == "system"
    assert roles[1::2] == ["user"] * len(roles[1::2])
    assert roles[2::2] == ["assistant"] * len(roles[2::2])
    assert "Answer:" in messages[-1].content


def test_a_file_and_a_system_text_replace_prompts_and_change_the_version(tmp_path: Path):
    file = tmp_path / "prompts.toml"
    file.write_text('question = "Q: {question}{choices}"\ninstruction = ""\n')
    prompts = load_prompts(file, "Be brief.")
    assert [m.content for m in prompts.parallel(Question(0, "1", "Why?"), compared=True)] == ["Be brief.", "Q: Why?"]
    assert prompts.version != Prompts().version
    assert load_prompts(None, None) == Prompts()


def test_a_file_may_name_its_own_version(tmp_path: Path):
    file = tmp_path / "prompts.toml"
    file.write_text('\ufeffversion = "mine-3"\ninstruction = "Go."\n')
    assert load_prompts(file, None).version == "mine-3"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('quesion = "x"', "'quesion' is not a prompt"),
        ("question = 3", "not a text"),
        ('question = "{questoin}"', "placeholder"),
        ('question = "{"', "placeholder"),
        ("question = ", "is not TOML"),
        ("\x00", "is not TOML"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, text, told):
    file = tmp_path / "prompts.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=told) as caught:
        load_prompts(file, None)
    assert caught.value.hint


def test_a_missing_file_is_one_clear_error(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot read the prompt file"):
        load_prompts(tmp_path / "none.toml", None)
