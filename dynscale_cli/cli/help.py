"""Help: a page for each command, the pages of documentation, and the word that was meant where one was mistyped.

Pages are laid out by typer's own formatter, with its panels as sections: its Rich pages take twice the start-up, and
four screens for `ask`. `--help` shows a command's everyday flags, `--help-all` the rest, too. Knows nothing of what
flags do.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from dynscale_cli.errors import UsageError
from dynscale_cli.values import INTEGER, nearest

WIDEST: Final = 100  # columns of a page
FIRST: Final = 30  # of the flags' column; a longer one has its help below it
ALL: Final = "dynscale.help_all"
COMMANDS, OPTIONS, ARGUMENTS = "Commands", "Options", "Arguments"
FOLDER: Final = Path(__file__).parent.parent / "docs"
DOCS = """
dynscale docs
dynscale docs files
"""
_COMMENT: Final = re.compile(r"^<!--.*?-->\n", re.MULTILINE)
KINDS: Final = {"float": "a number", "int": "a whole number", "integer": "a whole number"}  # as the parser has them
_REFUSED: Final = re.compile(r"(?:'([^']*)'|(\S+)) is not |(nan) is ")
# What other programs call it, or what is no flag here: what to do instead.
SYNONYMS: Final = {
    "--n-predict": "--max-tokens", "--predict": "--max-tokens", "--num-predict": "--max-tokens",
    "--temperature": "--temp", "--top_k": "--top-k", "--top_p": "--top-p", "--ctx": "--ctx-size",
    "--n-ctx": "--ctx-size", "--num-ctx": "--ctx-size", "--gpu-layers": "--n-gpu-layers", "--samples": "--max-samples",
    "--num-samples": "--max-samples", "--system-prompt": "--system", "-sys": "--system", "--url": "--endpoint",
    "--base-url": "--endpoint", "--format": "--json", "--input": "--file", "--prompt": "QUESTION, without a flag",
    "-p": "QUESTION, without a flag", "--output": "> FILE, for the answers go to standard output",
    "-o": "> FILE, for the answers go to standard output", "--verbose": "--explain, or --show for the samples' text",
    "-v": "--explain, or --show for the samples' text", "--debug": "--explain, or --show for the samples' text",
    "--mlock": "without it: llama.cpp maps the file into memory", "--no-mmap": "without it: the file is always mapped",
    "--threads-batch": "--threads, which is for prompts, too", "--batch-size": "--parallel, for samples side by side",
}  # fmt: skip


def write_page(command: Any, ctx: Any, formatter: Any) -> None:
    """A command's page: usage, what it does, its flags by group, examples."""
    formatter.write_usage(ctx.command_path, " ".join(_usage(command, ctx)))
    for paragraph in (command.help or "").split("\n\n"):
        formatter.write_paragraph()
        formatter.write_text(" ".join(paragraph.split()))
    params, left_out = _shown(command, ctx)
    groups = _groups(command, params)
    first = min(FIRST, max((len(name) for rows in groups.values() for name, _ in rows), default=0))
    for title, rows in groups.items():
        with formatter.section(styled(title, bold=True)):
            formatter.write_dl([(styled(f"{name:<{first}}", fg="cyan"), text) for name, text in rows], FIRST + 2)
    more = [f"{left_out} more flags: {ctx.command_path} --help-all."] if left_out else []
    if any(getattr(param, "envvar", None) for param in params):
        more.append("Defaults can be set: dynscale docs settings.")
    if more:
        formatter.write_paragraph()
        formatter.write_text(" ".join(more))
    if examples := [line.strip() for line in (command.epilog or "").splitlines() if line.strip()]:
        with formatter.section(styled("Examples", bold=True)):
            formatter.write("".join(f"  {line}\n" for line in examples))


def _usage(command: Any, ctx: Any) -> Iterator[str]:
    yield "[OPTIONS]"
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            name = argument(param)
            yield (name if param.required else f"[{name}]") + ("..." if param.nargs == -1 else "")
    if hasattr(command, "commands"):
        yield "COMMAND ..."


def _shown(command: Any, ctx: Any) -> tuple[list[Any], int]:
    """The parameters of this page, and how many it leaves out."""
    params = [param for param in command.get_params(ctx) if not getattr(param, "hidden", False)]
    everyday = getattr(command, "everyday", None)
    if not everyday or ctx.meta.get(ALL):
        return params, 0
    kept = [param for param in params if param.param_type_name == "argument" or everyday & set(param.opts)]
    return kept, len(params) - len(kept)


def _groups(command: Any, params: Iterable[Any]) -> Mapping[str, list[tuple[str, str]]]:
    """Rows of name and text by heading: arguments, flags without a panel, then panels in their order."""
    below = getattr(command, "commands", {}).items()
    commands = [(name, found.get_short_help_str(WIDEST)) for name, found in below if not found.hidden]
    groups: dict[str, list[tuple[str, str]]] = {COMMANDS: commands, ARGUMENTS: [], OPTIONS: []}
    indent = max((len(_short(param)) for param in params), default=0)
    for param in params:
        default = ARGUMENTS if param.param_type_name == "argument" else OPTIONS
        title = getattr(param, "rich_help_panel", None) or default
        groups.setdefault(title, []).append((_name(param, indent), _text(param)))
    return {title: rows for title, rows in groups.items() if rows}


def _name(param: Any, indent: int) -> str:
    """As typed: `-b, --budget TOKENS`, with room for the widest short name of the page."""
    if param.param_type_name == "argument":
        return argument(param)
    metavar = "" if param.is_flag else f" {param.metavar or param.type.name.split()[0].upper()}"
    long = [name for name in param.opts if name.startswith("--")]
    if param.is_flag and param.default is True and param.secondary_opts:  # a switch that is on shows what turns it off
        long = [f"--[no-]{name[2:]}" for name in long]
    return f"{_short(param):<{indent}}{next(iter(long), '')}{metavar}"


def _short(param: Any) -> str:
    names = [] if param.param_type_name == "argument" else param.opts
    return "".join(f"{name}, " for name in names if not name.startswith("--"))


def argument(param: Any) -> str:
    """What the help calls an argument: RUN for [RUN], but OWNER/REPO[:QUANT] whole."""
    name = str(param.metavar or param.name.upper())
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def _text(param: Any) -> str:
    default = param.default
    if default in (None, "") or isinstance(default, (bool, list, tuple)) or param.required:
        return param.help or ""
    return f"{param.help} (default: {default})"


def styled(text: str, **style: Any) -> str:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else typer.style(text, **style)


def show_help(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="A command, such as `runs resume`.")
    ] = None,
) -> None:
    """Show the page of a command."""
    page: Any = ctx.find_root()
    for word in words or ():
        command: Any = getattr(page.command, "commands", {}).get(word)
        if command is None:
            page.fail(f"No such command {word!r}.")
        page = typer.Context(command, parent=page, info_name=word, **command.context_settings)
    typer.echo(page.get_help())


def topics(incomplete: str = "") -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def docs(
    topic: Annotated[
        str | None, typer.Argument(metavar="[TOPIC]", help="Such as files or servers.", autocompletion=topics)
    ] = None,
) -> None:
    """Show a page of the documentation, or list the topics."""
    if topic is None:
        known = topics()
        width = max(map(len, known))
        for name in known:
            print(f"{name:<{width}}  {_title(name)}")
        return
    if topic not in (known := topics()):
        raise UsageError(f"no such topic: {topic}", f"dynscale docs {nearest(topic, known) or ''}".rstrip())
    print(_COMMENT.sub("", _page(topic)), end="")


def _page(topic: str) -> str:
    return (FOLDER / f"{topic}.md").read_text(encoding="utf-8")


def _title(topic: str) -> str:
    return _page(topic).partition("\n")[0].removeprefix("# ")


def mistyped(error: Any) -> UsageError:
    """The parser's error as users meet all others: one line, and the nearest thing that would have worked."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx else "dynscale"
    message = error.format_message().rstrip(".")
    option = getattr(error, "option_name", None)
    if option and ctx and error.__class__.__name__ == "NoSuchOption":
        return UsageError(f"no such option: {option}", _option(option, ctx, path))
    if ctx and message.startswith("No such command") and hasattr(ctx.command, "commands"):
        return _command(message.removeprefix("No such command "), ctx, path)
    param = getattr(error, "param", None)
    if param and error.__class__.__name__ == "MissingParameter" and param.param_type_name == "argument":
        return UsageError(f"{argument(param)} is missing", f"{path} --help")
    if error.__class__.__name__ == "BadOptionUsage":
        return UsageError(f"{option} needs a value", f"{path} --help")
    if param and (refused := not_a_number(param, error.message)):
        return refused
    if param:
        message = message.replace(param.get_error_hint(ctx), " / ".join(param.opts or [param.human_readable_name]))
    return UsageError(message, f"{path} --help")


def not_a_number(param: Any, message: str) -> UsageError | None:
    """What the parser says of a number that a flag does not take, as all flags say it; None for any other flag."""
    told = _REFUSED.search(message)
    kind = KINDS.get(param.type.name.partition(" ")[0])
    if kind is None or told is None:
        return None
    name = next((name for name in param.opts if name.startswith("--")), argument(param))
    value = next(filter(None, told.groups()), "").removesuffix(".0")
    low, high = getattr(param.type, "min", None), getattr(param.type, "max", None)
    if high is not None and (high != INTEGER or len(value) > len(str(INTEGER))):
        kind += f" from {low:g} to {high:,}"
    elif low is not None:
        kind += f", {low:g} or more"
    fitting = param.default if isinstance(param.default, int | float) else low
    return UsageError(f"{name} {value}: not {kind}", "" if fitting is None else f"{name} {fitting:g}")


def _option(option: str, ctx: Any, path: str) -> str:
    known = [name for param in ctx.command.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
    pages = f"{path} --help-all" if "--help-all" in known else f"{path} --help"
    if option[1:2].isdecimal() and any(param.name == "questions" for param in ctx.command.params):
        return f"{path} -- QUESTION, for one that begins with a dash"
    synonyms = {
        name: other
        for name, other in SYNONYMS.items()
        if not other.startswith("--") or other.partition(",")[0] in known
    }
    meant = nearest(option, [*synonyms, *(name for name in known if name.startswith("-"))])
    if option in synonyms:
        return f"{path} {synonyms[option]}"
    return f"{path} {synonyms.get(meant or '', meant)}, or see them all: {pages}" if meant else pages


def _command(quoted: str, ctx: Any, path: str) -> UsageError:
    """A command that does not exist; or a question, for want of the word `ask`."""
    typed = quoted[1:].partition(quoted[0])[0]
    known = [name for name, command in ctx.command.commands.items() if not command.hidden]
    if " " in typed and "ask" in known:
        return UsageError(f"no such command: {typed}", f"{path} ask {shlex.quote(typed)}")
    meant = nearest(typed, known)
    return UsageError(f"no such command: {typed}", f"{path} {meant}" if meant else f"{path} --help")
