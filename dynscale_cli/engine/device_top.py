"""The largest logits of each row, found where they were computed, so that a GPU hands over a few hundred and not all.

Owns the part of llama.cpp's graph that finds them, which is added as a sampler of llama.cpp's own interface, and the
reading of what it leaves in host memory. Knows nothing of chains, slots or texts.

A step of 64 sequences and 128,000 tokens of vocabulary makes 33 MB of logits. To bring them to the host and to look
through them there took 3 to 4 ms behind a decode step of 12 ms (8B model, H100 and H200). llama.cpp's own samplers on
the device took 8 ms, since each row is sorted whole and by itself. Here all rows are one tensor, and two levels of
groups lead to the largest logits: the maxima of groups are sorted, and only the groups with the largest are kept.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import Any

import numpy as np

from .binding import buffer_name, ggml
from .token_sampler import Candidates

MOST = 64  # of the largest logits that can be asked for
SORTED = 1024  # maxima of a row that CUDA sorts in one kernel for all rows
DEVICES = ("CUDA",)  # where it was measured
FINER = 16  # of the second groups make one of the first
DESCENDING, POOL_MAX, FLOAT = 1, 0, 0  # of ggml


class Tensor(ctypes.Structure):
    """`ggml_tensor`, as far as it is read."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """How a row of logits is divided: `count` groups of `size`, of which `MOST` are divided into finer ones."""

    size: int
    count: int

    @property
    def fine(self) -> int:
        return max(1, self.size // FINER)

    @property
    def covered(self) -> int:
        """Logits in groups; those behind them are all handed over."""
        return self.size * self.count

    def kept(self, n_vocab: int) -> int:
        """Logits of a row that are handed over."""
        return MOST * self.fine + n_vocab - self.covered

    @classmethod
    def of(cls, n_vocab: int) -> Groups | None:
        """None where a vocabulary is too small for it to be worth it."""
        size = FINER
        while n_vocab // size > SORTED:
            size *= 2
        return cls(size, n_vocab // size) if n_vocab // size >= 4 * MOST else None


@dataclass(frozen=True, slots=True)
class Kept:
    """The largest logits of one row, out of llama.cpp's memory."""

    ids: Any
    logits: Any

    @property
    def nbytes(self) -> int:
        total: int = self.ids.nbytes + self.logits.nbytes
        return total


class NoDeviceTop(Exception):
    """The largest logits cannot be found on the device; rows are handed over whole."""


class DeviceTop:
    """Finds the largest logits on the device, in each sequence of a context. Raises NoDeviceTop.

    It takes part in the making of the context: `attach` before, so that memory is reserved for it, `works` behind.
    """

    def __init__(self, lib: Any, n_vocab: int) -> None:
        groups = Groups.of(n_vocab)
        if groups is None:
            raise NoDeviceTop("the vocabulary is too small")
        self._lib, self._groups, self._n_vocab = lib, groups, n_vocab
        self._found: int | None = None  # in the graph that is being built: a tensor with a row for each output
        self._built, self._problem = False, ""
        self._chains: list[Any] = []
        self._context: Any = None
        self._views: dict[tuple[int, int], Any] = {}  # by the address of the first row, and how many there are
        try:
            self._ggml = Functions()
            self._logits = _reader(lib.llama_get_sampled_logits_ith)
            self._interface = lib.llama_sampler_i(
                apply=lib.llama_sampler_i_apply(lambda sampler, row: None),
                backend_init=lib.llama_sampler_i_backend_init(self._init),
                backend_apply=lib.llama_sampler_i_backend_apply(self._apply),
                backend_reset=lib.llama_sampler_i_backend_reset(self._reset),
            )
        except AttributeError as error:
            raise NoDeviceTop(str(error)) from error

    @classmethod
    def of(cls, lib: Any, n_vocab: int) -> DeviceTop | None:
        """None where this build or vocabulary has no use for it."""
        try:
            return cls(lib, n_vocab)
        except NoDeviceTop:
            return None

    def attach(self, params: Any, width: int) -> None:
        """Put it into the parameters of a context of `width` sequences that is about to be made."""
        self._free()
        self._chains = [self._chain() for _ in range(width)]
        configs = (self._lib.llama_sampler_seq_config * width)()
        for slot, chain in enumerate(self._chains):
            configs[slot].seq_id, configs[slot].sampler = slot, ctypes.cast(chain, ctypes.c_void_p)
        params.samplers, params.n_samplers = configs, width

    def works(self, context: Any) -> bool:
        """Whether the context that was made has taken it. If not, it hands over whole rows."""
        self._context, self._address = context, ctypes.cast(context, ctypes.c_void_p).value
        if self._built and not self._problem:
            return True
        self.close()
        return False

    def close(self) -> None:
        """The context goes back to whole rows."""
        for slot in range(len(self._chains)):
            self._lib.llama_set_sampler(self._context, slot, None)
        self._free()

    def _free(self) -> None:
        for chain in self._chains:
            self._lib.llama_sampler_free(chain)
        self._chains = []

    def kept(self, output: int) -> Kept | None:
        """The largest logits behind one token of the last batch, for later draws; None where they are no numbers."""
        candidates, _ = self.candidates([output], MOST)
        if len(candidates.ids) < MOST:
            return None
        return Kept(candidates.ids.copy(), candidates.logits.copy())

    def candidates(self, outputs: Seq[int], top: int) -> tuple[Candidates, Any]:
        """The `top` largest logits and hardly more behind each of these tokens of the last batch, as `cut` has them.

        Waits for the device.
        """
        groups, n = self._groups, len(outputs)
        values, first, second = self._rows(outputs)
        last = (top - 1) * groups.fine  # the groups come in the order of their maxima, which are the threshold
        thresholds = values[:, last : last + groups.fine].max(axis=1)[:, None]
        size = last + groups.fine
        row, place = np.divmod(np.flatnonzero(values[:, :size] >= thresholds), size)
        logits = values[row, place]
        chosen, lane = np.divmod(place, groups.fine)
        outer, inner = np.divmod(second[row, chosen], groups.size // groups.fine)
        ids = first[row, outer] * groups.size + inner * groups.fine + lane
        if groups.covered < self._n_vocab:  # what is behind the groups
            rest = values[:, MOST * groups.fine :]
            behind, place = np.nonzero(rest >= thresholds)
            row = np.concatenate([row, behind])
            order = np.argsort(row, kind="stable")
            row = row[order]
            ids = np.concatenate([ids, groups.covered + place])[order]
            logits = np.concatenate([logits, rest[behind, place]])[order]
        return Candidates(ids, logits), np.searchsorted(row, np.arange(n + 1))

    def _rows(self, outputs: Seq[int]) -> tuple[Any, Any, Any]:
        """What the graph has left for these tokens: (logits, first groups, second groups), a row each.

        Rows lie a vocabulary apart, in an order of llama.cpp's own.
        """
        context, step = self._address, 4 * self._n_vocab
        starts = [self._logits(context, output) for output in outputs]
        lowest = min(starts)
        numbers = [(start - lowest) // step for start in starts]
        n = max(numbers) + 1
        found = self._views.get((lowest, n))
        if found is None:  # made once: it costs more than to look at it
            found = self._views[lowest, n] = _strided(lowest, n, self._groups.kept(self._n_vocab) + 2 * MOST, step)
        if numbers != list(range(n)):
            found = found[numbers]
        groups = found[:, -2 * MOST :].view(np.int32)
        return found[:, : -2 * MOST], groups[:, :MOST], groups[:, MOST:]

    def _chain(self) -> Any:
        lib = self._lib
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init(ctypes.byref(self._interface), None))
        return chain

    # Called by llama.cpp while it builds a graph. An exception cannot pass through it.

    def _init(self, sampler: Any, buffers: int, outputs: int) -> bool:
        name = buffer_name(buffers)
        if not name.startswith(DEVICES):
            self._problem = f"not tried on {name}"
        return not self._problem

    def _reset(self, sampler: Any) -> None:
        self._found = None

    def _apply(self, sampler: Any, context: int, graph: int, data: Any) -> None:
        outputs = data.contents
        try:
            row = Tensor.from_address(outputs.logits)
            whole = Tensor.from_address(row.view_src) if row.view_src else row
            size = row.ne[0]
            if size != self._ggml.nelements(outputs.logits) or whole.ne[0] != size:
                raise ValueError("tensors are another structure in this build")
            groups = self._groups if size == self._n_vocab else Groups.of(size)
            assert groups is not None
            self._built |= bool(row.view_src)  # else it is only tried
            if self._found is None:
                self._found = self._build(context, row.view_src or outputs.logits, size, whole.ne[1], groups)
            number, kept = row.view_offs // (4 * size), groups.kept(size) + 2 * MOST
            outputs.logits = self._ggml.view_1d(context, self._found, kept, 4 * number * kept)
        except Exception as error:
            self._problem = str(error)

    def _build(self, context: int, logits: int, n_vocab: int, rows: int, groups: Groups) -> int:
        """A tensor with a row for each of `logits`, (rows, n_vocab): the logits kept, and which groups they are of.

        In one tensor, since each row of each tensor is a copy of its own to the host. ggml names the fastest dimension
        first.
        """
        ggml, size, count, fine = self._ggml, groups.size, groups.count, groups.fine

        def largest(tensor: int, size: int, count: int) -> int:
            """The numbers of the `MOST` groups with the largest maxima, of each row's `count`."""
            maxima = ggml.pool_1d(context, tensor, POOL_MAX, size, size, 0)
            order = ggml.argsort(context, maxima, DESCENDING)
            found: int = ggml.view_2d(context, order, MOST, rows, 4 * count, 0)
            return found

        body = logits
        if groups.covered < n_vocab:
            body = ggml.cont(context, ggml.view_2d(context, logits, groups.covered, rows, 4 * n_vocab, 0))
        first = largest(body, size, count)
        kept = ggml.get_rows(context, ggml.reshape_3d(context, body, size, count, rows), first)
        finer = MOST * (size // fine)
        second = largest(ggml.reshape_2d(context, kept, MOST * size, rows), fine, finer)
        kept = ggml.get_rows(context, ggml.reshape_3d(context, kept, fine, finer, rows), second)
        kept = ggml.reshape_2d(context, kept, MOST * fine, rows)
        if rest := n_vocab - groups.covered:
            behind = ggml.view_2d(context, logits, rest, rows, 4 * n_vocab, 4 * groups.covered)
            kept = ggml.concat(context, kept, ggml.cont(context, behind), 0)
        for numbers in (first, second):
            bits = ggml.view_2d(context, numbers, MOST, rows, Tensor.from_address(numbers).nb[1], 0)
            Tensor.from_address(bits).type = FLOAT
            kept = ggml.concat(context, kept, bits, 0)
        ggml.set_output(kept)
        found: int = kept
        return found


def _reader(function: Any) -> Any:
    """A function of llama.cpp that gives an address, as a number: a pointer of ctypes costs more than the call."""
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)(address)


def _strided(address: int, rows: int, columns: int, step: int) -> Any:
    """A matrix over foreign memory whose rows begin `step` bytes apart: float32, (rows, columns)."""
    flat = np.ctypeslib.as_array((ctypes.c_float * ((rows - 1) * step // 4 + columns)).from_address(address))
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (step, flat.itemsize))


class Functions:
    """ggml's functions that make tensors: addresses in, an address out. AttributeError where a build lacks one."""

    def __init__(self) -> None:
        address, number, size, small = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t, ctypes.c_int
        self.pool_1d = ggml("ggml_pool_1d", address, address, address, small, small, small, small)
        self.argsort = ggml("ggml_argsort", address, address, address, small)
        self.get_rows = ggml("ggml_get_rows", address, address, address, address)
        self.concat = ggml("ggml_concat", address, address, address, address, small)
        self.cont = ggml("ggml_cont", address, address, address)
        self.view_1d = ggml("ggml_view_1d", address, address, address, number, size)
        self.view_2d = ggml("ggml_view_2d", address, address, address, number, number, size, size)
        self.reshape_2d = ggml("ggml_reshape_2d", address, address, address, number, number)
        self.reshape_3d = ggml("ggml_reshape_3d", address, address, address, number, number, number)
        self.set_output = ggml("ggml_set_output", None, address)
        self.nelements = ggml("ggml_nelements", number, address)
