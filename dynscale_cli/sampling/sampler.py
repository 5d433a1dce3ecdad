"""How one question is sampled: the next pull's kind, prompt and limits.

Owns prompts as the engine sees them and the seed of every sample. Knows nothing of the budget or of
which question comes next.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dynscale_cli.engine.protocol import Engine, Prompt, Request, Sampling
from dynscale_cli.errors import DynscaleError
from dynscale_cli.questions import Question

from .prompts import Layout, Prompts
from .samples import ATTEMPTS, ChainShare, Kind, StoredSample, attempts, pick

Mode = Literal["hybrid", "parallel", "chain", "sequential"]
MODES: tuple[Mode, ...] = ("hybrid", "parallel", "chain", "sequential")
SEAMS = 2  # tokens that a text may save inside a prompt, by merging with what stands before and after it
FIRST_PARALLEL = 4  # what a chain can be built from
NO_QUESTION = Question(0, "", "")
COMPARED = 2  # attempts at least that a chain compares; under `sequential` it revises one


@dataclass(frozen=True, slots=True)
class Draft:
    """A pull, ready to be submitted."""

    kind: Kind
    request: Request
    seen: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in the model's own tokens."""

    question: Question
    prompt: Prompt
    core: int  # tokens of the prompt that its chains begin with, too
    frame: int  # tokens of a chain's prompt without its attempts
    compared: bool


class Sampler:
    """Drafts pulls for `engine`. Deterministic: everything random derives from (seed, question, sample number)."""

    def __init__(
        self,
        engine: Engine,
        prompts: Prompts,
        *,
        sampling: Sampling,
        max_tokens: int,
        spare: int,
        seed: int = 0,
        mode: Mode = "hybrid",
        layout: Layout = "quoted",
        logprobs: bool = False,
        share: ChainShare | None = None,
    ) -> None:
        self.engine, self.prompts = engine, prompts
        self.sampling, self.max_tokens, self.spare = sampling, max_tokens, spare
        self.seed, self.mode, self.layout, self.logprobs = seed, mode, layout, logprobs
        self.share = share or ChainShare()
        self._header = self._shared_header()
        self._frames: dict[bool, int] = {}
        self._around = {compared: self._least_around(compared=compared) for compared in (True, False)}

    def ask(self, question: Question, *, compared: bool) -> Asked:
        """Lay a question out. `compared`: its answer will be read off and compared."""
        prompt = self.engine.prompt(self.prompts.parallel(question, compared=compared))
        core = frame = 0
        if self.mode != "parallel" and prompt.tokens:
            chain = self._empty_chain(question, compared=compared)
            core, frame = shared_prefix(prompt, chain), len(chain)
        elif self.mode != "parallel":  # a server is asked for each count: not one more a question
            frame = len(prompt) + self._more(compared=compared)
        return Asked(question, prompt, core, frame, compared)

    def expect(self, question: Question, *, compared: bool) -> None:
        """The question will be asked soon."""
        self.engine.expect(self.prompts.parallel(question, compared=compared))

    def lay_out(self, question: Question, *, compared: bool) -> Asked:
        """`ask`, but raises DynscaleError for a question that does not fit."""
        asked = self.ask(question, compared=compared)
        if not len(asked.prompt):
            raise DynscaleError("nothing of its prompt is in the model's vocabulary")
        if not self.fits(asked):
            need, room = len(asked.prompt), self.engine.info.context
            raise DynscaleError(f"the prompt of {need:,} tokens does not fit a context of {room:,} tokens")
        return asked

    def fits(self, asked: Asked) -> bool:
        """Whether the question leaves room for at least a short answer."""
        return self.limit(asked.prompt) > 0

    def outgrows(self, question: Question, room: int, *, compared: bool) -> bool:
        """Whether its first prompt is sure to need `room` tokens or more: told for a fraction of laying it out.

        What every prompt begins with counts as reused. A question that was asked before may need even less.
        """
        around = self._around[compared]
        return around >= room or around + self.engine.count(question.text) >= room

    def draft(
        self,
        asked: Asked,
        number: int,
        id: int,
        samples: Sequence[StoredSample],
        votes: Sequence[str],
        *,
        combine: bool = False,
    ) -> Draft:
        """The next pull of a question that has had `number` pulls; `votes`: its answer keys, most first.

        Under `sequential` every sample but the first revises the one before it, so draft one at a time. `combine`: it
        reads what there is, and writes the response to an open question.
        """
        rng = random.Random(derive_seed(self.seed, asked.question.index, number, "kind"))
        picked: list[StoredSample] = []
        if self.mode == "sequential":
            picked = [sample for sample in samples[-1:] if sample.packed or sample.key]
        elif combine or (self._wants_chain(number, rng) and (asked.compared or self.mode == "chain")):
            picked = pick(samples, votes, rng)
        return self._chain(asked, number, id, picked) or self.parallel(asked, number, id)

    def parallel(self, asked: Asked, number: int, id: int) -> Draft:
        """A pull that sees the question alone."""
        return self._draft("parallel", asked, number, id, asked.prompt, (self._header, asked.core, len(asked.prompt)))

    def _wants_chain(self, number: int, rng: random.Random) -> bool:
        if self.mode == "parallel" or number < FIRST_PARALLEL:
            return False
        return self.mode == "chain" or self.share.choose(rng)

    def _chain(self, asked: Asked, number: int, id: int, picked: list[StoredSample]) -> Draft | None:
        """A chain over `picked`, or None where there is nothing to compare or no room for it."""
        if len(picked) < (1 if self.mode == "sequential" else COMPARED):
            return None
        room = self.engine.info.context // 2 - asked.frame
        if room < 16 * len(picked):
            return None
        texts = attempts(picked, room, self.engine.count)
        messages = self.prompts.chain(asked.question, texts, self.layout, compared=asked.compared)
        prompt = self.engine.prompt(messages)
        if self.limit(prompt) < 1:
            return None
        keep = (self._header, min(asked.core, shared_prefix(asked.prompt, prompt), len(prompt) - 1))
        seen = tuple(sample.number for sample in picked)
        return self._draft("chain", asked, number, id, prompt, keep, seen)

    def _draft(
        self,
        kind: Kind,
        asked: Asked,
        number: int,
        id: int,
        prompt: Prompt,
        keep: tuple[int, ...],
        seen: tuple[int, ...] = (),
    ) -> Draft:
        seed = derive_seed(self.seed, asked.question.index, number, "sample")
        boundaries = tuple(sorted({length for length in keep if length > 0}))
        request = Request(id, prompt, self.limit(prompt), self.sampling, seed, boundaries, self.logprobs)
        return Draft(kind, request, seen)

    def limit(self, prompt: Prompt) -> int:
        """Tokens that a sample of this prompt may have."""
        return min(self.max_tokens, self.engine.info.context - len(prompt) - self.spare)

    def _shared_header(self) -> int:
        """Tokens that every prompt of the run begins with: what the template puts before a question."""
        probes = [Question(0, "", "What?"), Question(0, "", "7 apples")]
        first, second = (self.engine.prompt(self.prompts.parallel(q, compared=True)) for q in probes)
        return min(shared_prefix(first, second), len(first) - 1)

    def _empty_chain(self, question: Question, *, compared: bool) -> Prompt:
        return self.engine.prompt(self.prompts.chain(question, ["1"] * ATTEMPTS, self.layout, compared=compared))

    def _more(self, *, compared: bool) -> int:
        """Tokens that a chain's prompt has besides its question's own and its attempts."""
        if compared not in self._frames:
            chain = self._empty_chain(NO_QUESTION, compared=compared)
            alone = self.engine.prompt(self.prompts.parallel(NO_QUESTION, compared=compared))
            self._frames[compared] = max(0, len(chain) - len(alone))
        return self._frames[compared]

    def _least_around(self, *, compared: bool) -> int:
        """Tokens that every prompt has besides its header and its question."""
        prompt = self.engine.prompt(self.prompts.parallel(NO_QUESTION, compared=compared))
        return max(0, len(prompt) - self._header - SEAMS)


def shared_prefix(one: Prompt, other: Prompt) -> int:
    """How many first tokens two prompts have in common."""
    pairs = enumerate(zip(one.tokens, other.tokens, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def derive_seed(seed: int, question: int, number: int, purpose: str) -> int:
    """A 31-bit seed for one use, the same on every machine."""
    digest = hashlib.blake2s(f"{seed}/{question}/{number}/{purpose}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
