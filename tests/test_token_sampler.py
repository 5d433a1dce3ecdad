"""Next tokens are those that llama.cpp's own sampler draws from the whole row, whatever is left out before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynscale_cli.engine.binding import binding
from dynscale_cli.engine.protocol import Sampling
from dynscale_cli.engine.token_sampler import TokenSampler, cut

from .tiny_gguf import write_tiny_gguf

WORDS = tuple(f"w{number}" for number in range(8000))  # a vocabulary that is worth cutting
ROWS = 5


class Decoded:
    """A model with one batch decoded: `ROWS` sequences whose logits are at hand."""

    def __init__(self, path: Path) -> None:
        self.lib = binding()
        self.model = self.lib.llama_model_load_from_file(str(path).encode(), self.lib.llama_model_default_params())
        params = self.lib.llama_context_default_params()
        params.n_seq_max, params.n_ctx, params.n_threads = ROWS, ROWS * 256, 1
        self.context = self.lib.llama_init_from_model(self.model, params)
        self.n_vocab = self.lib.llama_vocab_n_tokens(self.lib.llama_model_get_vocab(self.model))
        batch = self.lib.llama_batch_init(ROWS, 0, 1)
        batch.n_tokens = ROWS
        for row in range(ROWS):
            batch.token[row], batch.pos[row], batch.n_seq_id[row], batch.seq_id[row][0] = 40 + row, 0, 1, row
            batch.logits[row] = True
        assert self.lib.llama_decode(self.context, batch) == 0
        self.lib.llama_batch_free(batch)

    def row(self, number: int) -> Any:
        return np.ctypeslib.as_array(self.lib.llama_get_logits_ith(self.context, number), (self.n_vocab,))

    def close(self) -> None:
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoded]:
    made = Decoded(write_tiny_gguf(tmp_path_factory.mktemp("sampler") / "wide.gguf", vocab=WORDS))
    yield made
    made.close()


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.0),
        Sampling(temperature=1.5, top_p=1.0, top_k=400),
        Sampling(top_k=0),
        Sampling(temperature=1.0, top_p=1.0, top_k=1),
    ],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_chain_draws_what_it_would_draw_from_the_whole_row(
    decoded: Decoded, sampling: Sampling, threads: int
) -> None:
    sampler = TokenSampler(decoded.lib, decoded.context, decoded.n_vocab, threads)
    ours = [sampler.chain(sampling, seed) for seed in range(ROWS)]
    theirs = [sampler.chain(sampling, seed) for seed in range(ROWS)]
    for _ in range(8):
        drawn = sampler.draw(ours, range(ROWS))
        expected = [
            decoded.lib.llama_sampler_sample(chain.handle, decoded.context, row) for row, chain in enumerate(theirs)
        ]
        assert drawn == expected
    for chain in [*ours, *theirs]:
        sampler.free(chain)
    sampler.close()


def test_rows_that_are_no_neighbours_in_memory_keep_their_order(decoded: Decoded) -> None:
    sampler = TokenSampler(decoded.lib, decoded.context, decoded.n_vocab)
    greedy = [sampler.chain(Sampling(temperature=0.0), 0) for _ in range(3)]
    assert sampler.draw(greedy, [4, 0, 2]) == [int(decoded.row(row).argmax()) for row in (4, 0, 2)]
    for chain in greedy:
        sampler.free(chain)


def test_kept_logits_are_drawn_from_as_the_contexts_own(decoded: Decoded) -> None:
    sampler = TokenSampler(decoded.lib, decoded.context, decoded.n_vocab)
    for sampling in (Sampling(), Sampling(top_k=0), Sampling(temperature=0.0)):
        first, second = sampler.chain(sampling, 7), sampler.chain(sampling, 7)
        for _ in range(5):
            assert sampler.draw_from(first, decoded.row(1).copy()) == sampler.draw([second], [1])[0]
        sampler.free(first)
        sampler.free(second)


@pytest.mark.parametrize("size", [50_000, 50_016, 50_001])
@pytest.mark.parametrize("top", [1, 40, 300])
def test_the_largest_logits_are_all_among_the_candidates_and_hardly_more(size: int, top: int) -> None:
    random = np.random.default_rng(3)
    rows = random.normal(size=(20, size)).astype(np.float32)
    rows[3, -1] = rows[4, 0] = 90.0  # where groups begin and behind the last
    rows[5, ::7] = 5.0  # many that are equal
    together, bounds = cut(rows, top)
    assert len(bounds) == len(rows) + 1
    for number, row in enumerate(rows):
        own = slice(bounds[number], bounds[number + 1])
        ids, logits = together.ids[own], together.logits[own]
        assert top <= len(ids) <= 2 * top + 2 or number == 5
        assert set(np.argsort(-row, kind="stable")[:top]) <= set(ids) == set(np.flatnonzero(row >= logits.min()))
        assert (row[ids] == logits).all()


def test_a_row_without_numbers_has_no_candidates() -> None:
    rows = np.full((2, 5000), np.nan, np.float32)
    rows[1] = np.arange(5000)
    candidates, bounds = cut(rows, 20)
    assert bounds[0] == bounds[1] < bounds[2]
    assert candidates.ids.max() == 4999


def test_a_vocabulary_that_is_hardly_larger_than_what_is_wanted_is_not_cut() -> None:
    assert cut(np.zeros((2, 1000), np.float32), 40)[1].tolist() == [0, 0, 0]
    assert cut(np.zeros((2, 50_000), np.float32), 0)[1].tolist() == [0, 0, 0]
