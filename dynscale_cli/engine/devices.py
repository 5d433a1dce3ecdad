"""What ggml can compute on besides the CPU: graphics processors, and other machines over RPC.

Owns the few calls into ggml's registry of devices, which llama-cpp-python does not wrap. Knows nothing of models.
Run as a program it reports one RPC server to its caller: `python -m dynscale_cli.engine.devices HOST:PORT`.
"""

from __future__ import annotations

import ctypes
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from dynscale_cli.errors import ModelError

from .binding import binding

GPU, INTEGRATED_GPU = 1, 2  # ggml's numbers for kinds of devices
CONNECT_SECONDS, PROBE_SECONDS = 5, 30
REBUILD = (
    "CMAKE_ARGS=-DGGML_RPC=on pip install --force-reinstall --no-cache-dir "
    "--no-binary llama-cpp-python llama-cpp-python"
)


def has_gpu() -> bool:
    """Whether there is a device to offload layers to; RPC servers count once they are added."""
    if not binding().llama_supports_gpu_offload():
        return False
    by_type = ggml("ggml_backend_dev_by_type", ctypes.c_void_p, ctypes.c_int)
    return any(by_type(kind) for kind in (GPU, INTEGRATED_GPU))


def add_rpc_servers(addresses: Sequence[str]) -> None:
    """Make the devices of llama.cpp RPC servers usable, before a model is loaded. Raises ModelError.

    The library ends the process when a server does not answer as expected: so each is tried out by a child first.
    """
    if not addresses:
        return
    if not binding().llama_supports_rpc():
        raise ModelError("this build of llama-cpp-python has no RPC", REBUILD)
    for address in addresses:
        _connect(address)
        _probe(address)
    for address in addresses:
        _add(address)


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:  # a name of the latter kind cannot even be looked up
        problem = "no host has such a name" if isinstance(error, UnicodeError) else error.strerror or str(error)
        raise ModelError(f"no RPC server at {address}: {problem}", f"rpc-server -p {port}") from error


def _probe(address: str) -> None:
    command = [sys.executable, "-m", "dynscale_cli.engine.devices", address]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        problem = "it does not answer"
    else:
        if done.returncode == 0:
            return
        problem = "it is not an RPC server of the same llama.cpp version"
    raise ModelError(f"{address}: {problem}", "start rpc-server of the same llama.cpp release there")


def _add(address: str) -> None:
    """As llama.cpp's own tools do it: a registry for the server, found by name, then registered."""
    registry = ggml("ggml_backend_reg_by_name", ctypes.c_void_p, ctypes.c_char_p)(b"RPC")
    find = ggml("ggml_backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    add = find(registry, b"ggml_backend_rpc_add_server") if registry else None
    server = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(add)(address.encode()) if add else None
    if not server:
        raise ModelError(f"{address}: the RPC server offers no device", "see what rpc-server printed when it started")
    ggml("ggml_backend_register", None, ctypes.c_void_p)(server)


def ggml(name: str, result: Any, *arguments: Any) -> Any:
    """A function of ggml, with its types."""
    function = getattr(_library(name), name)
    function.restype, function.argtypes = result, arguments
    return function


@cache
def _library(name: str) -> Any:
    """The library that has the function: found through llama.cpp's own handle, or else opened by its name."""
    module = binding()
    if hasattr(module._lib, name):  # where symbols of dependencies are found, too: not on Windows
        return module._lib
    load = sys.modules["llama_cpp._ctypes_extensions"].load_shared_library
    parts = [load(part, module._base_path) for part in ("ggml", "ggml-base")]
    return next(part for part in parts if hasattr(part, name))


if __name__ == "__main__":
    _add(sys.argv[1])
