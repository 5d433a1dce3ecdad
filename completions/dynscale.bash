# bash completion of dynscale. Written by `dynscale completions bash`.
_dynscale() {
    local cur=${COMP_WORDS[COMP_CWORD]} line value quoted cut=''
    COMPREPLY=()
    line=${COMP_LINE:0:COMP_POINT}
    # Bash replaces what follows the last : or =, and so is given no more than that.
    [[ $COMP_WORDBREAKS == *:* && ${line##*[[:space:]]} == *:* ]] && cut=${line##*[[:space:]]} && cut=${cut##*=} &&
        cut=${cut%"${cut##*:}"}
    while IFS=$'\t' read -r value _; do
        if [[ $value == :files ]]; then
            compopt -o default 2>/dev/null
            return
        fi
        value=${value#"$cut"}
        if [[ $cur == [\"\']* ]]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY+=("$value")
        else
            printf -v quoted %q "${value#\~/}"
            [[ $value == \~/* ]] && quoted="~/$quoted"
            COMPREPLY+=("$quoted")
        fi
    done < <("${COMP_WORDS[0]/#\~/$HOME}" __complete "$line" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/:] ]] && compopt -o nospace 2>/dev/null
}
# Before bash 4, files are offered wherever nothing else is.
complete -F _dynscale $(type -t compopt >/dev/null || echo -o default) dynscale
