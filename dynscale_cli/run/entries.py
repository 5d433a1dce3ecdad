"""The lines of a journal: one JSON object each, its type first, a checksum last.

    {"type":"sample","q":3,…,"crc":"1c291ca3"}

The checksum is the CRC-32 of everything before `,"crc"`. It tells damage from contents without reading them as JSON,
so that most lines of a long journal need never be parsed. Owns the form of a line and what is in the lines of a run's
samples. Knows nothing of files or of a run's state.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final, TypeAlias

from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.questions import Question
from dynscale_cli.sampling.samples import Sample

from .events import KindReport, Result, members
from .sink import Dropped, Ended, Sampled, Start

Entry: TypeAlias = Start | Sampled | Dropped
HEAD: Final = b'{"type":"'
TAIL_LENGTH: Final = len(b',"crc":"00000000"}')


def line(kind: str, values: Mapping[str, Any]) -> bytes:
    """One line, its end included. A lone surrogate is written as the escape that JSON has for it."""
    text = json.dumps({"type": kind, **values}, ensure_ascii=False, separators=(",", ":"), default=members)
    body = text.encode("utf-8", "backslashreplace")[:-1]
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def kind_of(raw: bytes) -> str | None:
    """The type of a line (without its end) that is whole; None for a damaged one."""
    body = raw[:-TAIL_LENGTH]
    if not raw.startswith(HEAD) or raw[-TAIL_LENGTH:] != b',"crc":"%08x"}' % zlib.crc32(body):
        return None
    return raw[len(HEAD) : raw.index(b'"', len(HEAD))].decode("ascii", "replace")


def question_line(question: Question) -> bytes:
    return line("question", members(question))


def question(values: Mapping[str, Any]) -> Question:
    return Question(values["index"], values["id"], values["text"], tuple(values["choices"]), values["gold"])


def start_line(start: Start, time: float) -> bytes:
    return line("start", {**members(start), "time": round(time, 3)})


def sample_line(sampled: Sampled, time: float) -> bytes:
    own = {"q": sampled.q, "committed": sampled.committed}
    return line("sample", {**own, **members(sampled.sample), "time": round(time, 3)})


def drop_line(dropped: Dropped, time: float) -> bytes:
    return line("drop", {**members(dropped), "time": round(time, 3)})


def answer_line(result: Result, final: bool) -> bytes:
    """The question's text is in its own line."""
    values = members(result)
    del values["question"]
    return line("answer", {**values, "final": final})


def answer(values: Mapping[str, Any], question: Question) -> Result:
    known = {f.name: values[f.name] for f in fields(Result) if f.name in values}
    known["tokens"] = Tokens(**values["tokens"])
    known["kinds"] = {kind: KindReport(**report) for kind, report in values["kinds"].items()}
    return Result(question=question.text, **known)


def end_line(ended: Ended, at: str) -> bytes:
    return line("end", {**members(ended), "at": at})


def end(values: Mapping[str, Any]) -> Ended:
    return Ended(**{f.name: values[f.name] for f in fields(Ended)})


def _start(values: Mapping[str, Any]) -> Start:
    return Start(values["q"], values["number"], values["kind"], tuple(values["seen"]))


def _sampled(values: Mapping[str, Any]) -> Sampled:
    known = {f.name: values[f.name] for f in fields(Sample) if f.name in values}
    known |= {"tokens": Tokens(**values["tokens"]), "seen": tuple(values["seen"])}
    return Sampled(values["q"], Sample(**known), values["committed"])


def _dropped(values: Mapping[str, Any]) -> Dropped:
    known = {f.name: values[f.name] for f in fields(Dropped) if f.name in values}
    return Dropped(**{**known, "tokens": Tokens(**values["tokens"])})


PULLS: Final[Mapping[str, Callable[[Mapping[str, Any]], Entry]]] = {
    "start": _start,
    "sample": _sampled,
    "drop": _dropped,
}
