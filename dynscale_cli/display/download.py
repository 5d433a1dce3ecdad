"""A download on standard error: a bar on a terminal, a line for each tenth elsewhere."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from dynscale_cli.display.safe import plain
from dynscale_cli.models.files import in_bytes


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
