"""What may reach a terminal raw: nothing that acts on it."""

from __future__ import annotations

import os
import pty
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.display.text import plain, plain_lines
from tests.cli_process import dynscale


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a new title\x07after", "after"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==\x07clipboard", "clipboard"),
        ("\x1bPq#0;2\x1b\\sixel", "sixel"),
        ("\x9b31mold style\x9d0;title\x9c", "old style"),
        ("\x1bcreset", "reset"),
        ("\x1b(0box", "box"),
        ("cut short\x1b", "cut short"),
        ("cut short\x1b[", "cut short"),
        ("over\rwritten", "over written"),
        ("back\x08space, bell\x07, nul\x00", "backspace, bell, nul"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("a\u202egnp.exe\u2066b\u200f", "agnp.exeb"),
        ("lone \udc80 surrogate", "lone \ufffd surrogate"),
        ("  spaces   go  ", "spaces go"),
        ("👩‍👩‍👧 keeps its joiners", "👩‍👩‍👧 keeps its joiners"),
        ("x̄ é 二 כן", "x̄ é 二 כן"),
    ],
)
def test_what_is_left_of_dangerous_text(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_lines_and_indents_can_be_kept() -> None:
    assert plain_lines("a\r\n  b\x1b[2J\rc\td") == "a\n  b\nc    d"


@given(st.text(alphabet=st.characters() | st.sampled_from("\x1b\x9b\x9d[]0;m\x07\\\n\r")))
def test_no_text_whatever_leaves_a_control_character(text: str) -> None:
    assert not [letter for letter in plain(text) if unicodedata.category(letter) in ("Cc", "Cs")]
    assert not [letter for letter in plain_lines(text) if unicodedata.category(letter) == "Cc" and letter != "\n"]
    assert plain(plain(text)) == plain(text)


def test_an_unterminated_string_does_not_swallow_the_rest() -> None:
    assert plain("\x1b]0;title\nthe answer is 42") == "0;title the answer is 42"


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "alias"),
        ("models", "list"),
        ("models", "alias", "z"),
        ("config", "show"),
        ("config", "get", "system"),
    ],
)
def test_names_and_settings_of_others_do_not_act_on_a_terminal(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "config.toml").write_text('system = "\\u001b]0;a new title\\u0007\\u001b[31mred"\n')
    (tmp_path / "models.toml").write_text('[aliases]\nz = "/m/\\u001b[31mred.gguf"\n"\\u001b[31mq" = "/m/\\u009b31m"\n')
    ours, terminal = pty.openpty()
    done = dynscale(*arguments, cwd=tmp_path, env={"DYNSCALE_HOME": str(tmp_path), "NO_COLOR": "1"}, stdout=terminal)
    os.close(terminal)
    written = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.returncode == 0
    assert written.strip()
    assert "\x1b" not in written
    assert "\x9b" not in written
    assert "\x07" not in written
