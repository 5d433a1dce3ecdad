"""Quantisations as the names of files give them: which one a file has, and which of several to take.

Knows names alone: `header` knows what a file itself says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

PREFERRED: Final = "Q4_K_M"

# Around four and five bits a model keeps nearly all of its quality: these first. Then more bits, for which only memory
# has to be paid; then fewer, from which quality suffers; weights that nobody quantised, which are slow, before the
# two bits and less that few models survive.
ORDER: Final = (
    PREFERRED, "Q4_K", "Q4_K_XL", "Q4_K_L", "Q5_K_M", "Q5_K", "Q4_K_S", "IQ4_NL", "IQ4_XS", "MXFP4", "MXFP4_MOE",
    "Q5_K_XL", "Q5_K_L", "Q5_K_S", "Q4_1", "Q4_0", "Q5_1", "Q5_0", "Q6_K", "Q6_K_XL", "Q6_K_L", "Q8_0", "Q8_K_XL",
    "Q3_K_XL", "Q3_K_L", "Q3_K_M", "Q3_K", "IQ3_M", "IQ3_S", "Q3_K_S", "IQ3_XS", "IQ3_XXS", "BF16", "F16", "FP16",
    "F32", "FP32",
)  # fmt: skip

_SPLIT: Final = re.compile(r"-\d{5}-of-\d{5}$")
_QUANT: Final = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|BF16|FP?16|FP?32|MXFP4(?:_MOE)?|NVFP4))(?=$|[-._])",
    re.IGNORECASE,
)
# Files beside a model that are no models: vision towers, importance matrices, draft heads.
_ASIDE: Final = re.compile(r"mmproj|imatrix|(?:^|[-._])(?:mtp|eagle3|dflash|dspark)-", re.IGNORECASE)


def stem(name: str) -> str:
    """A file's name without its suffix and without the number of its part."""
    bare = PurePosixPath(name).name
    return _SPLIT.sub("", bare[: -len(".gguf")] if bare.lower().endswith(".gguf") else bare)


def quant(path: str) -> str:
    """The quantisation in a file's name, else in its folder's: `Q4_K_M`, `UD-Q4_K_XL`; empty where there is none."""
    parts = PurePosixPath(path).parts
    for text in (stem(path), *reversed(parts[:-1])):
        if found := _QUANT.findall(text):
            return str(found[-1]).upper()
    return ""


def is_model(path: str) -> bool:
    """Whether a file's name is that of a model, by its suffix and by what such files are called."""
    name = PurePosixPath(path).name
    return name.lower().endswith(".gguf") and _ASIDE.search(name) is None


def tags(paths: Iterable[str]) -> dict[str, str]:
    """What tells the files of one repository apart: path -> quantisation, or its stem where that says too little."""
    found = {path: quant(path) for path in paths}
    stems: dict[str, set[str]] = {}
    for path, tag in found.items():
        stems.setdefault(tag, set()).add(stem(path))
    return {path: tag if tag and len(stems[tag]) == 1 else stem(path) for path, tag in found.items()}


def rank(tag: str) -> tuple[int, str]:
    """The place of a tag in the order of preference; names nobody ranks come last, by alphabet."""
    name = tag.upper().removeprefix("UD-")
    return (ORDER.index(name) if name in ORDER else len(ORDER)), tag
