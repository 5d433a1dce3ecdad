"""The names of models: what those of files tell, and which ones the user has given.

Owns the naming scheme of llama.cpp and its gguf-split (the quantisation, which of several to take, the parts of a split
model), and `models.toml` beside the settings, with the aliases and the default; sizes in words stand here as well, the
same in tables and errors. Knows names alone: `gguf` knows what a file says, `resolve` what a name stands for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from dynscale_cli.errors import ModelError, UsageError
from dynscale_cli.paths import config_dir, locked, replace
from dynscale_cli.values import read_toml

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


# --- names that the user gives ---------------------------------------------------------------------------------

FILE: Final = "models.toml"
# No separators and no colons: an alias cannot be taken for a path, a repository or a name with its place.
ALIAS: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HEAD: Final = "# Written by `dynscale models alias` and `dynscale models default`.\n"


@dataclass(frozen=True, slots=True)
class Aliases:
    """Targets are names with their place before them, or absolute paths."""

    default: str | None = None
    targets: Mapping[str, str] = field(default_factory=dict)


def aliases_file(environ: Mapping[str, str] = os.environ) -> Path:
    return config_dir(environ) / FILE


def load_aliases(environ: Mapping[str, str] = os.environ) -> Aliases:
    """What was chosen; nothing where there is no file. Raises UsageError for one that cannot be understood."""
    path = aliases_file(environ)
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Aliases()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}", f"mend or remove it: rm {path}") from None
    try:
        return _checked(read_toml(raw.decode("utf-8-sig")))
    except (ValueError, TypeError, RecursionError) as error:  # no TOML, no UTF-8; digits or brackets by the thousand
        raise UsageError(f"{path}: {error}", f"mend or remove it: rm {path}") from None


def alias_target(alias: str, environ: Mapping[str, str] = os.environ) -> str:
    """What an alias means. Raises UsageError where there is none of that name."""
    aliases = load_aliases(environ).targets
    if alias not in aliases:
        raise UsageError(f"there is no alias {alias}", "dynscale models alias")
    return aliases[alias]


def change_aliases(to: Callable[[Aliases], Aliases], environ: Mapping[str, str] = os.environ) -> None:
    """Write them changed, or leave the file as it was; what another program changes meanwhile stays.

    Raises DynscaleError where it cannot be written.
    """
    try:
        with locked(aliases_file(environ)):
            replace(aliases_file(environ), _toml(to(load_aliases(environ))))
    except UnicodeEncodeError:
        raise UsageError(
            "a file whose name is not UTF-8 cannot be kept", "rename it, or name it each time: -m FILE"
        ) from None


def check_alias(name: str) -> None:
    """Raise UsageError for what cannot be an alias."""
    if not ALIAS.fullmatch(name) or name.lower().endswith(".gguf"):
        raise UsageError(
            f"{name!r} cannot be an alias: letters, digits, - _ and . only, and no name of a file",
            "dynscale models alias fast TARGET",
        )


def _checked(content: dict[str, Any]) -> Aliases:
    default, aliases = content.get("default"), content.get("aliases", {})
    if not isinstance(default, str | None):
        raise TypeError("default is not a string")
    if not isinstance(aliases, dict) or not all(isinstance(target, str) for target in aliases.values()):
        raise TypeError("aliases are not strings")
    return Aliases(default or None, aliases)


def _toml(chosen: Aliases) -> str:
    import tomlkit

    content = {"default": chosen.default, "aliases": dict(sorted(chosen.targets.items()))}
    return _HEAD + tomlkit.dumps({key: value for key, value in content.items() if value})
