"""Sums of products with exact rational coefficients: the normal form of an algebraic expression.

A `Polynomial` maps monomials to `Fraction`s; a monomial is a sorted tuple of (atom, exponent) pairs, an atom
a variable, π, a prime under a root, or the text of something that cannot be taken apart. Owns its arithmetic
and its one spelling. Must not know LaTeX input. Bounded: what would grow too large raises `TooLarge`.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, isqrt
from typing import TypeAlias

from dynscale_cli.answers.numbers import rational_key

Monomial: TypeAlias = tuple[tuple[str, Fraction], ...]
Polynomial: TypeAlias = dict[Monomial, Fraction]

_MOST_TERMS = 120
_MOST_BITS = 3000  # of a coefficient; about 900 digits
_MOST_POWER = 24  # to which a sum is expanded
_TRIAL = 2000  # square factors are sought up to here


class TooLarge(ArithmeticError):
    """The exact result would not fit the bounds."""


def constant(value: Fraction | int) -> Polynomial:
    return {(): Fraction(value)} if value else {}


def atom(name: str, exponent: Fraction | int = 1) -> Polynomial:
    return {((name, Fraction(exponent)),): Fraction(1)}


def as_rational(poly: Polynomial) -> Fraction | None:
    """The value of a constant; None for anything else."""
    if not poly:
        return Fraction(0)
    return poly.get(()) if len(poly) == 1 else None


def add(left: Polynomial, right: Polynomial) -> Polynomial:
    total = dict(left)
    for monomial, coefficient in right.items():
        value = total.get(monomial, Fraction(0)) + coefficient
        if value:
            total[monomial] = value
        else:
            total.pop(monomial, None)
    return _bounded(total)


def scale(poly: Polynomial, factor: Fraction) -> Polynomial:
    return _bounded({monomial: value * factor for monomial, value in poly.items()}) if factor else {}


def multiply(left: Polynomial, right: Polynomial) -> Polynomial:
    if len(left) * len(right) > _MOST_TERMS * 4:
        raise TooLarge
    total: Polynomial = {}
    for first, a in left.items():
        for second, b in right.items():
            monomial, factor = _product(first, second)
            value = total.get(monomial, Fraction(0)) + a * b * factor
            if value:
                total[monomial] = value
            else:
                total.pop(monomial, None)
    return _bounded(total)


def _bounded(poly: Polynomial) -> Polynomial:
    if len(poly) > _MOST_TERMS:
        raise TooLarge
    for value in poly.values():
        if value.numerator.bit_length() + value.denominator.bit_length() > _MOST_BITS:
            raise TooLarge
    return poly


def _product(first: Monomial, second: Monomial) -> tuple[Monomial, Fraction]:
    """(monomial, rational factor): whole powers of primes and of i leave the monomial."""
    exponents = dict(first)
    for name, exponent in second:
        exponents[name] = exponents.get(name, Fraction(0)) + exponent
    factor = Fraction(1)
    for name, exponent in list(exponents.items()):
        if name.isdigit() and not 0 <= exponent < 1:
            whole = exponent.numerator // exponent.denominator
            if abs(whole) * int(name).bit_length() > _MOST_BITS:
                continue  # too long to be written out: 2^2025 stays a power
            factor *= Fraction(int(name)) ** whole
            exponents[name] = exponent - whole
        elif name == "i" and exponent.denominator == 1 and not 0 <= exponent < 2:
            factor *= -1 if exponent % 4 in (2, 3) else 1
            exponents[name] = exponent % 2
    return tuple(sorted((name, exponent) for name, exponent in exponents.items() if exponent)), factor


def power(base: Polynomial, exponent: Fraction) -> Polynomial:
    """`base` to a rational exponent, as far as it can be taken apart exactly."""
    if exponent.denominator == 1:
        return _whole_power(base, exponent.numerator)
    rational = as_rational(base)
    if rational is not None:
        return _root_of_rational(rational, exponent)
    content, primitive = _content(base)
    outer = _root_of_rational(content, exponent)
    if len(primitive) == 1:
        ((monomial, sign),) = primitive.items()
        if len(monomial) == 1 and monomial[0][1] == 1 and sign == 1:
            return multiply(outer, {((monomial[0][0], exponent),): Fraction(1)})
    return multiply(outer, atom(f"({spell(primitive)})", exponent))


def _whole_power(base: Polynomial, exponent: int) -> Polynomial:
    if exponent < 0:
        return _whole_power(inverse(base), -exponent)
    if len(base) == 1:
        ((monomial, coefficient),) = base.items()
        size = coefficient.numerator.bit_length() + coefficient.denominator.bit_length()
        if abs(coefficient) != 1 and size * exponent > _MOST_BITS:
            rest: Polynomial = {tuple((name, power * exponent) for name, power in monomial): Fraction(1)}
            return multiply(rest, _root_of_rational(coefficient, Fraction(exponent)))
        scaled: Monomial = tuple((name, power * exponent) for name, power in monomial)
        merged, factor = _product(scaled, ())
        return _bounded({merged: coefficient**exponent * factor})
    if exponent > _MOST_POWER:
        raise TooLarge
    result = constant(1)
    for _ in range(exponent):
        result = multiply(result, base)
    return result


def inverse(base: Polynomial) -> Polynomial:
    """1/base; a sum of two terms whose squares are rational is rationalised (1/(1+√2) = √2 - 1)."""
    if not base:
        raise ZeroDivisionError
    if len(base) == 1:
        ((monomial, coefficient),) = base.items()
        flipped: Monomial = tuple((name, -exponent) for name, exponent in monomial)
        merged, factor = _product(flipped, ())
        return {merged: factor / coefficient}
    if len(base) == 2:
        (first, a), (second, b) = base.items()
        conjugate = {first: a, second: -b}
        norm = as_rational(multiply(base, conjugate))
        if norm:
            return scale(conjugate, 1 / norm)
    content, primitive = _content(base)
    return scale(atom(f"({spell(primitive)})", -1), 1 / content)


def _content(poly: Polynomial) -> tuple[Fraction, Polynomial]:
    """(c, p) with poly = c·p, p with coprime integer coefficients and c > 0."""
    numerator, denominator = 0, 1
    for value in poly.values():
        numerator = gcd(numerator, value.numerator)
        denominator = denominator * value.denominator // gcd(denominator, value.denominator)
    content = Fraction(numerator, denominator)
    return content, scale(poly, 1 / content)


def primitive(poly: Polynomial) -> Polynomial:
    """`poly` without its rational content, its first term positive: the same set of zeros."""
    if not poly:
        return poly
    part = _content(poly)[1]
    leading = min(part, key=_order)
    return part if part[leading] > 0 else scale(part, Fraction(-1))


def _root_of_rational(value: Fraction, exponent: Fraction) -> Polynomial:
    if value == 0:
        if exponent < 0:
            raise ZeroDivisionError
        return {}
    result = constant(1)
    if value < 0:
        if exponent.denominator % 2:
            result = constant(-1 if exponent.numerator % 2 else 1)
        elif exponent.denominator == 2:
            result = power(atom("i"), Fraction(exponent.numerator))
        else:
            raise TooLarge
    for number, sign in ((abs(value.numerator), 1), (value.denominator, -1)):
        for prime, times in _factors(number):
            result = multiply(result, _prime_power(prime, exponent * times * sign))
    return result


def _prime_power(prime: int, exponent: Fraction) -> Polynomial:
    whole = exponent.numerator // exponent.denominator
    if abs(whole) * prime.bit_length() > _MOST_BITS:
        return atom(str(prime), exponent)
    rest = exponent - whole
    factor = constant(Fraction(prime) ** whole)
    return multiply(factor, atom(str(prime), rest)) if rest else factor


def _factors(number: int) -> list[tuple[int, int]]:
    """(factor, times); factors beyond the trial bound stay together, but a square is seen."""
    if number.bit_length() > 256:
        raise TooLarge
    found = []
    for candidate in (2, *range(3, _TRIAL, 2)):
        if candidate * candidate > number:
            break
        times = 0
        while number % candidate == 0:
            number //= candidate
            times += 1
        if times:
            found.append((candidate, times))
    if number > 1:
        root = isqrt(number)
        found.append((root, 2) if root * root == number else (number, 1))
    return found


def _order(monomial: Monomial) -> tuple[bool, Fraction, tuple[tuple[str, Fraction], ...]]:
    """Highest degree first, constants last."""
    degree = sum((exponent for name, exponent in monomial if not name.isdigit()), Fraction(0))
    return (not monomial, -degree, tuple((name, -exponent) for name, exponent in monomial))


def spell(poly: Polynomial) -> str:
    """The one spelling: terms by falling degree, `3x^{2}-1/2`, roots as `\\sqrt{2}` or `2^{1/3}`."""
    if not poly:
        return "0"
    rational = as_rational(poly)
    if rational is not None:
        return rational_key(rational)
    text = ""
    for monomial in sorted(poly, key=_order):
        value = poly[monomial]
        sign = "-" if value < 0 else "+" if text else ""
        text += sign + _spell_term(abs(value), monomial)
    return text


def prime_factors(number: Fraction) -> list[tuple[str, int]]:
    """(prime, exponent) of a positive rational."""
    above = [(str(prime), times) for prime, times in _factors(number.numerator)]
    return above + [(str(prime), -times) for prime, times in _factors(number.denominator)]


def logarithm(number: Fraction, name: str) -> Polynomial:
    """The logarithm of a positive rational as a sum over its prime factors; `name` is that of the function."""
    total: Polynomial = {}
    for prime, times in prime_factors(number):
        total = add(total, scale(atom(f"{name}({prime})"), Fraction(times)))
    return total


def _gathered(value: Fraction, monomial: Monomial) -> tuple[Fraction, Monomial]:
    """2·2^2024 as 2^2025: a prime that stays a power takes its like from the coefficient."""
    powers = []
    for name, exponent in monomial:
        if name.isdigit() and abs(exponent) >= 1:
            prime = int(name)
            while value.numerator % prime == 0:
                value, exponent = value / prime, exponent + 1
            while value.denominator % prime == 0:
                value, exponent = value * prime, exponent - 1
        powers.append((name, exponent))
    return value, tuple(powers)


def _spell_term(value: Fraction, monomial: Monomial) -> str:
    value, monomial = _gathered(value, monomial)
    factors = [_spell_power(name, exponent) for name, exponent in monomial]
    if not factors:
        return str(value)
    if value == 1:
        return "*".join(factors)
    coefficient = str(value) if value.denominator == 1 else f"({value})"
    return "*".join((coefficient, *factors))


def _spell_power(name: str, exponent: Fraction) -> str:
    if exponent == 1:
        return name
    if exponent == Fraction(1, 2):
        return f"\\sqrt{{{name}}}"
    if name.endswith("}") and "^{" in name and exponent.denominator == 1 and not name.startswith(("(", "\\")):
        base, _, inner = name.partition("^{")
        return f"{base}^{{{'-' if exponent == -1 else f'{exponent}*'}{inner}"  # e^{3*x}
    if not name.startswith("(") and ("^" in name or "(" in name):
        name = f"({name})"  # an exponential or a function: (e^{x})^{3}, (\\sin(x))^{2}
    return f"{name}^{{{exponent}}}"
