"""How a model is put on the machine: the options of llama.cpp that users may set, and what the machine has.

Owns names, ranges and checks of the options, the default number of threads, and how much memory is left for a KV cache.
Imports no library: `ask --help` needs these.
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
# On an H200 an 8B model in Q4_0 gave 3,191, 4,617 and 5,519 tokens/s at 32, 64 and 128 (`python -m tests.gpu.measure`).
CPU_WIDTH, GPU_WIDTH = 16, 64
EXPECTED, EXPECTED_THINKING = 256, 3072  # tokens of a sample, before there is one
# Which of ggml's extra buffer types may hold weights: AMX, repacked for the CPU, and so on. The trial finds it out.
Buffers: TypeAlias = Literal["all", "without AMX", "none"]
ROOT = Path("/")
MEMORY_SHARE = 0.9  # of what is free: llama.cpp's buffers and kept prefixes need some, too

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


def available(root: Path = ROOT) -> int | None:
    """Bytes that this process can still take: None where that is unknown. `root` is where /proc and /sys are.

    Linux grants any allocation and kills the process when it is filled, so a cache that is too large must be refused
    before it is asked for. Elsewhere the allocation itself fails.

    The kernel counts mapped files as free, as it could read them again; the weights that every step reads are not.
    """
    free = _kilobytes(root / "proc/meminfo", "MemAvailable:")
    if free is None:
        return None
    mapped = _kilobytes(root / "proc/self/status", "RssFile:") or 0
    granted = _left_in_group(root / "sys/fs/cgroup")
    return max(0, (free if granted is None else min(free, granted)) - mapped)


def _left_in_group(group: Path) -> int | None:
    """What a container may still take, its file cache counted as free."""
    limit, used = _read(group / "memory.max").strip(), _read(group / "memory.current").strip()
    if not limit.isdigit() or not used.isdigit():
        return None
    cached = _field(group / "memory.stat", "file") or 0
    return max(0, int(limit) - int(used) + cached)


def _kilobytes(path: Path, name: str) -> int | None:
    value = _field(path, name)
    return None if value is None else 1024 * value


def _field(path: Path, name: str) -> int | None:
    """The number behind `name` at the beginning of a line."""
    for line in _read(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
