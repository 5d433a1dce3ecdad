"""The largest logits that a device hands over are those of the whole row. Here the device is the processor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dynscale_cli.engine import device_top
from dynscale_cli.engine.batched import BatchedEngine
from dynscale_cli.engine.device_top import MOST, Groups
from dynscale_cli.engine.llama import LlamaBackend, LlamaModel
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.protocol import Finished, Message, Prompt, Request, Sampling
from dynscale_cli.engine.scheduler import Sequence
from dynscale_cli.errors import EngineError
from dynscale_cli.run.request import Settings

from .tiny_gguf import write_tiny_gguf

REQUEST = Request(0, Prompt((1, 2)), 9, Sampling(), 0)
SIZES = [8000, 16384, 50001]  # whole groups, and some behind them


@pytest.fixture(autouse=True)
def processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_top, "DEVICES", ("CPU",))


@pytest.fixture(scope="module", params=SIZES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    words = tuple(f"w{number}" for number in range(request.param))
    file = write_tiny_gguf(tmp_path_factory.mktemp("top") / "wide.gguf", vocab=words)
    model = LlamaModel(file, LoadOptions())
    yield model
    model.close()


def shares() -> list[Any]:
    return [
        Sequence(REQUEST, slot, 0, tokens).share(len(tokens)) for slot, tokens in enumerate(([5, 6, 7], [8], [9, 10]))
    ]


@pytest.mark.parametrize("top", [1, 40, MOST])
def test_they_are_the_largest_of_the_whole_row(model: LlamaModel, top: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = LlamaBackend(model, width=4, context=256)
    whole.evaluate(shares())
    monkeypatch.setattr(LlamaModel, "offloads", True)
    backend = LlamaBackend(model, width=4, context=256, top=top)
    device = backend._top
    assert device is not None
    backend.evaluate(shares())
    candidates, bounds = device.candidates([backend._batch.last[share] for share in (2, 0, 1)], top)
    for share, start, end in zip((2, 0, 1), bounds, bounds[1:], strict=False):
        row, ids = whole._sampler.row(share), candidates.ids[start:end]
        assert set(np.argsort(-row)[:top]) <= set(ids.tolist())
        assert top <= len(ids) <= 2 * top + 2
        assert (row[ids] == candidates.logits[start:end]).all()
    device.close()
    backend._top = None
    backend.evaluate([Sequence(REQUEST, 3, 0, [5, 6, 7]).share(3)])
    assert (backend._sampler.row(0) == whole._sampler.row(0)).all()  # whole rows again
    backend.close()
    whole.close()


def test_rows_that_are_no_numbers_end_in_a_sentence(model: LlamaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LlamaModel, "offloads", True)
    backend = LlamaBackend(model, width=4, context=256, top=40)
    device = backend._top
    assert device is not None
    backend.evaluate(shares())
    logits, first, second = device._rows(backend._batch.last)
    monkeypatch.setattr(device, "_rows", lambda outputs: (np.full_like(logits, np.nan), first, second))
    with pytest.raises(EngineError, match="nothing that is a number"):
        backend.logits(0)
    with pytest.raises(EngineError, match="nothing that is a number"):
        backend.sample([backend.sampler(Sampling(), 1) for _ in range(3)], range(3))
    backend.close()


def texts(model: LlamaModel, top: int) -> tuple[dict[int, str], bool]:
    backend = LlamaBackend(model, width=3, context=256, top=top)
    engine = BatchedEngine(backend)
    prompt = engine.prompt([Message("user", "w1 w2 w3")])
    requests = [
        Request(n, prompt, 12, Sampling(temperature=n % 3), n, cache_boundaries=(len(prompt),), ignore_end=True)
        for n in range(7)
    ]
    said: dict[int, str] = {}
    while len(said) < 7:
        while requests and engine.free_slots > 0:
            engine.submit(requests.pop(0))
        engine.plan_step()
        said |= {event.id: event.text for event in engine.step() if isinstance(event, Finished)}
    engine.close()
    return said, backend._top is not None


def test_samples_are_those_that_are_drawn_from_whole_rows(model: LlamaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LlamaModel, "offloads", True)
    whole, used = texts(model, 0)
    assert not used
    assert texts(model, 40) == (whole, True)


def test_a_device_of_another_kind_hands_over_whole_rows(model: LlamaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_top, "DEVICES", ("CUDA",))
    monkeypatch.setattr(LlamaModel, "offloads", True)
    backend = LlamaBackend(model, width=2, context=256, top=40)
    assert backend._top is None
    backend.evaluate(shares()[:2])
    assert backend._sampler.row(0).shape == (model.n_vocab,)
    backend.close()


def test_a_build_without_such_samplers_hands_over_whole_rows(
    model: LlamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LlamaModel, "offloads", True)
    monkeypatch.delattr(model.lib, "llama_get_sampled_logits_ith")
    backend = LlamaBackend(model, width=2, context=256, top=40)
    assert backend._top is None
    backend.close()


@pytest.mark.parametrize("size", [32_000, 49_152, 128_256, 151_936, 201_088, 262_144])
def test_what_is_sorted_is_never_more_than_one_kernel_sorts(size: int) -> None:
    groups = Groups.of(size)
    assert groups is not None
    assert groups.count <= device_top.SORTED
    assert MOST * groups.size // groups.fine <= device_top.SORTED
    assert size - groups.covered < groups.size


def test_a_small_vocabulary_is_handed_over_whole() -> None:
    assert Groups.of(2000) is None


@pytest.mark.parametrize(
    ("settings", "top"),
    [
        (Settings(budget=1), 40),
        (Settings(budget=1, sampling=Sampling(temperature=0.0)), 1),
        (Settings(budget=1, sampling=Sampling(top_k=0)), 0),
        (Settings(budget=1, vote="confidence"), 0),
    ],
)
def test_whole_rows_are_asked_for_where_all_tokens_count(settings: Settings, top: int) -> None:
    assert settings.top == top
