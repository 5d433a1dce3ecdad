"""A small chart in characters: lines over one axis, a letter each.

Owns the drawing. Knows nothing of what the figures mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MARKS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Line:
    """Evenly spaced values and the mark that draws them. Of lines that meet, the last one given is seen."""

    mark: str
    values: Sequence[float]


def chart(lines: Sequence[Line], width: int, height: int, left: str, right: str) -> list[str]:
    """Rows of text, `width` wide, with the values' scale on the left; `left` and `right` name the ends of the axis."""
    low, high = _scale([value for line in lines for value in line.values])
    margin = max(len(f"{high:.0f}"), len(f"{low:.0f}")) + 2
    columns = max(8, width - margin)
    cells = [[" "] * columns for _ in range(height)]
    for line in lines:
        for column in range(columns):
            value = line.values[round(column * (len(line.values) - 1) / (columns - 1))]
            row = round((value - low) / (high - low) * (height - 1))
            cells[height - 1 - row][column] = line.mark
    labels = {0: f"{high:.0f}", (height - 1) // 2: f"{(high + low) / 2:.0f}", height - 1: f"{low:.0f}"}
    rows = [f"{labels.get(n, ''):>{margin - 2}} │" + "".join(row) for n, row in enumerate(cells)]
    gap = max(1, columns - len(left) - len(right))
    return [row.rstrip() for row in rows] + [
        " " * (margin - 1) + "└" + "─" * columns,
        " " * margin + left + " " * gap + right,
    ]


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """Whole fives around all values, never one point: below it there is room if not above, as at 100%."""
    low, high = 5 * (min(values) // 5), 5 * -(-max(values) // 5)
    return (low, high) if high > low else (max(0, low - 5), max(5, high))
