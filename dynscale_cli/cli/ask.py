"""`dynscale ask`: questions in, answers out. Parses and delegates to `session`."""

from __future__ import annotations

import typer

from dynscale_cli.errors import UsageError

from . import flags

EXAMPLES = """[bold]Examples[/bold]

dynscale ask "What is 17 + 25?"

cat questions.txt | dynscale ask --budget 40k

dynscale ask -f questions.jsonl --limit 8 --json | jq .answer

dynscale ask -m model.gguf -ngl 20 "What is 17 + 25?"

dynscale ask --endpoint http://127.0.0.1:8080 "What is 17 + 25?"
"""


def ask(
    context: typer.Context,
    questions: flags.Questions = None,
    file: flags.File = None,
    limit: flags.Limit = None,
    whole: flags.Whole = False,
    model: flags.Model = None,
    layers: flags.Layers = "auto",
    ctx_size: flags.CtxSize = None,
    threads: flags.Threads = 0,
    main_gpu: flags.MainGpu = 0,
    tensor_split: flags.TensorSplit = None,
    flash_attn: flags.FlashAttn = "auto",
    cache_type_k: flags.CacheTypeK = "f16",
    cache_type_v: flags.CacheTypeV = "f16",
    rpc: flags.Rpc = None,
    endpoint: flags.Endpoint = None,
    served_model: flags.ServedModel = None,
    stall_timeout: flags.StallTimeout = 120.0,
    parallel: flags.Parallel = None,
    budget: flags.Budget = None,
    max_samples: flags.MaxSamples = None,
    policy: flags.Policy = "race",
    confidence: flags.Confidence = 0.95,
    exhaust: flags.Exhaust = False,
    max_tokens: flags.MaxTokens = "1024",
    max_thinking: flags.MaxThinking = None,
    temp: flags.Temp = 0.8,
    top_p: flags.TopP = 0.95,
    top_k: flags.TopK = 40,
    seed: flags.Seed = 0,
    mode: flags.Mode = "hybrid",
    layout: flags.Layout = None,
    system: flags.System = None,
    prompt_file: flags.PromptFile = None,
    answer_type: flags.AnswerType = "auto",
    vote: flags.Vote = "majority",
    abstain_below: flags.AbstainBelow = 0.0,
    json_output: flags.JsonOutput = False,
    unordered: flags.Unordered = False,
    explain: flags.Explain = False,
    show: flags.Show = False,
    export: flags.Export = None,
    journal: flags.Journal = True,
    quiet: flags.Quiet = False,
    color: flags.Color = True,
) -> int:
    """Answer questions: many samples of each, compared, for exactly the tokens you allow.

    Answers go to standard output, one a line, in input order; everything else to standard error.
    """
    from dynscale_cli import config
    from dynscale_cli.engine.options import LoadOptions

    from .connecting import server_options, without_effect
    from .keeping import Wishes
    from .session import Asking, answer

    server = server_options(context, endpoint, served_model, stall_timeout)

    options = LoadOptions(
        n_gpu_layers=config.parse_layers(layers),
        main_gpu=main_gpu,
        tensor_split=config.parse_floats(tensor_split, "--tensor-split") if tensor_split else (),
        flash_attn=flash_attn,
        cache_type_k=cache_type_k,
        cache_type_v=cache_type_v,
        threads=threads,
        rpc=tuple(part.strip() for part in rpc.split(",")) if rpc else (),
    )
    asking = Asking(
        arguments=tuple(questions or ()),
        file=file,
        limit=limit,
        whole=whole,
        model=model,
        options=options,
        server=server,
        without_effect=without_effect(context) if server else (),
        context=ctx_size,
        width=parallel,
        budget=config.parse_tokens(budget) if budget is not None else None,
        settings={
            "max_samples": max_samples,
            "policy": policy,
            "confidence": confidence,
            "exhaust": exhaust,
            "max_tokens": config.parse_tokens(max_tokens, "--max-tokens"),
            "max_thinking": config.parse_tokens(max_thinking, "--max-thinking") if max_thinking else None,
            "mode": _one_of("--mode", mode, ("hybrid", "parallel", "chain")),
            "layout": _one_of("--layout", layout or ("turns" if server else "quoted"), ("turns", "quoted")),
            "vote": _one_of("--vote", vote, ("majority", "length", "confidence")),
            "answer_type": answer_type,
            "abstain_below": abstain_below,
            "seed": seed,
            "stream": show,
        },
        sampling=(temp, top_p, top_k),
        system=system,
        prompt_file=prompt_file,
        json=json_output,
        unordered=unordered,
        explain=explain,
        show=show,
        export=export,
        quiet=quiet,
        color=color,
        journal=Wishes(journal),
    )
    return answer(asking)


def _one_of(flag: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"{flag} {value}: unknown", "use " + ", ".join(known))
    return value
