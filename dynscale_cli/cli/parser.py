"""How flags are declared, and the parser's own classes: commands whose flags may also be set elsewhere.

    flag  >  DYNSCALE_*  >  profile  >  config.toml  >  default

The parser knows that order itself; this file hands it the values, and says where a refused one came from. Which flags
are settings is read off their declarations: those that `setting` makes. Knows no flag.
"""

from __future__ import annotations

import math
import os
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from dynscale_cli.errors import DynscaleError, ModelError, UsageError
from dynscale_cli.settings import PLAIN, File, Key, Kind, config_file, profile, read
from dynscale_cli.values import choose

from .help import not_a_number, write_page

PREFIX: Final = "DYNSCALE_"
MODEL, SPEND, SAMPLE, OUTPUT = "Model", "Budget (a hard cap)", "Sampling", "Answers"
THREADS: Final = 512  # more of them end the process inside llama.cpp

# Literal here, as the rooms that own them are not needed before a run is; a test holds them equal.
POLICIES = ("race", "ucb", "adaptive", "early-stop", "uniform")
MODES = ("hybrid", "parallel", "chain", "sequential")
LAYOUTS = ("turns", "quoted")
VOTES = ("majority", "length", "confidence")
ANSWER_TYPES = ("auto", "number", "choice", "boolean", "math", "text", "long", "json", "regex:")


NEVER = ("profile", "api-key")  # a name for other settings; a secret, which no file of settings should hold
TABLED = {"journal": "journal.enabled"}  # TOML has no room for a value and a table of one name
COUNTS = ("TOKENS", "N|auto")  # metavars of flags that are text and often a bare number
_VALUES = "dynscale.settings"


def once(
    panel: str | None,
    metavar: str | None,
    help: str,
    *names: str,
    words: tuple[str, ...] = (),
    parse: Callable[[str, str], Any] | None = None,
    span: tuple[float, float] | None = None,
    **more: Any,
) -> Any:
    """A flag of one run: for one of `words`, which a tab completes; a text that `parse` reads; a fraction in `span`.

    `parse` is given the text and the flag's name. A text stays one, and so can be shown as it was written.
    """
    flag = names[0].partition("/")[0]

    def check(value: Any) -> str:
        parse(str(value), flag) if parse is not None else choose(str(value), words, flag)
        return str(value)

    if words:
        more["autocompletion"] = lambda incomplete: list(words)
    if words or parse is not None:
        more["parser"] = check
    if span is not None:
        more.update(min=span[0], max=span[1], callback=_known)
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel, **more)


def setting(panel: str | None, metavar: str | None, help: str, *names: str, **more: Any) -> Any:
    """A flag that is a setting, too: DYNSCALE_NAME, a profile and `config.toml` have it under its own name."""
    variable = names[0].partition("/")[0][2:].upper().replace("-", "_")
    return once(panel, metavar, help, *names, envvar=f"{PREFIX}{variable}", **more)


def _known(value: float) -> float:
    """Refuse what a range lets through: nan is below no bound and above none."""
    if math.isnan(value):
        raise typer.BadParameter("nan is not a number")
    return value


def check_policy(value: str, flag: str) -> None:
    name, colon, _ = value.partition(":")
    choose(name, POLICIES, flag)
    if colon:
        from dynscale_cli.allocation.policies import parse_policy

        parse_policy(value)


def check_answer_type(value: str, flag: str) -> None:
    if not value.startswith("regex:"):
        choose(value, ANSWER_TYPES, flag)
    else:
        from dynscale_cli.answers.types import AnswerType

        AnswerType.parse(value)


class Defaults(Mapping[str, Any]):
    """The values of the chosen profile and of `config.toml`, by a command's parameters: click's `default_map`.

    The file is read when the first flag that was not given asks for it.
    """

    def __init__(self, ctx: Any) -> None:
        self._ctx = ctx
        self._names = {param.name: key for param in ctx.command.params if (key := key_name(param)) is not None}

    def __getitem__(self, name: str) -> Any:
        if self._ctx.resilient_parsing:  # help shows the program's defaults
            raise KeyError(name)
        key = self._names[name]  # first, for the file is not read where no flag is a setting
        return _values(self._ctx)[key]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if name in self)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def source(self, name: str) -> str:
        return "PROFILE" if self._names[name] in _values(self._ctx).maps[0] else "FILE"


def source(ctx: Any, name: str) -> str:
    """Where a parameter's value was written: one of `options.SOURCES`."""
    found = getattr(ctx.get_parameter_source(name), "name", "DEFAULT")
    return str(ctx.default_map.source(name)) if found == "DEFAULT_MAP" else found


def _values(ctx: Any) -> ChainMap[str, Any]:
    """The values of the chosen profile and of the file, checked, by key; read once a run."""
    if _VALUES not in ctx.meta:
        path = config_file()
        chosen = ctx.params.get("profile") or os.environ.get(f"{PREFIX}PROFILE")
        file = read(path, keys(ctx.find_root().command)) if path.exists() else File(path)
        ctx.meta[_VALUES] = ChainMap(profile(chosen, file.profiles) if chosen else {}, file.values)
    values: ChainMap[str, Any] = ctx.meta[_VALUES]
    return values


class Command(TyperCommand):
    settings = True  # whether flags that were not given take what the settings say
    everyday: frozenset[str] = frozenset()  # the flags that --help shows, where it does not show all

    def format_help(self, ctx: Any, formatter: Any) -> None:
        write_page(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if self.settings:
            ctx.default_map = Defaults(ctx)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            _blame(self, ctx, error)
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ModelError as error:
            source = getattr(ctx.get_parameter_source("model"), "name", "")
            named = {"ENVIRONMENT": f"{PREFIX}MODEL", "DEFAULT_MAP": "config.toml"}.get(source)
            hint = self._own(ctx, error.hint)
            if named is None and hint == error.hint:
                raise
            origin = f" (the model is from {named})" if named else ""
            raise type(error)(f"{error.message}{origin}", hint) from None

    def _own(self, ctx: Any, hint: str) -> str:
        """Where the model is the one argument, and there is no -m, the hint names it as that."""
        arguments = [param.name for param in self.params if param.param_type_name == "argument"]
        if hint.startswith("-m ") and arguments == ["name"]:
            return f"{ctx.command_path} {hint[3:]}"
        return hint


class Group(TyperGroup):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        write_page(self, ctx, formatter)


def adopt(app: typer.Typer) -> None:
    """Make all commands and groups of an app these classes, where they are the parser's own."""
    for command in app.registered_commands:
        command.cls = Command if command.cls is TyperCommand else command.cls
    for group in app.registered_groups:
        if group.typer_instance is not None:
            adopt(group.typer_instance)
            group.typer_instance.info.cls = Group


def _blame(command: Any, ctx: Any, error: Exception) -> None:
    """Where a variable's value is what was refused, say so: the user typed no such flag."""
    if not (isinstance(error, DynscaleError) or hasattr(error, "format_message")):
        return
    for param in command.params:
        name, source = key_name(param), ctx.get_parameter_source(param.name)
        if name is not None and getattr(source, "name", "") == "ENVIRONMENT":
            _key(name, param, command).from_environment(os.environ[param.envvar])


def key_name(param: Any) -> str | None:
    """The setting that a flag is, if it is one: its name without the dashes, or with a table's before it."""
    variable = getattr(param, "envvar", None)
    if not isinstance(variable, str) or not variable.startswith(PREFIX) or not param.opts[0].startswith("--"):
        return None
    name: str = param.opts[0][2:]
    return None if name in NEVER else TABLED.get(name, name)


def keys(root: Any) -> dict[str, Key]:
    """Every setting by its name: the flags of all commands, in their order, then what has no flag."""
    found: dict[str, Key] = {}
    for command in walk(root):
        for param in command.params:
            name = key_name(param)
            if name is not None and name not in found:
                found[name] = _key(name, param, command)
    return found | {key.name: key for key in PLAIN}


def walk(command: Any) -> Iterator[Any]:
    """A command and all below it."""
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from walk(below)


def _key(name: str, param: Any, command: Any) -> Key:
    def check(value: Any) -> Any:
        try:
            return param.process_value(typer.Context(command, resilient_parsing=True), value)
        except DynscaleError:
            raise
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            message = getattr(error, "message", "")
            raise not_a_number(param, message) or UsageError(f"{name}: {message.rstrip('.')}") from None

    default, counts = param.default, param.metavar in COUNTS
    if counts and isinstance(default, str) and default.isdigit():
        default = int(default)
    if param.multiple:
        default = list(default or [])
    return Key(name, param.envvar, _kind(param), default, param.help or "", check, counts, example=_example(param))


def _example(param: Any) -> str:
    """A number that the flag takes, or else what its help calls the value."""
    if _kind(param) in ("text", "texts"):
        return str(param.metavar or "VALUE")
    return str(max(8, getattr(param.type, "min", None) or 0))


def _kind(param: Any) -> Kind:
    if param.is_flag:
        return "switch"
    if param.multiple:
        return "texts"
    kind: dict[str, Kind] = {"int": "count", "int range": "count", "float": "number", "float range": "number"}
    return kind.get(param.type.name, "text")
