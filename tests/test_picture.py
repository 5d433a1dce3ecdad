"""The README's picture: it is there, fetches nothing, and its recorder draws what a terminal shows."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

from tests.picture import TYPED, film, settled, svg

ROOT = Path(__file__).parents[1]
FAKE = r"""
import sys, time
for part in (1, 3):
    print(f"\r\x1b[1;32m✓ q1\x1b[0m \x1b[2mWhat?\x1b[0m {part} of 6 settled", end="", file=sys.stderr, flush=True)
time.sleep(600)
"""


def text_of(drawing: str) -> str:
    """All words, once it is certain that no file but the drawing is needed for them."""
    assert not any(mark in drawing for mark in ("@font-face", "@import", "url(http", "href"))
    return " ".join(" ".join(ElementTree.fromstring(drawing).itertext()).split())


def test_a_screen_is_drawn_as_it_was_in_mid_run(tmp_path: Path) -> None:
    screen = film([sys.executable, "-c", FAKE], tmp_path, lambda shown: settled(shown) >= 3)
    drawing = svg(screen, "fake --it")
    said = text_of(drawing)
    assert "fake --it" in said
    assert "✓ q1 What? 3 of 6 settled" in said
    bold, usual, faint = (re.search(rf'class="(\S+)"[^>]*>{word}<', drawing)[1] for word in ("q1", "3", "What[?]"))
    assert len({bold, usual, faint}) == 3


def test_the_readme_shows_the_picture_and_says_how_it_came_about() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "](tests/run.svg)" in readme
    assert "python -m tests.picture tests/run.svg" in readme
    said = text_of((ROOT / "tests" / "run.svg").read_text())
    assert TYPED in said
    assert "to go" in said
