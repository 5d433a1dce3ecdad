"""Text from a model or a question, made safe for a terminal.

Owns what may reach a terminal raw: nothing that moves the cursor, sets a title or a clipboard, or turns the order
of the letters around. Pure; knows nothing of layout.
"""

from __future__ import annotations

import re
from typing import Final

# Whole sequences first, so that their parameters vanish with them: operating system commands and other strings up to
# their terminator, then control sequences, then any other escape. What is cut short loses its ESC below.
_SEQUENCES: Final = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]"
)
_BREAKS: Final = re.compile(r"\r\n?|[\n\v\f\x85\u2028\u2029]")
_FORBIDDEN: Final = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f"  # controls
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks, overrides and isolates
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"  # byte order marks, annotations, tags
)
# Valid in JSON as they are, but a terminal might act on them.
_RISKY: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")
_SPACES: Final = re.compile(r"\s+")
_PLAINER: Final = str.maketrans({"…": "...", "·": "|", "×": "x", "━": "#", "─": "-", "•": "*", "✓": "+", "✗": "x"})


def plain(text: str) -> str:
    """`text` without control characters, escape sequences and bidi overrides, on one line, white space as one space."""
    return _SPACES.sub(" ", plain_lines(text)).strip()


def plain_lines(text: str) -> str:
    """Like `plain`, but line breaks stay, all as "\\n", and spaces stay as they are."""
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCES.sub("", text)
    text = _BREAKS.sub("\n", text).replace("\t", "    ")
    return _SURROGATES.sub("\ufffd", _FORBIDDEN.sub("", text))


def harmless(line: str) -> str:
    """A line of JSON as it is, but for characters that a terminal might act on: these are escaped."""
    return _RISKY.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def sayable(text: str, encoding: str) -> str:
    """`text` as far as `encoding` has letters for it: our own signs by their likes, what else is missing as "?"."""
    if text.isascii() or encoding.lower() in ("utf-8", "utf8"):
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAINER).encode(encoding, "replace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "replace").decode()
    return text
