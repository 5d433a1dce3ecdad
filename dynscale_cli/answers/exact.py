"""Exact values of decimal literals and the one way each is written.

Owns decimal text -> `Fraction` (or `Huge`, where writing the value out would cost memory) and the key
of a rational. Must not know of words, units or LaTeX. Nothing here is ever a float.
"""

from __future__ import annotations

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
