"""One line of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["fine", "note", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`note`: could be more, and is fine as it is; `warning`: works, not as it should; `wrong`: does not work.

    `fix` is a command that can be run, for all that is not fine.
    """

    area: str
    state: State
    text: str
    fix: str | None = None
