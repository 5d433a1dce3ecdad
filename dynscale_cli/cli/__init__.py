"""What the user types. `main` is the command `dynscale`: it maps every error to one line and an exit code.

Owns exit codes: 0 done; 1 failed; 2 usage; 3 done, but some questions have no answer; 130 Ctrl-C;
141 the reader went away.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Final

ESCAPED: Final = "dynscale.escaped"  # how standard output writes what its encoding has no letter for


def main() -> None:
    """Run the command line and exit."""
    _open_standard_streams()
    code = _flush(_run())
    # llama.cpp's threads and a thread that waits on a pipe must not hold the exit up.
    os._exit(code)


def _run() -> int:
    if sys.argv[1:2] == ["__complete"]:  # a tab does not wait for the parser
        from .complete import complete

        return complete(sys.argv[2:])
    from dynscale_cli.errors import DynscaleError

    from .app import run
    from .report import report

    try:
        return run()
    except DynscaleError as error:
        report(error)
        return error.exit_code
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # mostly a disk that is full under standard output
        report(DynscaleError(f"{error.filename or 'standard output'}: {error.strerror or error}"))
        return 1


def _open_standard_streams() -> None:
    """Put the null device where the caller closed descriptor 0, 1 or 2.

    Or else the next file opened takes the number: what the C library writes to standard error ends up in an exported
    pool. And `print` to a stream that is None writes to standard output instead.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    codecs.register_error(ESCAPED, _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Letters that an encoding lacks, as JSON writes them: what any command prints can be read, and JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    codes = (int.from_bytes(units[place : place + 2], "big") for place in range(0, len(units), 2))
    return "".join(f"\\u{code:04x}" for code in codes), error.end


def _flush(code: int) -> int:
    """Write out what is still buffered; the exit code, which tells when that failed. A closed stream is no failure."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if not stream.closed:
                stream.flush()
        except BrokenPipeError:
            code = 141
        except OSError:
            code = code or (1 if stream is sys.stdout else 0)
    return code
