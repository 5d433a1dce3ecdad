"""What a stated answer is: the key and the text of a piece of text that is known to hold an answer.

Owns the reading of one statement for each kind of answer. Must not know where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from dynscale_cli.answers.asked import (
    NO_SOLUTION,
    VERSION,
    all_but,
    as_asked,
    as_chance,
    binomials,
    in_scale,
    range_in_digits,
    without_base,
    without_condition,
    without_indices,
)
from dynscale_cli.answers.choices import LETTERS, plain_side, read_option, read_several, read_side, read_special
from dynscale_cli.answers.dates import holds_date, moment
from dynscale_cli.answers.normalize import prose, sign_of, strip_markup, without_dollars, word_set, words
from dynscale_cli.answers.numbers import rational_key, read_words
from dynscale_cli.answers.quantities import (
    Quantity,
    as_quantity,
    bare,
    numbers,
    spelt_out,
)
from dynscale_cli.answers.structures import CONSTANT, exact_math_key, math_key
from dynscale_cli.answers.text import (
    FILLER,
    SENTENCE_END,
    Reading,
    first_sentence,
    is_told,
    read_compound,
    read_identifier,
    read_json,
    read_sequence,
    read_text,
    states_nobody,
    states_none,
    without_quotes,
    without_reason,
    without_subject,
)
from dynscale_cli.answers.types import AnswerType

_NOT_BUT = re.compile(r"^[\s*_]*not\s+[^.,;\n]{1,40}\s+but\s+(?:rather\s+)?", re.IGNORECASE)


def read(content: str, kind: AnswerType, choices: Sequence[str] = ()) -> Reading | None:
    """(key, text) of a stated answer; None where it holds none of that kind. The key of the key is the key.

    What the question allows beside its kind ("answer 'unknown' if …") is an answer of every kind.
    """
    wording = kind.wording
    content = _NOT_BUT.sub("", content, count=1)
    special = read_special(content, wording.also)
    if special is not None:
        return special
    if kind.name in ("number", "math", "auto") and not choices:
        content = without_base(content, wording.topic)
        reading = _read_value(content, kind)
        return reading and (as_chance(reading[0], wording.topic), reading[1])
    return _read_choice_or_words(content, kind, choices)


def _read_value(content: str, kind: AnswerType) -> Reading | None:
    wording = kind.wording
    if kind.name == "number":
        said = strip_markup(content)
        if "many" in wording.topic and states_nobody(said):
            return "0", said
        return read_number(in_scale(binomials(content), wording.topic))
    if kind.name == "math":
        return read_math(without_subject(without_indices(content, wording.topic), wording.topic))
    content = without_indices(content, wording.topic)
    return _settled(read_any(content, wording.topic), wording.topic)


def _read_choice_or_words(content: str, kind: AnswerType, choices: Sequence[str]) -> Reading | None:
    wording = kind.wording
    if kind.name == "choice":
        return read_option(content, choices, wording.options, wording.labels)
    if kind.name == "boolean":
        return read_side(content, wording.options)
    if kind.name == "text":
        return read_text(content, wording.topic)
    return read_json(content) if kind.name == "json" else read_option(content, choices)


def read_loosely(content: str, kind: AnswerType, choices: Sequence[str] = ()) -> Reading | None:
    """Like `read`; where a kind that was only guessed does not fit, whatever is stated."""
    reading = read(content, kind, choices)
    return read(content, replace(kind, name="auto")) if reading is None and kind.guessed else reading


def _settled(reading: Reading | None, topic: frozenset[str]) -> Reading | None:
    """Words without their punctuation may read as a number or a side ("<: 0"); then that is their key."""
    for _ in range(4):
        if reading is None or _VALUE.fullmatch(reading[0]):
            return reading
        if reading[0][:1] in ("{", "[") and reading[0][-1:] in ("}", "]", ")"):
            return reading
        again = read_any(reading[0], topic)
        if again is None or again[0] == reading[0]:
            return again and (again[0], reading[1])
        reading = (again[0], reading[1])
    return reading


# --- numbers ---------------------------------------------------------------------------------------------------

_ASIDE = re.compile(
    r"[^\w$€£¥₹\\.√π({\[+-]*(?:approximately|about|around|roughly|exactly|only|just|a total of|≈|~|=|\\approx|\s|"
    r"\$|\()*",
    re.IGNORECASE,
)
_OPERATOR = re.compile(
    r"\s*(?:[-+*/×÷·^]|\\times|\\cdot|\\div|\\pm|plus\b|minus\b|times\b|divided\b|of\b)\s*(?:[($\\\d√]|[-+]\d)"
)
_ALTERNATIVE = re.compile(r"\s*(?:[^\W\d_]{1,20}\s*){0,2}(?:,|\bor\b|\band\b)")
_EMPHASIS = re.compile(r"\*\*([^*\n]{1,120})\*\*")
_STATED_NUMBER = re.compile(
    r"\b(?:is|are|was|be|equals|has|have|had|makes|make|earns|costs?|gets|needs|takes?|weighs?|comes? to|total of)\s+"
    r"(?:\w+ly\s+|about\s+)?[*_]{0,3}$",
    re.IGNORECASE,
)
# "30 eggs cost $7.50": the first number belongs to what the sentence is about.
_SUBJECT = re.compile(
    r"(?:\s+[^\W\d_]+){1,5}\s+(?:costs?|is|are|equals?|weighs?|takes?|makes?|comes?\s+to|would\s+cost|will\s+cost|will\s+take)\s+"
    r"(?:\w+ly\s+|about\s+)?[*_$€£]{0,4}\d[\d.,]*(?![\d.,])(?!\s*(?:more|less|fewer|times|of|greater|larger|smaller)\b)",
    re.IGNORECASE,
)
_OF_PARTS = re.compile(r"(\d{1,9})\s?分[の之]\s?(\d{1,9})")  # Japanese and Chinese say "of two parts, one"
_TO = re.compile(r"\b(\d{1,9})\s?(?:to|:)\s?(\d{1,9})\b")  # a ratio of 5 to 3
# "The answer is correct because 42/7 = 6": said of an answer, not the answer.
_VERDICT = re.compile(
    r"[\s*_]*(?:correct|right|wrong|incorrect|clear|obvious|simple|below|above|shown|not\s+(?:known|given|unique|"
    r"clear|correct))\b",
    re.IGNORECASE,
)
_ODDS = re.compile(r"^([\s*_]*\d{1,6}) in (\d{1,9})\b")
_ROOTS = re.compile(r"\b[a-z]\s?=\s?[^=]{1,20}(?:,|\band\b|\bor\b)\s*[a-z]\s?=")  # x = 2 or x = 3


def read_number(content: str) -> Reading | None:
    """The number stated: what the content begins with or computes, in bold, behind a verb, else the last one."""
    if _VERDICT.match(content):
        return None
    spelt = _OF_PARTS.sub(r"\2/\1", prose(content))
    if "ratio" in spelt:
        spelt = _TO.sub(r"\1:\2", spelt)
    spelt = _ODDS.sub(r"\1/\2", range_in_digits(spelt))
    if _IRRATIONAL.search(content):
        sentence = first_sentence(content)
        ends = [0, *(behind.end() for behind in _BEHIND_VERB.finditer(sentence))]
        constant = next((said for end in ends if (said := _computed(sentence[end:], CONSTANT)) is not None), None)
        if constant is not None:
            return constant
    start = _ASIDE.match(spelt)
    lead = start.end() if start is not None else 0
    found = list(numbers(spelt[:400]))
    if not found:
        return _several(content) or _computed(content) or _in_words(spelt)
    first = found[0]
    if (first.start <= lead and _ALTERNATIVE.match(spelt, first.end)) or "\\pm" in spelt or "{" in spelt[:3]:
        several = _several(content)
        if several is not None:
            return several
    if first.start <= lead and _SUBJECT.match(spelt, first.end) and len(found) > 1:
        return _shown(spelt, _most_stated(spelt, found))
    if first.start <= lead and not _OPERATOR.match(spelt, first.end) and "=" not in spelt[first.end : first.end + 3]:
        return _shown(spelt, first)
    if "=" in spelt:
        several = _several(content) if _ROOTS.search(spelt) else None
        if several is not None:
            return several
        right = spelt.rpartition("=")[2]
        return read_number(right) if any(char.isdigit() for char in right) else _shown(spelt, first)
    computed = _computed(first_sentence(content))
    if computed is not None:
        return computed
    return _emphasised(spelt) or _in_words(spelt) or _shown(spelt, _most_stated(spelt, found))


def _several(content: str) -> Reading | None:
    """ "5 or 6" is not 5."""
    said = strip_markup(first_sentence(content))
    key = exact_math_key(said)
    return (key, said) if key is not None and _SEVERAL.fullmatch(key) else None


def _shown(text: str, number: Quantity) -> Reading:
    return number.key, text[number.start : number.end].strip()


def _most_stated(text: str, found: list[Quantity]) -> Quantity:
    """In the first sentence that has a number: the last one behind a verb, else the last."""
    boundary = next((end.start() for end in SENTENCE_END.finditer(text) if end.start() >= found[0].end), len(text))
    inside = [number for number in found if number.start < boundary]
    stated = [number for number in inside if _STATED_NUMBER.search(text[max(0, number.start - 40) : number.start])]
    return (stated or inside or found)[-1]


def _emphasised(text: str) -> Reading | None:
    for bold in _EMPHASIS.finditer(text):
        inside = list(numbers(bold[1]))
        if inside:
            return _shown(bold[1], inside[0])
    return None


def _in_words(text: str) -> Reading | None:
    said = strip_markup(first_sentence(text))
    spelt = spelt_out(said)
    if spelt is not None:
        return spelt, said
    value = read_words(text.lstrip(" *_`'\"$("))
    return (rational_key(value), strip_markup(first_sentence(text))) if value is not None else None


_VALUE = re.compile(r"-?\d+(?:\.\d+)?(?:/\d+)?")
_SEVERAL = re.compile(r"\{-?\d[\d./]*(?:,-?\d[\d./]*)*\}|-?\d[\d./]*(?:, -?\d[\d./]*)+")
_IRRATIONAL = re.compile(r"\^\s?[({]?\s?(?:-?\d+\s?/|0?\.\d)|[√π]|\\pi\b|\\sqrt|\bsqrt\b|\bpi\b|\d\s?pi\b")


def _computed(content: str, wanted: re.Pattern[str] = _VALUE) -> Reading | None:
    """A formula with a value: 2^10, 3·4, √16; with `CONSTANT` also 12π and 2√3."""
    content = strip_markup(without_reason(content))
    if len(content) > 200 or not (any(char.isdigit() for char in content) or _IRRATIONAL.search(content)):
        return None
    key = exact_math_key(content)
    return (key, without_dollars(content)) if key is not None and wanted.fullmatch(bare(key)) else None


# --- formulas --------------------------------------------------------------------------------------------------

_INLINE = re.compile(r"\${1,2}([^$\n]{1,300})\${1,2}|\\\(([^\n]{1,300}?)\\\)|\\\[([^\n]{1,300}?)\\\]")


_BEHIND_VERB = re.compile(r"\b(?:is|are|equals|be|equal to|becomes|gives)\b[\s:]*")


_ALSO = re.compile(
    r"\s*\((?:or|i\.e\.,?|which|about|approximately|approx\.?|≈|=|\\\\approx)[^()]*\)\s*\.?$", re.IGNORECASE
)
_LEAD = re.compile(
    r"[\s*_]*(?:(?:so|thus|therefore|hence|then|finally|consequently|we (?:get|have|obtain|find|conclude)|this gives|"
    r"which gives|giving|it follows that|and|that|the (?:open |closed )?(?:interval|set|point))\b[,:]?\s*){1,4}",
    re.IGNORECASE,
)


def read_math(content: str) -> Reading | None:
    """The formula stated; of a sentence its formula between dollars, else its number."""
    content = without_condition(_ALSO.sub("", content.strip()))
    lead = _LEAD.match(content)
    content = content[lead.end() if lead is not None else 0 :] or content
    bare = strip_markup(without_reason(content))
    if (sign := sign_of(content)) is not None:
        return sign, sign
    if not bare or states_none(bare) or _VERDICT.match(bare):
        return None
    if NO_SOLUTION.fullmatch(bare):
        return r"\emptyset", bare
    if (gap := all_but(bare)) is not None and (key := exact_math_key(gap)) is not None:
        return key, bare
    for said in (bare, strip_markup(first_sentence(bare))):
        key = exact_math_key(said)
        if key is not None:
            return key, without_dollars(said)
    return _inline(content) or _math_in_sentence(strip_markup(first_sentence(bare)))


_LONE_VARIABLE = re.compile(r"\\?[a-zA-Z]+(?:_\{\w+\})?")


def _inline(content: str) -> Reading | None:
    """The last formula between delimiters that reads exactly; behind a lone variable what it is said to be."""
    for match in reversed(list(_INLINE.finditer(content))):
        formula = match[1] or match[2] or match[3]
        key = exact_math_key(formula)
        if key is not None:
            said = _behind_verb(content[match.end() :]) if _LONE_VARIABLE.fullmatch(key) else None
            return said or (key, formula.strip())
    return None


def _behind_verb(sentence: str) -> Reading | None:
    for behind in _BEHIND_VERB.finditer(sentence):
        said = strip_markup(sentence[behind.end() :])
        key = exact_math_key(said)
        if key is not None and not said.isalpha():
            return key, without_dollars(said)
    return None


def _math_in_sentence(sentence: str) -> Reading | None:
    """A sentence about a value; a formula that is not read exactly; words."""
    behind = _behind_verb(sentence)
    if behind is not None:
        return behind
    tokens = sentence.split()
    wordy = sum(token.isalpha() and len(token) > 2 for token in tokens) >= 3
    if wordy and any(char.isdigit() for char in sentence):
        return read_number(sentence)
    if FILLER.match(sentence):
        return None
    key = math_key(sentence)
    return (key, without_dollars(sentence)) if key is not None and any(char.isalnum() for char in key) else None


# --- whatever is there ----------------------------------------------------------------------------------------

_LETTER_ALONE = re.compile(
    r"[\s*_`'\"]*(?:\\text\s?\{)?(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Z])(?!\.\s?[A-Z]\.)(?:\s*[).:]|(?= only\b)))"
    r"(?:[\s*_`'\".}]|$)"
)
_INITIAL = re.compile(r"[A-Z]\.\s?[A-Z]")  # C. Darwin
_PERSONS = word_set("who whom whose author writer inventor name wer qui quién")
_SIDE_ALONE = re.compile(r"[\s*_`'\"(]*([^\W\d_]+)[\s*_`'\").!,。]*(?:$|[,.;!]\s)")
_LIST_ITEM = re.compile(r"[\[{]\s*[\"{\[]")


def read_any(content: str, topic: frozenset[str] = frozenset()) -> Reading | None:
    """Whatever is stated: JSON, a sign, a letter, a side, a number, a formula, else words."""
    bare = strip_markup(content)
    if (sign := sign_of(content)) is not None:
        return sign, sign
    if is_told(content, topic):
        said = without_quotes(content)
        return said.lower(), said
    if not bare or states_none(bare):
        return None
    several = read_several(content, topic) or (read_sequence(content) if "\\" not in content else None)
    if several is not None:
        return several
    code = content.strip(" \t\n`*'\".")
    if _COLOUR.fullmatch(code):
        return code.lower(), code
    compound = read_compound(bare)
    if compound is not None:
        return compound
    if _LIST_ITEM.match(bare.lstrip("`jsonJSON \n")):
        value = read_json(content)
        if value is not None:
            return value
    letter_alone = (
        None if _INITIAL.match(bare) and not topic.isdisjoint(_PERSONS) else _LETTER_ALONE.match(prose(content))
    )
    if letter_alone is not None and (letter_alone[1] or letter_alone[2]).upper() in LETTERS[:10]:
        letter = (letter_alone[1] or letter_alone[2]).upper()
        return letter, letter
    side_alone = _SIDE_ALONE.match(content)
    if side_alone is not None:
        side = plain_side(side_alone[1])
        if side is not None:
            return side, bare if len(bare) <= 12 else side_alone[1]
    identifier = read_identifier(bare, topic)
    if identifier is not None:
        return identifier
    return _value_or_words(strip_markup(without_subject(bare, topic)), topic)


_NUMBER_OF_A_NAME = re.compile(r"(\d+)\s(?:-\s|: )?([A-Z][a-z]*(?: [A-Za-z]+){0,4})")  # 404 Not Found
_MATHEMATICAL = re.compile(r"[\d\\=+*/^<>|√π∞∅±∪∩∈°$]|(?<!\w)-|\b(?:infinity|pi)\b|\bO\(")
_COLOUR = re.compile(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{1,5})?")


def _value_or_words(bare: str, topic: frozenset[str]) -> Reading | None:
    when = moment(bare)
    if when is not None:
        return when, bare
    counted = spelt_out(bare)
    if counted is not None:
        return counted, bare
    stated = strip_markup(without_reason(first_sentence(bare)))
    named = _NUMBER_OF_A_NAME.fullmatch(stated)
    if named is not None and named[1] in topic and topic.isdisjoint(words(named[2])):
        return read_text(named[2], topic)
    value = as_asked(stated, topic)
    if "version" in topic and VERSION.fullmatch(value):
        return value, stated
    measured = _measured(value) if "\\" not in stated else None
    if measured is not None:
        return measured, stated
    key = exact_math_key(value)
    mathematical = key is not None and _MATHEMATICAL.search(stated) is not None
    if key is not None and mathematical and not (_is_several_things(key, stated) or _names_something(stated)):
        return key, without_dollars(stated)
    if _begins_with_its_number(stated) and not _names_something(stated):
        return read_number(stated)
    inline = [match[1] or match[2] for match in _INLINE.finditer(bare)]
    if inline:
        return read_math(bare)
    if "\\" in stated or "=" in stated:
        return read_math(stated)
    return read_text(bare, topic)


_BETWEEN = re.compile(r"\s*[,;]\s+(?:and\s+)?|\s+and\s+")


def _measured(stated: str) -> str | None:
    """The key of a quantity with its unit, or of a list of such, where nothing else is said."""
    for members in ([stated], _BETWEEN.split(stated)):
        quantities = [as_quantity(member) for member in members[:40]]
        if all(found is not None and found.parts for found in quantities):
            return ", ".join(found.key for found in quantities if found is not None)
    return None


_ASIDES = re.compile(r"\([^()]*\)")
_THING = re.compile(r"\d[^\W\d_]{0,2}\s(?!and\b|und\b)[^\W\d_]{3,}")


def _is_several_things(key: str, stated: str) -> bool:
    """ "2 apples and 3 pears" are no two numbers."""
    members = key.split(", ")
    return len(members) > 1 and _THING.search(stated) is not None and all(bare(each) == each for each in members)


def _begins_with_its_number(stated: str) -> bool:
    """ "7 eggs" or "5 + 2 = 7 eggs"; not "19th century", nor "2 cups of flour and 3 eggs", which say more."""
    spelt = _ASIDES.sub("", prose(stated)[:400])
    found = list(numbers(spelt))
    if not found or found[0].start > 2 or len(stated) - found[0].end > 60:
        return False
    rest = spelt[found[0].end :]
    calculated = "=" in rest or _OPERATOR.match(rest) is not None
    return _ORDINAL.match(rest) is None and ";" not in rest and (calculated or not any(char.isdigit() for char in rest))


_ORDINAL = re.compile(r"(?:st|nd|rd|th)(?![^\W\d_])")


def _names_something(text: str) -> bool:
    """12 Angry Men, 5 May, 2020-05-01: with capitalised words or as a date, a number is a name."""
    if holds_date(text):
        return True
    return sum(token[:1].isupper() and token.isalpha() and len(token) > 1 for token in text.split()) >= 2
