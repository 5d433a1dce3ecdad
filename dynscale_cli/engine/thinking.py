"""Whether a model is to think, and how long: what the user asks for, in the terms of the model's own chat template.

Owns the variables and the words by which templates are switched, and what is said where one cannot be. Knows nothing
of Jinja: a template is asked by rendering it. `server_fields` is the same for a model that a server has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .options import Level
from .reasoning import ASKED, ReasoningFormat, behind

SWITCHES = ("enable_thinking", "thinking")  # variables that are true or false
MODES = ("thinking_mode",)  # enabled, disabled or adaptive
EFFORTS = ("reasoning_effort", "thinking_effort", "reasoning_strength")  # a word for how much
BUDGET = "thinking_budget"  # in tokens
BUDGETS = {"low": 1024, "medium": 4096, "high": 16384}
LEAST = ("none", "no_think", "minimal", "low")  # words that may mean no thought at all
WORDS = (("/think", "/no_think"), ("detailed thinking on", "detailed thinking off"))  # of a system text

Render: TypeAlias = Callable[[Mapping[str, Any], str], str]


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
    template = _Template(known, source, form, lambda variables, system: render({**variables, **given}, system))
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


class _Template:
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


def server_fields(level: Level, given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a chat request that ask a server for the same. Which of them it takes is its own business."""
    fields: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    if level != "auto":
        variables = dict.fromkeys(SWITCHES, level != "off")
    if level in BUDGETS:
        fields["reasoning_effort"] = variables["reasoning_effort"] = level
    variables |= given
    return {**fields, "chat_template_kwargs": variables} if variables else fields
