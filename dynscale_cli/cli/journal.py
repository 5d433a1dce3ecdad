"""A session's journal: how its run is kept, what becomes of that, and what the user hears of it.

Owns the words. Writing and reading runs is the business of `run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynscale_cli.display.text import report
from dynscale_cli.errors import BudgetError, DynscaleError, UsageError
from dynscale_cli.questions import Question

if TYPE_CHECKING:
    from dynscale_cli.engine.options import LoadOptions
    from dynscale_cli.engine.protocol import EngineInfo
    from dynscale_cli.run.request import Settings
    from dynscale_cli.run.store import Recorder


class JournalSession:
    """The journal of one session, if it has one, and what went wrong with it. Tells the user through `notice`.

    `flags`: what `runs resume` is to be told when it goes on with this run.
    """

    def __init__(self, notice: Callable[[str], None], *, quiet: bool, flags: str = "") -> None:
        from dynscale_cli.settings import setting

        self.journal: Recorder | None = None
        self._max_bytes: int = setting("journal.max-size")  # over all runs; raises UsageError where it is not valid
        self._notice, self._quiet, self._flags = notice, quiet, flags
        self._refused = False

    def begin(
        self,
        questions: Sequence[Question],
        settings: Settings,
        engine: EngineInfo,
        model: dict[str, Any],
        options: LoadOptions,
        source: Path | None,
    ) -> None:
        """Open a journal. Where that cannot be done the run goes without."""
        from dynscale_cli.run.request import RunRequest
        from dynscale_cli.run.store import Store

        store = Store(max_bytes=self._max_bytes)
        request = RunRequest(
            settings, model, engine.width, engine.context, len(questions), asdict(options), _source(source)
        )
        try:
            self.journal = store.create(request, questions)
        except DynscaleError as error:
            self._complain(f"this run is not kept: {error.message}", "--no-journal asks for none")

    def take(self, journal: Recorder) -> None:
        """Go on with one that is open."""
        self.journal = journal

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Close the journal, however the block ends; a run that could not begin, as it was asked for, leaves none."""
        never_begun = False
        try:
            yield
        except (BudgetError, UsageError):
            never_begun = True
            raise
        except DynscaleError:
            never_begun = self.journal is not None and not self.journal.drawn
            if not never_begun:
                self._tell_how_to_go_on()
            raise
        finally:
            self._close(discard_empty=never_begun)

    def code(self, code: int, *, interrupted: bool) -> int:
        """The exit code, which tells when something could not be kept; and how to go on where the run was stopped."""
        if self.journal is not None and self.journal.failure is not None:
            self._refused = True
            if self._quiet:
                report(DynscaleError(self.journal.failure))
        elif interrupted:
            self._tell_how_to_go_on()
        elif self.journal is not None and self.journal.cut_short:
            more = f"dynscale runs resume {self.journal.id}{self._flags} --budget +{self.journal.budget}"
            self._notice(f"the budget is spent; to buy more: {more}")
        return 1 if self._refused and not interrupted else code

    def _tell_how_to_go_on(self) -> None:
        if self.journal is not None and self.journal.failure is None:
            self._notice(f"to go on with this run: dynscale runs resume {self.journal.id}{self._flags}")

    def _complain(self, message: str, hint: str) -> None:
        self._refused = True
        report(DynscaleError(message, hint))

    def _close(self, *, discard_empty: bool) -> None:
        if self.journal is not None:
            self.journal.close(discard_empty=discard_empty)
            self._trim(self.journal.id)

    def _trim(self, own: str) -> None:
        from dynscale_cli.run.store import Store

        gone = Store(max_bytes=self._max_bytes).trim(keep=own)
        if gone:
            names = ", ".join(gone)
            self._notice(f"removed to stay below {self._max_bytes:,} bytes of runs: {names}")


def _source(file: Path | None) -> dict[str, str] | None:
    from dynscale_cli.run.request import file_hash

    if file is None or not file.is_file():  # reading a pipe twice would wait for ever
        return None
    try:
        return {"path": str(file.absolute()), "sha256": file_hash(file)}
    except OSError:
        return None
