r"""A formula, in LaTeX or as typed, to its exact normal form.

Owns the grammar: numbers, + - * / ^, implied products, \frac, roots, factorials, binomials, named functions,
subscripts. Takes what `normalize.tidy` gives. Raises `NotMath` for words and for what it cannot read exactly; the
caller then compares spellings. Must not know sets, tuples or relations. Depth and length are bounded.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import comb, factorial

from dynscale_cli.answers import polynomial as poly
from dynscale_cli.answers.normalize import word_set
from dynscale_cli.answers.numbers import Huge, literal
from dynscale_cli.answers.polynomial import Polynomial, TooLarge

LONGEST = 600
_DEEPEST = 30
_TOKEN = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+(?![\w.]))?|\.\d+|\\[a-zA-Z]+|[A-Za-z]+|\*\*|\s+|.", re.DOTALL)
_ORDINAL = re.compile(r"\d(?:st|nd|rd|th)(?![a-z])")
_REPEATING = re.compile(r"(?<!\d)(\d{0,9})\.(\d{0,9})\\overline\s?\{(\d{1,9})\}")
_FUNCTIONS = word_set(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp sqrt cbrt det gcd lcm max min"
)
_GREEK = word_set(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi "
    "chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega infty ell hbar emptyset R"
)
_NAMES = {
    "pi": r"\pi",
    "inf": r"\infty",
    "infinity": r"\infty",
    "oo": r"\infty",
    **{g: "\\" + g for g in _GREEK if len(g) > 2},
}
_SHORT_WORDS = word_set("no is of to in it or an as at be by if so we he me us do go am on my up")


# A small word that stands alone; in 16by it is two letters.
_SHORT_WORD = re.compile(rf"(?<![\d)}}*a-zA-Z\\])(?:{'|'.join(sorted(_SHORT_WORDS))})(?![\^_a-zA-Z])", re.IGNORECASE)


class NotMath(ValueError):
    """The text is not a formula that can be read exactly."""


def normal_form(text: str) -> Polynomial:
    """The exact normal form of one expression (tidied LaTeX or plain). Raises NotMath."""
    if len(text) > LONGEST or _ORDINAL.search(text):
        raise NotMath
    parser = _Parser(_REPEATING.sub(_repeating, text))
    try:
        value = parser.expression()
    except (TooLarge, ZeroDivisionError) as unreadable:
        raise NotMath from unreadable
    if parser.peek():
        raise NotMath
    return value


def _repeating(match: re.Match[str]) -> str:
    """0.1\\overline{6} as a fraction."""
    whole, start, period = match.groups()
    shift, cycle = 10 ** len(start), 10 ** len(period) - 1
    value = int(whole or "0") + Fraction(int(start or "0"), shift) + Fraction(int(period), shift * cycle)
    return f"({value})"


class _Parser:
    """Recursive descent over tokens; white space only separates, and marks mixed numbers."""

    def __init__(self, text: str) -> None:
        raw = _TOKEN.findall(text)
        self.tokens = ["^" if token == "**" else token for token in raw if not token.isspace()]
        self.spaced = bool(_SHORT_WORD.search(text))
        self.at = 0
        self.depth = 0

    def peek(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise NotMath
        self.at += 1
        return token

    def expression(self) -> Polynomial:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise NotMath
        sign = self._sign()
        total = self.term() if sign > 0 else poly.scale(self.term(), Fraction(-1))
        while self.peek() in ("+", "-"):
            sign = self._sign()
            term = self.term()
            total = poly.add(total, term if sign > 0 else poly.scale(term, Fraction(-1)))
        self.depth -= 1
        return total

    def _sign(self) -> int:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        return sign

    def term(self) -> Polynomial:
        value = self.factor()
        while True:
            token = self.peek()
            if token == "*":
                self.take()
                value = poly.multiply(value, self._signed_factor())
            elif token == "/":
                self.take()
                value = poly.multiply(value, poly.inverse(self._signed_factor()))
            elif self._starts_factor(token):
                value = self._juxtaposed(value)
            else:
                return value

    def _signed_factor(self) -> Polynomial:
        sign = self._sign()
        value = self.factor()
        return value if sign > 0 else poly.scale(value, Fraction(-1))

    def _starts_factor(self, token: str) -> bool:
        """A factor without a sign of multiplication: 2x, 3(x+1), 2\\sqrt{3}; not 'x 2'."""
        if token in ("(", "{", "[") or token[:1].isalpha():
            return True
        if token.isdigit() and (self.tokens[self.at - 1] == "!" or self.peek(1) == "^"):
            return True  # 7!3!, x 2^n
        return token[:1] == "\\" and len(token) > 1

    def _juxtaposed(self, value: Polynomial) -> Polynomial:
        previous = self.tokens[self.at - 1]
        mixed = previous.isdigit() and self.peek() == r"\frac" and self.peek(-2) not in ("^", "_", "/", "*")
        factor = self.factor()
        rational = poly.as_rational(factor)
        whole = poly.as_rational(value)
        if mixed and rational is not None and whole is not None and 0 < rational < 1:
            return poly.constant(whole + rational)  # 2\frac{1}{2}
        return poly.multiply(value, factor)

    def factor(self) -> Polynomial:
        return self._raised(self.primary())

    def _raised(self, value: Polynomial) -> Polynomial:
        """What stands behind a value belongs to it: powers and factorials."""
        while self.peek() in ("^", "!", "'"):
            if self.take() == "^":
                value = _raise_to(value, self._exponent())
            elif self.tokens[self.at - 1] == "!":
                value = _factorial(value)
            else:
                raise NotMath
        return value

    def _exponent(self) -> Polynomial:
        sign = self._sign()
        token = self.peek()
        if token.isascii() and token.isalpha() and len(token) == 2 and token.lower() not in _NAMES:
            self.tokens[self.at : self.at + 1] = list(token)  # 2^nx is 2^n times x
            exponent = poly.atom(self.take())
        else:
            exponent = self._group() if token in ("{", "(") else self.factor()
        return exponent if sign > 0 else poly.scale(exponent, Fraction(-1))

    def _first_digit(self) -> Polynomial:
        token = self.tokens[self.at]
        if len(token) > 1:
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
        return poly.constant(int(self.take()))

    def _group(self) -> Polynomial:
        closing = {"{": "}", "(": ")", "[": "]"}[self.take()]
        value = self.expression()
        self.take(closing)
        return value

    def _argument(self) -> Polynomial:
        """A LaTeX argument: {…} or one digit or one letter (\\frac12, \\sqrt2)."""
        token = self.peek()
        if token in ("{", "("):
            return self._group()
        if token.isdigit():
            return self._first_digit()
        return self.primary()

    def primary(self) -> Polynomial:
        token = self.peek()
        if token in ("(", "{", "["):
            return self._group()
        if token == "|":
            self.take()
            value = self.expression()
            self.take("|")
            return _absolute(value)
        if token[:1].isdigit() or (token[:1] == "." and len(token) > 1):
            return self._number()
        if token[:1] == "\\":
            return self._command()
        if token.isascii() and token.isalpha():
            return self._letters()
        raise NotMath

    def _number(self) -> Polynomial:
        token = self.take()
        mantissa, _, exponent = token.lower().partition("e")
        whole, _, fraction = mantissa.partition(".")
        value = literal(whole, fraction, exponent or "0")
        if value is None or isinstance(value, Huge):
            raise NotMath
        if self.peek() == "_":
            return poly.atom(token + self._subscript())
        if token.isdigit() and self.peek().isdigit():
            return self._mixed(value)
        return poly.constant(value)

    def _mixed(self, whole: Fraction) -> Polynomial:
        """2 1/2"""
        numerator = int(self.take()[:9])
        self.take("/")
        denominator = self.take()
        if not denominator.isdigit() or not 0 < numerator < int(denominator[:9]):
            raise NotMath
        return poly.constant(whole + Fraction(numerator, int(denominator[:9])))

    def _subscript(self) -> str:
        self.take("_")
        if self.peek() != "{":
            token = self.take()
            return f"_{{{token}}}"
        self.take()
        parts = []
        while self.peek() != "}":
            parts.append(self.take())
        self.take("}")
        return f"_{{{''.join(parts)}}}"

    def _letters(self) -> Polynomial:
        token = self.take()
        lowered = token.lower()
        if lowered in _FUNCTIONS:
            return self._function(lowered)
        name = _NAMES.get(token) or _NAMES.get(lowered if lowered in ("inf", "infinity", "pi") else "")
        if name is not None:
            return poly.atom(name)
        if (
            len(token) > 2
            or (lowered in _SHORT_WORDS and self.spaced)
            or (self.peek()[:1].isdigit() and self.peek(1) != "^")
        ):
            raise NotMath  # words, and names such as H2O
        value = poly.constant(1)
        for letter in token[:-1]:
            value = poly.multiply(value, poly.atom(letter))
        last = token[-1] + (self._subscript() if self.peek() == "_" else "")
        return poly.multiply(value, self._raised(poly.atom(last)))  # of xy^2 only y is squared

    def _command(self) -> Polynomial:
        name = self.take()[1:]
        if name == "frac":
            numerator = self._argument()
            return poly.multiply(numerator, poly.inverse(self._argument()))
        if name == "binom":
            return _binomial(self._argument(), self._argument())
        if name == "text":
            return self._text()
        if name in _FUNCTIONS:
            return self._function(name)
        if name in _GREEK:
            return poly.atom("\\" + name + (self._subscript() if self.peek() == "_" else ""))
        raise NotMath

    def _text(self) -> Polynomial:
        """\\mathbf{v}: one letter is a name, more are words."""
        self.take("{")
        name = self.take()
        self.take("}")
        if len(name) != 1 or not name.isalpha():
            raise NotMath
        return poly.atom(name)

    def _function(self, name: str) -> Polynomial:
        if name in ("sqrt", "cbrt"):
            return self._root(3 if name == "cbrt" else 2)
        subscript = self._subscript() if self.peek() == "_" else ""
        exponent: Polynomial | None = None
        if self.peek() == "^":
            self.take()
            exponent = self._exponent()
        argument = self._group() if self.peek() in ("(", "{", "[") else self._loose_argument()
        if name == "exp":
            value = _raise_to(poly.atom("e"), argument)
        elif exponent is not None and poly.as_rational(exponent) == -1:
            return poly.atom(f"\\arc{name}({poly.spell(argument)})")
        else:
            value = _logarithm(name, subscript, argument) or poly.atom(f"\\{name}{subscript}({poly.spell(argument)})")
        return value if exponent is None else _raise_to(value, exponent)

    def _loose_argument(self) -> Polynomial:
        """sin 2x: the factors that follow without a sign."""
        value = self.factor()
        while (self.peek()[:1].isalpha() and self.peek().lower() not in _FUNCTIONS) or self.peek()[1:] in _GREEK:
            value = poly.multiply(value, self.factor())
        return value

    def _root(self, degree: int) -> Polynomial:
        if self.peek() == "[":
            self.take()
            token = self.take()
            self.take("]")
            if not token.isdigit() or not 1 < int(token[:4]) <= 12:
                raise NotMath
            degree = int(token)
        token = self.peek()
        radicand = poly.constant(int(self.take()[:300])) if token.isdigit() else self._argument()
        return poly.power(radicand, Fraction(1, degree))


def _raise_to(base: Polynomial, exponent: Polynomial) -> Polynomial:
    rational = poly.as_rational(exponent)
    if rational is not None:
        if rational.denominator > 12 or abs(rational) > 10**18:
            raise NotMath
        return poly.power(base, rational)
    number = poly.as_rational(base)
    if number is not None and number > 0:
        factors = poly.prime_factors(number)
    elif len(base) == 1 and next(iter(base.values())) == 1 and len(next(iter(base))) == 1:
        factors = [(poly.spell(base), 1)]
    else:
        return poly.atom(f"({poly.spell(base)})^{{{poly.spell(exponent)}}}")
    value = poly.constant(1)
    for name, times in factors:
        value = poly.multiply(value, _power_of(name, poly.scale(exponent, Fraction(times))))
    return value


def _power_of(name: str, exponent: Polynomial) -> Polynomial:
    """`name` to a sum, term by term: 2^{n+1} is 2·2^n, e^{2x} is the square of e^x."""
    value = poly.constant(1)
    for monomial, coefficient in exponent.items():
        if not monomial:
            base = poly.constant(int(name)) if name.isdigit() else poly.atom(name)
            factor = poly.power(base, coefficient)
        else:
            whole = coefficient if name.isdigit() or name == "e" else Fraction(coefficient.numerator)
            rest = poly.spell({monomial: coefficient / whole})
            factor = poly.atom(f"{name if not set(name) & set('*^(/') else f'({name})'}^{{{rest}}}", whole)
        value = poly.multiply(value, factor)
    return value


def _logarithm(name: str, base: str, argument: Polynomial) -> Polynomial | None:
    """Of a rational number, by its prime factors; in a base that is a number, as a quotient; None for anything else."""
    number = poly.as_rational(argument)
    if name not in ("ln", "log", "lg") or number is None or number <= 0:
        return None
    value = poly.logarithm(number, f"\\{'ln' if base else name}")
    if not base:
        return value
    radix = base[2:-1]
    if not radix.isdigit() or int(radix[:9]) < 2:
        return None
    return poly.multiply(value, poly.inverse(poly.logarithm(Fraction(int(radix)), "\\ln")))


def _factorial(value: Polynomial) -> Polynomial:
    number = poly.as_rational(value)
    if number is None:
        return poly.atom(f"({poly.spell(value)})!")
    if number.denominator != 1 or not 0 <= number <= 300:
        raise NotMath
    return poly.constant(factorial(number.numerator))


def _binomial(upper: Polynomial, lower: Polynomial) -> Polynomial:
    n, k = poly.as_rational(upper), poly.as_rational(lower)
    if n is None or k is None:
        return poly.atom(f"\\binom{{{poly.spell(upper)}}}{{{poly.spell(lower)}}}")
    if n.denominator != 1 or k.denominator != 1 or not 0 <= n <= 1000 or k < 0:
        raise NotMath
    return poly.constant(comb(n.numerator, k.numerator))


def _absolute(value: Polynomial) -> Polynomial:
    number = poly.as_rational(value)
    return poly.atom(f"|{poly.spell(value)}|") if number is None else poly.constant(abs(number))
