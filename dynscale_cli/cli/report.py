"""Errors on stderr: one line, and a second one that says what to do; and single lines of news."""

from __future__ import annotations

import contextlib
import sys

from dynscale_cli.display.safe import plain
from dynscale_cli.errors import DynscaleError


def report(error: DynscaleError) -> None:
    """Print an error as users see it. A closed stderr is nobody's fault."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"dynscale: {plain(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"  try: {plain(error.hint)}", file=sys.stderr)
        sys.stderr.flush()


def say(line: str) -> None:
    """One line on stderr, whatever has become of it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(line, file=sys.stderr, flush=True)
