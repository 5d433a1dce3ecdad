"""A child process that answers with one line of JSON, within a time, or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


class NoAnswer(Exception):
    """What became of the child, in words that go on a sentence: crashed, did not answer, failed."""


def ask(module: str, arguments: Sequence[str], seconds: float) -> Any:
    """Run `python -m module arguments` and read its last line. Raises NoAnswer."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"did not answer within {seconds:.0f} seconds") from None
    if done.returncode < 0:
        raise NoAnswer(f"crashed ({_signal(-done.returncode)})")
    lines = (done.stderr if done.returncode else done.stdout).decode("utf-8", "replace").strip().splitlines()
    if done.returncode:
        raise NoAnswer(f"failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError):
        raise NoAnswer("gave no answer") from None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
