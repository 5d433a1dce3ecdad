"""A stated value as the question's words have it: without what they imply, in the form that they ask for.

Owns what only the question's words decide: "remainder 1" is 1 where a remainder is asked for, 1010_2 is 1010 in binary,
30% is 0.3 as a probability, 3 dozen are 3 where dozens are counted. Must not know how numbers are found, nor where in a
completion the value stood.
"""

from __future__ import annotations

import re
from fractions import Fraction

from dynscale_cli.answers.normalize import word_set
from dynscale_cli.answers.numbers import rational_key
from dynscale_cli.answers.quantities import as_quantity
from dynscale_cli.answers.text import repeats

_BETWEEN_TWO = re.compile(r"^[\s*_]*between ([$€£]?\d[\d.,]*) and (?=[$€£]?\d)", re.IGNORECASE)
_FROM_TO = re.compile(r"^([\s*_$€£]*)(?:(?:from|about|around) )?(\d[\d.,]*) (?:to|through|until) (?=[$€£]?\d)")
_RATIOS = frozenset({"ratio", "odds", "proportion", "scale"})
_RANGE_WORD = re.compile(r"(?<=\d) (?:to|through|until) (?=\d)")
_ABOUT = re.compile(
    r"^(?:(?:about|approximately|approx\.|around|roughly|circa|ca\.)\s|~|≈)\s?(?=[-$€£¥₹]?\d)", re.IGNORECASE
)
VERSION = re.compile(r"\d+(?:\.\d+)+")  # 3.10 is not 3.1
_WORDED_VALUE = re.compile(r"([^\W\d_]+(?: [^\W\d_]+){0,3}):? (?=[-$€£]?\d)")
_SCORE = re.compile(r"(\d+)\s?[-:]\s?(\d+)")
_CHANCES = word_set("probability chance chances odds likelihood fraction proportion")
_OUT_OF = re.compile(r"^(\d{1,6}) (?:in|out of) (?=\d)")


def as_asked(stated: str, topic: frozenset[str]) -> str:
    """A value as the question's words have it: "remainder 1" is 1, "3 to 2" the ratio 3:2, "3 - 2" a score."""
    if not any(char.isdigit() for char in stated):
        return stated
    worded = _WORDED_VALUE.match(stated)
    names = not topic.isdisjoint(("which", "who"))  # "World War 2", "Apollo 11"
    if worded is not None and not names and repeats(worded[1], frozenset((*topic, *(f"{word}s" for word in topic)))):
        stated = stated if repeats(worded[1], frozenset()) else stated[worded.end() :]  # "it returns 6"
    if "version" in topic:
        return stated.removeprefix("v")
    if not _RATIOS.isdisjoint(topic):
        stated = _RANGE_WORD.sub(":", stated)
    if not _CHANCES.isdisjoint(topic):
        stated = _OUT_OF.sub(r"\1/", stated)
    if not topic.isdisjoint(("score", "scoreline")):
        stated = _SCORE.sub(r"\1-\2", stated) if _SCORE.fullmatch(stated) else stated
    stated = range_in_digits(_ABOUT.sub("", stated))
    return _RANGE_WORD.sub("-", stated) if " " in stated else stated


def range_in_digits(text: str) -> str:
    """ "from 3 to 5" and "between 3 and 5" as 3-5."""
    return _BETWEEN_TWO.sub(r"\1-", _FROM_TO.sub(r"\1\2-", text))


_BASES = {"binary": "2", "octal": "8", "decimal": "10", "hexadecimal": "16", "hex": "16"}
_BASE = re.compile(
    r"(?<=[\da-fA-F)}])(?:_\s?\{?\(?(?P<low>\d{1,2})\)?\}?|(?P<sub>[₀-₉]{1,2})|"
    r"\s\(?(?:in )?base[ -]?(?P<base>\d{1,2})\)?|"
    rf"\s\(?(?:in )?(?P<name>{'|'.join(_BASES)})\)?)(?!\w)"
)
_DIGITS = re.compile(r"\\(?:mathrm|mathtt|texttt|text)\s?\{([\da-fA-F]+)\}")  # \mathrm{AB}_{16}
_IN_DOLLARS = re.compile(r"\$([\da-fA-F]+)\$")
_ARC = re.compile(
    r"(\d{1,3})\s?(?:°|degrees?)\s?(?:and )?(\d{1,2})\s?(?:'|(?:arc ?)?min(?:utes?)?\b)(?:\s?(\d{1,2})\s?(?:\"|''))?"
)


def without_base(content: str, topic: frozenset[str]) -> str:
    """1010_2 and 1010 (binary) as 1010 where binary is asked for; degrees and minutes of arc as degrees."""
    asked = {_BASES[word] for word in topic if word in _BASES} | (topic if "base" in topic else frozenset())
    if asked:
        content = _DIGITS.sub(r"\1", content)
        content = _BASE.sub(lambda mark: "" if _named_base(mark) in asked else mark.group(), content)
        content = _IN_DOLLARS.sub(r"\1", content)
    if "°" in content or "degree" in content:
        content = _ARC.sub(lambda arc: f"{rational_key(_degrees(arc))}°", content)
    return content


def _named_base(mark: re.Match[str]) -> str:
    lowered = "".join(str("₀₁₂₃₄₅₆₇₈₉".index(digit)) for digit in mark["sub"] or "")
    return mark["low"] or mark["base"] or lowered or _BASES[mark["name"]]


def _degrees(arc: re.Match[str]) -> Fraction:
    return int(arc[1]) + Fraction(int(arc[2]), 60) + Fraction(int(arc[3] or 0), 3600)


def as_chance(key: str, topic: frozenset[str]) -> str:
    """A percentage as the fraction that it is, where a probability is asked for, and not in percent."""
    if not key.endswith("%") or _CHANCES.isdisjoint(topic) or not topic.isdisjoint(("%", "percent", "percentage")):
        return key
    quantity = as_quantity(key)
    if quantity is None or not isinstance(quantity.value, Fraction):
        return key
    return rational_key(quantity.value / 100)


_CHOOSE = re.compile(
    r"\{\s*(\d+)\s*\\choose\s*(\d+)\s*\}|(?<!\w)C\(\s?(\d+),\s?(\d+)\s?\)|(?<!\w)(\d+)\s?C_?(\d+)(?!\w)"
)


def binomials(content: str) -> str:
    r"""{10 \choose 3}, C(10, 3) and 10C3 as \binom{10}{3}."""
    return _CHOOSE.sub(lambda found: "\\binom{{{}}}{{{}}}".format(*filter(None, found.groups())), content)


_IN_SCALES = {word: re.compile(rf" {word}s?\b") for word in ("dozen", "hundred", "thousand", "million", "billion")}


def in_scale(content: str, topic: frozenset[str]) -> str:
    """How many dozen? 3 dozen are 3 then."""
    for word, scale in _IN_SCALES.items():
        if word in topic:
            content = scale.sub("", content)
    return content


_INDEXED = re.compile(r"\b([a-z])(?:_\{?[1-9]\}?|[₁-₉])(?=\s?=)")


def without_indices(content: str, topic: frozenset[str]) -> str:
    """The roots x_1 = 2 and x_2 = 3 of an equation in x."""
    indexed = "=" in content and not any(word[-1] in "₁₂" or "_" in word for word in topic)
    return _INDEXED.sub(r"\1", content) if indexed else content


_UNEQUAL = re.compile(r"≠|\\neq?\b|!=")
# "x + 1, x ≠ 1", "x + 1 (for x ≠ 1)"
_PROVIDED = re.compile(
    r"(?:\s*,\s*|\s*\()(?:(?:for|where|when|if|with|provided(?: that)?)\s+)?\$?[a-z]\s*"
    r"(?:≠|\\neq?\b|!=)\s*-?[\w.]+\$?\)?\.?$"
)
_ALL_BUT = re.compile(
    r"(?:all |any )?(?:real numbers?|reals|real values|\$?\\mathbb\s?\{R\}|\$?\\R\b|ℝ)(?: of x)?,?\s*"
    r"(?:except(?: for)?|other than|but|\\setminus|\\backslash|\\)\s*(?:x\s*=\s*)?"
    r"(?:\\?\{)?(?P<point>[^{},]+?)(?:\\?\})?\$?"
)


def without_condition(content: str) -> str:
    """x + 1, where it is only said besides for which x that holds."""
    provided = _PROVIDED.search(content)
    stands = provided is not None and provided.start() and not _UNEQUAL.search(content, 0, provided.start())
    return content[: provided.start()] if provided is not None and stands else content


def all_but(stated: str) -> str | None:
    r""" "all real numbers except 3" as x \ne 3."""
    gap = _ALL_BUT.fullmatch(stated)
    return rf"x \ne {gap['point']}" if gap is not None else None


NO_SOLUTION = re.compile(
    r"(?:there (?:is|are) )?no (?:real |integer |valid |such )?(?:solutions?|roots?|values?)(?: exists?)?|none|"
    r"the empty set",
    re.IGNORECASE,
)
