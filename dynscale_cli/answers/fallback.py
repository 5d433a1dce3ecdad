"""What a completion ends on, when it states no answer in so many words.

Owns the reading of endings: a value in bold, behind the last "=", the last number that is no aside, a choice or a
side named last, words. Looks at the tail only. Must not be asked where an answer is stated: that goes before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dynscale_cli.answers.booleans import find_boolean
from dynscale_cli.answers.choices import find_choice, last_sentence
from dynscale_cli.answers.latex import prose
from dynscale_cli.answers.normalize import strip_markup
from dynscale_cli.answers.number_words import last_words
from dynscale_cli.answers.numbers import Quantity, last_number, numbers, rational_key
from dynscale_cli.answers.reading import (
    Reading,
    read,
    read_any,
    read_conclusion,
    read_constant,
    read_math,
    read_number,
    text_key,
)
from dynscale_cli.answers.types import AnswerType

Ending = tuple[Reading, bool]  # (key and text, whether it counts as committed: bold, or a closing "= …")

_NEAR = 240
_TAIL = 2400


def ending(text: str, original: str, kind: AnswerType, choices: Sequence[str] = ()) -> Ending | None:
    """What `text` (plain; `original` as generated) ends on, for a kind of answer; None where it ends on nothing."""
    if kind.name == "choice" or (kind.name == "auto" and choices):
        letter = _bold_choice(text, choices) or find_choice(text, choices)
        return ((letter, letter), False) if letter else None
    if kind.name == "boolean":
        side = find_boolean(text)
        return ((side, side), False) if side else None
    text = _without_check(_without_asides(text))
    if kind.name == "text":
        bold = _bold_words(text)
        return (bold, True) if bold is not None else _whole(original)
    closing = _closing(text, kind)
    if closing is not None:
        return closing, True
    if kind.name == "number":
        number = _in_words(text) or _last_number(text)
        return (number, False) if number is not None else None
    return _formula(text) if kind.name == "math" else _undecided(text, original)


_OFFER = re.compile(r"(?:^|[.!\n。])\s*[^.!?\n。]{1,200}\?\s*$")
_ASIDE = re.compile(r"(?<=[\w\d.)])\s*\([^()]{1,80}\)[\s.!]*$")


def _without_asides(text: str) -> str:
    """Without a closing question to the user ("Shall I explain the 3 steps?") or a closing parenthesis ("(7 + 5)")."""
    for pattern in (_OFFER, _ASIDE):
        head, tail = text[:-_NEAR], text[-_NEAR:]
        aside = pattern.search(tail)
        if aside is not None and any(char.isdigit() for char in tail[: aside.start()]):
            text = head + tail[: aside.start() + 1].rstrip("(")
    return text


_CHECK = re.compile(
    r"(?:\n|(?<=[.!?])\s)[ \t*_#>(]*(?:(?:you|we|i)\s+can\s+|let(?:'s|\s+me|\s+us)\s+|to\s+)?(?:quickly\s+)?"
    r"(?:double[- ]?)?(?:check|verify|verification|verifying|checking)\b"
    r"(?P<check>[^\n]{0,200}(?:\n[^\n]{1,200}){0,4})\s*$",
    re.IGNORECASE,
)
_OBJECTION = re.compile(
    r"\b(?:so|thus|therefore|hence|wait|not|no|actually|mistake|error|should|but|however|answer|wrong|instead|correction)\b|n't\b",
    re.IGNORECASE,
)


def _without_check(text: str) -> str:
    """Without a closing check ("Check: 4 · 13 = 52") that objects to nothing and concludes nothing."""
    head, tail = text[:-_TAIL], text[-_TAIL:]
    check = _CHECK.search(tail)
    if check is None or _OBJECTION.search(check["check"]) or not any(c.isdigit() for c in tail[: check.start()]):
        return text
    return head + tail[: check.start()]


# --- bold, and the last "=" ------------------------------------------------------------------------------------

_BOLD = re.compile(r"\*\*([^*\n]{1,160})\*\*|__([^_\n]{1,160})__")
_EQUALS_LAST = re.compile(r"(?:=|≈|\\approx)[ \t]*([^=\n≈]{1,120})$")


def _bolds(text: str) -> list[str]:
    return [match[1] or match[2] for match in _BOLD.finditer(text)]


def _bold_choice(text: str, choices: Sequence[str]) -> str | None:
    for bold in reversed(_bolds(text[-_TAIL:])):
        reading = read(bold, AnswerType("choice"), choices) if len(bold) <= 80 else None
        if reading is not None:
            return reading[0]
    return None


def _bold_words(text: str) -> Reading | None:
    """The only bold words of the last sentence ("… is **Paris**."), if they are few and no heading."""
    bolds = _bolds(last_sentence(text))
    if len(bolds) != 1 or bolds[0].rstrip().endswith(":") or len(bolds[0].split()) > 6 or len(text) > _TAIL:
        return None
    return read_any(bolds[0])


def _closing(text: str, kind: AnswerType) -> Reading | None:
    """A value in bold in the last sentence, the formulas it concludes with, or what the last "=" gives."""
    tail = text[-_TAIL:].rstrip()
    line = last_sentence(tail)
    for bold in reversed(_bolds(line)):
        reading = _full_value(bold, kind)
        if reading is not None:
            return reading
    if kind.name == "auto":
        bold_words = _bold_words(text)
        if bold_words is not None:
            return bold_words
    elif kind.name == "math" and "=" in line:
        concluded = read_conclusion(line)
        if concluded is not None:
            return concluded
    equals = _EQUALS_LAST.search(_last_line(tail).rstrip(" .*_$\\)]`"))
    return _full_value(equals[1], kind) if equals is not None else None


_SO = re.compile(r"[,;.]?\s+(?:so|thus|therefore|hence)\s+(?=[^=]*\d)", re.IGNORECASE)


def _concluded(right: str) -> str:
    """ "= 2.6, so 3 buses": what is concluded from a result goes before the result."""
    return _SO.split(right)[-1]


def _last_line(text: str) -> str:
    """The last line with more than markup on it."""
    lines = (line for line in reversed(text[-600:].split("\n")) if any(char.isalnum() for char in line))
    return next(lines, "")


def _full_value(content: str, kind: AnswerType) -> Reading | None:
    """A reading of `content` if it is a value with at most a few words of unit, not a heading or a sentence."""
    if content.rstrip().endswith(":") or not any(char.isdigit() or char in "\\=πexyn" for char in content):
        return None
    if sum(word.isalpha() for word in content.split()) > 3:
        return None
    reader = {"math": read_math, "number": read_number}.get(kind.name, read_any)
    return reader(content)


# --- the last number -------------------------------------------------------------------------------------------

_DENIED = re.compile(
    r"\b(?:not|isn't|n't be|rather than|instead of)\s+(?:equal to\s+)?[-$]?\d[\d.,]*",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(
    r"^[ \t*_#>]{0,6}(?:(?:step|part|case|equation|figure|method)\s+)?\(?\d{1,3}[.):](?=[ \t]+\S)",
    re.IGNORECASE | re.MULTILINE,
)


def _in_words(text: str) -> Reading | None:
    """The number that a last sentence counts in words, where it concludes or all is in words ("so five are left")."""
    sentence = last_sentence(text[-_TAIL:])
    if any(char.isdigit() for char in (sentence if _CONCLUSION.match(sentence) else text[-_TAIL:])):
        return None
    found = last_words(sentence)
    return (rational_key(found[0]), found[1]) if found is not None else None


def _last_number(text: str) -> Reading | None:
    """The last number that is no list mark and not denied, looked for from the end in windows that grow."""
    for reach in (_NEAR, _TAIL, 8 * _TAIL):
        reading = _last_number_within(text[-reach:], whole=reach >= len(text))
        if reading is not None or reach >= len(text):
            return reading
    return None  # so far back a number is not what the completion ends on


def _last_number_within(window: str, whole: bool) -> Reading | None:
    """What the last "=" of the last number's sentence gives goes before the number itself."""
    stated = _DENIED.sub(" ", _LIST_MARK.sub(" ", window))
    spelt = prose(stated)
    last = last_number(spelt)
    if last is None or not (whole or last.start > 0):
        return None  # a window may begin inside a number
    last = _without_whole(spelt, last)
    line = spelt.rfind("\n", 0, last.start) + 1
    sentence = max(line, spelt.rfind(". ", 0, last.start) + 1)
    equals = spelt.rfind("=", sentence, last.start)
    computed = read_number(_concluded(spelt[equals + 1 :].partition("\n")[0])) if equals >= 0 else None
    computed = computed or _restated(spelt, sentence, last)
    return computed or read_constant(last_sentence(stated)) or (last.key, spelt[last.start : last.end].strip())


_SHARE = re.compile(r"(?:%|\bpercent)\s+of\s+(?:the\s+)?[$€£]?$", re.IGNORECASE)


def _without_whole(spelt: str, last: Quantity) -> Quantity:
    """The 75% of "… is 75% of 60"."""
    if _SHARE.search(spelt[max(0, last.start - 30) : last.start]) is None:
        return last
    shares = list(numbers(spelt[max(0, last.start - 60) : last.start]))
    offset = max(0, last.start - 60)
    return Quantity(shares[-1].key, shares[-1].start + offset, shares[-1].end + offset) if shares else last


_RESULT = re.compile(r"=[ \t]*[*_$]{0,4}(?=[-+]?\s?(?:[$€£]\s?)?[\d.])")


def _restated(spelt: str, sentence: int, last: Quantity) -> Reading | None:
    """ "12 / 4 = 3 … It takes 3 hours to fill 12 tanks": the last result, where a given number closes the sentence."""
    results = list(_RESULT.finditer(spelt, 0, sentence))
    result = next(numbers(spelt[results[-1].end() : results[-1].end() + 60]), None) if results else None
    if result is None or result.start > 2:
        return None
    digits = spelt[last.start : last.end].strip(" $€£+-%")
    given = re.search(rf"(?<![\d.,]){re.escape(digits)}(?![\d.,]*\d)", spelt[: results[-1].start()])
    again = [number for number in numbers(spelt[sentence : last.start]) if number.key == result.key]
    if not again or last.key == result.key or given is None:
        return None
    return again[-1].key, spelt[sentence:][again[-1].start : again[-1].end].strip()


# --- formulas and undecided questions --------------------------------------------------------------------------

_CLOSING_NUMBER = re.compile(r"[\s*_]*(?:[^\W\d_]+[\s*_'-]{1,3}){0,4}[^\W\d_]{0,20}[.!*_\s\"')]*$")
_CONCLUSION = re.compile(r"\s*(?:so|thus|therefore|hence|in total|altogether|this means|total)\b", re.IGNORECASE)
_SHORT = 120


def _formula(text: str) -> Ending | None:
    """A short completion as it is, the formula or number that the last sentence ends on, the last number."""
    concluded = read_conclusion(last_sentence(text[-_TAIL:]))
    if concluded is not None:
        return concluded, False
    short = strip_markup(text)
    if len(short) <= _SHORT and "\n" not in short:
        reading = read_math(short)
        if reading is not None and (any(char.isdigit() for char in reading[0]) or len(short) < 40):
            return reading, False
    number = _closing_number(text) or _last_number(text)
    return (number, False) if number is not None else None


_OUTPUT = re.compile(r"\n[ \t]*```[a-z]{0,12}\n([^\n`]{1,120})\n[ \t]*```\s*$")  # a block of one line: what code prints


def _undecided(text: str, original: str) -> Ending | None:
    """Where the question does not tell: the value that the completion ends on, the side it takes, or its words."""
    short = strip_markup(text)
    sentence = last_sentence(text[-_TAIL:])
    number = _closing_number(text)
    single = len(short) <= len(strip_markup(sentence)) + 2
    if number is not None and len(sentence.split()) >= 3 and (single or _concludes(text, sentence)):
        return number, False
    if single and len(short) <= _SHORT:
        reading = read(short, AnswerType("auto"))
        if reading is not None:
            return reading, False
    output = _OUTPUT.search(text[-_NEAR:])
    if output is not None:
        reading = read(output[1], AnswerType("auto"))
        if reading is not None:
            return reading, False
    side = find_boolean(text) if len(short) <= 600 else None
    return ((side, side), False) if side else _whole(original)


def _concludes(text: str, sentence: str) -> bool:
    """Whether a last sentence sums up numbers said before, and does not merely mention one."""
    tail = text[-_TAIL:]
    return _CONCLUSION.match(sentence) is not None or "=" in tail or len(list(numbers(prose(tail)))) >= 3


def _closing_number(text: str) -> Reading | None:
    """The number that the last sentence ends on, but for a few words ("… 18 eggs left.")."""
    sentence = prose(_DENIED.sub(" ", _LIST_MARK.sub(" ", last_sentence(text[-_TAIL:]))))
    last = last_number(sentence)
    if last is None or _CLOSING_NUMBER.match(sentence, last.end) is None:
        return None
    return last.key, sentence[last.start : last.end].strip()


def _whole(original: str) -> Ending | None:
    shown = strip_markup(original)
    key = text_key(shown)
    return ((key, shown), False) if key else None
