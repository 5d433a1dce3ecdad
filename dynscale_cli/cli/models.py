"""`dynscale models`: what is on this machine, what to call it, and how to get more. Parses and prints.

Lists, paths and facts go to standard output, everything else to standard error.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dynscale_cli.display.text import hand_out, say
from dynscale_cli.errors import UsageError

from .help import model_names
from .parser import once

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import DataclassInstance

EXAMPLES = """
dynscale models list
dynscale models pull ggml-org/gemma-3-4b-it-GGUF
dynscale models alias gemma ggml-org/gemma-3-4b-it-GGUF
dynscale models default gemma
"""


app = typer.Typer(
    help="Find, download, name and inspect models.",
    no_args_is_help=True,
    epilog=EXAMPLES,
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
NAMED = typer.Argument(metavar="NAME", help="A file, or a model's name.", autocompletion=model_names)
Name = Annotated[str, NAMED]


@app.command("list")
def list_models(json_output: Json = False) -> None:
    """List the models on this machine, of whichever program.

    Looks through the bundled package, the caches of Hugging Face and llama.cpp, LM Studio's folders, Ollama's store and
    the folders in DYNSCALE_MODELS_FOLDERS. Nothing is copied. The first column is what -m takes.
    """
    from dynscale_cli.display.listings import closing_lines, list_lines
    from dynscale_cli.models.info import listing

    found = listing()
    if json_output:
        _print_json(found.models)
    elif found.models:
        cells = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print("\n".join(list_lines(found.models, cells)))
    for line in closing_lines(found):
        say(line)


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(metavar="OWNER/REPO[:QUANT]", help="A repository on huggingface.co.")],
) -> None:
    """Download a model from the Hugging Face hub into its cache.

    Takes Q4_K_M, or else the nearest to it, unless a quantisation is named. An interrupted download goes on where it
    stopped. HF_TOKEN opens gated repositories. Prints the path of the file.
    """
    from dynscale_cli.display.listings import Download
    from dynscale_cli.models.names import in_bytes
    from dynscale_cli.models.pull import parse, pull

    wanted = parse(name)
    with Download() as download:
        pulled = pull(wanted, download)
    hand_out(str(pulled.path))
    say(f"{pulled.name}: {in_bytes(pulled.fetched)} fetched, checked" if pulled.fetched else f"{pulled.name}: is here")
    say(f'  try: dynscale ask -m {pulled.name} "What is 3 + 4?"')
    say(f"  for all that you ask: dynscale models default {pulled.name}")


@app.command("alias")
def alias_model(
    alias: Annotated[str | None, typer.Argument(metavar="ALIAS", help="A short name of your own.")] = None,
    target: Annotated[
        str | None,
        typer.Argument(metavar="TARGET", help="The model that it means: a file or a name.", autocompletion=model_names),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Forget this alias.")] = False,
) -> None:
    """Give a model a name of your own, or list those you gave.

    An alias comes before models of the same name, and before a file of that name in the working directory, which is
    then ./NAME.
    """
    from dynscale_cli.models.names import alias_target, load_aliases
    from dynscale_cli.models.resolve import forget, remember

    if alias is None:
        aliases = load_aliases().targets
        for name, means in sorted(aliases.items()):
            hand_out(f"{name}\t{means}")
        if not aliases and sys.stdout.isatty():
            say("no aliases yet: dynscale models alias ALIAS MODEL gives one")
    elif remove:
        forget(alias)
    elif target is None:
        hand_out(alias_target(alias))
    else:
        say(f"{alias} is {remember(alias, target)}")


@app.command("default")
def default_model(
    name: Annotated[str | None, NAMED] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Go back to the bundled model.")] = False,
) -> None:
    """Set the model that is taken without -m, or print its file.

    First counts -m, then DYNSCALE_MODEL, then the settings file, then this default, then the bundled model.
    """
    from dynscale_cli.models.resolve import resolve, set_default

    if name is None and not remove:
        hand_out(str(resolve(None)))
        return
    if name is not None and remove:
        raise UsageError("--remove takes no name", "dynscale models default --remove")
    chosen = set_default(name)
    say(f"the default is {chosen}" if chosen else "the default is the bundled model again")


@app.command("show")
def show_model(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A file, or a model's name; else the default.", autocompletion=model_names),
    ] = None,
    parallel: Annotated[
        int | None, once(None, "N", "Samples side by side.", "--parallel", "-np", min=1, max=256)
    ] = None,
    ctx_size: Annotated[int | None, once(None, "N", "Tokens of one sample.", "--ctx-size", "-c", min=128)] = None,
    cache_type_k: Annotated[str, once(None, "TYPE", "Type of the cached keys.", "--cache-type-k", "-ctk")] = "f16",
    cache_type_v: Annotated[str, once(None, "TYPE", "Type of the cached values.", "--cache-type-v", "-ctv")] = "f16",
    json_output: Json = False,
) -> None:
    """Tell what a model is, what a run of it takes, and whether that fits in memory."""
    from dynscale_cli.display.listings import show_lines
    from dynscale_cli.engine.options import CACHE_BYTES, CPU_WIDTH, LoadOptions, available
    from dynscale_cli.engine.reasoning import opening_by_name
    from dynscale_cli.engine.trial import standing
    from dynscale_cli.models.gguf import read_header
    from dynscale_cli.models.info import fit, show, thinks, usual
    from dynscale_cli.models.resolve import resolve

    options = LoadOptions(cache_type_k=cache_type_k, cache_type_v=cache_type_v)  # raises for types that there are not
    header = read_header(resolve(name))
    sizes = CACHE_BYTES[cache_type_k], CACHE_BYTES[cache_type_v]
    thinking = thinks(header.chat_template, opening_by_name(header.names, header.thought_tokens))
    width, tokens = usual(thinking.startswith("yes"), CPU_WIDTH)
    needs = fit(header, parallel or width, ctx_size or tokens, *sizes, available())
    shown = show(header, needs, standing(header, options), thinking)
    if json_output:
        _print_json([shown])
    else:
        print("\n".join(show_lines(name or header.path.stem, header, needs, shown)))


@app.command("rm")
def remove_model(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a model from the Hugging Face cache.

    Other programs' models are theirs to delete: it names their command.
    """
    from dynscale_cli.models.names import in_bytes
    from dynscale_cli.models.resolve import left_behind, local_model
    from dynscale_cli.models.stores import plan_removal, remove

    found = local_model(name)
    removal = plan_removal(found)
    if not yes:
        _confirm(f"delete {removal.name}, {in_bytes(removal.size)}?", name)
    remove(removal)
    say(f"deleted {removal.name}: {in_bytes(removal.size)} are free again")
    for command in left_behind(found):
        say(f"  what meant it is left; to forget it: {command}")


def _confirm(question: str, name: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "rm asks before it deletes, and standard input is no terminal", f"dynscale models rm --yes {name}"
        )
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def _print_json(objects: Iterable[DataclassInstance]) -> None:
    import json
    from dataclasses import asdict

    for one in objects:
        print(json.dumps(asdict(one)))
