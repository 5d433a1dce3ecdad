"""What the names of model files tell: the quantisation, which of several to take, and the parts of a split model.

Knows names alone, by the naming scheme of llama.cpp and its gguf-split: `gguf` knows what a file itself says. Sizes in
words stand here as well, the same in tables and errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from dynscale_cli.errors import ModelError

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
_PART: Final = re.compile(r"(?P<prefix>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)

_REPO: Final = r"(?P<repo>\w[\w.-]*/\w[\w.-]*)"
_NAME: Final = re.compile(rf"(?:hf:)?{_REPO}(?::(?P<tag>[^/:]+))?", re.IGNORECASE)
_PAGE: Final = re.compile(
    rf"(?:hf://|https?://[\w.:-]+/|(?:huggingface\.co|hf\.co)/){_REPO}"
    r"(?:(?:/(?:(?:blob|resolve)/[^/]+/(?P<file>[^?#]+\.gguf)|tree/[^?#]*)?)?(?:[?#].*)?|:(?P<tag>[^/:]+))",
    re.IGNORECASE,
)


def repository(text: str) -> tuple[str, str] | None:
    """OWNER/REPO[:QUANT], with or without hf: before it, or the address of its page or of a file, as two parts."""
    if match := _NAME.fullmatch(text.strip()):
        return match["repo"], match["tag"] or ""
    if match := _PAGE.fullmatch(text.strip()):
        return match["repo"], match["file"] or match["tag"] or ""
    return None


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


def siblings(path: Path) -> list[Path]:
    """All parts of the model that `path` is the first part of, in order; of an undivided model, itself.

    Raises ModelError when `path` is not the first part or a part is missing.
    """
    match = _PART.fullmatch(path.name)
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
