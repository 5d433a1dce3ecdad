r"""Whether two formulas are equal for all values of their variables, by exact algebra on their normal forms.

Owns what a normal form leaves apart: denominators that are sums ((x^2-1)/(x-1) and x+1), roots and powers of sums, and
the trigonometric functions of sums and multiples (sin 2x, cos^2 x). What it says is proven; what it cannot prove is
left to `prover`. Must not know where the formulas come from.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import comb

from dynscale_cli.answers import polynomial as poly
from dynscale_cli.answers.formulas import NotMath, normal_form
from dynscale_cli.answers.polynomial import Polynomial, TooLarge

_MOST_ROUNDS = 8
_MOST_MULTIPLE = 6  # of an angle
_OTHERS = {"tan": ("sin", "cos"), "cot": ("cos", "sin"), "sec": ("", "cos"), "csc": ("", "sin")}


@lru_cache(maxsize=4096)
def equal(first: str, second: str) -> bool:
    """Whether the keys of two formulas are proven equal; False where nothing is proven."""
    try:
        difference = poly.add(normal_form(first), poly.scale(normal_form(second), Fraction(-1)))
        for _ in range(_MOST_ROUNDS):
            if not difference:
                return True
            further = _opened(_cleared(difference))
            if further == difference:
                return False
            difference = further
    except (NotMath, TooLarge, ZeroDivisionError):
        pass
    return False


def _cleared(difference: Polynomial) -> Polynomial:
    """Times every sum or function in a denominator: 0 stays 0."""
    lowest: dict[str, Fraction] = {}
    for monomial in difference:
        for name, exponent in monomial:
            if exponent < 0 and not name.isdigit():
                lowest[name] = min(exponent, lowest.get(name, exponent))
    for name, exponent in lowest.items():
        difference = poly.multiply(difference, poly.atom(name, -(exponent.numerator // exponent.denominator)))
    return difference


def _opened(difference: Polynomial) -> Polynomial:
    """Sums to a whole power multiplied out, trigonometric functions by those of single angles."""
    total: Polynomial = {}
    for monomial, coefficient in difference.items():
        term = poly.constant(coefficient)
        for name, exponent in monomial:
            term = poly.multiply(term, _opened_power(name, exponent))
        total = poly.add(total, term)
    return total


def _opened_power(name: str, exponent: Fraction) -> Polynomial:
    whole = exponent.numerator // exponent.denominator
    if whole < 1 and not name.startswith("\\"):
        return poly.atom(name, exponent)
    base = normal_form(name) if name.startswith("(") and name.endswith(")") else _function(name)
    if base is not None and whole > 0:
        return poly.multiply(poly.power(base, Fraction(whole)), poly.atom(name, exponent - whole))
    if base is not None and exponent.denominator == 1:
        return poly.power(base, exponent)
    if name.startswith("\\cos(") and whole > 1:
        square = poly.add(poly.constant(1), poly.scale(poly.atom(f"\\sin({name[5:]}", 2), Fraction(-1)))
        return poly.multiply(poly.power(square, Fraction(whole // 2)), poly.atom(name, exponent - 2 * (whole // 2)))
    return poly.atom(name, exponent)


def _function(name: str) -> Polynomial | None:
    """tan, cot, sec and csc by sin and cos; sin and cos of sums and multiples by those of single angles."""
    if not name.startswith("\\") or not name.endswith(")"):
        return None
    called, _, inner = name[1:-1].partition("(")
    if called in _OTHERS:
        above, below = (poly.atom(f"\\{part}({inner})") if part else poly.constant(1) for part in _OTHERS[called])
        return poly.multiply(above, poly.power(below, Fraction(-1)))
    if called not in ("sin", "cos"):
        return None
    angle = normal_form(inner)
    if not angle or (len(angle) == 1 and next(iter(angle.values())).numerator == 1):
        return None  # a single angle
    cosine, sine = poly.constant(1), poly.constant(0)
    for monomial, coefficient in angle.items():
        more = _multiple({monomial: Fraction(1, coefficient.denominator)}, coefficient.numerator)
        cosine, sine = (
            poly.add(poly.multiply(cosine, more[0]), poly.scale(poly.multiply(sine, more[1]), Fraction(-1))),
            poly.add(poly.multiply(sine, more[0]), poly.multiply(cosine, more[1])),
        )
    return sine if called == "sin" else cosine


def _multiple(angle: Polynomial, times: int) -> tuple[Polynomial, Polynomial]:
    """(cos, sin) of a whole multiple of an angle, by de Moivre."""
    if abs(times) > _MOST_MULTIPLE:
        raise TooLarge
    spelt = poly.spell(angle)
    cosine, sine = poly.atom(f"\\cos({spelt})"), poly.atom(f"\\sin({spelt})")
    parts: list[Polynomial] = [{}, {}]
    for index in range(abs(times) + 1):
        term = poly.multiply(poly.power(cosine, Fraction(abs(times) - index)), poly.power(sine, Fraction(index)))
        sign = -1 if index % 4 in (2, 3) else 1
        parts[index % 2] = poly.add(parts[index % 2], poly.scale(term, Fraction(sign * comb(abs(times), index))))
    return parts[0], parts[1] if times >= 0 else poly.scale(parts[1], Fraction(-1))
