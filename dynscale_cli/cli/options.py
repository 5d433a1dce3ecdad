"""What a run can be told: `Options`, one field for each flag of `ask`, which `bench` and `runs resume` share.

A new flag is two edits: its field here, and the place that uses it (`Options.settings` for what a run decides by,
`Options.loading` for what llama.cpp is told, `session` for the rest). How a flag is declared is `parser`'s business.

Owns spelling, ranges, help and defaults. Knows nothing of what a flag does.
"""

# No postponed annotations: typer reads the fields' types.

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dynscale_cli.display.text import say
from dynscale_cli.engine.options import CACHE_TYPES, FLASH_ATTENTION, LEVELS, LoadOptions
from dynscale_cli.errors import UsageError
from dynscale_cli.values import (
    INTEGER,
    Budget,
    file_text,
    parse_budget,
    parse_floats,
    parse_layers,
    parse_seconds,
    parse_share,
    parse_tokens,
    parse_variables,
)

from .help import ALL, model_names, profile_names
from .parser import (
    ANSWER_TYPES,
    LAYOUTS,
    MODEL,
    MODES,
    OUTPUT,
    POLICIES,
    PREFIX,
    SAMPLE,
    SPEND,
    THREADS,
    VOTES,
    check_answer_type,
    check_policy,
    keys,
    once,
    setting,
    source,
)

if TYPE_CHECKING:
    from dynscale_cli.run.request import Settings

# Where a value can be from; each goes before those on its left.
SOURCES: Final = ("DEFAULT", "FILE", "PROFILE", "ENVIRONMENT", "COMMANDLINE")


def _unescaped(text: str) -> str:
    """A line's end and a tab as they are typed. An empty text would end every sample at its first token."""
    if not text:
        raise UsageError("--stop is empty", "--stop takes the text at which a sample ends, such as --stop '\\n\\n'")
    return text.replace("\\n", "\n").replace("\\t", "\t")


def _read_template(path: Path) -> str:
    try:
        return file_text(path)
    except OSError as error:
        raise UsageError(f"cannot read the chat template {path}: {error.strerror}", "check --chat-template") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text in UTF-8", "check --chat-template") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line, the environment and the settings say, checked but not yet acted on."""

    questions: Annotated[
        list[str] | None, typer.Argument(metavar="QUESTION", help="Questions; - reads standard input.")
    ] = None
    file: Annotated[
        list[Path] | None, once(None, "FILE", "Questions: text, .jsonl, .csv, .parquet.", "--file", "-f")
    ] = None
    template: Annotated[
        str | None, once(None, "TEXT", 'Each question from a record\'s fields: "Is {name} in {country}?"', "--template")
    ] = None
    context: Annotated[
        list[Path] | None, once(None, "FILE", "What all questions are about; - reads a pipe.", "--context")
    ] = None
    limit: Annotated[int | None, once(None, "N", "Only the first N questions.", "--limit", min=1, max=INTEGER)] = None
    whole: Annotated[bool, once(None, None, "The whole input is one question.", "--whole")] = False
    profile: Annotated[
        str | None,
        setting(
            None,
            "NAME",
            "Settings by name: quick, careful or your own.",
            "--profile",
            is_eager=True,
            autocompletion=profile_names,
        ),
    ] = None

    model: Annotated[
        str | None,
        setting(MODEL, "NAME", "A GGUF file, or a model's name.", "--model", "-m", autocompletion=model_names),
    ] = None
    n_gpu_layers: Annotated[
        str, setting(MODEL, "N|auto", "Layers to put on the GPU.", "--n-gpu-layers", "-ngl", parse=parse_layers)
    ] = "auto"
    ctx_size: Annotated[
        int | None, setting(MODEL, "N", "Tokens one sample can hold, prompt included.", "--ctx-size", "-c", min=128)
    ] = None
    chat_template: Annotated[
        Path | None, setting(MODEL, "FILE", "A chat template in place of the model's own.", "--chat-template")
    ] = None
    threads: Annotated[
        int, setting(MODEL, "N", "CPU threads; 0: one for each core.", "--threads", "-t", min=0, max=THREADS)
    ] = 0
    parallel: Annotated[
        int | None,
        setting(MODEL, "N", "Samples side by side, or requests in flight.", "--parallel", "-np", min=1, max=256),
    ] = None
    main_gpu: Annotated[
        int, setting(MODEL, "N", "GPU for what is not split.", "--main-gpu", "-mg", min=0, max=INTEGER)
    ] = 0
    tensor_split: Annotated[
        str | None,
        setting(MODEL, "N,N,…", "Each GPU's share of the layers.", "--tensor-split", "-ts", parse=parse_floats),
    ] = None
    flash_attn: Annotated[
        str, setting(MODEL, "on|off|auto", "Flash attention.", "--flash-attn", "-fa", words=tuple(FLASH_ATTENTION))
    ] = "auto"
    cache_type_k: Annotated[
        str, setting(MODEL, "TYPE", "Type of the cached keys.", "--cache-type-k", "-ctk", words=tuple(CACHE_TYPES))
    ] = "f16"
    cache_type_v: Annotated[
        str, setting(MODEL, "TYPE", "Type of the cached values.", "--cache-type-v", "-ctv", words=tuple(CACHE_TYPES))
    ] = "f16"
    rpc: Annotated[str | None, setting(MODEL, "HOST:PORT,…", "llama.cpp RPC servers to put layers on.", "--rpc")] = None

    endpoint: Annotated[
        list[str] | None, setting(MODEL, "URL", "OpenAI-compatible server; may be repeated.", "--endpoint")
    ] = None
    served_model: Annotated[
        str | None, setting(MODEL, "NAME", "The server's model, where it has several.", "--served-model")
    ] = None
    stall_timeout: Annotated[
        float,
        setting(MODEL, "SECONDS", "Silence after which a request is given up.", "--stall-timeout", span=(0.1, 86400)),
    ] = 120.0

    budget: Annotated[
        str, setting(SPEND, "TOKENS", "12k in all, 2k/q a question.", "--budget", "-b", parse=parse_budget)
    ] = "2048/q"
    max_samples: Annotated[
        int | None, setting(SPEND, "N", "Most samples of one question.", "--max-samples", min=1, max=INTEGER)
    ] = None
    time_limit: Annotated[
        str | None, setting(SPEND, "TIME", "Stop after 90s or 5m, and answer.", "--time-limit", parse=parse_seconds)
    ] = None
    chain_share: Annotated[
        str, setting(SPEND, "auto|P", "Share of chains to begin with, from 0 to 1.", "--chain-share", parse=parse_share)
    ] = "auto"
    policy: Annotated[
        str,
        setting(
            SPEND, "NAME", "race, ucb, adaptive, early-stop or uniform.", "--policy", words=POLICIES, parse=check_policy
        ),
    ] = "race"
    confidence: Annotated[
        float,
        setting(SPEND, "P", "A question is settled when its leader is this sure.", "--confidence", span=(0.5, 1.0)),
    ] = 0.95
    exhaust: Annotated[
        bool, setting(SPEND, None, "Spend the whole budget, settled or not.", "--exhaust/--no-exhaust")
    ] = False

    max_tokens: Annotated[
        str, setting(SAMPLE, "TOKENS", "Most tokens of one sample.", "--max-tokens", "-n", parse=parse_tokens)
    ] = "1024"
    max_thinking: Annotated[
        str | None, setting(SAMPLE, "TOKENS", "Close a <think> that is longer.", "--max-thinking", parse=parse_tokens)
    ] = None
    temp: Annotated[float, setting(SAMPLE, "T", "Temperature; 0 is greedy.", "--temp", span=(0, 10))] = 0.8
    top_p: Annotated[float, setting(SAMPLE, "P", "Nucleus sampling; 1 is off.", "--top-p", span=(0, 1))] = 0.95
    top_k: Annotated[int, setting(SAMPLE, "N", "Only the likeliest tokens; 0: off.", "--top-k", min=0, max=INTEGER)] = (
        40
    )
    min_p: Annotated[
        float, setting(SAMPLE, "P", "Least part of the likeliest token; 0: off.", "--min-p", span=(0, 1))
    ] = 0.0
    stop: Annotated[list[str] | None, once(SAMPLE, "TEXT", "End a sample there; may be repeated.", "--stop")] = None
    think: Annotated[str, setting(SAMPLE, "LEVEL", "on, off, low, medium or high.", "--think", words=LEVELS)] = "auto"
    template_kwargs: Annotated[
        str | None,
        setting(SAMPLE, "JSON", "Variables of the chat template.", "--template-kwargs", parse=parse_variables),
    ] = None
    seed: Annotated[int, setting(SAMPLE, "N", "-1 is random; else fixes a run.", "--seed", "-s")] = 0
    mode: Annotated[
        str, setting(SAMPLE, "MODE", "hybrid, parallel, chain or sequential: kinds of samples.", "--mode", words=MODES)
    ] = "hybrid"
    layout: Annotated[
        str | None,
        setting(SAMPLE, "NAME", "How chains show samples: quoted, or turns (on a server).", "--layout", words=LAYOUTS),
    ] = None
    system: Annotated[str | None, setting(SAMPLE, "TEXT", "A system prompt.", "--system")] = None
    prompt_file: Annotated[Path | None, setting(SAMPLE, "FILE", "A TOML file of prompts.", "--prompt-file")] = None

    answer_type: Annotated[
        str,
        setting(
            OUTPUT,
            "TYPE",
            "auto, number, choice, boolean, math, text, long, json or regex:PATTERN.",
            "--answer-type",
            words=ANSWER_TYPES,
            parse=check_answer_type,
        ),
    ] = "auto"
    vote: Annotated[
        str, setting(OUTPUT, "NAME", "What a vote weighs: majority, length or confidence.", "--vote", words=VOTES)
    ] = "majority"
    abstain_below: Annotated[
        float, setting(OUTPUT, "P", "Give no answer that is less sure than this.", "--abstain-below", span=(0, 1))
    ] = 0.0

    json: Annotated[bool, once(OUTPUT, None, "One JSON object a question.", "--json")] = False
    unordered: Annotated[
        bool, once(OUTPUT, None, "Print answers as they settle, not in input order.", "--unordered")
    ] = False
    explain: Annotated[
        bool, setting(OUTPUT, None, "Tell why each question got its samples.", "--explain/--no-explain")
    ] = False
    show: Annotated[bool, once(OUTPUT, None, "Show the text as it is generated.", "--show")] = False
    export: Annotated[Path | None, once(OUTPUT, "FILE", "Write the samples as a pool for replay.", "--export")] = None
    journal: Annotated[
        bool, setting(OUTPUT, None, "Keep this run, to be shown and gone on with.", "--journal/--no-journal")
    ] = True
    quiet: Annotated[bool, setting(OUTPUT, None, "Nothing but answers and errors.", "--quiet/--no-quiet", "-q")] = False
    color: Annotated[bool, setting(OUTPUT, None, "Use colors; NO_COLOR turns them off, too.", "--color/--no-color")] = (
        True
    )

    sources: Mapping[str, str] = field(default_factory=dict)  # name of a field -> one of SOURCES
    loaded: LoadOptions | None = None  # as a run that is resumed had it

    def nearness(self, name: str) -> int:
        """How near to the command line a value was written: its place in SOURCES."""
        return SOURCES.index(self.sources.get(name, "DEFAULT"))

    def typed(self, name: str) -> bool:
        return self.sources.get(name) == "COMMANDLINE"

    def cap(self) -> Budget:
        return parse_budget(self.budget)

    def loading(self) -> LoadOptions:
        """What llama.cpp and the chat template are told. Raises UsageError for what they would refuse."""
        if self.loaded is not None:
            return self.loaded
        return LoadOptions(
            n_gpu_layers=parse_layers(self.n_gpu_layers),
            main_gpu=self.main_gpu,
            tensor_split=parse_floats(self.tensor_split, "--tensor-split") if self.tensor_split else (),
            flash_attn=self.flash_attn,
            cache_type_k=self.cache_type_k,
            cache_type_v=self.cache_type_v,
            threads=self.threads,
            rpc=tuple(part.strip() for part in self.rpc.split(",")) if self.rpc else (),
            think=self.think,  # type: ignore[arg-type]
            template_kwargs=parse_variables(self.template_kwargs or "{}"),
            chat_template=_read_template(self.chat_template) if self.chat_template else "",
            day=date.today().isoformat(),
        )

    def settings(self, budget: int, *, context: str = "", server: bool = False) -> "Settings":
        """What decides a run's outcome, for a budget in tokens. Raises UsageError for what cannot be read.

        `context` is the text that all questions are about.
        """
        from dynscale_cli.engine.protocol import Sampling
        from dynscale_cli.run.request import Settings
        from dynscale_cli.sampling.prompts import load_prompts

        return Settings(
            budget=budget,
            max_tokens=parse_tokens(self.max_tokens, "--max-tokens"),
            max_thinking=parse_tokens(self.max_thinking, "--max-thinking") if self.max_thinking else None,
            max_samples=self.max_samples,
            time_limit=parse_seconds(self.time_limit) if self.time_limit else None,
            chain_share=parse_share(self.chain_share),
            sampling=Sampling(self.temp, self.top_p, self.top_k, self.min_p, tuple(map(_unescaped, self.stop or ()))),
            policy=self.policy,
            confidence=self.confidence,
            exhaust=self.exhaust,
            mode=self.mode,  # type: ignore[arg-type]
            layout=self.layout or ("turns" if server else "quoted"),  # type: ignore[arg-type]
            prompts=replace(load_prompts(self.prompt_file, self.system), context=context),
            answer_type=self.answer_type,
            vote=self.vote,  # type: ignore[arg-type]
            abstain_below=self.abstain_below,
            seed=self.seed,
            stream=self.show,
        )


def notice(options: Options) -> Callable[[str], None]:
    """What says a line on standard error, unless it is to be quiet."""

    def tell(text: str) -> None:
        if not options.quiet:
            say(f"dynscale: {text}")

    return tell


def _all_help(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.meta[ALL] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


HelpAll = Annotated[bool, typer.Option("--help-all", is_eager=True, callback=_all_help, help="Show all flags.")]
FLAGS: Final = tuple(each for each in fields(Options) if each.name not in ("sources", "loaded"))


def takes(*names: str, **defaults: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command these flags behind its own, all of them without a name; it receives them as one `Options`.

    `defaults` are those that differ in this command.
    """
    chosen = [each for each in FLAGS if not names or each.name in names]

    def give(command: Callable[..., int]) -> Callable[..., int]:
        def run(ctx: typer.Context, **told: Any) -> int:
            shared = {each.name: told.pop(each.name) for each in chosen}
            options = Options(**shared, sources={name: source(ctx, name) for name in shared})
            if not options.quiet:
                _tell_unknown(ctx)
            return command(options, **told)

        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        own.insert(0, inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        parameters += [_parameter(each.name, each.type, defaults.get(each.name, each.default)) for each in chosen]
        parameters.sort(key=lambda each: each.name == "help_all")  # the last one
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return give


def _parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _tell_unknown(ctx: typer.Context) -> None:
    """Name variables that look like settings and are none: DYNSCALE_TOPK for DYNSCALE_TOP_K."""
    if not any(name.startswith(PREFIX) for name in os.environ):
        return
    from dynscale_cli.settings import unknown_variables

    for name, meant in unknown_variables(keys(ctx.find_root().command), os.environ):
        say(f"dynscale: {name} is no setting" + (f"; {meant} is" if meant else ""))
