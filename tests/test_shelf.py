"""Records put aside in a file: what is taken back is what was put there, in little room, whatever the disk does."""

import errno
import random
import tempfile

import pytest

from dynscale_cli import shelf as shelves
from dynscale_cli.errors import DynscaleError
from dynscale_cli.shelf import Shelf


@pytest.fixture
def filed(monkeypatch):
    """A shelf that begins its file with the first record."""
    monkeypatch.setattr(shelves, "IN_MEMORY", 0)
    return Shelf()


def test_records_come_back_as_they_were_in_any_order(filed):
    rng, there = random.Random(1), {}
    for _ in range(3000):
        if there and rng.random() < 0.48:
            place = rng.choice(list(there))
            assert filed.take(place) == there.pop(place)
        else:
            record = rng.randbytes(rng.choice([0, 1, 59, 60, 61, rng.randrange(5000)]))
            place = filed.put(record)
            assert place not in there
            there[place] = record
    assert all(filed.take(place) == record for place, record in there.items())


def test_room_that_was_left_is_taken_again(filed):
    for _ in range(1000):
        places = [filed.put(b"x" * 100) for _ in range(5)]
        for place in places:
            filed.take(place)
    assert filed._end == 5 * 128


def test_a_few_records_need_no_file(monkeypatch):
    monkeypatch.setattr(shelves, "_temporary_file", lambda: pytest.fail("a file"))
    shelf = Shelf()
    places = [shelf.put(b"x" * n) for n in range(100)]
    assert [len(shelf.take(place)) for place in places] == list(range(100))


class Full:
    """A file on a full disk, which has room for a few bytes more."""

    def seek(self, place):
        return place

    def write(self, data):
        if len(data) < 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return 10

    def read(self, length):
        raise OSError(errno.EIO, "Input/output error")

    def close(self):
        pass


def test_what_a_full_disk_refuses_stays_in_memory(filed, monkeypatch):
    monkeypatch.setattr(shelves, "_temporary_file", Full)
    records = [b"short", b"l" * 500, b"", b"m" * 5000]
    places = [filed.put(record) for record in records]
    assert [filed.take(place) for place in places] == records


def test_no_folder_for_temporary_files_is_no_error(filed, monkeypatch):
    def refuse(**options):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert filed.take(filed.put(b"abc")) == b"abc"


def test_a_disk_that_does_not_give_back_what_it_took_is_one_line(filed):
    place = filed.put(b"abc")
    filed._file.truncate(0)
    with pytest.raises(DynscaleError, match="a temporary file cannot be read: it was cut short"):
        filed.take(place)
