"""Memory: a KV cache that cannot be had makes the engine smaller and says so; it never takes the process down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynscale_cli.engine import llama, loading, options
from dynscale_cli.engine.llama import LlamaModel
from dynscale_cli.engine.loading import context_for, open_engine, prefix_bytes
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.protocol import Message
from dynscale_cli.errors import EngineError
from dynscale_cli.models.gguf import GGUFHeader, read_header
from tests.tiny_gguf import write_tiny_gguf

GB = 10**9


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Any]:
    opened: list[LlamaModel] = []

    def make(**options: Any) -> tuple[LlamaModel, GGUFHeader]:
        path = write_tiny_gguf(tmp_path / "tiny.gguf", **options)
        header = read_header(path)
        opened.append(LlamaModel(path, LoadOptions(threads=1), token_bytes=round(header.kv_bytes())))
        return opened[-1], header

    yield make
    for model in opened:
        model.close()


def test_width_halves_until_a_context_can_be_made_and_the_user_is_told(tiny, monkeypatch):
    model, _ = tiny()
    create, tried, told = model.lib.llama_init_from_model, [], []

    def only_small(handle: Any, params: Any) -> Any:
        tried.append(params.n_seq_max)
        return create(handle, params) if params.n_seq_max <= 4 else None

    monkeypatch.setattr(model.lib, "llama_init_from_model", only_small)
    engine = open_engine(model, [], 1, context=256, width=16, notice=told.append)
    assert (tried, engine.info.width) == ([16, 8, 4], 4)
    assert told == ["not enough memory for 16 samples side by side: running 4"]
    engine.close()


def test_no_memory_for_a_single_sample_is_an_error_that_names_the_way_out(tiny, monkeypatch):
    model, _ = tiny()
    monkeypatch.setattr(model.lib, "llama_init_from_model", lambda handle, params: None)
    with pytest.raises(EngineError, match="a context of 256 tokens cannot be had") as caught:
        open_engine(model, [], 1, context=256, width=4)
    assert "--ctx-size" in caught.value.hint


def test_a_cache_beyond_the_free_memory_is_not_even_tried(tiny, monkeypatch):
    model, header = tiny()
    one = 256 * header.kv_bytes()
    monkeypatch.setattr(llama, "available", lambda: round(3 * one))
    engine = open_engine(model, [], 1, context=256, width=16)
    assert engine.info.width == 2
    engine.close()
    monkeypatch.setattr(llama, "available", lambda: one // 2)
    with pytest.raises(EngineError, match="are free"):
        open_engine(model, [], 1, context=256, width=16)


def test_a_context_that_nobody_chose_is_halved_until_memory_holds_one_and_that_is_said_once(tiny, monkeypatch):
    model, _ = tiny(context_length=4096)
    told: list[str] = []
    monkeypatch.setattr(loading, "LEAST_CONTEXT", 256)
    monkeypatch.setattr(llama, "available", lambda: 1200 * model.token_bytes)
    engine = open_engine(model, [[Message("user", "Why?")]], 3900, notice=told.append)
    assert engine.info.context == 1024
    assert [line for line in told if "4,096" in line] == [
        "not enough memory for samples of 4,096 tokens: they get 1,024"
    ]
    engine.close()
    with pytest.raises(EngineError, match="context of 4096 tokens"):
        open_engine(model, [], 64, context=4096)


def test_a_really_huge_context_is_refused_at_once(tiny):
    model, _ = tiny(context_length=1 << 30)
    with pytest.raises(EngineError, match=r"a context of .* cannot be had: it takes"):
        open_engine(model, [], 1, context=1 << 30, width=16)


def test_a_context_beyond_what_the_model_was_trained_with_is_cut_to_it(tiny):
    model, _ = tiny(context_length=300)
    told: list[str] = []
    engine = open_engine(model, [], 1, context=4096, width=2, notice=told.append)
    assert engine.info.context == 300
    assert len(told) == 1
    assert "300" in told[0]
    engine.close()


def test_the_context_follows_the_longest_question_but_never_the_training_limit(tiny):
    model, _ = tiny(context_length=1000)
    short, long = [Message("user", "Why?")], [Message("user", "x" * 800)]
    assert context_for(model, [short], 100) == 256
    assert context_for(model, [short, long], 100) == 1000
    assert context_for(model, [short, [Message("user", "x" * 2000)]], 100) == 256  # it fits in nothing: its own error


def test_the_engine_is_no_wider_than_the_samples_that_a_run_is_expected_to_draw(tiny):
    model, _ = tiny()
    for samples, width in [(0, 1), (3, 3), (500, 16), (None, 16)]:
        engine = open_engine(model, [], 1, context=256, samples=samples)
        assert engine.info.width == width
        engine.close()


@pytest.fixture
def machine(tmp_path: Path) -> Any:
    """Write files of a machine's /proc and /sys; the result is its root."""

    def make(**files: str) -> Path:
        names = {"meminfo": "proc/meminfo", "status": "proc/self/status"}
        for name, text in files.items():
            path = tmp_path / names.get(name, f"sys/fs/cgroup/memory.{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def test_mapped_weights_are_not_free(machine):
    root = machine(meminfo="MemTotal: 9000 kB\nMemAvailable: 5000 kB\n", status="VmRSS: 2500 kB\nRssFile: 2000 kB\n")
    assert options.available(root) == 3000 * 1024


def test_a_container_has_what_its_group_leaves(machine):
    group = {"max": "1000000\n", "current": "700000\n", "stat": "anon 5\nfile 200000\n"}
    root = machine(meminfo="MemAvailable: 9000000 kB\n", **group)
    assert options.available(root) == 500_000
    assert options.available(machine(max="max\n")) == 9_000_000 * 1024


def test_an_unknown_machine_is_not_guessed_at(tmp_path):
    assert options.available(tmp_path) is None
    assert prefix_bytes(None) == loading.PREFIX_BYTES


def test_kept_prefixes_take_a_tenth_of_memory_and_a_gigabyte_at_most():
    assert prefix_bytes(2 * GB) == GB // 5
    assert prefix_bytes(64 * GB) == 1 << 30
