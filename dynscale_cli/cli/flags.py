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
from .parser import PREFIX

MODEL, SERVER, SPEND, SAMPLE, ANSWER, OUTPUT = (
    "Model",
    "Server",
    "Budget (a hard cap)",
    "Sampling",
    "Answers",
    "Output",
)

THREADS = 512  # more of them end the process inside llama.cpp
INTEGER = 2**31 - 1  # the largest that llama.cpp takes; beyond it a number becomes another one

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


def setting(*names: str, **more: Any) -> Any:
    """A flag that is a setting, too: with a variable of its own, which is named after it."""
    variable = names[0].partition("/")[0][2:].upper().replace("-", "_")
    return typer.Option(*names, envvar=f"{PREFIX}{variable}", **more)


Questions = Annotated[list[str] | None, typer.Argument(metavar="QUESTION", help="Questions; - reads standard input.")]
File = Annotated[
    Path | None, typer.Option("--file", "-f", metavar="FILE", help="Questions: text (one a line), .jsonl or .csv.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, max=INTEGER, metavar="N", help="Only the first N questions.")
]
Whole = Annotated[bool, typer.Option("--whole", help="The whole input is one question.")]
Profile = Annotated[
    str | None,
    setting(
        "--profile",
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
    setting(
        "--model",
        "-m",
        metavar="NAME",
        help="A GGUF file, or a model's name.",
        rich_help_panel=MODEL,
        autocompletion=model_names,
    ),
]
Layers = Annotated[
    str,
    setting(
        "--n-gpu-layers",
        "-ngl",
        parser=values.text(config.parse_layers),
        metavar="N|auto",
        help="Layers to put on the GPU.",
        rich_help_panel=MODEL,
    ),
]
CtxSize = Annotated[
    int | None,
    setting(
        "--ctx-size",
        "-c",
        metavar="N",
        min=128,
        help="Tokens one sample can hold, prompt included.",
        rich_help_panel=MODEL,
    ),
]
Threads = Annotated[
    int,
    setting(
        "--threads",
        "-t",
        metavar="N",
        min=0,
        max=THREADS,
        help="CPU threads; 0: one for each core.",
        rich_help_panel=MODEL,
    ),
]
MainGpu = Annotated[
    int,
    setting(
        "--main-gpu", "-mg", metavar="N", min=0, max=INTEGER, help="GPU for what is not split.", rich_help_panel=MODEL
    ),
]
TensorSplit = Annotated[
    str | None,
    setting(
        "--tensor-split",
        "-ts",
        parser=values.text(values.shares),
        metavar="N,N,…",
        help="Each GPU's share of the layers.",
        rich_help_panel=MODEL,
    ),
]
FlashAttn = Annotated[
    str,
    setting(
        "--flash-attn",
        "-fa",
        parser=values.one_of("--flash-attn", values.SWITCHES),
        metavar="on|off|auto",
        help="Flash attention.",
        rich_help_panel=MODEL,
    ),
]
CacheTypeK = Annotated[
    str,
    setting(
        "--cache-type-k",
        "-ctk",
        parser=values.one_of("--cache-type-k", values.CACHES),
        metavar="TYPE",
        help="Type of the cached keys.",
        rich_help_panel=MODEL,
    ),
]
CacheTypeV = Annotated[
    str,
    setting(
        "--cache-type-v",
        "-ctv",
        parser=values.one_of("--cache-type-v", values.CACHES),
        metavar="TYPE",
        help="Type of the cached values.",
        rich_help_panel=MODEL,
    ),
]
Rpc = Annotated[
    str | None,
    setting("--rpc", metavar="HOST:PORT,…", help="llama.cpp RPC servers to put layers on.", rich_help_panel=MODEL),
]
Endpoint = Annotated[
    list[str] | None,
    setting("--endpoint", metavar="URL", help="OpenAI-compatible server; may be repeated.", rich_help_panel=SERVER),
]
ServedModel = Annotated[
    str | None,
    setting("--served-model", metavar="NAME", help="The server's model, where it has several.", rich_help_panel=SERVER),
]
StallTimeout = Annotated[
    float,
    setting(
        "--stall-timeout",
        metavar="SECONDS",
        **number(0.1, 86400),
        help="Silence after which a request is given up.",
        rich_help_panel=SERVER,
    ),
]
Parallel = Annotated[
    int | None,
    setting(
        "--parallel",
        "-np",
        metavar="N",
        min=1,
        max=256,
        help="Samples side by side, or requests in flight.",
        rich_help_panel=MODEL,
    ),
]
Budget = Annotated[
    str,
    setting(
        "--budget",
        "-b",
        parser=values.text(config.parse_budget),
        metavar="TOKENS",
        help="12k in all or 2k/q a question.",
        rich_help_panel=SPEND,
    ),
]
MaxSamples = Annotated[
    int | None,
    setting(
        "--max-samples", metavar="N", min=1, max=INTEGER, help="Most samples of one question.", rich_help_panel=SPEND
    ),
]
TimeLimit = Annotated[
    str | None,
    setting(
        "--time-limit",
        parser=values.text(config.parse_seconds),
        metavar="TIME",
        help="Stop after 90s or 5m, and answer with what there is.",
        rich_help_panel=SPEND,
    ),
]
ChainShare = Annotated[
    str,
    setting(
        "--chain-share",
        parser=values.text(config.parse_share),
        metavar="auto|P",
        help="Share of chains to begin with: 0 to 1, or by the model's size.",
        rich_help_panel=SPEND,
    ),
]
Policy = Annotated[
    str,
    setting(
        "--policy",
        parser=values.policy,
        metavar="NAME",
        help="race, ucb, adaptive, early-stop or uniform.",
        rich_help_panel=SPEND,
    ),
]
Confidence = Annotated[
    float,
    setting(
        "--confidence",
        metavar="P",
        **number(0.5, 1.0),
        help="A question is settled when its leader is this sure.",
        rich_help_panel=SPEND,
    ),
]
Exhaust = Annotated[
    bool, setting("--exhaust/--no-exhaust", help="Spend the whole budget, settled or not.", rich_help_panel=SPEND)
]
MaxTokens = Annotated[
    str,
    setting(
        "--max-tokens",
        "-n",
        parser=values.tokens("--max-tokens"),
        metavar="TOKENS",
        help="Most tokens of one sample.",
        rich_help_panel=SAMPLE,
    ),
]
MaxThinking = Annotated[
    str | None,
    setting(
        "--max-thinking",
        parser=values.tokens("--max-thinking"),
        metavar="TOKENS",
        help="Close a <think> that is longer.",
        rich_help_panel=SAMPLE,
    ),
]
Temp = Annotated[
    float, setting("--temp", metavar="T", **number(0, 10), help="Temperature; 0 is greedy.", rich_help_panel=SAMPLE)
]
TopP = Annotated[
    float, setting("--top-p", metavar="P", **number(0, 1), help="Nucleus sampling; 1 is off.", rich_help_panel=SAMPLE)
]
TopK = Annotated[
    int,
    setting(
        "--top-k", metavar="N", min=0, max=INTEGER, help="Only the likeliest tokens; 0: off.", rich_help_panel=SAMPLE
    ),
]
Seed = Annotated[int, setting("--seed", "-s", metavar="N", help="Fixes a run on one machine.", rich_help_panel=SAMPLE)]
Mode = Annotated[
    str,
    setting(
        "--mode",
        parser=values.one_of("--mode", values.MODES),
        metavar="MODE",
        help="hybrid, parallel, chain or sequential: kinds of samples.",
        rich_help_panel=SAMPLE,
    ),
]
Layout = Annotated[
    str | None,
    setting(
        "--layout",
        parser=values.one_of("--layout", values.LAYOUTS),
        metavar="NAME",
        help="How chains show samples: quoted, or turns (on a server).",
        rich_help_panel=SAMPLE,
    ),
]
System = Annotated[str | None, setting("--system", metavar="TEXT", help="A system prompt.", rich_help_panel=SAMPLE)]
PromptFile = Annotated[
    Path | None, setting("--prompt-file", metavar="FILE", help="A TOML file of prompts.", rich_help_panel=SAMPLE)
]
AnswerType = Annotated[
    str,
    setting(
        "--answer-type",
        parser=values.answer_type,
        metavar="TYPE",
        rich_help_panel=ANSWER,
        help="auto, number, choice, boolean, math, text or regex:PATTERN.",
    ),
]
Vote = Annotated[
    str,
    setting(
        "--vote",
        parser=values.one_of("--vote", values.VOTES),
        metavar="NAME",
        help="What a vote weighs: majority, length or confidence.",
        rich_help_panel=ANSWER,
    ),
]
AbstainBelow = Annotated[
    float,
    setting(
        "--abstain-below",
        metavar="P",
        **number(0, 1),
        help="Give no answer that is less sure than this.",
        rich_help_panel=ANSWER,
    ),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="One JSON object a question.", rich_help_panel=OUTPUT)]
Unordered = Annotated[
    bool, typer.Option("--unordered", help="Print answers as they settle, not in input order.", rich_help_panel=OUTPUT)
]
Explain = Annotated[
    bool, setting("--explain/--no-explain", help="Tell why each question got its samples.", rich_help_panel=OUTPUT)
]
Show = Annotated[bool, typer.Option("--show", help="Show the text as it is generated.", rich_help_panel=OUTPUT)]
Export = Annotated[
    Path | None,
    typer.Option("--export", metavar="FILE", help="Write the samples as a pool for replay.", rich_help_panel=OUTPUT),
]
Journal = Annotated[
    bool,
    setting(
        "--journal/--no-journal",
        help="Keep this run, to be shown and gone on with.",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[
    bool, setting("--quiet/--no-quiet", "-q", help="Nothing but answers and errors.", rich_help_panel=OUTPUT)
]
Color = Annotated[
    bool,
    setting("--color/--no-color", help="Use colors; NO_COLOR turns them off, too.", rich_help_panel=OUTPUT),
]
