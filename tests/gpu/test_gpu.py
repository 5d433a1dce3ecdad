"""The engine on a real GPU: `pytest -m gpu`, skipped where llama.cpp finds none."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynscale_cli.engine.batched import BatchedEngine
from dynscale_cli.engine.binding import describe, has_gpu
from dynscale_cli.engine.kv_state import KVState
from dynscale_cli.engine.llama import LlamaBackend, LlamaModel
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.protocol import Aborted, Finished, Message, Request, Sampling
from dynscale_cli.errors import EngineError

from .models import Shape, write

pytestmark = pytest.mark.gpu
GREEDY = Sampling(temperature=0)
TEXT = "Natalia sold clips to 48 of her friends in April, and then half as many in May. How many in all?"


@pytest.fixture(scope="module", autouse=True)
def gpu() -> None:
    if not has_gpu():
        pytest.skip("llama.cpp was built without a GPU, or finds none")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = Shape(layers=2, width=256, heads=4, kv_heads=2, feed_forward=512, vocabulary=16000)
    return write(tmp_path_factory.mktemp("gpu") / "tiny.gguf", shape, "q8_0", context=4096)


@pytest.fixture(scope="module")
def model(file: Path) -> Iterator[LlamaModel]:
    model = LlamaModel(file, LoadOptions(n_gpu_layers=99))
    yield model
    model.close()


def opened(model: LlamaModel, width: int = 8, context: int = 1024, top: int = 0, **options: int) -> BatchedEngine:
    backend = LlamaBackend(model, width=width, context=context, top=top)
    return BatchedEngine(backend, chunk=backend.chunk, **options)


def run(engine: BatchedEngine, requests: list[Request]) -> dict[int, Finished]:
    waiting, finished = list(requests), {}
    while len(finished) < len(requests):
        while waiting and engine.free_slots > 0:
            engine.submit(waiting.pop(0))
        engine.plan_step()
        finished |= {event.id: event for event in engine.step() if isinstance(event, Finished)}
    return finished


def forks(engine: BatchedEngine, count: int, sampling: Sampling = GREEDY, text: str = TEXT) -> dict[int, Finished]:
    prompt = engine.prompt([Message("user", text)])
    bounds = (len(prompt),)
    requests = [Request(n, prompt, 24, sampling, n, cache_boundaries=bounds, ignore_end=True) for n in range(count)]
    return run(engine, requests)


def test_forks_say_what_a_prompt_prefilled_alone_says(model: LlamaModel) -> None:
    engine, alone = opened(model), opened(model, width=1, cache_bytes=0)
    forked = forks(engine, 24)
    expected = forks(alone, 1)[0]
    engine.close()
    alone.close()
    assert all(event.tokens.reused > 0 for n, event in forked.items() if n)
    # Batches of another width round differently, so a near-tie may fall the other way late in a text.
    assert sum(event.text[:8] == expected.text[:8] for event in forked.values()) >= 22


def test_a_long_prompt_is_forked_on_the_device(model: LlamaModel) -> None:
    engine = opened(model, width=4, context=3072)
    backend = engine._backend
    assert isinstance(backend, LlamaBackend)
    prompt = engine.prompt([Message("user", TEXT * 8)])
    run(engine, [Request(1, prompt, 4, GREEDY, 1, cache_boundaries=(len(prompt),), ignore_end=True)])
    state = backend.save(0)
    assert state.device is not None
    saved = []
    for way in (state, KVState(state.host)):
        backend.restore(2, way)
        saved.append(backend.save(2).host)
    assert (saved[0] == saved[1]).all()
    engine.close()


def test_an_older_state_of_a_slot_comes_from_the_host(model: LlamaModel) -> None:
    engine = opened(model, width=4)
    backend = engine._backend
    assert isinstance(backend, LlamaBackend)
    forks(engine, 1, text="first")
    older = backend.save(0)
    forks(engine, 1, text="the second is another text")
    newer = backend.save(0)
    backend.restore(1, older)
    backend.restore(2, newer)
    assert backend.save(1).host.nbytes == older.host.nbytes
    assert backend.save(2).host.nbytes == newer.host.nbytes
    engine.close()


def test_the_same_seeds_say_the_same(model: LlamaModel) -> None:
    first, second = opened(model), opened(model)
    said = [{n: event.text for n, event in forks(engine, 16, Sampling()).items()} for engine in (first, second)]
    first.close()
    second.close()
    assert said[0] == said[1]
    assert len(set(said[0].values())) > 8


def test_samples_drawn_from_what_the_device_hands_over_are_those_of_whole_rows(model: LlamaModel) -> None:
    said = []
    for top in (0, 40):
        engine = opened(model, top=top)
        assert isinstance(engine._backend, LlamaBackend)
        assert (engine._backend._top is not None) == (top > 0)
        said.append({n: event.text for n, event in forks(engine, 20, Sampling()).items()})
        engine.close()
    assert said[0] == said[1]


def test_the_bill_is_what_was_decoded(model: LlamaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, sizes = opened(model), []
    decode = model.lib.llama_decode
    monkeypatch.setattr(model.lib, "llama_decode", lambda c, batch: (sizes.append(batch.n_tokens), decode(c, batch))[1])
    finished = forks(engine, 12, Sampling())
    engine.close()
    assert sum(sizes) == sum(event.tokens.billed for event in finished.values())


def test_a_prefill_is_aborted(model: LlamaModel) -> None:
    engine = opened(model, width=2, context=4096)
    backend = engine._backend
    assert isinstance(backend, LlamaBackend)
    prompt = engine.prompt([Message("user", TEXT * 20)])
    engine.submit(Request(1, prompt, 400, GREEDY, 1, ignore_end=True))
    timer = threading.Timer(0.05, backend.abort)
    timer.start()
    try:
        for _ in range(600):
            engine.plan_step()
            engine.step()
    except Aborted:
        pass  # a device that is done before it looks is as good
    timer.join()
    engine.close()


@pytest.mark.parametrize("cache", ["f16", "q8_0"])
@pytest.mark.parametrize("flash", ["on", "off"])
def test_kinds_of_cache_and_attention_decode(file: Path, cache: str, flash: str) -> None:
    if cache == "q8_0" and flash == "off":
        pytest.skip("llama.cpp wants flash attention for quantised values")
    options = LoadOptions(n_gpu_layers=99, flash_attn=flash, cache_type_k=cache, cache_type_v=cache)
    model = LlamaModel(file, options)
    engine = opened(model)
    assert all(event.text for event in forks(engine, 8).values())
    engine.close()
    model.close()


@pytest.mark.parametrize("layers", [0, 1, 99])
def test_layers_are_put_where_they_are_asked_for(file: Path, layers: int) -> None:
    model = LlamaModel(file, LoadOptions(n_gpu_layers=layers))
    engine = opened(model)
    assert model.offloads is (layers > 0)
    assert all(event.text for event in forks(engine, 8).values())
    engine.close()
    model.close()


def test_a_context_beyond_the_memory_is_an_error_or_narrower(model: LlamaModel) -> None:
    narrower = None
    with contextlib.suppress(EngineError):
        narrower = LlamaBackend(model, width=256, context=1 << 22)
    if narrower is not None:
        assert narrower.info.width < 256
        narrower.close()


def test_doctor_names_the_gpu() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dynscale_cli", "doctor", "--no-speed"], capture_output=True, text=True, check=False
    )
    device = next(device for device in describe().devices if device.kind == "GPU")
    assert device.description in done.stdout
