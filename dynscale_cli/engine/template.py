"""A conversation as text: the model's own chat template, or a plain layout for a base model.

Owns rendering and its fall-backs (no system role, no repeated roles, content in typed parts, templates for tools only),
and what a template tells of the model's thoughts. Knows nothing of token ids.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from dynscale_cli.errors import ModelError

from .options import Level
from .protocol import Message
from .reasoning import ASKED, learn
from .thinking import Thinking, choose

BASE_STOP = ("\nQuestion:", "\n\n\n")
SECONDS = 10.0  # for the first rendering, which takes milliseconds where it comes to an end at all
LARGEST = 1 << 20  # elements of a product
LONGEST = 200  # characters of a template's own words
HINT = "try another build of the model, or --chat-template FILE"
SWITCH = ("/no_think", "/think")  # words that a template acts on, and takes out

Turn: TypeAlias = Mapping[str, Any]


def render_plain(messages: Sequence[Message]) -> str:
    """Question and answer lines, for a model that was never taught to chat."""
    parts = []
    for message in messages:
        label = {"system": "", "user": "Question: ", "assistant": "Answer: "}[message.role]
        parts.append(f"{label}{message.content.strip()}\n")
    return "\n".join([*parts, "Answer:"])


class ChatTemplate:
    """A Jinja chat template from a GGUF's metadata. Raises ModelError when it does not compile.

    `think` and `variables` are the user's wishes for it, `now` the time that it is told. `reasoning` is the format of
    the model's thoughts, `thinking` what is done about them.
    """

    def __init__(
        self,
        source: str,
        bos: str,
        eos: str,
        *,
        think: Level = "auto",
        variables: Mapping[str, Any] | None = None,
        now: datetime | None = None,
    ) -> None:
        self._program = Program(source, bos, eos, now or datetime.now())
        self._tools, self._typed = self._accepted()
        self.thinking = Thinking(variables=dict(variables or {}))
        on: dict[str, Any] = {name: True for name in ("enable_thinking", "thinking") if name in self._program.names}
        self.reasoning = learn(lambda turns, generation: self._try(turns, generation, on), source)
        self.thinking = choose(
            think, variables or {}, self._program.names, source, self.reasoning, self._prompt_when_switched
        )

    def render(self, messages: Sequence[Message]) -> str:
        """The conversation, ready for the assistant's next turn.

        Templates refuse what their model was not taught, so simpler layouts follow: the system text inside the first
        user turn, then the whole conversation as one user turn.
        """
        problem = ""
        for layout in (_merge_roles, fold_system, fold_all):
            try:
                text = self._render(layout(self._switched(messages)))
            except Exception as error:
                problem = problem or _words(error)
            else:
                return text + self._closed(text, messages)
        raise ModelError(f"the model's chat template fails: {problem}", HINT)

    def state(self, text: str, messages: Sequence[Message]) -> str:
        """What a rendered prompt has done about the model's thought: see `ReasoningFormat.state`."""
        asked = messages[-1].content.strip()
        return self.reasoning.state(text.rpartition(asked)[2] if asked else text)

    def _render(self, messages: Sequence[Message]) -> str:
        from jinja2 import TemplateError

        text = self._lay_out([{"role": m.role, "content": self._content(m.content)} for m in messages], True)
        missing = [m for m in messages if m.role != "assistant" and not _stands_in(m.content, text)]
        if missing:
            raise TemplateError(f"it drops the {missing[0].role} turn")
        return text

    def _lay_out(self, turns: Sequence[Turn], generation: bool, variables: Mapping[str, Any] | None = None) -> str:
        told = {**self._tools, **(self.thinking.variables if variables is None else variables)}
        return self._program.render(turns, generation, told)

    def _try(self, turns: Sequence[Turn], generation: bool, variables: Mapping[str, Any]) -> str:
        """As `_lay_out`, of turns whose content is plain text; empty where the template refuses."""
        try:
            turns = [
                {**turn, "content": self._content(turn["content"])} if isinstance(turn["content"], str) else turn
                for turn in turns
            ]
            return self._lay_out(turns, generation, variables)
        except Exception:  # a program from elsewhere: it fails in whichever way
            return ""

    def _prompt_when_switched(self, variables: Mapping[str, Any], system: str) -> str:
        head = [{"role": "system", "content": system}] if system else []
        return self._try([*head, {"role": "user", "content": ASKED}], True, variables)

    def _accepted(self) -> tuple[dict[str, Any], bool]:
        """What the template wants to be told of tools, and whether it takes content in typed parts only."""
        empty: dict[str, Any] = {"tools": [], "documents": []}
        none: dict[str, Any] = {"tools": None, "documents": None}
        for tools in (none, empty, {**empty, "functions": "[]", "datetime": self._program.now.strftime("%Y-%m-%d")}):
            for typed in (False, True):
                content = [{"type": "text", "text": ASKED}] if typed else ASKED
                try:
                    text = self._program.render([{"role": "user", "content": content}], True, tools)
                except ModelError:
                    raise
                except Exception:  # tried in another way
                    continue
                if ASKED in text:
                    return tools, typed
        return none, False

    def _content(self, text: str) -> Any:
        return [{"type": "text", "text": text}] if self._typed else text

    def _switched(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The conversation with the words that switch thinking in its system text, where the user has none there."""
        words = self.thinking.system
        system = next((m.content for m in messages if m.role == "system"), "")
        if not words or any(switch in system for switch in SWITCH):
            return messages
        rest = [m for m in messages if m.role != "system"]
        return [Message("system", f"{system}\n{words}".strip()), *rest]

    def _closed(self, text: str, messages: Sequence[Message]) -> str:
        """What keeps a model from thinking that has no switch for it."""
        if not self.thinking.closed:
            return ""
        state = self.state(text, messages)
        opening = self.reasoning.opening if state == "unmarked" else ""
        return "" if state == "closed" else opening + self.reasoning.closing


class Program:
    """The template itself, compiled, as transformers runs it. Raises ModelError when it does not compile."""

    def __init__(self, source: str, bos: str, eos: str, now: datetime) -> None:
        from jinja2 import BaseLoader, meta

        self.now = now
        environment = _sandbox()(
            loader=BaseLoader(),
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", *_generation_tag()],
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = now.strftime
        self._special = {"bos_token": bos, "eos_token": eos}
        self._known_to_end = False
        try:
            self.names = frozenset(meta.find_undeclared_variables(environment.parse(source)))
            self._template = environment.from_string(source)
        except Exception as error:  # a program from elsewhere: it fails in whichever way
            raise ModelError(f"the model's chat template does not compile: {_words(error)}", HINT) from error

    def render(self, turns: Sequence[Turn], generation: bool, variables: Mapping[str, Any]) -> str:
        """The turns as text. Raises whatever the template raises; ModelError when it does not come to an end."""

        def lay_out() -> str:
            text: str = self._template.render(
                messages=list(turns), add_generation_prompt=generation, **self._special, **variables
            )
            return text

        if self._known_to_end:
            return lay_out()
        text = _in_time(lay_out)
        self._known_to_end = True
        return text


def _stands_in(content: str, text: str) -> bool:
    """Whether a turn was laid out, words that switch thinking aside."""
    pieces = [content]
    for switch in SWITCH:
        pieces = [part for piece in pieces for part in piece.split(switch)]
    return all(piece.strip() in text for piece in pieces)


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
