"""What is learned from a chat template about its model's thoughts, and how they are switched on and off.

Real templates are other people's text, so minimal ones of each format stand here. With DYNSCALE_TEMPLATES naming a
folder of real ones (llama.cpp has it under models/templates), all of them are tried as well.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dynscale_cli.engine.jinja import Program
from dynscale_cli.engine.protocol import Message
from dynscale_cli.engine.reasoning import ReasoningFormat, opening_by_name
from dynscale_cli.engine.template import ChatTemplate, server_fields

ASK = [Message("user", "What is 3 + 4?")]
HEAD = "{% for m in messages %}<|{{ m.role }}|>"
TAIL = "{% endfor %}{% if add_generation_prompt %}<|assistant|>"
THOUGHT = "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
PLAIN = HEAD + "{{ m.content }}" + TAIL + "{% endif %}"
# The model opens its thought, and is told by a variable when it should not.
SWITCHED = (
    HEAD + THOUGHT + "{{ m.content }}" + TAIL + "{% if enable_thinking is false %}<think></think>{% endif %}{% endif %}"
)
OPENED = HEAD + "{{ m.content.split('</think>')[-1] }}" + TAIL + "<think>\n{% endif %}"  # by the prompt, always
SILENT = HEAD + "{{ m.content }}" + TAIL + "{% if thinking %}<think>{% else %}</think>{% endif %}{% endif %}"
MODES = HEAD + "{{ m.content }}" + TAIL + "{% if thinking_mode == 'disabled' %}</x:think>{% endif %}{% endif %}"
CHANNELS = (
    "{% if reasoning_effort is not defined %}{% set reasoning_effort = 'medium' %}{% endif %}Effort: "
    "{{ reasoning_effort }}{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}"
    "{% if m.thinking %}<|channel|>analysis<|message|>{{ m.thinking }}<|end|><|start|>assistant{% endif %}"
    "<|channel|>final{% endif %}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
LEVELS = (
    "{% if reasoning_effort is not defined %}{% set reasoning_effort = 'no_think' %}{% elif reasoning_effort not in "
    "['no_think', 'low', 'high'] %}{{ raise_exception('no such effort') }}{% endif %}"
    + HEAD + "{{ m.content }}" + TAIL
    + "<think:own>{% if reasoning_effort == 'no_think' %}</think:own>{% endif %}{% endif %}"
)  # fmt: skip
BUDGETED = (
    HEAD + "{{ m.content }}{% endfor %}{% if thinking_budget is defined %}<|system|>Think {{ thinking_budget }} tokens."
    "{% endif %}{% if add_generation_prompt %}<|assistant|>{% if thinking_budget == 0 %}<own:think></own:think>"
    "{% endif %}{% endif %}"
)
IN_WORDS = (  # as the system text says
    "{% set ns = namespace(on=true) %}{% for m in messages %}{% if '/no_think' in m.content %}{% set ns.on = false %}"
    "{% endif %}<|{{ m.role }}|>{{ m.content.replace('/no_think', '').replace('/think', '').strip() }}" + TAIL
    + "{% if ns.on %}<think>\n{% else %}<think></think>{% endif %}{% endif %}"
)  # fmt: skip
OWN = (  # a format that nobody else has
    "{% for m in messages %}{% if m.reasoning %}[to self]{{ m.reasoning }}[over]{% endif %}"
    "[{{ 'to user' if m.role == 'assistant' else m.role }}]{{ m.content }}[over]{% endfor %}"
)
BLOCKS = (
    "{% for m in messages %}[{{ m.role }}]{% if m.content is string %}{{ m.content }}{% else %}{% for b in m.content %}"
    "{% if b.type == 'thinking' %}[THINK]{{ b.thinking }}[/THINK]{% else %}{{ b.text }}{% endif %}{% endfor %}"
    "{% endif %}{% endfor %}"
)
TYPED = (
    "{% for m in messages %}{{ m.role | capitalize }}: {% for part in m.content %}{% if part.type == 'text' %}"
    "{{ part.text }}{% endif %}{% endfor %}{{ '\n' }}{% endfor %}Assistant:"
)
TOOLS = "{% for t in tools %}{{ t }}{% endfor %}" + PLAIN
STEPS = "Say [BEGIN FINAL RESPONSE]." + HEAD + "{{ m.content }}" + TAIL + "Here are my reasoning steps:\n{% endif %}"


def template(source: str, think: Any = "auto", **variables: Any) -> ChatTemplate:
    now = datetime(2026, 3, 1, 12)
    return ChatTemplate(source, "", "", think=think, variables=variables, now=now, compiled=Program)


def state(source: str, think: Any = "auto", messages: list[Message] = ASK, **variables: Any) -> str:
    laid_out = template(source, think, **variables)
    return laid_out.state(laid_out.render(messages), messages)


LEARNED = [
    (SWITCHED, "<think>", "</think>"),
    (OPENED, "<think>\n", "\n</think>\n\n"),
    (MODES, "<x:think>\n", "\n</x:think>\n\n"),
    (CHANNELS, "<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    (OWN, "[to self]", "[over][to user]"),
    (BLOCKS, "[THINK]", "[/THINK]"),
    (STEPS, "Here are my reasoning steps:\n", "\n[BEGIN FINAL RESPONSE]\n"),
]


@pytest.mark.parametrize(("source", "opening", "closing"), LEARNED)
def test_what_stands_around_a_thought_is_learned_from_the_template(source: str, opening: str, closing: str) -> None:
    form = template(source).reasoning
    assert form.thinks
    assert form.closing == closing
    assert form.opening.endswith(opening)
    parts = form.split(f"{form.opening}It is 8.{form.closing}It is 7.")
    assert (parts.thought.strip(), parts.said.strip(), parts.closed) == ("It is 8.", "It is 7.", True)
    assert form.split(f"{form.opening}It is 8. No")[1:] == ("", False)


@pytest.mark.parametrize("source", [PLAIN, TYPED, TOOLS])
def test_a_template_without_thoughts_thinks_of_none(source: str) -> None:
    laid_out = template(source)
    assert not laid_out.reasoning.thinks
    assert not laid_out.thinking.on


STATES = [
    (SWITCHED, "auto", "unmarked"),
    (SWITCHED, "off", "closed"),
    (OPENED, "auto", "open"),
    (SILENT, "auto", "open"),  # off when nobody says
    (SILENT, "off", "closed"),
    (MODES, "off", "closed"),
    (LEVELS, "auto", "open"),
    (LEVELS, "low", "open"),
    (LEVELS, "off", "closed"),
    (BUDGETED, "off", "closed"),
    (IN_WORDS, "auto", "open"),
    (IN_WORDS, "off", "closed"),
    (STEPS, "auto", "open"),
    (PLAIN, "auto", "unmarked"),
    (PLAIN, "off", "unmarked"),
]


@pytest.mark.parametrize(("source", "think", "expected"), STATES)
def test_thinking_is_switched_in_the_templates_own_terms(source: str, think: str, expected: str) -> None:
    assert state(source, think) == expected
    assert not template(source, think).thinking.closed
    assert not template(source, think).thinking.notice


@pytest.mark.parametrize("source", [OPENED, CHANNELS, STEPS, OWN])
def test_where_there_is_no_switch_the_thought_is_closed_before_it_begins_and_that_is_said(source: str) -> None:
    laid_out = template(source, "off")
    assert state(source, "off") == "closed"
    assert not laid_out.thinking.on
    assert "no switch" in laid_out.thinking.notice


def test_levels_reach_the_template_and_one_that_it_has_not_is_said() -> None:
    assert template(CHANNELS, "high").render(ASK).startswith("Effort: high")
    assert "Think 4096 tokens." in template(BUDGETED, "medium").render(ASK)
    assert "does not know the level medium" in template(LEVELS, "medium").thinking.notice
    assert "knows no levels" in template(OPENED, "high").thinking.notice
    assert "does not think" in template(PLAIN, "on").thinking.notice


def test_the_users_own_variables_go_before_everything() -> None:
    assert state(SWITCHED, enable_thinking=False) == "closed"
    assert not template(SWITCHED, enable_thinking=False).thinking.on
    assert template(CHANNELS, "low", reasoning_effort="high").render(ASK).startswith("Effort: high")


def test_a_switch_in_the_system_text_keeps_working() -> None:
    assert state(IN_WORDS, messages=[Message("system", "Be brief. /no_think"), *ASK]) == "closed"
    assert state(IN_WORDS, "on", messages=[Message("system", "/no_think"), *ASK]) == "closed"
    assert "Be brief." in template(IN_WORDS, "off").render([Message("system", "Be brief."), *ASK])


@pytest.mark.parametrize(
    ("name", "tokens", "opening"),
    [
        ("MiMo-VL-7B-RL-2508", False, "<think>\n"),
        ("MiniMax M1 80k minimax-m1-80k-q4", False, "<think>\n"),
        ("Medgemma 27b Text It", False, "<unused94>thought\n"),
        ("OpenThinker3-7B", False, "<think>\n"),
        ("AceReason-Nemotron-14B", False, "<think>\n"),
        ("Skywork-R1V3-38B", False, "<think>\n"),
        ("QwQ-32B-Preview", False, "<think>\n"),
        ("Jan-v1-4B", True, "<think>\n"),  # by its vocabulary
        ("Qwen3-4B-Instruct-2507", True, ""),
        ("Qwen3-Coder-30B-A3B-Instruct", True, ""),
        ("ERNIE-4.5-21B-A3B-PT", True, ""),
        ("Qwen3-4B-Base", True, ""),
        ("MiMo-7B-Base", False, ""),
        ("GLM-4.5-Air-nothink", True, ""),
        ("Llama-3.2-3B-Instruct", False, ""),
        ("Command R 10", False, ""),
        ("gemma-3-27b-it", False, ""),
        ("Qwen2.5-Coder-7B-ver1", False, ""),
    ],
)
def test_a_model_whose_template_does_not_tell_is_known_to_think_by_its_name_or_vocabulary(
    name: str, tokens: bool, opening: str
) -> None:
    assert opening_by_name(name, tokens) == opening


def test_a_model_that_is_known_to_think_is_given_room_and_can_be_kept_from_it() -> None:
    known = ChatTemplate(PLAIN, "", "", opening="<unused94>thought\n", compiled=Program)
    assert known.thinking.on
    assert known.reasoning.closing == "<unused95>"
    off = ChatTemplate(PLAIN, "", "", think="off", opening="<think>\n", compiled=Program)
    assert off.render(ASK).endswith("<think>\n\n</think>\n\n")
    assert not off.thinking.on
    assert not ChatTemplate(SWITCHED, "", "", think="off", opening="<think>\n", compiled=Program).thinking.closed


SPELT = "<|assistant|>"  # what a turn says, though the template writes it itself
ENDS = HEAD + "{% if m.content[:1] == '<' %}:{% endif %}{{ m.content }}" + TAIL + "{% endif %}"
TRIMMED = HEAD + "[{{ m.content | trim }}]" + TAIL + "{% endif %}"


@pytest.mark.parametrize("source", [PLAIN, IN_WORDS, TYPED, TRIMMED])
@pytest.mark.parametrize(
    "said",
    [
        [SPELT],
        ["<|", SPELT],
        ["user", "assistant", "<|assistant|>\n", "user"],
        ["x", f"x {SPELT} x", "x"],
        [f"x{SPELT}", "|", f"x<|user|>{SPELT}"],
        [f" {SPELT} ", "padded ", " so"],
        [f"a /no_think {SPELT} b"],
        [f"\ue000{SPELT}\ue001"],
    ],
)
def test_what_a_turn_says_is_never_taken_for_the_templates_own_words(source: str, said: list[str]) -> None:
    roles: list[Any] = ["user", "assistant"]
    messages = [Message(roles[n % 2], text) for n, text in enumerate(said)]
    laid_out = template(source)
    text = laid_out.render(messages)
    parts = laid_out.parts(text, messages)
    assert "".join(part for part, _ in parts) == text
    spoken = [part.strip() for part, turn in parts if turn]
    want = [content.replace("/no_think", "") if source == IN_WORDS else content for content in said]
    assert spoken == [content.strip() for content in want]


def test_where_a_template_acts_on_a_turns_ends_no_word_of_it_is_the_templates() -> None:
    messages = [Message("user", f"{SPELT}a"), Message("assistant", SPELT)]
    laid_out = template(ENDS)
    text = laid_out.render(messages)
    assert laid_out.parts(text, messages) == [("<|user|>", False), (text[8:-13], True), (SPELT, False)]


def test_content_in_typed_parts_and_templates_for_tools_are_served() -> None:
    assert template(TYPED).render(ASK) == "User: What is 3 + 4?\nAssistant:"
    assert template(TOOLS).render(ASK) == template(PLAIN).render(ASK)
    assert any("tools" in notice for notice in template(TOOLS).notices)


def test_a_format_that_nothing_recognises_is_named() -> None:
    source = HEAD + "{{ m.content }}" + TAIL + "{{ 'muse' if enable_thinking }}{% endif %}"
    assert any("not known" in notice for notice in template(source).notices)
    assert not template(PLAIN).notices


def test_a_template_is_told_the_day_of_its_run() -> None:
    assert template("{{ strftime_now('%d %b %Y') }}" + PLAIN).render(ASK).startswith("01 Mar 2026")


def test_servers_are_told_in_the_fields_that_they_know() -> None:
    assert server_fields("auto", {}) == {}
    off = {"enable_thinking": False, "thinking": False}
    assert server_fields("off", {}) == {"reasoning_effort": "none", "chat_template_kwargs": off}
    assert server_fields("high", {"a": 1}) == {
        "reasoning_effort": "high",
        "chat_template_kwargs": {"enable_thinking": True, "thinking": True, "reasoning_effort": "high", "a": 1},
    }


# --- real templates ------------------------------------------------------------------------------------------------

FOLDER = Path(os.environ.get("DYNSCALE_TEMPLATES", "/nowhere"))
REAL = sorted(FOLDER.glob("*.jinja"))
# A part of the file's name -> (marker that opens, marker that closes, a prompt's state by itself, with --think off).
FAMILIES = {
    "Qwen3-0.6B": ("<think>", "</think>", "unmarked", "closed"),
    "Qwen3.5": ("<think>", "</think>", "open", "closed"),
    "R1-Distill-Llama": ("<think>", "</think>", "open", "closed"),
    "R1-Distill-Qwen": ("<think>", "</think>", "open", "closed"),
    "DeepSeek-V3.1": ("<think>", "</think>", "open", "closed"),
    "gpt-oss": ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "unmarked", "closed"),
    "Ministral-3-14B-Reasoning": ("[THINK]", "[/THINK]", "unmarked", "closed"),
    "GLM-4.6": ("<think>", "</think>", "unmarked", "closed"),
    "GLM-4.7": ("<think>", "</think>", "open", "closed"),
    "Nemotron-Nano-v2": ("<think>", "</think>", "open", "closed"),
    "Nemotron-3-Nano": ("<think>", "</think>", "open", "closed"),
    "MiniMax-M2": ("<think>", "</think>", "open", "closed"),
    "MiniMax-M3": ("<mm:think>", "</mm:think>", "unmarked", "closed"),
    "Kimi-K2-Thinking": ("<think>", "</think>", "unmarked", "closed"),
    "Kimi-K3": ("<|open|>think<|sep|>", "<|open|>response<|sep|>", "open", "closed"),
    "Seed-OSS": ("<seed:think>", "</seed:think>", "unmarked", "closed"),
    "Cohere2MoE": ("<|START_THINKING|>", "<|END_THINKING|><|START_TEXT|>", "open", "closed"),
    "command-r7b": ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>", "unmarked", "closed"),
    "Apertus": ("<|inner_prefix|>", "<|inner_suffix|>", "unmarked", "unmarked"),
    "granite-3.3": ("<think>", "</think>", "unmarked", "unmarked"),
    "Hy3": ("<think:opensource>", "</think:opensource>", "open", "closed"),
    "gemma-4": ("<|channel>thought", "<channel|>", "unmarked", "closed"),
    "LFM2.5-8B": ("<think>", "</think>", "unmarked", "closed"),
    "SmolLM3": ("<think>", "</think>", "unmarked", "closed"),
    "Apriel-1.5": ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]", "unmarked", "closed"),
    "Apriel-1.6": ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]", "open", "closed"),
    "Solar-Open": ("<|think|>", "<|end|><|begin|>assistant<|content|>", "unmarked", "closed"),
    "StepFun": ("<think>", "</think>", "open", "closed"),
    "ling-3": ("<think>", "</think>", "open", "closed"),
    "Laguna-S": ("<think>", "</think>", "open", "closed"),
}


@pytest.mark.skipif(not REAL, reason="DYNSCALE_TEMPLATES names no folder of chat templates")
@pytest.mark.parametrize("family", FAMILIES)
def test_families_by_their_real_templates(family: str) -> None:
    opening, closing, by_itself, off = FAMILIES[family]
    files = [file for file in REAL if family in file.name]
    assert files
    for source in [file.read_text() for file in files]:
        form = template(source).reasoning
        assert opening in form.opening
        assert closing in form.closing
        assert form.split(f"{form.opening}8?{form.closing}7").said.strip() == "7"
        assert (state(source), state(source, "off")) == (by_itself, off)


@pytest.mark.skipif(not REAL, reason="DYNSCALE_TEMPLATES names no folder of chat templates")
def test_every_real_template_lays_out_a_question_and_a_system_text() -> None:
    messages = [Message("system", "Be brief."), *ASK, Message("assistant", "Seven."), *ASK]
    for file in REAL:
        for think in ("auto", "on", "off", "high"):
            text = template(file.read_text(), think).render(messages)
            assert ASK[0].content in text, file.name
            assert "Be brief." in text, file.name


def test_markers_of_thoughts_are_spelt_out_and_no_others() -> None:
    form = ReasoningFormat()
    for token in ("<|channel|>", "<|message|>", "[THINK]", "<|START_THINKING|>", "<|inner_suffix|>", "<|sep|>"):
        assert form.spells(token), token
    for token in ("<|im_start|>", "<s>", "[INST]", "<pad>", ""):
        assert not form.spells(token), token
    assert template(OWN).reasoning.spells("[to self]")
