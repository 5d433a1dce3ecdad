"""Downloads, by the command as a process, from a hub on the loopback address: what is fetched, and what may fail."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from dynscale_cli.errors import UsageError
from dynscale_cli.models.pull import Wanted, parse
from tests.cli_process import COMMAND, MINUTES, dynscale, environment, lines
from tests.fake_hub import Hub, serving
from tests.gguf_mutants import split, take_apart
from tests.tiny_gguf import write_tiny_gguf

REPO = "acme/Tiny-GGUF"
NO_SOCKS = pytest.mark.skipif(find_spec("socksio") is not None, reason="socksio is installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of three megabytes: several pieces of a download."""
    vocab = tuple(f"word{number}" for number in range(10_000))
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "m.gguf", vocab=vocab).read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_gguf(tmp_path_factory.mktemp("small") / "s.gguf").read_bytes()


@pytest.fixture
def hub(model: bytes, small: bytes) -> Iterator[Hub]:
    files = {
        "README.md": b"# Tiny",
        "tiny-Q8_0.gguf": small,
        "tiny-Q4_K_M.gguf": model,
        "mmproj-tiny-Q4_K_M.gguf": small,
    }
    with serving(Hub({REPO: files, "acme/Tiny": {"model.safetensors": b"0"}})) as hub:
        yield hub


def pull(hub: Hub, cwd: Path, name: str = REPO, **env: str) -> subprocess.CompletedProcess[bytes]:
    return dynscale("models", "pull", name, cwd=cwd, env=hub.environment | env)


def failure(done: subprocess.CompletedProcess[bytes], code: int = 1) -> str:
    """What a failed pull says: one line and a hint, after what it said meanwhile."""
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert done.stdout == b""
    assert "Traceback" not in said
    assert lines(done.stderr)[-2].startswith("dynscale: ")
    assert lines(done.stderr)[-1].startswith("  try: ")
    return "\n".join(lines(done.stderr)[-2:])


def partial(cwd: Path) -> list[Path]:
    return list((cwd / ".cache/huggingface/hub").rglob("*.incomplete"))


def test_the_preferred_quantisation_is_pulled_into_the_cache_and_can_be_named(
    hub: Hub, tmp_path: Path, model: bytes
) -> None:
    done = pull(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    path = Path(lines(done.stdout)[0])
    assert path.read_bytes() == model
    assert path.is_relative_to(tmp_path / ".cache/huggingface/hub/models--acme--Tiny-GGUF/snapshots")
    assert b"dynscale ask -m acme/Tiny-GGUF:Q4_K_M" in done.stderr
    assert len(hub.downloads()) == 1
    assert b"acme/Tiny-GGUF:Q4_K_M" in dynscale("models", "list", cwd=tmp_path).stdout
    again = pull(hub, tmp_path)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert len(hub.downloads()) == 1
    offline = pull(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert (offline.returncode, offline.stdout) == (0, done.stdout)


def test_all_parts_of_a_split_model_are_pulled(tmp_path: Path, small: bytes) -> None:
    parts = {f"Q6_K/{path.name}": path.read_bytes() for path in split(take_apart(small), tmp_path, "big-Q6_K")}
    with serving(Hub({REPO: {**parts, "other-Q8_0.gguf": small}})) as hub:
        done = pull(hub, tmp_path, f"hf:{REPO}:q6_k")
    assert done.returncode == 0, done.stderr
    assert Path(lines(done.stdout)[0]).name == "big-Q6_K-00001-of-00002.gguf"
    assert len(hub.downloads()) == 2


def test_an_interrupted_download_is_resumed_by_the_next_pull(hub: Hub, tmp_path: Path, model: bytes) -> None:
    hub.hangs = [2_500_000]
    command = [*COMMAND, "models", "pull", REPO]
    env = environment(tmp_path, hub.environment)
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert hub.hung.wait(MINUTES)
        deadline = time.monotonic() + MINUTES
        while sum(path.stat().st_size for path in partial(tmp_path)) < 2 << 20 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=MINUTES)
    assert process.returncode == 130
    assert stdout == b""
    assert b"2.1 MB of 3.1 MB are kept" in stderr
    assert b"dynscale models pull acme/Tiny-GGUF:Q4_K_M" in stderr
    assert b"Traceback" not in stderr
    (left,) = partial(tmp_path)
    told = dynscale("models", "list", cwd=tmp_path).stderr.decode()
    assert "acme/Tiny-GGUF, of which 2.1 MB are here" in told
    assert f"rm {left}" in told
    done = pull(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(lines(done.stdout)[0]).read_bytes() == model
    assert hub.downloads()[-1]["range"].startswith(f"bytes={2 << 20}-")
    assert partial(tmp_path) == []


def test_a_hub_that_refuses_the_rest_is_asked_for_all_of_it(hub: Hub, tmp_path: Path, small: bytes) -> None:
    hub.excess, name = b"more", f"{REPO}:Q8_0"
    failure(pull(hub, tmp_path, name))
    (left,) = partial(tmp_path)
    left.write_bytes(bytes(1000))
    hub.excess, hub.no_rest = b"", True
    done = pull(hub, tmp_path, name)
    assert done.returncode == 0, done.stderr
    assert Path(lines(done.stdout)[0]).read_bytes() == small


def test_a_broken_connection_and_a_busy_hub_are_tried_again(hub: Hub, tmp_path: Path, model: bytes) -> None:
    hub.cuts = [2_500_000]
    hub.busy["/api/"] = [429, 503]
    hub.busy["/cdn/"] = [429]
    done = pull(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(lines(done.stdout)[0]).read_bytes() == model
    assert len(hub.downloads()) >= 2


def test_a_hub_that_stays_busy_is_given_up(hub: Hub, tmp_path: Path) -> None:
    hub.busy["/api/"] = [429] * 100
    assert "asked too often (HTTP 429)" in failure(pull(hub, tmp_path))
    assert len(hub.requests) < 20


def test_bytes_that_are_not_the_announced_ones_are_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.damage = True
    assert "checksum" in failure(pull(hub, tmp_path))
    assert partial(tmp_path) == []
    assert b"Tiny" not in dynscale("models", "list", cwd=tmp_path).stdout
    hub.damage = False
    assert pull(hub, tmp_path).returncode == 0


def test_more_bytes_than_announced_are_not_taken(hub: Hub, tmp_path: Path, model: bytes) -> None:
    hub.excess = bytes(9_000_000)
    assert "more than it announced" in failure(pull(hub, tmp_path))
    assert all(path.stat().st_size <= len(model) for path in (tmp_path / ".cache").rglob("*") if path.is_file())


def test_no_path_that_a_hub_tells_leaves_the_cache(tmp_path: Path, small: bytes) -> None:
    names = ("../../../../out.gguf", "/tmp/out.gguf", "a/../../../../out.gguf", "out\n.gguf", "\x1b]0;x\x07.gguf")
    with serving(Hub({REPO: dict.fromkeys(names, small)})) as hub:
        assert "holds no GGUF file" in failure(pull(hub, tmp_path))
    with serving(Hub({REPO: {"fine-Q4_0.gguf": small}}, etag="../../../../../out")) as hub:
        done = pull(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(lines(done.stdout)[0]).read_bytes() == small
    assert not list(tmp_path.rglob("*out*"))


def test_a_list_of_files_that_does_not_end_is_not_read(hub: Hub, tmp_path: Path) -> None:
    hub.padding = 40 << 20
    assert "does not end" in failure(pull(hub, tmp_path))


@pytest.mark.parametrize(
    "told",
    [
        b"<html>please log in</html>",
        b"[" * 200_000,
        b'{"id": "a/b", "sha": 7, "siblings": []}',
        b'{"id": "a/b", "sha": "%s", "siblings": {"a": 1}}' % (b"0" * 40),
        b'{"id": "a/b", "sha": "%s", "siblings": [{"rfilename": "m.gguf", "size": "many"}]}' % (b"0" * 40),
    ],
)
def test_a_list_of_files_of_another_form_is_one_line(hub: Hub, tmp_path: Path, told: bytes) -> None:
    hub.listed = told
    assert "cannot be understood" in failure(pull(hub, tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        pytest.param("ALL_PROXY", "socks5://127.0.0.1:9", "ALL_PROXY names a SOCKS proxy", marks=NO_SOCKS),
        ("HTTPS_PROXY", "foo://me:secret@127.0.0.1:9", "HTTPS_PROXY cannot be used"),
        ("SSL_CERT_FILE", "/nowhere.pem", "SSL_CERT_FILE=/nowhere.pem: No such file"),
    ],
)
def test_what_the_environment_says_wrongly_of_connections_is_one_line(
    hub: Hub, tmp_path: Path, name: str, value: str, words: str
) -> None:
    said = failure(pull(hub, tmp_path, **{"NO_PROXY": "", name: value}), 2)
    assert words in said
    assert "secret" not in said


def test_a_file_that_the_disk_cannot_hold_is_refused_before_the_first_byte(hub: Hub, tmp_path: Path) -> None:
    hub.announced["tiny-Q4_K_M.gguf"] = 10**18
    said = failure(pull(hub, tmp_path))
    assert "1000000 TB" in said
    assert "HF_HUB_CACHE=" in said
    assert hub.downloads() == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_disk_that_fills_up_meanwhile(hub: Hub, tmp_path: Path, model: bytes) -> None:
    blobs = tmp_path / ".cache/huggingface/hub/models--acme--Tiny-GGUF/blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(model).hexdigest()}.incomplete").symlink_to("/dev/full")
    assert "the disk is full" in failure(pull(hub, tmp_path))


def test_the_token_opens_a_gated_repository_and_is_shown_to_the_hub_alone(hub: Hub, tmp_path: Path) -> None:
    hub.gated.add(REPO)
    said = failure(pull(hub, tmp_path))
    assert "is gated" in said
    assert "HF_TOKEN=" in said
    assert pull(hub, tmp_path, HF_TOKEN="hf_secret").returncode == 0
    shown = {path.split("/")[1] for _, path, headers in hub.requests if "authorization" in headers}
    assert "acme" in shown
    assert "cdn" not in shown


@pytest.mark.parametrize(
    ("name", "code", "words", "hint"),
    [
        ("acme/Nothing", 1, "HTTP 404", "OWNER/REPO"),
        ("acme/Tiny", 1, "holds no GGUF", "acme/Tiny-GGUF"),
        (f"{REPO}:Q5_K_M", 1, "there is Q4_K_M, Q8_0", f"dynscale models pull {REPO}:Q4_K_M"),
        ("tiny", 2, "not a repository", "dynscale models pull"),
    ],
)
def test_names_that_cannot_be_pulled(hub: Hub, tmp_path: Path, name: str, code: int, words: str, hint: str) -> None:
    said = failure(pull(hub, tmp_path, name), code)
    assert words in said
    assert hint in said


def test_without_a_network(hub: Hub, tmp_path: Path) -> None:
    assert "cannot be reached" in failure(pull(hub, tmp_path, HF_ENDPOINT="http://127.0.0.1:9"))
    assert "HF_HUB_OFFLINE" in failure(pull(hub, tmp_path, HF_HUB_OFFLINE="1"))


def test_without_the_library_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "huggingface_hub.py").write_text("raise ImportError\n")
    done = dynscale("models", "pull", REPO, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert 'pip install "dynscale-cli[hub]"' in failure(done)


def test_ask_downloads_nothing(hub: Hub, tmp_path: Path) -> None:
    done = dynscale("ask", "-m", REPO, "Why?", cwd=tmp_path, env=hub.environment)
    assert f"try: dynscale models pull {REPO}" in failure(done)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Qwen/Qwen3-4B-GGUF", Wanted("Qwen/Qwen3-4B-GGUF")),
        ("hf:Qwen/Qwen3-4B-GGUF:q8_0", Wanted("Qwen/Qwen3-4B-GGUF", "q8_0")),
        ("https://huggingface.co/Qwen/Qwen3-4B-GGUF", Wanted("Qwen/Qwen3-4B-GGUF")),
        ("https://huggingface.co/Qwen/Qwen3-4B-GGUF/tree/main", Wanted("Qwen/Qwen3-4B-GGUF")),
        ("https://hf.co/a/b/blob/main/x-Q4_0.gguf?download=true", Wanted("a/b", "x-Q4_0.gguf")),
        ("hf.co/Qwen/Qwen3-4B-GGUF", Wanted("Qwen/Qwen3-4B-GGUF")),
        ("hf.co/Qwen/Qwen3-4B-GGUF:Q8_0", Wanted("Qwen/Qwen3-4B-GGUF", "Q8_0")),
        ("huggingface.co/a/b/resolve/main/x-Q4_0.gguf", Wanted("a/b", "x-Q4_0.gguf")),
    ],
)
def test_names_and_addresses_of_repositories(text: str, wanted: Wanted) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize("text", ["", "Qwen", "a/b/c", "a/b:", "../x", "https://huggingface.co/Qwen", "a b/c"])
def test_what_names_no_repository(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)
