"""Models on the terminal: the list as columns, one model as lines, a download as a bar.

A download outside a terminal is a line for each tenth. Knows nothing of where models are.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from dynscale_cli.display.text import columns, count, plain, width
from dynscale_cli.models.gguf import GGUFHeader
from dynscale_cli.models.info import Fit, Listed, Listing, Shown
from dynscale_cli.models.names import in_bytes, in_parameters

HEAD = ("name", "architecture", "parameters", "quant", "context", "size", "where", "")
DISPENSABLE = (1, 4)


def list_lines(models: Sequence[Listed], cells: int | None = None) -> list[str]:
    """A line for each model under a head. Names come first and whole, so that they can be copied and cut.

    In a window of `cells` that is too narrow, what `models show` tells as well is left out.
    """
    table = [HEAD, *map(_row, models)]
    lines = columns(table, right=(2, 4, 5))
    if cells is None or max(map(width, lines)) <= cells:
        return lines
    return columns(
        [[cell for place, cell in enumerate(row) if place not in DISPENSABLE] for row in table], right=(1, 3)
    )


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
    if listing.trouble:
        lines.append(f"dynscale: {plain(listing.trouble)}")
    return lines


def show_lines(name: str, header: GGUFHeader, needs: Fit, shown: Shown) -> list[str]:
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
        ("thinks", shown.thinks),
        ("settings", settings(shown.recommended)),
        ("KV cache", _cache(header, needs)),
        ("memory", _memory(needs)),
        ("llama.cpp", shown.here),
    ]
    return columns([(f"{label}:", plain(value)) for label, value in facts])


def settings(recommended: Mapping[str, Any]) -> str:
    """Settings that suit a model, as flags."""
    flags = [f"--{name.replace('_', '-')} {value}" for name, value in recommended.items()]
    return " ".join(flags) or "the usual ones"


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


class Download:
    """Shows one download, as `models.pull` tells it. Use as a context manager."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        parts = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._bar = Progress(TextColumn("{task.description}"), *parts, console=console, redirect_stdout=False)
        self._live = console.is_terminal
        self._task = self._bar.add_task("", visible=False)
        self._size = 0
        self._tenths = 0

    def __enter__(self) -> Download:
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._bar.stop()

    def starts(self, name: str, size: int, have: int) -> None:
        self._size = size
        if have < size:
            self.says(f"{name}: {in_bytes(size)}" + (f", of which {in_bytes(have)} are here" if have else ""))
        self._bar.update(self._task, total=size, completed=have, visible=have < size)

    def has(self, count: int) -> None:
        self._bar.update(self._task, completed=count)
        tenths = 10 * count // self._size if self._size else 10
        if not self._live and self._tenths < tenths < 10:
            self.says(f"{tenths}0%")
        self._tenths = tenths

    def says(self, text: str) -> None:
        if self._live:
            self._bar.console.print(plain(text), markup=False, highlight=False)
            return
        with contextlib.suppress(OSError, ValueError):
            print(plain(text), file=sys.stderr, flush=True)
