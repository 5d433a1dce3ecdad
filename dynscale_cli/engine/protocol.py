"""What an engine is: prompts in, tokens out, every evaluated token announced before it is spent.

Owns the `Engine` protocol and the records that cross it. Knows nothing of questions, answers,
votes or budgets: the caller asks `plan_step()` what the next `step()` will evaluate, says yes by
calling `step()`, and hears of everything that happened as events.

Two kinds of engine differ in when they ask. One that decodes here asks before every step. A server
cannot be asked from token to token: all that a request may cost is certain before it leaves
(`EngineInfo.upfront`), and what it did cost is known when it is over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from .reasoning import ReasoningFormat

Role = Literal["system", "user", "assistant"]
Reason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one sample, question or run. Billed: `prompt` + `generated`; `reused` is free.

    `prompt` counts prompt tokens newly evaluated, `generated` sampled tokens that were evaluated
    in their turn (the last one of a sample never is), `reused` prompt tokens whose KV state was
    restored instead.
    """

    prompt: int = 0
    generated: int = 0
    reused: int = 0

    @property
    def billed(self) -> int:
        return self.prompt + self.generated

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt + other.prompt, self.generated + other.generated, self.reused + other.reused)


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as the engine will evaluate it. `len` is its tokens, as far as the engine knows them.

    `tokens` are the model's own ids, in order; where only a server knows these there are none, but the
    `messages` that it will be sent, and the length that is `likely`. What they cost at most, `prefill_cost` tells.
    """

    tokens: tuple[int, ...] = ()
    open_thought: bool = False  # it ends inside a thought: its completions begin with the marker that opened it
    stop: tuple[str, ...] = ()  # texts that end a completion, beside the model's own end tokens
    messages: tuple[Message, ...] = ()
    likely: int = 0

    def __len__(self) -> int:
        return len(self.tokens) or self.likely


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn. `temperature` 0 is greedy; `top_k` 0, `top_p` 1 and `min_p` 0 are off.

    `stop`: texts that end a completion, and are no part of it.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One sample to draw.

    At most `max_tokens` tokens are sampled. `cache_boundaries` names prefix lengths of the prompt, ascending,
    whose KV state later requests are likely to share: the engine reuses the longest it still has.
    `ignore_end`: the model's own end tokens do not end the sample (for measuring).
    """

    id: int
    prompt: Prompt
    max_tokens: int
    sampling: Sampling
    seed: int
    cache_boundaries: tuple[int, ...] = ()
    logprobs: bool = False
    ignore_end: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """What the next step will evaluate for one request, in tokens; paid `upfront`: what has come of it since."""

    id: int
    prompt: int
    generated: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that a request's newest token completed (never a split character)."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A request is over. `text` is the whole completion, without the stop text or end token.

    Until the next `plan_step()`, `extend` can still take it further.
    """

    id: int
    reason: Reason
    text: str
    tokens: Tokens
    logprob: float | None = None  # mean over sampled tokens, natural log


@dataclass(frozen=True, slots=True)
class Failed:
    """A request is over without a completion. `tokens` is what it has cost nevertheless.

    `hopeless`: the same prompt will fail again.
    """

    id: int
    message: str
    tokens: Tokens
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the engine that the user should know, in one line; said once."""

    message: str


EngineEvent: TypeAlias = Piece | Finished | Failed | Remark


@dataclass(frozen=True, slots=True)
class EngineInfo:
    model: str  # as shown to people
    width: int  # sequences decoded side by side
    context: int  # tokens one sequence can hold
    upfront: bool = False  # a request's `prefill_cost` and `max_tokens` have to be certain before `submit`
    expected: int = 256  # tokens to expect of a sample before any is known: thousands of a model that thinks
    parameters: int | None = None  # of the model, where that is known


class Aborted(Exception):
    """A step was stopped from outside, in the middle; the engine can only be closed."""


class Engine(Protocol):
    """A model that decodes many requests side by side.

    The life of a request: `submit`; then, again and again, `plan_step` (what the next step will
    cost) and `step` (do exactly that); it ends by a `Finished` event or by `cancel`.
    """

    @property
    def info(self) -> EngineInfo: ...

    @property
    def reasoning(self) -> ReasoningFormat:
        """How the model's completions tell thought from speech."""

    @property
    def free_slots(self) -> int:
        """How many more requests would move at the next step."""

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """Lay the conversation out for the model, ready for the assistant's next turn."""

    def expect(self, messages: Sequence[Message]) -> None:
        """`prompt` will be asked for this conversation: what takes time may be done meanwhile."""

    def count(self, text: str) -> int:
        """Tokens that `extend` would add for `text`."""

    def prefill_cost(self, request: Request) -> int:
        """Upper bound of the prompt tokens that `request` would newly evaluate if submitted now."""

    def extend_cost(
        self, request: Request, text: str, max_tokens: int, turn: str = "", written: str | None = None
    ) -> int:
        """Tokens to set aside so that `extend` can be paid for, whenever it comes.

        The least with which it can be done at all; given what was `written`, all that it takes to do it well.
        """

    def submit(self, request: Request) -> None:
        """Queue a request. Its id must be new; its prompt and `max_tokens` must fit the context."""

    def extend(
        self, id: int, text: str, max_tokens: int, stop: tuple[str, ...] = (), turn: str = "", held: int = 0
    ) -> None:
        """Put `text` behind what an active or just finished request has written, and go on from there.

        At most `max_tokens` further tokens are sampled, up to one of `stop`. The text counts as prompt
        tokens. Where nothing can be put into the model's mouth, the user's turn `turn` asks for the same,
        as well as `held` tokens allow (`extend_cost` says how many that are).
        """

    def cancel(self, id: int) -> Tokens:
        """Drop a request at once: what it has cost. Unknown ids are ignored."""

    def hold(self, ids: Collection[int]) -> None:
        """Let these requests, and no others, rest: they keep their slots and what they have, and cost nothing.

        Their prompts are still evaluated. Where all is paid for upfront, they go on.
        """

    def halt(self, ids: Collection[int]) -> None:
        """Nothing more is wanted of these requests: each is cancelled or extended next.

        A server is told of all of them at once, so that none goes on while another's end is waited for.
        """

    def usage(self, id: int) -> Tokens:
        """What an active request has been charged so far."""

    def plan_step(self) -> list[Charge]:
        """What the next step will evaluate; empty when there is nothing to do."""

    @property
    def max_committed(self) -> int:
        """Tokens that all active requests will have cost once the next step is over, at most."""

    def step(self) -> list[EngineEvent]:
        """Evaluate what `plan_step` announced: one token for every active sequence, or a prompt chunk."""

    def abort(self) -> None:
        """Stop the step that is running, from another thread: it raises Aborted, if it was in the middle."""

    def close(self) -> None: ...
