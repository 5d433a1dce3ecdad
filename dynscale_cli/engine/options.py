"""How a model is put on the machine: the options of llama.cpp that users may set, and their checks.

Owns names, ranges and the default number of threads. Imports no library: `ask --help` needs these.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from dynscale_cli.errors import UsageError

# ggml's type numbers for those that llama.cpp accepts for a KV cache.
CACHE_TYPES = {"f32": 0, "f16": 1, "bf16": 30, "q8_0": 8, "q5_1": 7, "q5_0": 6, "q4_1": 3, "q4_0": 2}
FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}
CACHE_BYTES = {  # of one element; the quantised types hold 32 values in a block with its scales
    "f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32, "q4_1": 20 / 32,
    "q4_0": 18 / 32,
}  # fmt: skip
Level: TypeAlias = Literal["auto", "on", "off", "low", "medium", "high"]
LEVELS: tuple[Level, ...] = get_args(Level)  # of thinking
CPU_WIDTH, GPU_WIDTH = 16, 32
LARGEST_SHARE = 1e30  # whose sums llama.cpp can still hold


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to put a model on the machine, in llama.cpp's own terms. Raises UsageError for what it would refuse."""

    n_gpu_layers: int = -1  # -1: all that the build can offload
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()
    flash_attn: str = "auto"
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    threads: int = 0  # 0: one for each physical core
    rpc: tuple[str, ...] = ()  # HOST:PORT of llama.cpp RPC servers
    think: Level = "auto"
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)  # further variables of the chat template
    chat_template: str = ""  # in place of the model's own
    day: str = ""  # the date that a template is told: a run's first, also when it is resumed

    def __post_init__(self) -> None:
        for flag, value in (("-k", self.cache_type_k), ("-v", self.cache_type_v)):
            if value not in CACHE_TYPES:
                raise UsageError(f"--cache-type{flag} {value}: unknown", "use one of " + ", ".join(CACHE_TYPES))
        if self.flash_attn not in FLASH_ATTENTION:
            raise UsageError(f"--flash-attn {self.flash_attn}: unknown", "use on, off or auto")
        if self.flash_attn == "off" and self.cache_type_v not in ("f32", "f16", "bf16"):
            raise UsageError("a quantised V cache needs flash attention", "leave --flash-attn at auto")
        if not all(0 <= share < LARGEST_SHARE for share in self.tensor_split):  # nan is neither
            shares = ",".join(f"{share:g}" for share in self.tensor_split)
            raise UsageError(f"--tensor-split {shares}: not proportions", "use numbers from 0 on, such as 3,1")
        if self.think not in LEVELS:
            raise UsageError(f"--think {self.think}: unknown", "use one of " + ", ".join(LEVELS))
        if self.threads < 0 or self.main_gpu < 0:
            raise UsageError("--threads and --main-gpu cannot be negative", "leave them out for the defaults")
        for address in self.rpc:
            host, _, port = address.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise UsageError(f"--rpc {address}: not an address", "use HOST:PORT, such as 192.168.1.9:50052")


def physical_cores() -> int:
    """Cores this process may use, hyper-threads counted once: what llama.cpp decodes fastest with."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # macOS and Windows
        return max(1, os.cpu_count() or 1)
    cores = set()
    for cpu in allowed:
        try:
            siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
        except OSError:
            return max(1, len(allowed))
        cores.add(siblings.strip())
    return max(1, len(cores))
