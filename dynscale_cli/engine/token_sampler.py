"""Drawing next tokens: llama.cpp's sampler chains, one a sequence with its own seed, over many rows of logits at once.

Owns the chains and the candidates they are given. Knows nothing of slots, requests or texts.

A chain that begins with top-k needs no more than the k largest logits of a row, but llama.cpp's own call lays out the
whole vocabulary for it first: 23 ms for 64 rows of 128,000 tokens, twice the decode step before it (H100, 8B model,
`python -m tests.gpu.steps`). So the rows are cut down to some hundred candidates by vector operations first (4.9 ms, in
threads 2.9 ms), and the chain draws from these: the same tokens as from the whole row. Samplers on the device took 8 ms
a step, and 40 ms more at each step at which a sample ended.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence as Seq
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .protocol import Sampling

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data
STRIDE = 64  # every 64th logit is looked at for a threshold
RANK = 4  # of these, the 4th largest: some 256 candidates are above it
FEWEST = 4 * STRIDE * RANK  # smaller vocabularies are laid out whole
THREAD_ROWS = 4  # rows that are worth a thread of their own


@dataclass(frozen=True, slots=True)
class SamplerChain:
    """A chain in C. `top`: how many of the largest logits it looks at; 0: at all of them."""

    handle: Any
    top: int


class TokenSampler:
    """Draws for the sequences of one context. `threads`: more than one where decoding is not done by the CPU."""

    def __init__(self, lib: Any, context: Any, n_vocab: int, threads: int = 1) -> None:
        self._lib, self._context, self._n_vocab = lib, context, n_vocab
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._threads = threads
        self._table = CandidateTable()
        self._argument = ctypes.byref(lib.llama_token_data_array.from_buffer(self._table))

    def chain(self, sampling: Sampling, seed: int) -> SamplerChain:
        """A chain of its own for one sequence; `free` it."""
        lib = self._lib
        params = lib.llama_sampler_chain_default_params()
        params.no_perf = True
        handle = lib.llama_sampler_chain_init(params)
        if sampling.temperature <= 0:
            lib.llama_sampler_chain_add(handle, lib.llama_sampler_init_greedy())
            return SamplerChain(handle, 1)
        if sampling.top_k > 0:
            lib.llama_sampler_chain_add(handle, lib.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1:
            lib.llama_sampler_chain_add(handle, lib.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0:
            lib.llama_sampler_chain_add(handle, lib.llama_sampler_init_min_p(sampling.min_p, 1))
        lib.llama_sampler_chain_add(handle, lib.llama_sampler_init_temp(sampling.temperature))
        lib.llama_sampler_chain_add(handle, lib.llama_sampler_init_dist(seed))
        return SamplerChain(handle, sampling.top_k)

    def free(self, chain: SamplerChain) -> None:
        self._lib.llama_sampler_free(chain.handle)

    def draw(self, chains: Seq[SamplerChain], outputs: Seq[int]) -> list[int]:
        """The next token of each chain, from the logits of the last batch's row of that number."""
        pointers = [self._lib.llama_get_logits_ith(self._context, output) for output in outputs]
        blocks = self._blocks([ctypes.addressof(pointer.contents) for pointer in pointers])
        found = list(self._pool.map(cut, blocks)) if self._pool else [cut(block) for block in blocks]
        rows = [(candidates, start, end) for candidates, bounds in found for start, end in pairwise(bounds)]
        tokens = []
        for chain, output, (candidates, start, end) in zip(chains, outputs, rows, strict=True):
            if 0 < chain.top <= end - start:
                tokens.append(self._apply(chain, candidates, start, end))
            else:
                tokens.append(int(self._lib.llama_sampler_sample(chain.handle, self._context, output)))
        return tokens

    def draw_from(self, chain: SamplerChain, logits: Any) -> int:
        """The next token from logits that were kept, exactly as `draw` draws from the context's own."""
        candidates, (start, end) = cut(logits[None, :])
        if not 0 < chain.top <= end - start:
            candidates, start, end = Candidates(np.arange(len(logits)), logits), 0, len(logits)
        return self._apply(chain, candidates, start, end)

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown()

    def _apply(self, chain: SamplerChain, candidates: Candidates, start: int, end: int) -> int:
        table = self._table
        table.data = candidates.address + start * CANDIDATE.itemsize
        table.size, table.selected, table.sorted = end - start, -1, False
        self._lib.llama_sampler_apply(chain.handle, self._argument)
        token = int(candidates.ids[start + table.selected])  # they were sorted in place
        self._lib.llama_sampler_accept(chain.handle, token)
        return token

    def _blocks(self, addresses: Seq[int]) -> list[Any]:
        """The rows as matrices over llama.cpp's memory, as many as there are threads: neighbours share one."""
        most = max(THREAD_ROWS, -(-len(addresses) // self._threads)) if self._pool else len(addresses)
        size = self._n_vocab * ctypes.sizeof(ctypes.c_float)
        blocks, start = [], 0
        for end in range(1, len(addresses) + 1):
            together = end < len(addresses) and addresses[end] == addresses[end - 1] + size and end - start < most
            if not together:
                memory = (ctypes.c_float * ((end - start) * self._n_vocab)).from_address(addresses[start])
                blocks.append(np.ctypeslib.as_array(memory).reshape(end - start, self._n_vocab))
                start = end
        return blocks


class CandidateTable(ctypes.Structure):
    """`llama_token_data_array` with its address as a number: a pointer of ctypes costs more than the call."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("selected", ctypes.c_int64),
        ("sorted", ctypes.c_bool),
    )


class Candidates:
    """Tokens and their logits as llama.cpp takes them, in memory that it may sort."""

    def __init__(self, ids: Any, logits: Any) -> None:
        self._table = np.zeros(len(ids), CANDIDATE)
        self.ids, self.logits = self._table["id"], self._table["logit"]
        self.ids[:], self.logits[:] = ids, logits
        self.address: int = self._table.ctypes.data


def cut(rows: Any) -> tuple[Candidates, list[int]]:
    """The largest logits of each row, some hundred of them: all of them, and where each row's begin (and the last end).

    `rows`: float32, (number of rows, vocabulary). A row without numbers (NaN) has no candidates, nor has any row of a
    vocabulary that is too small to be worth it.
    """
    if rows.shape[1] < FEWEST:
        return Candidates((), ()), [0] * (len(rows) + 1)
    thresholds = np.partition(rows[:, ::STRIDE], -RANK, axis=1)[:, -RANK]
    places = np.flatnonzero(rows >= thresholds[:, None])
    candidates = Candidates(places % rows.shape[1], rows.ravel()[places])
    bounds: list[int] = np.searchsorted(places, np.arange(len(rows) + 1) * rows.shape[1]).tolist()
    return candidates, bounds
