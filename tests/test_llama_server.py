"""On a real llama-server: the recipe of the documentation, servers that go away, and the server's own count.

Runs where a `llama-server` is on the path, or where the package xllamacpp, which carries one, is installed.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from dynscale_cli.models.stores import bundled
from tests.cli_process import MINUTES, ask, dynscale, lines, start

PROGRAM = shutil.which("llama-server")
WITHIN = """
import sys, time, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.port, p.hostnames = sys.argv[1], int(sys.argv[2]), ["127.0.0.1"]
p.n_parallel, p.n_ctx, p.endpoint_metrics, p.fit_params = 4, 8192, True, False
p.cpuparams.n_threads, p.no_extra_bufts = 1, True
server = xllamacpp.Server(p)
time.sleep(1e6)
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PROGRAM is None and find_spec("xllamacpp") is None, reason="no llama-server on the path, and no xllamacpp"
    ),
]
QUESTIONS = [f"What is {n} + {n + 3}?" for n in range(2, 8)]


class Served:
    """The bundled model in a llama-server, which can be killed and started again at the same address."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        model = str(bundled())
        flags = ["-np", "4", "-c", "8192", "-t", "1", "--metrics", "--no-repack", "--port", str(self.port)]
        command = [PROGRAM, "-m", model, *flags] if PROGRAM else [sys.executable, "-c", WITHIN, model, str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> Served:
        end = time.monotonic() + MINUTES
        while time.monotonic() < end:
            try:
                if urlopen(f"{self.url}/health", timeout=5).status == 200:
                    return self
            except (URLError, OSError):
                time.sleep(0.2)
        raise TimeoutError(self.url)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def counted(self) -> int:
        """Tokens that the server has evaluated and generated so far, as it tells itself."""
        said = urlopen(f"{self.url}/metrics", timeout=MINUTES).read().decode()
        return sum(
            int(float(re.search(rf"^llamacpp:{name}_total (\S+)", said, re.MULTILINE)[1]))  # type: ignore[index]
            for name in ("prompt_tokens", "tokens_predicted")
        )


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = Served()
    yield server.wait()
    server.kill()


def test_the_recipe_of_the_documentation_answers_within_the_servers_own_count(served: Served, tmp_path: Path) -> None:
    before = served.counted()
    asked = "\n".join(QUESTIONS).encode()
    done = ask("--endpoint", served.url, "-f", "-", "--budget", "2k", "--max-tokens", "32", cwd=tmp_path, stdin=asked)
    assert done.returncode in (0, 3), done.stderr
    assert len(lines(done.stdout)) == len(QUESTIONS)
    closing = done.stderr.decode().splitlines()[-1]
    billed = int(closing.partition(" tokens")[0].rpartition(" ")[2].replace(",", ""))
    assert 0 < served.counted() - before <= billed <= 2000


def test_samples_that_share_a_request_are_billed_as_the_server_counts_them(served: Served, tmp_path: Path) -> None:
    before = served.counted()
    done = ask("--endpoint", served.url, "--max-samples", "4", "--max-tokens", "32", "What is 31 + 4?", cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    billed = int(done.stderr.decode().splitlines()[-1].partition(" tokens")[0].rpartition(" ")[2].replace(",", ""))
    assert 0 < served.counted() - before <= billed


def test_an_endpoint_that_is_killed_and_started_again_loses_no_question(served: Served, tmp_path: Path) -> None:
    other = Served().wait()
    flags = ("--endpoint", served.url, "--endpoint", other.url, "--budget", "3k", "--max-tokens", "32")
    with start("ask", *flags, *QUESTIONS, cwd=tmp_path) as process:
        while other.counted() == 0 and process.poll() is None:
            time.sleep(0.1)
        other.kill()
        other.start()
        stdout, stderr = process.communicate(timeout=MINUTES)
    other.kill()
    assert process.returncode in (0, 3), stderr
    assert len(lines(stdout)) == len(QUESTIONS)
    assert b"Traceback" not in stderr


def test_a_client_that_is_killed_goes_on_within_the_budget_by_the_servers_count(served: Served, tmp_path: Path) -> None:
    before = served.counted()
    flags = ("--endpoint", served.url, "--budget", "1500", "--max-tokens", "32")
    with start("ask", *flags, *QUESTIONS, cwd=tmp_path) as process:
        while served.counted() < before + 150 and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = dynscale("runs", "resume", cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert len(lines(done.stdout)) == len(QUESTIONS)
    assert served.counted() - before <= 1500
