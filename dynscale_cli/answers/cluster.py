"""Free text that says the same: clusters by equal words, then by shared words.

Owns the similarity of texts and the medoid. A short answer ("Paris", "Paris, France") joins one that contains
it; texts that each say something the other does not join only when most of their telling words are shared.
In short answers, words that every sample
repeats (the question's own) weigh little. Negations, numbers (Roman ones too) and signs must agree, and where a word
puts things in order ("then", "than", "from … to"), so must the order; "Bob" is not "Bob and Amy".
Deterministic: texts join in order of frequency, then of appearance. Must not know votes or models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

from dynscale_cli.answers.dates import moment
from dynscale_cli.answers.normalize import word_set, words

_LONGEST = 6000  # characters of a text that are compared
_SHORT = 10  # telling words of a short answer
_SHARED_LONG = 0.4  # overlap (Dice) from which long texts are one answer
_SHARED_SHORT = 0.85  # the same, by weight, for short ones
_CONTAINED = 0.4
_NEGATIONS = word_set(
    "not no never none neither nor cannot can't isn't aren't wasn't doesn't don't didn't won't without nicht kein "
    "pas ne не нет"
)
_ROMAN = re.compile(r"(?=[ivx]{2})x{0,2}(?:ix|iv|v?i{0,3})")
_SIGNS = frozenset("+#@<>=*/^")
_ORDERING = word_set(
    "then than before after from to into over beats above below under exceeds precedes follows versus > < ->"
)
_JOINING = word_set("and or & und oder et ou y")
_EMPTY_WORDS = word_set(
    "is are was were be been it its it's this that these those of in on at to for and or as by with from there "
    "here he she they we i you "
    "answer so therefore thus would will can has have had do does did called known named also just very"
)


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
    found = _without_dressing(shown)
    shown = {key: text for key, text in shown.items() if key not in found}
    for key, text in shown.items():
        if not _is_name(key, text):
            continue
        longer = [other for other, spelt in shown.items() if other != key and _is_short_for(key, other, spelt, places)]
        if len(longer) == 1:
            found[key] = longer[0]
    return {key: found.get(other, other) for key, other in found.items()}


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
        elif text.endswith(")") and " (" in text:
            remarked.setdefault(" ".join(words(text.partition(" (")[0])), []).append(key)
    alone = {keys[0]: name for name, keys in remarked.items() if len(keys) == 1}
    return found | {key: name for key, name in alone.items() if name in shown and name != key}


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
    if not surname or not 2 <= len(words_of) <= 5 or not spelt.split()[-1][:1].isupper():
        return False
    return other.replace(" ", "").isalpha() and _DISTINGUISHING.isdisjoint(before) and before[0] not in PARTICLES


@dataclass(frozen=True, slots=True)
class Cluster:
    """`members`: indices into the texts, in order; `medoid`: the one most like all others."""

    members: tuple[int, ...]
    medoid: int


@dataclass(frozen=True, slots=True)
class _Text:
    index: int
    said: str
    telling: frozenset[str]
    hard: frozenset[str]  # negations, numbers and signs
    order: tuple[str, ...]  # of a short text whose order tells: its telling words as they come, else nothing
    joins: int  # how often it says "and" or "or"


def cluster(texts: Sequence[str]) -> list[Cluster]:
    """Clusters of texts, largest first, ties to the one seen first."""
    read = [_read(index, text) for index, text in enumerate(texts)]
    groups: dict[str, list[_Text]] = {}
    for text in read:
        groups.setdefault(text.said, []).append(text)
    weights = _weights(list(groups.values()))
    gathered: list[list[_Text]] = []
    for group in sorted(groups.values(), key=lambda group: -len(group)):  # stable: then as seen
        home = next((members for members in gathered if _alike(members[0], group[0], weights)), None)
        if home is None:
            gathered.append(list(group))
        else:
            home.extend(group)
    clusters = [_finished(members) for members in gathered]
    return sorted(clusters, key=lambda found: (-len(found.members), found.members[0]))


def _read(index: int, text: str) -> _Text:
    when = moment(text)
    said = [when] if when is not None else words(text[:_LONGEST])
    tokens = [token for word in said for token in _pieces(word)]
    telling = frozenset(token for token in tokens if token not in _EMPTY_WORDS) or frozenset(tokens)
    hard = frozenset(token for token in tokens if token in _NEGATIONS or token[:1].isdigit() or token in _SIGNS)
    if len(telling) <= _SHORT:
        hard |= {token for token in telling if _ROMAN.fullmatch(token)}
        hard |= {tokens[-1]} & {"i", "v"} if len(tokens) > 1 else set()  # World War I
    ordered = len(telling) <= _SHORT and not _ORDERING.isdisjoint(tokens)
    order = tuple(token for token in tokens if token in telling) if ordered else ()
    return _Text(index, " ".join(said), telling, hard, order, sum(token in _JOINING for token in tokens))


def _pieces(word: str) -> list[str]:
    """The word; of scripts that put no spaces between words, its pairs of characters."""
    if (
        word.isascii()
        or len(word) < 2
        or not any("\u0e00" <= char <= "\u0eff" or "\u3040" <= char <= "\u9fff" for char in word)
    ):
        return [word]
    return [word[at : at + 2] for at in range(len(word) - 1)]


def _weights(groups: list[list[_Text]]) -> dict[str, float]:
    """What a word tells: ln((distinct texts + 1) / distinct texts with it)."""
    frequency = Counter(token for group in groups for token in group[0].telling)
    return {token: log((len(groups) + 1) / count) for token, count in frequency.items()}


def _alike(first: _Text, second: _Text, weights: dict[str, float]) -> bool:
    if first.said == second.said:
        return True
    shared = first.telling & second.telling
    if not shared:
        return False
    short = min(len(first.telling), len(second.telling)) <= _SHORT
    if short and first.hard != second.hard:
        return False
    if first.order and second.order and not _in_one_order(first.order, second.order, shared):
        return False
    if shared in (first.telling, second.telling):
        if first.telling != second.telling and short and first.joins != second.joins:
            return False
        return 2 * len(shared) / (len(first.telling) + len(second.telling)) >= _CONTAINED
    return _overlap(first, second, weights) >= (_SHARED_SHORT if short else _SHARED_LONG)


def _in_one_order(first: tuple[str, ...], second: tuple[str, ...], shared: frozenset[str]) -> bool:
    return [word for word in first if word in shared] == [word for word in second if word in shared]


def _overlap(first: _Text, second: _Text, weights: dict[str, float]) -> float:
    """Dice coefficient of the telling words, 0 to 1; by weight where one text is short."""
    if min(len(first.telling), len(second.telling)) > _SHORT:
        return _dice(first, second)
    total = sum(weights[token] for token in sorted(first.telling)) + sum(
        weights[token] for token in sorted(second.telling)
    )
    shared = sum(weights[token] for token in sorted(first.telling & second.telling))
    return 2 * shared / total if total else 0.0


def _dice(first: _Text, second: _Text) -> float:
    return 2 * len(first.telling & second.telling) / max(1, len(first.telling) + len(second.telling))


def _finished(members: list[_Text]) -> Cluster:
    """The medoid: highest total overlap with the members, equal texts counted; ties to the first seen."""
    members = sorted(members, key=lambda text: text.index)
    count = Counter(text.said for text in members)
    distinct = {text.said: text for text in reversed(members)}
    likeness = {
        said: sum(times * (1.0 if other == said else _dice(text, distinct[other])) for other, times in count.items())
        for said, text in distinct.items()
    }
    medoid = max(members, key=lambda text: (round(likeness[text.said], 9), -text.index))
    return Cluster(tuple(text.index for text in members), medoid.index)
