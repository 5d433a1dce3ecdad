"""What a run can be told: `Options`, one field for each flag of `ask`, which `bench` and `runs resume` share.

A new flag is two edits: its field here, and the place that uses it (`Options.settings` for what a run decides by,
`Options.loading` for what llama.cpp is told, `session` for the rest); a flag of one command is a field of its own kind
of `Options`. How a flag is declared is `parser`'s business.

Owns spelling, ranges, help and defaults. Knows nothing of what a flag does.
"""

# ruff: noqa: RUF009  what is called for a default is dataclasses.field
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


def declared(default: Any, option: Any) -> Any:
    return field(default=default, metadata={"option": option})


def of_one_run(default: Any, panel: str | None, metavar: str | None, help: str, *short: str, **more: Any) -> Any:
    """A field that is a flag of one run; its name is the field's, see `takes`."""
    return declared(default, lambda name: once(panel, metavar, help, name, *short, **more))


def flag(default: Any, panel: str | None, metavar: str | None, help: str, *short: str, **more: Any) -> Any:
    """A field that is a setting, too; one that can be on can be turned off again."""

    def option(name: str) -> Any:
        names = f"{name}/--no-{name[2:]}" if isinstance(default, bool) else name
        return setting(panel, metavar, help, names, *short, **more)

    return declared(default, option)


def _all_help(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.meta[ALL] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


# Nobody compares or prints options, and the methods for it would be compiled at each start.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Options:
    """What the command line, the environment and the settings say, checked but not yet acted on."""

    questions: list[str] | None = declared(
        None, typer.Argument(metavar="QUESTION", help="Questions; - reads standard input.")
    )
    file: list[Path] | None = of_one_run(None, None, "FILE", "Questions: text, .jsonl, .csv, .parquet.", "-f")
    template: str | None = of_one_run(
        None, None, "TEXT", 'Each question from a record\'s fields: "Is {name} in {country}?"'
    )
    context: list[Path] | None = of_one_run(None, None, "FILE", "What all questions are about; - reads a pipe.")
    limit: int | None = of_one_run(None, None, "N", "Only the first N questions.", min=1, max=INTEGER)
    whole: bool = of_one_run(False, None, None, "The whole input is one question.")
    profile: str | None = flag(
        None, None, "NAME", "Settings by name: quick, careful or your own.", is_eager=True, autocompletion=profile_names
    )

    model: str | None = flag(None, MODEL, "NAME", "A GGUF file, or a model's name.", "-m", autocompletion=model_names)
    n_gpu_layers: str = flag("auto", MODEL, "N|auto", "Layers to put on the GPU.", "-ngl", parse=parse_layers)
    ctx_size: int | None = flag(None, MODEL, "N", "Tokens one sample can hold, prompt included.", "-c", min=128)
    chat_template: Path | None = flag(None, MODEL, "FILE", "A chat template in place of the model's own.")
    threads: int = flag(0, MODEL, "N", "CPU threads; 0: one for each core.", "-t", min=0, max=THREADS)
    parallel: int | None = flag(None, MODEL, "N", "Samples side by side, or requests in flight.", "-np", min=1, max=256)
    main_gpu: int = flag(0, MODEL, "N", "GPU for what is not split.", "-mg", min=0, max=INTEGER)
    tensor_split: str | None = flag(None, MODEL, "N,N,…", "Each GPU's share of the layers.", "-ts", parse=parse_floats)
    flash_attn: str = flag("auto", MODEL, "on|off|auto", "Flash attention.", "-fa", words=tuple(FLASH_ATTENTION))
    cache_type_k: str = flag("f16", MODEL, "TYPE", "Type of the cached keys.", "-ctk", words=tuple(CACHE_TYPES))
    cache_type_v: str = flag("f16", MODEL, "TYPE", "Type of the cached values.", "-ctv", words=tuple(CACHE_TYPES))
    rpc: str | None = flag(None, MODEL, "HOST:PORT,…", "llama.cpp RPC servers to put layers on.")

    endpoint: list[str] | None = flag(None, MODEL, "URL", "OpenAI-compatible server; may be repeated.")
    served_model: str | None = flag(None, MODEL, "NAME", "The server's model, where it has several.")
    stall_timeout: float = flag(
        120.0, MODEL, "SECONDS", "Silence after which a request is given up.", span=(0.1, 86400)
    )

    budget: str = flag("2048/q", SPEND, "TOKENS", "12k in all, 2k/q a question.", "-b", parse=parse_budget)
    max_samples: int | None = flag(None, SPEND, "N", "Most samples of one question.", min=1, max=INTEGER)
    time_limit: str | None = flag(None, SPEND, "TIME", "Stop after 90s or 5m, and answer.", parse=parse_seconds)
    chain_share: str = flag("auto", SPEND, "auto|P", "Share of chains to begin with, from 0 to 1.", parse=parse_share)
    policy: str = flag(
        "race", SPEND, "NAME", "race, ucb, adaptive, early-stop or uniform.", words=POLICIES, parse=check_policy
    )
    confidence: float = flag(0.95, SPEND, "P", "A question is settled when its leader is this sure.", span=(0.5, 1.0))
    exhaust: bool = flag(False, SPEND, None, "Spend the whole budget, settled or not.")

    max_tokens: str = flag("1024", SAMPLE, "TOKENS", "Most tokens of one sample.", "-n", parse=parse_tokens)
    max_thinking: str | None = flag(None, SAMPLE, "TOKENS", "Close a <think> that is longer.", parse=parse_tokens)
    temp: float = flag(0.8, SAMPLE, "T", "Temperature; 0 is greedy.", span=(0, 10))
    top_p: float = flag(0.95, SAMPLE, "P", "Nucleus sampling; 1 is off.", span=(0, 1))
    top_k: int = flag(40, SAMPLE, "N", "Only the likeliest tokens; 0: off.", min=0, max=INTEGER)
    min_p: float = flag(0.0, SAMPLE, "P", "Least part of the likeliest token; 0: off.", span=(0, 1))
    stop: list[str] | None = of_one_run(None, SAMPLE, "TEXT", "End a sample there; may be repeated.")
    think: str = flag("auto", SAMPLE, "LEVEL", "on, off, low, medium or high.", words=LEVELS)
    template_kwargs: str | None = flag(None, SAMPLE, "JSON", "Variables of the chat template.", parse=parse_variables)
    seed: int = flag(0, SAMPLE, "N", "-1 is random; else fixes a run.", "-s")
    mode: str = flag("hybrid", SAMPLE, "MODE", "hybrid, parallel, chain or sequential: kinds of samples.", words=MODES)
    layout: str | None = flag(
        None, SAMPLE, "NAME", "How chains show samples: quoted, or turns (on a server).", words=LAYOUTS
    )
    system: str | None = flag(None, SAMPLE, "TEXT", "A system prompt.")
    prompt_file: Path | None = flag(None, SAMPLE, "FILE", "A TOML file of prompts.")

    answer_type: str = flag(
        "auto",
        OUTPUT,
        "TYPE",
        "auto, number, choice, boolean, math, text, long, json or regex:PATTERN.",
        words=ANSWER_TYPES,
        parse=check_answer_type,
    )
    vote: str = flag("majority", OUTPUT, "NAME", "What a vote weighs: majority, length or confidence.", words=VOTES)
    abstain_below: float = flag(0.0, OUTPUT, "P", "Give no answer that is less sure than this.", span=(0, 1))

    json: bool = of_one_run(False, OUTPUT, None, "One JSON object a question.")
    unordered: bool = of_one_run(False, OUTPUT, None, "Print answers as they settle, not in input order.")
    explain: bool = flag(False, OUTPUT, None, "Tell why each question got its samples.")
    show: bool = of_one_run(False, OUTPUT, None, "Show the text as it is generated.")
    export: Path | None = of_one_run(None, OUTPUT, "FILE", "Write the samples as a pool for replay.")
    journal: bool = flag(True, OUTPUT, None, "Keep this run, to be shown and gone on with.")
    quiet: bool = flag(False, OUTPUT, None, "Nothing but answers and errors.", "-q")
    color: bool = flag(True, OUTPUT, None, "Use colors; NO_COLOR turns them off, too.")
    help_all: bool = declared(
        False, typer.Option("--help-all", is_eager=True, callback=_all_help, help="Show all flags.")
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


def takes(shared: str = "", **defaults: Any) -> Callable[[Callable[[Any], int]], Callable[..., int]]:
    """Give a command its flags: those of its own kind of `Options`, then these of `Options`, or all of them.

    The command receives them as one object. `defaults` are those that differ in this command.
    """

    def give(command: Callable[[Any], int]) -> Callable[..., int]:
        kind = inspect.signature(command, eval_str=True).parameters["options"].annotation
        flags, every, wanted = fields(kind), fields(Options), shared.split()
        chosen = [each for each in flags if each not in every]
        chosen += [each for each in every if "option" in each.metadata and each.name in (wanted or each.name)]

        def run(ctx: typer.Context, **told: Any) -> int:
            options = kind(**told, sources={name: source(ctx, name) for name in told})
            if not options.quiet:
                _tell_unknown(ctx)
            return command(options)

        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        parameters = [_parameter(each, defaults.get(each.name, each.default)) for each in chosen]
        run.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
        run.__annotations__ = {}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return give


def _parameter(each: Any, default: Any) -> inspect.Parameter:
    """A field as typer reads it: its flag is named like the field."""
    option = each.metadata["option"]
    option = option(f"--{each.name.replace('_', '-')}") if callable(option) else option
    kind = Annotated[each.type, option]
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _tell_unknown(ctx: typer.Context) -> None:
    """Name variables that look like settings and are none: DYNSCALE_TOPK for DYNSCALE_TOP_K."""
    if not any(name.startswith(PREFIX) for name in os.environ):
        return
    from dynscale_cli.settings import unknown_variables

    for name, meant in unknown_variables(keys(ctx.find_root().command), os.environ):
        say(f"dynscale: {name} is no setting" + (f"; {meant} is" if meant else ""))
