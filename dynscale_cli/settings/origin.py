"""Each setting's value and where it is from. The same order as the parser's, without a command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from dynscale_cli.errors import DynscaleError, UsageError

from .file import PROFILE, File
from .keys import Key
from .profiles import profile

Origin = Literal["environment", "profile", "file", "default"]
FAR_TO_NEAR: Final[tuple[Origin, ...]] = ("default", "file", "profile", "environment")


@dataclass(frozen=True, slots=True)
class Found:
    """A setting as it stands. `where`: the variable, the profile's name, or the file's path; `line` in the file."""

    key: str
    value: Any
    origin: Origin
    where: str | None = None
    line: int | None = None

    @property
    def nearness(self) -> int:
        """How near to the command line it was written; what was not written at all has none."""
        return FAR_TO_NEAR.index(self.origin) if self.value else 0


def settle(keys: Mapping[str, Key], file: File, chosen: str | None, environ: Mapping[str, str]) -> Iterator[Found]:
    """Every setting, in the order of `keys`. Raises UsageError for an environment's value that is refused."""
    named = profile(chosen, file.profiles, environ) if chosen else {}
    for name, key in keys.items():
        if text := environ.get(key.env):
            yield Found(name, from_environment(key, text), "environment", key.env)
        elif name in named:
            yield Found(name, named[name], "profile", chosen, file.line(f"{PROFILE}.{chosen}.{name}"))
        elif name in file.values:
            yield Found(name, file.values[name], "file", str(file.path), file.line(name))
        else:
            yield Found(name, key.default, "default")


def from_environment(key: Key, text: str) -> Any:
    """The value of a variable's text. Raises UsageError naming the variable."""
    try:
        value = key.from_text(text)
        key.check(value)
    except DynscaleError as error:
        message = error.message.removeprefix("--").removeprefix(key.name).removeprefix(":").strip()
        raise UsageError(f"{key.env}: {message}", f"export {key.env}={key.meant(error.hint)}") from None
    return value
