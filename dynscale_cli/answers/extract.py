"""From a completion to the answer it commits itself to.

Owns the order of belief: the last committed answer counts; without one, an ending that cannot be meant otherwise.
Everything else is "no answer", which is None and never votes: such a sample is asked for its answer. A guessed kind
gives way where a statement says something else. Linear in the completion, and never raises on any text. Thoughts are
gone before.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dynscale_cli.answers.cues import Statement, statements
from dynscale_cli.answers.normalize import lower, plain, strip_markup, word_set, words
from dynscale_cli.answers.reading import read, read_loosely, read_math
from dynscale_cli.answers.text import (
    FILLER,
    Reading,
    asks_for_output,
    is_told,
    last_sentence,
    read_json,
    states_none,
    text_key,
)
from dynscale_cli.answers.types import AnswerType

if TYPE_CHECKING:
    from dynscale_cli.child import Child


@dataclass(frozen=True, slots=True)
class Answer:
    """`key`: canonical, votes are counted by it; `text`: as shown."""

    key: str
    text: str


def extract(completion: str, kind: AnswerType, *, choices: Sequence[str] = ()) -> Answer | None:
    """The answer of what a completion says (its thoughts are gone), None if it gives none.

    `choices`: options of a multiple-choice question, in order.
    """
    reading = _extract(completion.strip(), kind, choices)
    return Answer(*reading) if reading is not None else None


_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>|^<answer>|</answer>$")
# Where a base model, its answer given, goes on to ask and answer something else.
_RUN_ON = re.compile(
    r"\n[ \t*_#]{0,6}(?:(?:next\s+|new\s+)?(?:question|problem|exercise)\s{0,2}\d{0,4}\s?[:.]|q\s?\d{0,4}\s?:|"
    r"(?:user|human|student)\s?:|### ?instruction|<\|(?:im_start|start_header_id)\|>\s?user)",
    re.IGNORECASE,
)


# A statement inside a wrapper, which is no part of it: <answer>Answer: Canberra</answer>.
_WRAPPED = re.compile(
    r"<(?P<tag>[a-z_]{3,20}|\|begin_of_box\|)>(?P<inner>[^<>]*\banswer\b[^<>:\n]{0,20}:[^<>]+)<(?:/(?P=tag)|\|end_of_box\|)>",
    re.IGNORECASE,
)


def _extract(said: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    if kind.name == "regex":
        return last_match(kind.pattern, said)
    if kind.long:
        said = _BOX.sub("", said).strip()
        key = text_key(said)
        return (key, said) if key else None
    if kind.name == "json":
        found = read_json(said, anywhere=True)
        if found is not None or not kind.guessed:
            return found
    text = plain(_WRAPPED.sub(r"\g<inner>", said) if "<" in said else said)
    lowered = lower(text)
    run_on = _RUN_ON.search(text)
    if run_on is not None:
        reading, _ = _committed(text[: run_on.start()], lowered[: run_on.start()], kind, choices)
        if reading is not None:
            return reading
    reading, dangling = _committed(text, lowered, kind, choices)
    return reading if reading is not None or dangling else _ending(text, kind, choices)


# --- what is stated --------------------------------------------------------------------------------------------


def _committed(text: str, lowered: str, kind: AnswerType, choices: Sequence[str]) -> tuple[Reading | None, bool]:
    """(last committed answer, whether the text breaks off behind "Answer:" with nothing stated)."""
    dangling = False
    revision: Reading | None = None
    other: Reading | None = None
    asked = kind.wording.labels_asked or (_OUTPUT_LABELS if asks_for_output(kind.wording.topic) else ())
    for statement in statements(text, lowered, asked):
        if statement.form == "initial" and kind.name == "choice":
            continue  # "A: …" names a choice there
        if statement.form == "revision":
            revision = revision or read(statement.content, kind, choices)
            continue
        content = strip_markup(statement.content)
        if not content and not is_told(statement.content, kind.wording.topic):
            dangling = dangling or not text[statement.end :].strip(" *_#\n\t:`$")
            continue
        if statement.form in ("sentence", "reverse") and _says_nothing(content, kind):
            continue
        said = _list(text, statement, kind) or _calmly(statement) + _further_lines(text, statement, kind)
        reading = _boxes(text, statement, kind) or read(said, kind, choices)
        if reading is not None:
            return revision or reading, False
        if states_none(content):
            return None, True
        if kind.guessed and other is None:
            # The question was taken for one that wants a number, say, and this sample answers otherwise.
            other = read(said, replace(kind, name="auto"))
            if other is not None and statement.form != "sentence":
                break
    return other, dangling


_OUTPUT_LABELS = ("output:", "the output is:", "the output will be:", "it prints:", "this prints:")
# A sentence that breaks off or refers back: "The answer is the", "3 + 4 = 7, which is the answer".
_POINTERS = word_set("which that this these those it the an as of in to so")


def _says_nothing(content: str, kind: AnswerType) -> bool:
    """Whether what a sentence states is only its beginning, or what stands elsewhere."""
    said = content.casefold().strip(" .,:;").split()
    cut_short = kind.guessed and kind.name == "number" and said == ["a"]
    return cut_short or (bool(said) and _POINTERS.issuperset(said)) or FILLER.fullmatch(content) is not None


def _calmly(statement: Statement) -> str:
    """ "The answer is 42!" says 42 with pleasure; a factorial stands in a box or between dollars."""
    content = statement.content
    worded = statement.form in ("sentence", "label") and not set(content) & {"$", "\\"}
    excited = len(content) > 2 and content.rstrip(" *_").endswith("!")
    return content.rstrip("!*_ ") if worded and excited else content


_LINES = re.compile(r"(?:\n[ \t]*\S+(?:[ \t]\S+){0,4}){1,40}(?=\s*\Z|[ \t]*\n[ \t]*\n)")


def _further_lines(text: str, statement: Statement, kind: AnswerType) -> str:
    """What a program prints is all the short lines behind its label."""
    if statement.form != "label" or not asks_for_output(kind.wording.topic):
        return ""
    lines = _LINES.match(text, statement.end)
    return lines.group() if lines is not None else ""


_ITEM = re.compile(r"\s*(?:(?P<bullet>[-*•+])|(?P<number>\d{1,2})[.)])[ \t]+(?P<said>\S.*?)[ \t]*$", re.MULTILINE)
_NUMBERED = re.compile(r"(?:^|(?<=[\s,;]))(\d{1,2})[.)]\s+")
_MOST_WORDS = 8
_MOST_ITEMS = 40


def _list(text: str, statement: Statement, kind: AnswerType) -> str | None:
    """The items of a list that is stated, one a line or numbered in one, with commas between them."""
    if statement.form not in ("label", "sentence") or kind.name not in ("auto", "text", "math"):
        return None
    line = text.rfind("\n", 0, statement.end) + 1
    items: list[str] = []
    first = item = _ITEM.match(text, line if line > statement.start else statement.end - len(statement.content))
    while (
        item is not None
        and first is not None
        and len(items) <= _MOST_ITEMS
        and bool(item["bullet"]) == bool(first["bullet"])
    ):
        items.append(item["said"])
        item = _ITEM.match(text, item.end())
    if len(items) < 2:
        marks = list(_NUMBERED.finditer(statement.content[:400]))
        if len(marks) < 2 or [int(mark[1]) for mark in marks] != list(range(1, len(marks) + 1)):
            return None
        ends = [*(mark.start() for mark in marks[1:]), len(statement.content)]
        items = [statement.content[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]
    if len(items) > _MOST_ITEMS:
        return None
    items = [strip_markup(item.rstrip(" ,;*_")) for item in items]
    short = all(item and len(item.split()) <= _MOST_WORDS for item in items)
    return ", ".join(items) if short else None


_BETWEEN_BOXES = re.compile(
    r"(?:[\s$,;\\()&.]|\\q?quad|\\text\s?\{[^{}]{0,12}\}|\b(?:and|or|also|either|else|und|oder|et|ou|y|o)\b){0,24}"
    r"(?P<name>[a-zA-Z](?:_\{?\w\}?)?)?\s{0,2}=?\s{0,2}\$?"
)


def _boxes(text: str, last: Statement, kind: AnswerType) -> Reading | None:
    """x = \\boxed{1} or x = \\boxed{2}: boxes that one sentence joins are one answer."""
    if last.form != "box" or kind.name not in ("math", "auto", "number"):
        return None
    contents, start, joint = [last.content], last.start, ", "
    near = text.count("boxed", max(0, start - 400), start)
    for previous in statements(text[:start], lower(text[:start])) if near else ():
        between = _BETWEEN_BOXES.fullmatch(text[previous.end : start])
        if previous.form != "box" or between is None:
            break
        joint = " or " if re.search(r"\b(?:or|oder|ou)\b", between.group()) else joint
        contents.append(previous.content)
        start = previous.start
    return read_math(joint.join(reversed(contents))) if len(contents) > 1 else None


# --- what a completion ends on ---------------------------------------------------------------------------------

_SHORT = 200  # characters of a completion that may be nothing but its answer
_TAIL = 2400
_FEW_WORDS = 6
_WEAK_LABELS = word_set("conclusion verdict solution output decision choice selection response prediction final")
_LABELLED = re.compile(r"[\s*_#>-]*(?P<label>[^\W\d_][\w' ]{1,40}?)[*_]{0,2}\s?:[*_]{0,2}\s*(?P<said>\S[^\n]*)")
_SIDE_FIRST = re.compile(
    r"[\s*_#>\"'`]*(?:yes|no|true|false|correct|incorrect)[*_\"'`]{0,3}(?:[.,;:!\n]|\s+-|\s*$)", re.IGNORECASE
)
_OPTION_FIRST = re.compile(r"[\s*_#>\"'`(\[]*(?:option\s+|choice\s+)?[A-J1-9][)\].:*_]", re.IGNORECASE)
_OPTION_LINE = re.compile(r"^[ \t*_#>(\[-]*(?:(?:option|choice)\s+)?([A-J1-9])[)\].:*_]", re.IGNORECASE | re.MULTILINE)
_MARKS = re.compile(r"\b([A-J])[).:](?=\s|$)")
_CHECK = re.compile(
    r"[\s*_#(]*(?:to\s+)?(?:double[- ]?)?(?:check|verify|verification|verifying|checking)\b", re.IGNORECASE
)
# "12 + 30 =", "12 + 30 = 42. Then subtract"
_BREAKS_OFF = re.compile(r"(?:[=:,(]|[\w)]\s[-+*/×÷<>])$|[.,;]\s+(?:then|now|next)\s[^.]*$", re.IGNORECASE)
_PLAN = re.compile(
    r"[\s*_#]*(?:let(?:'s|\s+us|\s+me)|(?:first|next|now)(?:ly)?,?\s+(?:we|i|let)|hmm|we\s+(?:need|have|can|must|should|want)|"
    r"to\s+(?:find|solve|determine|answer|calculate|compute)|suppos\w+|assum\w+|consider|step\s+1)\b|[^?.!]*\?\s+\S",
    re.IGNORECASE,
)
_SUM = re.compile(r"[-\d\s$(.,]*\d\s?(?:[+*×÷]|\s-\s|\\times|\\cdot|\\div)(?!\s?10\s?(?:\^|\*\*))[^=≈a-z]*")
_SO = re.compile(r"\s*(?:so|thus|therefore|hence|then)\b", re.IGNORECASE)
_YES = re.compile(r"\b(?:yes|true|correct|right)\b", re.IGNORECASE)
_NO = re.compile(r"\b(?:no|false|incorrect|wrong|not)\b(?! wait)", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|incorrect|wrong|isn't|cannot)\b|[❌✗✘]", re.IGNORECASE)
_GOES_ON = re.compile(r"\n|[.!?。;]\s+\S|,?\s+(?:not|but|so|i\.e\.)\s", re.IGNORECASE)
_SEVERAL = re.compile(r"\b(?:and|or)\b|,\s")
_BOLD = re.compile(r"\*\*([^*\n]{1,160})\*\*|__([^_\n]{1,160})__")
_EQUALS_LAST = re.compile(r"(?:=|≈|\\approx)[ \t]*([^=\n≈]{1,120})$")


def _ending(text: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    """What counts as stated without a label: bold words or a result at the end, a first or last line, all of it."""
    lines = (line for line in reversed(text[-_TAIL:].split("\n")) if any(char.isalnum() for char in line))
    last = next(lines, "").strip()
    if _CHECK.match(last) or (len(last) > 1 and _BREAKS_OFF.search(last[-80:])):
        return None
    closing = _closing(text, last, kind, choices) or _behind_own_label(last, kind, choices)
    if closing is not None:
        return closing
    for line in dict.fromkeys((text[:300].partition("\n")[0], last)):
        reading = read(line, kind, choices) if _names_one(line, text, kind) else None
        if reading is not None:
            return reading
    return _whole(text, kind, choices)


def _closing(text: str, last: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    """The only bold words of the last sentence, or what the last "=" gives."""
    sentence = last_sentence(text[-_TAIL:])
    bolds = [match[1] or match[2] for match in _BOLD.finditer(sentence)]
    if len(bolds) == 1 and not bolds[0].rstrip().endswith(":") and len(bolds[0].split()) <= 8:
        return read_loosely(bolds[0], kind, choices)
    if kind.name in ("number", "math", "auto"):
        equals = _EQUALS_LAST.search(last.rstrip(" .*_$\\)]`"))
        several = sentence.count("=") > 1 and _SEVERAL.search(sentence) is not None
        if equals is not None and not several and sum(word.isalpha() for word in equals[1].split()) <= 3:
            return read_loosely(equals[1], kind, choices)
    return None


def _behind_own_label(last: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    """ "Capital: Paris", where the question had the word, or "Verdict: no"."""
    labelled = _LABELLED.fullmatch(last)
    known = kind.wording.topic | _WEAK_LABELS
    if labelled is None or not known.issuperset(words(labelled["label"])):
        return None
    return read_loosely(labelled["said"], kind, choices)


def _names_one(line: str, text: str, kind: AnswerType) -> bool:
    """Whether a line begins with a side or an option, and the completion names no other."""
    if kind.name == "boolean":
        return _SIDE_FIRST.match(line) is not None and not (_YES.search(text) and _NO.search(text))
    if kind.name == "choice" and _OPTION_FIRST.match(line) and len(set(_MARKS.findall(line))) < 2:
        return len(set(_OPTION_LINE.findall(text))) == 1 and not _DENIED.search(line)
    return False


def _whole(text: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    """A completion of one sentence that is its answer, not a piece of reasoning."""
    short = strip_markup(text)
    if len(short) > _SHORT or _GOES_ON.search(short) or _PLAN.match(short):
        return None
    if kind.name == "number" and _SUM.fullmatch(short):
        return None  # what is asked, not what it comes to
    reading = read_loosely(text, kind, choices)
    if reading is None or kind.name in ("text", "math", "number"):
        return reading
    if kind.name == "choice" and len(set(_OPTION_LINE.findall(text.replace(" ", "\n")))) > 1:
        return None
    return reading if len(reading[1].split()) <= _FEW_WORDS and not _SO.match(short) else None


# --- by a pattern of the user's --------------------------------------------------------------------------------

SECONDS = 1.0  # that one completion's search may take: `(a+)+$` may try for longer than anyone can wait
_REACH = 200_000


def last_match(pattern: str, text: str) -> Reading | None:
    """(key, text) of the last match's first group, or of all of it; None where nothing matches within the limit.

    A pattern that ignores case makes answers that differ in case one vote.
    """
    said = _matched_in_time(pattern, text[-_REACH:])
    key = " ".join(plain(said).split())
    ignores_case = re.compile(pattern).flags & re.IGNORECASE
    return (key.casefold() if ignores_case else key, said) if said else None


def matched(asked: Sequence[str]) -> str:
    """What `last_match` shows, of a pattern and a text; empty where nothing matches."""
    pattern, text = asked
    last = next(iter(deque(re.compile(pattern).finditer(text), maxlen=1)), None)
    if last is None:
        return ""
    return next((group for group in last.groups() if group is not None), last.group()).strip()


_matchers: list[Child] = []  # one that waits, at most
_matching = threading.Lock()


def _matched_in_time(pattern: str, text: str) -> str:
    """As `matched`, by a child process, which is ended after SECONDS: nothing else stops a match in every thread."""
    from dynscale_cli.child import Child, ChildError

    with _matching:
        try:
            matcher = _matchers.pop() if _matchers else Child(f"{__name__}:matched")
        except OSError:  # no process can be started here
            return matched((pattern, text))
        try:
            said: str = matcher.ask((pattern, text), SECONDS)
        except ChildError:
            matcher.close()
            return ""
        _matchers.append(matcher)
        return said
