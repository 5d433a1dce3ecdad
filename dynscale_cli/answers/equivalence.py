"""Which keys are the same answer: equal keys first, then formulas that a prover finds equal.

Owns the merging of keys into classes, the key of a text that stands alone, and the comparison with a gold answer.
Keys are canonical: the key of a key is itself. Classes are transitive whatever the prover says: a key joins the
first class whose representative it equals, and is compared with nothing else. Must not know how votes are weighed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from dynscale_cli.answers.choices import LETTERS
from dynscale_cli.answers.latex import box_at
from dynscale_cli.answers.normalize import plain
from dynscale_cli.answers.reading import read, text_key
from dynscale_cli.answers.structures import math_key
from dynscale_cli.answers.types import AnswerType


class Decider(Protocol):
    """What says whether two formulas mean the same; `prover.Prover` is one."""

    def same(self, first: str, second: str) -> bool: ...


_RATIONAL = re.compile(r"-?\d+(?:\.\d+|/\d+)?(?:e-?\d+)?")
_FORMULA = re.compile(r"[\\^*/+=()]|\d")
_LONG_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}|[^\x00-\x7f]")
# What a prover takes for something else: digits without their base, a time as a quotient, a date as a difference.
_MISREAD = re.compile(r"\d_|\d:\d|\d-\d")
_NAME = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]")
_CONSTANT_OF_INTEGRATION = re.compile(r"(?:(?<=\+)|^)[cC](?=\+|$)")
_LONGEST = 240


class Equivalence:
    """Merges keys that exact arithmetic left apart. Without a prover only equal keys are the same."""

    def __init__(self, prover: Decider | None = None) -> None:
        self._prover = prover

    def same(self, first: str, second: str) -> bool:
        """Whether two keys are one answer. Reflexive and symmetric; use `classes` for what is transitive."""
        if first == second:
            return True
        if self._prover is None or not may_be_equal(first, second):
            return False
        return self._prover.same(*sorted((first, second)))

    def classes(self, keys: Iterable[str]) -> dict[str, str]:
        """key -> representative, the first of its class in the order given."""
        representatives: list[str] = []
        found: dict[str, str] = {}
        for key in keys:
            if key in found:
                continue
            match = next((leader for leader in representatives if self.same(leader, key)), None)
            if match is None:
                representatives.append(key)
            found[key] = key if match is None else match
        return found


def may_be_equal(first: str, second: str) -> bool:
    """Whether asking is worth its time: two formulas of one shape, not two rationals, which arithmetic decides."""
    if max(len(first), len(second)) > _LONGEST or (_RATIONAL.fullmatch(first) and _RATIONAL.fullmatch(second)):
        return False
    if not all(_FORMULA.search(key) and not _LONG_WORD.search(key) for key in (first, second)):
        return False
    if any(_MISREAD.search(key) for key in (first, second)) or _differ_in_case(first, second):
        return False
    return _brackets(first) == _brackets(second)


def _differ_in_case(first: str, second: str) -> bool:
    """R and r are two radii, but provers ignore case: nothing may be proved where it tells names apart."""
    one, other = (set(_NAME.findall(_CONSTANT_OF_INTEGRATION.sub("", key))) for key in (first, second))
    spelt = {name.lower() for name in one | other}
    return len(spelt) < len(one | other)


def _brackets(key: str) -> str:
    """The outer shape of a key: its brackets if it is a list of values, `=` for an equation."""
    if "," in key and key[0] in "([{" and key[-1] in ")]}":
        return key[0] + key[-1]
    if "\\cup" in key:
        return "cup"
    return "=" if "=" in key else ""


# --- gold answers ----------------------------------------------------------------------------------------------

# GSM8K's gold answers are worked solutions that end so.
_WORKED = re.compile(r"(?:\A|\s)####[ \t]+([^\s#][^\n]*)\s*\Z")


def _unboxed(text: str, kind: AnswerType) -> str:
    r"""What stands in a \boxed{…} that is all there is; numbers and formulas are read in their box."""
    bare = text.strip().strip("$").strip() if kind.name in ("choice", "boolean", "math") else ""
    box = box_at(bare, 0) if bare else None
    return box[0] if box is not None and box[1] == len(bare) else text


def canonical(text: str, kind: AnswerType, choices: Sequence[str] = ()) -> str | None:
    """The key of `text` read as an answer of `kind`; None if it is none. Never raises, never a float.

    `18`, `$18.00` and `… #### 18` are "18"; `\\frac{1}{2}` is "0.5"; with `choices`, a letter or a choice's text
    is its letter.
    """
    worked = _WORKED.search(text[-400:])
    said = plain(worked[1] if worked is not None else _unboxed(text, kind))
    if kind.name == "regex":
        return " ".join(said.split()) or None
    if kind.name == "text":
        return text_key(said) or None
    if kind.name == "math":
        return math_key(said)
    reading = read(said, kind, choices)
    return reading[0] if reading is not None else None


def same_as_gold(
    answer: str,
    gold: str,
    kind: AnswerType,
    choices: Sequence[str] = (),
    equivalence: Equivalence | None = None,
) -> bool:
    """Whether an answer (its key or text) is the gold answer (`18`, `B`, a choice's text, `\\frac{1}{2}`, `… #### 18`).

    A percentage is also right as the fraction it is, where either side writes the sign: `25%` for `0.25`.
    """
    if choices and kind.name == "auto":
        kind = AnswerType("choice")
    wanted = canonical(gold, kind, choices) or _gold_letter(gold, kind)
    given = canonical(answer, kind, choices)
    if wanted is None or given is None:
        return False
    if (equivalence or Equivalence()).same(given, wanted):
        return True
    return any(
        canonical(f"({side})/100" if kind.name == "math" else f"{key}/100", AnswerType("math")) == other
        for side, key, other in ((answer.rstrip("\\% "), given, wanted), (gold.rstrip("\\% "), wanted, given))
        if side is not None and _is_percentage(answer if other is wanted else gold)
    )


def _is_percentage(text: str) -> bool:
    return text.rstrip(" .$").endswith(("%", "percent"))


def _gold_letter(gold: str, kind: AnswerType) -> str | None:
    """A gold letter beyond the choices that are known is still that letter."""
    letter = gold.strip().strip("().").upper()
    return letter if kind.name == "choice" and len(letter) == 1 and letter in LETTERS else None
