"""Ctrl-C and its kin: the first asks the run to end, the second ends the process.

Owns signal handling. A signal must act in the middle of a `llama_decode`, while the main thread is
inside the library and Python's own handlers wait: so the byte that the interpreter writes to its
wake-up descriptor is read by a thread, which may stop the decode.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

EXIT = {signal.SIGINT: 130, signal.SIGTERM: 143}
if hasattr(signal, "SIGHUP"):  # a terminal that is closed ends what runs in it as orderly
    EXIT[signal.SIGHUP] = 143


class Interrupts:
    """What was asked of the process from outside. `exit_code` is 0 until a signal came."""

    def __init__(self) -> None:
        self.exit_code = 0
        self.on_first: Callable[[], None] | None = None  # without one, the first signal ends the process

    def __bool__(self) -> bool:
        return self.exit_code != 0

    def receive(self, number: int) -> None:
        code = EXIT.get(signal.Signals(number))
        if code is None:
            return
        if self.exit_code or self.on_first is None:
            _leave(code)
        self.exit_code = code
        if self.on_first is not None:
            self.on_first()


@contextlib.contextmanager
def watch() -> Iterator[Interrupts]:
    """Watch SIGINT, SIGTERM and SIGHUP for as long as the block runs; one that is ignored (`nohup`) stays so."""
    interrupts = Interrupts()
    if sys.platform == "win32":  # no descriptor to wake up: the handler itself has to do
        signal.signal(signal.SIGINT, lambda number, frame: interrupts.receive(number))
        yield interrupts
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    heard = [number for number in EXIT if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, frame: None) for number in heard}
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(reader, interrupts), daemon=True).start()
    try:
        yield interrupts
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)


def _listen(reader: int, interrupts: Interrupts) -> None:
    while byte := os.read(reader, 1):
        interrupts.receive(byte[0])
    os.close(reader)


def _leave(code: int) -> None:
    """End the process now, with the cursor visible again where a view has hidden it."""
    terminal = sys.modules.get("dynscale_cli.display.terminal")
    if terminal is not None:
        terminal.put_back()
    os._exit(code)
