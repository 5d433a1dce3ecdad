"""Pairs of formulas made at random, equal or with one change, with sympy as the judge. Written for the tests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import sympy as sp

x, y, n, a = sp.symbols("x y n a")
SYMBOLS = [x, y, n, a]


def pairs(seed: int, count: int) -> Iterator[tuple[str, str, bool]]:
    """(formula, formula, whether they are equal), `count` of each kind, in LaTeX as models write it."""
    draw = random.Random(seed)
    equal = different = 0
    while equal < count or different < count:
        formula = draw.choice([polynomial, product, quotient, constant, root, waves, exponential, logarithm])(draw)
        if formula.has(sp.zoo, sp.nan, sp.oo):
            continue
        forms = [formula, sp.expand(formula), sp.factor(formula), sp.together(formula), sp.radsimp(formula)]
        first, second = draw.choice(forms), draw.choice(forms)
        if equal < count and difference(first, second, draw) is False:
            equal += 1
            yield latex(first, draw), latex(second, draw), True
        changed = change(draw.choice(forms), draw)
        if different < count and changed is not None and difference(formula, changed, draw) is True:
            different += 1
            yield latex(first, draw), latex(changed, draw), False


def whole(draw: random.Random, most: int = 9) -> Any:
    return sp.Integer(draw.choice([-1, 1]) * draw.randint(1, most))


def polynomial(draw: random.Random) -> Any:
    names = draw.sample(SYMBOLS, 2)
    return sum(whole(draw) * names[0] ** draw.randint(0, 3) * names[1] ** draw.randint(0, 2) for _ in range(3))


def product(draw: random.Random) -> Any:
    first, second = draw.sample(SYMBOLS, 2)
    return whole(draw, 3) * (first + whole(draw)) * (whole(draw) * second - first) ** draw.randint(1, 2)


def quotient(draw: random.Random) -> Any:
    return polynomial(draw) / (whole(draw) * draw.choice(SYMBOLS) + whole(draw))


def constant(draw: random.Random) -> Any:
    parts = [sp.Rational(draw.randint(1, 20), draw.randint(2, 12)), sp.pi, sp.sqrt(draw.choice([2, 3, 5, 8, 12])), sp.I]
    first, second = draw.choice(parts), draw.choice(parts)
    return draw.choice([first + whole(draw) * second, first * second * whole(draw), first / (second + whole(draw))])


def root(draw: random.Random) -> Any:
    return sp.sqrt(draw.choice(SYMBOLS) + draw.randint(1, 9)) * draw.choice([1, 2, x]) + draw.choice([0, n])


def waves(draw: random.Random) -> Any:
    wave = draw.choice([sp.sin, sp.cos, sp.tan])(draw.randint(1, 3) * draw.choice(SYMBOLS))
    return whole(draw, 5) * wave ** draw.randint(1, 2) + draw.choice([0, 1, sp.cos(x)])


def exponential(draw: random.Random) -> Any:
    base = draw.choice([sp.E, sp.Integer(2), sp.Integer(6)])
    return base ** (whole(draw, 3) * draw.choice(SYMBOLS) + draw.choice([0, 1, 2])) * draw.choice([1, 3, x])


def logarithm(draw: random.Random) -> Any:
    return whole(draw, 4) * sp.log(draw.choice([2, 8, 9, 12, x, x + 1])) + draw.choice([0, y, sp.log(3)])


def change(formula: Any, draw: random.Random) -> Any:
    """The formula with one of its parts changed."""
    part = draw.choice(list(sp.preorder_traversal(formula)))
    if part.is_Integer:
        other = part + draw.choice([1, -1])
    elif part.is_Symbol:
        other = draw.choice([name for name in SYMBOLS if name != part])
    elif part.is_Pow:
        other = part.args[0] ** (part.args[1] + 1)
    elif part.is_Function:
        other = {sp.sin: sp.cos, sp.cos: sp.sin, sp.tan: sp.sin}.get(part.func, sp.exp)(part.args[0])
    else:
        other = -part
    changed = formula.xreplace({part: other})
    return None if changed.has(sp.zoo, sp.nan, sp.oo) else changed


def difference(first: Any, second: Any, draw: random.Random) -> bool | None:
    """Whether two formulas differ, at three points; None where the points do not agree."""
    names = sorted((first - second).free_symbols, key=str)
    found = set()
    for _ in range(3):
        point = {name: sp.Rational(draw.randint(11, 97), draw.randint(7, 19)) for name in names}
        found.add(abs(complex((first - second).subs(point).evalf(30))) > 1e-9)
    return found.pop() if len(found) == 1 else None


def latex(formula: Any, draw: random.Random) -> str:
    """LaTeX, in one of the styles that models have."""
    style = {
        "fold_short_frac": draw.random() < 0.2,
        "mul_symbol": draw.choice([None, None, "dot"]),
        "order": draw.choice(["lex", "grlex", "rev-lex", "none"]),
        "ln_notation": True,
        "root_notation": True,
    }
    text = str(sp.latex(formula, **style))
    for plain, other in ((r"\frac", r"\dfrac"), (r"\left(", "("), (" ", "  ")):
        if draw.random() < 0.3:
            text = text.replace(plain, other).replace(r"\right)", ")" if plain == r"\left(" else r"\right)")
    return text
