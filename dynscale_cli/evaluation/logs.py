"""Stored samples of a model: pools of answers and their costs, one question a line.

Owns reading and checking them. The format is JSONL, `{"qid", "gold", "answers": [text or null], "tokens": [count or
null]}`, as `dynscale ask --export` writes it; equal answers are equal strings. Knows nothing of policies.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from dynscale_cli.errors import UsageError
from dynscale_cli.values import MOST_TOKENS, file_text

HINT = 'a line: {"qid": "1", "gold": "4", "answers": ["4"], "tokens": [31]}'


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
        raise UsageError(f"{path}: not a text file", HINT) from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", "give the path of a JSONL log") from None
    rows = [_row(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise UsageError(f"{path}: no questions", HINT)
    known = [count for *_, counts in rows for count in counts if count is not None]
    if not any(known):
        raise UsageError(f"{path}: no token count above 0", "give the generated tokens of each sample in `tokens`")
    pools = []
    for qid, gold, answers, counts in rows:
        # An unknown count is the question's median, or the log's where the question knows none.
        usual = round(statistics.median([count for count in counts if count is not None] or known))
        pools.append(Pool(qid, gold, answers, tuple(usual if count is None else count for count in counts)))
    return Log(path.name.removesuffix(".jsonl"), tuple(pools))


_Row: TypeAlias = tuple[str, str, tuple[str | None, ...], tuple[int | None, ...]]


def _row(line: str, where: str) -> _Row:
    """What a line says: qid, gold, answers and token counts. Raises UsageError."""
    try:
        return _fields(json.loads(line))
    except RecursionError:
        what = "not JSON"
    except ValueError as error:  # of JSON, numbers of thousands of digits among them; or ours
        what = str(error) if type(error) is _Malformed else "not JSON"
    raise UsageError(f"{where}: {what}", HINT)


class _Malformed(ValueError):
    """What is wrong with a line."""


def _fields(row: Any) -> _Row:
    if not isinstance(row, dict):
        raise _Malformed("not an object")
    for key, kind in (("qid", object), ("gold", object), ("answers", list), ("tokens", list)):
        if row.get(key) is None:
            raise _Malformed(f"no {key}")
        if not isinstance(row[key], kind):
            raise _Malformed(f"{key} is not a list")
    answers, counts = row["answers"], row["tokens"]
    if len(answers) != len(counts):
        raise _Malformed(f"{len(answers)} answers but {len(counts)} token counts")
    if not answers:
        raise _Malformed("no samples")
    texts = tuple(None if answer is None else _text(answer) for answer in answers)
    return _text(row["qid"]), _text(row["gold"]), texts, tuple(None if n is None else _count(n) for n in counts)


def _text(value: Any) -> str:
    """Answers and golds are compared as strings; a number stands for its digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise _Malformed(f"neither text nor a number: {json.dumps(value)[:40]}")


def _count(value: Any) -> int:
    """A whole number, which other programs may have written as 310.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value > MOST_TOKENS:
        raise _Malformed(f"not a token count: {json.dumps(value)[:40]}")
    if value < 0:
        raise _Malformed(f"a negative token count: {value}")
    return value
