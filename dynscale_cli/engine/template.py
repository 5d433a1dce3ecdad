"""A conversation as text: the model's own chat template, or a plain layout for a base model.

Owns rendering and its fall-backs (no system role, no repeated roles, content in typed parts, templates for tools only),
what a template tells of the model's thoughts, and how it is switched to think or not, as the user asks. Knows nothing
of token ids. `server_fields` asks the same of a model that a server has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from dynscale_cli.errors import ModelError

from .jinja import HINT, Isolated, Refused, Template
from .options import Level
from .protocol import Message
from .reasoning import ASKED, ReasoningFormat, behind, known_format, learn

BASE_STOP = ("\nQuestion:", "\n\n\n")
SWITCH = ("/no_think", "/think")  # words that a template acts on, and takes out
SWITCHES = ("enable_thinking", "thinking")  # variables that are true or false
MODES = ("thinking_mode",)  # enabled, disabled or adaptive
EFFORTS = ("reasoning_effort", "thinking_effort", "reasoning_strength")  # a word for how much
BUDGET = "thinking_budget"  # in tokens
BUDGETS = {"low": 1024, "medium": 4096, "high": 16384}
LEAST = ("none", "no_think", "minimal", "low")  # words that may mean no thought at all
WORDS = (("/think", "/no_think"), ("detailed thinking on", "detailed thinking off"))  # of a system text

Turn: TypeAlias = Mapping[str, Any]
Render: TypeAlias = Callable[[Mapping[str, Any], str], str]


def render_plain(messages: Sequence[Message]) -> str:
    """Question and answer lines, for a model that was never taught to chat."""
    parts = []
    for message in messages:
        label = {"system": "", "user": "Question: ", "assistant": "Answer: "}[message.role]
        parts.append(f"{label}{message.content.strip()}\n")
    return "\n".join([*parts, "Answer:"])


class ChatTemplate:
    """A Jinja chat template from a GGUF's metadata. Raises ModelError when it does not compile.

    `think` and `variables` are the user's wishes for it, `now` the time that it is told; `opening` begins the thoughts
    of a model that is known to have them, should the template not tell. `reasoning` is the format of the model's
    thoughts, `thinking` what is done about them.
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
        opening: str = "",
        compiled: Callable[[str, str, str, datetime], Template] = Isolated,
    ) -> None:
        self._now = now or datetime.now()
        self._program = compiled(source, bos, eos, self._now)
        self._tools, self._typed = self._accepted()
        self.thinking = Thinking(variables=dict(variables or {}))
        on: dict[str, Any] = {name: True for name in ("enable_thinking", "thinking") if name in self._program.names}
        self.reasoning = learn(lambda turns, generation: self._try(turns, generation, on), source)
        if opening and not self.reasoning.thinks:
            self.reasoning = known_format(opening)
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
                text = self._render(layout(self.switched(messages)))
            except Refused as error:
                problem = problem or str(error)
            else:
                return text + self._closed(text, messages)
        raise ModelError(f"the model's chat template fails: {problem}", HINT)

    def parts(self, text: str, messages: Sequence[Message]) -> list[tuple[str, bool]]:
        """What was rendered from these turns, cut into the template's own words (False) and what the turns say (True).

        A turn may hold whatever stands around it, so it is not looked for: the same conversation is rendered with marks
        around its turns. Where a template acts on a turn's ends, all from the first turn to the last is taken as said.
        """
        mark = next(letter for letter in map(chr, range(0xE000, 0xF8FF)) if letter not in text)
        for said in ([turn.content for turn in messages], [turn.content.strip() for turn in messages]):
            pieces = self._rendered(messages, [f"{mark}{content}{mark}" for content in said]).split(mark)
            if len(pieces) == 2 * len(messages) + 1 and "".join(pieces) == text:
                return [(piece, place % 2 == 1) for place, piece in enumerate(pieces)]
        head, *_, tail = self._rendered(messages, [mark] * len(messages)).split(mark)
        end = len(text) - len(tail)
        if len(head) <= end and text.startswith(head) and text.endswith(tail):
            return [(head, False), (text[len(head) : end], True), (tail, False)]
        return [(text, True)]

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

    def _rendered(self, messages: Sequence[Message], contents: Sequence[str]) -> str:
        """As `render`, with other contents; a text without any of them where the template refuses."""
        try:
            return self.render([replace(turn, content=text) for turn, text in zip(messages, contents, strict=True)])
        except ModelError:
            return contents[0]

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

    def switched(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The turns with the words that switch thinking in their system text, where the user has none there."""
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


# --- whether a model is to think, in the terms of its own template --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Thinking:
    """What is done about a model's thoughts.

    `on`: it is expected to think. `variables` go to its template, `system` to its system text. `closed`: the template
    has no switch, so the thought is closed in the prompt. `notice`: what the user should know, {model} for its name.
    """

    on: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)
    system: str = ""
    closed: bool = False
    notice: str = ""


def choose(
    level: Level, given: Mapping[str, Any], names: Iterable[str], source: str, form: ReasoningFormat, render: Render
) -> Thinking:
    """How to have the model think as `level` says, where `given` variables are the user's own.

    `names`: the variables that the template reads; `render(variables, system)`: the prompt for `ASKED`, empty where the
    template refuses.
    """
    known = [name for name in (*SWITCHES, *MODES, *EFFORTS, BUDGET) if name in set(names)]
    template = _Switches(known, source, form, lambda variables, system: render({**variables, **given}, system))
    if level == "off":
        return template.off(given)
    if not form.thinks:
        told = (
            ""
            if level == "auto"
            else "{model} does not think, as far as its chat template tells: --think has no effect"
        )
        return Thinking(variables=dict(given), notice=told)
    if level in ("auto", "on"):
        return template.on(level, given)
    return template.effort(level, given)


class _Switches:
    def __init__(self, known: list[str], source: str, form: ReasoningFormat, render: Render) -> None:
        self._known, self._source, self._form, self._render = known, source, form, render

    def on(self, level: str, given: Mapping[str, Any]) -> Thinking:
        """The first way in which the prompt is not told to answer at once."""
        switched = self._all(SWITCHES, True)
        modes, most = self._all(MODES, "enabled"), self._all(EFFORTS, "high")
        ways = [({**switched, **modes}, "")] if level == "on" else [(switched, "")]
        ways += [({**switched, **modes, **most}, ""), *((switched, on) for on, _ in WORDS if on in self._source)]
        for variables, system in ways:
            if self._state(variables, system) in ("open", "unmarked"):
                return Thinking(not _is_off(given), {**variables, **given}, system)
        closed = self._state(switched) == "closed"
        told = (
            "" if level == "auto" or not closed else "{model} cannot be made to think: its chat template has no switch"
        )
        return Thinking(not closed, {**switched, **given}, notice=told)

    def effort(self, level: str, given: Mapping[str, Any]) -> Thinking:
        """As `on`, and as much as the level says."""
        on = self.on("on", given)
        efforts: dict[str, Any] = self._all(EFFORTS, level)
        if BUDGET in self._known:
            efforts[BUDGET] = BUDGETS[level]
        variables = {**on.variables, **efforts, **given}
        if not efforts:
            return Thinking(on.on, on.variables, on.system, notice="{model} knows no levels of thinking: it is just on")
        if not self._render(variables, on.system):
            told = f"{{model}} does not know the level {level}: it thinks as much as it does by itself"
            return Thinking(on.on, on.variables, on.system, notice=told)
        return Thinking(self._state(variables, on.system) != "closed", variables, on.system)

    def off(self, given: Mapping[str, Any]) -> Thinking:
        """The first way that closes the thought, or else one that makes a difference to a thought that is not open."""
        switched = {**self._all(SWITCHES, False), **self._all(MODES, "disabled"), **self._all((BUDGET,), 0)}
        efforts = [self._all(EFFORTS, word) for word in LEAST] if self._all(EFFORTS, "") else []
        ways = [(switched, ""), *(({**switched, **effort}, "") for effort in efforts)]
        ways += [(switched, off) for _, off in WORDS if off in self._source]
        for variables, system in ways:
            if self._state(variables, system) == "closed":
                return Thinking(False, {**variables, **given}, system)
        flags = self._all(SWITCHES, True)
        if flags and self._state(switched) == "unmarked" and self._render(switched, "") != self._render(flags, ""):
            return Thinking(False, {**switched, **given})
        if not self._form.thinks:
            return Thinking(False, {**switched, **given})
        told = "{model}'s chat template has no switch for thinking: its thought is closed before it begins"
        least = self._all(EFFORTS, "low")
        switched |= least if self._render(least, "") else {}
        return Thinking(False, {**switched, **given}, closed=True, notice=told)

    def _all(self, names: Iterable[str], value: Any) -> dict[str, Any]:
        return {name: value for name in names if name in self._known}

    def _state(self, variables: Mapping[str, Any], system: str = "") -> str:
        text = self._render(variables, system)
        return self._form.state(behind(text, ASKED)) if text else "refused"


def _is_off(given: Mapping[str, Any]) -> bool:
    """Whether the user's own variables switch thinking off."""
    off = (*LEAST[:2], "disabled", "off")
    return any(
        name in given and (not given[name] or given[name] in off) for name in (*SWITCHES, *MODES, *EFFORTS, BUDGET)
    )


def server_fields(level: Level, given: Mapping[str, Any], template: ChatTemplate | None = None) -> dict[str, Any]:
    """Fields of a chat request that ask a server for the same. Which of them it takes is its own business.

    Where the `template` of its model is known, they are what switches that.
    """
    if template is not None:
        variables = given if level == "auto" else template.thinking.variables
        return {"chat_template_kwargs": dict(variables)} if variables else {}
    fields: dict[str, Any] = {}
    variables = {}
    if level != "auto":
        variables = dict.fromkeys(SWITCHES, level != "off")
    if level == "off":
        fields["reasoning_effort"] = "none"  # all that Ollama listens to
    if level in BUDGETS:
        fields["reasoning_effort"] = variables["reasoning_effort"] = level
    variables |= given
    return {**fields, "chat_template_kwargs": variables} if variables else fields
