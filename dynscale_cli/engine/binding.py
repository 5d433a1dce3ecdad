"""llama.cpp's C interface, imported quickly and kept quiet.

Owns the import of `llama_cpp.llama_cpp`, llama.cpp's log (a ring buffer, never the terminal) and
the abort flag. Knows nothing of models or requests.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
import types
from collections import deque
from collections.abc import MutableMapping
from functools import cache
from typing import Any

from dynscale_cli.errors import ModelError

LOG_LINES = 200
PATIENCE = "1000"  # turns of a waiting loop: some tens of microseconds, as long as threads that all run are apart
_log: deque[str] = deque(maxlen=LOG_LINES)


@cache
def binding() -> Any:
    """The low-level module, initialised. Raises ModelError where llama-cpp-python does not load.

    The package's own `__init__` imports its high-level half, which costs six times the low-level
    one and is not used here; so the submodule is imported beneath a bare parent, which is then
    taken away again: whoever imports `llama_cpp` later gets the whole of it.
    """
    yield_soon()
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

    return module.llama_log_callback(keep)


def log_tail(lines: int = 3) -> str:
    """The last things llama.cpp said, in one line; prefers its errors."""
    text = list(dict.fromkeys(line.strip() for line in "".join(_log).splitlines() if line.strip(" .\n")))
    told = [line for line in text if "error" in line.lower() or "failed" in line.lower()]
    return "; ".join((told or text)[-lines:])


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
