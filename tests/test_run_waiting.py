"""What waits: taken back as it was put aside, in any order, whatever the disk does."""

import random
import sqlite3

import pytest

from dynscale_cli.errors import DynscaleError
from dynscale_cli.run import database
from dynscale_cli.run.database import Spill


def test_records_come_back_as_they_were_in_any_order():
    rng, there, spill = random.Random(1), {}, Spill()
    for _ in range(3000):
        if there and rng.random() < 0.48:
            number = rng.choice(list(there))
            assert spill.pop(number) == there.pop(number)
        else:
            number = rng.randrange(10_000)
            there[number] = rng.randbytes(rng.choice([0, 1, 60, rng.randrange(5000)]))
            spill.put(number, there[number])
    assert all(spill.pop(number) == record for number, record in there.items())
    with pytest.raises(KeyError):
        spill.pop(1)


def test_what_a_full_disk_refuses_stays_in_memory():
    spill = Spill()
    spill.put(0, b"first")
    spill._database().execute("pragma max_page_count = 1")
    records = {number: bytes([number]) * 5000 for number in range(1, 20)}
    for number, record in records.items():
        spill.put(number, record)
    assert {number: spill.pop(number) for number in records} == records
    assert spill.pop(0) == b"first"


def test_no_folder_for_temporary_files_is_no_error(monkeypatch):
    monkeypatch.setenv("SQLITE_TMPDIR", "/nowhere")
    monkeypatch.setattr(database, "CACHE_KIB", 16)
    spill = Spill()
    for number in range(500):
        spill.put(number, bytes(1000))
    assert all(spill.pop(number) == bytes(1000) for number in range(500))


def test_a_disk_that_does_not_give_back_what_it_took_is_one_line(monkeypatch):
    spill = Spill()
    spill.put(0, b"abc")

    class Broken:
        def execute(self, *arguments):
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(spill, "_opened", Broken())
    with pytest.raises(DynscaleError, match="a temporary file cannot be read: disk I/O error"):
        spill.pop(0)
