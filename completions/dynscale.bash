# bash completion of dynscale. Written by `dynscale completions bash`.

_dynscale_node() {
    commands='' flags='' arguments=()
    case $1 in
    '')
        commands='ask bench replay doctor completions models runs config'
        flags='--version -V --help -h'
        arguments=() ;;
    'ask')
        commands=''
        flags='--help-all --file -f --limit --whole --profile --model -m --n-gpu-layers -ngl --ctx-size -c --threads -t --parallel -np --main-gpu -mg --tensor-split -ts --flash-attn -fa --cache-type-k -ctk --cache-type-v -ctv --rpc --endpoint --served-model --stall-timeout --budget -b --max-samples --policy --confidence --exhaust --no-exhaust --max-tokens -n --max-thinking --temp --top-p --top-k --seed -s --mode --layout --system --prompt-file --answer-type --vote --abstain-below --json --unordered --explain --no-explain --show --export --journal --no-journal --quiet -q --no-quiet --color --no-color --help -h'
        arguments=('many none') ;;
    'bench')
        commands=''
        flags='--methods --samples --budgets --seeds --plot --speed --tokens --rounds --help-all --limit --profile --model -m --n-gpu-layers -ngl --ctx-size -c --threads -t --parallel -np --confidence --max-tokens -n --temp --top-p --top-k --seed -s --layout --system --prompt-file --answer-type --json --quiet -q --no-quiet --help -h'
        arguments=('files') ;;
    'replay')
        commands=''
        flags='--policy --in-flight --seeds --confidence --exhaust --json --plot --help -h'
        arguments=('many files') ;;
    'doctor')
        commands=''
        flags='--model -m --threads -t --speed --no-speed --json --help -h'
        arguments=() ;;
    'completions')
        commands=''
        flags='--help -h'
        arguments=('words:bash zsh fish') ;;
    'models')
        commands='list pull alias default show rm'
        flags='--help -h'
        arguments=() ;;
    'models list')
        commands=''
        flags='--json --help -h'
        arguments=() ;;
    'models pull')
        commands=''
        flags='--help -h'
        arguments=('none') ;;
    'models alias')
        commands=''
        flags='--remove --help -h'
        arguments=('none' 'names:models') ;;
    'models default')
        commands=''
        flags='--remove --help -h'
        arguments=('names:models') ;;
    'models show')
        commands=''
        flags='--parallel -np --ctx-size -c --cache-type-k -ctk --cache-type-v -ctv --json --help -h'
        arguments=('names:models') ;;
    'models rm')
        commands=''
        flags='--yes -y --help -h'
        arguments=('names:models') ;;
    'runs')
        commands='list show resume export rm path'
        flags='--help -h'
        arguments=() ;;
    'runs list')
        commands=''
        flags='--json --help -h'
        arguments=() ;;
    'runs show')
        commands=''
        flags='--json --help -h'
        arguments=('names:runs') ;;
    'runs resume')
        commands=''
        flags='--budget -b --stored-questions --model -m --threads -t --endpoint --stall-timeout --json --unordered --explain --no-explain --export --quiet -q --no-quiet --color --no-color --help -h'
        arguments=('names:runs') ;;
    'runs export')
        commands=''
        flags='--output -o --help -h'
        arguments=('names:runs') ;;
    'runs rm')
        commands=''
        flags='--finished --help -h'
        arguments=('many names:runs') ;;
    'runs path')
        commands=''
        flags='--help -h'
        arguments=('names:runs') ;;
    'config')
        commands='show get path set unset'
        flags='--help -h'
        arguments=() ;;
    'config show')
        commands=''
        flags='--profile --json --help -h'
        arguments=() ;;
    'config get')
        commands=''
        flags='--help -h'
        arguments=('words:model n-gpu-layers ctx-size threads parallel main-gpu tensor-split flash-attn cache-type-k cache-type-v rpc endpoint served-model stall-timeout budget max-samples policy confidence exhaust max-tokens max-thinking temp top-p top-k seed mode layout system prompt-file answer-type vote abstain-below explain journal.enabled quiet color journal.single journal.max-size models.folders') ;;
    'config path')
        commands=''
        flags='--help -h'
        arguments=() ;;
    'config set')
        commands=''
        flags='--help -h'
        arguments=('words:model n-gpu-layers ctx-size threads parallel main-gpu tensor-split flash-attn cache-type-k cache-type-v rpc endpoint served-model stall-timeout budget max-samples policy confidence exhaust max-tokens max-thinking temp top-p top-k seed mode layout system prompt-file answer-type vote abstain-below explain journal.enabled quiet color journal.single journal.max-size models.folders' 'many none') ;;
    'config unset')
        commands=''
        flags='--help -h'
        arguments=('words:model n-gpu-layers ctx-size threads parallel main-gpu tensor-split flash-attn cache-type-k cache-type-v rpc endpoint served-model stall-timeout budget max-samples policy confidence exhaust max-tokens max-thinking temp top-p top-k seed mode layout system prompt-file answer-type vote abstain-below explain journal.enabled quiet color journal.single journal.max-size models.folders') ;;
    esac
}

_dynscale_value() {
    value=''
    case "$1 $2" in
    'ask --file'|'ask -f') value='files' ;;
    'ask --limit') value='none' ;;
    'ask --profile') value='names:profiles' ;;
    'ask --model'|'ask -m') value='names:models' ;;
    'ask --n-gpu-layers'|'ask -ngl') value='none' ;;
    'ask --ctx-size'|'ask -c') value='none' ;;
    'ask --threads'|'ask -t') value='none' ;;
    'ask --parallel'|'ask -np') value='none' ;;
    'ask --main-gpu'|'ask -mg') value='none' ;;
    'ask --tensor-split'|'ask -ts') value='none' ;;
    'ask --flash-attn'|'ask -fa') value='words:auto off on' ;;
    'ask --cache-type-k'|'ask -ctk') value='words:f32 f16 bf16 q8_0 q5_1 q5_0 q4_1 q4_0' ;;
    'ask --cache-type-v'|'ask -ctv') value='words:f32 f16 bf16 q8_0 q5_1 q5_0 q4_1 q4_0' ;;
    'ask --rpc') value='none' ;;
    'ask --endpoint') value='none' ;;
    'ask --served-model') value='none' ;;
    'ask --stall-timeout') value='none' ;;
    'ask --budget'|'ask -b') value='none' ;;
    'ask --max-samples') value='none' ;;
    'ask --policy') value='words:race ucb adaptive early-stop uniform' ;;
    'ask --confidence') value='none' ;;
    'ask --max-tokens'|'ask -n') value='none' ;;
    'ask --max-thinking') value='none' ;;
    'ask --temp') value='none' ;;
    'ask --top-p') value='none' ;;
    'ask --top-k') value='none' ;;
    'ask --seed'|'ask -s') value='none' ;;
    'ask --mode') value='words:hybrid parallel chain sequential' ;;
    'ask --layout') value='words:turns quoted' ;;
    'ask --system') value='none' ;;
    'ask --prompt-file') value='files' ;;
    'ask --answer-type') value='words:auto number choice boolean math text regex:' ;;
    'ask --vote') value='words:majority length confidence' ;;
    'ask --abstain-below') value='none' ;;
    'ask --export') value='files' ;;
    'bench --methods') value='none' ;;
    'bench --samples') value='none' ;;
    'bench --budgets') value='none' ;;
    'bench --seeds') value='none' ;;
    'bench --plot') value='files' ;;
    'bench --tokens') value='none' ;;
    'bench --rounds') value='none' ;;
    'bench --limit') value='none' ;;
    'bench --profile') value='names:profiles' ;;
    'bench --model'|'bench -m') value='names:models' ;;
    'bench --n-gpu-layers'|'bench -ngl') value='none' ;;
    'bench --ctx-size'|'bench -c') value='none' ;;
    'bench --threads'|'bench -t') value='none' ;;
    'bench --parallel'|'bench -np') value='none' ;;
    'bench --confidence') value='none' ;;
    'bench --max-tokens'|'bench -n') value='none' ;;
    'bench --temp') value='none' ;;
    'bench --top-p') value='none' ;;
    'bench --top-k') value='none' ;;
    'bench --seed'|'bench -s') value='none' ;;
    'bench --layout') value='words:turns quoted' ;;
    'bench --system') value='none' ;;
    'bench --prompt-file') value='files' ;;
    'bench --answer-type') value='words:auto number choice boolean math text regex:' ;;
    'replay --policy') value='none' ;;
    'replay --in-flight') value='none' ;;
    'replay --seeds') value='none' ;;
    'replay --confidence') value='none' ;;
    'replay --plot') value='files' ;;
    'doctor --model'|'doctor -m') value='names:models' ;;
    'doctor --threads'|'doctor -t') value='none' ;;
    'models show --parallel'|'models show -np') value='none' ;;
    'models show --ctx-size'|'models show -c') value='none' ;;
    'models show --cache-type-k'|'models show -ctk') value='none' ;;
    'models show --cache-type-v'|'models show -ctv') value='none' ;;
    'runs resume --budget'|'runs resume -b') value='none' ;;
    'runs resume --model'|'runs resume -m') value='names:models' ;;
    'runs resume --threads'|'runs resume -t') value='none' ;;
    'runs resume --endpoint') value='none' ;;
    'runs resume --stall-timeout') value='none' ;;
    'runs resume --export') value='files' ;;
    'runs export --output'|'runs export -o') value='files' ;;
    'config show --profile') value='names:profiles' ;;
    esac
}

# What the program alone can tell. The shell's word breaks would cut names at a colon: give what follows the last one.
_dynscale_reply() {
    local value=$1 cur=$2 IFS=$'\n'
    case $value in
    files)
        COMPREPLY=($(compgen -f -- "$cur"))
        compopt -o filenames 2>/dev/null
        return ;;
    names:*) COMPREPLY=($("${COMP_WORDS[0]}" __complete "${value#names:}" "$cur" 2>/dev/null)) ;;
    words:*)
        IFS=$' \t\n'
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
