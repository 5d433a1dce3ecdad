"""The command `dynscale`: the tree of commands, and every error as one line and an exit code.

Owns exit codes: 0 done; 1 failed; 2 usage; 3 done, but some questions have no answer; 130 Ctrl-C;
141 the reader went away. Owns nothing that the commands do.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Annotated, Any, Final

import typer

from dynscale_cli.display.text import report
from dynscale_cli.errors import DynscaleError

from . import ask, bench, config, help, models, runs
from .parser import Group, adopt

ESCAPED: Final = "dynscale.escaped"  # how standard output writes what its encoding has no letter for
SIGNALLED: Final = 128  # exit codes above it tell of a signal


EXAMPLES = """
dynscale ask "What is 3 + 4?"
dynscale help ask
dynscale docs
"""
app = typer.Typer(
    name="dynscale",
    cls=Group,
    help="Better answers from the language model on your machine, for exactly the tokens you allow.",
    no_args_is_help=True,
    add_completion=False,
    epilog=EXAMPLES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from dynscale_cli import __version__

        typer.echo(f"dynscale {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


app.command("ask", cls=ask.Ask, epilog=ask.EXAMPLES)(ask.ask)
app.add_typer(models.app, name="models")
app.command("bench", cls=bench.Bench, epilog=bench.EXAMPLES)(bench.bench)
app.command("replay", epilog=bench.REPLAYS)(bench.replay)
app.add_typer(runs.app, name="runs")
app.add_typer(config.app, name="config")
app.command("doctor", cls=config.Doctor, epilog=config.DOCTOR)(config.doctor)
app.command("docs", epilog=help.DOCS)(help.docs)
app.command("completions", epilog=help.SHELLS)(help.completions)
app.command("help", epilog="dynscale help runs resume")(help.show_help)
adopt(app)


def main() -> None:
    """Run the command line and exit."""
    _open_standard_streams()
    code = _flush(_run())
    # llama.cpp's threads and a thread that waits on a pipe must not hold the exit up.
    os._exit(code)


def _run() -> int:
    if sys.argv[1:2] == ["__complete"]:
        return help.complete(typer.main.get_command(app), " ".join(sys.argv[2:3]))
    try:
        return _command()
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
            code = code if code > SIGNALLED else 141
        except OSError:
            code = code or (1 if stream is sys.stdout else 0)
    return code


def _command() -> int:
    """Run the command in `sys.argv`; its exit code."""
    try:
        code = app(standalone_mode=False)
    except typer.Exit as leave:
        return leave.exit_code
    except typer.Abort:
        return 130
    except SystemExit as leave:  # the parser turns a reader that went away into an exit with 1
        if isinstance(leave.__context__, BrokenPipeError):
            return 141
        raise
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _usage(error)
        return 2
    return code if isinstance(code, int) else 0


def _usage(error: Any) -> None:
    """Show the parser's error as all errors are shown; where no command was given, the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message())
    else:
        report(help.mistyped(error))
