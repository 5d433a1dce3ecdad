# fish completion of dynscale. Written by `dynscale completions fish`.
function __dynscale_complete
    set --local line (commandline --current-process --cut-at-cursor | string collect)
    set --local word (commandline --current-token --cut-at-cursor)
    set --local program (string split --max 1 ' ' -- (string trim --left -- $line))[1]
    set --local before (string match --regex -- '^--[^=]*=' $word)
    for found in ($program __complete "$line" 2>/dev/null)
        if test "$found" = ":files"
            __fish_complete_path (string replace --regex -- '^--[^=]*=' '' $word)
        else
            echo "$before$found"
        end
    end
end
complete --command dynscale --no-files --arguments '(__dynscale_complete)'
