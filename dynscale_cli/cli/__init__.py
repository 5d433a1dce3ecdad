"""What the user types. `main` is the command `dynscale`: it maps every error to one line and an exit code.

Owns exit codes: 0 done; 1 failed; 2 usage; 3 done, but some questions have no answer; 130 Ctrl-C;
141 the reader went away.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit."""
    code = _run()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (BrokenPipeError, ValueError, AttributeError):
        code = 141
    except OSError:
        code = code or 1
    # llama.cpp's threads and a thread that waits on a pipe must not hold the exit up.
    os._exit(code)


def _run() -> int:
    from dynscale_cli.errors import DynscaleError

    from .app import run

    try:
        return run()
    except DynscaleError as error:
        from .report import report

        report(error)
        return error.exit_code
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return 130
