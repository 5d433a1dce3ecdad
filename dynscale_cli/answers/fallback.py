"""What a completion ends on, when it states no answer in so many words.

Owns what still counts as stated (a short completion that is nothing but its answer, a first or last line that names
an option or a side, a label of the question's own, a value in bold or behind the last "=") and, for the rest, the last
number or the last words, which are a guess: such a sample is asked for its answer. Looks at the tail only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from dynscale_cli.answers.latex import prose
from dynscale_cli.answers.normalize import strip_markup, word_set, words
from dynscale_cli.answers.quantities import last_number
from dynscale_cli.answers.reading import read
from dynscale_cli.answers.text import Reading, last_sentence, text_key
from dynscale_cli.answers.types import AnswerType

Ending = tuple[Reading, bool]  # (key and text, whether it counts as committed)

_SHORT = 200
_TAIL = 2400
_WEAK_LABELS = word_set("conclusion verdict solution output decision choice selection response prediction final")
_LABELLED = re.compile(r"[\s*_#>-]*(?P<label>[^\W\d_][\w' ]{1,40}?)[*_]{0,2}\s?:[*_]{0,2}\s*(?P<said>\S[^\n]*)")
_FIRST = re.compile(
    r"[\s*_#>\"'`]*(?:yes|no|true|false|correct|incorrect)[*_\"'`]{0,3}(?:[.,;:!\n]|\s+-|\s*$)", re.IGNORECASE
)
_OPTION_FIRST = re.compile(r"[\s*_#>\"'`(\[]*(?:option\s+|choice\s+)?[A-J1-9][)\].:*_]", re.IGNORECASE)
_OPTION_LINE = re.compile(r"^[ \t*_#>(\[-]*(?:(?:option|choice)\s+)?([A-J1-9])[)\].:*_]", re.IGNORECASE | re.MULTILINE)
_MARKS = re.compile(r"\b([A-J])[).:](?=\s|$)")
_CHECK = re.compile(
    r"[\s*_#(]*(?:to\s+)?(?:double[- ]?)?(?:check|verify|verification|verifying|checking)\b", re.IGNORECASE
)
_SO = re.compile(r"\s*(?:so|thus|therefore|hence|then)\b", re.IGNORECASE)
_YES = re.compile(r"\b(?:yes|true|correct|right)\b", re.IGNORECASE)
_NO = re.compile(r"\b(?:no|false|incorrect|wrong|not)\b(?! wait)", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|incorrect|wrong|isn't|cannot)\b|[❌✗✘]", re.IGNORECASE)
_SENTENCES = re.compile(r"[.!?。;]\s+\S")
_BOTH = re.compile(r",?\s+(?:not|but|so|i\.e\.)\s", re.IGNORECASE)
_FEW_WORDS = 6
_SEVERAL = re.compile(r"\b(?:and|or)\b|,\s")
_BOLD = re.compile(r"\*\*([^*\n]{1,160})\*\*|__([^_\n]{1,160})__")
_EQUALS_LAST = re.compile(r"(?:=|≈|\\approx)[ \t]*([^=\n≈]{1,120})$")


def ending(text: str, original: str, kind: AnswerType, choices: Sequence[str] = ()) -> Ending | None:
    """What `text` (plain; `original` as generated) ends on, for a kind of answer; None where it ends on nothing."""
    found = _stated(text, kind, choices)
    if found is not None:
        return found, True
    if kind.name in ("number", "math"):
        number = last_number(prose(text[-_TAIL:]))
        if number is not None:
            return (number.key, prose(text[-_TAIL:])[number.start : number.end].strip()), False
    if kind.name not in ("auto", "text") and not kind.guessed:
        return None
    shown = strip_markup(original)
    key = text_key(shown)
    return ((key, shown), False) if key else None


def _stated(text: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    """What counts as said: bold words or a result at the end, a first or last line, all of a short completion."""
    last = _last_line(text)
    if _CHECK.match(last):
        return None
    closing = _closing(text, last, kind, choices)
    if closing is not None:
        return closing
    labelled = _LABELLED.fullmatch(last)
    if labelled is not None:
        label = words(labelled["label"])
        if all(word in kind.wording.topic or word in _WEAK_LABELS for word in label):
            reading = _read(labelled["said"], kind, choices)
            if reading is not None:
                return reading
    for line in dict.fromkeys((text.strip()[:300].partition("\n")[0], last)):
        if _names_one(line, text, kind):
            reading = read(line, kind, choices)
            if reading is not None:
                return reading
    return _whole(text, kind, choices)


def _names_one(line: str, text: str, kind: AnswerType) -> bool:
    """Whether a line begins with a side or an option, and the completion names no other."""
    if kind.name == "boolean":
        return _FIRST.match(line) is not None and not (_YES.search(text) and _NO.search(text))
    if kind.name == "choice" and _OPTION_FIRST.match(line) and len(set(_MARKS.findall(line))) < 2:
        return len(set(_OPTION_LINE.findall(text))) == 1 and not _DENIED.search(line)
    return False


def _whole(text: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    """A completion of one sentence that is its answer, not a piece of reasoning."""
    short = strip_markup(text)
    if len(short) > _SHORT or "\n" in short or len(_SENTENCES.findall(short)) or _BOTH.search(short):
        return None
    reading = _read(text.strip(), kind, choices)
    if reading is None or kind.name in ("text", "math", "number"):
        return reading
    if kind.name == "choice" and len(set(_OPTION_LINE.findall(text.replace(" ", "\n")))) > 1:
        return None
    return reading if len(reading[1].split()) <= _FEW_WORDS and not _SO.match(short) else None


def _read(said: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    return read(said, kind, choices) or (read(said, replace(kind, name="auto")) if kind.guessed else None)


def _last_line(text: str) -> str:
    """The last line with more than markup on it."""
    lines = (line for line in reversed(text[-_TAIL:].split("\n")) if any(char.isalnum() for char in line))
    return next(lines, "").strip()


def _closing(text: str, last: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    """The only bold words of the last sentence, or what the last "=" gives."""
    sentence = last_sentence(text[-_TAIL:])
    bolds = [match[1] or match[2] for match in _BOLD.finditer(sentence)]
    if len(bolds) == 1 and not bolds[0].rstrip().endswith(":") and len(bolds[0].split()) <= 8:
        return _read(bolds[0], kind, choices)
    if kind.name in ("number", "math", "auto"):
        equals = _EQUALS_LAST.search(last.rstrip(" .*_$\\)]`"))
        several = sentence.count("=") > 1 and _SEVERAL.search(sentence) is not None
        if equals is not None and not several and sum(word.isalpha() for word in equals[1].split()) <= 3:
            return _read(equals[1], kind, choices)
    return None
