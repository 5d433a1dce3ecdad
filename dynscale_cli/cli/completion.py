"""Completion: what the scripts for bash, zsh and fish, in `completions/`, ask of the program at each tab.

What can follow is read off typer's own declarations. The scripts are ours, since typer's insert names as they are: a
file called `m$(touch X).gguf` would run its command at the next Enter. Here the shells quote what they insert.
Whatever goes wrong, a tab shows no error.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from dynscale_cli.values import choose

FILES: Final = ":files"  # the answer where a shell is to complete files by itself
PACKAGE: Final = Path(__file__).parent.parent
FOLDERS: Final = (PACKAGE / "completions", PACKAGE.parent / "completions")  # as installed, and in a checkout
FOLDER: Final = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
# Each asks `dynscale __complete LINE` what can follow the line up to the cursor: a value and its help a line.
SCRIPTS: Final = {"bash": FOLDER / "dynscale.bash", "zsh": FOLDER / "_dynscale", "fish": FOLDER / "dynscale.fish"}
EXAMPLES = """
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
        yield from _values(command, param, incomplete)
    elif incomplete.startswith("-") and "--" not in rest:
        yield from _described(_flags(command), incomplete)
    elif not rest:
        below = getattr(command, "commands", {}).items()
        yield from _described(
            [(name, each.get_short_help_str(80)) for name, each in below if not each.hidden], incomplete
        )


def _param(command: Any, rest: list[str], incomplete: str) -> tuple[Any, str]:
    """The flag or argument whose value is being typed, if one is; and what has been typed of it."""
    taking = {name: param for param in command.params if _takes_value(param) for name in param.opts}
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


def _takes_value(param: Any) -> bool:
    return param.param_type_name == "option" and not param.is_flag


def _values(command: Any, param: Any, incomplete: str) -> Iterator[str]:
    if getattr(param.type, "name", "") in ("path", "file", "filename") and param._custom_shell_complete is None:
        yield FILES
        return
    found = param.shell_complete(typer.Context(command, resilient_parsing=True), incomplete)
    yield from _described([(item.value, item.help or "") for item in found], incomplete)


def _flags(command: Any) -> Iterator[tuple[str, str]]:
    for param in command.params:
        if param.param_type_name == "option" and not param.hidden:
            yield from ((name, param.help or "") for name in (*param.opts, *param.secondary_opts))
    yield "--help", "Show this message and exit."


def _described(found: Any, incomplete: str) -> Iterator[str]:
    for value, help in found:
        if value.startswith(incomplete) and value.isprintable():  # a line is one value
            yield f"{value}\t{' '.join(help.split())}" if help else value


def model_names(incomplete: str) -> list[str]:
    """Models by name, and GGUF files where the path leads."""
    return sorted({*_known_models(), *_files(incomplete)})


def run_ids(incomplete: str) -> list[str]:
    from dynscale_cli.run.store import Store

    return Store().ids()


def profile_names(incomplete: str) -> list[str]:
    from dynscale_cli.settings import BUILT_IN, file

    return sorted({*BUILT_IN, *file.read(file.path()).profiles})


def _known_models() -> list[str]:
    with contextlib.suppress(Exception):
        from dynscale_cli.models.resolve import names

        return names()
    return []


def _files(incomplete: str) -> list[str]:
    """GGUF files, and folders on the way to one, spelled as the user began: ~ stays ~."""
    folder, slash, _ = incomplete.rpartition("/")
    with contextlib.suppress(OSError, RuntimeError):
        entries = [each for each in Path(f"{folder}{slash}" or ".").expanduser().iterdir() if each.name[0] != "."]
        folders = [f"{folder}{slash}{each.name}/" for each in entries if each.is_dir()]
        return folders + [f"{folder}{slash}{each.name}" for each in entries if each.suffix.lower() == ".gguf"]
    return []
