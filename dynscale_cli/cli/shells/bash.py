"""The script for bash: plain bash 3.2, without the bash-completion package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import Node, Value

HEAD = """\
# bash completion of dynscale. Written by `dynscale completions bash`.
"""

BODY = """\
# What the program alone can tell. The shell's word breaks would cut names at a colon: give what follows the last one.
_dynscale_reply() {
    local value=$1 cur=$2 IFS=$'\\n'
    case $value in
    files)
        COMPREPLY=($(compgen -f -- "$cur"))
        compopt -o filenames 2>/dev/null
        return ;;
    names:*) COMPREPLY=($("${COMP_WORDS[0]}" __complete "${value#names:}" "$cur" 2>/dev/null)) ;;
    words:*)
        IFS=$' \\t\\n'
        COMPREPLY=($(compgen -W "${value#words:}" -- "$cur")) ;;
    esac
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        local i cut=${cur%"${cur##*:}"}
        for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do COMPREPLY[i]=${COMPREPLY[i]#"$cut"}; done
    fi
}

_dynscale() {
    local words=() word value i path='' count=0 skip='' dashes='' joined=''
    # Words that the shell broke at = and : are put together again, up to the cursor.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ ${#words[@]} -gt 0 && ( $word == [=:] || $joined ) ]]; then
            words[${#words[@]} - 1]+=$word
            [[ $word == [=:] ]] && joined=1 || joined=''
        else
            words+=("$word")
        fi
    done
    local cur=${words[${#words[@]} - 1]} commands flags arguments
    for ((i = 0; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        _dynscale_node "$path"
        if [[ $skip ]]; then
            skip=''
        elif [[ $dashes ]]; then
            ((count++))
        elif [[ $word == -- ]]; then
            dashes=1
        elif [[ $word == -?* ]]; then
            _dynscale_value "$path" "$word"
            [[ $word != *=* && $value ]] && skip=$value
        elif [[ " $commands " == *" $word "* ]]; then
            path=${path:+$path }$word
        else
            ((count++))
        fi
    done
    _dynscale_node "$path"
    COMPREPLY=()
    if [[ $skip ]]; then
        _dynscale_reply "$skip" "$cur"
    elif [[ $cur == --*=* && ! $dashes ]]; then
        _dynscale_value "$path" "${cur%%=*}"
        _dynscale_reply "$value" "${cur#*=}"
    elif [[ $cur == -* && ! $dashes ]]; then
        _dynscale_reply "words:$flags" "$cur"
    elif [[ $commands ]]; then
        _dynscale_reply "words:$commands" "$cur"
    elif [[ ${#arguments[@]} -gt 0 ]]; then
        ((count >= ${#arguments[@]})) && count=$((${#arguments[@]} - 1)) && [[ ${arguments[count]} != many* ]] && return
        _dynscale_reply "${arguments[count]#many }" "$cur"
    fi
}

complete -F _dynscale dynscale
"""


def script(nodes: Sequence[Node]) -> str:
    return "\n".join([HEAD, *_nodes(nodes), "", *_values(nodes), "", BODY]).rstrip() + "\n"


def _nodes(nodes: Sequence[Node]) -> Iterator[str]:
    """Sets what can follow a command: commands, flags, arguments."""
    yield "_dynscale_node() {"
    yield "    commands='' flags='' arguments=()"
    yield "    case $1 in"
    for node in nodes:
        commands = " ".join(name for name, _ in node.commands)
        flags = " ".join(option for flag in node.flags for option in flag.options)
        arguments = " ".join(f"'{'many ' if each.many else ''}{_kind(each.value)}'" for each in node.arguments)
        yield f"    '{node.spaced}')"
        yield f"        commands='{commands}'"
        yield f"        flags='{flags}'"
        yield f"        arguments=({arguments}) ;;"
    yield "    esac"
    yield "}"


def _values(nodes: Sequence[Node]) -> Iterator[str]:
    """Sets what follows a flag of a command; nothing after a switch."""
    yield "_dynscale_value() {"
    yield "    value=''"
    yield '    case "$1 $2" in'
    for node in nodes:
        for flag in node.flags:
            if flag.value is not None:
                patterns = "|".join(f"'{node.spaced} {option}'" for option in flag.options)
                yield f"    {patterns}) value='{_kind(flag.value)}' ;;"
    yield "    esac"
    yield "}"


def _kind(value: Value) -> str:
    if value.words:
        return f"words:{' '.join(value.words)}"
    if value.names:
        return f"names:{value.names}"
    return "files" if value.files else "none"
