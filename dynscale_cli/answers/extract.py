"""From a completion to the answer it commits itself to.

Owns the order of belief: the last committed answer counts; without one, what the completion ends on. "No answer" is
None and never votes. A guessed kind gives way where a statement says something else. Linear in the completion, and
never raises on any text. Thoughts are gone before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dynscale_cli.answers.cues import Statement, statements
from dynscale_cli.answers.fallback import ending
from dynscale_cli.answers.normalize import lower, plain, strip_markup
from dynscale_cli.answers.patterns import last_match
from dynscale_cli.answers.reading import read, read_math
from dynscale_cli.answers.text import FILLER, Reading, is_told, read_json, states_none, text_key
from dynscale_cli.answers.types import AnswerType


@dataclass(frozen=True, slots=True)
class Answer:
    """`key`: canonical, votes are counted by it; `text`: as shown; `committed`: stated, not guessed from the ending."""

    key: str
    text: str
    committed: bool = True


_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>|^<answer>|</answer>$")
# Where a base model, its answer given, goes on to ask and answer something else.
_RUN_ON = re.compile(
    r"\n[ \t*_#]{0,6}(?:(?:next\s+|new\s+)?(?:question|problem|exercise)\s{0,2}\d{0,4}\s?[:.]|q\s?\d{0,4}\s?:|"
    r"(?:user|human|student)\s?:|### ?instruction|<\|(?:im_start|start_header_id)\|>\s?user)",
    re.IGNORECASE,
)


def extract(completion: str, kind: AnswerType, *, choices: Sequence[str] = ()) -> Answer | None:
    """The answer of what a completion says (its thoughts are gone), None if it gives none.

    `choices`: options of a multiple-choice question, in order.
    """
    rest = completion.strip()
    if not rest:
        return None
    if kind.name == "regex":
        said = last_match(kind.pattern, rest)
        return Answer(*said) if said is not None else None
    if kind.long:
        rest = _BOX.sub("", rest).strip()
        key = text_key(rest)
        return Answer(key, rest) if key else None
    if kind.name == "json":
        found = read_json(rest, anywhere=True)
        if found is not None or not kind.guessed:
            return Answer(*found) if found is not None else None
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


def _committed(text: str, lowered: str, kind: AnswerType, choices: Sequence[str]) -> tuple[Answer | None, bool]:
    """(last committed answer, whether the text breaks off behind "Answer:" with nothing stated)."""
    dangling = False
    revision: Reading | None = None
    other: Reading | None = None
    for statement in statements(text, lowered, kind.wording.labels_asked):
        if statement.form == "initial" and kind.name == "choice":
            continue  # "A: …" names a choice there
        if statement.form == "revision":
            revision = revision or read(statement.content, kind, choices)
            continue
        if not strip_markup(statement.content) and not is_told(statement.content, kind.wording.topic):
            dangling = dangling or not text[statement.end :].strip(" *_#\n\t:`$")
            continue
        if statement.form in ("sentence", "reverse") and _says_nothing(strip_markup(statement.content), kind):
            continue
        said = _calmly(statement)
        reading = _boxes(text, statement, kind) or read(said, kind, choices)
        if reading is not None:
            return Answer(*(revision or reading)), False
        if states_none(strip_markup(statement.content)):
            return None, True
        if kind.guessed and other is None:
            # The question was taken for one that wants a number, say, and this sample answers otherwise.
            other = read(said, replace(kind, name="auto"))
            if other is not None and statement.form != "sentence":
                break
    return (Answer(*other) if other is not None else None), dangling


# A sentence that breaks off or refers back: "The answer is the", "3 + 4 = 7, which is the answer".
_POINTERS = frozenset(("which", "that", "this", "these", "those", "it", "the", "an", "as", "of", "in", "to", "so"))


def _says_nothing(content: str, kind: AnswerType) -> bool:
    """Whether what a sentence states is only its beginning, or what stands elsewhere."""
    words = content.casefold().strip(" .,:;").split()
    cut_short = kind.guessed and kind.name == "number" and words == ["a"]
    return cut_short or (bool(words) and _POINTERS.issuperset(words)) or FILLER.fullmatch(content) is not None


def _calmly(statement: Statement) -> str:
    """ "The answer is 42!" says 42 with pleasure; a factorial stands in a box or between dollars."""
    content = statement.content
    if (
        statement.form in ("sentence", "label")
        and content.rstrip(" *_").endswith("!")
        and len(content) > 2
        and not set(content) & {"$", "\\"}
    ):
        return content.rstrip("!*_ ")
    return content


_BETWEEN_BOXES = re.compile(
    r"(?:[\s$,;\\()&.]|\\q?quad|\\text\s?\{[^{}]{0,12}\}|\b(?:and|or|also|either|else|und|oder|et|ou|y|o)\b){0,24}"
    r"(?P<name>[a-zA-Z](?:_\{?\w\}?)?)?\s{0,2}=?\s{0,2}\$?"
)


def _boxes(text: str, last: Statement, kind: AnswerType) -> Reading | None:
    """x = \\boxed{1} or x = \\boxed{2}: boxes that one sentence joins are one answer."""
    if last.form != "box" or kind.name not in ("math", "auto", "number"):
        return None
    contents, start, joint = [last.content], last.start, ", "
    for previous in (
        statements(text[:start], lower(text[:start])) if text.count("boxed", max(0, start - 400), start) else ()
    ):
        between = _BETWEEN_BOXES.fullmatch(text[previous.end : start])
        if previous.form != "box" or between is None:
            break
        joint = " or " if re.search(r"\b(?:or|oder|ou)\b", between.group()) else joint
        contents.append(previous.content)
        start = previous.start
    return read_math(joint.join(reversed(contents))) if len(contents) > 1 else None
