"""What rm deletes: a model of the Hugging Face cache, and nothing that belongs to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynscale_cli.errors import ModelError
from dynscale_cli.models import stores as places
from dynscale_cli.models.resolve import local_model
from tests.cli_process import dynscale, lines
from tests.model_stores import Stores, put

GGUF = b"GGUF" + bytes(20)


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setattr(places, "OLLAMA_SERVICE", tmp_path / "no-such-service")
    monkeypatch.setattr(places, "home", lambda environ=None: tmp_path)
    return Stores(tmp_path)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.gguf")}


def test_one_of_two_models_goes_and_its_blob_with_it(stores: Stores) -> None:
    gone = stores.hf("me/model", "m-Q4_0.gguf", GGUF + b"1").resolve()
    stays = stores.hf("me/model", "m-Q8_0.gguf", GGUF + b"2")
    done = dynscale("models", "rm", "--yes", "me/model:Q4_0", cwd=stores.home)
    assert done.returncode == 0, done.stderr
    assert files(stores.hub) == {"m-Q8_0.gguf"}
    assert not gone.exists()
    assert stays.resolve().exists()


@pytest.mark.parametrize("installed", [True, False])
def test_the_last_model_takes_the_repository_with_it(stores: Stores, tmp_path: Path, installed: bool) -> None:
    stores.hf("me/model", "m-Q4_0.gguf", GGUF)
    stores.hf("me/other", "o-Q4_0.gguf", GGUF)  # of the same commit, as copies of repositories are
    env = {}
    if not installed:
        put(tmp_path / "path/huggingface_hub.py", b"raise ImportError\n")
        env = {"PYTHONPATH": str(tmp_path / "path")}
    done = dynscale("models", "rm", "-y", "me/model", cwd=stores.home, env=env)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in stores.hub.glob("models--*")] == ["models--me--other"]


def test_nothing_goes_without_a_yes(stores: Stores) -> None:
    stores.hf("me/model", "m-Q4_0.gguf", GGUF)
    done = dynscale("models", "rm", "me/model", cwd=stores.home, stdin=b"y\n")
    assert done.returncode == 2
    assert "dynscale models rm --yes me/model" in lines(done.stderr)[-1]
    assert files(stores.hub) == {"m-Q4_0.gguf"}


def test_what_is_left_of_another_download_stays(stores: Stores) -> None:
    stores.hf("me/model", "m-Q4_0.gguf", GGUF)
    half = put(stores.hub / "models--me--model/blobs/abc.incomplete", b"half")
    (found,) = [one for one in places.hub_models(stores.hub) if one.repo == "me/model"]
    places.remove(places.plan_removal(found))
    assert half.exists()
    assert files(stores.hub) == set()


def test_a_blob_that_repositories_share_stays_for_the_other(stores: Stores) -> None:
    """Of late huggingface_hub links blobs into a store of the whole cache."""
    shared = put(stores.hub / "blobs/ab/abcd", GGUF)
    for repo in ("me/model", "me/other"):
        blob = stores.hf(repo, "m-Q4_0.gguf", GGUF).resolve()
        blob.unlink()
        blob.symlink_to(shared)
    done = dynscale("models", "rm", "-y", "me/model", cwd=stores.home)
    assert done.returncode == 0, done.stderr
    assert (stores.hub / "models--me--other").exists()
    assert shared.exists()


def test_a_file_outside_of_the_cache_stays_where_it_is(stores: Stores) -> None:
    link = stores.hf("me/model", "m-Q4_0.gguf", GGUF)
    mine = put(stores.home / "mine.gguf", GGUF)
    link.unlink()
    link.symlink_to(mine)
    places.remove(places.plan_removal(local_model("me/model", stores.environ)))
    assert mine.exists()
    assert not link.is_symlink()


def test_models_of_others_are_refused_with_the_command_that_deletes_them(stores: Stores) -> None:
    stores.pulled("llama3.2:1b", GGUF + b"1")
    put(stores.lmstudio / "me/model/m-Q4_0.gguf", GGUF + b"2")
    mine = put(stores.home / "my models/mine.gguf", GGUF + b"3")
    for name, hint in (
        ("llama3.2:1b", "ollama rm llama3.2:1b"),
        ("me/model", "LM Studio"),
        (str(mine), f"rm '{mine}'"),
    ):
        with pytest.raises(ModelError, match="not dynscale's to delete") as error:
            places.plan_removal(local_model(name, stores.environ))
        assert hint in error.value.hint
