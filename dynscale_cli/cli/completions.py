"""`dynscale completions`: prints the script that teaches a shell to complete dynscale; the user puts it in place."""

from __future__ import annotations

from typing import Annotated

import typer

from dynscale_cli.nearest import choose

SHELLS = ("bash", "zsh", "fish")
EXAMPLES = """
dynscale completions bash > ~/.dynscale.bash
dynscale completions zsh > ~/.zfunc/_dynscale
dynscale completions fish > ~/.config/fish/completions/dynscale.fish
"""


def _shells(incomplete: str) -> list[str]:
    return list(SHELLS)


def completions(
    ctx: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", autocompletion=_shells)],
) -> None:
    """Print the script that completes commands, flags, values and names in a shell."""
    print(script(choose(shell, SHELLS, "dynscale completions"), ctx.find_root().command), end="")


def script(shell: str, root: object) -> str:
    """The script for a shell; `root` is the command tree."""
    import importlib

    from .shells import nodes

    text: str = importlib.import_module(f"{__package__}.shells.{shell}").script(list(nodes(root)))
    return text
