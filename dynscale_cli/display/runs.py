"""Earlier runs on standard output: a table on a terminal, plain columns in a pipe, JSON where it is asked for.

Whatever a run says may come from somebody else: nothing of it reaches a terminal raw. Knows nothing of how runs are
stored.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dynscale_cli.display.text import columns, count, harmless, percent, plain, plain_lines, short

if TYPE_CHECKING:
    from dynscale_cli.run.stored import StoredRun, Summary
    from dynscale_cli.sampling.samples import Sample

LIST = ("run", "state", "begun", "answered", "tokens", "budget", "model", "questions")
RESULTS = ("question", "answer", "votes", "sure", "samples", "tokens", "stopped")
NUMBERS = frozenset({"answered", "tokens", "budget", "votes", "sure", "samples"})
FLEXIBLE = frozenset({"model", "question", "questions", "answer"})  # cut off where the window is narrow
STYLES = {"running": "cyan", "finished": "green", "interrupted": "yellow", "killed": "yellow", "damaged": "red"}
GOES_ON = ("interrupted", "killed", "failed")


def print_list(found: Sequence[Summary], *, as_json: bool = False) -> None:
    if as_json:
        for run in found:
            _print_json(asdict(run))
    elif found:
        _print(LIST, map(_row, found))
    elif sys.stdout.isatty():
        print('no runs yet: dynscale ask "What is 17 + 25?" begins one')


def _row(run: Summary) -> tuple[str, ...]:
    if run.state in ("damaged", "newer"):
        return (run.id, run.state, *["-"] * (len(LIST) - 2))
    return (
        run.id, run.state, _local(run.started), f"{run.answered:,}/{run.questions:,}", f"{run.spent:,}",
        f"{run.budget:,}", plain(run.model), _questions(run),
    )  # fmt: skip


def _questions(run: Summary) -> str:
    """What was asked: the first question, and how many more there are, or from which file they are."""
    more = f" + {run.questions - 1:,}" if run.questions > 1 else ""
    source = f"{plain(run.source)}: " if run.source else ""
    return f"{source}{short(run.question)}{more}"


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
        print()
        _print(RESULTS, (_result(stored, index) for index in sorted(stored.results)))


def _result(stored: StoredRun, index: int) -> tuple[str, ...]:
    result = stored.results[index]
    sure = "-" if result.confidence is None else percent(result.confidence)
    return (
        short(result.question), "no answer" if result.answer is None else short(result.answer),
        f"{next(iter(result.votes.values()), 0):g}", sure, str(result.samples), f"{result.tokens.billed:,}",
        result.stopped,
    )  # fmt: skip


def _print_samples(stored: StoredRun) -> None:
    """Each question, and below it what its samples said."""
    for index, samples in _by_question(stored):
        question = stored.questions[index]
        print(f"\n{_indented(question.text, f'{plain(question.id)}  ')}")
        for sample in samples:
            answer = "no answer" if sample.answer is None else f"answer: {short(sample.answer)}"
            ending = " and asked for its answer" if sample.forced else ""
            generated = count(sample.tokens.generated, "token")
            print(f"\n  sample {sample.number + 1}, {sample.kind}, {generated}, {sample.finish}{ending}; {answer}")
            print(_indented(sample.text.strip(), "    "))


def _by_question(stored: StoredRun) -> Iterator[tuple[int, list[Sample]]]:
    found: dict[int, list[Sample]] = {}
    for index, sample in stored.samples():
        found.setdefault(index, []).append(sample)
    for index in sorted(found):
        yield index, sorted(found[index], key=lambda sample: sample.number)


def _indented(text: str, first: str) -> str:
    return "\n".join(
        (first if place == 0 else " " * len(first)) + line for place, line in enumerate(plain_lines(text).split("\n"))
    )


def _facts(stored: StoredRun) -> Iterable[tuple[str, str]]:
    request = stored.request
    yield "run", f"{stored.id}, {stored.state}" + (f", in {stored.parts} parts" if stored.parts > 1 else "")
    yield "begun", f"{_local(request.started)}, by dynscale {plain(request.dynscale)} {plain(request.command)}"
    source = f" from {plain(request.source['path'])}" if request.source else ""
    yield "questions", f"{request.questions:,}{source}, {len(stored.final):,} done"
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


def _print(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    if sys.stdout.isatty():
        _print_table(names, rows)
    else:
        numbers = {place for place, name in enumerate(names) if name in NUMBERS}
        print("\n".join(columns([names, *rows], right=numbers)))


def _print_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, justify="right" if name in NUMBERS else "left", no_wrap=name not in FLEXIBLE)
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, ""), no_wrap=True, overflow="ellipsis") for cell in row))
    Console().print(table)


def _local(started: str) -> str:
    try:
        return datetime.fromisoformat(started.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return plain(started)
