"""The process behind `prover`: reads a JSON pair of formulas a line, says `true` or `false`.

Owns the calls into math-verify. Ends when its input closes. Must not be imported by the command.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_MEMORY = 3 << 30  # bytes of address space: a runaway expansion must not take the machine's memory


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    except (ImportError, ValueError, OSError):
        pass  # not every system has the limit; the time limit remains


def latex(key: str) -> str:
    r"""A key as LaTeX: the braces of a set are \{ \}."""
    return rf"\{{{key[1:-1]}\}}" if key.startswith("{") and key.endswith("}") else key


def same(first: str, second: str) -> bool:
    """Equal in both directions: math-verify treats its first argument, the gold answer, differently."""
    from math_verify import LatexExtractionConfig, parse, verify

    def parsed(key: str) -> Any:
        formula: Any = parse(f"${latex(key)}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
        return [part for part in formula if not isinstance(part, str)]

    one, other = parsed(first), parsed(second)
    if not one or not other:
        return False
    return bool(verify(one, other, timeout_seconds=None)) and bool(verify(other, one, timeout_seconds=None))


def main() -> None:
    _limit_memory()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the libraries print is not a reply
    same("x", "x")  # the first parse builds the grammar
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        try:
            verdict = same(*json.loads(line))
        except Exception:  # any failure to decide is "not the same"
            verdict = False
        print("true" if verdict else "false", file=replies, flush=True)


if __name__ == "__main__":
    main()
