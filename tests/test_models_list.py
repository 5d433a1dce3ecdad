"""What is on this machine: every program's models, each once, whatever state they are in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rich.cells import cell_len

from dynscale_cli.display.listings import closing_lines
from dynscale_cli.display.text import columns
from dynscale_cli.models import stores as places
from dynscale_cli.models.info import Listed, listing
from dynscale_cli.models.names import aliases_file
from tests.cli_process import dynscale, lines
from tests.gguf_mutants import split, take_apart
from tests.model_stores import Stores, put
from tests.tiny_gguf import write_tiny_gguf


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Models that differ."""
    folder = tmp_path_factory.mktemp("models")
    return [write_tiny_gguf(folder / f"{seed}.gguf", seed=seed).read_bytes() for seed in range(4)]


@pytest.fixture(scope="module")
def split_model(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> list[Path]:
    return split(take_apart(contents[0]), tmp_path_factory.mktemp("split"), "big-Q4_0")


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setattr(places, "OLLAMA_SERVICE", tmp_path / "no-such-service")
    return Stores(tmp_path / "user")


def listed(stores: Stores) -> dict[str, Listed]:
    return {one.name: one for one in listing(stores.environ).models if one.source != "bundled"}


def test_every_program_s_models_are_found_and_none_is_copied(stores: Stores, contents: list[bytes]) -> None:
    stores.hf("Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf", contents[0])
    put(stores.llamacpp / "ggml-org_gemma-3-4b-it-Q8_0.gguf", contents[1])
    stores.pulled("llama3.2:1b", contents[2])
    put(stores.lmstudio / "bartowski/Phi-4-GGUF/Phi-4-Q6_K.gguf", contents[3])
    found = listed(stores)
    assert {name: one.source for name, one in found.items()} == {
        "Qwen/Qwen3-4B-GGUF:Q4_K_M": "Hugging Face",
        "ggml-org_gemma-3-4b-it-Q8_0": "llama.cpp",
        "llama3.2:1b": "Ollama",
        "bartowski/Phi-4-GGUF:Q6_K": "LM Studio",
    }
    one = found["llama3.2:1b"]
    assert (one.architecture, one.quantisation, one.context, one.problem) == ("llama", "F32", 512, "")
    assert one.size == len(contents[2])
    assert all(Path(one.path).is_relative_to(stores.home) for one in found.values())


def test_a_file_under_several_names_counts_once(stores: Stores, contents: list[bytes]) -> None:
    blob = stores.pulled("llama3.2:1b", contents[0])
    stores.pulled("llama3.2:latest", contents[0])
    folder = stores.lmstudio / "me/mine"
    folder.mkdir(parents=True)
    (folder / "model.gguf").hardlink_to(blob)
    (folder / "link.gguf").symlink_to(blob)
    (one,) = listed(stores).values()
    assert {one.name, *one.other_names} >= {"llama3.2:1b", "llama3.2:latest"}


def test_a_split_model_is_one_line_with_the_size_of_all_parts(stores: Stores, split_model: list[Path]) -> None:
    for part in split_model:
        put(stores.lmstudio / "me/big" / part.name, part.read_bytes())
    (one,) = listed(stores).values()
    assert one.name == "me/big:Q4_0"
    assert one.size == sum(part.stat().st_size for part in split_model)
    assert one.problem == ""


def test_damaged_entries_are_listed_with_what_is_wrong(
    stores: Stores, contents: list[bytes], split_model: list[Path]
) -> None:
    put(stores.lmstudio / "me/cut/cut-Q4_0.gguf", contents[0][:-1000])
    put(stores.lmstudio / "me/page/page-Q4_0.gguf", b"<!DOCTYPE html>")
    put(stores.lmstudio / "me/part/big-Q4_0-00001-of-00002.gguf", split_model[0].read_bytes())
    stores.hf("me/gone", "gone-Q4_0.gguf", contents[1]).resolve().unlink()
    put(stores.ollama / "manifests/registry.ollama.ai/library/broken/latest", b"{")
    problems = {name: one.problem for name, one in listed(stores).items()}
    assert problems.keys() == {"me/cut:Q4_0", "me/page:Q4_0", "me/part:Q4_0", "me/gone:Q4_0"}
    assert "cut short" in problems["me/cut:Q4_0"]
    assert "not a GGUF file" in problems["me/page:Q4_0"]
    assert "big-Q4_0-00002-of-00002.gguf is missing" in problems["me/part:Q4_0"]
    assert "gone" in problems["me/gone:Q4_0"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_links_in_a_circle_are_not_waited_for(stores: Stores, contents: list[bytes]) -> None:
    good = put(stores.lmstudio / "me/good/good-Q4_0.gguf", contents[0])
    os.mkfifo(good.with_name("pipe-Q4_0.gguf"))
    good.with_name("circle-Q4_0.gguf").symlink_to("circle-Q4_0.gguf")
    circle = put(stores.ollama / "manifests/registry.ollama.ai/library/m/latest", b"{}").with_name("circle")
    circle.symlink_to("circle")
    problems = {name: one.problem for name, one in listed(stores).items()}
    assert problems.keys() == {"me/good:good-Q4_0", "me/good:circle-Q4_0"}
    assert "gone" in problems["me/good:circle-Q4_0"]


def test_columns_of_wide_names_line_up() -> None:
    first, second = columns([("模型", "x"), ("abcde", "y")])
    assert (cell_len(first), cell_len(second)) == (8, 8)


def test_what_answers_no_questions_is_not_listed(stores: Stores, tmp_path: Path, contents: list[bytes]) -> None:
    encoder = write_tiny_gguf(tmp_path / "e.gguf", architecture="bert").read_bytes()
    adapter = write_tiny_gguf(tmp_path / "a.gguf", general__type="adapter", context_length=None).read_bytes()
    stores.pulled("nomic-embed:latest", encoder)
    put(stores.lmstudio / "me/model/adapter.gguf", adapter)
    put(stores.lmstudio / "me/model/mmproj-F16.gguf", contents[0])
    put(stores.lmstudio / "me/model/model.gguf", contents[1])
    assert listed(stores).keys() == {"me/model:model"}
    assert set(listing(stores.environ).aside) == {"nomic-embed:latest", "me/model:adapter"}


def test_of_a_changed_repository_the_revision_of_its_main_branch_counts(stores: Stores, contents: list[bytes]) -> None:
    main = stores.hf("me/model", "model-Q4_0.gguf", contents[2], commit="a" * 40)
    stores.hf("me/model", "model-Q4_0.gguf", contents[0], commit="b" * 40, main=False)
    stores.hf("me/model", "old-Q8_0.gguf", contents[1], commit="b" * 40, main=False)
    found = listed(stores)
    assert found.keys() == {"me/model:Q4_0", "me/model:Q8_0"}
    assert found["me/model:Q4_0"].path == str(main)


def test_models_of_one_name_in_two_places_are_told_apart(stores: Stores, contents: list[bytes]) -> None:
    stores.hf("me/model", "model-Q4_0.gguf", contents[0])
    put(stores.lmstudio / "me/model/model-Q4_0.gguf", contents[1])
    assert listed(stores).keys() == {"hf:me/model:Q4_0", "lmstudio:me/model:Q4_0"}


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HF_HUB_CACHE": "/a", "HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c", "XDG_CACHE_HOME": "/d"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c", "XDG_CACHE_HOME": "/d"}, "/b"),
        ({"HF_HOME": "/c", "XDG_CACHE_HOME": "/d"}, "/c/hub"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/huggingface/hub"),
        ({}, "/home/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_huggingface_hub_has_it(environ: dict[str, str], folder: str) -> None:
    assert places.hub_cache({"HOME": "/home", **environ}) == Path(folder)


def test_folders_that_the_environment_names_are_looked_into(stores: Stores, contents: list[bytes]) -> None:
    """LLAMA_CACHE in both of its layouts, Ollama's and LM Studio's settings, and folders of the user's own."""
    home = stores.home
    put(home / "l/flat-Q4_0.gguf", contents[0])
    stores.hub = home / "l"
    stores.hf("me/shared", "shared-Q4_0.gguf", contents[1])
    stores.ollama = home / "o"
    stores.pulled("phi:x", contents[2], host="hf.co/me")
    put(home / ".lmstudio/settings.json", json.dumps({"downloadsFolder": str(home / "s")}).encode())
    put(home / "own/deep/below/mine.gguf", contents[3])
    stores.environ |= {"LLAMA_CACHE": str(home / "l"), "OLLAMA_MODELS": str(home / "o")}
    stores.environ |= {"DYNSCALE_MODELS_FOLDERS": f"{home / 'own'}:{home / 'nowhere'}"}
    put(home / "s/pub/repo/x-Q4_0.gguf", contents[0][:-1])
    assert listed(stores).keys() == {"flat-Q4_0", "me/shared:Q4_0", "hf.co/me/phi:x", "mine", "pub/repo:Q4_0"}
    assert places.llamacpp_cache({"HOME": "/h"}, "darwin") == Path("/h/Library/Caches/llama.cpp")


def test_the_command_prints_names_that_m_takes(stores: Stores, contents: list[bytes]) -> None:
    stores.pulled("llama3.2:1b", contents[0])
    stores.pulled("broken:1b", contents[1][:-500])
    done = dynscale("models", "list", cwd=stores.home)
    assert done.returncode == 0
    head, *rows = lines(done.stdout)
    assert head.startswith("name ")
    names = [row.split()[0] for row in rows]
    assert "llama3.2:1b" in names
    assert "damaged: cut short" in done.stdout.decode()
    assert done.stderr == b""
    shown = dynscale("models", "show", "llama3.2:1b", "--json", cwd=stores.home)
    assert json.loads(shown.stdout)["size"] == len(contents[0])
    objects = [json.loads(line) for line in lines(dynscale("models", "list", "--json", cwd=stores.home).stdout)]
    assert [one["name"] for one in objects] == names
    assert [one["name"] for one in objects if one["default"]] == [one["name"] for one in objects[:1]]


def test_a_damaged_file_of_aliases_is_named_beside_the_list() -> None:
    aliases_file().parent.mkdir(parents=True, exist_ok=True)
    aliases_file().write_text("[aliases]\nfast = 1\n")
    found = listing()
    assert found.models
    assert any(str(aliases_file()) in line for line in closing_lines(found))
