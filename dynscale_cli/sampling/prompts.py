"""Every word that is put to the model, versioned, in one place.

Owns the texts and their replacement by the user. Knows nothing of tokens or of which samples to quote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

from dynscale_cli.engine.protocol import Message
from dynscale_cli.errors import UsageError
from dynscale_cli.questions import Question
from dynscale_cli.values import file_text, read_toml

Layout = Literal["turns", "quoted"]
LAYOUTS: tuple[Layout, ...] = ("turns", "quoted")


@dataclass(frozen=True, slots=True)
class Prompts:
    """The texts of a run. `version` names them in everything that is stored.

    `context` is what all questions are about: it comes first, so that it is prefilled once for all of them.
    `question` lays out the question ({question}, {choices}); `instruction` goes behind questions whose
    answers are compared, `again` asks for another attempt after earlier ones, `combine` for a response to an
    open question after earlier ones, `attempt` introduces one quoted attempt ({number}, {attempt}), `answer`
    asks a sample that was cut off for its answer. Where nothing can be put into the model's mouth, the user's
    turns `finish` and `conclude` ask for an answer and for an end of a thought.
    """

    version: str = "1"
    system: str = ""
    context: str = ""
    question: str = "{question}{choices}"
    choice: str = "\n{label}) {text}"
    instruction: str = '\n\nThink step by step, then write the final answer on the last line as "Answer: ...".'
    attempt: str = "\n\nAttempt {number}:\n{attempt}"
    quote: str = (
        "{question}\n\nHere are earlier attempts at this question. Some of them may be wrong.{attempts}\n\n{again}"
    )
    again: str = (
        "Compare these attempts, find any mistakes, and solve the question again from the start. "
        'Write the final answer on the last line as "Answer: ...".'
    )
    combine: str = (
        "Write the best possible response to the question yourself. Take over what these attempts get right, leave out "
        "what they get wrong, and do not mention them."
    )
    another: str = "That may be wrong. Solve the question again from the start, in another way."
    answer: str = "\n\nAnswer:"
    finish: str = 'Stop here. Write only the final answer, as "Answer: ...".'
    conclude: str = "That is enough thinking. Write your answer now."

    def parallel(self, question: Question, *, compared: bool) -> list[Message]:
        """The question alone. `compared`: its answer is to be read off, so say where to put it."""
        text = self._question(question)
        return [*self._head(), Message("user", text + (self.instruction if compared else ""))]

    def chain(self, question: Question, attempts: Sequence[str], layout: Layout, *, compared: bool) -> list[Message]:
        """The question and earlier attempts at it, in the order given."""
        last = self.again if compared else self.combine
        if layout == "quoted":
            quoted = "".join(self.attempt.format(number=n, attempt=text) for n, text in enumerate(attempts, 1))
            text = self.quote.format(question=self._question(question), attempts=quoted, again=last)
            return [*self._head(), Message("user", text)]
        messages = self.parallel(question, compared=compared)
        for number, text in enumerate(attempts, 1):
            again = last if number == len(attempts) else self.another
            messages += [Message("assistant", text), Message("user", again)]
        return messages

    def _head(self) -> list[Message]:
        return [Message("system", self.system)] if self.system else []

    def _question(self, question: Question) -> str:
        labels = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        listed = "".join(
            self.choice.format(label=labels[n % 26], text=choice) for n, choice in enumerate(question.choices)
        )
        text = self.question.format(question=question.text, choices=f"\n{listed}" if listed else "")
        return f"{self.context}\n\n{text}" if self.context else text


def load_prompts(path: Path | None, system: str | None) -> Prompts:
    """The run's prompts: the built-in ones, with what a TOML file (keys as in `Prompts`) and `system` replace."""
    prompts = Prompts()
    if path is not None:
        prompts = replace(prompts, **_read(path))
    if system is not None:
        prompts = replace(prompts, system=system)
    changed = {f.name for f in fields(Prompts) if f.name not in ("version", "context")}
    if any(getattr(prompts, name) != getattr(Prompts(), name) for name in changed) and prompts.version == "1":
        prompts = replace(prompts, version="1+user")
    return prompts


def _read(path: Path) -> dict[str, str]:
    hint = "keys: " + ", ".join(f.name for f in fields(Prompts))
    try:
        data = read_toml(file_text(path))
    except OSError as error:
        raise UsageError(f"cannot read the prompt file {path}: {error.strerror}", "check --prompt-file") from error
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}", hint) from error
    known = {f.name for f in fields(Prompts)}
    for key, value in data.items():
        if key not in known or not isinstance(value, str):
            raise UsageError(f"{path}: {key!r} is not a prompt, or not a text", hint)
        _check_placeholders(path, key, value)
    return data


def _check_placeholders(path: Path, key: str, value: str) -> None:
    slots = {
        "question": {"question", "choices"},
        "choice": {"label", "text"},
        "attempt": {"number", "attempt"},
        "quote": {"question", "attempts", "again"},
    }.get(key)
    if slots is None:
        return
    try:
        value.format(**dict.fromkeys(slots, ""))
    except (KeyError, IndexError, ValueError) as error:
        hint = "placeholders: " + ", ".join(f"{{{slot}}}" for slot in sorted(slots))
        raise UsageError(f"{path}: {key!r} has a placeholder that is not known: {error}", hint) from error
