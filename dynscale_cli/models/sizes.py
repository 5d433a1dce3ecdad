"""Bytes and parameters in words, the same in tables and errors. Pure."""

from __future__ import annotations


def in_bytes(number: float) -> str:
    """`98 MB`, `2.5 GB`, decimal as download pages and disks count."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            value = number / scale
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{number:.0f} bytes"


def in_parameters(number: int) -> str:
    """`135M`, `4.0B`."""
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= scale:
            value = number / scale
            return f"{value:.1f}{unit}" if value < 10 else f"{value:.0f}{unit}"
    return str(number)
