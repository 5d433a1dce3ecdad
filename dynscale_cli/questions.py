"""What is asked: the question as every room sees it, and reading questions from arguments, files and standard input.

Owns the `Question` record, formats (text, JSON, CSV, Parquet) and encodings; what the fields of a record may hold is
`records`' business. Knows nothing of models, budgets or answers.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import re
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from shlex import quote
from typing import Any, BinaryIO, Final, TypeAlias

from dynscale_cli.errors import UsageError
from dynscale_cli.records import CHOICES, HINT, TEXT, Fields, Record, kind_of, places
from dynscale_cli.values import STDIN, nearest

Line: TypeAlias = tuple[int, str]  # its number, from 1, and its text without the line end
Found: TypeAlias = tuple[int, "dict[str, Any] | str"]  # a line's number and the object or text on it
Tell: TypeAlias = Callable[[str], None]

STDIN_NAME: Final = "standard input"
EXAMPLE: Final = 'dynscale ask "What is 3 + 4?"'
JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})
DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
TEXT_SUFFIXES: Final = frozenset({".txt", ".md"})
PARQUET: Final = ".parquet"
MAGIC: Final = b"PAR1"  # the first bytes of a Parquet file
BOM: Final = b"\xef\xbb\xbf"
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
GZIP: Final = b"\x1f\x8b"
PIECE: Final = 1 << 16  # bytes looked at for a NUL before a line's end is waited for
CSV_HINT: Final = "the first row names the columns: id, question, choices, answer"
NO_COLUMN_HINT: Final = 'name one "question", or make them of others: --template "… {column} …"'

_OPENS: Final = re.compile(r"\s*(\{|\[\s*(\{|$))")
_HALVES: Final = re.compile("[\ud800-\udfff]")
_COLUMN: Final = re.compile(r"[\"']?[^\W\d][\w .-]{0,39}[\"']?")


@dataclass(frozen=True, slots=True)
class Question:
    """One question: an arm of the bandit.

    `index` is its place in the input, from 0; `id` is the user's own name for it, or the
    place counted from 1; `choices` are the options of a multiple-choice question, in order;
    `gold` is the right answer where the input states one (never shown to the model), or a JSON list of
    those that are accepted.
    """

    index: int
    id: str
    text: str
    choices: tuple[str, ...] = ()
    gold: str | None = None


@dataclass(slots=True)
class _Source:
    """One input while it is read: its name, its format by suffix, and what its records are made by."""

    name: str
    suffix: str
    whole: bool
    fields: Fields
    records: list[Record] = field(default_factory=list)


def read(
    arguments: Sequence[str] = (),
    file: Path | Sequence[Path] | None = None,
    stdin: BinaryIO | None = None,
    *,
    whole: bool = False,
    limit: int | None = None,
    template: str | None = None,
    tell: Tell = lambda text: None,
) -> list[Question]:
    """All questions in order: the arguments (`-` stands for `stdin`), then those of the files, which may be patterns.

    `stdin` alone is read when there is neither argument nor file; pass None where it is a terminal. `whole` makes
    one question of each file or stream, whatever its format; `limit` stops reading after that many; `template` makes
    each question of a record's fields; `tell` is told what was left unread. Raises UsageError.
    """
    files = (file,) if isinstance(file, Path) else tuple(file or ())
    if not arguments and not files:
        if stdin is None:
            raise UsageError("no question", f"{EXAMPLE}, or -f FILE, or a pipe with one a line")
        arguments = (STDIN,)
    sources: list[_Source] = []

    def source(name: str, suffix: str) -> _Source:
        sources.append(_Source(name, suffix, whole, Fields(name, template, CSV_HINT if suffix in DELIMITERS else HINT)))
        return sources[-1]

    def records() -> Iterator[Record]:
        for text in arguments:
            yield from _argument(text) if text != STDIN else _stream(stdin, source(STDIN_NAME, ""))
        for path in chain.from_iterable(map(_matching, files)):
            yield from _opened(path, source(str(path), path.suffix.lower()))

    found = list(islice(records(), limit))
    placed = {id(record): gold for one in sources for record, gold in places(one.name, one.records)}
    for one in sources:
        if one.fields.ignored:
            tell(f"{one.name}: not used: {', '.join(list(one.fields.ignored)[:12])}")
    return _numbered(found, placed, tell)


def read_text(path: Path, stdin: BinaryIO | None = None) -> str:
    """All of a file, or of `stdin` for -, as one text. Raises UsageError for what cannot be read, and for no text."""
    name = STDIN_NAME if str(path) == STDIN else str(path)
    source = _Source(name, "", True, Fields(name))
    records = _stream(stdin, source) if str(path) == STDIN else _opened(path, source)
    return next(iter(records)).text


def _argument(text: str) -> Iterator[Record]:
    if not text.strip():
        raise UsageError("the question is empty", EXAMPLE)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError("the question is not UTF-8", "set the terminal to UTF-8, or ask from a file: -f FILE")
    yield Record(0, None, text.strip())


# --- files and streams -----------------------------------------------------------------------------------------


def _stream(stdin: BinaryIO | None, source: _Source) -> Iterator[Record]:
    if stdin is None:
        raise UsageError(f"{STDIN_NAME} is closed", EXAMPLE)
    yield from _records(stdin, source)


def _matching(path: Path) -> list[Path]:
    """The files that a path means: itself, or all that match it as a pattern."""
    if not glob.has_magic(str(path)) or path.exists():
        return [path]
    matching = [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file()]
    if not matching:
        raise UsageError(f"{path}: no file matches", "name a file that you may read: -f FILE")
    return matching


def _opened(path: Path, source: _Source) -> Iterator[Record]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise _unreadable(source, error, path) from None
    with stream:
        yield from _records(stream, source)


def _records(stream: BinaryIO, source: _Source) -> Iterator[Record]:
    """The records of one input; raises where it holds none."""
    empty = True
    try:
        for record in _read(stream, source):
            empty = False
            source.records.append(record)
            yield record
    except OSError as error:  # reading can fail half-way, on a failing disk or a directory under standard input
        raise _unreadable(source, error) from None
    if empty and source.whole:
        raise UsageError(f"{source.name}: there is no text in it", "name a file, or a pipe, that holds some")
    if empty:
        raise UsageError(f"{source.name}: no question in it", "one question a line, JSONL, or CSV with a header")


def _unreadable(source: _Source, error: OSError, path: Path | None = None) -> UsageError:
    """What is wrong with an input, and the file beside it that may have been meant."""
    meant = None
    if path is not None and isinstance(error, FileNotFoundError):
        with suppress(OSError):
            meant = nearest(path.name, [each.name for each in path.parent.iterdir() if each.is_file()])
    hint = quote(str(path.with_name(meant))) if path and meant else "name a file that you may read"
    what = "a directory, not a file" if path and isinstance(error, IsADirectoryError) else error.strerror or error
    return UsageError(f"{source.name}: {what}", hint)


def _read(stream: BinaryIO, source: _Source) -> Iterator[Record]:
    if source.whole:
        text = "\n".join(line for _, line in _lines(stream, source.name)).strip()
        if text:
            yield Record(1, None, text)
    elif source.suffix == PARQUET:
        yield from (source.fields.record(found, number) for number, found in _parquet(stream, source.name))
    else:
        yield from (source.fields.record(found, number) for number, found in _parsed(stream, source))


def _lines(stream: BinaryIO, source: str) -> Iterator[Line]:
    """Lines as text, one at a time: UTF-8 with or without a byte order mark, UTF-16 with one; any line end."""
    for number, raw in enumerate(_raw_lines(stream, source), 1):
        try:
            yield number, raw.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            name = "FILE" if source == STDIN_NAME else quote(source)
            raise UsageError(
                f"{source}, line {number}, byte {error.start + 1}: not UTF-8",
                f"saved on Windows? iconv -f WINDOWS-1252 -t UTF-8 {name} | dynscale ask -",
            ) from None


def _raw_lines(stream: BinaryIO, source: str) -> Iterator[bytes]:
    """Lines as bytes of UTF-8. A NUL byte is looked for as pieces come in: some inputs hold nothing else, for ever."""
    number, held = 1, b""
    while piece := stream.readline(PIECE):
        if number == 1 and not held:
            if piece.startswith(UTF16):
                yield from (piece + stream.read()).decode("utf-16", "replace").encode().splitlines(keepends=True)
                return
            if piece.startswith(GZIP):
                name = "FILE" if source == STDIN_NAME else quote(source)
                raise UsageError(f"{source}: compressed by gzip", f"gzip -dc {name} | dynscale ask -")
            if piece.startswith(MAGIC):
                raise UsageError(f"{source}: Parquet, which is read from a file of that name", "-f FILE.parquet")
            piece = piece.removeprefix(BOM)
        if b"\0" in piece:
            place = f"{source}, line {number}, byte {len(held) + piece.index(0) + 1}"
            hint = "name text, JSONL or CSV; from UTF-16: iconv -f UTF-16 -t UTF-8 FILE"
            raise UsageError(f"{place}: a NUL byte: not a text file", hint)
        held += piece
        if held.endswith(b"\n"):
            yield held
            number, held = number + 1, b""
    if held:
        yield held


# --- formats ---------------------------------------------------------------------------------------------------


def _parsed(stream: BinaryIO, source: _Source) -> Iterator[Found]:
    """By suffix; without a telling one, by its first line: a JSON object or list, or a row that names columns."""
    lines = _lines(stream, source.name)
    ahead = []
    for line in lines:
        ahead.append(line)
        if line[1].strip():
            break
    first = ahead[-1][1] if ahead else ""
    rest = chain(ahead, lines)
    if source.suffix in TEXT_SUFFIXES:
        return _texts(rest)
    if source.suffix in DELIMITERS:
        likely = max((DELIMITERS[source.suffix], ",", ";", "\t"), key=first.count)
        return _rows(rest, source, _delimiter(first, source) or likely)
    if source.suffix in JSON_SUFFIXES or _OPENS.match(first):
        return _objects(rest, source)
    delimiter = _delimiter(first, source)
    if delimiter is not None:
        source.fields.hint = CSV_HINT
        return _rows(rest, source, delimiter)
    return _texts(rest)


def _texts(lines: Iterable[Line]) -> Iterator[Found]:
    """One question a line; blank lines are skipped."""
    return ((number, text) for number, line in lines if (text := line.strip()))


def _objects(lines: Iterable[Line], source: _Source) -> Iterator[Found]:
    """JSON: one object a line, or all of them in one list or object over many lines; blank lines are skipped."""
    first = True
    for number, line in lines:
        if not line.strip():
            continue
        place = f"{source.name}, line {number}"
        found, what = _json(line)
        if first and (what or isinstance(found, list)) and _OPENS.match(line):
            everything, complaint = _json("\n".join((line, *(text for _, text in lines))))
            objects = _listed(everything) if not complaint else None
            if objects is not None:
                yield from enumerate(objects, 1)
                return
        first = False
        if what:
            raise UsageError(f"{place}: not JSON: {what}", HINT)
        if not isinstance(found, dict | str):
            raise UsageError(f"{place}: expected a JSON object, found {kind_of(found)}", HINT)
        yield number, found


def _listed(found: Any) -> list[dict[str, Any]] | None:
    """The objects of a list, of the one list that an object holds, or the object itself."""
    if isinstance(found, dict) and not {name.lower() for name in found} & {*TEXT, "messages"}:
        lists = [value for value in found.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
        found = lists[0] if len(lists) == 1 else found
    objects = [found] if isinstance(found, dict) else found
    return objects if isinstance(objects, list) and all(isinstance(one, dict) for one in objects) else None


def _json(line: str) -> tuple[Any, str]:
    """(value, what is wrong). Half of a pair, where a text was cut inside an emoji, fits no output in UTF-8."""
    try:
        found = json.loads(line)
        return (
            json.loads(_HALVES.sub("\ufffd", json.dumps(found, ensure_ascii=False))) if "\\u" in line else found
        ), ""
    except json.JSONDecodeError as error:
        return None, f"{error.msg} at column {error.colno}"
    except RecursionError:
        return None, "too deeply nested"
    except ValueError:  # Python's own limit
        return None, "a number of thousands of digits"


def _delimiter(header: str, source: _Source) -> str | None:
    """What stands between the columns that a first line names; None where it names none."""
    filled = {name.lower() for name in source.fields.filled}
    for delimiter in (",", ";", "\t", "|"):
        names = [name.strip() for name in header.split(delimiter)]
        named = {name.strip("\"'").strip().lower() for name in names}
        enough = filled <= named if filled else bool(named & set(TEXT[:4]))
        if enough and all(_COLUMN.fullmatch(name) or not name for name in names):
            return delimiter
    return None


def _rows(lines: Iterable[Line], source: _Source, delimiter: str) -> Iterator[Found]:
    """Rows below a header. A cell of choices is a JSON list, or texts with | between them."""
    rows = _cells(lines, source.name, delimiter)
    _, header = next(rows, (0, []))
    names = [name.strip().lower() for name in header]
    if not source.fields.filled and not set(TEXT) & set(names):
        raise UsageError(f"{source.name}: no column is named question or prompt", NO_COLUMN_HINT)
    for number, row in rows:
        place = f"{source.name}, line {number}"
        while len(row) > len(names) and not row[-1].strip():
            row.pop()
        if len(row) > len(names):
            raise UsageError(f"{place}: {len(row)} cells under {len(names)} column names", CSV_HINT)
        found: dict[str, Any] = {name: cell for name, cell in zip(names, row, strict=False) if cell.strip()}
        for name in CHOICES:
            if name in found:
                found[name] = _choice_cell(found[name], place)
        if found:
            yield number, found


def _cells(lines: Iterable[Line], source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
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


def _parquet(stream: BinaryIO, source: str) -> Iterator[Found]:
    try:
        from pyarrow import lib, parquet
    except ImportError:
        hint = 'pip install "dynscale-cli[parquet]", or save it as JSONL'
        raise UsageError(f"{source}: reading Parquet needs pyarrow", hint) from None
    try:
        table = parquet.ParquetFile(io.BytesIO(stream.read()))
        number = 0
        for batch in table.iter_batches(1024):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except lib.ArrowException as error:
        raise UsageError(f"{source}: not Parquet: {str(error).partition('.')[0]}", "save it as JSONL") from None


# --- names ------------------------------------------------------------------------------------------------------


def _numbered(asked: Sequence[Record], letters: dict[int, str], tell: Tell) -> list[Question]:
    """Give each its place. Two of one name could not be told apart in the results, so the later one is renamed."""
    taken = {record.id for record in asked if record.id is not None}
    given: set[str] = set()
    renamed: list[str] = []
    questions = []
    for index, record in enumerate(asked):
        name = _place(index, taken) if record.id is None else record.id
        if name in given:
            name = next(other for times in range(2, len(asked) + 2) if (other := f"{name}#{times}") not in taken)
            taken.add(name)
            renamed.append(name)
        given.add(name)
        gold = letters.get(id(record), record.gold)
        questions.append(Question(index, name, record.text, record.choices, gold))
    if renamed:
        tell(f"ids that appear more than once: the later ones are called {', '.join(renamed[:3])}")
    return questions


def _place(index: int, taken: Container[str]) -> str:
    """Its place from 1, which must not be another's id."""
    name = str(index + 1)
    while name in taken:
        name = f"#{name}"
    return name
