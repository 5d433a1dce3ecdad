"""A run's samples as a pool for `dynscale replay`: one JSON line a question.

{"qid", "gold", "answers": [key or null, …], "tokens": [generated, …]}. Only parallel samples go in: they are
exchangeable, which is what a replay draws from; a chain depends on the samples before it.
Owns that file's form, for a run that is going on and for a stored one. Knows nothing of terminals.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dynscale_cli.answers.equivalence import Equivalence, same_as_gold
from dynscale_cli.answers.prover import Prover
from dynscale_cli.answers.types import AnswerType
from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.questions import Question
from dynscale_cli.sampling.samples import Sample

from .events import Event, SampleFinished
from .stored import StoredRun

TEXT: Final[Mapping[str, Any]] = {"encoding": "utf-8", "errors": "backslashreplace"}  # half a pair from a server


class Pool:
    """Answer keys and costs of parallel samples, as a run finishes them, and the pool's lines."""

    def __init__(self, questions: Sequence[Question], kind: AnswerType, equivalence: Equivalence) -> None:
        self._questions, self._kind, self._equivalence = questions, kind, equivalence
        self._samples: dict[int, list[tuple[int, str | None, int]]] = {}

    def handle(self, event: Event) -> None:
        if isinstance(event, SampleFinished):
            self.add(event.index, event.sample)

    def add(self, index: int, sample: Sample) -> None:
        if sample.kind == "parallel" and sample.finish != "failed":
            self._samples.setdefault(index, []).append((sample.number, sample.key, sample.tokens.generated))

    def lines(self) -> Iterator[str]:
        for question in self._questions:
            if question.index in self._samples:
                line = self._line(question, sorted(self._samples[question.index]))
                yield json.dumps(line, ensure_ascii=False) + "\n"

    def _line(self, question: Question, samples: list[tuple[int, str | None, int]]) -> dict[str, Any]:
        keys = self._equivalence.classes(key for _, key, _ in samples if key is not None)
        answers = [keys[key] if key is not None else None for _, key, _ in samples]
        tokens = [generated for _, _, generated in samples]
        return {"qid": question.id, "gold": self._gold(question, answers), "answers": answers, "tokens": tokens}

    def _gold(self, question: Question, answers: Sequence[str | None]) -> str | None:
        """The gold answer, spelled as the samples spell it: a replay compares strings."""
        if question.gold is None:
            return None
        kind = self._kind.for_question(question.text, question.choices)
        for key in dict.fromkeys(answers):
            if key is not None and same_as_gold(key, question.gold, kind, question.choices, self._equivalence):
                return key
        return question.gold


class NewFile:
    """A file that takes the place of the one of its name once it is complete. Pipes and devices are written to at once.

    It is begun at once, so that a path that cannot be written to is an error before anything is decoded: a UsageError.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._own = path, path
        try:
            if path.is_file() or not path.exists():
                target = path.resolve()  # through a link, which stays
                mode = target.stat().st_mode & 0o777 if target.exists() else None
                self._own, self._target = target.with_name(f".{target.name}.{os.getpid()}.part"), target
                self._file = self._own.open("x", **TEXT)
                if mode is not None:
                    self._own.chmod(mode)
            else:
                self._file = path.open("w", **TEXT)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}", f"ls -ld {path.parent}") from error

    def write(self, lines: Iterable[str]) -> None:
        """All of it, or what was there before stays. Raises DynscaleError when the disk refuses it."""
        try:
            with self._file:
                self._file.writelines(lines)
            if self._own != self._path:
                self._own.replace(self._target)
        except BaseException as error:
            if self._own != self._path:
                with contextlib.suppress(OSError):
                    self._own.unlink()
            if isinstance(error, OSError):
                message = f"cannot write {self._path}: {error.strerror}"
                raise DynscaleError(message, "make room, and ask again") from error
            raise


def export_run(stored: StoredRun, path: Path | None) -> None:
    """Write a stored run's samples to a file, or to standard output."""
    pool = Pool(stored.questions, AnswerType.parse(stored.settings.answer_type), Equivalence(Prover()))
    for index, sample in stored.samples():
        pool.add(index, sample)
    if path is None:
        sys.stdout.writelines(pool.lines())
    else:
        NewFile(path).write(pool.lines())
