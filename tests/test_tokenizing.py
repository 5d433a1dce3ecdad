"""Texts of any length and make-up become tokens: llama.cpp's regular expressions overflow the stack at some."""

from __future__ import annotations

import pytest

from dynscale_cli.engine.llama import STRETCH, LlamaModel, cut
from dynscale_cli.engine.options import LoadOptions
from tests.tiny_gguf import write_tiny_gguf

LONG = 60_000  # characters; some 30,000 are too many for a stack of 8 MB
TEXTS = {
    "DNA": "ACGT" * (LONG // 4),
    "dashes": "-" * LONG,
    "Chinese": "漢字" * (LONG // 2),
    "spaces": " " * LONG,
    "lines": "\n" * LONG,
    "words": "to be or not " * (LONG // 13),
}


@pytest.fixture(scope="module", params=["gpt-4o", "tekken", "deepseek-v3", "exaone-moe"])
def model(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizing") / "m.gguf"
    model = LlamaModel(write_tiny_gguf(path, tokenizer__ggml__pre=request.param), LoadOptions(threads=1))
    yield model
    model.close()


def spelled(model, tokens):
    return b"".join(model.piece(token) for token in tokens).decode()


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_without_a_break_is_split_and_nothing_of_it_is_lost(model, kind):
    assert spelled(model, model.tokenize(TEXTS[kind])) == TEXTS[kind]


def test_a_text_with_breaks_has_the_tokens_that_it_has_as_a_whole(model):
    text = "The cat sat on the mat, and then on 17 others.\n  It was happy!\n\n" * 90
    assert len(text) > 2 * STRETCH
    assert model.tokenize(text) == model._ids(text, True)


def test_a_long_text_that_many_prompts_begin_with_is_split_once(model, monkeypatch):
    split = list[str]()
    ids = model._ids
    monkeypatch.setattr(model, "_ids", lambda text, parse: split.append(text) or ids(text, parse))
    report = "".join(f"In week {week} they sold {week * 7} rakes.\n" for week in range(1000))
    first = model.tokenize(f"{report}Who sold most?")
    assert len("".join(split)) > len(report)
    split.clear()
    second = model.tokenize(f"{report}Who sold least, and why?")
    assert len("".join(split)) < 2 * STRETCH
    assert first[:20_000] == second[:20_000]
    assert spelled(model, second).endswith("Who sold least, and why?")


@pytest.mark.parametrize("before", range(STRETCH - 9, STRETCH + 9))
def test_a_control_token_is_never_cut(model, before):
    end = model._ids("<|im_end|>", True)
    assert len(end) == 1
    tokens = model.tokenize("x" * before + "<|im_end|>" + "x" * STRETCH)
    assert tokens.count(end[0]) == 1
    assert model.tokenize("x" * before + "<|im_end|>" + "x" * STRETCH, parse=False).count(end[0]) == 0


def test_where_a_text_is_cut():
    words = "ab " * 1000
    assert words[cut(words, 0, 2000) :].startswith(" ab")
    lines = ("ab " * 500 + "\n") * 2
    assert lines[cut(lines, 0, 2000) - 1] == "\n"
    assert cut("x" * 5000, 0, 2000) == 2000
