"""The command tree. Owns the list of commands and nothing that they do."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import ask, bench, completions, config, doctor, models, replay, runs
from .mistyped import mistyped
from .parser import Group, adopt
from .report import report

EXAMPLES = """
dynscale ask "What is 17 + 25?"
dynscale ask --help
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
app.command("replay", epilog=replay.EXAMPLES)(replay.replay)
app.add_typer(runs.app, name="runs")
app.add_typer(config.app, name="config")
app.command("doctor", cls=doctor.Doctor, epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("completions", epilog=completions.EXAMPLES)(completions.completions)
adopt(app)


def run() -> int:
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
        report(mistyped(error))
