"""The header reader: what it says of healthy files, what it leaves open, and what ends in a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dynscale_cli.errors import ModelError
from dynscale_cli.models.gguf import read_header, require_generator
from dynscale_cli.models.stores import bundled
from tests.gguf_mutants import split, take_apart
from tests.tiny_gguf import ARCHITECTURES, CHATML, SPECIAL, write_tiny_gguf


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def complaint(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        require_generator(read_header(path))
    assert "\n" not in error.value.message
    assert str(path) in error.value.message
    assert error.value.hint
    return error.value.message


# Healthy files


def test_the_bundled_model_is_described_as_it_is() -> None:
    path = bundled()
    assert path is not None
    header = read_header(path)
    assert (header.architecture, header.quantisation, header.context_length) == ("llama", "Q4_1", 8192)
    assert (header.block_count, header.embedding_length, header.vocabulary) == (30, 576, 49152)
    assert (header.heads[0], header.kv_heads[0], header.key_length) == (9, 3, 64)
    assert header.parameters == 134_515_008
    assert header.size == path.stat().st_size
    assert header.chat_template is not None
    assert "<|im_start|>" in header.chat_template
    # 30 layers of 3 heads with 64 keys and 64 values in two bytes each
    assert header.kv_bytes() == 30 * 3 * 128 * 2
    assert header.generates
    assert not header.recurrent


def test_a_tiny_model_is_described_as_it_was_written(tiny: Path) -> None:
    header = read_header(tiny)
    assert header.chat_template == CHATML
    assert header.vocabulary == len(SPECIAL) + 256 + 8
    assert header.sliding_window is None


def test_what_a_file_may_leave_out(tmp_path: Path) -> None:
    header = read_header(write_tiny_gguf(tmp_path / "a.gguf", chat_template=None, add_bos=False, general__name="Tiny"))
    assert (header.chat_template, header.name) == (None, "Tiny")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tiny_models_of_every_kind_are_described(tmp_path: Path, architecture: str) -> None:
    window = 16 if architecture.startswith("gemma") else None
    header = read_header(write_tiny_gguf(tmp_path / "a.gguf", architecture=architecture, sliding_window=window))
    assert (header.architecture, header.sliding_window) == (architecture, window)
    assert header.recurrent == (architecture in ("mamba", "jamba", "lfm2"))


def test_an_encoder_is_read_but_cannot_answer(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "bert.gguf", architecture="bert")
    assert not read_header(path).generates
    assert "bert is an encoder" in complaint(path)


# What is missing, odd or new is left to llama.cpp


@pytest.mark.parametrize(
    ("overrides", "field", "value"),
    [
        ({"block_count": None}, "block_count", 0),
        ({"block_count": (1 << 32) - 1}, "block_count", 0),
        ({"context_length": "long"}, "context_length", 0),
        ({"embedding_length": None}, "embedding_length", 0),
        ({"attention.head_count_kv": [2]}, "kv_heads", (4, 4)),
        ({"attention.head_count": 0}, "heads", (0, 0)),
        ({"expert_used_count": "two"}, "experts_used", 0),
        ({"general.name": 5}, "name", "a"),
    ],
)
def test_a_field_that_is_missing_or_cannot_be_is_left_open(
    tmp_path: Path, overrides: dict[str, object], field: str, value: object
) -> None:
    header = read_header(write_tiny_gguf(tmp_path / "a.gguf", **overrides))  # type: ignore[arg-type]
    assert getattr(header, field) == value
    assert header.kv_bytes() >= 0


def test_a_kind_of_model_or_tensor_that_is_newer_than_our_tables_is_read(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    pieces = take_apart(tiny.read_bytes())
    newer = replace(pieces, infos=(*pieces.infos[:-1], replace(pieces.infos[-1], kind=99)))
    path.write_bytes(newer.file())
    header = read_header(path)
    assert (header.tensors, header.generates) == (len(pieces.infos), True)


# Damage that is named


def test_every_truncation_is_noticed(tiny: Path, tmp_path: Path) -> None:
    whole = tiny.read_bytes()
    path = tmp_path / "short.gguf"
    for length in (*range(64), *range(64, len(whole) - 32, 4999), len(whole) - 33):
        path.write_bytes(whole[:length])
        complaint(path)


def test_a_tensor_past_the_end_is_named(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.gguf"
    path.write_bytes(tiny.read_bytes()[:-4000])
    assert "cut short: " in complaint(path)
    assert "blk.1.ffn_down.weight" in complaint(path)


def test_files_that_are_something_else(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"PK\3\4" + bytes(100))
    assert "not a GGUF file" in complaint(path)
    path.write_bytes(b"")
    assert "empty" in complaint(path)
    path.write_bytes(b"GGUF" + b"\0\0\0\3" + bytes(100))  # of the other byte order
    assert "byte order" in complaint(path)
    assert "No such file" in complaint(tmp_path / "missing.gguf")
    assert "directory" in complaint(tmp_path)


# Split models


def test_a_split_model_is_read_as_one(tiny: Path, tmp_path: Path) -> None:
    parts = split(take_apart(tiny.read_bytes()), tmp_path)
    header, whole = read_header(parts[0]), read_header(tiny)
    assert (header.split_count, header.parameters, header.tensors) == (2, whole.parameters, whole.tensors)


def test_a_damaged_later_part_is_named(tiny: Path, tmp_path: Path) -> None:
    parts = split(take_apart(tiny.read_bytes()), tmp_path)
    parts[1].write_bytes(parts[1].read_bytes()[:-5000])
    with pytest.raises(ModelError, match=r"x-00002-of-00002\.gguf: cut short"):
        read_header(parts[0])
