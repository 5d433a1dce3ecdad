"""Numbers that stand alone, and the one way each is written.

Owns decimal text -> `Fraction` (or `Huge`, where writing the value out would cost memory), the separators of
different countries ("1,234.50", "1.234,50"), number words, English and Chinese ("two and a half", "一百二十"), and the
key of a rational: nothing here is ever a float. Must not know units, nor the text around them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

# Digits that a value may need when written out. Python's own limit on int <-> str is 4300.
DIGITS = 1000
_EXPONENT_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Huge:
    """±digits · 10^exponent, `digits` without a zero at either end: too long to write out."""

    negative: bool
    digits: str
    exponent: int

    @property
    def key(self) -> str:
        return f"{'-' if self.negative else ''}{self.digits}e{self.exponent}"

    def __neg__(self) -> Huge:
        return Huge(not self.negative, self.digits, self.exponent)


def literal(whole: str, fraction: str = "", exponent: str = "0") -> Fraction | Huge | None:
    """The value of `whole.fraction · 10^exponent` (ASCII digits); None where even the exponent is absurd."""
    negative_power = exponent.startswith("-")
    power_digits = exponent.lstrip("+-").lstrip("0")
    if len(power_digits) > _EXPONENT_DIGITS:
        return None
    power = int(power_digits or "0")
    power = (-power if negative_power else power) - len(fraction)
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return Fraction(0)
    shortened = digits.rstrip("0")
    power += len(digits) - len(shortened)
    if len(shortened) + abs(power) > DIGITS:
        return Huge(False, shortened, power)
    return Fraction(int(shortened) * 10**power) if power >= 0 else Fraction(int(shortened), 10**-power)


def rational_key(value: Fraction) -> str:
    """`12`, `0.25`, `1/3`: a decimal where it ends soon, else numerator/denominator in lowest terms."""
    numerator, denominator = value.numerator, value.denominator
    if denominator == 1:
        return str(numerator)
    places = _decimal_places(denominator)
    if places is None:
        return f"{numerator}/{denominator}"
    digits = str(abs(numerator) * 10**places // denominator).rjust(places + 1, "0")
    return f"{'-' if numerator < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _decimal_places(denominator: int, most: int = 12) -> int | None:
    """Decimal places of 1/denominator; None if it does not end within `most`."""
    if 10**most % denominator:
        return None
    places = 1
    while 10**places % denominator:
        places += 1
    return places


def value_key(value: Fraction | Huge) -> str:
    return value.key if isinstance(value, Huge) else rational_key(value)


# --- digits with separators ------------------------------------------------------------------------------------

_GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}")


def read_digits(body: str) -> tuple[str, str] | None:
    """(whole, fraction) digits of a literal; None where its separators have no single reading."""
    separators = [char for char in body if not char.isdigit()]
    if not separators:
        return body, ""
    last = separators[-1]
    whole, _, fraction = body.rpartition(last)
    kinds = set(separators)
    if len(kinds) == 1 and last in ",. '_":
        return _one_separator(body, last, len(separators))
    # Two kinds of separator: the last is the decimal one, the other groups thousands.
    if len(kinds) == 2 and last in ".," and separators.count(last) == 1:
        grouped = whole.replace(separators[0], ",")
        if _GROUPED.fullmatch(grouped):
            return grouped.replace(",", ""), fraction
    return None


def _one_separator(body: str, separator: str, count: int) -> tuple[str, str] | None:
    whole, _, fraction = body.rpartition(separator)
    if separator == "." and count == 1:
        return whole, fraction
    if _GROUPED.fullmatch(body.replace(separator, ",")):
        return body.replace(separator, ""), ""
    # "0,5" and "3,14" can only be decimals; "1,234" was taken as thousands above.
    if separator == "," and count == 1:
        return whole, fraction
    return None


def body_value(body: str) -> Fraction | Huge | None:
    """The value of a bare literal such as `1,234.50`; None where it has no single reading."""
    digits = read_digits(body)
    return None if digits is None else literal(*digits)


# --- in words --------------------------------------------------------------------------------------------------

_UNITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
SMALL = {**_UNITS, **_TENS, "fourty": 40}
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
_DOZENS = ((["a", "dozen"], 12), (["half", "a", "dozen"], 6))
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10,
}  # fmt: skip
_LEADING = re.compile(r"(?:(?:about|approximately|around|exactly|only|just|roughly|a total of|there are)\s+)+")
_WORD = re.compile(r"[a-z]+")
# "One of them", "one should": a pronoun.
_PRONOUN_TAIL = frozenset({"of", "should", "can", "must", "has", "is", "could", "would", "might", "who", "that"})
_MOST_WORDS = 24


def read_words(text: str) -> Fraction | None:
    """The number that `text` begins with in words; None if it begins otherwise."""
    lowered = text[:400].lower().strip()
    if lowered[:1] and lowered[:1] in _HAN:
        return _han(lowered)
    leading = _LEADING.match(lowered)
    words = _WORD.findall(lowered[leading.end() if leading else 0 :])[:_MOST_WORDS]
    negative = bool(words) and words[0] in ("minus", "negative")
    words = words[negative:]
    value, used = amount(words)
    if value is None:
        return _abroad(lowered)
    if words[:1] == ["one"] and used == 1 and words[1:2] and words[1] in _PRONOUN_TAIL:
        return None
    return -value if negative else value


def amount(words: list[str]) -> tuple[Fraction | None, int]:
    """(value, words used): a whole number, a part of one, or both ("two and a half")."""
    if words and words[0] in _TIMES:
        return Fraction(_TIMES[words[0]]), 1
    for dozen, number in _DOZENS:
        if words[: len(dozen)] == dozen:
            return Fraction(number), len(dozen)
    whole, used = _whole(words)
    if whole is None:
        if words[:2] == ["half", "a"] and words[2:3] and words[2] in _LARGE:
            return Fraction(_LARGE[words[2]], 2), 3
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
        if word in SMALL:
            if seen and word in _UNITS and group % 10 and index == used:
                break  # "five six" is two numbers
            group += SMALL[word]
        elif word == "hundred" and seen:
            group = (group or 1) * 100
        elif word == "dozen" and seen:
            group *= 12
        elif word in _LARGE and seen:
            total, group = total + (group or 1) * _LARGE[word], 0
        elif word == "a" and words[index + 1 : index + 2] and words[index + 1] in ("hundred", *_LARGE) and not seen:
            group = 1
        elif word == "and" and seen and words[index + 1 : index + 2] and words[index + 1] in SMALL:
            if group % 100 or not (group or total):
                break  # "five and six"
            continue
        else:
            break
        seen, used = True, index + 1
    return (total + group, used) if seen and words[:used] != ["a"] else (None, 0)


_ELSEWHERE = """
_ eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn
neunzehn zwanzig
zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf
vingt
cero uno dos tres cuatro cinco seis siete ocho nueve diez _ doce trece catorce quince dieciséis diecisiete dieciocho
diecinueve veinte
zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici diciassette
diciotto diciannove venti
zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis dezessete dezoito
dezenove vinte
ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать четырнадцать пятнадцать
шестнадцать семнадцать восемнадцать девятнадцать двадцать
"""
_TENS_ELSEWHERE = """
dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert
trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix cent
treinta cuarenta cincuenta sesenta setenta ochenta noventa cien
trenta quaranta cinquanta sessanta settanta ottanta novanta cento
trinta quarenta cinquenta sessenta setenta oitenta noventa cem
тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто сто
"""
_ABROAD = {word: index % 21 for index, word in enumerate(_ELSEWHERE.split())}
_ABROAD |= {word: (index % 8 + 3) * 10 for index, word in enumerate(_TENS_ELSEWHERE.split())}
_ABROAD |= {"ein": 1, "eine": 1, "une": 1, "две": 2, "duas": 2}
_GERMAN = re.compile(r"(ein|zwei|drei|vier|fünf|sechs|sieben|acht|neun)und([a-zß]+zig|dreißig)")
_ABROAD_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def _abroad(text: str) -> Fraction | None:
    """The number up to 100 that a text begins with in German, French, Spanish, Italian, Portuguese or Russian."""
    words = [word for word in _ABROAD_WORD.findall(text) if word not in ("y", "e", "et")]
    if len(words) > 4 or words[:2] == ["due", "to"]:
        return None
    german = _GERMAN.fullmatch(words[0]) if words else None
    if german is not None and german[2] in _ABROAD:
        return Fraction(_ABROAD[german[2]] + _ABROAD[german[1]])
    first, *more = [_ABROAD.get(word) for word in words] or [None]
    if first is None and words:
        tens, _, unit = words[0].replace("-et-", "-").rpartition("-")  # vingt-trois
        first, more = _ABROAD.get(tens), [_ABROAD.get(unit)]
    if first is None:
        return None
    unit = more[0] if more and first >= 20 and first % 10 == 0 and more[0] is not None and more[0] < 10 else 0
    return Fraction(first + unit)


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
