"""The canonical key of an answer that stands alone: a gold answer, or a text from elsewhere.

Owns nothing but the entry: exact arithmetic is in `exact`, `polynomial` and `shapes`, the reading of what
surrounds a value in `reading`. Keys are canonical: the key of a key is itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dynscale_cli.answers.kinds import AnswerType
from dynscale_cli.answers.latex import box_at
from dynscale_cli.answers.plain import plain
from dynscale_cli.answers.reading import read, text_key
from dynscale_cli.answers.shapes import math_key

# GSM8K's gold answers are worked solutions that end so.
_WORKED = re.compile(r"(?:\A|\s)####[ \t]+([^\s#][^\n]*)\s*\Z")


def _unboxed(text: str, kind: AnswerType) -> str:
    r"""What stands in a \boxed{…} that is all there is; numbers and formulas are read in their box."""
    bare = text.strip().strip("$").strip() if kind.name in ("choice", "boolean", "math") else ""
    box = box_at(bare, 0) if bare else None
    return box[0] if box is not None and box[1] == len(bare) else text


def canonical(text: str, kind: AnswerType, choices: Sequence[str] = ()) -> str | None:
    """The key of `text` read as an answer of `kind`; None if it is none. Never raises, never a float.

    `18`, `$18.00` and `… #### 18` are "18"; `\\frac{1}{2}` is "0.5"; with `choices`, a letter or a choice's text
    is its letter.
    """
    worked = _WORKED.search(text[-400:])
    said = plain(worked[1] if worked is not None else _unboxed(text, kind))
    if kind.name == "regex":
        return " ".join(said.split()) or None
    if kind.name == "text":
        return text_key(said) or None
    if kind.name == "math":
        return math_key(said)
    reading = read(said, kind, choices)
    return reading[0] if reading is not None else None
