"""Models on the terminal: the list as columns, one model as lines. Pure: text out of values."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dynscale_cli.display.columns import columns
from dynscale_cli.display.safe import plain
from dynscale_cli.display.words import count
from dynscale_cli.models.files import in_bytes, in_parameters
from dynscale_cli.models.gguf import GGUFHeader
from dynscale_cli.models.info import Fit, Listed, Listing, thinks

HEAD = ("name", "architecture", "parameters", "quant", "context", "size", "where", "")


def list_lines(models: Sequence[Listed]) -> list[str]:
    """A line for each model under a head. Names come first and whole, so that they can be copied and cut."""
    return columns([HEAD, *map(_row, models)], right=(2, 4, 5))


def closing_lines(listing: Listing) -> list[str]:
    """What the list leaves out, and what can be done where it is empty."""
    lines = []
    if not listing.models:
        lines.append("no models on this machine; a good small one: dynscale models pull ggml-org/gemma-3-4b-it-GGUF")
    if listing.aside:
        lines.append(f"not listed, since they do not answer questions: {', '.join(map(plain, listing.aside))}")
    for left in listing.interrupted:
        rest = f"to go on: dynscale models pull {left.repo}; to forget it: {shlex.join(['rm', *map(str, left.files)])}"
        lines.append(f"interrupted: {plain(left.repo)}, of which {in_bytes(left.size)} are here; {plain(rest)}")
    lines += [f"not looked into, for want of permission: {plain(str(place))}" for place in listing.unreadable]
    return lines


def show_lines(name: str, header: GGUFHeader, needs: Fit) -> list[str]:
    """What a model is and what a run of it takes."""
    experts = f", {header.experts_used} of {header.experts} experts at a time" if header.experts else ""
    window = f", {header.sliding_window:,} of them in layers with a sliding window" if header.sliding_window else ""
    facts = [
        ("name", name),
        ("title", header.name),
        ("file", str(header.path)),
        ("size", in_bytes(header.size) + (f" in {header.split_count} parts" if header.split_count > 1 else "")),
        ("architecture", f"{header.architecture}, {count(header.block_count, 'layer')}{experts}"),
        ("parameters", in_parameters(header.parameters)),
        ("quantisation", header.quantisation),
        ("trained context", f"{header.context_length:,} tokens{window}"),
        (
            "chat template",
            "yes" if header.chat_template else "no: a base model, asked by plain question and answer lines",
        ),
        ("thinks", thinks(header.chat_template)),
        ("KV cache", _cache(header, needs)),
        ("memory", _memory(needs)),
    ]
    return columns([(f"{label}:", plain(value)) for label, value in facts])


def _cache(header: GGUFHeader, needs: Fit) -> str:
    bound = "at most " if header.sliding_window else ""
    state = ", and a state of fixed size in recurrent layers" if header.recurrent else ""
    size = f"{count(needs.width, 'sample')} of {needs.context:,} tokens (-np {needs.width} -c {needs.context})"
    return f"{bound}{in_bytes(needs.cache)} for {size}{state}"


def _memory(needs: Fit) -> str:
    total = f"{in_bytes(needs.weights)} of weights and {in_bytes(needs.cache)} of cache"
    if needs.free is None:
        return f"{total}; how much is free is not known on this system"
    free = f"{total}, and {in_bytes(needs.free)} are free"
    if needs.fits:
        return f"fits: {free}"
    return f"does not fit: {free}" + (f"; -np {needs.widest} fits" if needs.widest else "")


def _row(model: Listed) -> tuple[str, ...]:
    notes = ["default"] if model.default else []
    notes += [f"alias {alias}" for alias in model.aliases]
    notes += [f"also {plain(name)}" for name in model.other_names]
    if model.problem:
        notes.append(f"damaged: {plain(model.problem)}")
    return (
        plain(model.name),
        plain(model.architecture) or "-",
        in_parameters(model.parameters) if model.parameters else "-",
        plain(model.quantisation) or "-",
        f"{model.context:,}" if model.context else "-",
        in_bytes(model.size),
        model.source,
        ", ".join(notes),
    )
