"""A conversation as text: the model's own chat template, or a plain layout for a base model.

Owns rendering and its fall-backs (no system role, no repeated roles, content in typed parts, templates for tools only),
and what a template tells of the model's thoughts. Knows nothing of token ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from dynscale_cli.errors import ModelError

from .jinja import HINT, Isolated, Refused, Template
from .options import Level
from .protocol import Message
from .reasoning import ASKED, learn
from .thinking import BUDGET, EFFORTS, SWITCHES, Thinking, choose

BASE_STOP = ("\nQuestion:", "\n\n\n")
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
        compiled: Callable[[str, str, str, datetime], Template] = Isolated,
    ) -> None:
        self._now = now or datetime.now()
        self._program = compiled(source, bos, eos, self._now)
        self._tools, self._typed = self._accepted()
        self.thinking = Thinking(variables=dict(variables or {}))
        on: dict[str, Any] = {name: True for name in ("enable_thinking", "thinking") if name in self._program.names}
        self.reasoning = learn(lambda turns, generation: self._try(turns, generation, on), source)
        self.thinking = choose(
            think, variables or {}, self._program.names, source, self.reasoning, self._prompt_when_switched
        )

    @property
    def notices(self) -> list[str]:
        """What the user should know, {model} for its name."""
        told = [self.thinking.notice] if self.thinking.notice else []
        if self._tools["tools"] is not None:
            told.append("{model} has a chat template for the use of tools alone: it is told that there are none")
        if not self.reasoning.thinks and self._program.names & {*SWITCHES, *EFFORTS, BUDGET}:
            told.append("{model} may think in a format that is not known here: its thoughts may be taken for answers")
        return told

    def render(self, messages: Sequence[Message]) -> str:
        """The conversation, ready for the assistant's next turn.

        Templates refuse what their model was not taught, so simpler layouts follow: the system text inside the first
        user turn, then the whole conversation as one user turn.
        """
        problem = ""
        for layout in (_merge_roles, fold_system, fold_all):
            try:
                text = self._render(layout(self._switched(messages)))
            except Refused as error:
                problem = problem or str(error)
            else:
                return text + self._closed(text, messages)
        raise ModelError(f"the model's chat template fails: {problem}", HINT)

    def stop(self) -> None:
        """End what is being rendered, from another thread; nothing is rendered afterwards."""
        self._program.stop()

    def close(self) -> None:
        self._program.close()

    def state(self, text: str, messages: Sequence[Message]) -> str:
        """What a rendered prompt has done about the model's thought: see `ReasoningFormat.state`."""
        asked = messages[-1].content.strip()
        return self.reasoning.state(text.rpartition(asked)[2] if asked else text)

    def _render(self, messages: Sequence[Message]) -> str:
        text = self._lay_out([{"role": m.role, "content": self._content(m.content)} for m in messages], True)
        missing = [m for m in messages if m.role != "assistant" and not _stands_in(m.content, text)]
        if missing:
            raise Refused(f"it drops the {missing[0].role} turn")
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
        except Refused:
            return ""

    def _prompt_when_switched(self, variables: Mapping[str, Any], system: str) -> str:
        head = [{"role": "system", "content": system}] if system else []
        return self._try([*head, {"role": "user", "content": ASKED}], True, variables)

    def _accepted(self) -> tuple[dict[str, Any], bool]:
        """What the template wants to be told of tools, and whether it takes content in typed parts only."""
        empty: dict[str, Any] = {"tools": [], "documents": []}
        none: dict[str, Any] = {"tools": None, "documents": None}
        for tools in (none, empty, {**empty, "functions": "[]", "datetime": self._now.strftime("%Y-%m-%d")}):
            for typed in (False, True):
                content = [{"type": "text", "text": ASKED}] if typed else ASKED
                try:
                    text = self._program.render([{"role": "user", "content": content}], True, tools)
                except Refused:
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
