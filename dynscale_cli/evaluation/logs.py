"""Stored samples of a model: pools of answers and their costs, one question a line.

Owns reading and checking them. The format is JSONL, `{"qid", "gold", "answers": [text or null], "tokens": [count or
null]}`, as `dynscale ask --export` writes it; equal answers are equal strings. Knows nothing of policies.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynscale_cli.errors import UsageError
from dynscale_cli.values import MOST_TOKENS, file_text

EXAMPLE = '{"qid": "1", "gold": "42", "answers": ["42", null], "tokens": [310, 512]}'


@dataclass(frozen=True, slots=True)
class Pool:
    """All stored samples of one question: `answers[j]` (None: no answer) cost `tokens[j]`."""

    qid: str
    gold: str
    answers: tuple[str | None, ...]
    tokens: tuple[int, ...]

    @property
    def mean_cost(self) -> float:
        return sum(self.tokens) / len(self.tokens)


@dataclass(frozen=True, slots=True)
class Log:
    """One file: the same model on a set of questions."""

    name: str
    pools: tuple[Pool, ...]

    @property
    def round_cost(self) -> float:
        """Tokens that one sample of every question costs on average: the unit of budgets."""
        return sum(pool.mean_cost for pool in self.pools)

    @property
    def rounds(self) -> float:
        """How many such rounds all samples together have cost: a larger budget cannot be spent."""
        return sum(sum(pool.tokens) for pool in self.pools) / self.round_cost


def read_log(path: Path) -> Log:
    """The log in a file; `UsageError` naming file and line where it is not one."""
    try:
        lines = file_text(path).split("\n")  # an answer may hold other signs that end a line
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text file", f"A log has lines such as {EXAMPLE}") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", "Give the path of a JSONL log") from None
    rows = [_row(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise UsageError(f"{path}: no questions", f"A log has lines such as {EXAMPLE}")
    known = [count for row in rows for count in row.tokens if count is not None]
    if not any(known):
        raise UsageError(f"{path}: no token count above 0", "Give the generated tokens of each sample in `tokens`")
    fallback = round(statistics.median(known))
    pools = tuple(Pool(row.qid, row.gold, row.answers, _complete(row.tokens, fallback)) for row in rows)
    return Log(path.name.removesuffix(".jsonl"), pools)


def _complete(tokens: tuple[int | None, ...], fallback: int) -> tuple[int, ...]:
    """The question's median for every unknown count; the log's where the question knows none."""
    known = [count for count in tokens if count is not None]
    median = round(statistics.median(known)) if known else fallback
    return tuple(median if count is None else count for count in tokens)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line as it stands: a `Pool` whose unknown counts are not filled in yet."""

    qid: str
    gold: str
    answers: tuple[str | None, ...]
    tokens: tuple[int | None, ...]


def _row(line: str, where: str) -> _Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # numbers of thousands of digits are no JSONDecodeError
        raise _malformed(where, "not JSON") from None
    if not isinstance(row, dict):
        raise _malformed(where, "not an object")
    for key in ("qid", "gold", "answers", "tokens"):
        if row.get(key) is None:
            raise _malformed(where, f"no {key}")
    answers, tokens = _list(row, "answers", where), _list(row, "tokens", where)
    if len(answers) != len(tokens):
        raise _malformed(where, f"{len(answers)} answers but {len(tokens)} token counts")
    if not answers:
        raise _malformed(where, "no samples")
    texts = tuple(None if answer is None else _text(answer, where) for answer in answers)
    counts = tuple(None if count is None else _count(count, where) for count in tokens)
    return _Row(_text(row["qid"], where), _text(row["gold"], where), texts, counts)


def _list(row: dict[str, Any], key: str, where: str) -> list[Any]:
    value = row[key]
    if not isinstance(value, list):
        raise _malformed(where, f"{key} is not a list")
    return value


def _text(value: Any, where: str) -> str:
    """Answers and golds are compared as strings; a number stands for its digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise _malformed(where, f"neither text nor a number: {json.dumps(value)[:40]}")


def _count(value: Any, where: str) -> int:
    """A whole number, which other programs may have written as 310.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value > MOST_TOKENS:
        raise _malformed(where, f"not a token count: {json.dumps(value)[:40]}")
    if value < 0:
        raise _malformed(where, f"a negative token count: {value}")
    return value


def _malformed(where: str, what: str) -> UsageError:
    return UsageError(f"{where}: {what}", f"A line of a log looks like {EXAMPLE}")
