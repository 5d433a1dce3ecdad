"""The README's picture: it is there, fetches nothing, and its recorder draws what a terminal shows."""

import sys
from pathlib import Path
from xml.etree import ElementTree

from tests.picture import TYPED, film, spent, svg

ROOT = Path(__file__).parents[1]
FAKE = r"""
import sys, time
for part in (10, 70):
    print(f"\r\x1b[1;32m✓ q1\x1b[0m \x1b[2mWhat?\x1b[0m {part} of 100 tokens", end="", file=sys.stderr, flush=True)
time.sleep(600)
"""


def words(drawing: str) -> list[str]:
    """All text, once it is certain that no file but the drawing is needed for it."""
    assert not any(mark in drawing for mark in ("@font-face", "@import", "url(http", "href"))
    return [
        "".join(text.itertext()).replace("\xa0", " ") for text in ElementTree.fromstring(drawing).iter() if text.text
    ]


def test_a_screen_is_drawn_as_it_was_in_mid_run(tmp_path: Path) -> None:
    screen = film([sys.executable, "-c", FAKE], tmp_path, lambda shown: spent(shown) > 0.5)
    drawing = svg(screen, "fake --it")
    said = [text.strip() for text in words(drawing)]
    assert "fake --it" in said
    assert "✓ q1" in said
    assert "What?" in said, "faint text is apart from what surrounds it"
    assert "70 of 100 tokens" in said
    assert "font-weight: bold" in drawing


def test_the_readme_shows_the_picture_and_says_what_was_typed() -> None:
    assert "](tests/run.svg)" in (ROOT / "README.md").read_text()
    said = "\n".join(words((ROOT / "tests" / "run.svg").read_text()))
    assert TYPED in said
    assert "to go" in said
