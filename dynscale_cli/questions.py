"""What is asked: the question as every room sees it.

Owns the `Question` record and reading questions from arguments, files and standard input; what a line may hold
is `records`' business. Knows nothing of models, budgets or answers.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from shlex import quote
from typing import BinaryIO, Final

from dynscale_cli import records
from dynscale_cli.errors import UsageError
from dynscale_cli.records import Line, Record

STDIN: Final = "-"
STDIN_NAME: Final = "standard input"
EXAMPLE: Final = 'dynscale ask "What is 17 + 25?"'
JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})
DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
TEXT_SUFFIX: Final = ".txt"
BOM: Final = b"\xef\xbb\xbf"
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Question:
    """One question: an arm of the bandit.

    `index` is its place in the input, from 0; `id` is the user's own name for it, or the
    place counted from 1; `choices` are the options of a multiple-choice question, in order;
    `gold` is the right answer where the input states one (never shown to the model).
    """

    index: int
    id: str
    text: str
    choices: tuple[str, ...] = ()
    gold: str | None = None


def read(
    arguments: Sequence[str] = (),
    file: Path | None = None,
    stdin: BinaryIO | None = None,
    *,
    whole: bool = False,
    limit: int | None = None,
) -> list[Question]:
    """All questions in order: the arguments (`-` stands for `stdin`), then those of the file.

    `stdin` alone is read when there is neither argument nor file; pass None where it is a terminal. `whole` makes
    one question of each file or stream, whatever its format; `limit` stops reading after that many. Raises
    UsageError, one line and a hint, for whatever cannot be read, and when there is no question at all.
    """
    if not arguments and file is None:
        if stdin is None:
            raise UsageError("no question", f"{EXAMPLE}, or -f FILE, or pipe questions in, one a line")
        arguments = (STDIN,)
    typed = (_argument(text) if text != STDIN else _stream(stdin, whole) for text in arguments)
    return _numbered(islice(chain.from_iterable(chain(typed, _file(file, whole))), limit))


def read_text(path: Path, stdin: BinaryIO | None = None) -> str:
    """All of a file, or of `stdin` for -, as one text. Raises UsageError for what cannot be read, and for no text."""
    records = _stream(stdin, True) if str(path) == STDIN else _opened(path, True)
    return next(iter(records)).text


def _argument(text: str) -> Iterator[Record]:
    if not text.strip():
        raise UsageError("the question is empty", EXAMPLE)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError("the question is not UTF-8", "Set the terminal to UTF-8, or ask from a file: -f FILE.")
    yield Record(0, None, text.strip())


def _stream(stdin: BinaryIO | None, whole: bool) -> Iterator[Record]:
    if stdin is None:
        raise UsageError(f"{STDIN_NAME} is closed", EXAMPLE)
    yield from _records(stdin, STDIN_NAME, "", whole)


def _file(path: Path | None, whole: bool) -> Iterator[Iterator[Record]]:
    if path is not None:
        yield _opened(path, whole)


def _opened(path: Path, whole: bool) -> Iterator[Record]:
    try:
        with path.open("rb") as stream:
            yield from _records(stream, str(path), path.suffix.lower(), whole)
    except IsADirectoryError:
        raise UsageError(f"{path}: a directory, not a file of questions", "Name a file: -f FILE.") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", "Name a file that you may read: -f FILE.") from None


def _records(stream: BinaryIO, source: str, suffix: str, whole: bool) -> Iterator[Record]:
    """The records of one input; raises where it holds none."""
    with _named(source):
        lines = _lines(stream, source)
        empty = True
        for record in _whole(lines) if whole else _parsed(lines, source, suffix):
            empty = False
            yield record
        if empty:
            raise UsageError(f"{source}: no question in it", "One question a line, JSONL, or CSV with a header.")


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Reading can fail half-way, on a failing disk or a directory under standard input."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{source}: {error.strerror or error}", "Name a file that you may read: -f FILE.") from None


def _lines(stream: BinaryIO, source: str) -> Iterator[Line]:
    """Lines as text, one at a time: UTF-8 with or without a byte order mark, any line end."""
    for number, raw in enumerate(stream, 1):
        if number == 1:
            _refuse_encoded(raw, source)
            raw = raw.removeprefix(BOM)
        if b"\0" in raw:
            place = f"{source}, line {number}, byte {raw.index(0) + 1}"
            raise UsageError(f"{place}: a NUL byte: not a text file", "Questions are UTF-8 text, JSONL or CSV.")
        try:
            yield number, raw.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            place = f"{source}, line {number}, byte {error.start + 1}"
            raise UsageError(f"{place}: not UTF-8", "Save the file as UTF-8 (iconv -t UTF-8).") from None


def _refuse_encoded(begin: bytes, source: str) -> None:
    """Raise UsageError for what another program can turn into UTF-8, with its command."""
    name = "FILE" if source == STDIN_NAME else quote(source)
    if begin.startswith(UTF16):
        raise UsageError(f"{source}: UTF-16, not UTF-8", f"iconv -f UTF-16 -t UTF-8 {name} > questions.txt")
    if begin.startswith(GZIP):
        raise UsageError(f"{source}: compressed by gzip", f"gzip -dc {name} | dynscale ask")


def _whole(lines: Iterable[Line]) -> Iterator[Record]:
    text = "\n".join(line for _, line in lines).strip()
    if text:
        yield Record(1, None, text)


def _parsed(lines: Iterator[Line], source: str, suffix: str) -> Iterator[Record]:
    """By suffix; without a telling one, an input whose first line opens a JSON object, or a list of them, is JSON."""
    if suffix in DELIMITERS:
        return records.from_csv(lines, source, DELIMITERS[suffix])
    ahead = []
    for line in lines:
        ahead.append(line)
        if line[1].strip():
            break
    rest = chain(ahead, lines)
    opens = bool(ahead) and suffix != TEXT_SUFFIX and records.opens_json(ahead[-1][1])
    return records.from_json(rest, source) if opens or suffix in JSON_SUFFIXES else records.from_text(rest)


def _numbered(found: Iterable[Record]) -> list[Question]:
    """Give each its place; two questions of one name could not be told apart in the results."""
    asked, lines = list(found), dict[str, int]()
    for record in asked:
        if record.id in lines:
            where = f"on lines {lines[record.id]} and {record.line}"
            raise UsageError(f"the id {record.id!r} appears twice, {where}", "Give each question an id of its own.")
        if record.id is not None:
            lines[record.id] = record.line
    names = (_name(index, record, lines) for index, record in enumerate(asked))
    return [
        Question(index, name, record.text, record.choices, record.gold)
        for index, (name, record) in enumerate(zip(names, asked, strict=True))
    ]


def _name(index: int, record: Record, taken: Container[str]) -> str:
    """Its id, or else its place from 1, which must not be another's id."""
    if record.id is not None:
        return record.id
    name = str(index + 1)
    while name in taken:
        name = f"#{name}"
    return name
