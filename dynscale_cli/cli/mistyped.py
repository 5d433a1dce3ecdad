"""The parser's errors as users meet all others: one line, and the nearest thing that would have worked.

Knows the parser's own errors by what they carry. Values of flags have checks of their own, in `values`.
"""

from __future__ import annotations

import shlex
from typing import Any

from dynscale_cli.errors import UsageError
from dynscale_cli.nearest import nearest

from .page import argument

PLAIN = {"float": "a number", "int": "a whole number"}  # what the parser calls a type


def mistyped(error: Any) -> UsageError:
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx else "dynscale"
    message = error.format_message().rstrip(".")
    if (option := getattr(error, "option_name", None)) and ctx and error.__class__.__name__ == "NoSuchOption":
        return UsageError(f"no such option: {option}", _option(option, ctx, path))
    if ctx and message.startswith("No such command") and hasattr(ctx.command, "commands"):
        return _command(message.removeprefix("No such command "), ctx, path)
    param = getattr(error, "param", None)
    if param and error.__class__.__name__ == "MissingParameter" and param.param_type_name == "argument":
        return UsageError(f"{argument(param)} is missing", f"{path} --help")
    if param:
        message = message.replace(param.get_error_hint(ctx), " / ".join(param.opts or [param.human_readable_name]))
    for kind, known in PLAIN.items():
        message = message.replace(f"is not a valid {kind} range", f"is not {known}")
        message = message.replace(f"is not a valid {kind}", f"is not {known}")
    return UsageError(message, f"{path} --help")


def _option(option: str, ctx: Any, path: str) -> str:
    if option[1:2].isdecimal() and any(param.name == "questions" for param in ctx.command.params):
        return f"{path} -- QUESTION, for one that begins with a dash"
    known = [name for param in ctx.command.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
    meant = nearest(option, [name for name in known if name.startswith("-")])
    pages = f"{path} --help-all" if "--help-all" in known else f"{path} --help"
    return f"{path} {meant}, or see them all: {pages}" if meant else pages


def _command(quoted: str, ctx: Any, path: str) -> UsageError:
    """A command that does not exist; or a question, for want of the word `ask`."""
    typed = quoted[1:].partition(quoted[0])[0]
    known = [name for name, command in ctx.command.commands.items() if not command.hidden]
    if " " in typed and "ask" in known:
        return UsageError(f"no such command: {typed}", f"{path} ask {shlex.quote(typed)}")
    meant = nearest(typed, known)
    return UsageError(f"no such command: {typed}", f"{path} {meant}" if meant else f"{path} --help")
