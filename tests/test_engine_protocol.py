"""What every engine promises, whoever decodes: a scripted model, llama.cpp, a server on the loopback address."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.engine.protocol import Engine, Finished, Message, Piece, Request, Sampling, Tokens
from tests.cli_process import ask, environment, lines
from tests.scripted import scripted_engine
from tests.tiny_gguf import write_tiny_gguf

BUDGET = 20_000
SECONDS = 60


# llama-cpp-python has no option for it, and AMX, which crashes on some machines, is an extra buffer type.
SERVER = """
import runpy
import llama_cpp
defaults = llama_cpp.llama_model_default_params
def without_extra_buffers():
    params = defaults()
    params.use_extra_bufts = False
    return params
llama_cpp.llama_model_default_params = llama_cpp.llama_cpp.llama_model_default_params = without_extra_buffers
runpy.run_module("llama_cpp.server", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="session")
def loopback(bundled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bundled model behind llama-cpp-python's own server: its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"model": str(bundled_model), "n_ctx": 1024, "n_threads": 1, "n_threads_batch": 1, "port": port}
    command = [sys.executable, "-c", SERVER, "--host", "127.0.0.1", "--interrupt_requests", "false"]
    home = tmp_path_factory.mktemp("server")
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *(word for name, value in options.items() for word in (f"--{name}", str(value)))],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(home),
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}/v1"
    try:
        _wait_for(url, process, home / "log")
        yield url
    finally:
        process.kill()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(10 * SECONDS):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{url}/models", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(params=["scripted", "llama.cpp", "server"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = MAKERS[request.param](request, tmp_path)
    yield made
    made.close()


def _scripted(request: pytest.FixtureRequest, folder: Path) -> Engine:
    return scripted_engine(lambda prompt, seed: " word" * 100, width=2)


def _llama(request: pytest.FixtureRequest, folder: Path) -> Engine:
    from dynscale_cli.engine.batched import BatchedEngine
    from dynscale_cli.engine.llama import LlamaBackend, LlamaModel
    from dynscale_cli.engine.options import LoadOptions

    model = LlamaModel(write_tiny_gguf(folder / "tiny.gguf"), LoadOptions(threads=1))
    backend = LlamaBackend(model, width=2, context=512)
    return BatchedEngine(backend, chunk=backend.chunk)


def _server(request: pytest.FixtureRequest, folder: Path) -> Engine:
    from dynscale_cli.engine.server.connect import connect, open_server
    from dynscale_cli.engine.server.endpoints import ServerOptions

    found = connect(ServerOptions((request.getfixturevalue("loopback"),)))
    return open_server(found, context=1024, max_tokens=8, width=2)


MAKERS: dict[str, Callable[[pytest.FixtureRequest, Path], Engine]] = {
    "scripted": _scripted, "llama.cpp": _llama, "server": _server,
}  # fmt: skip


class Driver:
    """Moves an engine as a run does: everything is reserved, announced, charged and settled in a ledger."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.ledger = engine, Ledger(BUDGET)
        self.pieces: dict[int, str] = {}
        self.finished: dict[int, Finished] = {}
        self.most: dict[int, int] = {}

    def submit(self, id: int, text: str = "Tell me about the sea.", limit: int = 8) -> None:
        prompt = self.engine.prompt([Message("user", text)])
        request = Request(id, prompt, limit, Sampling(), seed=id, cache_boundaries=(len(prompt),))
        quote = self.engine.prefill_cost(request)
        assert len(prompt) > 0
        self.most[id] = quote + limit
        ahead = self.most[id] if self.engine.info.upfront else 0
        assert self.ledger.reserve(id, 0 if ahead else quote, 0, ahead)
        self.engine.submit(request)

    def step(self) -> None:
        self.ledger.charge(self.engine.plan_step())
        for event in self.engine.step():
            if isinstance(event, Piece):
                self.pieces[event.id] = self.pieces.get(event.id, "") + event.text
            elif isinstance(event, Finished):
                self.finished[event.id] = event

    def until(self, *ids: int) -> None:
        deadline = time.monotonic() + SECONDS
        while not self.finished.keys() >= set(ids):
            assert time.monotonic() < deadline, "a request does not end"
            self.step()

    def settle(self, id: int, tokens: Tokens) -> None:
        assert self.ledger.settle(id, tokens.billed) == 0


def test_a_request_streams_ends_at_its_limit_and_costs_no_more_than_was_quoted(engine):
    driver = Driver(engine)
    driver.submit(1)
    driver.until(1)
    finished = driver.finished[1]
    assert finished.reason in ("length", "stop")
    assert finished.text == driver.pieces[1]
    assert 0 < finished.tokens.billed <= driver.most[1]
    driver.settle(1, finished.tokens)
    assert (driver.ledger.spent, driver.ledger.reserved) == (finished.tokens.billed, 0)


def test_more_requests_than_there_is_room_for_all_end(engine):
    driver, waiting = Driver(engine), list(range(5))
    while len(driver.finished) < 5:
        while waiting and engine.free_slots > 0:
            driver.submit(waiting.pop(), text=f"What comes after {len(waiting)}?", limit=4)
        driver.step()
    for id, finished in driver.finished.items():
        driver.settle(id, finished.tokens)
    assert driver.ledger.spent == sum(finished.tokens.billed for finished in driver.finished.values())
    assert engine.plan_step() == []
    assert engine.free_slots == engine.info.width


def test_a_cut_off_request_can_be_extended_and_pays_for_it(engine):
    driver = Driver(engine)
    driver.submit(1, limit=4)
    driver.until(1)
    cut = driver.finished.pop(1)
    assert cut.reason == "length"
    prompt = engine.prompt([Message("user", "Tell me about the sea.")])
    request, turn = Request(1, prompt, 4, Sampling(), seed=1), "Say only the answer."
    held = engine.extend_cost(request, "\n\nAnswer:", 6, turn, cut.text)
    assert engine.extend_cost(request, "\n\nAnswer:", 6, turn, "") <= held
    driver.ledger.correct(1, cut.tokens.billed)
    driver.ledger.top_up(1, held if engine.info.upfront else 0)
    engine.extend(1, "\n\nAnswer:", 6, stop=("\n",), turn=turn, held=held)
    driver.until(1)
    again = driver.finished[1]
    assert again.text.startswith(cut.text + "\n\nAnswer:")
    assert "\n" not in again.text.removeprefix(cut.text + "\n\nAnswer:")
    assert cut.tokens.billed < again.tokens.billed <= cut.tokens.billed + held
    driver.settle(1, again.tokens)


def test_a_cancelled_request_makes_room_and_tells_its_cost(engine):
    driver = Driver(engine)
    driver.submit(1, limit=60)
    driver.submit(2, limit=3)
    driver.until(2)
    cost = engine.cancel(1)
    assert 0 <= cost.billed <= driver.most[1]
    driver.settle(1, cost)
    assert engine.cancel(1) == engine.cancel(99) == Tokens()
    driver.settle(2, driver.finished[2].tokens)
    driver.step()
    assert engine.plan_step() == []
    assert engine.free_slots == engine.info.width


def test_the_same_questions_run_in_process_and_on_a_server(loopback, tmp_path):
    """The same command, one flag more: answers, schema, budget and exit code are of one kind."""
    questions = [{"question": f"What is {n} + 4?", "answer": str(n + 4)} for n in range(2)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    told = {}
    for name, flags in {"local": (), "served": ("--endpoint", loopback)}.items():
        done = ask("-f", "q.jsonl", "--json", "--budget", "2500", "--max-samples", "1", *flags, cwd=tmp_path)
        assert done.returncode in (0, 3), done.stderr
        told[name] = [json.loads(line) for line in lines(done.stdout)]
        assert sum(r["tokens"]["prompt"] + r["tokens"]["generated"] for r in told[name]) <= 2500
        assert all(result["samples"] > 0 for result in told[name])
        assert b" of 2,500 left" in done.stderr
    assert [r["question"] for r in told["local"]] == [r["question"] for r in told["served"]]
    assert told["local"][0].keys() == told["served"][0].keys()
    assert told["local"][0]["model"] == told["served"][0]["model"]
