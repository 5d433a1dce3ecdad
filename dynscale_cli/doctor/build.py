"""How llama.cpp was built, and what this machine could offer that the build lacks."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from dynscale_cli.models.files import in_bytes

from . import child
from .finding import Finding

AREA: Final = "llama.cpp"
SECONDS: Final = 60  # the first load of a GPU's driver may take many
PIP: Final = "pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
# What the kernel calls a feature of the CPU, and llama.cpp the code that uses it.
CPU: Final = {
    "avx": "AVX", "avx2": "AVX2", "fma": "FMA", "f16c": "F16C", "bmi2": "BMI2", "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI", "avx_vnni": "AVX_VNNI", "amx_int8": "AMX_INT8",
    "asimddp": "DOTPROD", "i8mm": "MATMUL_INT8", "sve": "SVE",
}  # fmt: skip


def installed(root: Path) -> tuple[bool, list[Finding]]:
    """Whether the library loads, and everything about how it was built."""
    try:
        built = child.ask("dynscale_cli.engine.build", [], SECONDS)
    except child.NoAnswer as error:
        return False, [Finding(AREA, "wrong", f"the library {error}", PIP)]
    return True, list(_built(built, root))


def _built(built: Mapping[str, Any], root: Path) -> Iterator[Finding]:
    yield Finding(AREA, "fine", f"built for {', '.join(built['backends'])}; uses {' '.join(built['features'])}")
    yield from (_device(device) for device in built["devices"])
    lacking = [CPU[flag] for flag in cpu_flags(root) if flag in CPU and CPU[flag] not in built["features"]]
    if lacking:
        text = f"the CPU has {', '.join(lacking)}, and the build does not use it"
        yield Finding(AREA, "warning", text, f'CMAKE_ARGS="-DGGML_NATIVE=on" {PIP}')
    gpus = [device for device in built["devices"] if "GPU" in device["kind"]]
    for name, backend, option in offered(root):
        if any(backend in has.upper() for has in built["backends"]):
            if not gpus:
                yield Finding(AREA, "warning", f"built for {backend}, but {name} was not found by it", _driver(backend))
        elif not gpus:
            text = f"{name} is here, and the build cannot use it"
            yield Finding(AREA, "warning", text, f'CMAKE_ARGS="-D{option}=on" {PIP}')


def _device(device: Mapping[str, Any]) -> Finding:
    memory = f", {in_bytes(device['free'])} of {in_bytes(device['total'])} free" if device["total"] else ""
    return Finding(AREA, "fine", f"{device['kind']} {device['description'] or device['name']}{memory}")


def cpu_flags(root: Path) -> list[str]:
    """Features of the first core, as the kernel names them; none where there is no /proc."""
    try:
        text = (root / "proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return []
    for line in text.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return flags.split()
    return []


def offered(root: Path) -> Iterable[tuple[str, str, str]]:
    """Graphics processors of this machine: what to call it, llama.cpp's backend, and its build option; best first."""
    if (root / "proc/driver/nvidia/version").exists() or (root == Path("/") and shutil.which("nvidia-smi")):
        return [("an NVIDIA GPU", "CUDA", "GGML_CUDA")]
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return [("Apple's GPU", "MTL", "GGML_METAL")]
    if (root / "dev/kfd").exists():
        return [("an AMD GPU", "ROCM", "GGML_HIP")]
    if list((root / "dev/dri").glob("renderD*")) and _vulkan(root):
        return [("a GPU with Vulkan", "VULKAN", "GGML_VULKAN")]
    return []


def _vulkan(root: Path) -> bool:
    return any(next((root / folder).glob("**/libvulkan.so*"), None) for folder in ("usr/lib", "usr/lib64"))


def _driver(backend: str) -> str:
    return {"CUDA": "nvidia-smi", "ROCM": "rocminfo", "VULKAN": "vulkaninfo --summary"}.get(backend, PIP)
