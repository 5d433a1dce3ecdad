"""Rows as aligned lines of plain text. Pure; knows nothing of what is in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Each column as wide as its widest cell; those in `right` are flush right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_cells(row, widths, right)).rstrip() for row in rows]


def _cells(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> list[str]:
    gaps = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
    return [
        gap + cell if place in right else cell + gap for place, (cell, gap) in enumerate(zip(row, gaps, strict=True))
    ]


def _width(text: str) -> int:
    """In cells of a terminal, of which a wide letter takes two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
