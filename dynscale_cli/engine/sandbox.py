"""A chat template as a program from elsewhere: compiled and run in a child process, bounded in time and memory.

Owns the Jinja environment (as transformers has it) and what becomes of a template that fails, does not come to an end
or fills the memory. The parent's half is `Program`; `work` is what the child runs. Knows nothing of models or layouts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from dynscale_cli.child import Child, ChildError
from dynscale_cli.errors import ModelError

from .protocol import Aborted

HINT = "try another build of the model, or --chat-template FILE"
SECONDS = 10.0  # for one rendering, which takes milliseconds where it comes to an end at all
MEMORY = 1 << 29  # bytes of address space
COMPUTING = 600  # seconds of processor time over the child's life, some hundred thousand renderings
CHANCES = 3  # times that it may overrun before it is not run any more
LARGEST = 1 << 20  # elements of a product
LONGEST = 200  # characters of a template's own words
TARGET = f"{__name__}:work"
JINJA = ("jinja2.ext", "jinja2.meta", "jinja2.sandbox")

Turn: TypeAlias = Mapping[str, Any]


_waiting: list[Child] = []  # started ahead


def prepare() -> None:
    """Start a child for the next template, so that it comes up while weights are loaded."""
    if not _waiting:
        _waiting.append(_start())


def _start() -> Child:
    return Child(TARGET, memory=MEMORY, cpu=COMPUTING, imports=JINJA)


class Refused(Exception):
    """The template has refused a conversation, in its own words."""


class Program:
    """The template, compiled. Raises ModelError when it does not compile.

    `names`: the variables that it reads. `now`: the time that it is told. Raises Aborted once it was stopped.
    """

    def __init__(self, source: str, bos: str, eos: str, now: datetime) -> None:
        self.now = now
        self._told = {"source": source, "special": {"bos_token": bos, "eos_token": eos}, "now": now.isoformat()}
        self._child: Child | None = None
        self._chances = CHANCES
        self._stopped = False
        try:
            self.names = frozenset(self._ask(self._told))
        except Refused as error:
            raise ModelError(f"the model's chat template does not compile: {error}", HINT) from None

    def render(self, turns: Sequence[Turn], generation: bool, variables: Mapping[str, Any]) -> str:
        """The turns as text. Raises Refused in the template's words; ModelError when it does not come to an end."""
        request = {"turns": list(turns), "generation": generation, "variables": dict(variables)}
        text: str = self._ask(request)
        return text

    def stop(self) -> None:
        """End what it is doing, from another thread; nothing is rendered afterwards."""
        self._stopped = True
        if self._child is not None:
            self._child.stop()

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _ask(self, request: Any) -> Any:
        if self._stopped:
            raise Aborted
        if not self._chances:
            raise ModelError("the model's chat template does not come to an end", HINT)
        try:
            if self._child is None:
                self._child = _waiting.pop() if _waiting else _start()
                if request is not self._told:
                    self._child.ask(self._told, SECONDS)
            said = self._child.ask(request, SECONDS)
        except ChildError as error:
            self.close()
            if self._stopped:
                raise Aborted from None
            self._chances -= 1
            problem = "does not come to an end" if error.fate == "slow" else f"{error}"
            raise ModelError(f"the model's chat template {problem}", HINT) from None
        if "refused" in said:
            raise Refused(said["refused"])
        return said["said"]


def work(told: Mapping[str, Any]) -> dict[str, Any]:
    """Compile a template, or render with the one that was compiled: the child's work."""
    global _compiled
    try:
        if "source" in told:
            _compiled = _Compiled(told["source"], told["special"], datetime.fromisoformat(told["now"]))
            return {"said": sorted(_compiled.names)}
        assert _compiled is not None
        return {"said": _compiled.render(told["turns"], told["generation"], told["variables"])}
    except Exception as error:  # a program from elsewhere: it fails in whichever way
        return {"refused": _words(error)}


class _Compiled:
    def __init__(self, source: str, special: Mapping[str, str], now: datetime) -> None:
        from jinja2 import BaseLoader, meta

        environment = _sandbox()(
            loader=BaseLoader(),
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", *_generation_tag()],
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = now.strftime
        self._special = special
        self.names: set[str] = meta.find_undeclared_variables(environment.parse(source))
        self._template = environment.from_string(source)

    def render(self, turns: Sequence[Turn], generation: bool, variables: Mapping[str, Any]) -> str:
        text: str = self._template.render(
            messages=turns, add_generation_prompt=generation, **self._special, **variables
        )
        return text


_compiled: _Compiled | None = None  # in the child


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
