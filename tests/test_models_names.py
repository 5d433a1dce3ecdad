"""Which model a name means: what the list prints and shorter, aliases, the default; and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynscale_cli.errors import ModelError, UsageError
from dynscale_cli.models import names
from dynscale_cli.models import resolve as naming
from dynscale_cli.models import stores as places
from dynscale_cli.models.resolve import resolve
from dynscale_cli.models.stores import bundled
from tests.model_stores import Stores, put

GGUF = b"GGUF" + bytes(20)


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Three models of Hugging Face's, one of Ollama's, one of LM Studio's."""
    monkeypatch.setattr(places, "OLLAMA_SERVICE", tmp_path / "no-such-service")
    monkeypatch.chdir(tmp_path)
    stores = Stores(tmp_path / "user")
    stores.hf("Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf", GGUF + b"1")
    stores.hf("Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q8_0.gguf", GGUF + b"2")
    stores.hf("unsloth/gemma-3-GGUF", "gemma-3-UD-Q4_K_XL.gguf", GGUF + b"3")
    stores.pulled("llama3.2:latest", GGUF + b"4")
    put(stores.lmstudio / "bartowski/gemma-3-GGUF/gemma-3-Q6_K.gguf", GGUF + b"5")
    return stores


def last_byte(stores: Stores, name: str | None) -> bytes:
    return resolve(name, stores.environ).read_bytes()[-1:]


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("Qwen/Qwen3-4B-GGUF:Q8_0", b"2"),
        ("hf:Qwen/Qwen3-4B-GGUF:Q8_0", b"2"),
        ("hf:qwen/qwen3-4b-gguf:q8_0", b"2"),
        ("hf:Qwen3-4B-GGUF", b"1"),
        ("Qwen/Qwen3-4B-GGUF", b"1"),
        ("hf:Qwen/Qwen3-4B-GGUF", b"1"),
        ("Qwen3-4B-GGUF", b"1"),
        ("Qwen3-4B-GGUF:Q8_0", b"2"),
        ("Qwen3-4B-Q8_0.gguf", b"2"),
        ("llama3.2", b"4"),
        ("llama3.2:latest", b"4"),
        ("ollama:llama3.2", b"4"),
        ("bartowski/gemma-3-GGUF", b"5"),
        ("lmstudio:gemma-3-GGUF", b"5"),
        ("hf:bartowski/gemma-3-GGUF", b"5"),
        ("unsloth/gemma-3-GGUF:UD-Q4_K_XL", b"3"),
        ("qwen3", b"1"),
        ("qwen3-4b", b"1"),
        ("llama3", b"4"),
        ("hf.co/Qwen/Qwen3-4B-GGUF:Q8_0", b"2"),
        ("https://huggingface.co/Qwen/Qwen3-4B-GGUF", b"1"),
        ("https://huggingface.co/Qwen/Qwen3-4B-GGUF/blob/main/Qwen3-4B-Q8_0.gguf?download=true", b"2"),
    ],
)
def test_names_whole_and_shortened(stores: Stores, name: str, which: bytes) -> None:
    assert last_byte(stores, name) == which


def test_every_name_that_is_listed_is_taken(stores: Stores) -> None:
    known = naming.names(stores.environ)
    assert len(known) == len({resolve(name, stores.environ) for name in known}) == 6


def test_a_part_of_several_names_and_a_page_that_is_not_on_disk_are_told(stores: Stores) -> None:
    with pytest.raises(ModelError) as error:
        resolve("gemma", stores.environ)
    assert "gemma may be hf:unsloth/gemma-3-GGUF:UD-Q4_K_XL, lmstudio:bartowski" in error.value.message
    with pytest.raises(ModelError) as error:
        resolve("https://huggingface.co/acme/New-GGUF", stores.environ)
    assert error.value.hint.startswith("dynscale models pull acme/New-GGUF")


def test_a_name_that_means_several_says_which(stores: Stores) -> None:
    with pytest.raises(ModelError) as error:
        resolve("gemma-3-GGUF", stores.environ)
    assert "hf:unsloth/gemma-3-GGUF:UD-Q4_K_XL, lmstudio:bartowski/gemma-3-GGUF:Q6_K" in error.value.message
    assert error.value.hint.startswith("-m hf:unsloth/")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mistralai/Ministral-GGUF", "dynscale models pull mistralai/Ministral-GGUF"),
        ("hf:mistralai/Ministral-GGUF:Q5_K_M", "dynscale models pull mistralai/Ministral-GGUF:Q5_K_M"),
        ("Qwen/Qwen3-4B-GGUF:Q6_K", "dynscale models pull Qwen/Qwen3-4B-GGUF:Q6_K"),
        ("Qwen/Qwen3-4B-GUFF", "-m Qwen/Qwen3-4B-GGUF:Q4_K_M"),
        ("lama3.2", "-m llama3.2:latest"),
        ("gemma", "-m "),
        ("phi4:14b", "ollama pull phi4:14b"),
        ("ollama:phi4", "ollama pull phi4"),
        ("nothing-like-it", "dynscale models list"),
    ],
)
def test_a_name_on_no_disk_says_what_would_get_it_or_what_was_meant(stores: Stores, name: str, hint: str) -> None:
    with pytest.raises(ModelError) as error:
        resolve(name, stores.environ)
    assert hint in error.value.hint
    assert name.removeprefix("hf:") in error.value.message


def test_a_link_whose_blob_is_gone_says_what_gets_it_back(stores: Stores) -> None:
    resolve("Qwen/Qwen3-4B-GGUF:Q8_0", stores.environ).resolve().unlink()
    with pytest.raises(ModelError, match="is gone") as error:
        resolve("Qwen/Qwen3-4B-GGUF:Q8_0", stores.environ)
    assert error.value.hint == "dynscale models pull Qwen/Qwen3-4B-GGUF:Q8_0"


def test_no_folder_is_looked_into_without_a_name(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for a path, nor for a default that is a file: an ask that needs no search does not pay for one."""

    def scan(*arguments: object, **options: object) -> None:
        raise AssertionError("looked through the stores")

    monkeypatch.setattr(places, "scan", scan)
    path = put(stores.home / "own.gguf", GGUF)
    assert resolve(None, stores.environ) == bundled()
    assert resolve(str(path), stores.environ) == path
    names.change_aliases(lambda _: names.Aliases(default=str(path)), stores.environ)
    assert resolve(None, stores.environ) == path


def test_m_beats_the_environment_and_that_the_default_and_that_the_bundled_model(stores: Stores) -> None:
    assert resolve(None, stores.environ) == bundled()
    naming.set_default("Qwen/Qwen3-4B-GGUF:Q8_0", stores.environ)
    assert last_byte(stores, None) == b"2"
    stores.environ["DYNSCALE_MODEL"] = "llama3.2"
    assert last_byte(stores, None) == b"4"
    assert last_byte(stores, "lmstudio:gemma-3-GGUF") == b"5"
    del stores.environ["DYNSCALE_MODEL"]
    naming.set_default(None, stores.environ)
    assert resolve(None, stores.environ) == bundled()


def test_an_alias_stays_with_its_model(stores: Stores) -> None:
    """It names the place, so that a model of the same name elsewhere, found later, changes nothing."""
    naming.remember("gemma", "unsloth/gemma-3-GGUF", stores.environ)
    naming.remember("again", "gemma", stores.environ)
    put(stores.lmstudio / "unsloth/gemma-3-GGUF/gemma-3-UD-Q4_K_XL.gguf", GGUF + b"6")
    assert last_byte(stores, "gemma") == last_byte(stores, "again") == b"3"
    naming.forget("gemma", stores.environ)
    assert names.load_aliases(stores.environ).targets.keys() == {"again"}
    with pytest.raises(UsageError, match="no alias gemma"):
        naming.forget("gemma", stores.environ)


def test_an_alias_beats_a_file_in_the_working_directory_unless_it_is_written_as_a_path(stores: Stores) -> None:
    put(Path("fast"), GGUF + b"7")
    assert last_byte(stores, "fast") == b"7"
    naming.remember("fast", "llama3.2", stores.environ)
    assert last_byte(stores, "fast") == b"4"
    assert last_byte(stores, "./fast") == b"7"


def test_aliases_that_mean_each_other_mean_nothing(stores: Stores) -> None:
    put(names.aliases_file(stores.environ), b'[aliases]\na = "b"\nb = "a"\n')
    with pytest.raises(ModelError, match="the alias a"):
        resolve("a", stores.environ)


def test_a_default_whose_model_is_gone_says_so_and_what_gets_it_back(stores: Stores) -> None:
    naming.set_default("Qwen/Qwen3-4B-GGUF:Q8_0", stores.environ)
    resolve(None, stores.environ).unlink()
    with pytest.raises(ModelError, match="models default") as error:
        resolve(None, stores.environ)
    assert "dynscale models pull Qwen/Qwen3-4B-GGUF:Q8_0" in error.value.hint


@pytest.mark.parametrize("alias", ["", "a/b", "a:b", "x.gguf", "-m", ".", "two words", "naïve"])
def test_what_could_be_taken_for_something_else_is_no_alias(stores: Stores, alias: str) -> None:
    with pytest.raises(UsageError):
        naming.remember(alias, "llama3.2", stores.environ)


def test_a_model_s_own_name_is_no_alias_for_another(stores: Stores) -> None:
    path = bundled()
    assert path is not None
    with pytest.raises(UsageError, match="is the name of a model"):
        naming.remember(path.stem, "llama3.2", stores.environ)


@pytest.mark.parametrize(
    "text", ["default = 3", "aliases = []", "[aliases]\na = 1", "= =", "\xff", "a = " + 5000 * "9", "a = " + 9999 * "["]
)
def test_a_file_of_choices_that_cannot_be_read_is_named(stores: Stores, text: str) -> None:
    path = put(names.aliases_file(stores.environ), text.encode("latin-1"))
    with pytest.raises(UsageError) as error:
        resolve(None, stores.environ)
    assert str(path) in error.value.message
    assert "\n" not in error.value.message


def test_choices_survive_names_of_every_kind_and_a_failing_write(stores: Stores) -> None:
    target = str(stores.home / 'a "quoted" \\ näme\x7f.gguf')
    put(Path(target), GGUF)
    naming.remember("odd", target, stores.environ)
    assert resolve("odd", stores.environ) == Path(target)
    before = names.aliases_file(stores.environ).read_bytes()
    with pytest.raises(UsageError):
        names.change_aliases(lambda _: names.Aliases(default="\udcff"), stores.environ)
    assert names.aliases_file(stores.environ).read_bytes() == before
    left = {path.name for path in names.aliases_file(stores.environ).parent.iterdir()}
    assert left <= {"models.toml", ".models.toml.lock"}


@pytest.mark.parametrize(
    ("name", "quant"),
    [
        ("Qwen3-4B-Q4_K_M.gguf", "Q4_K_M"),
        ("model.q8_0.gguf", "Q8_0"),
        ("gemma-UD-IQ2_XXS.gguf", "UD-IQ2_XXS"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("big-BF16-00001-of-00004.gguf", "BF16"),
        ("Q6_K/big-00001-of-00004.gguf", "Q6_K"),
        ("llama-2-7b-chat.gguf", ""),
    ],
)
def test_quantisations_in_names(name: str, quant: str) -> None:
    assert names.quant(name) == quant


def test_the_usual_quantisation_is_preferred_then_those_near_it() -> None:
    tags = ["F16", "IQ2_XXS", "Q2_K", "Q3_K_M", "Q4_0", "Q4_K_M", "Q4_K_S", "Q5_K_M", "Q8_0", "UD-Q4_K_XL", "unknown"]
    best = sorted(tags, key=names.rank)
    assert best[:3] == ["Q4_K_M", "UD-Q4_K_XL", "Q5_K_M"]
    assert best.index("Q8_0") < best.index("Q3_K_M") < best.index("F16") < best.index("Q2_K")
