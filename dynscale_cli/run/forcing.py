"""Budget forcing: a sample taken further than it went by itself, its thought closed, its answer asked for.

Owns what is said then, and that it can be paid for. Knows nothing of questions or of what the sample has said.
"""

from __future__ import annotations

from collections.abc import Mapping

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.engine.protocol import Engine, Finished, Request
from dynscale_cli.sampling.prompts import Prompts

from .state import InFlight

ANSWER_TOKENS = 24  # what a sample that was cut off gets to say its answer


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
