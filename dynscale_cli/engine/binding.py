"""llama.cpp's and ggml's C interface: imported quickly, kept quiet, and asked what it can compute on.

Owns the import of `llama_cpp.llama_cpp`, llama.cpp's log (a ring buffer, never the terminal), the abort flag, and the
calls into ggml's registry of devices and buffer types, which llama-cpp-python does not wrap. Knows nothing of models or
requests.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import os
import socket
import sys
import types
from collections import deque
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from dynscale_cli import child
from dynscale_cli.child import ChildError
from dynscale_cli.errors import ModelError

LOG_LINES = 200
PATIENCE = "1000"  # turns of a waiting loop: some tens of microseconds, as long as threads that all run are apart
CPU, GPU, INTEGRATED_GPU = 0, 1, 2  # ggml's numbers for kinds of devices
CONNECT_SECONDS, PROBE_SECONDS = 5, 30
REBUILD = (
    "CMAKE_ARGS=-DGGML_RPC=on pip install --force-reinstall --no-cache-dir "
    "--no-binary llama-cpp-python llama-cpp-python"
)

KINDS = {0: "CPU", 1: "GPU", 2: "integrated GPU", 3: "accelerator"}
_log: deque[str] = deque(maxlen=LOG_LINES)
_copied = False  # to standard error


@cache
def binding() -> Any:
    """The low-level module, initialised. Raises ModelError where llama-cpp-python does not load.

    The package's own `__init__` imports its high-level half, which costs six times the low-level
    one and is not used here; so the submodule is imported beneath a bare parent, which is then
    taken away again: whoever imports `llama_cpp` later gets the whole of it.
    """
    yield_soon()
    share_cpp_library()
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # it is written into the user's results
    try:
        module = _import_low_level()
    except Exception as error:  # a build for another CPU or a missing library fails in many ways
        raise ModelError(
            f"llama-cpp-python does not load: {error}",
            "pip install --force-reinstall --no-cache-dir llama-cpp-python",
        ) from error
    module.llama_log_set(_callback(module), None)
    module.llama_backend_init()
    return module


def yield_soon(environ: MutableMapping[str, str] = os.environ) -> None:
    """Have llama.cpp's threads sleep soon where they wait for one another, unless the user has said how they wait.

    They meet hundreds of times a step. GNU's OpenMP lets the early ones spin for milliseconds, which on a machine with
    other work takes the core from the very thread they wait for: beside one busy process on two cores a tenth of the
    speed was left, or less. The library reads this once, when it is loaded.
    """
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", PATIENCE)


def share_cpp_library() -> None:
    """Have llama.cpp and all that it loads use one C++ library.

    Where numpy came first, a CUDA build took parts of it from elsewhere and crashed in std::regex when it loaded a
    vocabulary (seen with numpy 2.5 and CUDA 13).
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a system that has none of this name has no such trouble
            ctypes.CDLL("libstdc++.so.6", ctypes.RTLD_GLOBAL)


def _import_low_level() -> Any:
    name = "llama_cpp"
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None or spec.submodule_search_locations is None:
        return importlib.import_module(f"{name}.{name}")
    parent = types.ModuleType(name)
    parent.__path__ = list(spec.submodule_search_locations)
    parent.__spec__ = spec
    sys.modules[name] = parent
    try:
        return importlib.import_module(f"{name}.{name}")
    finally:
        del sys.modules[name]


@cache
def _callback(module: Any) -> Any:
    """Held by the cache for as long as the library may call it, which is always."""

    def keep(level: int, text: bytes, data: Any) -> None:
        _log.append(text.decode("utf-8", "replace"))
        if _copied:
            os.write(2, text)

    return module.llama_log_callback(keep)


def log_tail(lines: int = 3) -> str:
    """The last things llama.cpp said, in one line; prefers its errors."""
    text = list(dict.fromkeys(line.strip() for line in "".join(_log).splitlines() if line.strip(" .\n")))
    told = [line for line in text if "error" in line.lower() or "failed" in line.lower()]
    return "; ".join((told or text)[-lines:])


def log_to_stderr() -> None:
    """Write llama.cpp's log to standard error as well, where its last words outlive a crash: for child processes."""
    global _copied
    _copied = True
    binding()


def log_clear() -> None:
    _log.clear()


class Abort:
    """A flag that stops a running `llama_decode`, also in the middle of a long prefill.

    llama.cpp asks a C callback before every node of its graph. A Python callback would take the
    interpreter's lock a thousand times a step; the C library's `strlen` reads the flag just as
    well: the flag is a string, empty while all is well.
    """

    def __init__(self) -> None:
        self.flag = ctypes.create_string_buffer(2)
        library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        self.callback = ctypes.cast(library.strlen, binding().ggml_abort_callback)

    def set(self) -> None:
        self.flag[0] = b"x"

    def install(self, context: Any) -> None:
        binding().llama_set_abort_callback(context, self.callback, ctypes.cast(self.flag, ctypes.c_void_p))


def has_gpu() -> bool:
    """Whether there is a device to offload layers to; RPC servers count once they are added."""
    if not binding().llama_supports_gpu_offload():
        return False
    by_type = ggml("ggml_backend_dev_by_type", ctypes.c_void_p, ctypes.c_int)
    return any(by_type(kind) for kind in (GPU, INTEGRATED_GPU))


def gpu_memory() -> int:
    """Bytes that are free on the fullest GPU; 0 without one."""
    return min((device.free for device in _devices() if device.kind.startswith("GPU")), default=0)


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
        add_rpc_server(address)


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:  # a name of the latter kind cannot even be looked up
        problem = "no host has such a name" if isinstance(error, UnicodeError) else error.strerror or str(error)
        raise ModelError(f"no RPC server at {address}: {problem}", f"rpc-server -p {port}") from error


def _probe(address: str) -> None:
    try:
        child.ask(f"{__name__}:add_rpc_server", address, PROBE_SECONDS)
    except ChildError as error:
        problem = (
            "it does not answer" if error.fate == "slow" else "it is not an RPC server of the same llama.cpp version"
        )
        raise ModelError(f"{address}: {problem}", "start rpc-server of the same llama.cpp release there") from None


def add_rpc_server(address: str) -> None:
    """Use the devices of a server, as llama.cpp's own tools do: a registry for it, found by name, then registered."""
    registry = ggml("ggml_backend_reg_by_name", ctypes.c_void_p, ctypes.c_char_p)(b"RPC")
    find = ggml("ggml_backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    add = find(registry, b"ggml_backend_rpc_add_server") if registry else None
    server = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(add)(address.encode()) if add else None
    if not server:
        raise ModelError(f"{address}: the RPC server offers no device", "see what rpc-server printed when it started")
    ggml("ggml_backend_register", None, ctypes.c_void_p)(server)


def extra_buffer_types() -> list[str]:
    """The buffer types besides its plain one in which the CPU can hold weights, best first: AMX, CPU_REPACK, ..."""
    return [buffer_name(each) for each in _extra_buffers() if each]


def leave_out_amx() -> None:
    """Have llama.cpp choose among the extra buffer types as if AMX were none of them.

    `use_extra_bufts` knows all or none. But llama.cpp goes through the table that ggml hands out, up to its first NULL,
    each time it loads a model: the others move up by one. What ggml itself looks up by is another table.
    """
    table = _extra_buffers()
    for place, kept in enumerate([each for each in table if each and buffer_name(each) != "AMX"] + [None]):
        table[place] = kept


def _extra_buffers() -> Any:
    """ggml's own table of the CPU's extra buffer types, its closing NULL included; empty where there is none."""
    device = ggml("ggml_backend_dev_by_type", ctypes.c_void_p, ctypes.c_int)(CPU)
    registry = ggml("ggml_backend_dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)(device)
    find = ggml("ggml_backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    get = find(registry, b"ggml_backend_dev_get_extra_bufts")
    start = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(get)(device) if get else None
    if not start:
        return (ctypes.c_void_p * 0)()
    size = next(place for place in range(64) if not start[place]) + 1
    return (ctypes.c_void_p * size).from_address(ctypes.addressof(start.contents))


def buffer_name(buffer: int) -> str:
    """The name of a type of buffers: CPU, CUDA0, ..."""
    name: bytes = ggml("ggml_backend_buft_name", ctypes.c_char_p, ctypes.c_void_p)(buffer)
    return name.decode("utf-8", "replace")


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
    """How llama.cpp was built, and the devices it found. Raises ModelError where it does not load."""
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


def described(_: None = None) -> dict[str, Any]:
    """`describe`, for a child process: a library that crashes takes no more than that down."""
    return asdict(describe())
