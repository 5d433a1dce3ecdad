"""The model that would be used: whether it is there, sound, fits in memory, and how fast it decodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dynscale_cli.engine.memory import available
from dynscale_cli.engine.options import CPU_WIDTH
from dynscale_cli.errors import DynscaleError
from dynscale_cli.models.files import in_bytes, in_parameters
from dynscale_cli.models.header import GGUFHeader, read_header, require_generator
from dynscale_cli.models.info import TYPICAL, fit
from dynscale_cli.models.resolve import resolve

from . import child
from .finding import Finding

AREA = "model"
SECONDS, LOADING = 4.0, 60.0
SLOW = 5.0  # tokens a second over all samples: an answer of some hundred tokens takes minutes


def model(name: str | None, environ: Mapping[str, str]) -> tuple[GGUFHeader | None, list[Finding]]:
    """The model's header, where it is sound."""
    try:
        header = read_header(resolve(name, environ))
        require_generator(header)
    except DynscaleError as error:
        return None, [Finding(AREA, "wrong", error.message, _command(error.hint))]
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
    yield Finding(AREA, "fine", f"{header.path.name}: {what}, {header.context_length:,} tokens of context")
    yield Finding(AREA, "fine", f"at {header.path}")
    if not header.chat_template:
        yield Finding(AREA, "note", "no chat template: a base model, asked in plain text", "dynscale models list")
    needs = fit(header, CPU_WIDTH, TYPICAL, 2.0, 2.0, available())
    if needs.fits is False:
        wanted, free = in_bytes(needs.weights + needs.cache), in_bytes(needs.free or 0)
        text = f"it takes {wanted} with {needs.width} samples side by side, and {free} are free"
        fix = f"dynscale config set parallel {needs.widest}" if needs.widest else "dynscale models list"
        yield Finding(AREA, "warning", text, fix)


def speed(header: GGUFHeader, threads: int, width: int) -> Iterator[Finding]:
    """A few seconds of decoding, in a child."""
    arguments = [str(header.path), str(threads), str(width), str(SECONDS)]
    try:
        told = child.ask("dynscale_cli.evaluation.glance", arguments, SECONDS + LOADING)
    except child.NoAnswer as error:
        yield Finding("speed", "wrong", f"decoding {error}", f"dynscale models show {header.path}")
        return
    rate = told["tokens_per_second"]
    text = f"{rate:,.1f} tokens/s, {told['width']} samples side by side, in {told['seconds']:.1f} s"
    if rate < SLOW:
        yield Finding("speed", "warning", f"slow: {text}", "dynscale models pull ggml-org/gemma-3-1b-it-GGUF")
    else:
        yield Finding("speed", "fine", text)
