"""The vote: ballots to a tally with a leader.

Owns weights and ties, and which free texts say the same. A ballot without an answer does not vote, nor does one that is
not of the kind that the question was taken for, unless most are not. Ties go to the answer whose samples used the
fewest mean tokens, then to the first seen. Must not know how ballots came about.

Weights of a ballot, on top of its own (`Ballot.weight`, ½ for a chain that repeats its leader):

- `majority`: 1.
- `length`: tokens^-½. Short samples are right more often; most of its gain is in breaking ties.
- `confidence`: exp(mean log-probability), the geometric mean of the sample's token probabilities; a ballot
  without one gets the mean of the others.

`length` and `confidence` are scaled so that the votes sum to what `majority` would give: the allocator's
posterior counts votes, and must not become surer by a change of units.

Free texts are clustered by equal words, then by shared words. A short answer ("Paris", "Paris, France") joins one that
contains it; texts that each say something the other does not join only when most of their telling words are shared. In
short answers, words that every sample repeats (the question's own) weigh little. Negations, numbers (Roman ones too)
and signs must agree, and where a word puts things in order ("then", "than", "from … to"), so must the order; "Bob" is
not "Bob and Amy". Deterministic: texts join in order of frequency, then of appearance.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, fsum, log, sqrt
from typing import Literal

from dynscale_cli.answers.dates import moment
from dynscale_cli.answers.equivalence import Equivalence, short_names
from dynscale_cli.answers.extract import Answer
from dynscale_cli.answers.normalize import word_set, words
from dynscale_cli.answers.reading import read
from dynscale_cli.answers.types import AnswerType

Method = Literal["majority", "length", "confidence"]
METHODS: tuple[Method, ...] = ("majority", "length", "confidence")


@dataclass(frozen=True, slots=True)
class Ballot:
    """One finished sample. `number`: its place among the question's samples; `tokens`: generated; `logprob`: mean."""

    number: int
    answer: Answer | None
    tokens: int
    weight: float = 1.0
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How a question stands. `votes`: (key, text, weight), the leader first; `key_of`: sample number -> the key it
    voted for (after merging), None where it did not vote."""

    votes: tuple[tuple[str, str, float], ...] = ()
    leader: Answer | None = None
    key_of: Mapping[int, str | None] = field(default_factory=dict)

    @property
    def v1(self) -> float:
        """The leader's votes."""
        return self.votes[0][2] if self.votes else 0.0

    @property
    def v2(self) -> float:
        """The runner-up's votes."""
        return self.votes[1][2] if len(self.votes) > 1 else 0.0

    @property
    def weights(self) -> dict[str, float]:
        """key -> votes, as the allocator takes them, the leader first."""
        return {key: weight for key, _, weight in self.votes}


@dataclass(frozen=True, slots=True)
class _Class:
    """The ballots of one answer."""

    key: str
    ballots: tuple[Ballot, ...]
    shown: Answer
    weight: float

    @property
    def mean_tokens(self) -> float:
        return sum(ballot.tokens for ballot in self.ballots) / len(self.ballots)


def tally(
    ballots: Sequence[Ballot],
    kind: AnswerType,
    method: Method = "majority",
    equivalence: Equivalence | None = None,
) -> Tally:
    """Count the ballots. The order in which they are given does not matter; their numbers do."""
    ballots = sorted(ballots, key=lambda ballot: ballot.number)
    voters = _of_the_kind([ballot for ballot in ballots if ballot.answer is not None and ballot.weight > 0], kind)
    weights = _weights(voters, method)
    whole = kind.name in ("text", "long")
    groups = _by_text(voters) if whole else _by_key(voters, equivalence or Equivalence(), kind)
    classes = [
        _Class(key, tuple(members), shown, fsum(weights[ballot.number] for ballot in members))
        for key, members, shown in groups
    ]
    classes.sort(key=lambda found: (-round(found.weight, 9), found.mean_tokens, found.ballots[0].number))
    key_of: dict[int, str | None] = {ballot.number: None for ballot in ballots}
    key_of.update((ballot.number, found.key) for found in classes for ballot in found.ballots)
    votes = tuple((found.key, found.shown.text, found.weight) for found in classes)
    return Tally(votes, classes[0].shown if classes else None, key_of)


def _of_the_kind(voters: list[Ballot], kind: AnswerType) -> list[Ballot]:
    """Those whose answer is of a guessed kind, unless more samples state something else: then the guess gives way.

    A number beside which a few samples say "let me explain" has no such rivals, which would only draw out the race.
    """
    if not kind.guessed or kind.long:  # a whole response is of no kind
        return voters
    fitting = [ballot for ballot in voters if ballot.answer is not None and _fits(ballot.answer.key, kind)]
    return fitting if 2 * len(fitting) >= len(voters) else voters


_FIGURE = re.compile(r"-?[\d.]{1,40}")  # most answers of most kinds that are guessed, known without a reading


def _fits(key: str, kind: AnswerType) -> bool:
    return (kind.name in ("number", "math") and _FIGURE.fullmatch(key) is not None) or read(key, kind) is not None


def _weights(voters: list[Ballot], method: Method) -> dict[int, float]:
    """sample number -> weight of its vote."""
    raw = {
        ballot.number: ballot.weight * factor for ballot, factor in zip(voters, _factors(voters, method), strict=True)
    }
    total = fsum(raw.values())
    if method == "majority" or total <= 0:
        return {ballot.number: ballot.weight for ballot in voters}
    unit = fsum(ballot.weight for ballot in voters) / total
    return {number: weight * unit for number, weight in raw.items()}


def _factors(voters: list[Ballot], method: Method) -> list[float]:
    if method == "length":
        return [1 / sqrt(max(1, ballot.tokens)) for ballot in voters]
    if method == "confidence":
        known = [exp(min(0.0, ballot.logprob)) for ballot in voters if ballot.logprob is not None]
        usual = fsum(known) / len(known) if known else 1.0
        return [usual if ballot.logprob is None else exp(min(0.0, ballot.logprob)) for ballot in voters]
    return [1.0] * len(voters)


def _by_key(voters: list[Ballot], equivalence: Equivalence, kind: AnswerType) -> list[tuple[str, list[Ballot], Answer]]:
    """(key, ballots, answer shown) for each class of keys; shown is the commonest wording, the first seen of equals."""
    classes = equivalence.classes(
        (ballot.answer.key for ballot in voters if ballot.answer is not None), ordered=kind.ordered
    )
    members: dict[str, list[Ballot]] = {}
    for ballot in voters:
        if ballot.answer is not None:
            members.setdefault(classes[ballot.answer.key], []).append(ballot)
    shown = {key: _commonest(key, group) for key, group in members.items()}
    if kind.name in ("auto", "choice", "boolean"):
        for short, full in short_names(
            {key: answer.text for key, answer in shown.items()}, places=kind.ordered
        ).items():
            members[full] = sorted(members[full] + members.pop(short), key=lambda ballot: ballot.number)
    return [(key, group, shown[key]) for key, group in members.items()]


def _commonest(key: str, ballots: list[Ballot]) -> Answer:
    answers = [ballot.answer for ballot in ballots if ballot.answer is not None]
    count: dict[str, int] = {}
    for answer in answers:
        count[answer.text] = count.get(answer.text, 0) + 1
    text = max(count, key=lambda shown: count[shown])  # the first of equals: dicts keep order
    return Answer(key, text)


def _by_text(voters: list[Ballot]) -> list[tuple[str, list[Ballot], Answer]]:
    """Clusters; the key and the text shown are the medoid's."""
    answers = [ballot.answer for ballot in voters if ballot.answer is not None]
    groups = []
    for found in cluster([answer.text for answer in answers]):
        medoid = answers[found.medoid]
        groups.append((medoid.key, [voters[index] for index in found.members], medoid))
    return groups


# --- free texts that say the same ------------------------------------------------------------------------------

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
    weights = _tellings(list(groups.values()))
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


def _tellings(groups: list[list[_Text]]) -> dict[str, float]:
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
