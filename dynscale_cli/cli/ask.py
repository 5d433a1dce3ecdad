"""`dynscale ask`: questions in, answers out. Parses and delegates to `session`."""

from __future__ import annotations

from pathlib import Path

import typer

from dynscale_cli.questions import STDIN

from . import flags
from .parser import Command

EXAMPLES = """
dynscale ask "What is 17 + 25?"
dynscale ask --profile careful "Is 91 a prime number? Yes or no?"
dynscale ask -f questions.txt --budget 40k --json | jq -r .answer
cat questions.txt | dynscale ask -q --budget 2k/q
dynscale ask --endpoint http://127.0.0.1:8080 "What is 17 + 25?"
"""


class Ask(Command):
    everyday = flags.EVERYDAY


def ask(
    context: typer.Context,
    questions: flags.Questions = None,
    file: flags.File = None,
    limit: flags.Limit = None,
    whole: flags.Whole = False,
    profile: flags.Profile = None,
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
    budget: flags.Budget = "2048/q",
    max_samples: flags.MaxSamples = None,
    time_limit: flags.TimeLimit = None,
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
    chain_share: flags.ChainShare = "auto",
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
    help_all: flags.HelpAll = False,
) -> int:
    """Answer questions by many samples of each, compared, for the tokens you allow.

    Answers go to standard output, in input order; all else to standard error.
    """
    from dynscale_cli import config
    from dynscale_cli.engine.options import LoadOptions

    from .connecting import server_options, without_effect
    from .keeping import wishes
    from .session import Asking, answer

    server = server_options(context, endpoint, served_model, stall_timeout)
    if file == Path(STDIN):
        questions, file = [*(questions or ()), STDIN], None
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
        budget=config.parse_budget(budget),
        settings={
            "max_samples": max_samples,
            "policy": policy,
            "confidence": confidence,
            "exhaust": exhaust,
            "max_tokens": config.parse_tokens(max_tokens, "--max-tokens"),
            "max_thinking": config.parse_tokens(max_thinking, "--max-thinking") if max_thinking else None,
            "time_limit": config.parse_seconds(time_limit) if time_limit else None,
            "chain_share": config.parse_share(chain_share),
            "mode": mode,
            "layout": layout or ("turns" if server else "quoted"),
            "vote": vote,
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
        journal=wishes(journal),
    )
    return answer(asking)
