"""Records put aside in an anonymous temporary file, so that what waits takes no memory.

Owns the file, which goes with its shelf, and the room in it: a record that is taken back leaves its room to others.
The first few records, and what the disk refuses, stay in memory. Knows nothing of what is in a record.
"""

from __future__ import annotations

import io
import weakref
from array import array
from collections import defaultdict
from typing import Final

from dynscale_cli.errors import DynscaleError

LENGTH: Final = 4  # bytes before each record that tell its length
IN_MEMORY: Final = 1 << 18  # bytes of records before there is a file
SMALLEST: Final = 6  # bits: rooms have 64 bytes, or that many doubled and doubled again


class Shelf:
    """`put` a record and keep its place; `take` it back once."""

    def __init__(self) -> None:
        self._file: io.FileIO | None = None
        self._end = 0
        self._free: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))  # bits of a room -> places
        self._in_memory: dict[int, bytes] = {}

    def put(self, record: bytes) -> int:
        """The record's place, from 0."""
        bits = _bits(len(record))
        place = self._free[bits].pop() if self._free[bits] else self._end
        self._end = max(self._end, place + (1 << bits))
        if place < IN_MEMORY or not self._is_written(place, record):
            self._in_memory[place] = record
        return place

    def take(self, place: int) -> bytes:
        """The record, which leaves its place. Raises DynscaleError where the disk does not give it back."""
        record = self._in_memory.pop(place, None)
        if record is None:
            try:
                record = self._read(place)
            except OSError as error:
                message = f"a temporary file cannot be read: {error.strerror or error}"
                raise DynscaleError(message, "name another folder for it with TMPDIR") from error
        self._free[_bits(len(record))].append(place)
        return record

    def _is_written(self, place: int, record: bytes) -> bool:
        data = len(record).to_bytes(LENGTH, "big") + record
        try:
            if self._file is None:
                self._file = _temporary_file()
                weakref.finalize(self, self._file.close)
            self._file.seek(place)
            return self._file.write(data) == len(data)
        except OSError:
            return False

    def _read(self, place: int) -> bytes:
        assert self._file is not None
        self._file.seek(place)
        head = self._file.read(LENGTH)
        record = self._file.read(length := int.from_bytes(head, "big"))
        if len(head) < LENGTH or len(record) < length:
            raise OSError("it was cut short")
        return record


def _bits(length: int) -> int:
    """Of the room that a record takes."""
    return max(SMALLEST, (LENGTH + length - 1).bit_length())


def _temporary_file() -> io.FileIO:
    import tempfile

    return tempfile.TemporaryFile(prefix="dynscale-", buffering=0)
