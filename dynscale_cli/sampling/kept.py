"""A finished sample as its question remembers it: what votes are counted from, and what a chain may quote.

Owns how little that is: what was said is packed, hidden thoughts are gone, and what no chain would quote is not there
at all.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from dynscale_cli.answers.extract import Answer
from dynscale_cli.answers.vote import Ballot
from dynscale_cli.engine.reasoning import ReasoningFormat
from dynscale_cli.runs.events import Kind, Sample

ATTEMPTS = 3  # what a chain quotes at most

_WINDOW = 12  # bits: 4 kB, more than most samples are long, and quick to set up


@dataclass(frozen=True, slots=True)
class Kept:
    """`generated`: its tokens; `committed`: its answer was stated, not guessed from how it ends."""

    number: int
    kind: Kind
    key: str | None
    answer: str | None
    committed: bool
    generated: int
    weight: float
    logprob: float | None
    seen: tuple[int, ...]
    packed: bytes | None

    @property
    def said(self) -> str:
        """What it said, thoughts removed; its bare answer where that is all there is."""
        if self.packed is None:
            return f"Answer: {self.answer}"
        return zlib.decompress(self.packed, -_WINDOW).decode(errors="surrogatepass")

    @property
    def ballot(self) -> Ballot:
        answer = None if self.key is None else Answer(self.key, self.answer or "", self.committed)
        return Ballot(self.number, answer, self.generated, self.weight, self.logprob)


def keep(sample: Sample, *, committed: bool, earlier: Iterable[Kept], whole: bool = False) -> Kept:
    """What is to be kept of `sample`, next to what was kept of `earlier` ones. `whole`: what it said in any case."""
    return Kept(
        number=sample.number,
        kind=sample.kind,
        key=sample.key,
        answer=sample.answer,
        committed=committed,
        generated=sample.tokens.generated,
        weight=sample.weight,
        logprob=sample.logprob,
        seen=sample.seen,
        packed=_packed(sample) if whole or _quotable(sample, earlier) else None,
    )


def _quotable(sample: Sample, earlier: Iterable[Kept]) -> bool:
    """A chain takes the first of those that say the same: behind ATTEMPTS of them, none is ever its turn."""
    if sample.key is None:
        return False
    return sum(kept.key == sample.key and kept.number < sample.number for kept in earlier) < ATTEMPTS


def _packed(sample: Sample) -> bytes | None:
    said = ReasoningFormat().split(sample.text).said.strip()
    if not said:
        return None
    packer = zlib.compressobj(wbits=-_WINDOW, memLevel=5)
    return packer.compress(said.encode(errors="surrogatepass")) + packer.flush()
