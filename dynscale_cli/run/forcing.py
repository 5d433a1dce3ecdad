"""A sample in flight, and budget forcing: taking it further than it went, its thought closed, its answer asked for.

Owns what is said then, and that it can be paid for. Knows nothing of other samples or of what an answer is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.answers.extract import Answer
from dynscale_cli.engine.protocol import Engine, Finished, Request
from dynscale_cli.engine.reasoning import ThoughtTracker
from dynscale_cli.sampling.prompts import Prompts
from dynscale_cli.sampling.sampler import Draft
from dynscale_cli.sampling.samples import Finish, Sample

ANSWER_TOKENS = 24  # what a sample that was cut off gets to say its answer


@dataclass(slots=True)
class InFlight:
    """One sample in flight."""

    draft: Draft
    question: int
    number: int
    thoughts: ThoughtTracker
    before: int = 0  # tokens that it had when it was stopped before, which it will have again
    generated: int = 0
    text: str = ""
    closing: bool = False  # it was asked for its answer
    ended: Finish | None = None  # how it ended, where it was taken further or cut off
    in_thought: bool = False  # it was cut off there
    thought_closed: bool = False

    @property
    def id(self) -> int:
        return self.draft.request.id

    def cut_off(self, how: Finish) -> None:
        """It is not to end by itself."""
        self.ended, self.in_thought = how, self.thoughts.thinking

    def sample(self, event: Finished, answer: Answer | None) -> Sample:
        """What has become of it."""
        finish = self.ended or event.reason
        return Sample(
            number=self.number,
            kind=self.draft.kind,
            text=event.text,
            answer=answer.text if answer else None,
            key=answer.key if answer else None,
            tokens=event.tokens,
            finish=finish,
            forced=self.closing and finish != "stop",
            asked=self.closing,
            in_thought=self.in_thought,
            logprob=event.logprob,
            seen=self.draft.seen,
        )


class Forcing:
    """Takes samples of one engine further, out of what the ledger holds for them."""

    def __init__(self, engine: Engine, prompts: Prompts) -> None:
        self._engine, self._prompts = engine, prompts
        # The newest token, a thought closed twice (by its limit, then for the answer), the question, the answer.
        asking = 2 * engine.count(engine.reasoning.closing) + engine.count(prompts.answer)
        self.reserve = 1 + asking + ANSWER_TOKENS

    def spare(self, request: Request) -> int:
        """Tokens to set aside before a request starts, so that it can be asked for its answer."""
        if not self._engine.info.upfront:
            return self.reserve
        return self._engine.extend_cost(request, self._prompts.answer, ANSWER_TOKENS, self._prompts.finish)

    def is_answered(self, said: str) -> bool:
        """Whether a sample that was cut off has stated its answer before, as it was told to.

        What else it said of an answer may have been on the way to another, or in a thought that nobody marked.
        """
        return self._prompts.answer.strip().lower() in said.lower()

    def ask(self, pull: InFlight, ledger: Ledger, over: Finished | None = None) -> bool:
        """Close the thought if one is open, and have the sample say its answer out of its reserve.

        False where that cannot be paid for: a server has taken more than it was given, or came with too little.
        """
        id, turn = pull.draft.request.id, self._prompts.finish
        text = (pull.thoughts.closing if pull.thoughts.thinking else "") + self._prompts.answer
        if over is not None:
            ledger.correct(id, over.tokens.billed)
        held = self._hold(ledger, pull, text, ANSWER_TOKENS, turn, over.text if over else "")
        if held is None:
            return False
        pull.closing = True
        ledger.close(id)
        self._engine.extend(id, text, ANSWER_TOKENS, stop=("\n",), turn=turn, held=held)
        return True

    def close_thoughts(self, pulls: Mapping[int, InFlight], limit: int | None, ledger: Ledger) -> None:
        """End the thoughts of `limit` tokens or more, once it is known whose sample is over with its newest token."""
        for id in sorted(pulls) if limit is not None else ():
            pull = pulls[id]
            if pull.thoughts.thinking and pull.generated >= (limit or 0) and not pull.thought_closed:
                pull.thought_closed = True
                self._close_thought(pull, ledger)

    def _close_thought(self, pull: InFlight, ledger: Ledger) -> None:
        """End a thought that has reached its limit, where the rest can be paid for."""
        request, turn = pull.draft.request, self._prompts.conclude
        left = request.max_tokens - pull.generated
        if left <= 0 or pull.closing:
            return
        # What a server may have generated until its stream is closed is paid for as well.
        more = self._engine.prefill_cost(request) + request.max_tokens - self._engine.usage(request.id).billed
        closing = pull.thoughts.closing
        held = self._hold(ledger, pull, closing, left, turn, pull.text, more)
        if held is not None:
            self._engine.extend(request.id, closing, left, turn=turn, held=held)

    def _hold(
        self, ledger: Ledger, pull: InFlight, text: str, tokens: int, turn: str, written: str, more: int = 0
    ) -> int | None:
        """Hold what the extension takes, all that is free if need be; None where that is too little."""
        if not self._engine.info.upfront:
            return 0  # it will ask
        request = pull.draft.request
        least = self._engine.extend_cost(request, text, tokens, turn, "")
        whole = self._engine.extend_cost(request, text, tokens, turn, written)
        held = ledger.top_up(request.id, more + whole) - more
        return min(held, whole) if held >= least else None
