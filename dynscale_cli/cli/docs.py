"""`dynscale docs`: the pages of documentation that come with the package, one file a topic. Prints them as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from dynscale_cli.values import choose

FOLDER: Final = Path(__file__).parent.parent / "docs"
EXAMPLES = """
dynscale docs
dynscale docs files
"""
_COMMENT: Final = re.compile(r"^<!--.*?-->\n", re.MULTILINE)


def topics(incomplete: str = "") -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def docs(
    topic: Annotated[
        str | None, typer.Argument(metavar="[TOPIC]", help="Such as files or servers.", autocompletion=topics)
    ] = None,
) -> None:
    """Show a page of the documentation, or list the topics."""
    if topic is None:
        known = topics()
        width = max(map(len, known))
        for name in known:
            print(f"{name:<{width}}  {_title(name)}")
        return
    choose(topic, topics(), "dynscale docs")
    print(_COMMENT.sub("", _text(topic)), end="")


def _text(topic: str) -> str:
    return (FOLDER / f"{topic}.md").read_text(encoding="utf-8")


def _title(topic: str) -> str:
    return _text(topic).partition("\n")[0].removeprefix("# ")
