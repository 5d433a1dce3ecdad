"""The vote: ballots to a tally with a leader.

Owns weights and ties. A ballot without an answer does not vote, nor does one that is not of the kind that the question
was taken for, unless most are not. Ties go to the answer whose samples used the fewest mean tokens, then to the first
seen. Must not know how ballots came about.

Weights of a ballot, on top of its own (`Ballot.weight`, ½ for a chain that repeats its leader):

- `majority`: 1.
- `length`: tokens^-½. Short samples are right more often; most of its gain is in breaking ties.
- `confidence`: exp(mean log-probability), the geometric mean of the sample's token probabilities; a ballot
  without one gets the mean of the others.

`length` and `confidence` are scaled so that the votes sum to what `majority` would give: the allocator's
posterior counts votes, and must not become surer by a change of units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, fsum, sqrt
from typing import Literal

from dynscale_cli.answers.cluster import cluster, short_names
from dynscale_cli.answers.equivalence import Equivalence
from dynscale_cli.answers.extract import Answer
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
