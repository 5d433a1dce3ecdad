"""What a model is, and whether a run of it fits: figures against the header's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynscale_cli.models.gguf import read_header
from dynscale_cli.models.info import fit, recommended, thinks
from dynscale_cli.models.stores import bundled
from tests.cli_process import dynscale
from tests.tiny_gguf import CHATML, write_tiny_gguf

GIGABYTE = 1 << 30


def test_the_cache_is_counted_as_llama_cpp_allocates_it(tmp_path: Path) -> None:
    """Keys and values of every layer, a share of whole 256 tokens for each sample; half of it is half as much."""
    header = read_header(write_tiny_gguf(tmp_path / "m.gguf"))
    one = 2 * 2 * 16 * 2 * 2  # layers, KV heads, head size, keys and values, bytes of f16
    assert fit(header, 4, 300, 2.0, 2.0, None).cache == 4 * 512 * one
    assert fit(header, 4, 300, 1.0, 1.0, None).cache == 2 * 512 * one
    assert fit(header, 4, 100_000, 2.0, 2.0, None).cache == 4 * header.context_length * one


def test_what_does_not_fit_says_what_does(tmp_path: Path) -> None:
    header = read_header(write_tiny_gguf(tmp_path / "m.gguf"))
    one = fit(header, 1, 512, 2.0, 2.0, None).cache
    wide = fit(header, 16, 512, 2.0, 2.0, header.size + 5 * one)
    assert (wide.fits, wide.widest) == (False, 5)
    assert fit(header, 5, 512, 2.0, 2.0, header.size + 5 * one).fits is True
    assert fit(header, 16, 512, 2.0, 2.0, header.size - 1).widest == 0
    assert fit(header, 16, 512, 2.0, 2.0, None).fits is None


@pytest.mark.parametrize(
    ("template", "answer"),
    [
        (None, "no"),
        (CHATML, "no"),
        (CHATML + "{{ '<think>\n' }}", "yes, always"),
        (CHATML + "{% if enable_thinking %}<think>{% endif %}", "yes (--think sets enable_thinking in its template)"),
        ("{% for m in messages %}", "unknown: its chat template cannot be read"),
    ],
)
def test_whether_it_thinks_is_learned_from_the_template(template: str | None, answer: str) -> None:
    assert thinks(template) == answer


def test_what_suits_a_model_is_what_its_file_recommends_and_room_to_think(tmp_path: Path) -> None:
    path = write_tiny_gguf(
        tmp_path / "thinker.gguf",
        chat_template=CHATML + "{{ '<think>\n' }}",
        general__sampling__temp=0.6,
        general__sampling__top_k=20,
        general__sampling__top_p=7.0,  # makes no sense
    )
    header = read_header(path)
    assert header.sampling == {"temp": 0.6, "top_k": 20}
    assert recommended(header.sampling, thinking=True) == {
        "temp": 0.6, "top_k": 20, "max_tokens": "8192", "budget": "33792/q"
    }  # fmt: skip
    assert recommended({}, thinking=False) == {}


@pytest.mark.parametrize(
    ("name", "vocab", "thinks"),
    [
        ("MiMo-VL-7B-RL", (), True),
        ("Some-7B", ("<think>", "</think>"), True),
        ("Some-7B-Instruct", ("<think>", "</think>"), False),
        ("Some-7B", ("<think>",), False),
    ],
)
def test_what_the_template_does_not_tell_name_and_vocabulary_do_and_the_cache_has_room_for_it(
    tmp_path: Path, name: str, vocab: tuple[str, ...], thinks: bool
) -> None:
    model = write_tiny_gguf(tmp_path / "m.gguf", general__name=name, vocab=vocab, context_length=32768)
    shown = json.loads(dynscale("models", "show", str(model), "--json", cwd=tmp_path).stdout)
    assert shown["thinks"] == ("yes, always" if thinks else "no")
    assert (shown["width"], shown["context"]) == ((4, 8192 + 256) if thinks else (16, 1280))


def test_show_of_the_default_model(tmp_path: Path) -> None:
    done = dynscale("models", "show", "--json", "-np", "4", "-c", "1024", "-ctk", "q8_0", "-ctv", "q8_0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    path = bundled()
    assert path is not None
    header = read_header(path)
    assert shown["path"] == str(path)
    assert shown["kv_cache"] == 4 * 1024 * header.kv_bytes(34 / 32, 34 / 32)
    assert shown["chat_template"] is True
    text = dynscale("models", "show", cwd=tmp_path).stdout.decode()
    for words in ("llama, 30 layers", "135M", "Q4_1", "8,192 tokens", "-np 16 -c 1280"):
        assert words in text


def test_show_names_what_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(write_tiny_gguf(tmp_path / "m.gguf").read_bytes()[:-100])
    done = dynscale("models", "show", str(broken), cwd=tmp_path)
    assert done.returncode == 1
    assert b"cut short" in done.stderr
    done = dynscale("models", "show", "-ctk", "q9", cwd=tmp_path)
    assert done.returncode == 2
    assert b"--cache-type-k q9: unknown" in done.stderr
