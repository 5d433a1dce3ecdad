"""What the text of a flag must look like: checks for the flags that take neither a number nor a file.

Each takes the text and gives it back, or raises UsageError with the nearest valid one; so a setting in the environment
or in config.toml meets the same checks as a flag. Imports what a check needs only where a value is not the default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynscale_cli import config
from dynscale_cli.engine.options import CACHE_TYPES, FLASH_ATTENTION
from dynscale_cli.nearest import choose

# Literal here, as the rooms that own them are not needed before a run is; a test holds them equal.
POLICIES = ("race", "ucb", "adaptive", "early-stop", "uniform")
MODES = ("hybrid", "parallel", "chain", "sequential")
LAYOUTS = ("turns", "quoted")
VOTES = ("majority", "length", "confidence")
ANSWER_TYPES = ("auto", "number", "choice", "boolean", "math", "text", "long", "json", "regex:")
SWITCHES = tuple(FLASH_ATTENTION)
CACHES = tuple(CACHE_TYPES)

Check = Callable[[Any], str]
WORDS: dict[Check, tuple[str, ...]] = {}


def text(parse: Callable[[str], Any]) -> Check:
    """A flag whose text must be one that `parse` reads."""

    def check(value: Any) -> str:
        parse(str(value))
        return str(value)

    return check


def one_of(flag: str, known: tuple[str, ...]) -> Check:
    """A flag that takes one of a few words."""
    return words(known)(text(lambda value: choose(value, known, flag)))


def words(known: tuple[str, ...]) -> Callable[[Check], Check]:
    """Tell a tab which words a check takes."""

    def tell(check: Check) -> Check:
        WORDS[check] = known
        return check

    return tell


@words(POLICIES)
def policy(value: Any) -> str:
    name, colon, _ = str(value).partition(":")
    choose(name, POLICIES, "--policy")
    if colon:
        from dynscale_cli.allocation import parse_policy

        parse_policy(str(value))
    return str(value)


@words(ANSWER_TYPES)
def answer_type(value: Any) -> str:
    if value != "auto":
        from dynscale_cli.answers.types import AnswerType

        AnswerType.parse(str(value))
    return str(value)


def shares(value: str) -> None:
    config.parse_floats(value, "--tensor-split")


def tokens(flag: str) -> Check:
    return text(lambda value: config.parse_tokens(value, flag))
