"""A chat template as the program that it is: compiled and run where it can do no harm.

Owns the sandbox and the process around it: limits of time and memory, from the first look at a template on. Knows
nothing of what a conversation is; the far side (`answer`) runs in the child and imports next to nothing.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from dynscale_cli.child import Child, ChildError
from dynscale_cli.errors import ModelError

from .protocol import Aborted

SECONDS = 2.0  # of computing for a rendering, which takes milliseconds where it comes to an end at all
PATIENCE = 120.0  # seconds to wait for it, however busy the machine is
MEMORY = 1 << 29  # bytes
COMPUTING = 600  # seconds of processor time over the child's life, some hundred thousand renderings
CHANCES = 3  # times that it may fall before it is not started again
JINJA = ("jinja2.ext", "jinja2.meta", "jinja2.sandbox")
LARGEST = 1 << 20  # elements of a product
LONGEST = 200  # characters of a template's own words
TEXT = 1 << 26  # characters of a prompt
ENDLESS = "does not come to an end"
HINT = "try another build of the model, or --chat-template FILE"


class Refused(Exception):
    """A template does not render these turns: it says so, or it fails."""


class OutOfTime(BaseException):
    """What computes has had its time. No Exception: jinja2 would take one for a constant that it cannot fold."""


class Template(Protocol):
    names: frozenset[str]  # the variables that it reads

    def render(self, turns: Sequence[Mapping[str, Any]], generation: bool, variables: Mapping[str, Any]) -> str:
        """The turns as text. Raises Refused; ModelError where it is of no use at all."""

    def stop(self) -> None: ...
    def close(self) -> None: ...


class Isolated:
    """A template in a process of its own. Raises ModelError when it does not compile, Aborted once it was stopped."""

    def __init__(self, source: str, bos: str, eos: str, now: datetime) -> None:
        self._told = {"source": source, "bos": bos, "eos": eos, "now": now.isoformat(), "seconds": SECONDS}
        self._child: Child | None = None
        self._chances = CHANCES
        self._stopped = False
        told = self._ask(self._told)
        if "error" in told:
            raise ModelError(f"the model's chat template does not compile: {told['error']}", HINT)
        self.names = frozenset(told["names"])

    def render(self, turns: Sequence[Mapping[str, Any]], generation: bool, variables: Mapping[str, Any]) -> str:
        told = self._ask({"turns": list(turns), "generation": generation, "variables": dict(variables)})
        if "error" in told:
            raise Refused(told["error"])
        text: str = told["text"]
        return text

    def stop(self) -> None:
        """Give up what it is doing, from any thread; nothing is rendered afterwards."""
        self._stopped = True
        if self._child is not None:
            self._child.stop()

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the child says. One that has fallen is started again a few times: other prompts may go well."""
        if self._stopped:
            raise Aborted
        if not self._chances:
            raise ModelError(f"the model's chat template {ENDLESS}", HINT)
        try:
            if self._child is None:
                self._child = _waiting.pop() if _waiting else _start()
                if request is not self._told:
                    self._child.ask(self._told, PATIENCE)
            told: dict[str, Any] = self._child.ask(request, PATIENCE)
        except ChildError as error:
            self.close()
            if self._stopped:
                raise Aborted from None
            self._chances -= 1
            how = ENDLESS if error.fate == "slow" else str(error)
            raise ModelError(f"the model's chat template {how}", HINT) from error
        if told.get("error") == ENDLESS:
            self._chances -= 1
            raise ModelError(f"the model's chat template {ENDLESS}", HINT)
        return told


_waiting: list[Child] = []  # started ahead


def prepare() -> None:
    """Start a child for the next template, so that it comes up while weights are loaded."""
    if not _waiting:
        _waiting.append(_start())


def _start() -> Child:
    return Child(f"{__name__}:answer", memory=MEMORY, cpu=COMPUTING, imports=JINJA)


class Program:
    """The template itself, compiled and run as transformers does it. Raises ModelError when it does not compile."""

    def __init__(self, source: str, bos: str, eos: str, now: datetime) -> None:
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
        self._special = {"bos_token": bos, "eos_token": eos}
        try:
            self.names = frozenset(meta.find_undeclared_variables(environment.parse(source)))
            self._template = environment.from_string(source)
        except OutOfTime:
            raise
        except Exception as error:  # a program from elsewhere: it fails in whichever way
            raise ModelError(f"the model's chat template does not compile: {_words(error)}", HINT) from error

    def render(self, turns: Sequence[Mapping[str, Any]], generation: bool, variables: Mapping[str, Any]) -> str:
        try:
            text: str = self._template.render(
                messages=list(turns), add_generation_prompt=generation, **self._special, **variables
            )
        except OutOfTime:
            raise
        except Exception as error:
            raise Refused(_words(error)) from error
        if len(text) > TEXT:
            raise Refused("the text is too long")
        return text

    def stop(self) -> None:
        """Nothing that runs here can be stopped."""

    def close(self) -> None: ...


_program: Program | None = None
_seconds = SECONDS


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The child's side: the first request brings the template, each further one has it rendered."""
    global _program, _seconds
    _seconds = request.get("seconds", _seconds)
    try:
        _limit(_seconds)
        if "source" in request:
            now = datetime.fromisoformat(request["now"])
            _program = Program(request["source"], request["bos"], request["eos"], now)
            return {"names": sorted(_program.names)}
        assert _program is not None
        return {"text": _program.render(request["turns"], request["generation"], request["variables"])}
    except ModelError as error:
        return {"error": error.message.partition("compile: ")[2]}
    except Refused as error:
        return {"error": str(error)}
    except OutOfTime:
        return {"error": ENDLESS}
    finally:
        _limit(0)


def _limit(seconds: float) -> None:
    """Have what follows raise OutOfTime after so many seconds of computing; 0: no more."""
    if hasattr(signal, "setitimer"):  # where it is not, `PATIENCE` has to do
        signal.signal(signal.SIGVTALRM, _give_up)
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


def _give_up(number: int, frame: object) -> None:
    raise OutOfTime


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
