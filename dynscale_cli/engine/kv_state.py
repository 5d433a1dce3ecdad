"""The KV state of a sequence, kept outside its slot and put into others: what a fork is made of.

Owns how a state is saved and restored: always through host memory, and on a device beside it while the slot that it
came from keeps nothing newer. Knows nothing of prefixes, requests or tokens.

Measured for 32 forks of one prompt on an H100 with an 8B model, the decode step behind them included
(`python -m tests.gpu.steps`): from host memory 69, 580 and 4,176 ms for 100, 1,000 and 8,000 tokens; from the device
33, 43 and 126 ms; by llama_memory_seq_cp 36, 45 and 112 ms. The last cannot leave out what the source has generated
since. On a CPU all of it is host memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dynscale_cli.errors import EngineError

ON_DEVICE = 2  # LLAMA_STATE_SEQ_FLAGS_ON_DEVICE
SHARE = 4  # a state is kept on the device only where this many of its size are free there
HINT = "report this, with the model's name"


@dataclass(frozen=True, slots=True)
class DeviceCopy:
    """What llama.cpp keeps of a slot on its devices: the newest save of that slot, and `head` that describes it."""

    slot: int
    save: int  # counts the slot's saves
    head: Any  # uint8


@dataclass(frozen=True, slots=True)
class KVState:
    """A sequence's state. `host`: uint8, all of it; None where it only goes from one slot to another."""

    host: Any
    device: DeviceCopy | None = None

    @property
    def nbytes(self) -> int:
        return 0 if self.host is None else int(self.host.nbytes)


class KVStates:
    """Saves and restores the sequences of one context.

    `free_bytes`: asks how much memory the fullest device has left; None where nothing is offloaded.
    """

    def __init__(self, lib: Any, context: Any, memory: Any, free_bytes: Callable[[], int] | None = None) -> None:
        self._lib, self._context, self._memory, self._free_bytes = lib, context, memory, free_bytes
        self._saves: dict[int, int] = {}

    def save(self, slot: int) -> KVState:
        size = self._lib.llama_state_seq_get_size(self._context, slot)
        state = np.empty(size, np.uint8)
        if self._lib.llama_state_seq_get_data(self._context, _bytes(state), size, slot) != size:
            raise EngineError("llama.cpp could not save a sequence", HINT)
        return KVState(state, self._copy(slot, size))

    def restore(self, slot: int, state: KVState) -> None:
        """Replace what the slot holds."""
        self.clear(slot)  # the state of an empty sequence leaves what was there
        if self._restore_copy(slot, state.device):
            return
        host = state.host
        if not self._lib.llama_state_seq_set_data(self._context, _bytes(host), host.nbytes, slot):
            raise EngineError("llama.cpp could not restore a sequence", HINT)

    def move(self, source: int, target: int) -> None:
        """Put what `source` holds into `target`; on the device alone where that can be done."""
        copy = self._copy(source, self._lib.llama_state_seq_get_size(self._context, source))
        self.restore(target, KVState(None, copy) if copy else self.save(source))

    def clear(self, slot: int) -> None:
        self._lib.llama_memory_seq_rm(self._memory, slot, -1, -1)

    def _copy(self, slot: int, size: int) -> DeviceCopy | None:
        """Keep the slot's state on the device, in place of what was kept of this slot before."""
        if self._free_bytes is None or self._free_bytes() < SHARE * size:
            return None
        head = np.empty(self._lib.llama_state_seq_get_size_ext(self._context, slot, ON_DEVICE), np.uint8)
        self._saves[slot] = self._saves.get(slot, 0) + 1
        written = self._lib.llama_state_seq_get_data_ext(self._context, _bytes(head), head.nbytes, slot, ON_DEVICE)
        return DeviceCopy(slot, self._saves[slot], head) if head.nbytes and written == head.nbytes else None

    def _restore_copy(self, slot: int, copy: DeviceCopy | None) -> bool:
        if copy is None or self._saves[copy.slot] != copy.save:
            return False
        read = self._lib.llama_state_seq_set_data_ext(
            self._context, _bytes(copy.head), copy.head.nbytes, slot, ON_DEVICE
        )
        return bool(read)


def _bytes(array: Any) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
