r"""Whether two formulas are equal for all values of their variables: by exact algebra, or as a second opinion says.

Owns what a normal form leaves apart: denominators that are sums ((x^2-1)/(x-1) and x+1), roots and powers of sums, and
the trigonometric functions of sums and multiples (sin 2x, cos^2 x). What `equal` says is proven.

Owns as well the process of math-verify, which is asked for the rest where the extra `math` is installed. Its own limit
uses signals, which work in the main thread only, and a symbolic computation cannot be stopped from within; so it runs
apart, is started when first needed, and is killed when it overruns. Never fatal: without it, or after too many
overruns, the opinion is "not the same". Must not know where the formulas come from, nor what they answer.
"""

from __future__ import annotations

import threading
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec
from math import comb
from typing import TYPE_CHECKING, Any

from dynscale_cli.answers import polynomial as poly
from dynscale_cli.answers.formulas import NotMath, normal_form
from dynscale_cli.answers.polynomial import Polynomial, TooLarge

if TYPE_CHECKING:
    from dynscale_cli.child import Child


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


# --- a second opinion ------------------------------------------------------------------------------------------

_MEMORY = 3 << 30  # bytes of address space: a runaway expansion must not take the machine's memory
_COMPUTING = 1800  # seconds of its life spent computing, should it be past being told to end
_WARM_UP = ("x", "x")  # the first pair imports sympy and builds the grammar


class Prover:
    """Says whether two formulas mean the same. Safe to share between threads; answers are remembered.

    `seconds`: limit for one pair; `start_seconds`: for the process to come up (it imports sympy);
    `overruns`: after so many kills no more is asked.
    """

    def __init__(self, *, seconds: float = 3.0, start_seconds: float = 30.0, overruns: int = 3) -> None:
        self.seconds = seconds
        self.start_seconds = start_seconds
        self._chances = overruns if find_spec("math_verify") is not None else 0
        self._known: dict[tuple[str, str], bool] = {}
        self._child: Child | None = None
        self._lock = threading.Lock()

    @property
    def available(self) -> bool:
        """Whether the extra is installed and has not overrun too often."""
        return self._chances > 0

    def same(self, first: str, second: str) -> bool:
        """Whether math-verify finds both equal in both directions; False when it cannot say in time."""
        pair = (first, second) if first <= second else (second, first)
        with self._lock:
            if pair not in self._known:
                if not self.available:
                    return False
                self._known[pair] = self._ask(pair)
            return self._known[pair]

    def close(self) -> None:
        """End the process. A later question starts another."""
        with self._lock:
            self._stop()

    def _ask(self, pair: tuple[str, str]) -> bool:
        from dynscale_cli.child import Child, ChildError

        try:
            if self._child is None:
                self._child = Child("dynscale_cli.answers.prover:verdict", memory=_MEMORY, cpu=_COMPUTING)
                self._child.ask(_WARM_UP, self.start_seconds)
            return bool(self._child.ask(pair, self.seconds))
        except OSError:  # no process can be started here
            self._chances = 0
        except ChildError:
            self._chances -= 1
        self._stop()
        return False

    def _stop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


# --- in the process of its own ---------------------------------------------------------------------------------


def verdict(pair: list[str]) -> bool:
    """Equal in both directions: math-verify treats its first argument, the gold answer, differently."""
    try:
        from math_verify import LatexExtractionConfig, parse, verify

        def parsed(key: str) -> Any:
            formula: Any = parse(f"${_latex(key)}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
            return [part for part in formula if not isinstance(part, str)]

        one, other = (parsed(key) for key in pair)
        if not one or not other:
            return False
        return bool(verify(one, other, timeout_seconds=None)) and bool(verify(other, one, timeout_seconds=None))
    except Exception:  # any failure to decide is "not the same"
        return False


def _latex(key: str) -> str:
    r"""A key as LaTeX: the braces of a set are \{ \}."""
    return rf"\{{{key[1:-1]}\}}" if key.startswith("{") and key.endswith("}") else key
