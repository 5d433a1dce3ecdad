"""Answers on stdout: one a line, or one JSON object a line; nothing else ever goes there.

Owns order and form. What has to wait for an answer before it waits in a temporary database. One line stays one
question: line breaks inside an answer become spaces where there are several questions, a question without an answer is
an empty line. A single question prints its answer whole; so do all on a terminal and in `--json`. On a terminal, empty
lines wait for an answer below them, so that a run that is interrupted early does not scroll all away. A reader that
went away shows as BrokenPipeError, which is the caller's to handle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TextIO

from dynscale_cli.display.results import Verdicts
from dynscale_cli.display.text import harmless, plain, plain_lines
from dynscale_cli.run.database import Spill
from dynscale_cli.run.events import Answered, Event, Result, members


class Answers:
    """Prints each answer as soon as all before it are there, or at once if `unordered`; flushes every line.

    `aside` is called with what writes: a view on the same terminal gets out of its way meanwhile. With `verdicts`, each
    answer is a row that says how it came about, too.
    """

    def __init__(
        self,
        out: TextIO,
        questions: int,
        *,
        as_json: bool = False,
        unordered: bool = False,
        aside: Callable[[Callable[[], None]], None] | None = None,
        verdicts: Verdicts | None = None,
    ) -> None:
        self._out = out
        self._whole = questions == 1 or out.isatty()
        self._as_json = as_json
        self._unordered = unordered
        self._aside = aside
        self._verdicts = verdicts
        self._headed = verdicts is None
        self._next = 0
        self._waiting = set[int]()  # questions whose lines are told in their turn
        self._lines = Spill()
        self._blank = ""  # lines without an answer that are held back
        self._holds_blank = out.isatty()

    def handle(self, event: Event) -> None:
        """Take note of an answer, and print what can be printed. Other events mean nothing here."""
        if not isinstance(event, Answered):
            return
        index, line = event.result.index, self._line(event.result)
        if self._unordered:
            self._print(line)
        elif index == self._next:
            self._print(line + "".join(self._following()))
        else:
            self._waiting.add(index)
            self._lines.put(index, line.encode("utf-8", "surrogatepass"))

    def finish(self) -> None:
        """Print what is still held back for an answer that never came; in order."""
        if self._waiting:
            self._print("".join(map(self._taken, sorted(self._waiting))))

    def _following(self) -> Iterator[str]:
        """The lines that waited for this one."""
        self._next += 1
        while self._next in self._waiting:
            yield self._taken(self._next)
            self._next += 1

    def _taken(self, index: int) -> str:
        self._waiting.discard(index)
        return self._lines.pop(index).decode("utf-8", "surrogatepass")

    def _line(self, result: Result) -> str:
        if self._as_json:
            return as_line(result)
        if self._verdicts is not None:
            return self._verdicts.row(result)
        answer = result.answer or ""
        return (plain_lines(answer).strip() if self._whole else plain(answer)) + "\n"

    def _print(self, text: str) -> None:
        if not self._headed:
            text, self._headed = f"{self._verdicts.head() if self._verdicts else ''}{text}", True
        if self._holds_blank:
            text = self._blank + text
            shown = text.rstrip("\n")
            keep = len(shown) + 1 if shown else 0
            text, self._blank = text[:keep], text[keep:]
            if not text:
                return
        if self._aside is None:
            self._write(text)
        else:
            self._aside(lambda: self._write(text))

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def as_line(result: Result) -> str:
    """A result as one line of JSON, with the text as it is but for characters that a terminal might act on."""
    text = json.dumps(members(result), ensure_ascii=False, default=members)
    return harmless(text) + "\n"
