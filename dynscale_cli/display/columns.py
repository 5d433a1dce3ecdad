"""Rows as aligned lines of plain text. Pure; knows nothing of what is in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Each column as wide as its widest cell; those in `right` are flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_cells(row, widths, right)).rstrip() for row in rows]


def _cells(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> list[str]:
    cells = zip(row, widths, strict=True)
    return [cell.rjust(width) if place in right else cell.ljust(width) for place, (cell, width) in enumerate(cells)]
