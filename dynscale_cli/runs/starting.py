"""The next pull of a question: its prompt laid out, its draft, what it costs, and the terms on which it may start.

Owns the gathering of what `terms` decides by. Knows nothing of events or journals.
"""

from __future__ import annotations

from collections.abc import Collection

from dynscale_cli.engine.protocol import Engine
from dynscale_cli.errors import DynscaleError
from dynscale_cli.sampling.sampler import Draft, Sampler

from .books import Books
from .catchup import Again, CatchUp
from .extending import Extender
from .pulls import Pull
from .terms import Outlook, Terms, offer
from .track import Track


class Starter:
    """Drafts pulls of one engine, prices them, and says on which terms they may start."""

    def __init__(self, engine: Engine, books: Books, sampler: Sampler, extender: Extender) -> None:
        self._engine, self._books, self._sampler, self._extender = engine, books, sampler, extender

    def lay_out(self, q: int) -> Track:
        """The question's track, with its prompt in the model's own tokens or the reason why there is none."""
        track = self._books.track(q)
        if track.asked is None and track.error is None:
            try:
                track.asked = self._sampler.lay_out(track.question, compared=not track.kind.long)
            except DynscaleError as error:
                track.error = error.message
        return track

    def draft(self, track: Track, next_id: int, again: Again | None, catch_up: CatchUp) -> Draft:
        """The pull itself: a new one, or one that an earlier part of the run had in flight."""
        assert track.asked is not None
        if again is None:
            draft = self._sampler.draft(track.asked, track.started, next_id, track.samples, list(track.votes))
        else:
            start = again.start
            known = {sample.number: sample for sample in track.samples}
            picked = [known[number] for number in start.seen if number in known]
            id = catch_up.ids[start.q, start.number]
            draft = self._sampler.redraft(track.asked, start.number, id, start.kind, picked)
        if self._engine.info.upfront:
            return draft
        return catch_up.recalling(draft, track.question.index, again)

    def price(self, track: Track, draft: Draft) -> Terms:
        """What a pull costs before it generates anything, and to be asked for its answer."""
        upfront = self._engine.info.upfront
        answer = 0 if upfront and track.kind.long else self._extender.spare(draft.request)
        return Terms(draft, self._engine.prefill_cost(draft.request), answer, bounded=upfront)

    def offer(self, track: Track, asked: Terms, pulls: Collection[Pull]) -> Terms | None:
        """On which terms a pull may start now, beside those in flight; None where it may not."""
        forecast, tracks = self._books.forecast, self._books.tracks
        now = Outlook(
            free=self._books.ledger.free,
            expected=forecast.length(track),
            ahead=sum(forecast.remaining(pull, tracks[pull.question]) for pull in pulls),
            free_slots=self._engine.free_slots,
            running=bool(pulls),
            first=not track.samples,
        )
        return offer(asked, now)

    def instead(self, track: Track, asked: Terms) -> Terms | None:
        """A parallel pull in the place of a chain that is too dear: its prompt is bounded, often by four times it."""
        if not asked.bounded or asked.draft.kind != "chain":
            return None
        assert track.asked is not None
        id = asked.draft.request.id
        return self.price(track, self._sampler.redraft(track.asked, track.started, id, "parallel", []))
