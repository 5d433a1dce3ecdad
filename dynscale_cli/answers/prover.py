"""A second opinion on formulas: math-verify in a process of its own, with a time limit.

Owns that process. math-verify's own limit uses signals, which work in the main thread only, and a symbolic
computation cannot be stopped from within; so it runs apart, is started when first needed, and is killed when
it overruns. Never fatal: without the extra `math`, or after too many overruns, the opinion is "not the same".
Must not know what the formulas answer.
"""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynscale_cli.child import Child

_MEMORY = 3 << 30  # bytes of address space: a runaway expansion must not take the machine's memory
_COMPUTING = 1800  # seconds of its life spent computing, should it be past being told to end
_WARM_UP = ("x", "x")  # the first pair imports sympy and builds the grammar


class Prover:
    """Says whether two formulas mean the same. Safe to share between threads; answers are remembered.

    `seconds`: limit for one pair; `start_seconds`: for the process to come up (it imports sympy);
    `overruns`: after so many kills no more is asked.
    """

    def __init__(self, *, seconds: float = 3.0, start_seconds: float = 30.0, overruns: int = 3) -> None:
        self.seconds = seconds
        self.start_seconds = start_seconds
        self._chances = overruns if find_spec("math_verify") is not None else 0
        self._known: dict[tuple[str, str], bool] = {}
        self._child: Child | None = None
        self._lock = threading.Lock()

    @property
    def available(self) -> bool:
        """Whether the extra is installed and has not overrun too often."""
        return self._chances > 0

    def same(self, first: str, second: str) -> bool:
        """Whether math-verify finds both equal in both directions; False when it cannot say in time."""
        pair = (first, second) if first <= second else (second, first)
        with self._lock:
            if pair not in self._known:
                if not self.available:
                    return False
                self._known[pair] = self._ask(pair)
            return self._known[pair]

    def close(self) -> None:
        """End the process. A later question starts another."""
        with self._lock:
            self._stop()

    def _ask(self, pair: tuple[str, str]) -> bool:
        from dynscale_cli.child import Child, ChildError

        try:
            if self._child is None:
                self._child = Child("dynscale_cli.answers.prover:verdict", memory=_MEMORY, cpu=_COMPUTING)
                self._child.ask(_WARM_UP, self.start_seconds)
            return bool(self._child.ask(pair, self.seconds))
        except OSError:  # no process can be started here
            self._chances = 0
        except ChildError:
            self._chances -= 1
        self._stop()
        return False

    def _stop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


# --- in the process of its own ---------------------------------------------------------------------------------


def verdict(pair: list[str]) -> bool:
    """Equal in both directions: math-verify treats its first argument, the gold answer, differently."""
    try:
        from math_verify import LatexExtractionConfig, parse, verify

        def parsed(key: str) -> Any:
            formula: Any = parse(f"${_latex(key)}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
            return [part for part in formula if not isinstance(part, str)]

        one, other = (parsed(key) for key in pair)
        if not one or not other:
            return False
        return bool(verify(one, other, timeout_seconds=None)) and bool(verify(other, one, timeout_seconds=None))
    except Exception:  # any failure to decide is "not the same"
        return False


def _latex(key: str) -> str:
    r"""A key as LaTeX: the braces of a set are \{ \}."""
    return rf"\{{{key[1:-1]}\}}" if key.startswith("{") and key.endswith("}") else key
