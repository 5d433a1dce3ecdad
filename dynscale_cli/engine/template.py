"""A conversation as text: the model's own chat template, or a plain layout for a base model.

Owns rendering and its fall-backs (no system role, no repeated roles). Knows nothing of token ids.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dynscale_cli.errors import ModelError

from .protocol import Message

BASE_STOP = ("\nQuestion:", "\n\n\n")


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
        from jinja2 import BaseLoader, TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            loader=BaseLoader(),
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", *_generation_tag()],
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self._special = {"bos_token": bos, "eos_token": eos}
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise ModelError(
                f"the model's chat template does not compile: {error}", "try another build of the model"
            ) from error

    def render(self, messages: Sequence[Message]) -> str:
        """The conversation, ready for the assistant's next turn.

        Templates refuse what their model was not taught, so simpler layouts follow: the system text
        inside the first user turn, then the whole conversation as one user turn.
        """
        from jinja2 import TemplateError

        problem: Exception | None = None
        for layout in (_merge_roles, fold_system, fold_all):
            try:
                return self._render(layout(messages))
            except (TemplateError, ValueError, TypeError) as error:
                problem = problem or error
        raise ModelError(f"the model's chat template fails: {problem}", "try another build of the model")

    def _render(self, messages: Sequence[Message]) -> str:
        turns = [{"role": m.role, "content": m.content} for m in messages]
        text: str = self._template.render(
            messages=turns, add_generation_prompt=True, tools=None, documents=None, **self._special
        )
        missing = [m for m in messages if m.role != "assistant" and m.content.strip() not in text]
        if missing:
            raise ValueError(f"it drops the {missing[0].role} turn")
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


def _refuse(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    # Without HTML escapes: the text goes to a model, not to a browser.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _generation_tag() -> list[Any]:
    """Training templates mark the assistant's words with {% generation %}; it changes nothing here."""
    from jinja2.ext import Extension

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012  jinja2 declares it so

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return [Generation]
