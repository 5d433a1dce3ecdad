"""One run's journal: what it was asked and everything it has drawn, in a file that only grows.

    store = Store()                                       # the folder of runs
    journal = store.create(request, questions)            # a new file, locked, the request in it
    run = Run(questions, engine, settings, journal=journal)
    ... run.events() ...                                  # every finished sample is in the file before it counts
    journal.close()

    stored = store.read("k3f9q2")                         # what is in it: request, questions, results, samples()

    journal, stored = store.reopen("k3f9q2")              # locked
    journal.resume(stored.budget)                         # or more; `settings` then names the same budget
    run = Run(stored.questions, engine, stored.settings, journal=journal, past=Past(stored))

How it survives. A line is one write to a file opened for appending: when the process is killed, what was written is in
the system's hands, and at most the last line is torn. Twice nothing is lost to a power cut but the last second or two:
a thread flushes the file to the disk once a second, away from the decoding, and closing does so again.
What a run spends it announces: before the tokens of a step are spent, a line `spent` names a bound that they stay
below. Samples in flight die with the process; their tokens lie between what the samples account for and that bound,
and stay spent. So the budget holds over all parts of a run, a kill included. The newest bound counts: on a server,
where requests leave with all that they may cost, it falls again as they come back.

Owns the writing: lines, the lock, the flushing, and what happens when the disk refuses. Never raises once it is open:
the run goes on, and `complaint` says once what could not be kept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from dynscale_cli.questions import Question

from . import entries
from .events import Result
from .request import RunRequest, as_json, now
from .sink import Dropped, Ended, Sampled, Start

SYNC_SECONDS: Final = 1.0
CANNOT_FLUSH: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # file systems without it
STRIDE: Final = 256  # tokens that one line announces, at most
PORTION: Final = 1000  # questions that are written at once
SHARE: Final = 64  # and at most this part of the budget: what a kill can cost beyond what was in flight


class Journal:
    """A journal that is open for writing: the `Sink` of one run. `descriptor` is locked, and its file ends in a line.

    `spent`: what the file has announced last. `failure` tells what could not be kept, if anything.
    """

    def __init__(self, path: Path, descriptor: int, budget: int, spent: int = 0) -> None:
        self.path, self.id = path, path.stem
        self.failure: str | None = None
        self._descriptor, self._budget, self._announced = descriptor, budget, spent
        self._size = self._sound = os.fstat(descriptor).st_size  # `_sound`: up to the first line that was refused
        self._new = self._size == 0
        self._told = self._gone = self._dirty = self._samples = False
        self._refused: str | None = None  # why the last flush failed
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._flush, daemon=True)
        self._thread.start()

    def begin(self, request: RunRequest, questions: Iterable[Question]) -> None:
        """What is asked, before anything is drawn."""
        self._write(entries.line("run", {"id": self.id, **as_json(request)}))
        lines = map(entries.question_line, questions)
        while portion := b"".join(islice(lines, PORTION)):
            self._write(portion)

    def resume(self, budget: int) -> None:
        """Another part of the run begins, with this budget over all parts."""
        self._budget = budget
        self._write(entries.line("resume", {"budget": budget, "spent": self._announced, "at": now()}))

    def started(self, start: Start, time: float) -> None:
        self._write(entries.start_line(start, time))

    def allow(self, spent: int) -> None:
        stride = min(STRIDE, self._budget // SHARE)
        if not spent <= self._announced <= spent + stride:
            self._announced = max(spent, min(self._budget, spent + stride))
            self._write(entries.line("spent", {"upto": self._announced}))

    def sampled(self, sampled: Sampled, time: float) -> None:
        self._samples = True
        self._write(entries.sample_line(sampled, time))

    def dropped(self, dropped: Dropped, time: float) -> None:
        self._write(entries.drop_line(dropped, time))

    def answered(self, result: Result, *, final: bool) -> None:
        self._write(entries.answer_line(result, final))

    def ended(self, ended: Ended) -> None:
        """The exact account. Where lines before it were refused, it takes the place of the one that was not exact."""
        line = entries.end_line(ended, now())
        if self.failure is None:
            self._write(line)
        elif not self._gone:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._sound)
                self._size = self._sound
                self._append(entries.line("spent", {"upto": ended.spent}))  # no longer than what stood here
                self._append(line)

    def complaint(self) -> str | None:
        if self.failure is None or self._told:
            return None
        self._told = True
        return self.failure

    def close(self, *, discard_empty: bool = False) -> None:
        """Flush and close. `discard_empty`: a run that has begun here and came to nothing leaves no file."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        if self._new and not self._samples and (discard_empty or self.failure is not None):
            with contextlib.suppress(OSError):
                self.path.unlink()
        self._sync()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        if self.failure is not None:
            return
        try:
            if os.fstat(self._descriptor).st_nlink == 0:
                self._gone = True
                self._fail("it was deleted")
            elif self._refused is not None:
                self._fail(self._refused)
            else:
                self._append(data)
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _append(self, data: bytes) -> None:
        """All of `data`, or none of it."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)
        self._dirty = True

    def _fail(self, why: str) -> None:
        """From here on nothing is kept, and so no token of the budget may be taken for unspent: a last line says so.

        It mostly finds room where a sample does not, in the file's last block.
        """
        self.failure = f"cannot go on with the journal {self.path}: {why}; what this run draws from here on is not kept"
        self._sound = self._size
        if not self._gone:
            with contextlib.suppress(OSError):
                self._append(entries.line("spent", {"upto": self._budget}))

    def _flush(self) -> None:
        while not self._closing.wait(SYNC_SECONDS):
            self._sync()

    def _sync(self) -> None:
        if self._dirty:
            self._dirty = False
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                if error.errno not in CANNOT_FLUSH:
                    self._refused = error.strerror or str(error)
