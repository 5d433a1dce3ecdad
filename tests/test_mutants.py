"""Damaged models: whatever is in a file, it ends in a sentence; what kills llama.cpp kills a child and no command."""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from dynscale_cli.child import Child, ChildError
from dynscale_cli.engine import trial
from dynscale_cli.errors import DynscaleError
from dynscale_cli.models.gguf import read_header, require_generator
from dynscale_cli.models.resolve import bundled
from tests.cli_process import dynscale, lines
from tests.gguf_mutants import mutant, take_apart
from tests.tiny_gguf import write_tiny_gguf

SECONDS = 20.0


class Llama:
    """llama.cpp in a child, asked for one file after another; each crash costs it one child."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self.said = ""

    def __call__(self, path: Path) -> str:
        """What becomes of a file: loaded, refused in words, crashed or slow. Anything else is a failure."""
        request = {"path": str(path), "options": {"threads": 1}, "width": 2, "buffers": "none"}
        request["on_device"] = False
        try:
            require_generator(read_header(path))
            self._child = self._child or Child(trial.TARGET)
            self._child.ask(request, SECONDS)
        except DynscaleError as error:
            outcome, self.said = "refused", error.message
        except ChildError as error:
            self.close()
            outcome, self.said = error.fate, f"{error}: {error.words}"
        else:
            outcome, self.said = "loaded", "fine"
        assert outcome in ("refused", "crashed", "slow", "loaded")
        assert self.said.strip()
        assert "\n" not in self.said
        return outcome

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


@pytest.fixture
def llama() -> Iterator[Llama]:
    llama = Llama()
    yield llama
    llama.close()


def mutants(base: Path, seeds: range, folder: Path, *, sparse: bool) -> Iterator[Path]:
    """Damaged copies. Sparse: a damaged header before holes, for a file too large to copy hundreds of times."""
    pieces = take_apart(base.read_bytes(), keep_data=not sparse)
    healthy = len(pieces.header())
    path = folder / "mutant.gguf"
    for seed in seeds:
        content = mutant(pieces, seed)
        path.write_bytes(content)
        if sparse and len(content) > healthy * 0.98:
            os.truncate(path, len(content) + pieces.tail)
        yield path


@pytest.mark.parametrize(("architecture", "seeds"), [("llama", range(100)), ("gemma3", range(40)), ("lfm2", range(40))])
def test_no_damage_to_a_tiny_model_is_more_than_a_sentence(tmp_path, llama, architecture, seeds):
    base = write_tiny_gguf(tmp_path / f"{architecture}.gguf", architecture=architecture)
    outcomes = Counter(llama(path) for path in mutants(base, seeds, tmp_path, sparse=False))
    assert outcomes["refused"] > len(seeds) / 3, "the mutants are not damaged enough to mean anything"
    assert outcomes["loaded"], "the mutants are all refused"


def test_no_damage_to_the_bundled_header_is_more_than_a_sentence(tmp_path, llama):
    base = bundled()
    assert base is not None
    assert Counter(llama(path) for path in mutants(base, range(6), tmp_path, sparse=True))["refused"]


def test_a_file_that_kills_llama_cpp_is_one_line_and_exit_1(tmp_path):
    """Keys and values of different sizes: its graph aborts."""
    path = write_tiny_gguf(tmp_path / "bad.gguf", attention__key_length=8, rope__dimension_count=32)
    for _ in range(2):
        done = dynscale("ask", "-m", str(path), "-t", "1", "Why?", cwd=tmp_path)
        said = [line for line in lines(done.stderr) if "checking" not in line]
        assert (done.returncode, done.stdout) == (1, b"")
        assert said[0].startswith("dynscale: ")
        assert b"Traceback" not in done.stderr


# Models of every kind that llama.cpp knows, grown from what it says is missing

KEY = re.compile(r"key not found in model: ([\w.-]+)")
FLOAT = re.compile(r"key ([\w.-]+) has wrong type u32 but expected type f32")
MISSING = re.compile(r"tensor '([^']+)' not found|missing tensor '([^']+)'")
SHAPE = re.compile(r"tensor '([^']+)' has wrong shape; expected ([\d, ]+), got")
SMALL: dict[str, Any] = {
    "context_length": 128, "embedding_length": 64, "block_count": 2, "feed_forward_length": 64,
    "attention.head_count": 4, "attention.head_count_kv": 2, "attention.layer_norm_rms_epsilon": 1e-5,
    "attention.layer_norm_epsilon": 1e-5, "rope.dimension_count": 16, "expert_count": 4, "expert_used_count": 2,
    "expert_feed_forward_length": 32, "ssm.conv_kernel": 4, "ssm.inner_size": 128, "ssm.state_size": 8,
    "ssm.time_step_rank": 4, "ssm.group_count": 1, "wkv.head_size": 16, "vocab_size": 268,
}  # fmt: skip


def grown(llama: Llama, path: Path, architecture: str, steps: int) -> tuple[str, int]:
    """Add what llama.cpp misses, tensor by tensor, until it loads, dies or there is nothing more to learn."""
    keys, tensors = dict(SMALL), {"token_embd.weight": (64, 268)}
    outcome = "refused"
    for step in range(steps):
        _write(path, architecture, keys, tensors)
        outcome = llama(path)
        said = llama.said
        if outcome != "refused":
            return outcome, step
        if found := SHAPE.search(said):
            tensors[found[1]] = tuple(int(n) for n in found[2].replace(",", " ").split())
        elif (found := MISSING.search(said)) and (name := found[1] or found[2]) not in tensors:
            tensors[name] = (64,)
        elif (found := KEY.search(said)) and (name := found[1].partition(".")[2]) not in keys:
            keys[name] = 8
        elif (found := FLOAT.search(said)) and isinstance(keys.get(name := found[1].partition(".")[2]), int):
            keys[name] = 1.0
        else:
            return outcome, step
    return outcome, steps


def _write(path: Path, architecture: str, keys: dict[str, Any], tensors: dict[str, tuple[int, ...]]) -> None:
    tiny = {"chat_template": None, **{key.replace(".", "__"): value for key, value in keys.items()}}
    write_tiny_gguf(path, architecture="llama", **tiny)
    pieces = take_apart(path.read_bytes())
    random = np.random.default_rng(0)
    name = architecture.encode()
    swapped = [
        replace(key, payload=struct.pack("<Q", len(name)) + name)
        if key.name == b"general.architecture"
        else replace(key, name=key.name.replace(b"llama.", name + b".", 1))
        for key in pieces.keys
    ]
    writer = gguf.GGUFWriter(path, architecture)
    for tensor, shape in tensors.items():
        writer.add_tensor(tensor, random.normal(0, 0.1, shape[::-1]).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    body = take_apart(path.read_bytes())
    path.write_bytes(replace(body, keys=tuple(swapped)).file())


@pytest.mark.parametrize("architecture", ["gpt2", "phi2", "mamba"])
def test_a_model_is_grown_until_it_loads_and_then_broken(tmp_path, llama, architecture):
    path = tmp_path / "grown.gguf"
    outcome, _ = grown(llama, path, architecture, steps=80)
    assert outcome == "loaded", llama.said
    assert Counter(llama(broken) for broken in mutants(path, range(10), tmp_path, sparse=False))["refused"]


@pytest.mark.parametrize("architecture", ["rwkv6", "deepseek2"])
def test_a_kind_of_model_that_is_not_complete_ends_in_a_sentence_however_llama_cpp_ends(tmp_path, llama, architecture):
    outcome, steps = grown(llama, tmp_path / "grown.gguf", architecture, steps=80)
    assert (outcome, steps > 1) == ("crashed", True), llama.said
