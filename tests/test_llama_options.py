"""Options of the command line reach llama.cpp as llama.cpp means them."""

import socket
from pathlib import Path
from typing import Any

import pytest

from dynscale_cli.child import ChildError
from dynscale_cli.engine import binding, llama
from dynscale_cli.engine.llama import LlamaBackend, LlamaModel
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.errors import ModelError, UsageError
from tests.tiny_gguf import write_tiny_gguf


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "tiny.gguf")


def seen(monkeypatch: pytest.MonkeyPatch, lib: Any, name: str) -> list[Any]:
    """The parameters that each call of a C function gets."""
    function, parameters = getattr(lib, name), []

    def watching(first: Any, params: Any) -> Any:
        parameters.append(params)
        return function(first, params)

    monkeypatch.setattr(lib, name, watching)
    return parameters


def test_where_layers_go(path, monkeypatch):
    loads = seen(monkeypatch, llama.binding(), "llama_model_load_from_file")
    model = LlamaModel(path, LoadOptions(n_gpu_layers=7, main_gpu=1, tensor_split=(3.0,), threads=1))
    model.close()
    assert (loads[0].n_gpu_layers, loads[0].main_gpu, loads[0].tensor_split[0]) == (7, 1, 3.0)


def test_how_the_context_computes(path, monkeypatch):
    model = LlamaModel(path, LoadOptions(flash_attn="on", cache_type_k="bf16", cache_type_v="bf16", threads=3))
    contexts = seen(monkeypatch, model.lib, "llama_init_from_model")
    LlamaBackend(model, width=2, context=256).close()
    model.close()
    params = contexts[0]
    assert (params.n_threads, params.n_threads_batch, params.flash_attn_type) == (3, 3, 1)
    assert (params.type_k, params.type_v) == (30, 30)
    assert (params.n_seq_max, params.n_ctx, params.kv_unified) == (2, 512, False)


def test_a_split_over_more_devices_than_llama_cpp_knows_is_a_usage_error(path):
    with pytest.raises(UsageError, match="--tensor-split"):
        LlamaModel(path, LoadOptions(tensor_split=(1.0,) * 1000))


@pytest.mark.parametrize("share", [-1.0, float("nan"), float("inf"), 1e38])
def test_shares_that_are_no_proportions_are_a_usage_error(share):
    with pytest.raises(UsageError, match=r"--tensor-split 1,.*: not proportions"):
        LoadOptions(tensor_split=(1.0, share))
    assert LoadOptions(tensor_split=(0.0, 0.0)).tensor_split == (0.0, 0.0)  # llama.cpp's way to say: as there is room


def test_a_build_without_rpc_names_the_command_that_builds_one(path, monkeypatch):
    monkeypatch.setattr(llama.binding(), "llama_supports_rpc", lambda: False)
    with pytest.raises(ModelError, match="no RPC") as caught:
        LlamaModel(path, LoadOptions(rpc=("127.0.0.1:50052",)))
    assert "CMAKE_ARGS=-DGGML_RPC=on pip install" in caught.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "a..b", "x" * 70])
def test_no_server_or_no_host_of_that_name_is_an_error_of_one_line(monkeypatch, host):
    monkeypatch.setattr(llama.binding(), "llama_supports_rpc", lambda: True)
    with socket.socket() as held:  # bound, and not listening
        held.bind(("127.0.0.1", 0))
        address = f"{host}:{held.getsockname()[1]}"
        with pytest.raises(ModelError, match=f"no RPC server at {address}: [A-Zn]"):
            binding.add_rpc_servers([address])


def test_a_server_that_would_end_the_process_is_found_out_by_a_child(monkeypatch):
    monkeypatch.setattr(llama.binding(), "llama_supports_rpc", lambda: True)
    monkeypatch.setattr(binding, "_connect", lambda address: None)
    with pytest.raises(ModelError, match="the RPC server offers no device"):  # what the child says in this build
        binding.add_rpc_servers(["127.0.0.1:1"])

    def abort(target, address, seconds):
        raise ChildError("crashed", "crashed (SIGABRT)")

    monkeypatch.setattr(binding.child, "ask", abort)
    with pytest.raises(ModelError, match="not an RPC server"):
        binding.add_rpc_servers(["127.0.0.1:1"])


def test_without_a_graphics_processor_nothing_is_offloaded(path, monkeypatch):
    monkeypatch.setattr(llama, "has_gpu", lambda: False)
    model = LlamaModel(path, LoadOptions(threads=1))
    assert not model.offloads
    monkeypatch.setattr(llama, "has_gpu", lambda: True)
    assert model.offloads
    model.close()
