"""The command tree as a shell's completion needs it: words, and what kind of value follows which.

    Node    a command: its path, the commands below it, its flags, its arguments
    Flag    how it is typed, whether a value follows and of what kind
    Value   words known beforehand, files, or names that `dynscale __complete` tells

Read off the parser's own declarations. What a script of one shell looks like is in the file of that shell.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import complete


@dataclass(frozen=True, slots=True)
class Value:
    """Exactly one of these; none of them where a shell has nothing to offer, such as for a number or a question."""

    words: tuple[str, ...] = ()
    files: bool = False
    names: str = ""  # a kind of `complete.KINDS`


@dataclass(frozen=True, slots=True)
class Flag:
    options: tuple[str, ...]
    help: str
    value: Value | None  # None: a switch
    metavar: str


@dataclass(frozen=True, slots=True)
class Argument:
    metavar: str
    value: Value
    many: bool


@dataclass(frozen=True, slots=True)
class Node:
    path: tuple[str, ...]
    help: str
    commands: tuple[tuple[str, str], ...]  # name and help
    flags: tuple[Flag, ...]
    arguments: tuple[Argument, ...]

    @property
    def spaced(self) -> str:
        return " ".join(self.path)


def nodes(root: Any, path: tuple[str, ...] = ()) -> Iterator[Node]:
    """The tree from `root`, every command before those below it."""
    below = {name: command for name, command in getattr(root, "commands", {}).items() if not command.hidden}
    flags: list[Flag] = []
    arguments: list[Argument] = []
    for param in (*root.params, *_help()):
        if param.param_type_name == "argument":
            arguments.append(Argument(str(param.metavar or param.name), _value(param), param.nargs == -1))
        elif not param.hidden:
            flags.extend(_flags(param))
    commands = tuple((name, _short(command.help)) for name, command in below.items())
    yield Node(path, _short(root.help), commands, tuple(flags), tuple(arguments))
    for name, command in below.items():
        yield from nodes(command, (*path, name))


def _flags(param: Any) -> Iterator[Flag]:
    help = _short(param.help)
    value = None if param.is_flag else _value(param)
    yield Flag(tuple(param.opts), help, value, str(param.metavar or param.name.upper()))
    if param.secondary_opts:
        negated = help if help.startswith("Whether") else f"Not: {help[:1].lower()}{help[1:]}"
        yield Flag(tuple(param.secondary_opts), negated, value, "")


def _value(param: Any) -> Value:
    asked = param._custom_shell_complete
    if asked is not None:  # wrapped by the parser: the function within says which names it gives
        function = inspect.unwrap(inspect.getclosurevars(asked).nonlocals["autocompletion"])
        kind = next((name for name, known in complete.KINDS.items() if known is function), "")
        return Value(names=kind) if kind else Value(words=tuple(function("")))
    return Value(files=_is_path(param))


def _is_path(param: Any) -> bool:
    return param.type.name in ("path", "file", "filename") or isinstance(param.default, Path)


def _help() -> tuple[Any, ...]:
    from typer.core import TyperOption

    return (TyperOption(param_decls=["--help", "-h"], is_flag=True, help="Show this message and exit."),)


def _short(text: str | None) -> str:
    """The first sentence or paragraph, in one line and without a full stop."""
    first = " ".join((text or "").split("\n\n")[0].split())
    return first.split(". ")[0].rstrip(".")
