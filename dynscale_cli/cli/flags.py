"""The flags of `dynscale ask`: names, ranges, help and panels, as types for its signature.

Owns how a flag is spelled. Knows nothing of what it does.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

MODEL, SERVER, SPEND, SAMPLE, ANSWER, OUTPUT = (
    "Model",
    "Server",
    "Budget and allocation",
    "Sampling",
    "Answers",
    "Output",
)


def number(low: float, high: float) -> dict[str, Any]:
    """The range of a flag that takes a fraction."""
    return {"min": low, "max": high, "callback": _known}


def _known(value: float) -> float:
    """Refuse what a range lets through: nan is below no bound and above none."""
    if math.isnan(value):
        raise typer.BadParameter("nan is not a number")
    return value


Questions = Annotated[list[str] | None, typer.Argument(metavar="QUESTION", help="Questions; - reads standard input.")]
File = Annotated[
    Path | None, typer.Option("--file", "-f", metavar="FILE", help="Questions: text (one a line), .jsonl or .csv.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N questions.")]
Whole = Annotated[bool, typer.Option("--whole", help="The whole input is one question.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        envvar="DYNSCALE_MODEL",
        help="A GGUF file, or a model's name.",
        rich_help_panel=MODEL,
    ),
]
Layers = Annotated[
    str,
    typer.Option("--n-gpu-layers", "-ngl", metavar="N|auto", help="Layers to put on the GPU.", rich_help_panel=MODEL),
]
CtxSize = Annotated[
    int | None,
    typer.Option(
        "--ctx-size",
        "-c",
        metavar="N",
        min=128,
        help="Tokens one sample can hold, prompt included.",
        rich_help_panel=MODEL,
    ),
]
Threads = Annotated[
    int, typer.Option("--threads", "-t", metavar="N", min=0, help="0: one for each core.", rich_help_panel=MODEL)
]
MainGpu = Annotated[
    int,
    typer.Option(
        "--main-gpu", "-mg", metavar="N", min=0, help="The GPU that holds what is not split.", rich_help_panel=MODEL
    ),
]
TensorSplit = Annotated[
    str | None,
    typer.Option(
        "--tensor-split", "-ts", metavar="N,N,…", help="Each GPU's share of the layers.", rich_help_panel=MODEL
    ),
]
FlashAttn = Annotated[
    str, typer.Option("--flash-attn", "-fa", metavar="on|off|auto", help="Flash attention.", rich_help_panel=MODEL)
]
CacheTypeK = Annotated[
    str,
    typer.Option("--cache-type-k", "-ctk", metavar="TYPE", help="Type of the cached keys.", rich_help_panel=MODEL),
]
CacheTypeV = Annotated[
    str,
    typer.Option("--cache-type-v", "-ctv", metavar="TYPE", help="Type of the cached values.", rich_help_panel=MODEL),
]
Rpc = Annotated[
    str | None,
    typer.Option("--rpc", metavar="HOST:PORT,…", help="llama.cpp RPC servers to put layers on.", rich_help_panel=MODEL),
]
Endpoint = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        envvar="DYNSCALE_ENDPOINT",
        help="An OpenAI-compatible server instead of a file; may be repeated.",
        rich_help_panel=SERVER,
    ),
]
ServedModel = Annotated[
    str | None,
    typer.Option(
        "--served-model",
        metavar="NAME",
        envvar="DYNSCALE_SERVED_MODEL",
        help="The server's model, where it has several.",
        rich_help_panel=SERVER,
    ),
]
StallTimeout = Annotated[
    float,
    typer.Option(
        "--stall-timeout",
        metavar="SECONDS",
        envvar="DYNSCALE_STALL_TIMEOUT",
        **number(0.1, 86400),
        help="Silence after which a request is given up.",
        rich_help_panel=SERVER,
    ),
]
Parallel = Annotated[
    int | None,
    typer.Option(
        "--parallel",
        "-np",
        metavar="N",
        min=1,
        max=256,
        help="Samples decoded side by side, or requests in flight.",
        rich_help_panel=MODEL,
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        "-b",
        metavar="TOKENS",
        help="Hard cap, such as 12k. Default: 2048 a question.",
        rich_help_panel=SPEND,
    ),
]
MaxSamples = Annotated[
    int | None,
    typer.Option("--max-samples", metavar="N", min=1, help="Most samples of one question.", rich_help_panel=SPEND),
]
Policy = Annotated[
    str,
    typer.Option("--policy", metavar="NAME", help="race, ucb, adaptive, early-stop or uniform.", rich_help_panel=SPEND),
]
Confidence = Annotated[
    float,
    typer.Option(
        "--confidence",
        metavar="P",
        **number(0.5, 1.0),
        help="A question is settled when its leader is this sure.",
        rich_help_panel=SPEND,
    ),
]
Exhaust = Annotated[
    bool, typer.Option("--exhaust", help="Spend the whole budget, settled or not.", rich_help_panel=SPEND)
]
MaxTokens = Annotated[
    str,
    typer.Option("--max-tokens", "-n", metavar="TOKENS", help="Most tokens of one sample.", rich_help_panel=SAMPLE),
]
MaxThinking = Annotated[
    str | None,
    typer.Option("--max-thinking", metavar="TOKENS", help="Close a thought beyond it.", rich_help_panel=SAMPLE),
]
Temp = Annotated[
    float,
    typer.Option("--temp", metavar="T", **number(0, 10), help="Temperature; 0 is greedy.", rich_help_panel=SAMPLE),
]
TopP = Annotated[
    float,
    typer.Option("--top-p", metavar="P", **number(0, 1), help="Nucleus sampling; 1 is off.", rich_help_panel=SAMPLE),
]
TopK = Annotated[
    int,
    typer.Option("--top-k", metavar="N", min=0, help="Only the K likeliest tokens; 0 is off.", rich_help_panel=SAMPLE),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", "-s", metavar="N", help="Fixes everything on one machine and width.", rich_help_panel=SAMPLE
    ),
]
Mode = Annotated[
    str,
    typer.Option(
        "--mode", metavar="MODE", help="hybrid, parallel or chain: which kinds of samples.", rich_help_panel=SAMPLE
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="NAME",
        help="How a chain shows earlier samples: quoted, or turns (the default on a server).",
        rich_help_panel=SAMPLE,
    ),
]
System = Annotated[
    str | None, typer.Option("--system", metavar="TEXT", help="A system prompt.", rich_help_panel=SAMPLE)
]
PromptFile = Annotated[
    Path | None,
    typer.Option("--prompt-file", metavar="FILE", help="A TOML file of prompts.", rich_help_panel=SAMPLE),
]
AnswerType = Annotated[
    str,
    typer.Option(
        "--answer-type",
        metavar="TYPE",
        rich_help_panel=ANSWER,
        help="auto, number, choice, boolean, math, text or regex:PATTERN.",
    ),
]
Vote = Annotated[
    str,
    typer.Option(
        "--vote", metavar="NAME", help="What a vote weighs: majority, length or confidence.", rich_help_panel=ANSWER
    ),
]
AbstainBelow = Annotated[
    float,
    typer.Option(
        "--abstain-below",
        metavar="P",
        **number(0, 1),
        help="Give no answer that is less sure than this.",
        rich_help_panel=ANSWER,
    ),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="One JSON object a question.", rich_help_panel=OUTPUT)]
Unordered = Annotated[
    bool,
    typer.Option("--unordered", help="Print answers as they settle, not in input order.", rich_help_panel=OUTPUT),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Tell why each question got its samples.", rich_help_panel=OUTPUT)
]
Show = Annotated[bool, typer.Option("--show", help="Show the text as it is generated.", rich_help_panel=OUTPUT)]
Export = Annotated[
    Path | None,
    typer.Option("--export", metavar="FILE", help="Write the samples as a pool for replay.", rich_help_panel=OUTPUT),
]
Journal = Annotated[
    bool,
    typer.Option(
        "--journal/--no-journal",
        envvar="DYNSCALE_JOURNAL",
        help="Keep a run of several questions, so that it can be resumed.",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but answers and errors.", rich_help_panel=OUTPUT)]
Color = Annotated[
    bool, typer.Option("--color/--no-color", help="NO_COLOR turns colors off as well.", rich_help_panel=OUTPUT)
]
