"""Earlier runs on standard output: a table on a terminal, plain columns in a pipe.

Knows nothing of how journals are written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dynscale_cli.display.text import columns, percent, plain, short

if TYPE_CHECKING:
    from dynscale_cli.run.stored import Stored
    from dynscale_cli.run.summary import Summary

COLUMNS = ("run", "state", "begun", "answered", "tokens", "budget", "model", "from")
NUMBERS = frozenset({"answered", "tokens", "budget", "votes", "sure", "samples"})
FLEXIBLE = frozenset({"model", "from", "question", "answer"})  # cut off where the window is narrow
STYLES = {"running": "cyan", "finished": "green", "interrupted": "yellow", "killed": "yellow"}


def print_list(found: Sequence[Summary]) -> None:
    rows = [_row(run) for run in found]
    if not rows and sys.stdout.isatty():
        print("no runs yet: dynscale ask -f questions.txt begins one")
    elif rows:
        _print(COLUMNS, rows)


def _row(run: Summary) -> tuple[str, ...]:
    if run.state == "newer":
        return (run.id, f"by dynscale {plain(run.dynscale)}", *["-"] * (len(COLUMNS) - 2))
    return (
        run.id, run.state, _local(run.started), f"{run.answered:,}/{run.questions:,}", f"{run.spent:,}",
        f"{run.budget:,}", plain(run.model), plain(run.source) or "-",
    )  # fmt: skip


def print_run(stored: Stored) -> None:
    """What was asked and what came of it, then one line for each question that has a result."""
    for name, value in _facts(stored):
        print(f"{name:<10} {value}")
    if stored.results:
        print()
        names = ("question", "answer", "votes", "sure", "samples", "tokens", "stopped")
        results = (stored.results[index] for index in sorted(stored.results))
        _print(
            names,
            (
                (
                    short(result.id), "no answer" if result.answer is None else short(result.answer),
                    f"{next(iter(result.votes.values()), 0):g}", percent(result.confidence), str(result.samples),
                    f"{result.tokens.billed:,}", result.stopped,
                )
                for result in results
            ),
        )  # fmt: skip


def _facts(stored: Stored) -> Iterable[tuple[str, str]]:
    from dynscale_cli.run.summary import state_of

    request, state = stored.request, state_of(stored)
    yield "run", f"{stored.id}, {state}" + (f", in {stored.parts} parts" if stored.parts > 1 else "")
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
    yield "journal", plain(str(stored.path))
    for damage in stored.damage:
        yield "damage", f"line {damage.line}: {damage.what}"
    if state in ("interrupted", "killed", "failed"):
        yield "go on", f"dynscale runs resume {stored.id}"


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
