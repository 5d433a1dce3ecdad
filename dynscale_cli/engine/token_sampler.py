"""Drawing next tokens: llama.cpp's sampler chains, one a sequence with its own seed, over many rows of logits at once.

Owns the chains and the candidates they are given. Knows nothing of slots, requests or texts.

A chain that begins with top-k needs no more than the k largest logits of a row, but llama.cpp's own call lays out the
whole vocabulary for it first: 23 ms for 64 rows of 128,000 tokens, twice the decode step before it (H100, 8B model,
`python -m tests.gpu.steps`). So the rows are cut down to these k by vector operations first, and the chain draws from
them: the same tokens as from the whole row. Samplers on the device took 8 ms a step, and 40 ms more at each step at
which a sample ended.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Sequence as Seq
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from .protocol import Sampling

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data
TABLE = np.dtype(  # llama_token_data_array, its pointer as a number
    [("data", np.uintp), ("size", np.uintp), ("selected", np.int64), ("sorted", np.bool_)], align=True
)
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
        self._maxima: Any = np.empty((0, n_vocab // GROUP), np.float32)
        # With addresses as plain numbers, which take ctypes less time than the call itself.
        address = ctypes.cast(lib.llama_sampler_apply, ctypes.c_void_p).value or 0
        self._apply = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)

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
        return self._draw(chains, logits)

    def draw_from(self, chain: SamplerChain, logits: Any) -> int:
        """The next token from logits that were kept, exactly as `draw` draws from the context's own."""
        return self._draw([chain], logits[None, :])[0]

    def choose(self, chains: Seq[SamplerChain], candidates: Candidates, bounds: Any) -> list[int]:
        """The next token of each chain from its candidates, between two of the `bounds`; none of them is without.

        Chains need not be told: none of their samplers remembers tokens.
        """
        tables = np.zeros(len(chains), TABLE)
        tables["data"] = candidates.address + bounds[:-1] * CANDIDATE.itemsize
        tables["size"] = np.diff(bounds)
        apply, address = self._apply, tables.ctypes.data
        for chain in chains:
            apply(chain.handle, address)
            address += TABLE.itemsize
        tokens: list[int] = candidates.ids[bounds[:-1] + tables["selected"]].tolist()  # they were sorted in place
        return tokens

    def logits(self, count: int) -> Any:
        """The last batch's first `count` rows of logits, in llama.cpp's own memory: (count, vocabulary).

        Waits for the device.
        """
        start = self._lib.llama_get_logits(self._context)
        return np.ctypeslib.as_array(start, (count, self._n_vocab))

    def row(self, number: int) -> Any:
        """One row of the last batch's logits, in llama.cpp's own memory."""
        return self.logits(number + 1)[number]

    def kept(self, number: int) -> Any | None:
        """A copy of one row, for later draws; None where it holds what is no number."""
        logits = self.row(number).copy()
        return None if np.isnan(logits).any() else logits

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown()

    def _draw(self, chains: Seq[SamplerChain], logits: Any) -> list[int]:
        candidates, bounds = cut(logits, max(chain.top for chain in chains), self._largest(logits))
        sizes = np.diff(bounds).tolist()
        if all(0 < chain.top <= size for chain, size in zip(chains, sizes, strict=True)):
            return self.choose(chains, candidates, bounds)
        tokens = []
        for chain, row, size, start in zip(chains, logits, sizes, bounds[:-1], strict=True):
            if 0 < chain.top <= size:
                tokens += self.choose([chain], candidates, np.array([start, start + size]))
            else:
                whole = Candidates(np.arange(self._n_vocab), row)
                tokens += self.choose([chain], whole, np.array([0, self._n_vocab]))
        return tokens

    def _largest(self, logits: Any) -> Any:
        """`largest` in threads. It alone is worth them: what follows are many short calls that wait for one another."""
        rows = len(logits)
        if rows > len(self._maxima):  # its memory is used again: to get it costs as much as to fill it
            self._maxima = np.empty((rows, self._n_vocab // GROUP), np.float32)
        found = self._maxima[:rows]
        if self._pool is None or rows <= THREAD_ROWS:
            return largest(logits, found)
        most = max(THREAD_ROWS, -(-rows // self._threads))
        starts = range(0, rows, most)
        blocks = [logits[start : start + most] for start in starts], [found[start : start + most] for start in starts]
        deque(self._pool.map(largest, *blocks), maxlen=0)
        return found


class Candidates:
    """Tokens and their logits as llama.cpp takes them, in memory that it sorts."""

    def __init__(self, ids: Any, logits: Any) -> None:
        self._table = np.zeros(len(ids), CANDIDATE)
        self.ids, self.logits = self._table["id"], self._table["logit"]
        self.ids[:], self.logits[:] = ids, logits
        self.address: int = self._table.ctypes.data


def largest(rows: Any, out: Any = None) -> Any:
    """The largest logit of each group: (number of rows, groups). A group is every n-th token: vectors are compared."""
    n = rows.shape[1] // GROUP
    return np.max(rows[:, : n * GROUP].reshape(len(rows), GROUP, n), axis=1, out=out)


def cut(rows: Any, top: int, maxima: Any = None) -> tuple[Candidates, Any]:
    """The `top` largest logits of each row and hardly more: all, and where each row's begin (and the last end).

    `rows`: float32, (number of rows, vocabulary). `maxima`: their `largest`. A row without numbers (NaN) has no
    candidates, nor has any row of a vocabulary that is too small for `top` to be worth it.

    At least `top` groups have a maximum that is no less than the `top`-th largest maximum, and no logit that is less is
    one of the `top` largest. Two levels of groups: a few hundred maxima are sorted, some ten groups looked through.
    """
    n_vocab = rows.shape[1]
    n = n_vocab // GROUP  # groups; what is left over beyond them is looked at by itself
    wider = min(WIDER, n // (SPREAD * top)) if top > 0 else 0
    if not wider:
        return Candidates((), ()), np.zeros(len(rows) + 1, np.intp)
    if maxima is None:
        maxima = largest(rows)
    few = n // wider
    widest = maxima[:, : few * wider].reshape(len(rows), wider, few).max(axis=1)
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
    return candidates, np.searchsorted(places, np.arange(len(rows) + 1) * n_vocab)
