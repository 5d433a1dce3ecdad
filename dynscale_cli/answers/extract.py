"""From a completion to the answer it commits itself to.

Owns the order of belief: hidden thoughts go; the last committed answer counts; without one, what the completion
ends on. "No answer" is None and never votes. Linear in the completion, and never raises on any text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from dynscale_cli.answers.booleans import find_boolean
from dynscale_cli.answers.choices import find_choice, last_sentence
from dynscale_cli.answers.kinds import AnswerType
from dynscale_cli.answers.latex import prose
from dynscale_cli.answers.numbers import last_number
from dynscale_cli.answers.plain import lower, plain, strip_markup
from dynscale_cli.answers.reading import Reading, read, read_any, read_math, read_number, states_none, text_key
from dynscale_cli.answers.statements import Statement, statements
from dynscale_cli.answers.thoughts import split_thought


@dataclass(frozen=True, slots=True)
class Answer:
    """`key`: canonical, votes are counted by it; `text`: as shown; `committed`: stated, not guessed from the ending."""

    key: str
    text: str
    committed: bool = True


_CONTROL = re.compile(
    r"<\|(?:im_end|eot_id|end|return|endoftext|end_of_text|im_start|start|eom_id)\|>|</s>|<eos>|<end_of_turn>|"
    r"<\|begin_of_solution\|>|<\|end_of_solution\|>"
)
# Where a base model, its answer given, goes on to ask and answer something else.
_RUN_ON = re.compile(
    r"\n[ \t*_#]{0,6}(?:(?:next\s+|new\s+)?(?:question|problem|exercise)\s{0,2}\d{0,4}\s?[:.]|q\s?\d{0,4}\s?:|"
    r"(?:user|human|student)\s?:|### ?instruction|<\|(?:im_start|start_header_id)\|>\s?user)",
    re.IGNORECASE,
)
_NEAR = 240
_TAIL = 2400
_REGEX_REACH = 200_000


def extract(completion: str, kind: AnswerType, *, choices: Sequence[str] = ()) -> Answer | None:
    """The answer of a completion, None if it gives none. `choices`: options of a multiple-choice question, in order."""
    _, rest, _ = split_thought(completion)
    if "<" in rest:
        rest = _CONTROL.sub("\n", rest)
    rest = rest.strip()
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
    return _uncommitted(text, original, kind, choices)


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
        if states_none(strip_markup(statement.content)):
            return None, True
        reading = _boxes(text, statement, kind) or read(_calmly(statement), kind, choices)
        if reading is not None:
            return Answer(*(revision or reading)), False
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


# --- not committed ---------------------------------------------------------------------------------------------

_BOLD = re.compile(r"\*\*([^*\n]{1,160})\*\*|__([^_\n]{1,160})__")
_EQUALS_LAST = re.compile(r"(?:=|≈|\\approx)[ \t]*([^=\n≈]{1,120})$")
_DENIED = re.compile(r"\b(?:not|isn't|n't be|rather than|instead of)\s+(?:equal to\s+)?[-$]?\d[\d.,]*", re.IGNORECASE)
_LIST_MARK = re.compile(
    r"^[ \t*_#>]{0,6}(?:(?:step|part|case|equation|figure|method)\s+)?\(?\d{1,3}[.):](?=[ \t]+\S)",
    re.IGNORECASE | re.MULTILINE,
)
_ALONE = re.compile(r"\s*[-+$(]?\s?[\d.,/]+\s?[%)]?\.?\s*")


def _uncommitted(text: str, original: str, kind: AnswerType, choices: Sequence[str]) -> Answer | None:
    """What the completion ends on, for each kind; bold and a closing "= …" still commit."""
    if kind.name == "choice" or (kind.name == "auto" and choices):
        letter = _lone_bold_choice(text, choices) or find_choice(text, choices)
        return Answer(letter, letter, False) if letter else None
    if kind.name == "boolean":
        side = find_boolean(text)
        return Answer(side, side, False) if side else None
    if kind.name == "text":
        return _whole(original)
    ending = _closing(text, kind)
    if ending is not None:
        return Answer(*ending)
    if kind.name == "number":
        number = _last_number(text)
        return Answer(*number, False) if number else None
    return _ends_on(text, original, kind)


def _lone_bold_choice(text: str, choices: Sequence[str]) -> str | None:
    bolds = [match[1] or match[2] for match in _BOLD.finditer(text[-_TAIL:])]
    for bold in reversed(bolds):
        reading = read(bold, AnswerType("choice"), choices)
        if reading is not None and len(bold) <= 80:
            return reading[0]
    return None


def _whole(original: str) -> Answer | None:
    shown = strip_markup(original)
    key = text_key(shown)
    return Answer(key, shown, False) if key else None


def _closing(text: str, kind: AnswerType) -> Reading | None:
    """A value in bold in the last sentence, or behind the "=" that the text ends on."""
    tail = text[-_TAIL:].rstrip()
    line = last_sentence(tail)
    bolds = [match[1] or match[2] for match in _BOLD.finditer(line)]
    for bold in reversed(bolds):
        reading = _full_value(bold, kind)
        if reading is not None:
            return reading
    equals = _EQUALS_LAST.search(_last_line(tail).rstrip(" .*_$\\)]`"))
    return _full_value(equals[1], kind) if equals is not None else None


def _last_line(text: str) -> str:
    """The last line with more than markup on it."""
    for line in reversed(text[-600:].split("\n")):
        if any(char.isalnum() for char in line):
            return line
    return ""


def _full_value(content: str, kind: AnswerType) -> Reading | None:
    """A reading of `content` if it is a value with at most a few words of unit, not a heading or a sentence."""
    if content.rstrip().endswith(":") or not any(char.isdigit() or char in "\\=πexyn" for char in content):
        return None
    if sum(word.isalpha() for word in content.split()) > 3:
        return None
    return (
        read_math(content)
        if kind.name == "math"
        else read_number(content)
        if kind.name == "number"
        else read_any(content)
    )


def _last_number(text: str) -> Reading | None:
    """The last number that is no list mark and not denied, looked for from the end in windows that grow."""
    for reach in (_NEAR, _TAIL, 8 * _TAIL):
        reading = _last_number_within(text[-reach:], whole=reach >= len(text))
        if reading is not None or reach >= len(text):
            return reading
    return None  # so far back a number is not what the completion ends on


def _last_number_within(window: str, whole: bool) -> Reading | None:
    """What the last "=" of the last number's sentence gives goes before the number itself."""
    spelt = prose(_DENIED.sub(" ", _LIST_MARK.sub(" ", window)))
    last = last_number(spelt)
    if last is None or not (whole or last.start > 0):
        return None  # a window may begin inside a number
    line = spelt.rfind("\n", 0, last.start) + 1
    sentence = max(line, spelt.rfind(". ", 0, last.start) + 1)
    equals = spelt.rfind("=", sentence, last.start)
    computed = read_number(spelt[equals + 1 :].partition("\n")[0]) if equals >= 0 else None
    return computed or (last.key, spelt[last.start : last.end].strip())


_CLOSING_NUMBER = re.compile(r"[\s*_]*(?:[^\W\d_]+[\s*_'-]{1,3}){0,4}[^\W\d_]{0,20}[.!*_\s\"')]*$")


def _ends_on(text: str, original: str, kind: AnswerType) -> Answer | None:
    """Formulas, undecided questions: a short completion as it is, the number its last sentence ends on, or words."""
    short = strip_markup(text)
    sentence = prose(_DENIED.sub(" ", _LIST_MARK.sub(" ", last_sentence(text[-_TAIL:]))))
    ending = last_number(sentence)
    if ending is not None and not _CLOSING_NUMBER.match(sentence, ending.end):
        ending = None
    closing = Answer(ending.key, sentence[ending.start : ending.end].strip(), False) if ending is not None else None
    if kind.name == "auto" and ending is not None and len(sentence[: ending.start].split()) >= 2:
        return closing
    if len(short) <= 120 and "\n" not in short:
        reading = read_math(short) if kind.name == "math" else read_any(short)
        if reading is not None and (
            kind.name != "math" or any(char.isdigit() for char in reading[0]) or len(short) < 40
        ):
            return Answer(*reading, committed=False)
    if closing is not None:
        return closing
    if kind.name == "math":
        number = _last_number(text)
        return Answer(*number, False) if number else None
    side = find_boolean(text) if len(short) <= 600 else None
    return Answer(side, side, False) if side else _whole(original)
