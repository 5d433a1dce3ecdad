"""What is in a journal: the request, the questions, the results, and on demand every pull.

Owns the reading, and what becomes of damage: a torn last line is what a kill leaves and says nothing; any other
damaged line is named, and the rest is taken as it is. Long journals are read quickly: of most lines only the checksum
is looked at. Never writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from dynscale_cli.errors import DynscaleError
from dynscale_cli.questions import Question
from dynscale_cli.sampling.samples import Sample

from . import entries
from .entries import Entry
from .events import Result
from .request import Newer, RunRequest, from_json
from .settings import Settings
from .sink import Ended, Sampled

HINT = "dynscale runs list shows what there is"
LOST = "(this question was lost with a damaged line of the run's journal)"


@dataclass(frozen=True, slots=True)
class Damage:
    """A line that cannot be read, counted from 1."""

    line: int
    what: str


@dataclass(slots=True)
class Stored:
    """One journal as it was when it was read.

    `results`: the newest told of each question, by its index; `final`: those that will not change with more budget.
    `spent`: a bound that no part of the run has passed, exact where the run has `ended`. `samples()` and `entries()`
    read the file anew.
    """

    path: Path
    request: RunRequest
    questions: list[Question]
    budget: int
    spent: int = 0
    parts: int = 1
    ended: Ended | None = None
    results: dict[int, Result] = field(default_factory=dict)
    final: set[int] = field(default_factory=set)
    damage: list[Damage] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)  # indices of questions whose line is damaged

    @property
    def id(self) -> str:
        return self.path.stem

    @property
    def settings(self) -> Settings:
        """Those of the request, with the budget of the newest part."""
        return replace(self.request.settings, budget=self.budget)

    def entries(self) -> Iterator[tuple[float, Entry | Result]]:
        """Every pull in the order in which it happened, and the final results; with the run's time in seconds."""
        with _opened(self.path) as file:
            for number, kind, values in _parsed(_lines(file), {*entries.PULLS, "answer"}):
                if kind != "answer":
                    yield values.get("time", -1.0), self._pull(number, kind, values)
                elif values.get("final") and values.get("index") in self.final:
                    yield -1.0, self.results[values["index"]]

    def samples(self) -> Iterator[tuple[int, Sample]]:
        """(index of the question, sample), in the order in which they came in; each once."""
        seen: set[tuple[int, int]] = set()
        with _opened(self.path) as file:
            for number, kind, values in _parsed(_lines(file), {"sample"}):
                entry = self._pull(number, kind, values)
                assert isinstance(entry, Sampled)
                if (entry.q, entry.sample.number) not in seen:
                    seen.add((entry.q, entry.sample.number))
                    yield entry.q, entry.sample

    def _pull(self, line: int, kind: str, values: Mapping[str, Any]) -> Entry:
        """The entry of a whole line. One that is not as it should be was not damaged, but written so."""
        try:
            entry = entries.PULLS[kind](values)
            self.questions[entry.q]
        except (KeyError, TypeError, ValueError, IndexError):
            raise DynscaleError(
                f"{self.path}, line {line}: not a {kind} as this dynscale knows it",
                "pip install --upgrade dynscale-cli",
            ) from None
        return entry


def read(path: Path) -> Stored:
    """The journal in a file. Raises DynscaleError where it has no request that can be read."""
    with _opened(path) as file:
        lines = _lines(file)
        stored = _begin(path, lines)
        found: dict[int, Question] = {}
        for number, kind, values in _parsed(lines, {"question", "answer", "spent", "resume", "end"}, stored.damage):
            try:
                _take(stored, found, kind, values)
            except (KeyError, TypeError, ValueError):
                stored.damage.append(Damage(number, f"not the {kind} that it says it is"))
    _complete(stored, found)
    return stored


def read_request(path: Path) -> RunRequest:
    """The first line alone."""
    with _opened(path) as file:
        return _begin(path, _lines(file)).request


def _begin(path: Path, lines: Iterator[tuple[int, bytes]]) -> Stored:
    damage: list[Damage] = []
    for _, kind, values in _parsed(lines, None, damage):
        if kind != "run":
            break
        try:
            request = from_json(values)
        except Newer as error:
            raise Newer(error.version, f"run {path.stem}") from None
        except (KeyError, TypeError, ValueError):
            break
        return Stored(path, request, [], request.settings.budget, damage=damage)
    raise DynscaleError(f"{path}: its first line is damaged or missing: not a journal", HINT)


def _take(stored: Stored, found: dict[int, Question], kind: str, values: dict[str, Any]) -> None:
    if kind == "question":
        found[values["index"]] = entries.question(values)
    elif kind == "answer":
        index = values["index"]
        if index in found:
            stored.results[index] = entries.answer(values, found[index])
            (stored.final.add if values["final"] else stored.final.discard)(index)
    elif kind == "spent":
        stored.spent, stored.ended = _tokens(values["upto"]), None
    elif kind == "resume":
        stored.budget, stored.spent, stored.ended = _tokens(values["budget"]), _tokens(values["spent"]), None
        stored.parts += 1
    else:
        ended = entries.end(values)
        stored.spent, stored.ended = _tokens(ended.spent), ended


def _tokens(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value} is no count of tokens")
    return value


def _complete(stored: Stored, found: dict[int, Question]) -> None:
    if len(found) < stored.request.questions and not stored.spent:
        raise DynscaleError(f"run {stored.id} was stopped before it had begun", f"dynscale runs rm {stored.id}")
    for index in range(stored.request.questions):
        if index not in found:
            stored.lost.add(index)
            found[index] = Question(index, f"{index + 1}", LOST)
        stored.questions.append(found[index])


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DynscaleError(f"{path}: {error.strerror or error}", HINT) from error


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(number, line without its end); a torn last line is not there."""
    for number, raw in enumerate(file, 1):
        if raw.endswith(b"\n"):
            yield number, raw[:-1]


def _parsed(
    lines: Iterator[tuple[int, bytes]], wanted: set[str] | None, damage: list[Damage] | None = None
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(number, type, values) of whole lines of the types wanted, None for all; damaged ones are noted."""
    import json

    for number, raw in lines:
        kind = entries.kind_of(raw)
        if kind is None:
            if damage is not None:
                damage.append(Damage(number, "damaged"))
        elif wanted is None or kind in wanted:
            yield number, kind, json.loads(raw)
