"""Number words, English and Chinese, that an answer begins with: "twenty-five", "two and a half", "一百二十".

Owns that small grammar. Must not know of digits or of the text around an answer.
"""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_SMALL = {**_UNITS, **_TENS, "fourty": 40}
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
_DOZENS = ((["a", "dozen"], 12), (["half", "a", "dozen"], 6))
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10,
}  # fmt: skip
_LEADING = re.compile(r"(?:(?:about|approximately|around|exactly|only|just|roughly|a total of|there are)\s+)+")
_WORD = re.compile(r"[a-z]+")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz -")
# "One of them", "one should": a pronoun.
_PRONOUN_TAIL = frozenset({"of", "should", "can", "must", "has", "is", "could", "would", "might", "who", "that"})
_MOST_WORDS = 24
_LONGEST = 200


def read_words(text: str) -> Fraction | None:
    """The number that `text` begins with in English words; None if it begins otherwise."""
    lowered = text[:400].lower().strip()
    if lowered[:1] in _HAN:
        return _han(lowered)
    leading = _LEADING.match(lowered)
    words = _WORD.findall(lowered[leading.end() if leading else 0 :])[:_MOST_WORDS]
    negative = bool(words) and words[0] in ("minus", "negative")
    words = words[negative:]
    value, used = _amount(words)
    if value is None or (words[:1] == ["one"] and used == 1 and words[1:2] and words[1] in _PRONOUN_TAIL):
        return None
    return -value if negative else value


def spelt_out(text: str) -> Fraction | None:
    """The number that all of a text is in English words ("twenty-five"); None for anything else."""
    lowered = text[:_LONGEST].strip().lower()
    words = _WORD.findall(lowered)
    if (
        len(text) > _LONGEST
        or not 0 < len(words) <= _MOST_WORDS
        or not set(lowered) <= _LETTERS
        or words[0] not in {*_SMALL, "minus", "a"}
    ):
        return None
    negative = words[0] == "minus"
    value, used = _amount(words[negative:])
    return None if value is None or used + negative < len(words) else -value if negative else value


_COUNTED = re.compile(
    r"\b(?:is|are|was|were|has|have|had|be|leaves|left with|makes|gets?|gives|equals|needs?|so|total of|only|just|"
    r"exactly)\s+(?:only\s+|just\s+|exactly\s+|a\s+total\s+of\s+)?(?=[a-z])",
    re.IGNORECASE,
)


def last_words(text: str) -> tuple[Fraction, str] | None:
    """(number, its words) counted last in a sentence, behind a verb; "one" may be a pronoun and does not count."""
    for verb in reversed(list(_COUNTED.finditer(text[-400:]))):
        said = text[-400:][verb.end() :]
        words = _WORD.findall(said.lower())[:_MOST_WORDS]
        value, used = _amount(words)
        if value is not None and words[:used] != ["one"]:
            return value, " ".join(words[:used])
    return None


def _amount(words: list[str]) -> tuple[Fraction | None, int]:
    """(value, words used): a whole number, a part of one, or both ("two and a half")."""
    if words and words[0] in _TIMES:
        return Fraction(_TIMES[words[0]]), 1
    for dozen, number in _DOZENS:
        if words[: len(dozen)] == dozen:
            return Fraction(number), len(dozen)
    whole, used = _whole(words)
    if whole is None:
        if words[:1] == ["half"] or words[:2] == ["a", "half"]:
            return Fraction(1, 2), len(words[:2])
        return None, 0
    if used < len(words) and words[used] in _PARTS:
        return Fraction(whole, _PARTS[words[used]]), used + 1
    rest = words[used : used + 3]
    if rest == ["and", "a", "half"] or rest[:2] == ["and", "half"]:
        return whole + Fraction(1, 2), used + len(rest)
    if rest == ["and", "a", "quarter"]:
        return whole + Fraction(1, 4), used + 3
    return Fraction(whole), used


def _whole(words: list[str]) -> tuple[int | None, int]:
    """(value, words used) of the longest leading whole number."""
    total = group = used = 0
    seen = False
    for index, word in enumerate(words):
        if word in _SMALL:
            if seen and word in _UNITS and group % 10 and index == used:
                break  # "five six" is two numbers
            group += _SMALL[word]
        elif word == "hundred" and seen:
            group = (group or 1) * 100
        elif word in _LARGE and seen:
            total, group = total + (group or 1) * _LARGE[word], 0
        elif word == "a" and words[index + 1 : index + 2] and words[index + 1] in ("hundred", *_LARGE) and not seen:
            group = 1
        elif word == "and" and seen and words[index + 1 : index + 2] and words[index + 1] in _SMALL:
            if group % 100 or not (group or total):
                break  # "five and six"
            continue
        else:
            break
        seen, used = True, index + 1
    return (total + group, used) if seen and words[:used] != ["a"] else (None, 0)


_HAN = {char: value for value, char in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
    "十": 10,
    "百": 100,
    "千": 1000,
}
_HAN_LARGE = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}


def _han(text: str) -> Fraction | None:
    """一百二十 and its like; None where the numeral is followed by more than a counter."""
    total = section = digit = used = 0
    for char in text:
        if char in _HAN_LARGE:
            total, section, digit = total + (section + digit) * _HAN_LARGE[char], 0, 0
        elif _HAN.get(char, 0) >= 10:
            section, digit = section + (digit or 1) * _HAN[char], 0
        elif char in _HAN:
            digit = _HAN[char]
        else:
            break
        used += 1
    return Fraction(total + section + digit) if len(text) - used <= 4 else None
