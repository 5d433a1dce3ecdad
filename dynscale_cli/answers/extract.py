"""From a completion to the answer it commits itself to.

Owns the order of belief: the last committed answer counts; without one, what the completion
ends on. "No answer" is None and never votes. Linear in the completion, and never raises on any text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from dynscale_cli.answers.endings import ending
from dynscale_cli.answers.kinds import AnswerType
from dynscale_cli.answers.plain import lower, plain, strip_markup
from dynscale_cli.answers.reading import Reading, read, read_math, states_none, text_key
from dynscale_cli.answers.statements import Statement, statements


@dataclass(frozen=True, slots=True)
class Answer:
    """`key`: canonical, votes are counted by it; `text`: as shown; `committed`: stated, not guessed from the ending."""

    key: str
    text: str
    committed: bool = True


# Where a base model, its answer given, goes on to ask and answer something else.
_RUN_ON = re.compile(
    r"\n[ \t*_#]{0,6}(?:(?:next\s+|new\s+)?(?:question|problem|exercise)\s{0,2}\d{0,4}\s?[:.]|q\s?\d{0,4}\s?:|"
    r"(?:user|human|student)\s?:|### ?instruction|<\|(?:im_start|start_header_id)\|>\s?user)",
    re.IGNORECASE,
)
_REGEX_REACH = 200_000


def extract(completion: str, kind: AnswerType, *, choices: Sequence[str] = ()) -> Answer | None:
    """The answer of what a completion says (its thoughts are gone), None if it gives none.

    `choices`: options of a multiple-choice question, in order.
    """
    rest = completion.strip()
    if not rest:
        return None
    if kind.name == "regex":
        return _by_pattern(rest, kind.pattern)
    if kind.name == "text" and kind.long:
        key = text_key(rest)
        return Answer(key, rest) if key else None
    return _extract(plain(rest), rest, kind, choices)


def _extract(text: str, original: str, kind: AnswerType, choices: Sequence[str]) -> Answer | None:
    lowered = lower(text)
    run_on = _RUN_ON.search(text)
    if run_on is not None:
        answer, _ = _committed(text[: run_on.start()], lowered[: run_on.start()], kind, choices)
        if answer is not None:
            return answer
    answer, dangling = _committed(text, lowered, kind, choices)
    if answer is not None or dangling:
        return answer
    found = ending(text, original, kind, choices)
    return Answer(*found[0], committed=found[1]) if found is not None else None


def _by_pattern(text: str, pattern: str) -> Answer | None:
    last = next(iter(deque(re.finditer(pattern, text[-_REGEX_REACH:]), maxlen=1)), None)
    if last is None:
        return None
    groups = [group for group in last.groups() if group is not None]
    said = (groups[0] if groups else last.group()).strip()
    return Answer(" ".join(plain(said).split()), said) if said else None


# --- committed -------------------------------------------------------------------------------------------------


def _committed(text: str, lowered: str, kind: AnswerType, choices: Sequence[str]) -> tuple[Answer | None, bool]:
    """(last committed answer, whether the text breaks off behind "Answer:" with nothing stated)."""
    dangling = False
    revision: Reading | None = None
    for statement in statements(text, lowered):
        if statement.form == "revision":
            revision = revision or read(statement.content, kind, choices)
            continue
        if not strip_markup(statement.content):
            dangling = dangling or not text[statement.end :].strip(" *_#\n\t:`$")
            continue
        reading = _boxes(text, statement, kind) or read(_calmly(statement), kind, choices)
        if reading is not None:
            return Answer(*(revision or reading)), False
        if states_none(strip_markup(statement.content)):
            return None, True
    return None, dangling


def _calmly(statement: Statement) -> str:
    """ "The answer is 42!" says 42 with pleasure; a factorial stands in a box or between dollars."""
    content = statement.content
    if (
        statement.form in ("sentence", "label")
        and content.rstrip(" *_").endswith("!")
        and not set(content) & {"$", "\\"}
    ):
        return content.rstrip("!*_ ")
    return content


_BETWEEN_BOXES = re.compile(r"[\s$,;\\().]{0,8}(?:and|or)?[\s$,;\\().]{0,8}(?:[a-zA-Z]\s?=\s?)?")


def _boxes(text: str, last: Statement, kind: AnswerType) -> Reading | None:
    """x = \\boxed{1} or x = \\boxed{2}: boxes that one sentence joins are one answer."""
    if last.form != "box" or kind.name not in ("math", "auto"):
        return None
    contents, start = [last.content], last.start
    for previous in (
        statements(text[:start], lower(text[:start])) if text.count("boxed", max(0, start - 400), start) else ()
    ):
        if previous.form != "box" or not _BETWEEN_BOXES.fullmatch(text[previous.end : start]):
            break
        contents.append(previous.content)
        start = previous.start
    return read_math(", ".join(reversed(contents))) if len(contents) > 1 else None
