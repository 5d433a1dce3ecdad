"""Which keys are the same answer: equal keys first, then formulas that are proven equal, then names that are short.

Owns the merging of keys into classes, the names that are short for one other, the key of a text that stands alone, and
the comparison with a gold answer. Keys are canonical: the key of a key is itself. Classes are transitive whatever the
prover says: a key joins the first class whose representative it equals, and is compared with nothing else. Must not
know how votes are weighed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Protocol
from unicodedata import combining, normalize

from dynscale_cli.answers.choices import LETTERS
from dynscale_cli.answers.dates import day_of_a_year, possible_days
from dynscale_cli.answers.normalize import box_at, plain, prose, word_set, words
from dynscale_cli.answers.numbers import rational_key
from dynscale_cli.answers.prover import equal
from dynscale_cli.answers.quantities import Quantity, as_quantity, bare
from dynscale_cli.answers.reading import read_loosely
from dynscale_cli.answers.structures import CONSTANT, list_members, math_key
from dynscale_cli.answers.text import text_key
from dynscale_cli.answers.types import AnswerType


class Decider(Protocol):
    """What says whether two formulas mean the same; `prover.Prover` is one."""

    def same(self, first: str, second: str) -> bool: ...


_RATIONAL = re.compile(r"-?\d+(?:\.\d+|/\d+)?(?:e-?\d+)?")
_FORMULA = re.compile(r"[\\^*/+=()]|\d")
_LONG_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}|[^\x00-\x7f]")
# What a prover takes for something else: digits without their base, a time as a quotient, a date as a difference.
_CODE = re.compile(r"0[xob][0-9a-f]+")
_RATIO = re.compile(r"(\d{1,9}):([2-9]|\d{3,9})")  # with two digits behind it may be a time
_MISREAD = re.compile(r"\b0[xob]|\d\.\d+\.|\d_|\d:\d|\d-\d")
_NAME = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]")
_CONSTANT_OF_INTEGRATION = re.compile(r"(?:(?<=\+)|^)[cC](?=[-+]|$)")
_LONGEST = 240


class Equivalence:
    """Merges keys that exact arithmetic left apart. Without a prover only keys of one value are the same."""

    def __init__(self, prover: Decider | None = None) -> None:
        self._prover = prover

    def same(self, first: str, second: str, *, ordered: bool = True) -> bool:
        """Whether two keys are one answer, where there is no other. Reflexive and symmetric; see `classes`."""
        return first == second or len(set(self.classes((first, second), ordered=ordered).values())) == 1

    def classes(self, keys: Iterable[str], *, ordered: bool = True) -> dict[str, str]:
        """key -> representative, the first of its class in the order given. `ordered`: whether lists keep theirs.

        What may mean several things ("5 pounds", "2/4/2000", a bare 5 beside "5 km") joins the one class that it
        fits; where there are two, it stays alone.
        """
        place = {key: index for index, key in enumerate(dict.fromkeys(keys))}
        classes: list[list[str]] = []
        known: dict[Hashable, list[str]] = {}
        vague = []
        for key in place:
            meanings = _meanings(key, ordered)
            if len(meanings) > 1:
                vague.append(key)
                continue
            (meaning,) = meanings
            found = known.get(meaning) or next((group for group in classes if self._proven(group[0], key)), None)
            if found is None:
                found = []
                classes.append(found)
            known[meaning] = found
            found.append(key)
        certain = list(classes)
        for key in vague:
            may_be = _meanings(key, ordered)
            _join(classes, [key], [group for group in certain if not may_be.isdisjoint(_meanings(group[0], ordered))])
        short = [group for group in classes if len(group) == 1 and _is_bare(group[0])]
        for group in sorted(short, key=lambda group: _money(group[0]) is None):  # $18 an hour, $18, then 18
            classes.remove(group)
            _join(classes, group, [other for other in classes if any(_states(member, group[0]) for member in other)])
        found_in = {key: min(group, key=place.__getitem__) for group in classes for key in group}
        return {key: found_in[key] for key in place}

    def _proven(self, first: str, second: str) -> bool:
        if not may_be_equal(first, second):
            return False
        first, second = (_CONSTANT_OF_INTEGRATION.sub("C", key) for key in (first, second))
        if equal(*sorted((first, second))):
            return True
        return self._prover is not None and self._prover.same(*sorted((first, second)))


def _join(classes: list[list[str]], keys: list[str], fitting: list[list[str]]) -> None:
    """Add keys to the one class that they fit; else they are a class."""
    if len(fitting) == 1:
        fitting[0].extend(keys)
    else:
        classes.append(keys)


@lru_cache(maxsize=4096)
def _meanings(key: str, ordered: bool) -> frozenset[Hashable]:
    """What a key may stand for: amounts in base units, days, lists by their members; itself where it is plain."""
    if _CODE.fullmatch(key):
        return frozenset((key, key[2:]))  # 0xff, and ff where the question says that it is hexadecimal
    if (ratio := _RATIO.fullmatch(key)) is not None:
        return frozenset((key, rational_key(Fraction(int(ratio[1]), int(ratio[2])))))
    if any(char.isdigit() for char in key):
        quantity = as_quantity(prose(key) if r"\text" in key else key)
        amounts = quantity.amounts() if quantity is not None else frozenset()
        if amounts:
            return frozenset(amounts)
        days = possible_days(key)
        if days:
            return frozenset(days)
    members = list_members(key)
    if members is None:
        return frozenset((key,))
    inside = tuple(_meanings(member, ordered) for member in members)
    unordered = "set", frozenset(Counter(inside).items())  # 2, 2, 3 are not 2, 3
    return frozenset((("list", inside) if ordered and key[0] != "{" else unordered,))


def _is_bare(key: str) -> bool:
    """A value without a unit, money without its rate, a day without its year: it may be short for one that has them."""
    return bool(CONSTANT.fullmatch(key)) or _money(key) is not None or day_of_a_year(key) is not None


def _money(key: str) -> Quantity | None:
    quantity = as_quantity(key)
    return quantity if quantity is not None and len(quantity.parts) == 1 and quantity.parts[0][1].is_money else None


def _states(key: str, value: str) -> bool:
    """Whether a key is this value with a unit, this sum of money at a rate, or this day of a year. A bare year is none
    before our era."""
    if (day := day_of_a_year(value)) is not None:
        return key[4:10] == day and key[:4].isdigit()
    if key == value or bare(key) != bare(value) or key.endswith(" BC"):
        return False
    money, rate = _money(value), as_quantity(key)
    return money is None or (rate is not None and bool(rate.parts) and rate.parts[0][1].is_rate_of(money.parts[0][1]))


def may_be_equal(first: str, second: str) -> bool:
    """Whether asking is worth its time: two formulas of one shape, not two rationals, which arithmetic decides."""
    if max(len(first), len(second)) > _LONGEST or (_RATIONAL.fullmatch(first) and _RATIONAL.fullmatch(second)):
        return False
    if not all(_FORMULA.search(key) and not _LONG_WORD.search(key) for key in (first, second)):
        return False
    if " " in first or " " in second:
        return False  # lists go by their members and amounts by their units; a prover drops both
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
    reading = read_loosely(said, kind, choices)
    return reading[0] if reading is not None else None


def same_as_gold(
    answer: str,
    gold: str,
    kind: AnswerType,
    choices: Sequence[str] = (),
    equivalence: Equivalence | None = None,
) -> bool:
    """Whether an answer (its key or text) is the gold answer (`18`, `B`, a choice's text, `\\frac{1}{2}`, `… #### 18`).

    A gold that is a JSON list of texts accepts each of them. A percentage is also right as the fraction it is, where
    either side writes the sign: `25%` for `0.25`.
    """
    if choices and kind.name == "auto":
        kind = AnswerType("choice")
    judge = equivalence or Equivalence()
    return any(_is_gold(answer, one, kind, choices, judge) for one in (gold, *accepted(gold)))


def accepted(gold: str) -> tuple[str, ...]:
    """The answers that a gold answer accepts, where it is a JSON list of several."""
    if not gold.startswith('["'):
        return ()
    try:
        found = json.loads(gold)
    except ValueError:
        return ()
    return tuple(found) if all(isinstance(one, str) for one in found) else ()


def _is_gold(answer: str, gold: str, kind: AnswerType, choices: Sequence[str], equivalence: Equivalence) -> bool:
    wanted = canonical(gold, kind, choices) or _gold_letter(gold, kind)
    given = canonical(answer, kind, choices)
    if wanted is None or given is None:
        return False
    if equivalence.same(given, wanted, ordered=kind.ordered):
        return day_of_a_year(given) is None or day_of_a_year(wanted) is not None  # the year is part of a right answer
    if kind.name not in ("number", "math", "choice") and short_names(
        {given: answer, wanted: gold}, places=kind.ordered
    ):
        return True
    return any(
        canonical(f"({bare(key)})/100", AnswerType("math")) == other
        for key, other in ((given, wanted), (wanted, given))
        if key.endswith("%") or (answer if other is wanted else gold).rstrip(" .$").endswith(("%", "percent"))
    )


def _gold_letter(gold: str, kind: AnswerType) -> str | None:
    """A gold letter beyond the choices that are known is still that letter."""
    letter = gold.strip().strip("().").upper()
    return letter if kind.name == "choice" and len(letter) == 1 and letter in LETTERS else None


# --- names -----------------------------------------------------------------------------------------------------

# Words that make another name of one: South Korea is not Korea.
_DISTINGUISHING = word_set(
    "new north south east west northern southern eastern western central upper lower great greater little old saint st "
    "san santa los las el la lake mount river cape port fort sea bay equatorial democratic american british french "
    "dutch anti non mac of the and"
)


def short_names(shown: Mapping[str, str], *, places: bool) -> dict[str, str]:
    """key -> the key of the one longer name it is short for ("Shakespeare", "Paris" beside "Paris, France").

    `shown`: key -> the text as written, where names begin with capitals; `places`: whether what follows a comma tells
    where it is, and is no second answer.
    """
    found = _without_dressing(shown) | _acronyms(shown) | _without_accents(shown)
    shown = {key: text for key, text in shown.items() if key not in found}
    for key, text in shown.items():
        if not _is_name(key, text):
            continue
        longer = [other for other, spelt in shown.items() if other != key and _is_short_for(key, other, spelt, places)]
        full = [other for other in longer if not any(_is_short_for(other, one, shown[one], places) for one in longer)]
        if len(full) == 1:
            found[key] = full[0]
    return {key: found.get(other, other) for key, other in found.items()}


_INITIAL = re.compile(r"\b[A-Z](?=[a-z])")
PARTICLES = word_set("de la le van von der den da du del di bin al ten ter dos")
_TITLES = word_set("dr prof professor mr mrs ms miss sir dame president king queen pope saint captain general")


def _without_dressing(shown: Mapping[str, str]) -> dict[str, str]:
    """Names with a title, and the only one with a remark in brackets ("Paris (France)"), to the same without it."""
    found = {}
    remarked: dict[str, list[str]] = {}
    for key, text in shown.items():
        title, _, rest = key.partition(" ")
        if title in _TITLES and rest in shown:
            found[key] = rest
        elif text.endswith(")") and text.count(" (") == 1:
            remarked.setdefault(" ".join(words(text.partition(" (")[0])), []).append(key)
    alone = {keys[0]: name for name, keys in remarked.items() if len(keys) == 1}
    return found | {key: name for key, name in alone.items() if name in shown and name != key}


def _acronyms(shown: Mapping[str, str]) -> dict[str, str]:
    """USA to the only name with these initials."""
    found: dict[str, str] = {}
    for key, text in shown.items():
        letters = text.replace(".", "")
        if 2 <= len(letters) <= 6 and letters.isalpha() and letters.isupper():
            full = [other for other, spelt in shown.items() if letters == "".join(_INITIAL.findall(spelt)) != spelt]
            found |= {key: full[0]} if len(full) == 1 and full[0] != key else {}
    return found


def _without_accents(shown: Mapping[str, str]) -> dict[str, str]:
    """Names without their accents to the only one that has them."""
    accented: dict[str, list[str]] = {}
    for key, text in shown.items():
        if not key.isascii() and text[:1].isupper():
            bare = "".join(char for char in normalize("NFD", key) if not combining(char))
            accented.setdefault(bare, []).append(key)
    return {bare: keys[0] for bare, keys in accented.items() if bare in shown and len(keys) == 1 and keys[0] != bare}


def _is_name(key: str, text: str) -> bool:
    named = text[:1].isupper() or key.split()[0] in PARTICLES
    return len(key) > 2 and key.replace(" ", "").isalpha() and named and len(key.split()) <= 3


def _is_short_for(key: str, other: str, spelt: str, places: bool) -> bool:
    if not spelt[:1].isupper():
        return False
    first, comma, rest = other.partition(", ")
    if comma:
        return places and first == key and rest.replace(" ", "").isalpha() and spelt.split()[-1][:1].isupper()
    words_of = other.split()
    short = key.split()
    before = words_of[: -len(short)]
    surname = words_of[-len(short) :] == short and (len(short) == 1 or short[0] in PARTICLES) and before
    if len(short) > 1 and short[-1] == words_of[-1]:  # J. Austen, John Kennedy
        initials = [word[0] for word in words_of[:-1]] == short[:-1]
        middle = len(words_of) == 3 and len(words_of[1]) == 1 and words_of[0] == short[0] and len(short) == 2
        if initials or middle:
            return True
    if not surname or not 2 <= len(words_of) <= 5 or not spelt.split()[-1][:1].isupper():
        return False
    return other.replace(" ", "").isalpha() and _DISTINGUISHING.isdisjoint(before) and before[0] not in PARTICLES
