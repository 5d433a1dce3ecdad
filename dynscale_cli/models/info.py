"""What is said of models: a line each for `models list`, all of one for `models show`, and whether a run of it fits.

Owns the records that become lines and JSON, whose schema only grows. A damaged file is a line like any other. What is
no model that answers (encoders, vision towers, adapters) is told apart here, by what its file says.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dynscale_cli.errors import ModelError, UsageError
from dynscale_cli.models import resolve, stores
from dynscale_cli.models.gguf import ASIDE, ENCODERS, UNUSUAL, GGUFHeader, read_header, reading
from dynscale_cli.models.names import Aliases, load_aliases, quant, siblings
from dynscale_cli.models.stores import SOURCES, LocalModel

ROUND = 256  # llama.cpp rounds a sequence's share of the cache up to this many tokens
THINKING_TOKENS, THINKING_SAMPLES = 8192, 4  # what a model that thinks gets for a sample, and for a question
NO: Final = "no"
PROMPT = 256  # tokens of a short question, and of asking for its answer
TYPICAL = 1024 + PROMPT  # tokens of a sample by default


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the list. A damaged file has a `problem`, and only what its name and size say."""

    name: str
    architecture: str
    parameters: int
    quantisation: str
    context: int  # tokens it was trained with
    size: int  # bytes on disk, all parts
    source: str
    path: str
    default: bool
    aliases: tuple[str, ...]
    other_names: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """`aside` names what is on disk and does not answer; `unreadable` are places that may not be looked into.

    `trouble`: what is wrong with the file of aliases, without which the list is made then.
    """

    models: tuple[Listed, ...]
    aside: tuple[str, ...]
    interrupted: tuple[stores.Interrupted, ...]
    unreadable: tuple[Path, ...]
    trouble: str = ""


def listing(environ: Mapping[str, str] = os.environ) -> Listing:
    """Every model on this machine that could be asked, and every damaged file that should be one."""
    chosen, trouble = _chosen(environ)
    models, aside = [], []
    entries = resolve.entries(stores.scan(environ))
    default = _default(environ, chosen, entries)
    for entry in entries:
        header, problem = _read(entry.model)
        if header is None and not problem:
            aside.append(entry.name)
        else:
            models.append(_line(entry, header, problem, chosen, entry is default))
    interrupted = tuple(stores.interrupted(stores.hub_cache(environ)))
    return Listing(tuple(models), tuple(aside), interrupted, tuple(stores.unreadable(environ)), trouble)


def _chosen(environ: Mapping[str, str]) -> tuple[Aliases, str]:
    """The user's aliases and default; none, and why, where their file is damaged: it does not break a list."""
    try:
        return load_aliases(environ), ""
    except UsageError as error:
        return Aliases(), f"without aliases and default: {error.message}; {error.hint}"


def _read(found: LocalModel) -> tuple[GGUFHeader | None, str]:
    """The header, or what is wrong; neither for what is no model that answers."""
    if not found.path.exists():
        return None, "the file is gone; only its name is left"
    try:
        header = read_header(found.path)
    except ModelError as error:
        return None, "" if _is_aside(found.path) else error.message.removeprefix(f"{found.path}: ")
    return (header, "") if header.generates else (None, "")


def _is_aside(path: Path) -> bool:
    """Whether a file that is no sound model says that it was never meant to be one."""
    try:
        with reading(path) as container:
            kind, architecture = (container.values.get(f"general.{key}") for key in ("type", "architecture"))
            return kind in ASIDE or architecture in ENCODERS | UNUSUAL | ASIDE
    except ModelError:
        return False


def _line(entry: resolve.NamedModel, header: GGUFHeader | None, problem: str, chosen: Aliases, default: bool) -> Listed:
    names = {entry.name, *(one.full_name for one in (entry.model, *entry.others)), str(entry.model.path)}
    return Listed(
        name=entry.name,
        architecture=header.architecture if header else "",
        parameters=header.parameters if header else 0,
        quantisation=header.quantisation if header else quant(entry.model.path.as_posix()),
        context=header.context_length if header else 0,
        size=header.size if header else _size(entry.model.path),
        source=SOURCES[entry.model.source],
        path=str(entry.model.path),
        default=default,
        aliases=tuple(sorted(alias for alias, target in chosen.targets.items() if target in names)),
        other_names=tuple(one.name if one.name != entry.model.name else one.full_name for one in entry.others),
        problem=problem,
    )


def _default(
    environ: Mapping[str, str], chosen: Aliases, entries: Sequence[resolve.NamedModel]
) -> resolve.NamedModel | None:
    """The model that `ask` takes without -m."""
    try:
        path = resolve.resolve(None, environ)
    except (ModelError, UsageError):
        return None
    return next((entry for entry in entries if _same(path, (entry.model, *entry.others))), None)


def _same(path: Path, founds: Iterable[LocalModel]) -> bool:
    return any(found.path == path or (found.path.exists() and found.path.samefile(path)) for found in founds)


def _size(path: Path) -> int:
    try:
        parts = siblings(path)
    except ModelError:
        parts = [path]
    return sum(part.stat().st_size for part in parts if part.exists())


@dataclass(frozen=True, slots=True)
class Fit:
    """Bytes that a run takes, and whether they are there. `free` is None where nothing is known of this machine."""

    width: int
    context: int  # tokens of one sequence
    weights: int
    cache: int  # at most: layers with a sliding window keep less
    free: int | None
    widest: int | None  # the widest run that fits, up to the one asked for

    @property
    def fits(self) -> bool | None:
        return None if self.free is None else self.weights + self.cache <= self.free


def fit(header: GGUFHeader, width: int, context: int, key_bytes: float, value_bytes: float, free: int | None) -> Fit:
    """What `width` samples of `context` tokens take beside the weights, with cache elements of these sizes."""
    context = min(context, header.context_length)
    one = -(-context // ROUND) * ROUND * header.kv_bytes(key_bytes, value_bytes)
    left = None if free is None else free - header.size
    widest = None if left is None else max(0, min(width, left // one if one else width)) if left > 0 else 0
    return Fit(width, context, header.size, width * one, free, widest)


def thinks(template: str | None, opening: str = "") -> str:
    """Whether a model thinks before it answers, by its chat template or else by `opening`, and what switches it."""
    if not template:
        return NO
    from dynscale_cli.engine.template import ChatTemplate

    try:
        laid_out = ChatTemplate(template, "", "", opening=opening)
        off = ChatTemplate(template, "", "", think="off", opening=opening)
    except ModelError:
        return "unknown: its chat template cannot be read"
    if not laid_out.reasoning.thinks:
        return NO
    if off.thinking.closed:
        return "yes, always"
    switch = ", ".join(off.thinking.variables) or off.thinking.system
    return f"{'yes' if laid_out.thinking.on else 'no'} (--think sets {switch} in its template)"


def usual(thinking: bool, width: int) -> tuple[int, int]:
    """Samples side by side for a question, of at most `width`, and tokens of each where nobody chooses."""
    return (min(width, THINKING_SAMPLES), THINKING_TOKENS + PROMPT) if thinking else (width, TYPICAL)


def recommended(sampling: Mapping[str, float], *, thinking: bool) -> dict[str, Any]:
    """The settings that suit a model, by the names of the flags: what its file recommends, and room to think."""
    told: dict[str, Any] = {**sampling}
    if "top_k" in told:
        told["top_k"] = int(told["top_k"])
    if thinking:
        told |= {"max_tokens": str(THINKING_TOKENS), "budget": f"{(THINKING_TOKENS + PROMPT) * THINKING_SAMPLES}/q"}
    return told


@dataclass(frozen=True, slots=True)
class Shown:
    """Sizes in bytes, lengths in tokens. `fits` and `free` are None where the memory is not known."""

    path: str
    title: str
    architecture: str
    parameters: int
    quantisation: str
    size: int
    parts: int
    layers: int
    experts: int
    experts_used: int
    context_length: int
    sliding_window: int | None
    vocabulary: int
    tokenizer: str
    chat_template: bool
    thinks: str
    recurrent: bool
    recommended: Mapping[str, Any]  # settings that suit it, where they are not the usual ones
    width: int
    context: int
    kv_cache: int
    free: int | None
    fits: bool | None
    widest: int | None
    here: str  # what is known of it with this build of llama.cpp on this machine


_OF_THE_HEADER: Final = (
    "architecture", "parameters", "quantisation", "size", "experts", "experts_used", "context_length",
    "sliding_window", "vocabulary", "tokenizer", "recurrent",
)  # fmt: skip


def show(header: GGUFHeader, needs: Fit, here: str, thinking: str) -> Shown:
    return Shown(
        path=str(header.path),
        title=header.name,
        parts=header.split_count,
        layers=header.block_count,
        chat_template=header.chat_template is not None,
        thinks=thinking,
        recommended=recommended(header.sampling, thinking=thinking.startswith("yes")),
        kv_cache=needs.cache,
        here=here,
        **{name: getattr(header, name) for name in _OF_THE_HEADER},
        **{name: getattr(needs, name) for name in ("width", "context", "free", "fits", "widest")},
    )
