"""How a flag is declared: its panel, what it takes, and what its text must look like.

A flag that `setting` makes can also be set by DYNSCALE_NAME, a profile and `config.toml`, under its own name; one that
`once` makes belongs to a single run. Knows no flag.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import typer

from dynscale_cli.values import choose, parse_tokens

PREFIX: Final = "DYNSCALE_"
MODEL, SPEND, SAMPLE, OUTPUT = "Model", "Budget (a hard cap)", "Sampling", "Answers"
INTEGER: Final = 2**31 - 1  # the largest that llama.cpp takes; beyond it a number becomes another one
THREADS: Final = 512  # more of them end the process inside llama.cpp

# Literal here, as the rooms that own them are not needed before a run is; a test holds them equal.
POLICIES = ("race", "ucb", "adaptive", "early-stop", "uniform")
MODES = ("hybrid", "parallel", "chain", "sequential")
LAYOUTS = ("turns", "quoted")
VOTES = ("majority", "length", "confidence")
ANSWER_TYPES = ("auto", "number", "choice", "boolean", "math", "text", "long", "json", "regex:")


def once(panel: str | None, metavar: str | None, help: str, *names: str, **more: Any) -> Any:
    """A flag of one run."""
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel, **more)


def setting(panel: str | None, metavar: str | None, help: str, *names: str, **more: Any) -> Any:
    """A flag that is a setting, too: its variable is named after it."""
    variable = names[0].partition("/")[0][2:].upper().replace("-", "_")
    return once(panel, metavar, help, *names, envvar=f"{PREFIX}{variable}", **more)


def words(flag: str, known: tuple[str, ...], parse: Callable[[str], Any] | None = None) -> dict[str, Any]:
    """A flag that takes one of a few words, or what `parse` reads. A tab completes them."""

    def check(value: Any) -> str:
        (parse or (lambda text: choose(text, known, flag)))(str(value))
        return str(value)

    def complete(incomplete: str) -> list[str]:
        return list(known)

    return {"parser": check, "autocompletion": complete}


def text(parse: Callable[[str], Any]) -> dict[str, Any]:
    """A flag whose text must be one that `parse` reads. It stays text, and so can be shown as it was written."""

    def check(value: Any) -> str:
        parse(str(value))
        return str(value)

    return {"parser": check}


def number(low: float, high: float) -> dict[str, Any]:
    """The range of a flag that takes a fraction."""
    return {"min": low, "max": high, "callback": _known}


def _known(value: float) -> float:
    """Refuse what a range lets through: nan is below no bound and above none."""
    if math.isnan(value):
        raise typer.BadParameter("nan is not a number")
    return value


def tokens(flag: str) -> dict[str, Any]:
    return text(lambda value: parse_tokens(value, flag))


def check_policy(value: str) -> None:
    name, colon, _ = value.partition(":")
    choose(name, POLICIES, "--policy")
    if colon:
        from dynscale_cli.allocation import parse_policy

        parse_policy(value)


def check_answer_type(value: str) -> None:
    if not value.startswith("regex:"):
        choose(value, ANSWER_TYPES, "--answer-type")
    else:
        from dynscale_cli.answers.types import AnswerType

        AnswerType.parse(value)
