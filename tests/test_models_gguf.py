"""The header reader: what it says of healthy files, and that no damaged file gets past it and takes llama.cpp down."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynscale_cli.errors import ModelError
from dynscale_cli.models.header import read_header, require_generator
from dynscale_cli.models.stores import bundled
from tests.gguf_mutants import mutant, split, take_apart
from tests.tiny_gguf import ARCHITECTURES, CHATML, SPECIAL, write_tiny_gguf

LOADER = Path(__file__).with_name("load_gguf.py")


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


def load(paths: list[Path]) -> dict[str, str]:
    """File -> "loaded", "refused" or "crashed", in llama.cpp for real; a crash or a hang costs one child each."""
    found: dict[str, str] = {}
    while rest := [path for path in paths if str(path) not in found]:
        for line in child("".join(f"{path}\n" for path in rest)).splitlines():
            word, _, name = line.partition(" ")
            found[name] = "crashed" if word == "begin" else word
    return found


def child(names: str) -> str:
    """What the loader printed before it ended, well or badly."""
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    with subprocess.Popen(
        [sys.executable, str(LOADER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=environment,
    ) as process:  # fmt: skip
        try:
            return process.communicate(names, timeout=120)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0]


# Healthy files


def test_the_bundled_model_is_described_as_it_is() -> None:
    path = bundled()
    assert path is not None
    header = read_header(path)
    assert (header.architecture, header.quantisation, header.context_length) == ("llama", "Q4_1", 8192)
    assert (header.block_count, header.embedding_length, header.vocabulary) == (30, 576, 49152)
    assert (header.heads[0], header.kv_heads[0], header.key_length) == (9, 3, 64)
    assert (header.bos, header.eos, header.add_bos) == (1, 2, False)
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
    assert (header.chat_template, header.add_bos, header.bos, header.eos) == (CHATML, True, 0, 3)
    assert header.vocabulary == len(SPECIAL) + 256 + 8
    assert header.sliding_window is None


def test_what_a_file_may_leave_out(tmp_path: Path) -> None:
    header = read_header(write_tiny_gguf(tmp_path / "a.gguf", chat_template=None, add_bos=False, general__name="Tiny"))
    assert (header.chat_template, header.add_bos, header.name) == (None, False, "Tiny")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tiny_models_of_every_kind_load_and_decode(tmp_path: Path, architecture: str) -> None:
    window = 16 if architecture.startswith("gemma") else None
    path = write_tiny_gguf(tmp_path / "a.gguf", architecture=architecture, sliding_window=window)
    header = read_header(path)
    assert header.architecture == architecture
    assert header.sliding_window == window
    assert header.recurrent == (architecture in ("mamba", "jamba", "lfm2"))
    assert load([path]) == {str(path): "loaded"}


def test_a_model_without_a_beginning_of_sequence_token(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "a.gguf", add_bos=False, tokenizer__ggml__bos_token_id=None)
    assert load([path]) == {str(path): "loaded"}


def test_an_encoder_is_read_but_cannot_answer(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "bert.gguf", architecture="bert")
    assert not read_header(path).generates
    assert "bert is an encoder" in complaint(path)


# Damage that is named


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"block_count": 0}, "llama.block_count is 0"),
        ({"block_count": None}, "llama.block_count is missing"),
        ({"context_length": "long"}, "llama.context_length must be of type u32"),
        ({"attention.head_count": 3}, "3 attention heads cannot share 2"),
        ({"attention.layer_norm_rms_epsilon": float("nan")}, "is not a number"),
        ({"rope.freq_base": 0.0}, "rope.freq_base is 0"),
        ({"rope.scaling.type": "stretch"}, "'stretch', none of none, linear"),
        ({"rope.dimension_count": 15}, "rope.dimension_count is 15"),
        ({"expert_count": 4}, "0 of 4 experts"),
        ({"attention.head_count_kv": [2]}, "one number for each of 2 layers"),
        ({"embedding_length": 32}, "embedding_length is 32, but token_embd.weight has 64"),
        ({"attention.causal": False}, "does not write from left to right"),
    ],
)
def test_a_wrong_hyperparameter_is_named(tmp_path: Path, overrides: dict[str, object], words: str) -> None:
    assert words in complaint(write_tiny_gguf(tmp_path / "a.gguf", **overrides))  # type: ignore[arg-type]


def test_a_vocabulary_with_one_token_twice(tmp_path: Path) -> None:
    assert "same token twice" in complaint(write_tiny_gguf(tmp_path / "a.gguf", vocab=("twin", "twin")))


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
    assert load([parts[0]]) == {str(parts[0]): "loaded"}


def test_a_damaged_later_part_is_named(tiny: Path, tmp_path: Path) -> None:
    parts = split(take_apart(tiny.read_bytes()), tmp_path)
    parts[1].write_bytes(parts[1].read_bytes()[:-5000])
    with pytest.raises(ModelError, match=r"x-00002-of-00002\.gguf: cut short"):
        read_header(parts[0])


# Damage by the hundred


def mutants(base: Path, seeds: range, folder: Path, *, sparse: bool) -> Iterator[Path]:
    """Damaged copies. Sparse: a damaged header before holes, for a file too large to copy hundreds of times."""
    pieces = take_apart(base.read_bytes(), keep_data=not sparse)
    healthy = len(pieces.header())
    for seed in seeds:
        path = folder / f"{base.stem}-{seed}.gguf"
        content = mutant(pieces, seed)
        path.write_bytes(content)
        if sparse and len(content) > healthy * 0.98:
            os.truncate(path, len(content) + pieces.tail)
        yield path


def passing(paths: Iterator[Path]) -> tuple[list[Path], int]:
    """Those that the gate lets through, and how many it refused."""
    passed, refused = [], 0
    for path in paths:
        try:
            require_generator(read_header(path))
        except ModelError:
            refused += 1
            path.unlink()
        else:
            passed.append(path)
    return passed, refused


def crashes(base: Path, seeds: range, folder: Path, *, sparse: bool = False) -> list[str]:
    passed, refused = passing(mutants(base, seeds, folder, sparse=sparse))
    outcomes = load(passed)
    assert refused > len(seeds) / 3, "the mutants are not damaged enough to mean anything"
    assert "loaded" in outcomes.values(), "the mutants are all refused: the gate may be refusing healthy files"
    return [name for name, outcome in outcomes.items() if outcome == "crashed"]


@pytest.mark.parametrize(
    ("architecture", "seeds"), [("llama", range(500)), ("gemma3", range(100)), ("lfm2", range(100))]
)
def test_no_damaged_tiny_model_crashes_llama(tmp_path: Path, architecture: str, seeds: range) -> None:
    base = write_tiny_gguf(tmp_path / f"{architecture}.gguf", architecture=architecture)
    assert crashes(base, seeds, tmp_path) == []


def test_no_damage_to_the_bundled_header_crashes_llama(tmp_path: Path) -> None:
    base = bundled()
    assert base is not None
    assert crashes(base, range(60), tmp_path, sparse=True) == []
