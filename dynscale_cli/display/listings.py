"""What is listed and shown of models and of earlier runs: columns as wide as the window, JSON where it is asked for.

Whatever a run or a model's file says may come from somebody else: nothing of it reaches a terminal raw. A download is a
bar, and outside a terminal a line for each tenth. Knows nothing of where models are or how runs are stored.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dynscale_cli.display.answers import race, stopped
from dynscale_cli.display.text import columns, count, fitted, harmless, plain, plain_lines, short, width
from dynscale_cli.models.names import in_bytes, in_parameters

if TYPE_CHECKING:
    from dynscale_cli.models.gguf import GGUFHeader
    from dynscale_cli.models.info import Fit, Listed, Listing, Shown
    from dynscale_cli.run.stored import StoredRun, Summary
    from dynscale_cli.sampling.samples import Sample

# --- models -------------------------------------------------------------------------------------------------------

HEAD = ("name", "architecture", "parameters", "quant", "context", "size", "where", "")
LEAST_TELLING = (1, 4)


def list_lines(models: Sequence[Listed], cells: int | None = None) -> list[str]:
    """A line for each model under a head. Names come first and whole, so that they can be copied and cut.

    In a window of `cells` that is too narrow, what `models show` tells as well is left out.
    """
    table = [HEAD, *map(_model_row, models)]
    lines = columns(table, right=(2, 4, 5))
    if cells is None or max(map(width, lines)) <= cells:
        return lines
    return columns(
        [[cell for place, cell in enumerate(row) if place not in LEAST_TELLING] for row in table], right=(1, 3)
    )


def closing_lines(listing: Listing) -> list[str]:
    """What the list leaves out, and what can be done where it is empty."""
    lines = []
    if not listing.models:
        lines.append("no models on this machine; a good small one: dynscale models pull ggml-org/gemma-3-4b-it-GGUF")
    if listing.aside:
        lines.append(f"not listed, since they do not answer questions: {', '.join(map(plain, listing.aside))}")
    for left in listing.interrupted:
        rest = f"to go on: dynscale models pull {left.repo}; to forget it: {shlex.join(['rm', *map(str, left.files)])}"
        lines.append(f"interrupted: {plain(left.repo)}, of which {in_bytes(left.size)} are here; {plain(rest)}")
    lines += [f"not looked into, for want of permission: {plain(str(place))}" for place in listing.unreadable]
    if listing.trouble:
        lines.append(f"dynscale: {plain(listing.trouble)}")
    return lines


def show_lines(name: str, header: GGUFHeader, needs: Fit, shown: Shown) -> list[str]:
    """What a model is and what a run of it takes."""
    experts = f", {header.experts_used} of {header.experts} experts at a time" if header.experts else ""
    window = f", {header.sliding_window:,} of them in layers with a sliding window" if header.sliding_window else ""
    facts = [
        ("name", name),
        ("title", header.name),
        ("file", str(header.path)),
        ("size", in_bytes(header.size) + (f" in {header.split_count} parts" if header.split_count > 1 else "")),
        ("architecture", f"{header.architecture}, {count(header.block_count, 'layer')}{experts}"),
        ("parameters", in_parameters(header.parameters)),
        ("quantisation", header.quantisation),
        ("trained context", f"{header.context_length:,} tokens{window}"),
        (
            "chat template",
            "yes" if header.chat_template else "no: a base model, asked by plain question and answer lines",
        ),
        ("thinks", shown.thinks),
        ("settings", settings(shown.recommended)),
        ("KV cache", _cache(header, needs)),
        ("memory", _memory(needs)),
        ("llama.cpp", shown.here),
    ]
    return columns([(f"{label}:", plain(value)) for label, value in facts])


def settings(recommended: Mapping[str, Any]) -> str:
    """Settings that suit a model, as flags."""
    flags = [f"--{name.replace('_', '-')} {value}" for name, value in recommended.items()]
    return " ".join(flags) or "the usual ones"


def _cache(header: GGUFHeader, needs: Fit) -> str:
    bound = "at most " if header.sliding_window else ""
    state = ", and a state of fixed size in recurrent layers" if header.recurrent else ""
    size = f"{count(needs.width, 'sample')} of {needs.context:,} tokens (-np {needs.width} -c {needs.context})"
    return f"{bound}{in_bytes(needs.cache)} for {size}{state}"


def _memory(needs: Fit) -> str:
    total = f"{in_bytes(needs.weights)} of weights and {in_bytes(needs.cache)} of cache"
    if needs.free is None:
        return f"{total}; how much is free is not known on this system"
    free = f"{total}, and {in_bytes(needs.free)} are free"
    if needs.fits:
        return f"fits: {free}"
    return f"does not fit: {free}" + (f"; -np {needs.widest} fits" if needs.widest else "")


def _model_row(model: Listed) -> tuple[str, ...]:
    notes = ["default"] if model.default else []
    notes += [f"alias {alias}" for alias in model.aliases]
    notes += [f"also {plain(name)}" for name in model.other_names]
    if model.problem:
        notes.append(f"damaged: {plain(model.problem)}")
    return (
        plain(model.name),
        plain(model.architecture) or "-",
        in_parameters(model.parameters) if model.parameters else "-",
        plain(model.quantisation) or "-",
        f"{model.context:,}" if model.context else "-",
        in_bytes(model.size),
        model.source,
        ", ".join(notes),
    )


class Download:
    """Shows one download, as `models.pull` tells it. Use as a context manager."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        from dynscale_cli.display.live import Bar

        console = Console(stderr=True)
        parts = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._bar = Bar(TextColumn("{task.description}"), *parts, console=console)
        self._live = console.is_terminal
        self._task = self._bar.add_task("", visible=False)
        self._size = 0
        self._tenths = 0

    def __enter__(self) -> Download:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._bar.stop()

    def starts(self, name: str, size: int, have: int) -> None:
        self._size = size
        if have < size:
            self.says(f"{name}: {in_bytes(size)}" + (f", of which {in_bytes(have)} are here" if have else ""))
        self._bar.moves(self._task, total=size, completed=have, visible=have < size)

    def has(self, count: int) -> None:
        self._bar.moves(self._task, completed=count)
        tenths = 10 * count // self._size if self._size else 10
        if not self._live and self._tenths < tenths < 10:
            self.says(f"{tenths}0%")
        self._tenths = tenths

    def says(self, text: str) -> None:
        if self._live:
            self._bar.console.print(plain(text), markup=False, highlight=False)
            return
        with contextlib.suppress(OSError, ValueError):
            print(plain(text), file=sys.stderr, flush=True)


# --- runs ---------------------------------------------------------------------------------------------------------

LIST = ("run", "state", "begun", "done", "tokens", "budget", "model", "questions")
RESULTS = ("question", "answer", "votes", "samples", "tokens", "stopped")
NUMBERS = frozenset({"done", "tokens", "budget", "votes", "samples"})
CUTTABLE = frozenset({"model", "question", "questions", "answer"})
DISPENSABLE = ("budget", "model")  # in a narrow window, for `runs show` tells them, too
ROOMY = 100  # columns from which on nothing is left out
COLORS = {"running": 36, "finished": 32, "interrupted": 33, "killed": 33, "damaged": 31}
GOES_ON = ("interrupted", "killed", "failed")


def print_list(found: Sequence[Summary], *, as_json: bool = False) -> None:
    if as_json:
        for run in found:
            _print_json(asdict(run))
    elif found:
        cells = shutil.get_terminal_size().columns
        shown = [place for place, name in enumerate(LIST) if cells >= ROOMY or name not in DISPENSABLE]
        rows = [[row[place] for place in shown] for row in map(_run_row, found)]
        head, *lines = fitted([LIST[place] for place in shown], rows, cells, NUMBERS, CUTTABLE)
        print("\n".join([head, *map(_colored, lines, found)]))
    elif sys.stdout.isatty():
        print('no runs yet: dynscale ask "What is 3 + 4?" begins one')


def _colored(line: str, run: Summary) -> str:
    color = COLORS.get(run.state)
    if color is None or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return line
    return line.replace(run.state, f"\x1b[{color}m{run.state}\x1b[0m", 1)


def _run_row(run: Summary) -> tuple[str, ...]:
    if run.state in ("damaged", "newer"):
        return (run.id, run.state, *["-"] * (len(LIST) - 2))
    return (
        run.id, run.state, _local(run.started, short=True), f"{run.answered:,}/{run.questions:,}", f"{run.spent:,}",
        f"{run.budget:,}", run.model, _questions(run),
    )  # fmt: skip


def _questions(run: Summary) -> str:
    """What was asked: the first question, and how many more there are, or from which file they are."""
    more = f" + {run.questions - 1:,}" if run.questions > 1 else ""
    source = f"{run.source}: " if run.source else ""
    return f"{source}{run.question}{more}"


def print_run(stored: StoredRun, *, samples: bool = False, as_json: bool = False) -> None:
    """What was asked and what came of it, then a line for each question that has a result; or all that was drawn."""
    if as_json:
        _print_json(_described(stored, samples))
        return
    for name, value in _facts(stored):
        print(f"{name:<10} {value}")
    if samples:
        _print_samples(stored)
    elif stored.results:
        rows = [
            (each.question, "no answer" if each.answer is None else each.answer, race(each), str(each.samples),
             f"{each.tokens.billed:,}", stopped(each))
            for _, each in sorted(stored.results.items())
        ]  # fmt: skip
        cells = shutil.get_terminal_size().columns
        print("\n".join(["", *fitted(RESULTS, rows, cells, NUMBERS, CUTTABLE)]))


def _print_samples(stored: StoredRun) -> None:
    """Each question, and below it what its samples said."""
    drawn: dict[int, list[Sample]] = {}
    for index, sample in stored.samples():
        drawn.setdefault(index, []).append(sample)
    for index in sorted(drawn):
        question, samples = stored.questions[index], sorted(drawn[index], key=lambda sample: sample.number)
        print(f"\n{_indented(question.text, f'{plain(question.id)}  ')}")
        for sample in samples:
            answer = "no answer" if sample.answer is None else f"answer: {short(sample.answer)}"
            ending = " and asked for its answer" if sample.forced else ""
            generated = count(sample.tokens.generated, "token")
            print(f"\n  sample {sample.number + 1}, {sample.kind}, {generated}, {sample.finish}{ending}; {answer}")
            print(_indented(sample.text.strip(), "    "))


def _indented(text: str, first: str) -> str:
    return "\n".join(
        (first if place == 0 else " " * len(first)) + line for place, line in enumerate(plain_lines(text).split("\n"))
    )


def _facts(stored: StoredRun) -> Iterable[tuple[str, str]]:
    request = stored.request
    yield "run", f"{stored.id}, {stored.state}" + (f", in {stored.parts} parts" if stored.parts > 1 else "")
    yield "begun", f"{_local(request.started)}, by dynscale {plain(request.dynscale)} {plain(request.command)}"
    source = f" from {plain(request.source['path'])}" if request.source else ""
    answered = sum(result.answer is not None for result in stored.results.values())
    yield "questions", f"{request.questions:,}{source}, {answered:,} answered"
    yield "model", f"{plain(request.model['name'])}, {request.width} side by side, context {request.context:,}"
    yield "tokens", f"{stored.spent:,} of {stored.budget:,} spent"
    settings = stored.settings
    yield (
        "settings",
        f"{settings.policy}, {settings.mode}, seed {settings.seed}, prompts {plain(settings.prompts.version)}",
    )
    for damage in stored.damage:
        yield "damage", damage
    if stored.state in GOES_ON:
        yield "go on", f"dynscale runs resume {stored.id}"
    elif stored.state == "finished" and any(result.stopped == "budget" for result in stored.results.values()):
        yield "buy more", f"dynscale runs resume {stored.id} --budget +{stored.budget}"


def _described(stored: StoredRun, samples: bool) -> Mapping[str, Any]:
    drawn = {"samples": [{"question": q, **asdict(sample)} for q, sample in stored.samples()]} if samples else {}
    return {
        "id": stored.id,
        "state": stored.state,
        "request": asdict(stored.request),
        "budget": stored.budget,
        "spent": stored.spent,
        "parts": stored.parts,
        "damage": stored.damage,
        "results": [asdict(stored.results[index]) for index in sorted(stored.results)],
        **drawn,
    }


def _print_json(value: Mapping[str, Any]) -> None:
    print(harmless(json.dumps(value, ensure_ascii=False)))


def _local(started: str, *, short: bool = False) -> str:
    """A stored time on this machine's clock; `short` leaves the year out where it is this one."""
    try:
        then = datetime.fromisoformat(started.replace("Z", "+00:00")).astimezone()
    except ValueError:
        return plain(started)
    written = then.strftime("%Y-%m-%d %H:%M")
    return written[5:] if short and then.year == datetime.now().year else written
