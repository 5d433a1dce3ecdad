"""A conversation as text: the model's own chat template, or a plain layout for a base model.

Owns rendering and its fall-backs (no system role, no repeated roles). Knows nothing of token ids.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from dynscale_cli.errors import ModelError

from .protocol import Message

BASE_STOP = ("\nQuestion:", "\n\n\n")
SECONDS = 10.0  # for the first rendering, which takes milliseconds where it comes to an end at all
LARGEST = 1 << 20  # elements of a product
LONGEST = 200  # characters of a template's own words
HINT = "try another build of the model"


def render_plain(messages: Sequence[Message]) -> str:
    """Question and answer lines, for a model that was never taught to chat."""
    parts = []
    for message in messages:
        label = {"system": "", "user": "Question: ", "assistant": "Answer: "}[message.role]
        parts.append(f"{label}{message.content.strip()}\n")
    return "\n".join([*parts, "Answer:"])


class ChatTemplate:
    """A Jinja chat template from a GGUF's metadata. Raises ModelError when it does not compile."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        from jinja2 import BaseLoader

        environment = _sandbox()(
            loader=BaseLoader(),
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", *_generation_tag()],
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self._special = {"bos_token": bos, "eos_token": eos}
        self._known_to_end = False
        try:
            self._template = environment.from_string(source)
        except Exception as error:  # a program from elsewhere: it fails in whichever way
            raise ModelError(f"the model's chat template does not compile: {_words(error)}", HINT) from error

    def render(self, messages: Sequence[Message]) -> str:
        """The conversation, ready for the assistant's next turn."""
        if self._known_to_end:
            return self._lay_out(messages)
        text = _in_time(lambda: self._lay_out(messages))
        self._known_to_end = True
        return text

    def _lay_out(self, messages: Sequence[Message]) -> str:
        """Templates refuse what their model was not taught, so simpler layouts follow: the system text
        inside the first user turn, then the whole conversation as one user turn.
        """
        problem = ""
        for layout in (_merge_roles, fold_system, fold_all):
            try:
                return self._render(layout(messages))
            except Exception as error:
                problem = problem or _words(error)
        raise ModelError(f"the model's chat template fails: {problem}", HINT)

    def _render(self, messages: Sequence[Message]) -> str:
        from jinja2 import TemplateError

        turns = [{"role": m.role, "content": m.content} for m in messages]
        text: str = self._template.render(
            messages=turns, add_generation_prompt=True, tools=None, documents=None, **self._special
        )
        missing = [m for m in messages if m.role != "assistant" and m.content.strip() not in text]
        if missing:
            raise TemplateError(f"it drops the {missing[0].role} turn")
        return text


def _merge_roles(messages: Sequence[Message]) -> list[Message]:
    """Neighbouring turns of one role become one: many templates insist on alternation."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role:
            merged[-1] = Message(message.role, f"{merged[-1].content}\n\n{message.content}")
        else:
            merged.append(message)
    return merged


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """The system text in front of the first user turn."""
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    rest = _merge_roles([m for m in messages if m.role != "system"])
    if system and rest and rest[0].role == "user":
        rest[0] = Message("user", f"{system}\n\n{rest[0].content}")
    return rest


def fold_all(messages: Sequence[Message]) -> list[Message]:
    """One user turn that tells the whole conversation."""
    return [Message("user", "\n\n".join(m.content for m in messages))]


def _in_time(work: Callable[[], str]) -> str:
    """What `work` gives, or raises. Raises ModelError when it does not come to an end."""
    texts: list[str] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            texts.append(work())
        except Exception as error:  # handed to who waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if errors:
        raise errors[0]
    if not texts:
        raise ModelError("the model's chat template does not come to an end", HINT)
    return texts[0]


def _words(error: Exception) -> str:
    """What an error says, in one line; its name where that is needed to understand it."""
    from jinja2 import TemplateError

    said = " ".join(str(error).split())[:LONGEST]
    return said if said and isinstance(error, TemplateError) else f"{type(error).__name__} {said}".strip()


def _refuse(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    # Without HTML escapes: the text goes to a model, not to a browser.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _sandbox() -> type[Any]:
    """Jinja's own, which also refuses products and powers that would fill the memory."""
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if _extent(operator, left, right) > LARGEST:
                raise SecurityError(f"the result of {operator} is too large")
            return super().call_binop(context, operator, left, right)

    return Sandbox


def _extent(operator: str, left: Any, right: Any) -> int:
    """Roughly the elements of a product, or the bits of a number."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        return bits * right if operator == "**" else bits + right.bit_length()
    pairs = ((left, right), (right, left))
    return max(
        (len(many) * times for many, times in pairs if hasattr(many, "__len__") and isinstance(times, int)), default=0
    )


def _generation_tag() -> list[Any]:
    """Training templates mark the assistant's words with {% generation %}; it changes nothing here."""
    from jinja2.ext import Extension

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012  jinja2 declares it so

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return [Generation]
