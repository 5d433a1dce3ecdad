"""Numbers and quantities in a text: signs, currency, fractions, powers of ten, units, and several parts of one.

Owns finding them: "25%", "$12.50", "490 BC", "5 ft 7 in", "3 × 10^8 m/s", "an hour and a half", "2 million" (words of
scale are factors). A compound quantity is one. Must not know which number of a text is the answer, nor whether a bare
25 may stand for 25%.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import TypeAlias

from dynscale_cli.answers.dates import clock as time_of_day
from dynscale_cli.answers.numbers import Huge, amount, body_value, literal, rational_key, read_digits, value_key
from dynscale_cli.answers.units import Dimension, Unit, times, unit_at, unit_named

# A run of digits with single separators; with spaces only as thousands. No part can match in two ways.
_BODY = r"(?:\d{1,3}(?: \d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,'_]\d+)*|\.\d+)"
_NUMBER = re.compile(
    rf"(?P<body>{_BODY})"
    r"(?:(?P<sci>[eE][-+]?\d+(?!\w)|\s?(?:[×xX*·⋅✕]|\\times|\\cdot)\s?10(?:\^|\*\*)\s?[({]?\s?[-+]?\d+[)}]?)"
    r"|\s?/\s?(?P<den>\d+(?:[.,]\d+)*)"
    r"|(?:\s|\sand\s)(?P<num>\d{1,9})\s?/\s?(?P<part>\d{1,9}))?"
)
_CURRENCY = r"(?:US|AU|CA|HK|NZ|S|R)?[$€£¥₹₽₩₺₫₱฿]|(?:USD|EUR|GBP|INR|JPY|CNY|RMB|CHF|CAD|AUD|Rs\.?|RM|kr)"
_BEFORE = re.compile(
    rf"(?P<sign>(?:(?<![\w)\]}}%.])|^)[-+]\s?|\b(?:minus|negative)\s+)?"
    rf"(?:(?P<currency>(?<![^\W\d_])(?:{_CURRENCY})\s?)(?P<inner>-)?)?\Z",
    re.IGNORECASE,
)
_SCALES = {
    "dozen": 12, "hundred": 10**2, "thousand": 10**3, "lakh": 10**5, "lakhs": 10**5, "million": 10**6,
    "millions": 10**6, "mln": 10**6, "crore": 10**7, "crores": 10**7, "billion": 10**9, "billions": 10**9,
    "bln": 10**9, "bn": 10**9, "trillion": 10**12, "trillions": 10**12,
}  # fmt: skip
_SCALE = re.compile(rf"\s?(?:(?P<word>{'|'.join(sorted(_SCALES, key=len, reverse=True))})\b|(?P<k>k)\b)", re.IGNORECASE)
_MONEY_SCALES = {"k": 10**3, "m": 10**6, "b": 10**9, "bn": 10**9, "t": 10**12}
_MONEY_SCALE = re.compile(r"\s?(bn|[kmbt])\b", re.IGNORECASE)
_MONEY_BEHIND = re.compile(r"\s?(?:bn|[kmbt])\s?(?:USD|EUR|GBP|INR|CHF|dollars|euros|[$€£₹])", re.IGNORECASE)
_CLOCK = re.compile(
    r"(?::(?P<minutes>[0-5]\d(?::[0-5]\d)?)(?!\d)(?:\s?(?P<half>[ap])\.?m\b)?|\s?(?P<hours>[ap])\.?m\b)", re.IGNORECASE
)
_VARIABLE = re.compile(r"[xyzn](?![^\W\d_])|[a-zA-Z]?\^|_|\s?(?:\\?(?:pi|sqrt)(?![a-z])|[π√])")
_LONGEST_RANGE = 60  # characters
LONGEST_QUANTITY = 120


_PER = re.compile(r"\s?/\s?|\s(?:per|an?)\s")
_ERA_BEFORE = re.compile(r"(?<![A-Za-z])(A\.?D\.?|B\.?C\.?(?:E\.?)?|C\.?E\.?)\s?\Z")
_AND_A_PART = re.compile(r"\sand\sa\s(half|quarter)(?![a-z])")
_DECADE = re.compile(r"'?s(?![^\W\d_])")
BASED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[bB][01]+|[oO][0-7]+)(?!\w)")
_FEET = re.compile(r"(\d{1,2})'\s?(\d{1,2}(?:\.\d+)?)(?:\s?(?:\"|'')|\s?in\b|(?![\d'.,]))|(\d{1,3})'(?![\w'])")
_BETWEEN_PARTS = re.compile(r"[ ,]{0,2}(?:(?:and|&|und|et|y) )?")
_SIGNS_BEFORE = ("$", "€", "£", "₹")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a text: its key, its span with sign, currency, scale and unit, and what it is made of.

    `parts`: (value, unit) of each part of a quantity with units, largest first; `value` of a single number.
    """

    key: str
    start: int
    end: int
    value: Fraction | Huge | None = None
    parts: tuple[tuple[Fraction | Huge, Unit], ...] = ()

    def amounts(self) -> frozenset[Amount]:
        """What it may be, in base units; more than one where a name has several meanings, none without a unit."""
        found: list[dict[Dimension, Fraction]] = [{}]
        for value, unit in self.parts:
            if isinstance(value, Huge):
                return frozenset()
            grown = []
            for so_far in found:
                for dimension, factor in unit.readings():
                    if not so_far or dimension in so_far or (dimension == _TIME and _MONTH in so_far):
                        grown.append({**so_far, dimension: so_far.get(dimension, Fraction(0)) + value * factor})
            found = grown
        return frozenset(tuple(sorted(total.items())) for total in found if total)


Amount: TypeAlias = tuple[tuple[Dimension, Fraction], ...]
_TIME, _MONTH = (("time", 1),), (("month", 1),)


def spell(value: str, unit: Unit) -> str:
    """`$12.5`, `25%`, `5 km`: the key of a value (a key itself) with its unit."""
    symbol = unit.symbol
    if symbol in _SIGNS_BEFORE:
        return f"-{symbol}{value[1:]}" if value.startswith("-") else f"{symbol}{value}"
    return f"{value}{'' if symbol in ('%', '°') else ' '}{unit}"


_WITH_UNIT = re.compile(r"(?P<sign>-?)[$€£₹]?(?P<value>\S+?)(?:[%°]| \S+|\\text\{ \S+\})?")


def bare(key: str) -> str:
    """The value of a key without its unit: `25%` is 25, `5 km` is 5; a key without a unit is itself."""
    parts = _WITH_UNIT.fullmatch(key)
    return parts["sign"] + parts["value"] if parts is not None else key


def as_quantity(text: str) -> Quantity | None:
    """The one number or quantity that all of `text` is; None for anything else."""
    found = next(numbers(text), None) if text and len(text) <= LONGEST_QUANTITY else None
    return found if found is not None and found.start == 0 and found.end == len(text) else None


def _with_tail(value: Fraction | Huge, match: re.Match[str]) -> Fraction | Huge | None:
    """Fold an exponent, a denominator or the fraction of a mixed number into `value`."""
    sci, den, num = match["sci"], match["den"], match["num"]
    if sci is not None:
        digits = read_digits(match["body"]) or ("", "")
        exponent = sci[1:] if sci[0] in "eE" else re.sub(r"[^-\d]", "", sci[sci.index("10") + 2 :])
        return literal(*digits, exponent)
    if isinstance(value, Huge):
        return value if den is None and num is None else None
    if den is not None:
        divisor = body_value(den)
        return value / divisor if isinstance(divisor, Fraction) and divisor else None
    if num is not None:
        if value.denominator != 1 or not int(match["part"]):
            return None
        return value + Fraction(int(num), int(match["part"]))
    return value


def _scaled(value: Fraction | Huge, text: str, end: int, money: bool) -> tuple[Fraction | Huge, int]:
    """Apply a word of scale behind the number ("million", "k"; "$3M")."""
    scale = _SCALE.match(text, end)
    factor = 1
    if scale is not None:
        if scale["word"] is not None:
            factor = _SCALES[scale["word"].lower()]
        elif scale["k"] == "k" and scale.start("k") == end:
            factor = 10**3
    if factor == 1 and money:
        scale = _MONEY_SCALE.match(text, end)
        factor = _MONEY_SCALES[scale[1].lower()] if scale is not None else 1
    if factor == 1 or scale is None or isinstance(value, Huge):
        return value, end
    return value * factor, scale.end()


_HOURS_BEHIND = re.compile(r"\s(?:hours?|hrs?|h)\b")


def _clock(text: str, match: re.Match[str]) -> Quantity | None:
    """A time of day, on the 24-hour clock where its half is said, or a short ratio, as written: `10:30`, `21:05`."""
    if not match["body"].isdigit() or len(match["body"]) > 2:
        return None
    clock = _CLOCK.match(text, match.end("body"))
    if clock is None:
        return _ratio(text, match)
    hours = _HOURS_BEHIND.match(text, clock.end())
    if hours is not None and clock["minutes"] is not None and clock["half"] is None and len(clock["minutes"]) == 2:
        hour, minute = (Fraction(int(part)) for part in (match["body"], clock["minutes"]))
        parts = ((hour, Unit((("h", 1),))), (minute, _MINUTE))
        return Quantity(f"{hour} h {minute} min", match.start(), hours.end(), parts=parts)  # 2:15 hours
    key = time_of_day(int(match["body"]), clock["minutes"] or "00", clock["half"] or clock["hours"])
    return Quantity(key, match.start(), clock.end(), parts=_duration(key))


def _duration(clock: str) -> tuple[tuple[Fraction | Huge, Unit], ...]:
    """3:12:45 may be read as three hours, twelve minutes and 45 seconds; 3:12 may be many things."""
    parts = clock.split(":")
    if len(parts) != 3:
        return ()
    return tuple(
        (Fraction(int(part)), Unit(((symbol, 1),))) for part, symbol in zip(parts, ["h", "min", "s"], strict=True)
    )


_RATIO = re.compile(r"(?::|\s:\s)(\d{1,12})(?![\d.,:]\d|\d)")


def _ratio(text: str, match: re.Match[str]) -> Quantity | None:
    """2:3, in lowest terms."""
    second = _RATIO.match(text, match.end("body"))
    if second is None:
        return None
    divisor = gcd(int(match["body"]), int(second[1])) or 1
    return Quantity(f"{int(match['body']) // divisor}:{int(second[1]) // divisor}", match.start(), second.end())


def _is_part_of_a_name(text: str, match: re.Match[str], bare: bool) -> bool:
    """H2O, x2, 2x, 10^8, 1010_2, 3/4/2024: digits that are no number by themselves."""
    start, end = match.span()
    attached = text[start - 1 : start] if bare else ""
    if attached and (attached in "^_" or (attached.isalpha() and ord(attached) < 0x250)):
        return True
    if match["sci"] is None and _VARIABLE.match(text, end):
        return True
    return match["den"] is not None and text[end : end + 1] == "/"


def _found_at(text: str, match: re.Match[str], joined: bool) -> Quantity | None:
    """The number that a raw match stands for, with what stands before and behind it.

    `joined`: the unit of a number ends where it begins ("1h30")."""
    start, end = match.span()
    based = BASED.match(text, start) if text[start] == "0" else None
    if based is not None:  # 0xFF as written: what is asked for is how it is written
        return Quantity(based.group().lower(), start, based.end())
    feet = _feet(text, start)
    if feet is not None:
        return feet
    before = _BEFORE.search(text, max(0, start - 12), start)
    assert before is not None  # every part of the pattern is optional
    sign = before["sign"] or ""
    if sign[-1:].isspace() and sign[0] in "-+" and start > len(before.group()):
        sign = ""  # an operator between two numbers, not a sign
    clock = _clock(text, match)
    if clock is not None:
        return clock
    if _is_part_of_a_name(text, match, not before.group() and not joined):
        return None
    value = body_value(match["body"])
    value = _with_tail(value, match) if value is not None else None
    if value is None:
        return None
    told = len(match["body"]) == 4 or text[max(0, start - 4) : start].endswith(("the ", "'"))  # 30s are seconds
    if told and _DECADE.match(text, end) and match["body"].isdigit() and match["body"][-1] == "0":
        return Quantity(f"{match['body']}s", start, _DECADE.match(text, end).end())  # type: ignore[union-attr]
    value, end = _scaled(value, text, end, bool(before["currency"] or _MONEY_BEHIND.match(text, end)))
    part = _AND_A_PART.match(text, end)
    if part is not None and not isinstance(value, Huge):
        value, end = value + _AND_PART[part[1]], part.end()
    if sign.strip() not in ("", "+") or before["inner"]:
        value = -value
    unit, end = _unit_of(text, start, end, (before["currency"] or "").strip())
    start -= len(before["currency"] or "") + len(before["inner"] or "") + len(sign)
    era = _ERA_BEFORE.search(text, max(0, start - 8), start) if unit is None else None
    if era is not None:
        unit, start = unit_named(era[1].replace(".", "")), era.start()
    if unit is None:
        return Quantity(value_key(value), start, end, value)
    return Quantity(spell(value_key(value), unit), start, end, value, ((value, unit),))


_FOOT, _INCH = Unit((("ft", 1),)), Unit((("in", 1),))


def _feet(text: str, start: int) -> Quantity | None:
    """5'7" and 6'."""
    feet = _FEET.match(text, start)
    if feet is None or text[start - 1 : start].isdigit():
        return None
    if feet[3] is not None:
        return Quantity(
            f"{int(feet[3])} ft", start, feet.end(), Fraction(int(feet[3])), ((Fraction(int(feet[3])), _FOOT),)
        )
    first, second = Fraction(int(feet[1])), Fraction(feet[2])
    if second >= 12:
        return None
    return Quantity(f"{first} ft {rational_key(second)} in", start, feet.end(), parts=((first, _FOOT), (second, _INCH)))


def _unit_of(text: str, start: int, end: int, currency: str) -> tuple[Unit | None, int]:
    """(unit, end): the unit behind a number, or the currency before it, by the hour or not."""
    names = (currency, currency.rstrip("."), currency[-1:])
    money = next((unit for name in names if (unit := unit_named(name)) is not None), None)
    if text[end : end + 2] == "\\%":
        return unit_named("%"), end + 2
    found = unit_at(text, end)
    if money is None:
        return found if found is not None else (None, end)
    per = _PER.match(text, end)
    more = unit_at(text, per.end()) if per is not None else None
    if more is not None:
        return times(money, more[0], -1), more[1]
    if found is not None and found[0].is_money:
        return money, found[1]
    return money, end


def numbers(text: str) -> Iterator[Quantity]:
    """The numbers of a plain text from left to right. A range ("5-7") is one answer, not two."""
    pending: Quantity | None = None
    for match in _NUMBER.finditer(text):
        if pending is not None and match.start() < pending.end:
            continue  # the minutes of a clock
        attached = pending is not None and bool(pending.parts) and pending.end == match.start()
        found = _found_at(text, match, attached)
        if found is None:
            continue
        if pending is not None:
            longer = _range(text, pending, found) or _compound(text, pending, found)
            if longer is not None:
                pending = longer
                continue
            yield pending
        pending = found
    if pending is not None:
        yield pending


def _range(text: str, first: Quantity, second: Quantity) -> Quantity | None:
    """5-7 is one answer, and 1990-05-12 another."""
    joined = second.start == first.end + 1 and text[first.end] == "-"
    if not joined or first.end - first.start >= _LONGEST_RANGE:
        return None
    return Quantity(f"{first.key}-{second.key}", first.start, second.end)


def _compound(text: str, first: Quantity, second: Quantity) -> Quantity | None:
    """1 h and 30 min, 5 ft 7 in, 2 days, 3 hours: whole parts of ever smaller units of one dimension."""
    if not first.parts or first.key.count(":") or len(first.parts) > 5 or isinstance(second.value, Huge):
        return None
    between = _BETWEEN_PARTS.fullmatch(text, first.end, second.start)
    if between is None or second.value is None or second.value < 0 or len(second.parts) > 1:
        return None
    value, unit = first.parts[-1]
    if unit.symbol == "m" and second.parts and second.parts[0][1].symbol == "s":  # 3m30s
        unit = _MINUTE
    smaller = _next_unit(unit, second, attached=first.end == second.start)
    if smaller is None or isinstance(value, Huge) or value.denominator != 1:
        return None
    for dimension, factor in unit.readings():
        for other, part in smaller.readings():
            if (dimension == other and second.value * part < factor) or (dimension == _MONTH and other == _TIME):
                parts = (*first.parts[:-1], (value, unit), (second.value, smaller))
                key = " ".join(spell(value_key(value), unit) for value, unit in parts)
                return Quantity(key, first.start, second.end, parts=parts)
    return None


def _next_unit(unit: Unit, second: Quantity, attached: bool) -> Unit | None:
    """The unit of the next part: of "1h30" minutes, and behind hours "m" is minutes."""
    if not second.parts:
        return _MINUTE if attached and unit.symbol == "h" else None
    smaller = second.parts[0][1]
    return _MINUTE if smaller.symbol == "m" and unit.symbol in ("h", "d") else smaller


_MINUTE = Unit((("min", 1),))


# --- in words --------------------------------------------------------------------------------------------------

_WORDS = re.compile(r"[a-z]+")
_IN_WORDS = frozenset("abcdefghijklmnopqrstuvwxyz -,")
_LESS_THAN_ONE = {("half",): Fraction(1, 2), ("quarter",): Fraction(1, 4), ("a", "quarter"): Fraction(1, 4)}
_AND_PART = {"half": Fraction(1, 2), "quarter": Fraction(1, 4)}


def spelt_out(text: str) -> str | None:
    """The key of what all of a text is in English words: "twenty-five", "half an hour", "two days and three hours"."""
    lowered = text.strip().lower()
    words = _WORDS.findall(lowered)
    if len(text) > LONGEST_QUANTITY or not words or not set(lowered) <= _IN_WORDS:
        return None
    negative = words[0] in ("minus", "negative")
    words = words[negative:]
    parts: list[tuple[Fraction, Unit]] = []
    at = 0
    while at < len(words):
        at += bool(parts) and words[at] == "and"
        counted, used = _counted(words[at:])
        if counted is None:
            return None
        value = counted
        at += used
        if at == len(words) and not parts:
            return rational_key(-value if negative else value)
        unit, used = _unit_in(words[at:])
        if unit is None or (parts and negative):
            return None
        at += used
        if words[at : at + 2] == ["and", "a"] and at + 3 == len(words) and words[-1] in _AND_PART:
            value, at = value + _AND_PART[words[-1]], len(words)
        parts.append((-value if negative else value, unit))
    return " ".join(spell(rational_key(value), unit) for value, unit in parts) or None


def _counted(words: list[str]) -> tuple[Fraction | None, int]:
    """(value, words used): a number, "a" or "an" before a unit, or a part of it ("half an", "a quarter of an")."""
    for part, less in _LESS_THAN_ONE.items():
        if tuple(words[: len(part)]) == part and words[len(part) : len(part) + 1] != ["past"]:
            return less, len(part) + _articles(words[len(part) :])
    value, used = amount(words)
    if value is None and words[:1] in (["a"], ["an"]) and _unit_in(words[1:])[0] is not None:
        return Fraction(1), 1
    return value, used + (_articles(words[used:]) if value is not None and value < 1 else 0)


def _articles(words: list[str]) -> int:
    """How many words of "of an" follow."""
    return next((len(lead) for lead in (["of", "an"], ["of", "a"], ["an"], ["a"]) if words[: len(lead)] == lead), 0)


def _unit_in(words: list[str]) -> tuple[Unit | None, int]:
    for count in (2, 1):
        unit = unit_named(" ".join(words[:count])) if len(words) >= count and len(words[0]) > 2 else None
        if unit is not None:
            return unit, count
    return None, 0
