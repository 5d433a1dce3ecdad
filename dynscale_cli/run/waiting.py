"""What waits: the states of questions whose next sample is still to come, and lines that are told in their turn.

Ten thousand questions can be open at once, and wait for their next sample for hours. What waits lies in SQLite's
temporary database, in memory while it is small, then in a file that goes with the process. Knows nothing of what is in
a state, but whether its question has a sample in flight, and that questions are held elsewhere.
"""

from __future__ import annotations

import io
import pickle
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from dynscale_cli.errors import DynscaleError
from dynscale_cli.questions import Question

if TYPE_CHECKING:
    import sqlite3

AT_HAND: Final = 64  # states in memory, beside those with a sample in flight
CACHE_KIB: Final = 1024  # what SQLite keeps in memory


class Spill:
    """Records by number, each taken back once. What a full disk refuses stays in memory."""

    def __init__(self) -> None:
        self._opened: sqlite3.Connection | None = None
        self._refused: dict[int, bytes] = {}

    def put(self, number: int, record: bytes) -> None:
        import sqlite3

        try:
            self._database().execute("insert or replace into waiting values (?, ?)", (number, record))
        except sqlite3.Error:
            self._refused[number] = record

    def pop(self, number: int) -> bytes:
        """The record. Raises KeyError, and DynscaleError where the disk does not give it back."""
        if number in self._refused:
            return self._refused.pop(number)
        import sqlite3

        try:
            row = self._database().execute("select record from waiting where number = ?", (number,)).fetchone()
            self._database().execute("delete from waiting where number = ?", (number,))
        except sqlite3.Error as error:
            message = f"a temporary file cannot be read: {error}"
            raise DynscaleError(message, "name another folder for it with TMPDIR") from error
        if row is None:
            raise KeyError(number)
        record: bytes = row[0]
        return record

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            import sqlite3

            self._opened = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._opened.close)
            self._opened.execute("pragma journal_mode = memory")
            self._opened.execute(f"pragma cache_size = -{CACHE_KIB}")
            self._opened.execute("create table waiting (number integer primary key, record blob)")
        return self._opened


class Waiting(Protocol):
    """A state that can be put aside while nothing of its question is in flight."""

    pending: int


State = TypeVar("State", bound=Waiting)


class StateStore(Generic[State]):
    """Question -> state. One that was asked for is the question's own until AT_HAND others were asked for."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self._at_hand: dict[int, State] = {}  # the one asked for longest ago comes first
        self._aside = bytearray(len(questions))  # whether it is
        self._spill = Spill()

    def __len__(self) -> int:
        return len(self._at_hand) + self._aside.count(1)

    def __contains__(self, q: int) -> bool:
        return q in self._at_hand or bool(self._aside[q])

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
        """Of those without a sample in flight, the one asked for longest ago."""
        newest = next(reversed(self._at_hand))
        q = next((q for q, state in self._at_hand.items() if not state.pending and q != newest), None)
        if q is not None:
            file = io.BytesIO()
            _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(self._at_hand.pop(q))
            self._spill.put(q, file.getvalue())
            self._aside[q] = 1

    def _taken_back(self, q: int) -> State:
        if not self._aside[q]:
            raise KeyError(q)
        self._aside[q] = 0
        state: State = _Unpickler(self._spill.pop(q), self._questions[q]).load()
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
