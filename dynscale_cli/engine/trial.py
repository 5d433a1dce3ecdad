"""Does this build of llama.cpp run this model here? Found out once, by a child process that may die of it.

Owns the verdicts: which of llama.cpp's buffer types for weights may be used, or why nothing works. A verdict holds for
one model file, one build of the library, one CPU and one set of options, and is kept beside the settings; where it
cannot be kept it is found again each time. It stands in for knowledge of llama.cpp's innards: damaged files, newer
kinds of models, builds for another CPU and code that crashes all show in the same way.

`decode` is what the child runs. Knows nothing of questions, and loads nothing into this process.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynscale_cli import child
from dynscale_cli.child import ChildError
from dynscale_cli.errors import ModelError
from dynscale_cli.paths import config_dir, make_private

from .options import CPU_WIDTH, MEMORY_SHARE, Buffers, LoadOptions, available

if TYPE_CHECKING:
    from dynscale_cli.models.gguf import GGUFHeader

FILE = "trials.json"
# Of LoadOptions, those that change what llama.cpp computes with.
OPTIONS = ("n_gpu_layers", "main_gpu", "tensor_split", "flash_attn", "cache_type_k", "cache_type_v", "rpc")
# Variables that change how llama.cpp computes, and one among them that this package sets itself.
VARIABLES, SET_HERE = ("GGML_", "CUDA_", "HIP_", "GOMP_CPU"), ("GGML_NO_BACKTRACE",)
KEPT = 200  # verdicts; the oldest go
SECONDS, BYTES_A_SECOND = 60.0, 50e6  # time to load and decode: a fixed part, and one for the size of the file
PIP = "pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
TARGET = f"{__name__}:decode"
DEVICE = "device"  # beside the types of buffers: a GPU takes part in drawing tokens
STEPS, PROMPT = 2, 32  # tokens decoded in each sequence, and tokens of the prompt that they share
# Every byte that UTF-8 has, for tokenizers that lack some; llama.cpp throws when it meets one.
TEXT = "".join(map(chr, (*range(1, 0x250), *range(0x1000, 0xD800, 0x1000), *range(0x10000, 0x110000, 0x10000))))


@dataclass(frozen=True, slots=True)
class Verdict:
    """`buffers`: which extra buffer types for weights work; with a `problem`, none do. `width`: sequences tried.

    `on_device`: whether a GPU may find the largest logits itself, see `device_top`.
    """

    buffers: Buffers = "all"
    width: int = 0
    problem: str = ""
    hint: str = ""
    on_device: bool = True

    @property
    def remark(self) -> str:
        """What a user should know of it; empty where everything works."""
        if self.problem:
            return ""
        if self.buffers == "all":
            return "" if self.on_device else "this build crashes when the GPU takes part in drawing tokens: it does not"
        if self.buffers == "without AMX":
            return (
                "llama.cpp's AMX code crashes on this machine and is left out; a newer build may bring it back: " + PIP
            )
        return (
            "llama.cpp crashes here with repacked weights and runs without, slower; a newer build may bring them back: "
            + PIP
        )


def tried(
    parts: Sequence[Path],
    options: LoadOptions,
    width: int = CPU_WIDTH,
    *,
    name: str = "",
    notice: Callable[[str], None] = lambda text: None,
    again: bool = False,
) -> Verdict:
    """The verdict on a model, all its `parts`, found now if it is not known; `again`: found now all the same.

    Raises ModelError when the model does not work here.
    """
    verdicts = Verdicts()
    key = fingerprint(parts, options)
    verdict = None if again else verdicts.find(key)
    if verdict is None or verdict.width < width:
        notice(f"checking {name or parts[0].name} once, with this llama.cpp")
        verdict = _try(parts, options, width)
        verdicts.keep(key, verdict)
        if verdict.remark:
            notice(verdict.remark)
    if verdict.problem:
        raise ModelError(verdict.problem, verdict.hint)
    return verdict


def standing(header: GGUFHeader, options: LoadOptions) -> str:
    """What is known of a model with this build of llama.cpp, in words; nothing is tried."""
    found = Verdicts().find(fingerprint(header.parts, options))
    if found is None:
        return "not tried yet: ask does, and dynscale doctor"
    return found.problem or found.remark or "works here"


def _try(parts: Sequence[Path], options: LoadOptions, width: int) -> Verdict:
    """Ask children, each with fewer of llama.cpp's buffer types, until one survives.

    Raises ModelError for what another time may end otherwise: too slow, too large, or refused in llama.cpp's own words.
    """
    size = sum(part.stat().st_size for part in parts)
    told = {name: getattr(options, name) for name in (*OPTIONS, "threads")}
    seconds = SECONDS + size / BYTES_A_SECOND
    free = available()
    first: ChildError | None = None
    every: tuple[tuple[Buffers, bool], ...]
    every = ("all", True), ("all", False), ("without AMX", False), ("none", False)
    for buffers, on_device in every:
        if first is not None and not _matters(buffers, first.stage):
            continue
        request = {"path": str(parts[0].absolute()), "options": told, "width": width}
        request |= {"buffers": buffers, "on_device": on_device}
        try:
            child.ask(TARGET, request, seconds, resident=None if free is None else int(free * MEMORY_SHARE))
        except ChildError as error:
            first = first or error
            if error.fate != "crashed" or not error.stage.startswith("running"):
                break
        else:
            return Verdict(buffers, width, on_device=first is None or DEVICE not in first.stage.split())
    assert first is not None
    problem, hint = _told(parts[0], first)
    if first.fate != "crashed":
        raise ModelError(problem, hint)
    return Verdict("none", width, problem, hint)


def _matters(buffers: Buffers, stage: str) -> bool:
    """Whether leaving these out is another way to run, given what the child named before it died."""
    kinds = stage.partition(":")[2].split()
    if buffers == "all":
        return DEVICE in kinds
    kinds = [kind for kind in kinds if kind != DEVICE]
    return "AMX" in kinds and len(kinds) > 1 if buffers == "without AMX" else bool(kinds)


def _told(path: Path, error: ChildError) -> tuple[str, str]:
    """A failed trial in one line, and what to do."""
    words = f": {error.words}" if error.words else ""
    if not error.stage or error.stage == "library":
        return f"llama.cpp does not run on this machine: its library {error}{words}", PIP
    if error.fate == "large":
        return f"{path}: llama.cpp {error}", "try a smaller model, or a smaller --parallel"
    return f"{path}: llama.cpp {error} with it{words}", "check the file, or update: pip install -U llama-cpp-python"


def decode(told: Mapping[str, Any]) -> int:
    """Load a model and decode a few tokens in all of its sequences: the child's work. Returns their number."""
    child.stage("library")
    from .batched import BatchedEngine
    from .binding import extra_buffer_types, has_gpu, log_to_stderr
    from .llama import LlamaBackend, LlamaModel
    from .protocol import Prompt, Request, Sampling

    log_to_stderr()
    on_device = told["on_device"] and has_gpu()
    kinds = [*(extra_buffer_types() if told["buffers"] == "all" else ()), *([DEVICE] if on_device else ())]
    child.stage(f"running: {' '.join(kinds)}")
    options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told["options"].items()}
    model = LlamaModel(Path(told["path"]), LoadOptions(**options), buffers=told["buffers"])
    model.template = None  # which may take its time, and has nothing to do with llama.cpp
    tokens = tuple(model.tokenize(TEXT, special=True))[:PROMPT] or (0,)
    top = Sampling().top_k if on_device else 0
    backend = LlamaBackend(model, width=told["width"], context=len(tokens) + STEPS + 1, top=top)
    engine = BatchedEngine(backend, chunk=backend.chunk)
    for id in range(backend.info.width):
        engine.submit(
            Request(id, Prompt(tokens), STEPS + 1, Sampling(), id, cache_boundaries=(len(tokens),), ignore_end=True)
        )
    while engine.plan_step():
        engine.step()
    width = backend.info.width
    engine.close()
    model.close()
    return width


def fingerprint(parts: Sequence[Path], options: LoadOptions, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What a verdict depends on, as one short text: the model's files, the library, the CPU, the options."""
    told = {name: getattr(options, name) for name in OPTIONS}
    facts = [
        [_stamp(part) for part in parts],
        _library(),
        hashlib.sha256(cpu_features(cpuinfo).encode()).hexdigest(),
        told,
        {key: value for key, value in os.environ.items() if key.startswith(VARIABLES) and key not in SET_HERE},
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _stamp(path: Path) -> list[Any]:
    found = path.stat()
    return [str(path.absolute()), found.st_size, found.st_mtime_ns]


def _library() -> list[Any]:
    """llama.cpp's libraries as they lie on disk, and the binding's version; nothing is imported."""
    spec = find_spec("llama_cpp")
    folder = Path((spec.submodule_search_locations or [""])[0]) / "lib" if spec else Path()
    files = sorted(each for each in _entries(folder) if "ggml" in each.name or "llama" in each.name)
    try:
        named = version("llama-cpp-python")
    except PackageNotFoundError:
        named = ""
    return [named, *(_stamp(each) for each in files)]


def _entries(folder: Path) -> Iterable[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def cpu_features(cpuinfo: Path) -> str:
    """The line in which the kernel names the first core's features; elsewhere what Python knows of the machine."""
    try:
        with cpuinfo.open("rb") as file:
            lines = file.read(1 << 14).decode("ascii", "replace").splitlines()
    except OSError:
        return "-".join(os.uname()) if hasattr(os, "uname") else os.name
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


class Verdicts:
    """The file of verdicts. Whatever is wrong with it, it is as if nothing were known."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or config_dir() / FILE

    def find(self, key: str) -> Verdict | None:
        entry = self._read().get(key)
        try:
            verdict = Verdict(**entry) if isinstance(entry, dict) else None
        except TypeError:
            return None
        return verdict if verdict is not None and _sound(verdict) else None

    def keep(self, key: str, verdict: Verdict) -> None:
        """Add a verdict, where the folder can be written to: the file is whole at any time."""
        kept = self._read()
        kept.pop(key, None)
        kept[key] = asdict(verdict)
        kept = dict(list(kept.items())[-KEPT:])
        with suppress(OSError):
            make_private(self.path.parent)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{FILE}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(kept, file, indent=1)
                os.replace(name, self.path)
            except OSError:
                os.unlink(name)

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return kept if isinstance(kept, dict) else {}


def _sound(verdict: Verdict) -> bool:
    texts = (verdict.problem, verdict.hint)
    width = isinstance(verdict.width, int) and not isinstance(verdict.width, bool)
    sound = verdict.buffers in ("all", "without AMX", "none") and isinstance(verdict.on_device, bool)
    return sound and width and all(isinstance(text, str) for text in texts)
