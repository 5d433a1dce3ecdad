"""The tracks of all questions that are under way: at hand where a pull is in flight, put aside where none is.

Ten thousand questions can be open at once, and wait for their next pull for hours. Owns which tracks are in memory.
Knows nothing of what is in them, but whether one has a pull in flight, and that questions are held elsewhere.
"""

from __future__ import annotations

import io
import pickle
from array import array
from collections.abc import Sequence
from typing import Any, Final

from dynscale_cli.questions import Question
from dynscale_cli.shelf import Shelf

from .track import Track

AT_HAND: Final = 64  # tracks in memory, beside those with a pull in flight
NOWHERE: Final = -1


class Tracks:
    """Question -> track. A track that was asked for is the question's own until AT_HAND others were asked for."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self._at_hand: dict[int, Track] = {}  # the one asked for longest ago comes first
        self._places = array("q", [NOWHERE]) * len(questions)  # of those put aside
        self._shelf = Shelf()

    def __len__(self) -> int:
        return len(self._at_hand) + len(self._places) - self._places.count(NOWHERE)

    def __contains__(self, q: int) -> bool:
        return q in self._at_hand or self._places[q] != NOWHERE

    def __getitem__(self, q: int) -> Track:
        track = self._at_hand.pop(q, None)
        if track is not None:
            self._at_hand[q] = track
            return track
        track = self[q] = self._taken_back(q)
        return track

    def __setitem__(self, q: int, track: Track) -> None:
        self._at_hand[q] = track
        if len(self._at_hand) > AT_HAND:
            self._put_one_aside()

    def pop(self, q: int) -> Track:
        """The track, which is forgotten here."""
        track = self._at_hand.pop(q, None)
        return self._taken_back(q) if track is None else track

    def _put_one_aside(self) -> None:
        """Of those without a pull in flight, the one asked for longest ago."""
        newest = next(reversed(self._at_hand))
        q = next((q for q, track in self._at_hand.items() if not track.pending and q != newest), None)
        if q is not None:
            file = io.BytesIO()
            _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(self._at_hand.pop(q))
            self._places[q] = self._shelf.put(file.getvalue())

    def _taken_back(self, q: int) -> Track:
        place, self._places[q] = self._places[q], NOWHERE
        if place == NOWHERE:
            raise KeyError(q)
        track: Track = _Unpickler(self._shelf.take(place), self._questions[q]).load()
        return track


class _Pickler(pickle.Pickler):
    """Leaves the question out, of which a track and its prompt have one."""

    def persistent_id(self, obj: Any) -> str | None:
        return "question" if isinstance(obj, Question) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, question: Question) -> None:
        super().__init__(io.BytesIO(data))
        self._question = question

    def persistent_load(self, name: str) -> Question:
        return self._question
