"""A second opinion on formulas: math-verify in a process of its own, with a time limit.

Owns that process. math-verify's own limit uses signals, which work in the main thread only, and a symbolic
computation cannot be stopped from within; so it runs apart, is started when first needed, and is killed when
it overruns. Never fatal: without the extra `math`, or after too many overruns, the opinion is "not the same".
Must not know what the formulas answer.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

_PACKAGE_HOME = Path(__file__).resolve().parents[2]


class Prover:
    """Says whether two formulas mean the same. Safe to share between threads; answers are remembered.

    `seconds`: limit for one pair; `start_seconds`: for the process to come up (it imports sympy);
    `overruns`: after so many kills no more is asked.
    """

    def __init__(self, *, seconds: float = 3.0, start_seconds: float = 30.0, overruns: int = 3) -> None:
        self.seconds = seconds
        self.start_seconds = start_seconds
        self._chances = overruns if find_spec("math_verify") is not None else 0
        self._known: dict[tuple[str, str], bool] = {}
        self._worker: _Worker | None = None
        self._lock = threading.Lock()

    @property
    def available(self) -> bool:
        """Whether the extra is installed and has not overrun too often."""
        return self._chances > 0

    def same(self, first: str, second: str) -> bool:
        """Whether math-verify finds both equal in both directions; False when it cannot say in time."""
        pair = (first, second) if first <= second else (second, first)
        with self._lock:
            if pair not in self._known:
                if not self.available:
                    return False
                self._known[pair] = self._ask(pair)
            return self._known[pair]

    def close(self) -> None:
        """End the process. A later question starts another."""
        with self._lock:
            self._stop()

    def _ask(self, pair: tuple[str, str]) -> bool:
        if self._worker is None and not self._start():
            return False
        worker = self._worker
        assert worker is not None
        if not worker.ready and worker.reply(self.start_seconds) != "ready":
            return self._give_up()
        worker.ready = True
        if not worker.send(json.dumps(pair)):
            return self._give_up()
        reply = worker.reply(self.seconds)
        return self._give_up() if reply is None else reply == "true"

    def _give_up(self) -> bool:
        self._chances -= 1
        self._stop()
        return False

    def _start(self) -> bool:
        try:
            self._worker = _Worker()
        except OSError:
            self._chances = 0
            return False
        weakref.finalize(self, self._worker.kill)
        return True

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


class _Worker:
    """The process and its pipes: one JSON pair a line in, one word a line out."""

    def __init__(self) -> None:
        self.ready = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from dynscale_cli.answers.prover import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_PACKAGE_HOME,
            start_new_session=True,  # Ctrl-C is for us, not for it
            text=True,
            encoding="utf-8",
        )
        self._replies: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        reader = threading.Thread(target=_forward, args=(self._process.stdout, self._replies), daemon=True)
        reader.start()

    def send(self, line: str) -> bool:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def reply(self, seconds: float) -> str | None:
        """The next line; None when none comes in time or the process has ended."""
        try:
            return self._replies.get(timeout=seconds)
        except queue.Empty:
            return None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()


def _forward(pipe: IO[str], replies: queue.SimpleQueue[str | None]) -> None:
    """Runs in a thread of its own until the pipe closes."""
    with pipe:
        for line in pipe:
            replies.put(line.strip())
    replies.put(None)


# --- in the process of its own ---------------------------------------------------------------------------------

_MEMORY = 3 << 30  # bytes of address space: a runaway expansion must not take the machine's memory


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    except (ImportError, ValueError, OSError):
        pass  # not every system has the limit; the time limit remains


def _latex(key: str) -> str:
    r"""A key as LaTeX: the braces of a set are \{ \}."""
    return rf"\{{{key[1:-1]}\}}" if key.startswith("{") and key.endswith("}") else key


def _same(first: str, second: str) -> bool:
    """Equal in both directions: math-verify treats its first argument, the gold answer, differently."""
    from math_verify import LatexExtractionConfig, parse, verify

    def parsed(key: str) -> Any:
        formula: Any = parse(f"${_latex(key)}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
        return [part for part in formula if not isinstance(part, str)]

    one, other = parsed(first), parsed(second)
    if not one or not other:
        return False
    return bool(verify(one, other, timeout_seconds=None)) and bool(verify(other, one, timeout_seconds=None))


def main() -> None:
    _limit_memory()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the libraries print is not a reply
    _same("x", "x")  # the first parse builds the grammar
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        try:
            verdict = _same(*json.loads(line))
        except Exception:  # any failure to decide is "not the same"
            verdict = False
        print("true" if verdict else "false", file=replies, flush=True)


if __name__ == "__main__":
    main()
