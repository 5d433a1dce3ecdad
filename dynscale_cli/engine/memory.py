"""How much memory is left for a KV cache.

Linux grants any allocation and kills the process when it is filled, so a cache that is too large must be refused
before it is asked for. Elsewhere the allocation itself fails, and nothing is known here. Knows nothing of models.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def available(root: Path = ROOT) -> int | None:
    """Bytes that this process can still take: None where that is unknown. `root` is where /proc and /sys are.

    The kernel counts mapped files as free, as it could read them again; the weights that every step reads are not.
    """
    free = _kilobytes(root / "proc/meminfo", "MemAvailable:")
    if free is None:
        return None
    mapped = _kilobytes(root / "proc/self/status", "RssFile:") or 0
    granted = _left_in_group(root / "sys/fs/cgroup")
    return max(0, (free if granted is None else min(free, granted)) - mapped)


def _left_in_group(group: Path) -> int | None:
    """What a container may still take, its file cache counted as free."""
    limit, used = _read(group / "memory.max").strip(), _read(group / "memory.current").strip()
    if not limit.isdigit() or not used.isdigit():
        return None
    cached = _field(group / "memory.stat", "file") or 0
    return max(0, int(limit) - int(used) + cached)


def _kilobytes(path: Path, name: str) -> int | None:
    value = _field(path, name)
    return None if value is None else 1024 * value


def _field(path: Path, name: str) -> int | None:
    """The number behind `name` at the beginning of a line."""
    for line in _read(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
