"""How llama.cpp was built, and the devices it found: its own answers, as data.

Run as a program it prints them as JSON, so that a library that crashes takes no more than a child down:
`python -m dynscale_cli.engine.build`. Knows nothing of what the machine could offer besides.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from .binding import binding
from .devices import ggml

KINDS = {0: "CPU", 1: "GPU", 2: "integrated GPU", 3: "accelerator"}


@dataclass(frozen=True, slots=True)
class Device:
    """Something that ggml computes on; memory in bytes, as the device itself reports it."""

    name: str
    description: str
    kind: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Build:
    """`features`: what llama.cpp was compiled to use, such as AVX2; `backends`: CPU, CUDA, Metal, Vulkan and so on."""

    features: tuple[str, ...]
    backends: tuple[str, ...]
    devices: tuple[Device, ...]
    offload: bool
    rpc: bool


def describe() -> Build:
    """Ask the library. Raises ModelError where it does not load."""
    library = binding()
    info: str = library.llama_print_system_info().decode("utf-8", "replace")
    return Build(
        features=tuple(_features(info)),
        backends=tuple(_backends()),
        devices=tuple(_devices()),
        offload=bool(library.llama_supports_gpu_offload()),
        rpc=bool(library.llama_supports_rpc()),
    )


def _features(info: str) -> Iterator[str]:
    """`CPU : AVX2 = 1 | FMA = 1 |`: the names of what is on."""
    for part in info.replace(" : ", " | ").split("|"):
        name, equals, value = part.partition("=")
        if equals and value.strip() not in ("", "0"):
            yield name.strip()


def _backends() -> Iterator[str]:
    get = ggml("ggml_backend_reg_get", ctypes.c_void_p, ctypes.c_size_t)
    name = ggml("ggml_backend_reg_name", ctypes.c_char_p, ctypes.c_void_p)
    for number in range(ggml("ggml_backend_reg_count", ctypes.c_size_t)()):
        yield _text(name(get(number)))


def _devices() -> Iterator[Device]:
    get = ggml("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    name = ggml("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)
    description = ggml("ggml_backend_dev_description", ctypes.c_char_p, ctypes.c_void_p)
    kind = ggml("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    size = ctypes.POINTER(ctypes.c_size_t)
    memory = ggml("ggml_backend_dev_memory", None, ctypes.c_void_p, size, size)
    for number in range(ggml("ggml_backend_dev_count", ctypes.c_size_t)()):
        device, free, total = get(number), ctypes.c_size_t(), ctypes.c_size_t()
        memory(device, ctypes.byref(free), ctypes.byref(total))
        text = _text(description(device)).strip()
        yield Device(_text(name(device)), text, KINDS.get(kind(device), "device"), free.value, total.value)


def _text(raw: Any) -> str:
    return (raw or b"").decode("utf-8", "replace")


if __name__ == "__main__":
    print(json.dumps(asdict(describe())))
