"""One finished sample: as the run tells of it, and as its question remembers it.

Owns both records, and how little of a sample is remembered: what was said is packed, hidden thoughts are gone, and
what no chain would quote is not there at all. Knows nothing of runs, budgets or other questions.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

from dynscale_cli.answers.extract import Answer
from dynscale_cli.answers.vote import Ballot
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.engine.reasoning import ReasoningFormat

Kind = Literal["parallel", "chain"]
Finish = Literal["stop", "length", "budget", "time", "failed"]

ATTEMPTS = 3  # what a chain quotes at most

_WINDOW = 12  # bits: 4 kB, more than most samples are long, and quick to set up


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
        return self.finish in ("length", "budget", "time")

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
        return zlib.decompress(self.packed, -_WINDOW).decode(errors="surrogatepass")


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
    packer = zlib.compressobj(wbits=-_WINDOW, memLevel=5)
    return packer.compress(said.encode(errors="surrogatepass")) + packer.flush()
