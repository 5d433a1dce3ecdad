r"""Answers made of values: lists, sets, tuples, intervals, unions, matrices, relations, ±.

Owns taking a formula apart at its outermost structure and the one spelling of each shape; the values inside
go to `formulas`. Decisions: a bare list keeps its order (`equivalence` knows whether it tells); "x = 1 or x = 2" is a
set (order and repetition do not count, a set of one is its element); tuples and intervals keep order and brackets;
`x > 5` is the interval (5,\infty); a named left side ("x = 5", "f(x) = …") is dropped. Must not know where in a
completion the formula stood.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from dynscale_cli.answers import polynomial as poly
from dynscale_cli.answers.dates import moment
from dynscale_cli.answers.formulas import LONGEST, NotMath, normal_form
from dynscale_cli.answers.normalize import plain, prose, tidy, words
from dynscale_cli.answers.quantities import BASED, LONGEST_QUANTITY, as_quantity, bare, spell
from dynscale_cli.answers.units import Unit, split_unit

_OPEN, _CLOSE = "\x01", "\x02"  # \{ and \}, apart from the braces of grouping
_DEEPEST = 6
_CLOSING = {"(": ")", "{": "}"}
_SEPARATOR = re.compile(r"[([{\x01]|[)\]}\x02]|,|;")
_CONNECTIVE = re.compile(r"\\text\s?\{\s?(?:and|or|,)\s?\}|\b(?:and|or)\b|\\quad")
_ANGLED = re.compile(r"<([^<>]+,[^<>]+)>")
_OPENED = re.compile(r"([\][])([^\][,;]+)[,;]([^\][,;]+)([\][])")  # ]1, 3[ is (1, 3)
_UNION = re.compile(r"\\cup(?![a-zA-Z])|(?<=[)\]])\s*U\s*(?=[(\[])|(?<=[)\]])\s*\bor\b\s*(?=[(\[])")
_RELATION = re.compile(r"\\le(?![a-zA-Z])|\\ge(?![a-zA-Z])|<=|>=|<|>")
_THOUSANDS = re.compile(r"(?<![\d.,])([1-9]\d{0,2}(?:,\d{3})+)(?![\d,])")
# 7,20 € and 4,5 cm: with one unit behind it, a comma without a space is a decimal one.
_DECIMAL_COMMA = re.compile(
    r"(?P<sign>-?)(?P<before>[€£¥₹]?)(?P<whole>\d{1,9}),(?P<part>\d{1,2}|\d{4,9})"
    r"(?P<unit>\s?(?:[€£¥₹%]|\\text\s?\{[^{}]*\}(?:\^\{?\d\}?)?|[^\W\d_]+(?:/[^\W\d_]+)?(?:\^\{?\d\}?)?))?"
)
_MATRIX = re.compile(r"\\begin\{(?P<env>[pbB]?matrix|array)\}(?:\{[lcr|]*\})?(?P<body>[^\x03]*)\\end\{(?P=env)\}")
_VARIABLE = re.compile(r"(?:[A-Za-z]|\\[a-z]+)(?:_\{?\w+\}?)?")
_LEFT_SIDE = re.compile(
    r"(?:[A-Za-z]|\\[a-zA-Z]+)(?:_\{?\w+\}?)?'{0,2}(?:\^\{-1\})?(?:\s?\([^()=]{0,30}\))?"  # x, x_1, f'(x), f^{-1}(x)
    r"|\\frac\s?\{d\w*\}\{d\w\}[^=]*|d\w/d\w|\\int[^=]*"
    r"|(?:\\text\s?\{[^{}]*\}\s*)+(?:_\{?\w+\}?|\([^()=]{0,30}\))?|"
    r"(?!.*(?:except|not|but))[A-Za-z][A-Za-z' ]{2,60}"  # words
    r"|\([a-z](?:,\s?[a-z]){1,5}\)"  # (x, y)
    r"|[a-z]{2,8}\s?\([\d\s,./°-]{1,30}\)"  # gcd(24, 36)
)
_TEXT = re.compile(r"\\text\s?\{([^{}]*)\}")
_POINT = re.compile(r"[A-Z](?:_\{?\d\}?)?'?\s?(?=\([^()]*\d)")
_OPTION = re.compile(r"\\text\s?\{\s?\([A-Z]\)\s?\}\s*(?=\S)")  # \text{(A)} 5
_IMPLIES = re.compile(r"\\implies(?![a-zA-Z])|\\Rightarrow(?![a-zA-Z])|⇒|=>")
_PLUS_MINUS = re.compile(r"\\pm(?![a-zA-Z])")
_COMMAND_END = re.compile(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])")  # the space that keeps \mu a from being \mua
_EMPTY = frozenset({r"\emptyset", _OPEN + _CLOSE, "{}"})
_RANGE = re.compile(r"\d+(?:\.\d+)?(?:-\d+(?:\.\d+)?)+")
_WORD = re.compile(r"[a-z]{4}|\b[bm]l?n\b")
_DAY = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}")
_QUANTIFIED = re.compile(r",?\s*(?:\\text\s?\{[^{}]*\}\s*)?[a-zA-Z]\s*\\in\s*\\mathbb\s?\{[A-Z]\}\s*$")
_REALS = frozenset({r"\mathbb{R}", r"\R", "all real numbers", "all reals"})
_BUILDER = re.compile(r"[a-zA-Z](?:\s*\\in\s*\\mathbb\s?\{R\})?\s*[|:](?P<condition>.+)")
# A value without variables: digits, roots, π.
CONSTANT = re.compile(r"(?:[-+*/(){}^\d.]|\\pi|\\sqrt)+")
_YEAR = re.compile(r"\d{4}.*[^\W\d_]|[^\W\d_].*\d{4}")
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def math_key(text: str) -> str | None:
    """The canonical key of a formula; None where there is nothing. Never raises; unread formulas compare as spelt."""
    measured = _quantity(text)
    if measured is not None:
        return measured
    formula = _formula(text)
    if not formula:
        return None
    key, spelt = exact_shape(formula), ""
    for _ in range(4):
        if key is not None:
            return key
        spelt = _as_spelt(formula)
        measured = _quantity(spelt)
        if measured is not None:
            return measured
        # Without its markup it may read exactly, or as other words; then that is its one key.
        again = _formula(spelt)
        if again == formula or not again:
            return spelt if again else None
        formula, key = again, exact_shape(again)
    return key or spelt


def _formula(text: str) -> str:
    text = plain(text).replace(_OPEN, "").replace(_CLOSE, "")
    return _outer(tidy(text).replace(r"\{", _OPEN).replace(r"\}", _CLOSE))


def exact_math_key(text: str) -> str | None:
    """Like `math_key`, but None where the formula is not read exactly."""
    measured = _quantity(text)
    if measured is not None:
        return measured
    formula = _formula(text)
    return exact_shape(formula) if formula else None


def _quantity(text: str) -> str | None:
    """The key of a number with a unit, or of several that make one (5 ft 7 in); of a day."""
    if BASED.fullmatch(text.strip(" `*_.'")):
        return text.strip(" `*_.'").lower()
    if len(text) > LONGEST_QUANTITY or not any(char.isdigit() for char in text):
        return None
    day = moment(text) if _YEAR.search(text) else None
    if day is not None and _ISO_DAY.match(day):
        return day
    spelt = prose(plain(text)).strip(" *_`'.,;")
    found = as_quantity(" ".join(spelt.split()))
    if found is None or not found.parts:
        return None
    unit = found.parts[0][1]
    if len(found.parts) == 1 and unit.is_letter:  # 6 t is a product, 6\text{ t} is not
        return _with_unit(bare(found.key), unit) if r"\text" in text or r"\math" in text else None
    return found.key


def _with_unit(key: str, unit: Unit) -> str:
    """The key of a value with its unit, in \\text where it could be read as a product."""
    plain_key = CONSTANT.fullmatch(key) and not unit.is_letter
    return spell(key, unit) if plain_key else rf"{key}\text{{ {unit}}}"


@lru_cache(maxsize=4096)
def exact_shape(formula: str) -> str | None:
    """The key of what `_formula` gives; None where it is not read exactly. Kept: samples repeat each other."""
    if len(formula) > LONGEST * 2:
        return None
    try:
        return _shape(formula, 0)
    except NotMath:
        return None


def _outer(formula: str) -> str:
    """Without white space, closing punctuation and braces that enclose everything."""
    formula = _bare(formula.strip().rstrip(".,;:").strip(), "{")
    words_only = _TEXT.fullmatch(formula)
    return words_only[1].strip() if words_only is not None else formula


def _pairs(text: str) -> tuple[dict[int, int], set[int]]:
    """(where each bracket that opens is closed, those that hold a list), in one pass."""
    closed: dict[int, int] = {}
    lists: set[int] = set()
    holding: list[int] = []
    for mark in _SEPARATOR.finditer(text):
        if mark.group() in "([{\x01":
            holding.append(mark.start())
        elif mark.group() in ")]}\x02":
            if holding:
                closed[holding.pop()] = mark.start()
        elif holding:
            lists.add(holding[-1])
    return closed, lists


def _bare(text: str, opening: str) -> str:
    """Without the brackets (those of `opening`) that enclose all of it and hold no list, however many."""
    if text[:1] not in opening:
        return text
    closed, lists = _pairs(text)
    start, end = 0, len(text)
    while start < end and text[start] in opening and closed.get(start) == end - 1 and start not in lists:
        if text[end - 1] != _CLOSING[text[start]]:
            break
        start, end = start + 1, end - 1
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
    return text[start:end]


def _encloses(text: str) -> bool:
    """Whether the first bracket is closed by the last character."""
    first = _SEPARATOR.search(text)
    return first is not None and _pairs(text)[0].get(first.start()) == len(text) - 1


def _as_spelt(formula: str) -> str:
    """Words as words; anything else without its spaces."""
    unwrapped = _TEXT.sub(r" \1 ", formula)
    if "\\" not in unwrapped and not set(unwrapped) & set("^_={}()[]\x01\x02+*/<>|"):
        return " ".join(words(unwrapped)) or "".join(unwrapped.split())
    spelt = _COMMAND_END.sub(r"\1{}", formula.replace(_OPEN, r"\{").replace(_CLOSE, r"\}"))
    return "".join(spelt.split()).replace("{}", " ")


def _split(text: str, also: re.Pattern[str] | None = None) -> list[str]:
    """Parts between separators outside all brackets."""
    pattern = _SEPARATOR if also is None else re.compile(f"{_SEPARATOR.pattern}|{also.pattern}")
    parts, depth, at = [], 0, 0
    for mark in pattern.finditer(text):
        token = mark.group()
        if token in "([{\x01":
            depth += 1
        elif token in ")]}\x02":
            depth = max(0, depth - 1)
        elif depth == 0:
            parts.append(text[at : mark.start()].strip())
            at = mark.end()
    return [*parts, text[at:].strip()]


def _shape(text: str, depth: int) -> str:
    """The key of a formula, outermost structure first. Raises NotMath."""
    text = _outer(text)
    if depth > _DEEPEST or not text or "..." in text:
        raise NotMath
    text = _OPTION.sub("", _IMPLIES.split(text)[-1]).strip()
    if not text:
        raise NotMath
    if (vector := _ANGLED.fullmatch(text)) is not None:
        text = f"({vector[1]})"
    if text in _EMPTY:
        return r"\emptyset"
    if r"\begin" in text:
        return _matrix(text, depth)
    if not set(text) & set("([\x01") and text[0] != "{":  # {12,120} is a set
        text = _THOUSANDS.sub(lambda digits: digits.group().replace(",", ""), text)
    if (opened := _OPENED.fullmatch(text)) is not None:
        text = f"{'[' if opened[1] == '[' else '('}{opened[2]},{opened[3]}{']' if opened[4] == ']' else ')'}"
    union = _UNION.split(text)
    if len(union) > 1:
        return r"\cup".join(sorted({_shape(part, depth + 1) for part in union}))
    if r"\in" in text and not (text := _without_membership(text)):
        raise NotMath  # "x \\in", broken off
    if text in _REALS:
        return r"(-\infty,\infty)"
    text = _DECIMAL_COMMA.sub(_with_point, text) if _DECIMAL_COMMA.fullmatch(text) else text
    parts = _split(text, _CONNECTIVE)
    if len(parts) > 1:
        return _listed([part for part in parts if part], text, depth)
    return _single(text, depth)


def _with_point(number: re.Match[str]) -> str:
    value = f"{number['sign']}{number['whole']}.{number['part']}"
    united = f"1{number['unit'] or ''}"
    return value if number["before"] or split_unit(united)[0] == "1" != united else number.group()


_MEMBER = re.compile(r"\\in(?![a-zA-Z])")


def _without_membership(text: str) -> str:
    """`x \\in S` is S; `…, k \\in \\mathbb{Z}` only says what k is."""
    sides = _MEMBER.split(text, maxsplit=1)
    if len(sides) == 2 and _VARIABLE.fullmatch(sides[0].strip()):
        return sides[1].strip()
    return _QUANTIFIED.sub("", text)


def _single(text: str, depth: int) -> str:
    """No list: a relation, an assignment, a bracketed shape or a value."""
    if r"\approx" in text:
        return _approximation(text, depth)
    if text[0] == _OPEN and text[-1] == _CLOSE:
        builder = _BUILDER.fullmatch(text[1:-1].strip())
        if builder is not None:
            return _shape(builder["condition"], depth + 1)
    if r"\ne" in text and _NOT_EQUAL.search(text):
        return _all_but(text)
    relation = _RELATION.search(text)
    if relation is not None:
        return _inequality(text)
    if "=" in text:
        return _equation(text, depth)
    label = _POINT.match(text)  # A(1, 2)
    bracketed = _bracketed(text[label.end() :] if label is not None else text, depth)
    return bracketed if bracketed is not None else _value(text)


def _value(text: str) -> str:
    """One number or expression; with ± the set of both."""
    if _RANGE.fullmatch(text) or _DAY.fullmatch(text):  # 5-7, 555-0123, 2020-05-01
        return moment(text) or text
    found = as_quantity(prose(text))
    if found is not None and (found.value is None or (_WORD.search(text) and not found.parts)):
        return found.key  # 10:30, 2:3, the 1990s, 5 million; 2k is a product
    bare, unit = split_unit(text)
    if _RANGE.fullmatch(bare):  # 60-100 bpm is no difference
        return bare if unit is None else f"{bare} {unit}"
    if _PLUS_MINUS.search(bare):
        return _set([_value(_PLUS_MINUS.sub(sign, bare).replace(r"\mp", other)) for sign, other in ("+-", "-+")])
    key = poly.spell(normal_form(bare))
    if unit is None:
        return key
    return _with_unit(key, unit)


def _listed(parts: list[str], text: str, depth: int) -> str:
    """Several values: coordinates if each names its own variable, else a set; inequalities with "or" are a union."""
    if not parts or len(parts) > 40:
        raise NotMath
    if any(_RELATION.search(part) for part in parts):
        if len(parts) > 1 and re.search(r"\bor\b", text):
            return r"\cup".join(sorted({_shape(part, depth + 1) for part in parts}))
        return _between([_shape(part, depth + 1) for part in parts])
    names = [part.partition("=")[0].strip() for part in parts if "=" in part]
    keys = [_shape(part, depth + 1) for part in parts]
    # x = 1, y = 2; mean = 3, median = 2
    if len(set(names)) == len(parts) > 1 and all(_VARIABLE.fullmatch(name) or name.isalpha() for name in names):
        return f"({','.join(key for _, key in sorted(zip(names, keys, strict=True)))})"
    if (
        names
        or len(keys) == 1
        or re.search(r"\bor\b", text)
        or any(key.startswith("{") and _encloses(key) for key in keys)
    ):
        return _set(keys)
    return ", ".join(keys)


def _between(keys: list[str]) -> str:
    """x > 1 and x < 3: one interval."""
    above = [key for key in keys if key.endswith(r",\infty)")]
    below = [key for key in keys if key.startswith(r"(-\infty,")]
    if len(keys) != 2 or len(above) != 1 or len(below) != 1:
        raise NotMath
    return above[0].removesuffix(r",\infty)") + below[0].removeprefix(r"(-\infty")


def _set(keys: list[str]) -> str:
    """{…} sorted, without repetition, sets within it (from ±) opened; a set of one is its element."""
    members: set[str] = set()
    for key in keys:
        inner = key[1:-1] if key.startswith("{") and _encloses(key) else ""
        members.update(_split(inner) if inner else [key])
    return next(iter(members)) if len(members) == 1 else f"{{{','.join(sorted(members))}}}"


def _bracketed(text: str, depth: int) -> str | None:
    """(a,b), [a,b), {a,b}; None for a single value in parentheses or text that brackets do not enclose."""
    if text[0] not in "([{\x01" or text[-1] not in ")]}\x02" or not _encloses(text):
        return None
    parts = _split(text[1:-1])
    if text[0] in "{\x01":
        return _set([_shape(part, depth + 1) for part in parts])
    if len(parts) == 1:
        return None
    keys = [_shape(part, depth + 1) for part in parts]
    if len(keys) > 2 and text[0] + text[-1] == "[]":
        return ", ".join(keys)  # no interval, a list
    return f"{text[0]}{','.join(keys)}{text[-1]}"


def _matrix(text: str, depth: int) -> str:
    """Rows in brackets; a single column is a vector and spelt as a tuple."""
    inside = text[1:-1].strip() if text[0] + text[-1] in ("[]", "()") else text
    matrix = _MATRIX.fullmatch(inside)
    if matrix is None:
        left, equals, right = text.partition("=")
        if equals and _LEFT_SIDE.fullmatch(left.strip()):
            return _matrix(right.strip(), depth)
        raise NotMath
    rows = [row.split("&") for row in matrix["body"].split("\\\\") if row.strip()]
    if len(rows) > 12 or any(len(row) != len(rows[0]) for row in rows):
        raise NotMath
    keys = [[_shape(cell, depth + 1) for cell in row] for row in rows]
    if rows and len(rows[0]) == 1:
        return f"({','.join(row[0] for row in keys)})"
    return f"[{','.join('[' + ','.join(row) + ']' for row in keys)}]"


def _approximation(text: str, depth: int) -> str:
    """`x = 2\\pi \\approx 6.28`: the exact side where there is one."""
    left, _, right = text.partition(r"\approx")
    if left.strip() and not _LEFT_SIDE.fullmatch(left.strip()):
        return _shape(left, depth + 1)
    return _shape(right, depth + 1)


def _equation(text: str, depth: int) -> str:
    """The right side of "name = value" and of a calculation; otherwise left minus right, scaled, = 0."""
    sides = [_bare(side.strip(), "({") for side in text.split("=")]
    left, right = sides[0], sides[-1]
    if len(sides) == 2 and _VARIABLE.fullmatch(right) and not _VARIABLE.fullmatch(left):
        left, right = right, left  # 5 = x
    if not left or _LEFT_SIDE.fullmatch(left):
        return _shape(right, depth + 1)
    difference = normal_form(left)
    value = normal_form(split_unit(right)[0]) if right else {}
    if not right:
        raise NotMath
    variables = {name for monomial in difference for name, _ in monomial}
    constant = value and all(name.isdigit() or name == r"\pi" for monomial in value for name, _ in monomial)
    if poly.as_rational(difference) is not None or (constant and not variables & {"x", "y", "z"}):
        return poly.spell(value)  # 2+3 = 5; m+n = 73
    zero = poly.primitive(poly.add(difference, poly.scale(value, Fraction(-1))))
    return f"{poly.spell(zero)}=0" if zero else poly.spell(value)  # (x+1)^2 = x^2+2x+1 says what it comes to


_FLIPPED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}


def _inequality(text: str) -> str:
    """`x > 5`, `2 \\le x < 7` as intervals; others with the smaller side first."""
    operators = [{"<=": r"\le", ">=": r"\ge"}.get(found, found) for found in _RELATION.findall(text)]
    sides = [_bare(side.strip(), "({") for side in _RELATION.split(text)]
    if operators[0] in (">", r"\ge"):
        operators, sides = [_FLIPPED[op] for op in reversed(operators)], sides[::-1]
    if len(operators) == 1 and _VARIABLE.fullmatch(sides[0]):
        operators, sides = ["<", *operators], [r"-\infty", *sides]
    elif len(operators) == 1 and _VARIABLE.fullmatch(sides[1]):
        operators, sides = [*operators, "<"], [*sides, r"\infty"]
    elif len(operators) == 1:
        return f"{_value(sides[0])}{operators[0]}{' ' if operators[0] != '<' else ''}{_value(sides[1])}"
    if len(operators) != 2 or not set(operators) <= {"<", r"\le"} or not _VARIABLE.fullmatch(sides[1]):
        raise NotMath
    if all(map(_VARIABLE.fullmatch, sides)) and sides[1] not in ("x", "y", "z", "t", "n"):
        raise NotMath  # a < b < c puts three in order
    opening, closing = "(" if operators[0] == "<" else "[", ")" if operators[1] == "<" else "]"
    return f"{opening}{_value(sides[0])},{_value(sides[2])}{closing}"


_NOT_EQUAL = re.compile(r"\\ne(?![a-zA-Z])")


def _all_but(text: str) -> str:
    """`x \\ne 2`: the reals without one point."""
    left, right = (side.strip() for side in _NOT_EQUAL.split(text, maxsplit=1))
    if not _VARIABLE.fullmatch(left):
        raise NotMath
    point = _value(right)
    return rf"(-\infty,{point})\cup({point},\infty)"


# --- lists -----------------------------------------------------------------------------------------------------

_MOST_MEMBERS = 40


def list_members(key: str) -> tuple[str, ...] | None:
    """The members of a key that is a bare list ("1, 2, 3", "bob, carl") or a set; None for anything else."""
    if key.startswith("{") and _encloses(key):
        members = _split(key[1:-1])
    elif ", " in key:
        members = [part for part in re.split(r",\s", key) if part]
    else:
        return None
    return tuple(members) if 1 < len(members) <= _MOST_MEMBERS else None
