"""`dynscale ask`: questions in, answers out. Parses and delegates to `session`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dynscale_cli.errors import UsageError

EXAMPLES = """[bold]Examples[/bold]

dynscale ask "What is 17 + 25?"

cat questions.txt | dynscale ask --budget 40k

dynscale ask -f questions.jsonl --limit 8 --json | jq .answer

dynscale ask -m model.gguf -ngl 20 "What is 17 + 25?"
"""
MODEL, SPEND, SAMPLE, ANSWER, OUTPUT = "Model", "Budget and allocation", "Sampling", "Answers", "Output"


def _number(low: float, high: float) -> dict[str, Any]:
    return {"min": low, "max": high}


def ask(
    questions: Annotated[
        list[str] | None, typer.Argument(metavar="QUESTION", help="Questions; - reads standard input.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Questions: text (one a line), .jsonl or .csv.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N questions.")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="The whole input is one question.")] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="FILE", envvar="DYNSCALE_MODEL", help="A GGUF file.", rich_help_panel=MODEL
        ),
    ] = None,
    layers: Annotated[
        str,
        typer.Option(
            "--n-gpu-layers", "-ngl", metavar="N|auto", help="Layers to put on the GPU.", rich_help_panel=MODEL
        ),
    ] = "auto",
    ctx_size: Annotated[
        int | None,
        typer.Option(
            "--ctx-size",
            "-c",
            metavar="N",
            min=128,
            help="Tokens one sample can hold, prompt included.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", "-t", metavar="N", min=0, help="0: one for each core.", rich_help_panel=MODEL)
    ] = 0,
    main_gpu: Annotated[
        int,
        typer.Option(
            "--main-gpu", "-mg", metavar="N", min=0, help="The GPU that holds what is not split.", rich_help_panel=MODEL
        ),
    ] = 0,
    tensor_split: Annotated[
        str | None,
        typer.Option(
            "--tensor-split", "-ts", metavar="N,N,…", help="Each GPU's share of the layers.", rich_help_panel=MODEL
        ),
    ] = None,
    flash_attn: Annotated[
        str, typer.Option("--flash-attn", "-fa", metavar="on|off|auto", help="Flash attention.", rich_help_panel=MODEL)
    ] = "auto",
    cache_type_k: Annotated[
        str,
        typer.Option("--cache-type-k", "-ctk", metavar="TYPE", help="Type of the cached keys.", rich_help_panel=MODEL),
    ] = "f16",
    cache_type_v: Annotated[
        str,
        typer.Option(
            "--cache-type-v", "-ctv", metavar="TYPE", help="Type of the cached values.", rich_help_panel=MODEL
        ),
    ] = "f16",
    rpc: Annotated[
        str | None,
        typer.Option(
            "--rpc", metavar="HOST:PORT,…", help="llama.cpp RPC servers to put layers on.", rich_help_panel=MODEL
        ),
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option(
            "--parallel",
            "-np",
            metavar="N",
            min=1,
            max=256,
            help="Samples decoded side by side.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            "-b",
            metavar="TOKENS",
            help="Hard cap, such as 12k. Default: 2048 a question.",
            rich_help_panel=SPEND,
        ),
    ] = None,
    max_samples: Annotated[
        int | None,
        typer.Option("--max-samples", metavar="N", min=1, help="Most samples of one question.", rich_help_panel=SPEND),
    ] = None,
    policy: Annotated[
        str,
        typer.Option(
            "--policy", metavar="NAME", help="race, ucb, adaptive, early-stop or uniform.", rich_help_panel=SPEND
        ),
    ] = "race",
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence",
            metavar="P",
            **_number(0.5, 1.0),
            help="A question is settled when its leader is this sure.",
            rich_help_panel=SPEND,
        ),
    ] = 0.95,
    exhaust: Annotated[
        bool, typer.Option("--exhaust", help="Spend the whole budget, settled or not.", rich_help_panel=SPEND)
    ] = False,
    max_tokens: Annotated[
        str,
        typer.Option("--max-tokens", "-n", metavar="TOKENS", help="Most tokens of one sample.", rich_help_panel=SAMPLE),
    ] = "1024",
    max_thinking: Annotated[
        str | None,
        typer.Option("--max-thinking", metavar="TOKENS", help="Close a thought beyond it.", rich_help_panel=SAMPLE),
    ] = None,
    temp: Annotated[
        float,
        typer.Option("--temp", metavar="T", **_number(0, 10), help="Temperature; 0 is greedy.", rich_help_panel=SAMPLE),
    ] = 0.8,
    top_p: Annotated[
        float,
        typer.Option(
            "--top-p", metavar="P", **_number(0, 1), help="Nucleus sampling; 1 is off.", rich_help_panel=SAMPLE
        ),
    ] = 0.95,
    top_k: Annotated[
        int,
        typer.Option(
            "--top-k", metavar="N", min=0, help="Only the K likeliest tokens; 0 is off.", rich_help_panel=SAMPLE
        ),
    ] = 40,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", "-s", metavar="N", help="Fixes everything on one machine and width.", rich_help_panel=SAMPLE
        ),
    ] = 0,
    mode: Annotated[
        str,
        typer.Option(
            "--mode", metavar="MODE", help="hybrid, parallel or chain: which kinds of samples.", rich_help_panel=SAMPLE
        ),
    ] = "hybrid",
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="NAME",
            help="How a chain shows earlier samples: turns or quoted.",
            rich_help_panel=SAMPLE,
        ),
    ] = "quoted",
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", help="A system prompt.", rich_help_panel=SAMPLE)
    ] = None,
    prompt_file: Annotated[
        Path | None,
        typer.Option("--prompt-file", metavar="FILE", help="A TOML file of prompts.", rich_help_panel=SAMPLE),
    ] = None,
    answer_type: Annotated[
        str,
        typer.Option(
            "--answer-type",
            metavar="TYPE",
            rich_help_panel=ANSWER,
            help="auto, number, choice, boolean, math, text or regex:PATTERN.",
        ),
    ] = "auto",
    vote: Annotated[
        str,
        typer.Option(
            "--vote", metavar="NAME", help="What a vote weighs: majority, length or confidence.", rich_help_panel=ANSWER
        ),
    ] = "majority",
    abstain_below: Annotated[
        float,
        typer.Option(
            "--abstain-below",
            metavar="P",
            **_number(0, 1),
            help="Give no answer that is less sure than this.",
            rich_help_panel=ANSWER,
        ),
    ] = 0.0,
    json_output: Annotated[
        bool, typer.Option("--json", help="One JSON object a question.", rich_help_panel=OUTPUT)
    ] = False,
    unordered: Annotated[
        bool,
        typer.Option("--unordered", help="Print answers as they settle, not in input order.", rich_help_panel=OUTPUT),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell why each question got its samples.", rich_help_panel=OUTPUT)
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Show the text as it is generated.", rich_help_panel=OUTPUT)
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="FILE", help="Write the samples as a pool for replay.", rich_help_panel=OUTPUT
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Nothing but answers and errors.", rich_help_panel=OUTPUT)
    ] = False,
    color: Annotated[
        bool, typer.Option("--color/--no-color", help="NO_COLOR turns colors off as well.", rich_help_panel=OUTPUT)
    ] = True,
) -> int:
    """Answer questions: many samples of each, compared, for exactly the tokens you allow.

    Answers go to standard output, one a line, in input order; everything else to standard error.
    """
    from dynscale_cli import config
    from dynscale_cli.engine.options import LoadOptions

    from .session import Asking, answer

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
            "layout": _one_of("--layout", layout, ("turns", "quoted")),
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
    )
    return answer(asking)


def _one_of(flag: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"{flag} {value}: unknown", "use " + ", ".join(known))
    return value
