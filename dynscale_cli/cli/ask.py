"""`dynscale ask`: questions in, answers out. Parses and delegates to `session`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dynscale_cli.errors import UsageError

EXAMPLES = """[bold]Examples[/bold]

  dynscale ask "What is 17 + 25?"

  cat questions.txt | dynscale ask --budget 40k

  dynscale ask -f gsm8k.jsonl --limit 8 --json | jq .answer
"""
MODEL, SPEND, SAMPLE, ANSWER, OUTPUT = "Model", "Budget and allocation", "Sampling", "Answers", "Output"


def _number(low: float, high: float) -> dict[str, Any]:
    return {"min": low, "max": high}


def ask(
    questions: Annotated[
        list[str] | None, typer.Argument(metavar="[QUESTION]...", help="Questions; - reads standard input.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read questions: text (one a line), .jsonl or .csv.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N questions.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="The whole input is one question.")] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", envvar="DYNSCALE_MODEL", help="A GGUF file.", rich_help_panel=MODEL),
    ] = None,
    layers: Annotated[
        str,
        typer.Option("--n-gpu-layers", "-ngl", metavar="N|auto", help="Layers to offload.", rich_help_panel=MODEL),
    ] = "auto",
    ctx_size: Annotated[
        int | None,
        typer.Option("--ctx-size", "-c", min=128, help="Tokens one sample can hold.", rich_help_panel=MODEL),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", "-t", min=0, help="0: one a core.", rich_help_panel=MODEL)] = 0,
    main_gpu: Annotated[int, typer.Option("--main-gpu", "-mg", min=0, rich_help_panel=MODEL)] = 0,
    tensor_split: Annotated[
        str | None, typer.Option("--tensor-split", "-ts", metavar="N,N,…", rich_help_panel=MODEL)
    ] = None,
    flash_attn: Annotated[
        str, typer.Option("--flash-attn", "-fa", metavar="on|off|auto", rich_help_panel=MODEL)
    ] = "auto",
    cache_type_k: Annotated[str, typer.Option("--cache-type-k", "-ctk", metavar="TYPE", rich_help_panel=MODEL)] = "f16",
    cache_type_v: Annotated[str, typer.Option("--cache-type-v", "-ctv", metavar="TYPE", rich_help_panel=MODEL)] = "f16",
    rpc: Annotated[
        str | None,
        typer.Option(
            "--rpc", metavar="HOST:PORT,…", help="llama.cpp RPC servers to put layers on.", rich_help_panel=MODEL
        ),
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option("--parallel", "-np", min=1, max=256, help="Samples decoded side by side.", rich_help_panel=MODEL),
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
        int | None, typer.Option("--max-samples", min=1, help="Of one question.", rich_help_panel=SPEND)
    ] = None,
    policy: Annotated[
        str,
        typer.Option("--policy", help="race, ucb, adaptive, early-stop or uniform.", rich_help_panel=SPEND),
    ] = "race",
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence", **_number(0.5, 1.0), help="A question this sure is settled.", rich_help_panel=SPEND
        ),
    ] = 0.95,
    exhaust: Annotated[
        bool, typer.Option("--exhaust", help="Spend the whole budget, settled or not.", rich_help_panel=SPEND)
    ] = False,
    max_tokens: Annotated[
        str, typer.Option("--max-tokens", "-n", metavar="TOKENS", help="Of one sample.", rich_help_panel=SAMPLE)
    ] = "1024",
    max_thinking: Annotated[
        str | None,
        typer.Option("--max-thinking", metavar="TOKENS", help="Close a thought beyond it.", rich_help_panel=SAMPLE),
    ] = None,
    temp: Annotated[float, typer.Option("--temp", **_number(0, 10), rich_help_panel=SAMPLE)] = 0.8,
    top_p: Annotated[float, typer.Option("--top-p", **_number(0, 1), rich_help_panel=SAMPLE)] = 0.95,
    top_k: Annotated[int, typer.Option("--top-k", min=0, rich_help_panel=SAMPLE)] = 40,
    seed: Annotated[
        int, typer.Option("--seed", "-s", help="Fixes everything on one machine and width.", rich_help_panel=SAMPLE)
    ] = 0,
    mode: Annotated[str, typer.Option("--mode", metavar="hybrid|parallel|chain", rich_help_panel=SAMPLE)] = "hybrid",
    layout: Annotated[
        str,
        typer.Option("--layout", metavar="turns|quoted", help="How chains show attempts.", rich_help_panel=SAMPLE),
    ] = "quoted",
    system: Annotated[str | None, typer.Option("--system", help="A system prompt.", rich_help_panel=SAMPLE)] = None,
    prompt_file: Annotated[
        Path | None, typer.Option("--prompt-file", help="A TOML file of prompts.", rich_help_panel=SAMPLE)
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
        str, typer.Option("--vote", metavar="majority|length|confidence", rich_help_panel=ANSWER)
    ] = "majority",
    abstain_below: Annotated[
        float,
        typer.Option(
            "--abstain-below", metavar="P", **_number(0, 1), help="No answer below this.", rich_help_panel=ANSWER
        ),
    ] = 0.0,
    json_output: Annotated[
        bool, typer.Option("--json", help="One JSON object a question.", rich_help_panel=OUTPUT)
    ] = False,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="Answers as they settle.", rich_help_panel=OUTPUT)
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
    color: Annotated[bool, typer.Option("--color/--no-color", rich_help_panel=OUTPUT)] = True,
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
