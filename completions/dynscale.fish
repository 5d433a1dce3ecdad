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

set -g __dynscale_commands 'ask' 'bench' 'replay' 'doctor' 'completions' 'models' 'models list' 'models pull' 'models alias' 'models default' 'models show' 'models rm' 'runs' 'runs list' 'runs show' 'runs resume' 'runs export' 'runs rm' 'runs path' 'config' 'config show' 'config get' 'config path' 'config set' 'config unset'
set -g __dynscale_takes_value \
    'ask --file' 'ask -f' 'ask --limit' 'ask --profile' 'ask --model' 'ask -m' 'ask --n-gpu-layers' 'ask -ngl' 'ask --ctx-size' 'ask -c' 'ask --threads' 'ask -t' 'ask --main-gpu' 'ask -mg' 'ask --tensor-split' 'ask -ts' 'ask --flash-attn' 'ask -fa' 'ask --cache-type-k' 'ask -ctk' 'ask --cache-type-v' 'ask -ctv' 'ask --rpc' 'ask --endpoint' 'ask --served-model' 'ask --stall-timeout' 'ask --parallel' 'ask -np' 'ask --budget' 'ask -b' 'ask --max-samples' 'ask --policy' 'ask --confidence' 'ask --max-tokens' 'ask -n' 'ask --max-thinking' 'ask --temp' 'ask --top-p' 'ask --top-k' 'ask --seed' 'ask -s' 'ask --mode' 'ask --layout' 'ask --system' 'ask --prompt-file' 'ask --answer-type' 'ask --vote' 'ask --abstain-below' 'ask --export' \
    'bench --model' 'bench -m' 'bench --parallel' 'bench -np' 'bench --tokens' 'bench --rounds' 'bench --threads' 'bench -t' 'bench --n-gpu-layers' 'bench -ngl' \
    'replay --policy' 'replay --in-flight' 'replay --seeds' 'replay --confidence' 'replay --plot' \
    'doctor --model' 'doctor -m' 'doctor --threads' 'doctor -t' \
    'models show --parallel' 'models show -np' 'models show --ctx-size' 'models show -c' 'models show --cache-type-k' 'models show -ctk' 'models show --cache-type-v' 'models show -ctv' \
    'runs resume --budget' 'runs resume -b' 'runs resume --model' 'runs resume -m' 'runs resume --endpoint' 'runs resume --threads' 'runs resume -t' 'runs resume --export' \
    'runs export --output' 'runs export -o' \
    'config show --profile' \
    ''

complete -c dynscale -f
complete -c dynscale -n '__dynscale_at \'\'' -a ask -d 'Answer questions by many samples of each, compared, for the tokens you allow'
complete -c dynscale -n '__dynscale_at \'\'' -a bench -d 'Measure the engine on this machine: dynscale bench --speed'
complete -c dynscale -n '__dynscale_at \'\'' -a replay -d 'Score allocation policies on stored samples'
complete -c dynscale -n '__dynscale_at \'\'' -a doctor -d 'Check the installation, the machine and the model, and tell what mends each trouble'
complete -c dynscale -n '__dynscale_at \'\'' -a completions -d 'Print the script that completes commands, flags, values and names in a shell'
complete -c dynscale -n '__dynscale_at \'\'' -a models -d 'Find, download, name and inspect models'
complete -c dynscale -n '__dynscale_at \'\'' -a runs -d 'Earlier runs: look at them, go on with them, export their samples'
complete -c dynscale -n '__dynscale_at \'\'' -a config -d 'Settings: show them, and where each is from; change them'
complete -c dynscale -n '__dynscale_at \'\'' -l version -s V -d 'Show the version'
complete -c dynscale -n '__dynscale_at \'\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'ask\'' -l file -s f -r -F -d 'Questions: text (one a line), .jsonl or .csv'
complete -c dynscale -n '__dynscale_at \'ask\'' -l limit -x -d 'Only the first N questions'
complete -c dynscale -n '__dynscale_at \'ask\'' -l whole -d 'The whole input is one question'
complete -c dynscale -n '__dynscale_at \'ask\'' -l profile -r -fka '(__dynscale_names profiles)' -d 'Settings by name: quick, careful or your own'
complete -c dynscale -n '__dynscale_at \'ask\'' -l model -s m -r -fka '(__dynscale_names models)' -d 'A GGUF file, or a model\'s name'
complete -c dynscale -n '__dynscale_at \'ask\'' -l n-gpu-layers -o ngl -x -d 'Layers to put on the GPU'
complete -c dynscale -n '__dynscale_at \'ask\'' -l ctx-size -s c -x -d 'Tokens one sample can hold, prompt included'
complete -c dynscale -n '__dynscale_at \'ask\'' -l threads -s t -x -d '0: one for each core'
complete -c dynscale -n '__dynscale_at \'ask\'' -l main-gpu -o mg -x -d 'GPU for what is not split'
complete -c dynscale -n '__dynscale_at \'ask\'' -l tensor-split -o ts -x -d 'Each GPU\'s share of the layers'
complete -c dynscale -n '__dynscale_at \'ask\'' -l flash-attn -o fa -r -fa 'auto off on' -d 'Flash attention'
complete -c dynscale -n '__dynscale_at \'ask\'' -l cache-type-k -o ctk -r -fa 'f32 f16 bf16 q8_0 q5_1 q5_0 q4_1 q4_0' -d 'Type of the cached keys'
complete -c dynscale -n '__dynscale_at \'ask\'' -l cache-type-v -o ctv -r -fa 'f32 f16 bf16 q8_0 q5_1 q5_0 q4_1 q4_0' -d 'Type of the cached values'
complete -c dynscale -n '__dynscale_at \'ask\'' -l rpc -x -d 'llama.cpp RPC servers to put layers on'
complete -c dynscale -n '__dynscale_at \'ask\'' -l endpoint -x -d 'OpenAI-compatible server; may be repeated'
complete -c dynscale -n '__dynscale_at \'ask\'' -l served-model -x -d 'The server\'s model, where it has several'
complete -c dynscale -n '__dynscale_at \'ask\'' -l stall-timeout -x -d 'Silence after which a request is given up'
complete -c dynscale -n '__dynscale_at \'ask\'' -l parallel -o np -x -d 'Samples side by side, or requests in flight'
complete -c dynscale -n '__dynscale_at \'ask\'' -l budget -s b -x -d '12k in all or 2k/q a question'
complete -c dynscale -n '__dynscale_at \'ask\'' -l max-samples -x -d 'Most samples of one question'
complete -c dynscale -n '__dynscale_at \'ask\'' -l policy -r -fa 'race ucb adaptive early-stop uniform' -d 'race, ucb, adaptive, early-stop or uniform'
complete -c dynscale -n '__dynscale_at \'ask\'' -l confidence -x -d 'A question is settled when its leader is this sure'
complete -c dynscale -n '__dynscale_at \'ask\'' -l exhaust -d 'Spend the whole budget, settled or not'
complete -c dynscale -n '__dynscale_at \'ask\'' -l no-exhaust -d 'Not: spend the whole budget, settled or not'
complete -c dynscale -n '__dynscale_at \'ask\'' -l max-tokens -s n -x -d 'Most tokens of one sample'
complete -c dynscale -n '__dynscale_at \'ask\'' -l max-thinking -x -d 'Close a thought beyond it'
complete -c dynscale -n '__dynscale_at \'ask\'' -l temp -x -d 'Temperature; 0 is greedy'
complete -c dynscale -n '__dynscale_at \'ask\'' -l top-p -x -d 'Nucleus sampling; 1 is off'
complete -c dynscale -n '__dynscale_at \'ask\'' -l top-k -x -d 'Only the likeliest tokens; 0: off'
complete -c dynscale -n '__dynscale_at \'ask\'' -l seed -s s -x -d 'Fixes a run on one machine'
complete -c dynscale -n '__dynscale_at \'ask\'' -l mode -r -fa 'hybrid parallel chain' -d 'hybrid, parallel or chain: which kinds of samples'
complete -c dynscale -n '__dynscale_at \'ask\'' -l layout -r -fa 'turns quoted' -d 'How chains show samples: quoted, or turns (on a server)'
complete -c dynscale -n '__dynscale_at \'ask\'' -l system -x -d 'A system prompt'
complete -c dynscale -n '__dynscale_at \'ask\'' -l prompt-file -r -F -d 'A TOML file of prompts'
complete -c dynscale -n '__dynscale_at \'ask\'' -l answer-type -r -fa 'auto number choice boolean math text regex:' -d 'auto, number, choice, boolean, math, text or regex:PATTERN'
complete -c dynscale -n '__dynscale_at \'ask\'' -l vote -r -fa 'majority length confidence' -d 'What a vote weighs: majority, length or confidence'
complete -c dynscale -n '__dynscale_at \'ask\'' -l abstain-below -x -d 'Give no answer that is less sure than this'
complete -c dynscale -n '__dynscale_at \'ask\'' -l json -d 'One JSON object a question'
complete -c dynscale -n '__dynscale_at \'ask\'' -l unordered -d 'Print answers as they settle, not in input order'
complete -c dynscale -n '__dynscale_at \'ask\'' -l explain -d 'Tell why each question got its samples'
complete -c dynscale -n '__dynscale_at \'ask\'' -l no-explain -d 'Not: tell why each question got its samples'
complete -c dynscale -n '__dynscale_at \'ask\'' -l show -d 'Show the text as it is generated'
complete -c dynscale -n '__dynscale_at \'ask\'' -l export -r -F -d 'Write the samples as a pool for replay'
complete -c dynscale -n '__dynscale_at \'ask\'' -l journal -d 'Whether runs of several questions are kept, to be resumed'
complete -c dynscale -n '__dynscale_at \'ask\'' -l no-journal -d 'Whether runs of several questions are kept, to be resumed'
complete -c dynscale -n '__dynscale_at \'ask\'' -l quiet -s q -d 'Nothing but answers and errors'
complete -c dynscale -n '__dynscale_at \'ask\'' -l no-quiet -d 'Not: nothing but answers and errors'
complete -c dynscale -n '__dynscale_at \'ask\'' -l color -d 'Whether to use colors; NO_COLOR turns them off, too'
complete -c dynscale -n '__dynscale_at \'ask\'' -l no-color -d 'Whether to use colors; NO_COLOR turns them off, too'
complete -c dynscale -n '__dynscale_at \'ask\'' -l help-all -d 'Show all flags'
complete -c dynscale -n '__dynscale_at \'ask\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'bench\'' -l speed -d 'Generated tokens a second, all slots busy'
complete -c dynscale -n '__dynscale_at \'bench\'' -l model -s m -x -d 'A GGUF file'
complete -c dynscale -n '__dynscale_at \'bench\'' -l parallel -o np -x -d 'Samples decoded side by side'
complete -c dynscale -n '__dynscale_at \'bench\'' -l tokens -x -d 'Generated in each sample'
complete -c dynscale -n '__dynscale_at \'bench\'' -l rounds -x -d 'Measurements; the median counts'
complete -c dynscale -n '__dynscale_at \'bench\'' -l threads -s t -x -d '0: one a core'
complete -c dynscale -n '__dynscale_at \'bench\'' -l n-gpu-layers -o ngl -x -d 'Layers to offload'
complete -c dynscale -n '__dynscale_at \'bench\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'replay\'' -l policy -x -d 'Policies to compare; ucb:0.5 sets ucb\'s c'
complete -c dynscale -n '__dynscale_at \'replay\'' -l in-flight -x -d 'Pulls kept open at the same time'
complete -c dynscale -n '__dynscale_at \'replay\'' -l seeds -x -d 'Random draws to average over'
complete -c dynscale -n '__dynscale_at \'replay\'' -l confidence -x -d 'A question is settled when its leader is as sure'
complete -c dynscale -n '__dynscale_at \'replay\'' -l exhaust -d 'Spend budgets in full, settled or not'
complete -c dynscale -n '__dynscale_at \'replay\'' -l json -d 'Print the report as JSON'
complete -c dynscale -n '__dynscale_at \'replay\'' -l plot -r -F -d 'Draw accuracy against tokens: .svg, .png or .pdf'
complete -c dynscale -n '__dynscale_at \'replay\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'replay\' 0' -F
complete -c dynscale -n '__dynscale_at \'doctor\'' -l model -s m -r -fka '(__dynscale_names models)' -d 'A GGUF file, or a model\'s name'
complete -c dynscale -n '__dynscale_at \'doctor\'' -l threads -s t -x -d 'For the speed check; 0: one a core'
complete -c dynscale -n '__dynscale_at \'doctor\'' -l speed -d 'Whether to decode for some seconds'
complete -c dynscale -n '__dynscale_at \'doctor\'' -l no-speed -d 'Whether to decode for some seconds'
complete -c dynscale -n '__dynscale_at \'doctor\'' -l json -d 'One JSON object'
complete -c dynscale -n '__dynscale_at \'doctor\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'completions\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'completions\' 0 0' -fa 'bash zsh fish'
complete -c dynscale -n '__dynscale_at \'models\'' -a list -d 'List the models on this machine, of whichever program'
complete -c dynscale -n '__dynscale_at \'models\'' -a pull -d 'Download a model from the Hugging Face hub into its cache'
complete -c dynscale -n '__dynscale_at \'models\'' -a alias -d 'Give a model a name of your own, or list those you gave'
complete -c dynscale -n '__dynscale_at \'models\'' -a default -d 'Set the model that is taken without -m, or print its file'
complete -c dynscale -n '__dynscale_at \'models\'' -a show -d 'Tell what a model is, what a run of it takes, and whether that fits in memory'
complete -c dynscale -n '__dynscale_at \'models\'' -a rm -d 'Delete a model from the Hugging Face cache'
complete -c dynscale -n '__dynscale_at \'models\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'models list\'' -l json -d 'One JSON object a line'
complete -c dynscale -n '__dynscale_at \'models list\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'models pull\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'models alias\'' -l remove -d 'Forget this alias'
complete -c dynscale -n '__dynscale_at \'models alias\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'models alias\' 1 1' -fka '(__dynscale_names models)'
complete -c dynscale -n '__dynscale_at \'models default\'' -l remove -d 'Go back to the bundled model'
complete -c dynscale -n '__dynscale_at \'models default\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'models default\' 0 0' -fka '(__dynscale_names models)'
complete -c dynscale -n '__dynscale_at \'models show\'' -l parallel -o np -x -d 'Samples side by side'
complete -c dynscale -n '__dynscale_at \'models show\'' -l ctx-size -s c -x -d 'Tokens of one sample'
complete -c dynscale -n '__dynscale_at \'models show\'' -l cache-type-k -o ctk -x -d 'Type of the cached keys'
complete -c dynscale -n '__dynscale_at \'models show\'' -l cache-type-v -o ctv -x -d 'Type of the cached values'
complete -c dynscale -n '__dynscale_at \'models show\'' -l json -d 'One JSON object a line'
complete -c dynscale -n '__dynscale_at \'models show\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'models show\' 0 0' -fka '(__dynscale_names models)'
complete -c dynscale -n '__dynscale_at \'models rm\'' -l yes -s y -d 'Do not ask'
complete -c dynscale -n '__dynscale_at \'models rm\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'models rm\' 0 0' -fka '(__dynscale_names models)'
complete -c dynscale -n '__dynscale_at \'runs\'' -a list -d 'List the runs, the newest first'
complete -c dynscale -n '__dynscale_at \'runs\'' -a show -d 'Show a run: what was asked, how it stands, and its answers'
complete -c dynscale -n '__dynscale_at \'runs\'' -a resume -d 'Go on with a run where it stopped, or buy more for one that is finished'
complete -c dynscale -n '__dynscale_at \'runs\'' -a export -d 'Write a run\'s parallel samples as a pool for `dynscale replay`'
complete -c dynscale -n '__dynscale_at \'runs\'' -a rm -d 'Remove runs'
complete -c dynscale -n '__dynscale_at \'runs\'' -a path -d 'Print where runs are kept, or where one of them is'
complete -c dynscale -n '__dynscale_at \'runs\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'runs list\'' -l json -d 'Print JSON'
complete -c dynscale -n '__dynscale_at \'runs list\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'runs show\'' -l json -d 'Print JSON'
complete -c dynscale -n '__dynscale_at \'runs show\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'runs show\' 0 0' -fka '(__dynscale_names runs)'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l budget -s b -x -d '+20k: so much more; 60k: in all'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l stored-questions -d 'Go on with the questions as they were'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l model -s m -r -fka '(__dynscale_names models)' -d 'Where the same model is now, if it was moved'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l endpoint -x -d 'Where the same model is served now'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l threads -s t -x -d '0: one for each core'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l json -d 'One JSON object a question'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l unordered -d 'Print answers as they settle, not in input order'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l explain -d 'Tell why each question got its samples'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l no-explain -d 'Not: tell why each question got its samples'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l export -r -F -d 'Write the samples as a pool for replay'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l quiet -s q -d 'Nothing but answers and errors'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l no-quiet -d 'Not: nothing but answers and errors'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l color -d 'Whether to use colors; NO_COLOR turns them off, too'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l no-color -d 'Whether to use colors; NO_COLOR turns them off, too'
complete -c dynscale -n '__dynscale_at \'runs resume\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'runs resume\' 0 0' -fka '(__dynscale_names runs)'
complete -c dynscale -n '__dynscale_at \'runs export\'' -l output -s o -r -F -d 'Write there, not to standard output'
complete -c dynscale -n '__dynscale_at \'runs export\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'runs export\' 0 0' -fka '(__dynscale_names runs)'
complete -c dynscale -n '__dynscale_at \'runs rm\'' -l finished -d 'All that are finished'
complete -c dynscale -n '__dynscale_at \'runs rm\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'runs rm\' 0' -fka '(__dynscale_names runs)'
complete -c dynscale -n '__dynscale_at \'runs path\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'runs path\' 0 0' -fka '(__dynscale_names runs)'
complete -c dynscale -n '__dynscale_at \'config\'' -a show -d 'Print every setting, its value, and where that is from'
complete -c dynscale -n '__dynscale_at \'config\'' -a get -d 'Print the value of one setting'
complete -c dynscale -n '__dynscale_at \'config\'' -a path -d 'Print where the file of settings is, whether or not it exists'
complete -c dynscale -n '__dynscale_at \'config\'' -a set -d 'Write a setting to the file, if it is valid'
complete -c dynscale -n '__dynscale_at \'config\'' -a unset -d 'Take a setting out of the file'
complete -c dynscale -n '__dynscale_at \'config\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'config show\'' -l profile -r -fka '(__dynscale_names profiles)' -d 'As with this profile chosen'
complete -c dynscale -n '__dynscale_at \'config show\'' -l json -d 'One JSON object of all settings'
complete -c dynscale -n '__dynscale_at \'config show\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'config get\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'config get\' 0 0' -fa 'model n-gpu-layers ctx-size threads main-gpu tensor-split flash-attn cache-type-k cache-type-v rpc endpoint served-model stall-timeout parallel budget max-samples policy confidence exhaust max-tokens max-thinking temp top-p top-k seed mode layout system prompt-file answer-type vote abstain-below explain journal.enabled quiet color journal.single journal.max-size models.folders'
complete -c dynscale -n '__dynscale_at \'config path\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'config set\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'config set\' 0 0' -fa 'model n-gpu-layers ctx-size threads main-gpu tensor-split flash-attn cache-type-k cache-type-v rpc endpoint served-model stall-timeout parallel budget max-samples policy confidence exhaust max-tokens max-thinking temp top-p top-k seed mode layout system prompt-file answer-type vote abstain-below explain journal.enabled quiet color journal.single journal.max-size models.folders'
complete -c dynscale -n '__dynscale_at \'config unset\'' -l help -s h -d 'Show this message and exit'
complete -c dynscale -n '__dynscale_at \'config unset\' 0 0' -fa 'model n-gpu-layers ctx-size threads main-gpu tensor-split flash-attn cache-type-k cache-type-v rpc endpoint served-model stall-timeout parallel budget max-samples policy confidence exhaust max-tokens max-thinking temp top-p top-k seed mode layout system prompt-file answer-type vote abstain-below explain journal.enabled quiet color journal.single journal.max-size models.folders'
