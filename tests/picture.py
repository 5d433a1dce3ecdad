"""The picture in the README, recorded from a real run: `python -m tests.picture tests/run.svg`.

Owns the way from a command in a pseudo-terminal, stopped in mid-run, to a drawing of its screen that fetches nothing.
Knows of the program only what anybody sees of it: "3 of 6 settled".
"""

from __future__ import annotations

import fcntl
import io
import itertools
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.cli_process import COMMAND, environment

QUESTIONS = {  # on which single samples of the bundled model differ, and the vote finds the right answer
    "moon": ("In which year did people first land on the Moon?", "1969"),
    "war": ("In which year did the Second World War end?", "1945"),
    "planet": ("Which planet is called the red planet?", "Mars"),
    "legs": ("How many legs does a dog have?", "4"),
    "sum": ("What is 3 + 4?", "7"),
    "sum2": ("What is 2 + 3?", "5"),
}
ARGUMENTS = ["ask", "-f", "questions.jsonl", "--budget", "16k", "--max-tokens", "128", "--mode", "parallel", "-t", "1"]
TYPED = f"dynscale {' '.join(ARGUMENTS)} > answers.txt"
COLUMNS, ROWS = 100, 18
ENOUGH = 3  # settled: others are not yet
PATIENCE = 900  # seconds


class Screen(pyte.Screen):
    """pyte knows no faint text: here, what blinks is meant to be faint."""

    def select_graphic_rendition(self, *codes: int, **options: bool) -> None:
        super().select_graphic_rendition(*(5 if code == 2 else code for code in codes), **options)


def film(command: Sequence[str], folder: Path, enough: Callable[[str], bool]) -> Screen:
    """The screen of a command, its answers going to a file, as soon as what it shows is enough. Then it is ended."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    with (folder / "answers.txt").open("wb") as answers:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, stdout=answers, stderr=side
        )
    os.close(side)
    screen = Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    try:
        while not enough("\n".join(screen.display)):
            if not select.select([main], [], [], PATIENCE)[0]:
                raise SystemExit("nothing happens")
            stream.feed(_read(main))
    finally:
        process.terminate()  # not Ctrl-C, which a shell makes its background jobs ignore
        os.close(main)
        process.wait(PATIENCE)
    return screen


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError as error:  # the command has ended
        raise SystemExit("it was over before it was enough") from error


def settled(shown: str) -> int:
    """How many questions are settled, as the view tells it."""
    found = re.search(r"(\d+) of \d+ settled", shown)
    return int(found[1]) if found else 0


def svg(screen: Screen, title: str) -> str:
    console = Console(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor")
    lines = [_line(screen, row) for row in range(ROWS)]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop", crop=True)
    drawn = console.export_svg(title=title, unique_id="run")
    return re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # they would be fetched


def _line(screen: Screen, row: int) -> Text:
    cells = [screen.buffer[row][column] for column in range(COLUMNS)]
    text = Text()
    # Word by word: each begins at its column, whatever the font, and no renderer trims blanks in front of it.
    for (style, _), run in itertools.groupby(cells, lambda cell: (_style(cell), cell.data == " ")):
        text.append("".join(cell.data for cell in run), style)
    text.rstrip()
    return text


def _style(cell: pyte.screens.Char) -> Style:
    return Style(color=None if cell.fg == "default" else cell.fg, bold=cell.bold, dim=cell.blink)


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [json.dumps({"id": id, "question": text, "answer": gold}) for id, (text, gold) in QUESTIONS.items()]
        (folder / "questions.jsonl").write_text("\n".join(lines))
        screen = film([*COMMAND, *ARGUMENTS], folder, lambda shown: settled(shown) >= ENOUGH)
    target.write_text(svg(screen, TYPED))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
