"""What kind of answer a question wants, and the spelling of kinds on the command line.

Owns `AnswerType`: its name, whether it was stated or guessed, and what the question's wording says of the answer. A
stated kind stays; a guessed one gives way when the samples answer otherwise (`vote`). Must not know completions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from dynscale_cli.answers.wording import PLAIN, Wording, read_wording
from dynscale_cli.errors import UsageError

KindName = Literal["auto", "number", "choice", "boolean", "math", "text", "long", "json", "regex"]
_NAMES = ("auto", "number", "choice", "boolean", "math", "text", "long", "json")


@dataclass(frozen=True, slots=True)
class AnswerType:
    """A kind of answer. `pattern` belongs to `regex`; `guessed`: decided from the question, not stated."""

    name: KindName = "auto"
    pattern: str = ""
    guessed: bool = False
    wording: Wording = PLAIN

    @property
    def long(self) -> bool:
        """Whether an answer is a whole response, which is not read off a last line."""
        return self.name == "long"

    @property
    def ordered(self) -> bool:
        """Whether the order of a list tells answers apart."""
        return self.wording.ordered

    @classmethod
    def parse(cls, text: str) -> AnswerType:
        """`auto`, `number`, `choice`, `boolean`, `math`, `text`, `long`, `json` or `regex:PATTERN`; else UsageError."""
        name, colon, pattern = text.strip().partition(":")
        name = name.strip().lower()
        if name == "regex":
            return cls._regex(pattern)
        if colon or name not in _NAMES:
            raise UsageError(
                f"unknown answer type {text!r}",
                f"use one of {', '.join(_NAMES)} or regex:PATTERN, e.g. --answer-type number",
            )
        return cls(cast(KindName, name))

    @classmethod
    def _regex(cls, pattern: str) -> AnswerType:
        hint = r"e.g. --answer-type 'regex:Code: (\w+)'; its first group, or all of the last match, is the answer"
        if not pattern:
            raise UsageError("answer type regex: has no pattern", hint)
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as wrong:
            raise UsageError(f"answer type regex: the pattern does not compile: {wrong}", hint) from wrong
        return cls("regex", pattern)

    def __str__(self) -> str:
        return f"regex:{self.pattern}" if self.name == "regex" else self.name

    def for_question(self, question: str, choices: Sequence[str] = ()) -> AnswerType:
        """The kind for one question: `auto` is decided, and every kind learns what the wording says of the answer."""
        if self.name in ("regex", "long", "json"):
            return self
        wording = read_wording(question, choices)
        if self.name == "auto":
            # Choices that stand beside the question are no guess.
            return AnswerType(wording.guess, guessed=not choices and wording.guess != "auto", wording=wording)
        if self.name == "text" and wording.guess == "long":
            return AnswerType("long", wording=wording)
        return replace(self, wording=wording)
