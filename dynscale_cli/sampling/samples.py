"""Samples: what is kept of one, what a chain quotes of several, and how much of the later tokens goes to chains at all.

A finished sample is told as a `Sample` and remembered as a `StoredSample`: what was said is packed, hidden thoughts are
gone, and what no chain would quote is not there at all.

A chain lays earlier samples of its question out as one history for the next sample to build on. How many of the later
pulls are chains is learned from the run itself. The signal is held-out agreement, which needs no right answer: how
often an answer equals that of a parallel sample which it could not know. Two comparisons are kept, each between a
chain's answer and a rival's on the same unseen samples, so that what makes a question easy or hard cancels out:

    bought   the majority of as many parallel samples as the chain has read and has cost: what the
             same tokens would have bought
    copied   the leader among the attempts that the chain has read

The first decides the share; the second how far a chain that repeats the leader may vote.

Where the share starts depends on what is known of models of the size. A chain costs what several parallel samples cost,
and small models gain nothing by it: theirs begins at 1 - 0.95, the doubt that a run lives with everywhere (TRIED.md
tells what a start at one half did to them). Models of about 3 billion parameters and more do gain by reading several
attempts (2509.26626, 2511.02309), so theirs begins at one half. From there the share moves by the odds of the evidence.

Agreement per token is not compared directly, though that seems natural: it forbids chains that are worth their price
(an agreement can at best equal the leader's share of the samples, so it cannot grow fourfold when a chain costs four
samples) and admits chains that copy the majority of what they read (they agree more often than a fresh sample, and add
nothing).

Owns these records, which samples are quoted, how each is cut to fit, and the posteriors. Pure: draws from the generator
it is handed. Knows nothing of tokens beyond a function that counts them, of runs or of budgets.
"""

from __future__ import annotations

import math
import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from dynscale_cli.answers.extract import Answer
from dynscale_cli.answers.vote import Ballot
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.engine.reasoning import ReasoningFormat

Kind = Literal["parallel", "chain"]
Finish = Literal["stop", "length", "context", "budget", "time", "failed"]

ATTEMPTS = 3  # what a chain quotes at most
DOUBT = 0.05  # the share of chains before there is any evidence: what a run may lose to finding out
CAPABLE_SHARE = 0.5  # the same for models that are known to gain by chains
CAPABLE_FROM = 2_700_000_000  # parameters; models of this class are sold as 3B
WINDOW = 32  # samples of a question, the newest: what comes later is not compared with earlier ones
_PACK_BITS = 12  # bits: 4 kB, more than most samples are long, and quick to set up

Keys: TypeAlias = Sequence[str | None]  # answer keys; None: no answer


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished sample. `number` counts the question's own samples from 0, in the order they started."""

    number: int
    kind: Kind
    text: str
    answer: str | None  # as shown; None: no answer found, which never votes
    key: str | None  # canonical form
    tokens: Tokens
    finish: Finish
    forced: bool = False  # it was cut off and asked for its answer
    asked: bool = False  # it was asked for its answer, cut off or not
    in_thought: bool = False  # it was cut off while it was thinking
    weight: float = 1.0  # of its vote
    logprob: float | None = None  # mean over generated tokens, where asked for
    seen: tuple[int, ...] = ()  # numbers of the samples that a chain was built from

    @property
    def cut(self) -> bool:
        """Whether it was cut off, and did not end by itself."""
        return self.finish in ("length", "context", "budget", "time")

    @property
    def ballot(self) -> Ballot:
        answer = None if self.key is None else Answer(self.key, self.answer or "")
        return Ballot(self.number, answer, self.tokens.generated, self.weight, self.logprob)


@dataclass(frozen=True, slots=True)
class StoredSample(Sample):
    """A finished sample as its question remembers it: without its text, `packed` where a chain may quote it."""

    packed: bytes | None = None

    @property
    def said(self) -> str:
        """What it said, thoughts removed; its bare answer where that is all there is."""
        if self.packed is None:
            return f"Answer: {self.answer}"
        return zlib.decompress(self.packed, -_PACK_BITS).decode(errors="surrogatepass")


def keep(sample: Sample, earlier: Iterable[Sample], *, whole: bool = False) -> StoredSample:
    """What is to be kept of `sample`, next to what was kept of `earlier` ones. `whole`: what it said in any case."""
    known = {each.name: getattr(sample, each.name) for each in fields(Sample)} | {"text": ""}
    return StoredSample(**known, packed=_packed(sample) if whole or _quotable(sample, earlier) else None)


def _quotable(sample: Sample, earlier: Iterable[Sample]) -> bool:
    """A chain takes the first of those that say the same: behind ATTEMPTS of them, none is ever its turn."""
    if sample.key is None:
        return False
    return sum(stored.key == sample.key and stored.number < sample.number for stored in earlier) < ATTEMPTS


def _packed(sample: Sample) -> bytes | None:
    said = ReasoningFormat().split(sample.text).said.strip()
    if not said:
        return None
    packer = zlib.compressobj(wbits=-_PACK_BITS, memLevel=5)
    return packer.compress(said.encode(errors="surrogatepass")) + packer.flush()


def pick(
    samples: Sequence[StoredSample], votes: Sequence[str], rng: random.Random, k: int = ATTEMPTS
) -> list[StoredSample]:
    """Up to `k` finished samples with an answer: first one for each answer, then by votes; shuffled.

    `votes` are the answer keys, most votes first. The order carries no vote: it is drawn from `rng`.
    """
    rank = {key: place for place, key in enumerate(votes)}
    usable = [s for s in samples if s.key is not None]
    usable.sort(key=lambda s: (rank.get(s.key or "", len(rank)), s.number))
    seen: set[str | None] = set()
    first = [s for s in usable if not (s.key in seen or seen.add(s.key))]  # type: ignore[func-returns-value]
    rest = [s for s in usable if s not in first]
    chosen = (first + rest)[:k]
    rng.shuffle(chosen)
    return chosen


def attempts(samples: Sequence[StoredSample], room: int, count: Callable[[str], int]) -> list[str]:
    """The texts to quote, each cut to an equal part of `room` tokens."""
    part = max(1, room // max(1, len(samples)))
    return [cut(sample.said, part, count) for sample in samples]


def cut(text: str, limit: int, count: Callable[[str], int]) -> str:
    """The end of `text`, at most `limit` tokens: the answer stands there, and what led to it."""
    tokens, body = count(text), text
    while tokens > limit and body:
        keep = min(len(body) - 1, int(len(body) * limit / tokens * 0.95))
        body = body[len(body) - keep :]
        text = f"… {body}" if body else ""
        tokens = count(text)
    return text


def prior_share(parameters: int | None, *, served: bool) -> float:
    """The share of tokens for chains before there is evidence; what is served is taken for capable, the unknown not."""
    return CAPABLE_SHARE if served or (parameters or 0) >= CAPABLE_FROM else DOUBT


@dataclass(slots=True)
class Scored:
    """One chain sample against parallel samples that it has not seen: sums of agreements over `held` of them."""

    answer: str | None
    read: tuple[str | None, ...]
    held: int = 0
    chain: float = 0.0
    parallel: float = 0.0
    bought: float = 0.0
    copied: float = 0.0


@dataclass(slots=True)
class Mean:
    """A running mean whose values can be taken back."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float, times: int = 1) -> None:
        self.count += times
        self.total += times * value
        self.squares += times * value * value

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None

    @property
    def above_zero(self) -> float:
        """P(the mean of a difference in [-1, 1] is positive): normal, from a prior of one win and one loss."""
        return 0.5 * (1.0 + math.erf(self.total / math.sqrt(2.0 * (self.squares + 2.0))))


class ChainShare:
    """The share of later tokens that chains get: how likely they beat what they displace, from the share `prior`."""

    def __init__(self, prior: float = DOUBT) -> None:
        self.prior = prior
        self.bought, self.copied = Mean(), Mean()
        self.agreement = {"chain": Mean(), "parallel": Mean()}
        self._costs = {"chain": Mean(), "parallel": Mean()}
        self._scored: dict[tuple[int, int], Scored] = {}

    @property
    def share(self) -> float:
        """Of tokens, from `prior` at the start towards 0 or 1: its odds, times those that the evidence gives."""
        wins = self.bought.above_zero
        for_chains, against = self.prior * wins, (1.0 - self.prior) * (1.0 - wins)
        return for_chains / (for_chains + against) if for_chains + against else self.prior

    @property
    def price(self) -> float:
        """What a chain sample costs, in parallel samples: at first its own length and what it reads."""
        parallel = self._costs["parallel"].value
        if not parallel:
            return 1.0 + ATTEMPTS
        chain = self._costs["chain"]
        return (chain.total / parallel + 1.0 + ATTEMPTS) / (chain.count + 1)

    @property
    def repeat_weight(self) -> float:
        """The weight of a chain's vote for the leader it has read: 1/2, and more as copying fails to explain it."""
        return max(0.5, self.copied.above_zero)

    def choose(self, rng: random.Random) -> bool:
        """Whether the next later pull is a chain. Dearer pulls come up more rarely, so that tokens are shared."""
        share = self.share
        return rng.random() * (share + (1.0 - share) * self.price) < share

    def paid(self, kind: str, tokens: int) -> None:
        """A sample of this kind cost so many billed tokens."""
        self._costs[kind].add(tokens)

    def observe(self, question: int, samples: Sequence[StoredSample]) -> None:
        """The last of `samples` has come in: it is compared with those that it has not read, or that have not read it.

        Only with the newest of them, so that a question of many samples costs no more for each than one of few.
        """
        newest, window = samples[-1], samples[-WINDOW:]
        parallel = [sample for sample in window if sample.kind == "parallel"]
        if newest.kind == "chain":
            keys = {sample.number: sample.key for sample in samples if sample.number in newest.seen}
            self._scored[question, newest.number] = Scored(newest.key, tuple(keys[number] for number in newest.seen))
            for sample in parallel:
                self._compare(question, newest, sample, parallel)
            return
        for sample in window:
            if sample.kind == "chain":
                self._compare(question, sample, newest, parallel)

    def forget(self, question: int, samples: Sequence[StoredSample]) -> None:
        """A question is over: its scores stand, and need not be looked up again."""
        for sample in samples:
            self._scored.pop((question, sample.number), None)

    def _compare(
        self, question: int, chain: StoredSample, unseen: StoredSample, parallel: Sequence[StoredSample]
    ) -> None:
        """Agreements of a chain's answer and its rivals with one sample more; without an answer it tells nothing."""
        score, key = self._scored.get((question, chain.number)), unseen.key
        if score is None or key is None or unseen.number in chain.seen:
            return
        rivals = [sample for sample in parallel if sample.number != unseen.number]
        others = [sample.key for sample in sorted(rivals, key=lambda sample: sample.number not in chain.seen)]
        self._weigh(score, -1)
        score.held += 1
        score.chain += key == score.answer
        score.parallel += others.count(key) / max(1, len(others))
        score.bought += _agrees(key, others[: round(len(score.read) + self.price)])
        score.copied += _agrees(key, score.read)
        self._weigh(score, 1)

    def _weigh(self, score: Scored, times: int) -> None:
        """Count a chain's mean agreements, or take them back."""
        if score.held:
            chain = score.chain / score.held
            self.agreement["chain"].add(chain, times)
            self.agreement["parallel"].add(score.parallel / score.held, times)
            self.bought.add(chain - score.bought / score.held, times)
            self.copied.add(chain - score.copied / score.held, times)


def _agrees(key: str | None, votes: Keys) -> float:
    """How far the majority of `votes` says `key`: 1, 0, or a part of 1 in a tie."""
    counted = Counter(vote for vote in votes if vote is not None)
    most = max(counted.values(), default=0)
    leaders = [vote for vote, count in counted.items() if count == most]
    return (key in leaders) / len(leaders) if leaders else 0.0
