"""The states of all questions that are under way: at hand where a sample is in flight, put aside where none is.

Ten thousand questions can be open at once, and wait for their next sample for hours. Owns which states are in memory.
Knows nothing of what is in them, but whether one has a sample in flight, and that questions are held elsewhere.
"""

from __future__ import annotations

import io
import pickle
from array import array
from collections.abc import Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from dynscale_cli.questions import Question
from dynscale_cli.shelf import Shelf

AT_HAND: Final = 64  # states in memory, beside those with a sample in flight
NOWHERE: Final = -1


class Waiting(Protocol):
    """A state that can be put aside while nothing of its question is in flight."""

    pending: int


State = TypeVar("State", bound=Waiting)


class StateStore(Generic[State]):
    """Question -> state. One that was asked for is the question's own until AT_HAND others were asked for."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self._at_hand: dict[int, State] = {}  # the one asked for longest ago comes first
        self._places = array("q", [NOWHERE]) * len(questions)  # of those put aside
        self._shelf = Shelf()

    def __len__(self) -> int:
        return len(self._at_hand) + len(self._places) - self._places.count(NOWHERE)

    def __contains__(self, q: int) -> bool:
        return q in self._at_hand or self._places[q] != NOWHERE

    def __getitem__(self, q: int) -> State:
        state = self._at_hand.pop(q, None)
        if state is not None:
            self._at_hand[q] = state
            return state
        state = self[q] = self._taken_back(q)
        return state

    def __setitem__(self, q: int, state: State) -> None:
        self._at_hand[q] = state
        if len(self._at_hand) > AT_HAND:
            self._put_one_aside()

    def pop(self, q: int) -> State:
        """The state, which is forgotten here."""
        state = self._at_hand.pop(q, None)
        return self._taken_back(q) if state is None else state

    def _put_one_aside(self) -> None:
        """Of those without a pull in flight, the one asked for longest ago."""
        newest = next(reversed(self._at_hand))
        q = next((q for q, state in self._at_hand.items() if not state.pending and q != newest), None)
        if q is not None:
            file = io.BytesIO()
            _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(self._at_hand.pop(q))
            self._places[q] = self._shelf.put(file.getvalue())

    def _taken_back(self, q: int) -> State:
        place, self._places[q] = self._places[q], NOWHERE
        if place == NOWHERE:
            raise KeyError(q)
        state: State = _Unpickler(self._shelf.take(place), self._questions[q]).load()
        return state


class _Pickler(pickle.Pickler):
    """Leaves the question out, of which a state and its prompt have one."""

    def persistent_id(self, obj: Any) -> str | None:
        return "question" if isinstance(obj, Question) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, question: Question) -> None:
        super().__init__(io.BytesIO(data))
        self._question = question

    def persistent_load(self, name: str) -> Question:
        return self._question
