"""A command's page of help: usage, what it does, its flags by group, examples. One line a flag where the width allows.

Owns the layout; `--help` shows a command's flags of every day, `--help-all` the rest, too. Knows nothing of flags.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import typer

WIDEST, NARROWEST = 100, 40  # columns
FIRST = 32  # of the flags' column; a longer one has its help below it
ALL = "dynscale.help_all"
COMMANDS, OPTIONS, ARGUMENTS = "Commands", "Options", "Arguments"


def page(command: Any, ctx: Any) -> str:
    """The page as text, styled for a terminal; whoever prints it elsewhere strips that."""
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    return "\n".join(_lines(command, ctx, width)).rstrip()


def _lines(command: Any, ctx: Any, width: int) -> Iterator[str]:
    yield f"{heading('Usage:')} {ctx.command_path} {' '.join(_usage(command, ctx))}"
    for paragraph in (command.help or "").split("\n\n"):
        yield from ("", *textwrap.wrap(" ".join(paragraph.split()), width))
    params, left_out = shown(command, ctx)
    groups = _groups(command, params)
    first = min(FIRST, max((len(name) for rows in groups.values() for name, _ in rows), default=0))
    for title, rows in groups.items():
        yield from ("", heading(title))
        for name, text in rows:
            yield from _row(name, text, first, width)
    more = [f"{left_out} more flags: {ctx.command_path} --help-all."] if left_out else []
    if any(getattr(param, "envvar", None) for param in params):
        more.append("Defaults are settings: dynscale config --help.")
    yield from ("", *textwrap.wrap(" ".join(more), width)) if more else ()
    yield from _examples(command.epilog or "")


def _usage(command: Any, ctx: Any) -> Iterator[str]:
    yield "[OPTIONS]"
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            name = argument(param)
            yield (name if param.required else f"[{name}]") + ("..." if param.nargs == -1 else "")
    if hasattr(command, "commands"):
        yield "COMMAND ..."


def shown(command: Any, ctx: Any) -> tuple[list[Any], int]:
    """The parameters of this page, and how many it leaves out."""
    params = [param for param in command.get_params(ctx) if not getattr(param, "hidden", False)]
    everyday = getattr(command, "everyday", None)
    if not everyday or ctx.meta.get(ALL):
        return params, 0
    kept = [param for param in params if param.param_type_name == "argument" or everyday & set(param.opts)]
    return kept, len(params) - len(kept)


def _groups(command: Any, params: Iterable[Any]) -> Mapping[str, list[tuple[str, str]]]:
    """Rows of name and text by heading: arguments, flags without a panel, then panels in their order."""
    groups: dict[str, list[tuple[str, str]]] = {COMMANDS: _commands(command), ARGUMENTS: [], OPTIONS: []}
    indent = max((len(_short(param)) for param in params), default=0)
    for param in params:
        default = ARGUMENTS if param.param_type_name == "argument" else OPTIONS
        title = getattr(param, "rich_help_panel", None) or default
        groups.setdefault(title, []).append((_name(param, indent), _text(param)))
    return {title: rows for title, rows in groups.items() if rows}


def _commands(command: Any) -> list[tuple[str, str]]:
    below = getattr(command, "commands", {})
    return [(name, found.get_short_help_str(WIDEST)) for name, found in below.items() if not found.hidden]


def _name(param: Any, indent: int) -> str:
    """As typed: `-b, --budget TOKENS`, with room for the widest short name of the page."""
    if param.param_type_name == "argument":
        return argument(param)
    metavar = "" if param.is_flag else f" {param.metavar or param.type.name.split()[0].upper()}"
    return f"{_short(param):<{indent}}{next(iter(_long(param)), '')}{metavar}"


def argument(param: Any) -> str:
    """What the help calls an argument: RUN for [RUN], but OWNER/REPO[:QUANT] whole."""
    name = str(param.metavar or param.name.upper())
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def _short(param: Any) -> str:
    return "".join(f"{each}, " for each in _typed(param) if not each.startswith("--"))


def _long(param: Any) -> list[str]:
    return [each for each in _typed(param) if each.startswith("--")]


def _typed(param: Any) -> list[str]:
    """What a user would type: a switch that is on shows what turns it off, `--[no-]journal`."""
    if param.param_type_name == "argument":
        return []
    options: list[str] = param.opts
    on = param.is_flag and param.default is True and param.secondary_opts
    return [f"--[no-]{each[2:]}" for each in options] if on else options


def _text(param: Any) -> str:
    default = param.default
    if default in (None, "") or isinstance(default, (bool, list, tuple)) or param.required:
        return param.help or ""
    return f"{param.help} (default: {default})"


def _row(name: str, text: str, first: int, width: int) -> Iterator[str]:
    rows = textwrap.wrap(text, max(20, width - first - 4)) or [""]
    begin = f"  {flag(name)}{' ' * (first - len(name))}  "
    if len(name) > first:
        yield f"  {flag(name)}"
        begin = " " * (first + 4)
    yield f"{begin}{rows[0]}".rstrip()
    for row in rows[1:]:
        yield " " * (first + 4) + row


def _examples(epilog: str) -> Iterator[str]:
    lines = [line.strip() for line in epilog.splitlines() if line.strip()]
    if lines:
        yield from ("", heading("Examples"), *(f"  {line}" for line in lines))


def heading(text: str) -> str:
    return typer.style(text, bold=True) if _colored() else text


def flag(text: str) -> str:
    return typer.style(text, fg="cyan") if _colored() else text


def _colored() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
