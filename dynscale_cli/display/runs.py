"""Earlier runs on standard output: columns as wide as the window, JSON where it is asked for.

Whatever a run says may come from somebody else: nothing of it reaches a terminal raw. Knows nothing of how runs are
stored.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dynscale_cli.display.results import race, stopped
from dynscale_cli.display.text import count, fitted, harmless, plain, plain_lines, short

if TYPE_CHECKING:
    from dynscale_cli.run.events import Result
    from dynscale_cli.run.stored import StoredRun, Summary
    from dynscale_cli.sampling.samples import Sample

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
        columns = shutil.get_terminal_size().columns
        shown = [place for place, name in enumerate(LIST) if columns >= ROOMY or name not in DISPENSABLE]
        rows = [[row[place] for place in shown] for row in map(_row, found)]
        head, *lines = fitted([LIST[place] for place in shown], rows, columns, NUMBERS, CUTTABLE)
        print("\n".join([head, *map(_colored, lines, found)]))
    elif sys.stdout.isatty():
        print('no runs yet: dynscale ask "What is 17 + 25?" begins one')


def _colored(line: str, run: Summary) -> str:
    color = COLORS.get(run.state)
    if color is None or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return line
    return line.replace(run.state, f"\x1b[{color}m{run.state}\x1b[0m", 1)


def _row(run: Summary) -> tuple[str, ...]:
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
        rows = (_result(stored.results[index]) for index in sorted(stored.results))
        columns = shutil.get_terminal_size().columns
        print("\n".join(["", *fitted(RESULTS, rows, columns, NUMBERS, CUTTABLE)]))


def _result(result: Result) -> tuple[str, ...]:
    answer = "no answer" if result.answer is None else result.answer
    tokens = f"{result.tokens.billed:,}"
    return result.question, answer, race(result), str(result.samples), tokens, stopped(result)


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
