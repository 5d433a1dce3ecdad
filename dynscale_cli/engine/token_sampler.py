"""Drawing next tokens: llama.cpp's sampler chains, one a sequence with its own seed, over many rows of logits at once.

Owns the chains and the candidates they are given. Knows nothing of slots, requests or texts.

A chain that begins with top-k needs no more than the k largest logits of a row, but llama.cpp's own call lays out the
whole vocabulary for it first: 23 ms for 64 rows of 128,000 tokens, twice the decode step before it (H100, 8B model,
`python -m tests.gpu.steps`). So the rows are cut down to these k by vector operations first, and the chain draws from
them: the same tokens as from the whole row. Samplers on the device took 8 ms a step, and 40 ms
more at each step at which a sample ended.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Sequence as Seq
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .protocol import Sampling

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data
GROUP = 16  # logits of which only the largest is looked at first
WIDER = 16  # of such groups are joined to find a threshold, where there are enough
SPREAD = 4  # so many times the wanted ones must the groups be; else the row is laid out whole
THREAD_ROWS = 8  # rows that are worth a thread of their own


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

    def draw(self, chains: Seq[SamplerChain], rows: Seq[int]) -> list[int]:
        """The next token of each chain, from the last batch's logits, which are numbered in the batch's order."""
        if not chains:
            return []
        logits = self.logits(max(rows) + 1)
        if list(rows) != list(range(len(rows))):
            logits = logits[list(rows)]
        candidates, bounds = cut(logits, max(chain.top for chain in chains), self._largest(logits))
        tokens: list[int] = []
        for chain, row, (start, end) in zip(chains, logits, pairwise(bounds), strict=True):
            if 0 < chain.top <= end - start:
                tokens.append(self._apply(chain, candidates, start, end))
            else:
                tokens.append(self._apply(chain, everything(row), 0, self._n_vocab))
        return tokens

    def draw_from(self, chain: SamplerChain, logits: Any) -> int:
        """The next token from logits that were kept, exactly as `draw` draws from the context's own."""
        candidates, (start, end) = cut(logits[None, :], chain.top)
        if not 0 < chain.top <= end - start:
            candidates, start, end = everything(logits), 0, len(logits)
        return self._apply(chain, candidates, start, end)

    def logits(self, count: int) -> Any:
        """The last batch's first `count` rows of logits, in llama.cpp's own memory: (count, vocabulary).

        Waits for the device.
        """
        start = self._lib.llama_get_logits(self._context)
        return np.ctypeslib.as_array(start, (count, self._n_vocab))

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

    def _largest(self, logits: Any) -> Any:
        """`largest` in threads. It alone is worth them: what follows are many short calls that wait for one another."""
        if self._pool is None or len(logits) <= THREAD_ROWS:
            return largest(logits)
        most = max(THREAD_ROWS, -(-len(logits) // self._threads))
        found = np.empty((len(logits), self._n_vocab // GROUP), np.float32)
        starts = range(0, len(logits), most)
        blocks = [logits[start : start + most] for start in starts], [found[start : start + most] for start in starts]
        deque(self._pool.map(largest, *blocks), maxlen=0)
        return found


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


def everything(logits: Any) -> Candidates:
    """A whole row as candidates."""
    return Candidates(np.arange(len(logits)), logits)


def largest(rows: Any, out: Any = None) -> Any:
    """The largest logit of each group: (number of rows, groups). A group is every n-th token: vectors are compared."""
    count, n_vocab = rows.shape
    n = n_vocab // GROUP
    return np.max(rows[:, : n * GROUP].reshape(count, GROUP, n), axis=1, out=out)


def cut(rows: Any, top: int, maxima: Any = None) -> tuple[Candidates, list[int]]:
    """The `top` largest logits of each row and hardly more: all, and where each row's begin (and the last end).

    `rows`: float32, (number of rows, vocabulary). `maxima`: their `largest`. A row without numbers (NaN) has no
    candidates, nor has any row of a vocabulary that is too small for `top` to be worth it.

    At least `top` groups have a maximum that is no less than the `top`-th largest maximum, and no logit that is less is
    one of the `top` largest. Two levels of groups: a few hundred maxima are sorted, some ten groups looked through.
    """
    count, n_vocab = rows.shape
    n = n_vocab // GROUP  # groups; what is left over beyond them is looked at by itself
    wider = min(WIDER, n // (SPREAD * top)) if top > 0 else 0
    if not wider:
        return Candidates((), ()), [0] * (count + 1)
    if maxima is None:
        maxima = largest(rows)
    few = n // wider
    widest = maxima[:, : few * wider].reshape(count, wider, few).max(axis=1)
    thresholds = np.partition(widest, few - top, axis=1)[:, few - top]
    row, group = np.divmod(np.flatnonzero(maxima >= thresholds[:, None]), n)
    places = ((row * n_vocab + group)[:, None] + np.arange(0, n * GROUP, n)).ravel()
    flat = rows.reshape(-1)
    places = places[flat[places] >= np.repeat(thresholds[row], GROUP)]
    if n * GROUP < n_vocab:
        row, rest = np.nonzero(rows[:, n * GROUP :] >= thresholds[:, None])
        places = np.concatenate([places, row * n_vocab + n * GROUP + rest])
    places.sort()
    candidates = Candidates(places % n_vocab, flat[places])
    bounds: list[int] = np.searchsorted(places, np.arange(count + 1) * n_vocab).tolist()
    return candidates, bounds
