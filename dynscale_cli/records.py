"""One question as a file states it: the fields of a JSON object or of a row, by the names that public files use.

Owns field names, what they may hold, templates over fields, and right answers as files write them. A right answer
that is a number beside choices stays a number in its record: whether it counts from 0 shows in all of the file. Knows
nothing of formats or of a question's place in the run.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dynscale_cli.errors import UsageError

ID: Final = ("id", "qid", "custom_id", "question_id")
TEXT: Final = ("question", "prompt", "problem", "query", "instruction", "input")
GOLD: Final = ("answerkey", "answer_key", "gold", "answer", "answers", "correct_answer", "target", "correct", "label")
CHOICES: Final = ("choices", "options", "endings")
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
HINT: Final = 'one JSON object a line: {"question": "What is 17 + 25?", "answer": "42"}'

_WORKED: Final = re.compile(r"####\s*(\S.*?)\s*\Z")  # the end of a worked answer in GSM8K
_LETTERED: Final = re.compile(r"(?:(?:option|choice|op|answer)[ _]?)?(?P<label>[a-j]|\d{1,2})")


@dataclass(frozen=True, slots=True)
class Record:
    """`gold`: the right answer; a JSON list of texts where several are accepted. `place`: a number that `gold` is, to
    be counted among the choices; `labelled`: whether these have labels of their own."""

    line: int
    id: str | None
    text: str
    choices: tuple[str, ...] = ()
    gold: str | None = None
    place: int | None = None
    labelled: bool = False


@dataclass(slots=True)
class Fields:
    """Turns the fields of one source into records; remembers the names of those that nothing used.

    Raises UsageError for a template that cannot be filled.
    """

    source: str
    template: str | None = None
    hint: str = HINT
    ignored: dict[str, None] = field(default_factory=dict)  # in the order met
    filled: tuple[str, ...] = ()  # the fields that the template names

    def __post_init__(self) -> None:
        if self.template is not None:
            self.filled = _template_fields(self.template)

    def record(self, found: Mapping[str, Any] | str, line: int) -> Record:
        """The record of one object or row; a bare text is a question. Raises UsageError with the line."""
        place = f"{self.source}, line {line}"
        if isinstance(found, str):
            found = {"question": found}
        lowered = {name.strip().lower(): value for name, value in found.items()}
        if isinstance(lowered.get("body"), dict):  # a line of an OpenAI batch
            lowered = {**lowered, **{name.lower(): value for name, value in lowered["body"].items()}}
            del lowered["body"]
        used: set[str] = {"body", "method", "url", "model"} if "custom_id" in lowered else set()
        text = self._text(lowered, place, used)
        labels, choices = self._choices(lowered, place, used)
        name = _first(lowered, ID, used)
        if name is not None and (not isinstance(name, str | int) or isinstance(name, bool)):
            raise UsageError(f"{place}: the id must be text or a whole number, not {kind_of(name)}", self.hint)
        gold, index = self._gold(lowered, labels, choices, place, used)
        unused = (name for name, value in found.items() if name.strip().lower() not in used and value not in (None, ""))
        self.ignored.update(dict.fromkeys(unused))
        return Record(line, None if name is None else str(name), text, choices, gold, index, bool(labels))

    def _text(self, found: dict[str, Any], place: str, used: set[str]) -> str:
        if self.template is not None:
            text: Any = self._filled(found, place, used)
        else:
            text = _first(found, TEXT, used)
            if isinstance(text, dict) and isinstance(text.get("stem"), str):  # {"stem": …, "choices": […]}
                found.update({name: value for name, value in text.items() if name != "stem"})
                text = text["stem"]
            messages = text if isinstance(text, list) else found.get("messages", found.get("conversations"))
            if text is None or isinstance(text, list):
                used.update(("messages", "conversations"))
                text = self._said(messages, place) if isinstance(messages, list) else text
            elif isinstance(text, str) and "instruction" in used and isinstance(found.get("input"), str):
                used.add("input")
                text = f"{text}\n\n{found['input']}".strip()
        if text is None:
            names = ", ".join(list(found)[:8]) or "none"
            raise UsageError(f"{place}: no question; its fields: {names}", _name_one(found))
        if not isinstance(text, str):
            raise UsageError(f"{place}: the question must be text, not {kind_of(text)}", self.hint)
        if not text.strip():
            raise UsageError(f"{place}: the question is empty", self.hint)
        if "\0" in text:
            raise UsageError(f"{place}: the question holds a NUL character", self.hint)
        return text.strip()

    def _filled(self, found: Mapping[str, Any], place: str, used: set[str]) -> str:
        assert self.template is not None
        values: dict[str, str] = {}
        for name in self.filled:
            value = found.get(name.lower())
            if value is None:
                have = ", ".join(found) or "none"
                raise UsageError(f"{place}: no field {name!r} for the template", f"the fields there: {have}")
            values[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            used.add(name.lower())
        used.update(TEXT)
        return self.template.format(**values)

    def _said(self, messages: Sequence[Any], place: str) -> str:
        """The user's one turn of a chat, behind what a system turn says."""
        system: list[str] = []
        asked: list[str] = []
        for message in messages:
            role, content = _turn(message)
            if role == "system":
                system.append(content)
            elif role in ("user", "human"):
                asked.append(content)
        if len(asked) != 1:
            raise UsageError(f"{place}: a chat of {len(asked)} turns by the user, not one", self.hint)
        return "\n\n".join([*system, *asked])

    def _choices(self, found: dict[str, Any], place: str, used: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(labels, texts); a list of texts has no labels."""
        given = _first(found, CHOICES, used)
        if given is None:
            given = _columns(found, used)
        if given is None:
            return (), ()
        if isinstance(given, dict) and isinstance(given.get("text"), list):  # {"text": […], "label": […]}
            labels = tuple(map(str, given.get("label") or ()))
            texts = given["text"]
        elif isinstance(given, list) and given and all(isinstance(item, dict) and "text" in item for item in given):
            labels = tuple(str(item["label"]) for item in given if "label" in item)
            texts = [item["text"] for item in given]
        elif isinstance(given, dict):
            labels, texts = tuple(given), list(given.values())
        elif isinstance(given, list):
            labels, texts = (), given
        else:
            raise UsageError(f"{place}: the choices must be a list or an object, not {kind_of(given)}", self.hint)
        for text in texts:
            if not isinstance(text, str | int | float) or isinstance(text, bool) or not str(text).strip():
                raise UsageError(f"{place}: each choice must be text, not {kind_of(text)}", self.hint)
        if not 2 <= len(texts) <= len(LETTERS):
            raise UsageError(f"{place}: {len(texts)} choices, not 2 to {len(LETTERS)}", self.hint)
        return labels if len(labels) == len(texts) else (), tuple(str(text).strip() for text in texts)

    def _gold(
        self, found: dict[str, Any], labels: tuple[str, ...], choices: tuple[str, ...], place: str, used: set[str]
    ) -> tuple[str | None, int | None]:
        """(the right answer, its number among the choices where that is all there is)."""
        gold = _first(found, GOLD if choices else GOLD[:-1], used)
        if gold is None and isinstance(found.get("solution"), str) and "\\boxed" in found["solution"]:
            from dynscale_cli.answers.normalize import box_at

            used.add("solution")
            box = box_at(found["solution"], found["solution"].rindex("\\boxed"))
            gold = box[0] if box is not None else None
        if isinstance(gold, dict):  # SQuAD and TriviaQA
            gold = gold.get("text", [gold["value"], *gold.get("aliases", ())] if "value" in gold else gold)
        if isinstance(gold, list):
            accepted = [text for item in gold if (text := self._stated(item, labels, place)) is not None]
            accepted = list(dict.fromkeys(accepted))
            if len(accepted) > 1:
                return json.dumps(accepted, ensure_ascii=False), None
            return (accepted[0] if accepted else None), None
        text = None if gold is None else self._stated(gold, labels, place)
        if text is not None and choices and re.fullmatch(r"\d{1,2}", text) and str(gold).strip() not in labels:
            return text, int(text)
        return text, None

    def _stated(self, gold: Any, labels: tuple[str, ...], place: str) -> str | None:
        """One right answer as text: the end of a worked answer, the letter of a label."""
        if isinstance(gold, bool):
            return "yes" if gold else "no"
        if not isinstance(gold, str | int | float):
            raise UsageError(f"{place}: the answer must be text or a number, not {kind_of(gold)}", self.hint)
        text = str(gold).strip()
        if text in labels:
            return LETTERS[labels.index(text)]
        if text.lower() in (lowered := [label.lower() for label in labels]):
            return LETTERS[lowered.index(text.lower())]
        worked = _WORKED.search(text)
        return worked[1] if worked else text or None


def _name_one(found: Mapping[str, Any]) -> str:
    """What to do about fields of which none is the question."""
    name = next((name for name, value in found.items() if isinstance(value, str)), "field")
    return f'call it "question", or make one of the fields: --template "… {{{name}}} …"'


def _template_fields(template: str) -> tuple[str, ...]:
    """The names in braces; raises UsageError where a template cannot be filled."""
    hint = 'e.g. --template "Is {name} in {country}?"; write {{ for a brace'
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"the template cannot be read: {error}", hint) from None
    if not names or not all(re.fullmatch(r"[^\W\d][\w -]*", name) for name in names):
        raise UsageError("the template names no field", hint)
    return tuple(dict.fromkeys(names))


def _columns(found: Mapping[str, Any], used: set[str]) -> dict[str, Any] | None:
    """Choices in columns of their own: A to D, option1 and option2, choice_a …"""
    named = {match["label"]: name for name in found if (match := _LETTERED.fullmatch(name)) is not None}
    for labels in ("abcdefghij", "123456789", "012345678"):
        held = [label for label in labels if label in named]
        if len(held) >= 2 and held == list(labels[: len(held)]):
            used.update(named[label] for label in held)
            texts = {label.upper(): found[named[label]] for label in held}
            return {label: text for label, text in texts.items() if text not in (None, "")}
    return None


def _turn(message: Any) -> tuple[str, str]:
    """(role, text) of a chat's turn, in OpenAI's and ShareGPT's spelling."""
    if not isinstance(message, dict):
        return "", ""
    content = message.get("content", message.get("value"))
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(message.get("role", message.get("from", ""))), content if isinstance(content, str) else ""


def _first(found: Mapping[str, Any], names: Iterable[str], used: set[str]) -> Any:
    for name in names:
        if found.get(name) is not None:
            used.add(name)
            return found[name]
    return None


def kind_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "an empty text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def places(source: str, records: Iterable[Record]) -> Iterator[tuple[Record, str]]:
    """The letters of right answers that are numbers of choices; raises where it cannot be told what they count from."""
    numbered = [record for record in records if record.place is not None]
    found = {record.place for record in numbered}
    past = any(record.place == len(record.choices) for record in numbered)
    from_zero = 0 in found or (not past and not any(record.labelled for record in numbered))
    for record in numbered:
        assert record.place is not None
        index = record.place - (0 if from_zero else 1)
        if record.gold in record.choices:
            text = record.choices.index(record.gold or "")
            if 0 <= index < len(record.choices) and text != index:
                raise _ambiguous(source, record)
            index = text
        if (past and 0 in found) or (not from_zero and not past):
            raise _ambiguous(source, record)
        if not 0 <= index < len(record.choices):
            message = f"{source}, line {record.line}: the answer {record.gold} is no place among the choices"
            raise UsageError(message, "give the letter or the text of the right choice")
        yield record, LETTERS[index]


def _ambiguous(source: str, record: Record) -> UsageError:
    message = f"{source}, line {record.line}: the answer {record.gold} may mean more than one choice"
    return UsageError(message, "give the letter or the text of the right choice, or count from 0")
