"""The flags of `dynscale ask`: names, ranges, help and panels, as types for its signature.

Owns how a flag is spelled. Knows nothing of what it does.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from dynscale_cli import config

from . import values
from .complete import model_names, profile_names
from .page import ALL

MODEL, SERVER, SPEND, SAMPLE, ANSWER, OUTPUT = (
    "Model",
    "Server",
    "Budget (a hard cap)",
    "Sampling",
    "Answers",
    "Output",
)

# What `ask --help` shows; `--help-all` shows the rest, too.
EVERYDAY = frozenset({
    "--file", "--profile", "--model", "--endpoint", "--n-gpu-layers", "--threads", "--parallel", "--budget",
    "--max-tokens", "--temp", "--seed", "--system", "--answer-type", "--json", "--quiet", "--help", "--help-all",
})  # fmt: skip


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
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        envvar="DYNSCALE_PROFILE",
        is_eager=True,
        metavar="NAME",
        help="Settings by name: quick, careful or your own.",
        autocompletion=profile_names,
    ),
]


def _all_help(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.meta[ALL] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


HelpAll = Annotated[bool, typer.Option("--help-all", is_eager=True, callback=_all_help, help="Show all flags.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        envvar="DYNSCALE_MODEL",
        help="A GGUF file, or a model's name.",
        rich_help_panel=MODEL,
        autocompletion=model_names,
    ),
]
Layers = Annotated[
    str,
    typer.Option(
        "--n-gpu-layers",
        "-ngl",
        envvar="DYNSCALE_N_GPU_LAYERS",
        parser=values.text(config.parse_layers),
        metavar="N|auto",
        help="Layers to put on the GPU.",
        rich_help_panel=MODEL,
    ),
]
CtxSize = Annotated[
    int | None,
    typer.Option(
        "--ctx-size",
        "-c",
        envvar="DYNSCALE_CTX_SIZE",
        metavar="N",
        min=128,
        help="Tokens one sample can hold, prompt included.",
        rich_help_panel=MODEL,
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        "--threads",
        "-t",
        envvar="DYNSCALE_THREADS",
        metavar="N",
        min=0,
        help="0: one for each core.",
        rich_help_panel=MODEL,
    ),
]
MainGpu = Annotated[
    int,
    typer.Option(
        "--main-gpu",
        "-mg",
        envvar="DYNSCALE_MAIN_GPU",
        metavar="N",
        min=0,
        help="GPU for what is not split.",
        rich_help_panel=MODEL,
    ),
]
TensorSplit = Annotated[
    str | None,
    typer.Option(
        "--tensor-split",
        "-ts",
        envvar="DYNSCALE_TENSOR_SPLIT",
        parser=values.text(values.shares),
        metavar="N,N,…",
        help="Each GPU's share of the layers.",
        rich_help_panel=MODEL,
    ),
]
FlashAttn = Annotated[
    str,
    typer.Option(
        "--flash-attn",
        "-fa",
        envvar="DYNSCALE_FLASH_ATTN",
        parser=values.one_of("--flash-attn", values.SWITCHES),
        metavar="on|off|auto",
        help="Flash attention.",
        rich_help_panel=MODEL,
    ),
]
CacheTypeK = Annotated[
    str,
    typer.Option(
        "--cache-type-k",
        "-ctk",
        envvar="DYNSCALE_CACHE_TYPE_K",
        parser=values.one_of("--cache-type-k", values.CACHES),
        metavar="TYPE",
        help="Type of the cached keys.",
        rich_help_panel=MODEL,
    ),
]
CacheTypeV = Annotated[
    str,
    typer.Option(
        "--cache-type-v",
        "-ctv",
        envvar="DYNSCALE_CACHE_TYPE_V",
        parser=values.one_of("--cache-type-v", values.CACHES),
        metavar="TYPE",
        help="Type of the cached values.",
        rich_help_panel=MODEL,
    ),
]
Rpc = Annotated[
    str | None,
    typer.Option(
        "--rpc",
        envvar="DYNSCALE_RPC",
        metavar="HOST:PORT,…",
        help="llama.cpp RPC servers to put layers on.",
        rich_help_panel=MODEL,
    ),
]
Endpoint = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        envvar="DYNSCALE_ENDPOINT",
        help="OpenAI-compatible server; may be repeated.",
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
        envvar="DYNSCALE_PARALLEL",
        metavar="N",
        min=1,
        max=256,
        help="Samples side by side, or requests in flight.",
        rich_help_panel=MODEL,
    ),
]
Budget = Annotated[
    str,
    typer.Option(
        "--budget",
        "-b",
        envvar="DYNSCALE_BUDGET",
        parser=values.text(config.parse_budget),
        metavar="TOKENS",
        help="12k in all or 2k/q a question.",
        rich_help_panel=SPEND,
    ),
]
MaxSamples = Annotated[
    int | None,
    typer.Option(
        "--max-samples",
        envvar="DYNSCALE_MAX_SAMPLES",
        metavar="N",
        min=1,
        help="Most samples of one question.",
        rich_help_panel=SPEND,
    ),
]
Policy = Annotated[
    str,
    typer.Option(
        "--policy",
        envvar="DYNSCALE_POLICY",
        parser=values.policy,
        metavar="NAME",
        help="race, ucb, adaptive, early-stop or uniform.",
        rich_help_panel=SPEND,
    ),
]
Confidence = Annotated[
    float,
    typer.Option(
        "--confidence",
        envvar="DYNSCALE_CONFIDENCE",
        metavar="P",
        **number(0.5, 1.0),
        help="A question is settled when its leader is this sure.",
        rich_help_panel=SPEND,
    ),
]
Exhaust = Annotated[
    bool,
    typer.Option(
        "--exhaust/--no-exhaust",
        envvar="DYNSCALE_EXHAUST",
        help="Spend the whole budget, settled or not.",
        rich_help_panel=SPEND,
    ),
]
MaxTokens = Annotated[
    str,
    typer.Option(
        "--max-tokens",
        "-n",
        envvar="DYNSCALE_MAX_TOKENS",
        parser=values.tokens("--max-tokens"),
        metavar="TOKENS",
        help="Most tokens of one sample.",
        rich_help_panel=SAMPLE,
    ),
]
MaxThinking = Annotated[
    str | None,
    typer.Option(
        "--max-thinking",
        envvar="DYNSCALE_MAX_THINKING",
        parser=values.tokens("--max-thinking"),
        metavar="TOKENS",
        help="Close a thought beyond it.",
        rich_help_panel=SAMPLE,
    ),
]
Temp = Annotated[
    float,
    typer.Option(
        "--temp",
        envvar="DYNSCALE_TEMP",
        metavar="T",
        **number(0, 10),
        help="Temperature; 0 is greedy.",
        rich_help_panel=SAMPLE,
    ),
]
TopP = Annotated[
    float,
    typer.Option(
        "--top-p",
        envvar="DYNSCALE_TOP_P",
        metavar="P",
        **number(0, 1),
        help="Nucleus sampling; 1 is off.",
        rich_help_panel=SAMPLE,
    ),
]
TopK = Annotated[
    int,
    typer.Option(
        "--top-k",
        envvar="DYNSCALE_TOP_K",
        metavar="N",
        min=0,
        help="Only the likeliest tokens; 0: off.",
        rich_help_panel=SAMPLE,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        "-s",
        envvar="DYNSCALE_SEED",
        metavar="N",
        help="Fixes a run on one machine.",
        rich_help_panel=SAMPLE,
    ),
]
Mode = Annotated[
    str,
    typer.Option(
        "--mode",
        envvar="DYNSCALE_MODE",
        parser=values.one_of("--mode", values.MODES),
        metavar="MODE",
        help="hybrid, parallel or chain: which kinds of samples.",
        rich_help_panel=SAMPLE,
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        envvar="DYNSCALE_LAYOUT",
        parser=values.one_of("--layout", values.LAYOUTS),
        metavar="NAME",
        help="How chains show samples: quoted, or turns (on a server).",
        rich_help_panel=SAMPLE,
    ),
]
System = Annotated[
    str | None,
    typer.Option("--system", envvar="DYNSCALE_SYSTEM", metavar="TEXT", help="A system prompt.", rich_help_panel=SAMPLE),
]
PromptFile = Annotated[
    Path | None,
    typer.Option(
        "--prompt-file",
        envvar="DYNSCALE_PROMPT_FILE",
        metavar="FILE",
        help="A TOML file of prompts.",
        rich_help_panel=SAMPLE,
    ),
]
AnswerType = Annotated[
    str,
    typer.Option(
        "--answer-type",
        envvar="DYNSCALE_ANSWER_TYPE",
        parser=values.answer_type,
        metavar="TYPE",
        rich_help_panel=ANSWER,
        help="auto, number, choice, boolean, math, text or regex:PATTERN.",
    ),
]
Vote = Annotated[
    str,
    typer.Option(
        "--vote",
        envvar="DYNSCALE_VOTE",
        parser=values.one_of("--vote", values.VOTES),
        metavar="NAME",
        help="What a vote weighs: majority, length or confidence.",
        rich_help_panel=ANSWER,
    ),
]
AbstainBelow = Annotated[
    float,
    typer.Option(
        "--abstain-below",
        envvar="DYNSCALE_ABSTAIN_BELOW",
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
    bool,
    typer.Option(
        "--explain/--no-explain",
        envvar="DYNSCALE_EXPLAIN",
        help="Tell why each question got its samples.",
        rich_help_panel=OUTPUT,
    ),
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
        help="Whether runs of several questions are kept, to be resumed.",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet/--no-quiet",
        "-q",
        envvar="DYNSCALE_QUIET",
        help="Nothing but answers and errors.",
        rich_help_panel=OUTPUT,
    ),
]
Color = Annotated[
    bool,
    typer.Option(
        "--color/--no-color",
        envvar="DYNSCALE_COLOR",
        help="Whether to use colors; NO_COLOR turns them off, too.",
        rich_help_panel=OUTPUT,
    ),
]
