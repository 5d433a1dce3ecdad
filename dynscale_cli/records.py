"""One question as a file states it: lines of text, JSON objects, rows of CSV.

Owns the field names and what they may hold. Turns lines into `Record`s one at a time, so that a limit can stop
an input that never ends. Knows nothing of files, of a question's place in the run, or of answers beyond their text.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dynscale_cli.errors import UsageError

Line: TypeAlias = tuple[int, str]  # its number, from 1, and its text without the line end

ID: Final = ("id", "qid")
TEXT: Final = ("question", "prompt")
GOLD: Final = ("answer", "gold")
CHOICES: Final = "choices"
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

JSON_HINT: Final = 'One JSON object a line, such as {"question": "What is 17 + 25?", "answer": "42"}; plain text: .txt'
CSV_HINT: Final = "The first row names the columns: id, question, choices, answer; only question is needed."

_OPENS: Final = re.compile(r"\s*(\{|\[\s*(\{|$))")
_HALVES: Final = re.compile("[\ud800-\udfff]")
_WORKED: Final = re.compile(r"####\s*(\S.*?)\s*\Z")  # the end of a worked answer in GSM8K


@dataclass(frozen=True, slots=True)
class Record:
    line: int
    id: str | None
    text: str
    choices: tuple[str, ...] = ()
    gold: str | None = None


def from_text(lines: Iterable[Line]) -> Iterator[Record]:
    """One question a line; blank lines are skipped."""
    for number, line in lines:
        if text := line.strip():
            yield Record(number, None, text)


def opens_json(line: str) -> bool:
    """Whether a first line is that of JSON objects: alone, or in a list."""
    return _OPENS.match(line) is not None


def from_json(lines: Iterable[Line], source: str) -> Iterator[Record]:
    """One object a line; blank lines are skipped."""
    first = True
    for number, line in lines:
        if not line.strip():
            continue
        hint, first = _relaid(line) if first else JSON_HINT, False
        place = f"{source}, line {number}"
        found = _value(line, place, hint)
        if not isinstance(found, dict):
            raise UsageError(f"{place}: expected a JSON object, found {_kind(found)}", hint)
        yield _record(found, number, place, JSON_HINT)


def _value(line: str, place: str, hint: str) -> Any:
    try:
        found = json.loads(line)
        # Half of a pair, where a text was cut in the middle of an emoji: no output in UTF-8 could hold it.
        return json.loads(_HALVES.sub("\ufffd", json.dumps(found, ensure_ascii=False))) if "\\u" in line else found
    except json.JSONDecodeError as error:
        what = f"{error.msg} at column {error.colno}"
    except RecursionError:
        what = "too deeply nested"
    except ValueError:  # Python's own limit
        what = "a number of thousands of digits"
    raise UsageError(f"{place}: not JSON: {what}", hint)


def _relaid(line: str) -> str:
    """What to do about a first line that opens one value over many lines, or a list of all questions."""
    opens = line.strip()
    if opens != "{" and (opens.startswith("{") or not opens_json(line)):
        return JSON_HINT
    return "jq -c . FILE | dynscale ask" if opens == "{" else "jq -c '.[]' FILE | dynscale ask"


def from_csv(lines: Iterable[Line], source: str, delimiter: str) -> Iterator[Record]:
    """Rows below a header. A cell of `choices` is a JSON list, or texts with | between them."""
    rows = _rows(lines, source, delimiter)
    _, header = next(rows, (0, []))
    names = [name.strip().lower() for name in header]
    if not set(TEXT) & set(names):
        raise UsageError(f"{source}: no column is named question or prompt", CSV_HINT)
    for number, row in rows:
        place = f"{source}, line {number}"
        if len(row) > len(names):
            raise UsageError(f"{place}: {len(row)} cells under {len(names)} column names", CSV_HINT)
        found: dict[str, Any] = {name: cell for name, cell in zip(names, row, strict=False) if cell.strip()}
        if CHOICES in found:
            found[CHOICES] = _choice_cell(found[CHOICES], place)
        if found:
            yield _record(found, number, place, CSV_HINT)


def _rows(lines: Iterable[Line], source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of the line that each begins on: quoted cells may hold line ends."""
    last = 0

    def texts() -> Iterator[str]:
        nonlocal last
        for last, line in lines:  # noqa: B007  the reader below pulls, `last` tells where it is
            yield line + "\n"

    csv.field_size_limit(sys.maxsize)  # the module's limit of 128 kB is shorter than a long document
    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        first = last + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UsageError(f"{source}, line {first}: not CSV: {error}", CSV_HINT) from None
        yield first, row


def _choice_cell(cell: str, place: str) -> list[Any]:
    if not cell.lstrip().startswith("["):
        return cell.split("|")
    try:
        found = json.loads(cell)
    except ValueError:
        raise UsageError(f"{place}: the choices are not a JSON list", CSV_HINT) from None
    return found if isinstance(found, list) else [found]


def _record(found: dict[str, Any], line: int, place: str, hint: str) -> Record:
    text = _first(found, TEXT)
    if text is None:
        raise UsageError(f"{place}: no question", hint)
    if not isinstance(text, str):
        raise UsageError(f"{place}: the question must be text, not {_kind(text)}", hint)
    if not text.strip():
        raise UsageError(f"{place}: the question is empty", hint)
    if "\0" in text:
        raise UsageError(f"{place}: the question holds a NUL character", hint)
    name = _first(found, ID)
    if name is not None and (not isinstance(name, str | int) or isinstance(name, bool)):
        raise UsageError(f"{place}: the id must be text or a whole number, not {_kind(name)}", hint)
    labels, choices = _choices(found.get(CHOICES), place, hint)
    return Record(line, None if name is None else str(name), text.strip(), choices, _gold(found, labels, place, hint))


def _choices(found: Any, place: str, hint: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(labels, texts); an object of label -> text keeps its order, a list has no labels."""
    if found is None:
        return (), ()
    if not isinstance(found, list | dict):
        raise UsageError(f"{place}: the choices must be a list or an object, not {_kind(found)}", hint)
    texts = list(found.values()) if isinstance(found, dict) else found
    for text in texts:
        if not isinstance(text, str | int | float) or isinstance(text, bool) or not str(text).strip():
            raise UsageError(f"{place}: each choice must be text, not {_kind(text)}", hint)
    if not 2 <= len(texts) <= len(LETTERS):
        raise UsageError(f"{place}: {len(texts)} choices, not 2 to {len(LETTERS)}", hint)
    labels = tuple(found) if isinstance(found, dict) else ()
    return labels, tuple(str(text).strip() for text in texts)


def _gold(found: dict[str, Any], labels: tuple[str, ...], place: str, hint: str) -> str | None:
    """The right answer as text: the end of a worked answer, the letter of a label."""
    gold = _first(found, GOLD)
    if gold is None:
        return None
    if isinstance(gold, bool):
        return "yes" if gold else "no"
    if not isinstance(gold, str | int | float):
        raise UsageError(f"{place}: the answer must be text or a number, not {_kind(gold)}", hint)
    text = str(gold).strip()
    if text in labels:
        return LETTERS[labels.index(text)]
    worked = _WORKED.search(text)
    return worked[1] if worked else text or None


def _first(found: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((found[name] for name in names if found.get(name) is not None), None)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "an empty text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
