r"""Units, currency and percent signs around a value: labels that two answers may differ in and still agree.

Owns which words are units and taking them off a tidied formula. Must not know arithmetic: "5 cm" loses its
unit, but 5 cm and 5 m are told apart by nobody here (one question asks for one unit).
"""

from __future__ import annotations

import re

from dynscale_cli.answers.normalize import word_set

_SYMBOLS = word_set(
    "m s g h l L N J W V A K C F b B cm mm km nm dm kg mg lb lbs oz ft yd mi hr hrs min mins sec secs ms mL ml cl "
    "dl kL "
    "Hz kHz MHz GHz kW kWh MW kJ kcal cal Pa kPa eV keV MeV mol rad sr deg mph kph rpm USD EUR GBP INR sq cu in pm am "
    "cents cent GB MB KB TB kB px pts pt db dB Wh mAh kN kV mA uL ha ac pH bps"
)
_WORD = re.compile(r"[a-z]{3,}(?:[-'][a-z]+)*")
_SMALL_WORDS = frozenset({"per", "of", "the", "a", "an", "each", "in", "to", "more", "left", "on", "at"})
_NOT_UNITS = word_set(
    "hundred thousand million billion trillion "
    "and or plus minus times over sin cos tan cot sec csc log exp sqrt inf pi infinity not mod div theta alpha "
    "beta gamma "
    "delta lambda sigma omega phi psi rho"
)
_POWER = re.compile(r"(?:\^\{?-?\d\}?|\*\*\d)$")
_ATTACHED = re.compile(r"(?<=\d)\s?(?:cm|mm|km|nm|kg|mg|lbs?|oz|ft|yd|hrs?|min|sec|mL|ml|mph|kW|kWh|Hz|USD|EUR|GBP)$")
_TEXT_UNIT = re.compile(
    r"(?<=[^\s=+\-*/^_(\[{,<>])\s*\\text\s*\{\s*(?P<unit>[^{}]{0,80})\}\s*(?P<power>\^\s*\{?\s*-?\d\s*\}?)?\s*$"
)
_NAMES = frozenset({"i", "j", "k", "v", "u", "w", "x", "y", "z", "a", "b", "c", "n", "d", "e"})
_CURRENCY = str.maketrans("", "", "€£¥₹₽₩₺₫₱฿%¢")
_MOST_WORDS = 8


def _is_unit(token: str) -> bool:
    bare = _POWER.sub("", token.strip(".,"))
    if bare in _NOT_UNITS:
        return False
    return all(
        part in _SYMBOLS
        or part in _SMALL_WORDS
        or _WORD.fullmatch(part) is not None
        or _POWER.sub("", part) in _SYMBOLS
        for part in re.split(r"[/*]", bare)
        if part
    ) and any(char.isalpha() for char in bare)


def without_units(text: str) -> str:
    """`text` without currency, percent and trailing units; unchanged where nothing but words would remain."""
    text = text.translate(_CURRENCY).strip()
    for _ in range(4):
        unit = _TEXT_UNIT.search(text[-200:])
        if unit is None or unit["unit"].strip() in _NAMES:
            break
        text = text[: len(text) - len(text[-200:]) + unit.start()].rstrip().rstrip("/").rstrip()
    tokens = text.split()
    kept = len(tokens)
    while kept > 1 and len(tokens) - kept < _MOST_WORDS and _is_unit(tokens[kept - 1]):
        kept -= 1
    if kept < len(tokens) and any(char.isdigit() for token in tokens[:kept] for char in token):
        text = " ".join(tokens[:kept])
    return _ATTACHED.sub("", text)
