"""The script for fish: one `complete` a flag, with the help as descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import Flag, Node, Value

HEAD = """\
# fish completion of dynscale. Written by `dynscale completions fish`.

# What the program alone can tell.
function __dynscale_names
    set -l words (commandline -opc)
    set -l typed (string replace -r -- '^--[a-z-]+=' '' (commandline -ct))
    command $words[1] __complete $argv[1] $typed 2>/dev/null
end

# Whether the command typed so far is this one, and how many arguments it has if that is asked.
function __dynscale_at
    set -l path
    set -l count 0
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            contains -- "$path $word" $__dynscale_takes_value; and set skip 1
        else if contains -- (string trim "$path $word") $__dynscale_commands
            set path (string trim "$path $word")
        else
            set count (math $count + 1)
        end
    end
    test "$path" = "$argv[1]"; or return 1
    test (count $argv) -lt 2; or test $count -ge $argv[2]; or return 1
    test (count $argv) -lt 3; or test $count -le $argv[3]
end
"""


def script(nodes: Sequence[Node]) -> str:
    return "\n".join([HEAD, *_known(nodes), "", "complete -c dynscale -f", *_rules(nodes), ""])


def _known(nodes: Sequence[Node]) -> Iterator[str]:
    yield "set -g __dynscale_commands " + " ".join(_quoted(node.spaced) for node in nodes if node.path)
    yield "set -g __dynscale_takes_value \\"
    for node in nodes:
        taking = [option for flag in node.flags if flag.value is not None for option in flag.options]
        if taking:
            yield "    " + " ".join(_quoted(f"{node.spaced} {option}") for option in taking) + " \\"
    yield "    ''"


def _rules(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        at = f"complete -c dynscale -n {_quoted(f'__dynscale_at {_quoted(node.spaced)}')}"
        for name, help in node.commands:
            yield f"{at} -a {name} -d {_quoted(help)}"
        for flag in node.flags:
            yield f"{at} {_options(flag)}{_value(flag.value)} -d {_quoted(flag.help)}"
        for number, argument in enumerate(node.arguments):
            if offer := _offer(argument.value):
                reach = f"{number}" if argument.many else f"{number} {number}"
                condition = _quoted(f"__dynscale_at {_quoted(node.spaced)} {reach}")
                yield f"complete -c dynscale -n {condition} {offer}"


def _options(flag: Flag) -> str:
    """Long ones, short ones of one letter, and llama.cpp's of several letters after one dash."""
    parts = []
    for option in flag.options:
        kind = "-l" if option.startswith("--") else "-s" if len(option) == 2 else "-o"
        parts.append(f"{kind} {option.lstrip('-')}")
    return " ".join(parts)


def _value(value: Value | None) -> str:
    if value is None:
        return ""
    return f" -r {offer}" if (offer := _offer(value)) else " -x"


def _offer(value: Value) -> str:
    if value.words:
        return f"-fa {_quoted(' '.join(value.words))}"
    if value.names:
        return f"-fka '(__dynscale_names {value.names})'"
    return "-F" if value.files else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
