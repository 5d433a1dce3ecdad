"""Help while typing: a page for each command, the documentation, completion, and the word that was meant.

Pages are laid out by typer's own formatter, with its panels as sections: its Rich pages take twice the start-up, and
four screens for `ask`. `--help` shows a command's everyday flags, `--help-all` the rest, too. What the scripts in
`completions/` ask at each tab is read off typer's own declarations. The scripts are ours, since typer's insert names as
they are: a file called `m$(touch X).gguf` would run its command at the next Enter; here the shells quote what they
insert. Knows nothing of what flags do.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from dynscale_cli.errors import UsageError
from dynscale_cli.values import INTEGER, choose, nearest

WIDEST: Final = 100  # columns of a page
FIRST: Final = 30  # of the flags' column; a longer one has its help below it
ALL: Final = "dynscale.help_all"
COMMANDS, OPTIONS, ARGUMENTS = "Commands", "Options", "Arguments"
PACKAGE: Final = Path(__file__).parent.parent
PAGES: Final = PACKAGE / "docs"
DOCS = """
dynscale docs
dynscale docs files
"""
_COMMENT: Final = re.compile(r"^<!--.*?-->\n", re.MULTILINE)
KINDS: Final = {"float": "a number", "int": "a whole number", "integer": "a whole number"}  # as the parser has them
_EXTRA: Final = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL)
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
            raise _no_command(word, page, page.command_path)
        page = typer.Context(command, parent=page, info_name=word, **command.context_settings)
    typer.echo(page.get_help())


def topics(incomplete: str = "") -> list[str]:
    return sorted(path.stem for path in PAGES.glob("*.md"))


def docs(
    topic: Annotated[
        str | None, typer.Argument(metavar="[TOPIC]", help="Such as files or servers.", autocompletion=topics)
    ] = None,
) -> None:
    """Show a page of the documentation, or list the topics."""
    known = topics()
    if topic is None:
        width = max(map(len, known))
        for name in known:
            print(f"{name:<{width}}  {_page(name).partition(chr(10))[0].removeprefix('# ')}")
        return
    if topic not in known:
        raise UsageError(f"no such topic: {topic}", f"dynscale docs {nearest(topic, known) or ''}".rstrip())
    print(_COMMENT.sub("", _page(topic)), end="")


def _page(topic: str) -> str:
    return (PAGES / f"{topic}.md").read_text(encoding="utf-8")


def mistyped(error: Any) -> UsageError:
    """The parser's error as users meet all others: one line, and the nearest thing that would have worked."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx else "dynscale"
    message = error.format_message().rstrip(".")
    option = getattr(error, "option_name", None)
    if option and ctx and error.__class__.__name__ == "NoSuchOption":
        return UsageError(f"no such option: {option}", _option(option, ctx, path))
    if ctx and message.startswith("No such command") and hasattr(ctx.command, "commands"):
        quoted = message.removeprefix("No such command ")
        return _no_command(quoted[1:].partition(quoted[0])[0], ctx, path)
    param = getattr(error, "param", None)
    if param and error.__class__.__name__ == "MissingParameter" and param.param_type_name == "argument":
        return UsageError(f"{argument(param)} is missing", f"{path} --help")
    if error.__class__.__name__ == "BadOptionUsage":
        wants = "takes no value" if "not take" in message else "needs a value"
        return UsageError(f"{option} {wants}", f"{path} --help")
    if extra := _EXTRA.match(message):
        return UsageError(f"too many arguments for {path}: {extra[1]}", f"{path} --help")
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
    meant = synonyms.get(meant or "", meant)
    return pages if meant is None or pages.endswith(f" {meant}") else f"{path} {meant}, or see them all: {pages}"


def _no_command(typed: str, ctx: Any, path: str) -> UsageError:
    """A command that does not exist; or a question, for want of the word `ask`."""
    known = [name for name, command in getattr(ctx.command, "commands", {}).items() if not command.hidden]
    flags = [name for param in ctx.command.params for name in param.opts]
    if " " in typed and "ask" in known:
        meant: str | None = f"ask {shlex.quote(typed)}"
    else:
        meant = f"--{typed}" if f"--{typed}" in flags else nearest(typed, known)
    return UsageError(f"no such command: {typed}", f"{path} {meant or '--help'}")


# --- completion ---------------------------------------------------------------------------------------------------

FILES: Final = ":files"  # the answer where a shell is to complete files by itself
FOLDERS: Final = (PACKAGE / "completions", PACKAGE.parent / "completions")  # as installed, and in a checkout
FOLDER: Final = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
# Each asks `dynscale __complete LINE` what can follow the line up to the cursor: a value and its help a line.
SCRIPTS: Final = {"bash": FOLDER / "dynscale.bash", "zsh": FOLDER / "_dynscale", "fish": FOLDER / "dynscale.fish"}
SHELLS = """
dynscale completions bash > ~/.dynscale.bash
dynscale completions zsh > ~/.zfunc/_dynscale
dynscale completions fish > ~/.config/fish/completions/dynscale.fish
"""


def _shells(incomplete: str) -> list[str]:
    return list(SCRIPTS)


def completions(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", autocompletion=_shells)],
) -> None:
    """Print the script that completes commands, flags, values and names in a shell."""
    print(SCRIPTS[choose(shell, SCRIPTS, "dynscale completions")].read_text(encoding="utf-8"), end="")


def complete(root: Any, line: str) -> int:
    """Print what can follow a line that was typed up to its end."""
    with contextlib.suppress(Exception):  # a tab never shows an error
        print("".join(f"{found}\n" for found in answers(root, *_words(line))), end="", flush=True)
    return 0


def _words(line: str) -> tuple[list[str], str]:
    """The words behind the program's name, and the one that is being typed, without their quotes."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # a quote that is still open, or a backslash at the end
        words.append(lexer.token)
    else:
        if line[-1:].isspace() and not line.endswith("\\ "):
            words.append("")
    return words[1:-1], words[-1]


def answers(root: Any, words: list[str], incomplete: str) -> Iterator[str]:
    """What can be typed for `incomplete` behind `words`: a value, or with a tab between, a value and its help."""
    command, rest = root, list(words)
    while rest and (below := getattr(command, "commands", {}).get(rest[0])):
        command, rest = below, rest[1:]
    param, incomplete = _param(command, rest, incomplete)
    if param is not None:
        yield from _completed(command, param, incomplete)
    elif incomplete.startswith("-") and "--" not in rest:
        options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
        flags = [(name, each.help or "") for each in options for name in (*each.opts, *each.secondary_opts)]
        yield from _described([*flags, ("--help", "Show this message and exit.")], incomplete)
    elif not rest:
        below = getattr(command, "commands", {}).items()
        yield from _described(
            [(name, each.get_short_help_str(80)) for name, each in below if not each.hidden], incomplete
        )


def _param(command: Any, rest: list[str], incomplete: str) -> tuple[Any, str]:
    """The flag or argument whose value is being typed, if one is; and what has been typed of it."""
    options = (param for param in command.params if param.param_type_name == "option" and not param.is_flag)
    taking = {name: param for param in options for name in param.opts}
    flag, equals, value = incomplete.partition("=")
    if equals and flag in taking and "--" not in rest:
        return taking[flag], value
    place, words = 0, iter(rest)
    for word in words:
        if word == "--":
            place += len(list(words))
        elif word in taking:
            if next(words, None) is None:
                return taking[word], incomplete
        elif not word.startswith("-") or word == "-":
            place += 1
    if incomplete.startswith("-") and "--" not in rest:
        return None, incomplete
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    if arguments and (place < len(arguments) or arguments[-1].nargs == -1):
        return arguments[min(place, len(arguments) - 1)], incomplete
    return None, incomplete


def _completed(command: Any, param: Any, incomplete: str) -> Iterator[str]:
    if getattr(param.type, "name", "") in ("path", "file", "filename") and param._custom_shell_complete is None:
        yield FILES
        return
    found = param.shell_complete(typer.Context(command, resilient_parsing=True), incomplete)
    yield from _described([(item.value, item.help or "") for item in found], incomplete)


def _described(found: Any, incomplete: str) -> Iterator[str]:
    for value, help in found:
        if value.startswith(incomplete) and value.isprintable():  # a line is one value
            yield f"{value}\t{' '.join(help.split())}" if help else value


def model_names(incomplete: str) -> list[str]:
    """Models by name, and GGUF files where the path leads."""
    known: list[str] = []
    with contextlib.suppress(Exception):
        from dynscale_cli.models.resolve import names

        known = names()
    return sorted({*known, *_files(incomplete)})


def run_ids(incomplete: str) -> list[str]:
    from dynscale_cli.run.store import Store

    return Store().ids()


def profile_names(incomplete: str) -> list[str]:
    from dynscale_cli.settings import BUILT_IN, config_file, read

    return sorted({*BUILT_IN, *read(config_file()).profiles})


def _files(incomplete: str) -> list[str]:
    """GGUF files, and folders on the way to one, spelled as the user began: ~ stays ~."""
    folder, slash, _ = incomplete.rpartition("/")
    with contextlib.suppress(OSError, RuntimeError):
        entries = [each for each in Path(f"{folder}{slash}" or ".").expanduser().iterdir() if each.name[0] != "."]
        folders = [f"{folder}{slash}{each.name}/" for each in entries if each.is_dir()]
        return folders + [f"{folder}{slash}{each.name}" for each in entries if each.suffix.lower() == ".gguf"]
    return []
