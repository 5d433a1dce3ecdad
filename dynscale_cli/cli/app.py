"""The command tree. Owns the list of commands and nothing that they do."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dynscale_cli.errors import UsageError

from . import ask, bench, models, replay, runs
from .report import report

app = typer.Typer(
    name="dynscale",
    help="Better answers from the language model on your machine, for exactly the tokens you allow.",
    no_args_is_help=True,
    add_completion=False,
    epilog='Begin with: dynscale ask "What is 17 + 25?"',
    rich_markup_mode="rich",
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


app.command("ask", epilog=ask.EXAMPLES)(ask.ask)
app.command("bench")(bench.bench)
app.add_typer(models.app, name="models")
app.command("replay", epilog=replay.EXAMPLES)(replay.replay)
app.add_typer(runs.app, name="runs")


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
    """Show the parser's error as all errors are shown. Where no command was given, it has shown the help already."""
    if message := error.format_message().rstrip("."):
        report(UsageError(message, f"{error.ctx.command_path if error.ctx else 'dynscale'} -h"))
