"""The script for zsh: one function a command on top of _arguments, with the help as descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import Argument, Flag, Node, Value

HEAD = """\
#compdef dynscale
# zsh completion of dynscale. Written by `dynscale completions zsh`.

# What the program alone can tell; folders keep the cursor where the name goes on.
_dynscale_names() {
    local -a found folders
    found=(${(f)"$($_dynscale_program __complete $1 ${(Q)PREFIX} 2>/dev/null)"})
    folders=(${(M)found:#*/})
    found=(${found:#*/})
    (( $#folders )) && compadd -S '' -- $folders
    (( $#found )) && compadd -- $found
}
"""
TAIL = """\
_dynscale() {
    local _dynscale_program=${~${(Q)words[1]}}
    _dynscale_root "$@"
}

# From a folder of $fpath zsh calls the file as the function; a file that is sourced announces itself.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _dynscale "$@"
else
    compdef _dynscale dynscale
fi
"""


def script(nodes: Sequence[Node]) -> str:
    return "\n".join([HEAD, *(line for node in nodes for line in _function(node)), TAIL])


def _function(node: Node) -> Iterator[str]:
    yield f"{_name(node.path)}() {{"
    if node.commands:
        yield "    local context state state_descr line"
        yield "    typeset -A opt_args"
    yield "    _arguments -C \\" if node.commands else "    _arguments -S \\"
    for flag in node.flags:
        yield f"        {_flag(flag)} \\"
    if node.commands:
        yield "        '1: :->command' \\"
        yield "        '*:: :->rest' && return"
        yield from _commands(node)
    else:
        yield from (f"        {_argument(argument)} \\" for argument in node.arguments)
        yield "        && return"
    yield "}"
    yield ""


def _commands(node: Node) -> Iterator[str]:
    yield "    case $state in"
    yield "    command)"
    yield "        local -a commands"
    yield "        commands=("
    for name, help in node.commands:
        yield f"            {_quoted(f'{name}:{_plain(help)}')}"
    yield "        )"
    yield "        _describe -t commands command commands ;;"
    yield "    rest)"
    yield "        case $line[1] in"
    for name, _ in node.commands:
        yield f"        {name}) {_name((*node.path, name))} ;;"
    yield "        esac ;;"
    yield "    esac"


def _flag(flag: Flag) -> str:
    described = f"[{_plain(flag.help)}]"
    value = "" if flag.value is None else f":{_plain(flag.metavar)}:{_action(flag.value)}"
    parts = []
    for option in flag.options:
        joint = "=" if value and option.startswith("--") else ""
        exclusive = f"({' '.join(flag.options)})" if len(flag.options) > 1 else ""
        parts.append(_quoted(f"{exclusive}{option}{joint}{described}{value}"))
    return " ".join(parts)


def _argument(argument: Argument) -> str:
    """Nothing to offer is (), as a message would keep a flag that was begun from being completed."""
    action = _action(argument.value).strip() or "()"
    return _quoted(f"{'*' if argument.many else ''}:{_plain(argument.metavar)}:{action}")


def _action(value: Value) -> str:
    if value.words:
        return f"({' '.join(word.replace(':', chr(92) + ':') for word in value.words)})"
    if value.names:
        return f"{{_dynscale_names {value.names}}}"
    return "_files" if value.files else " "


def _name(path: Sequence[str]) -> str:
    return "_".join(["_dynscale", *(part.replace("-", "_") for part in path)]) if path else "_dynscale_root"


def _plain(text: str) -> str:
    """Text without what _arguments reads as its own marks."""
    for mark in "\\[]:":
        text = text.replace(mark, f"\\{mark}")
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
