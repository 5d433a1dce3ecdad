"""Models in several files: NAME-00001-of-00003.gguf and what belongs to it.

Knows the naming scheme of llama.cpp's gguf-split, and nothing of what is inside the files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from dynscale_cli.errors import ModelError

_NAME: Final = re.compile(r"(?P<prefix>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


def siblings(path: Path) -> list[Path]:
    """All parts of the model that `path` is the first part of, in order; of an undivided model, itself.

    Raises ModelError when `path` is not the first part or a part is missing.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        return [path]
    count = int(match["count"])
    parts = [path.with_name(f"{match['prefix']}-{number:05}-of-{count:05}.gguf") for number in range(1, count + 1)]
    first = path.with_name(f"{match['prefix']}-00001-of-{count:05}.gguf")
    if not parts or (int(match["part"]) != 1 and first.is_file()):
        raise ModelError(f"{path}: a model in {count} parts is named by its first part", f"-m {first}")
    for part in parts:
        if not part.is_file():
            missing = f"{path}: the model has {count} parts, and {part.name} is missing"
            raise ModelError(missing, f"Fetch that part as well and put it into {path.parent}.")
    return parts
