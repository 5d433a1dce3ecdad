"""One alphabet: digits, signs, spaces and quotes of every script as their ASCII counterparts.

Owns the translation of characters and the shedding of markup around a value.
Must not know what the text means.
"""

from __future__ import annotations

import re
import unicodedata

_NAMED = {
    "\u2212": "-",  # minus
    "\ufe63": "-",
    "\u2010": "-",
    "\u2011": "-",
    "\u2012": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u2044": "/",  # fraction slash
    "\u2215": "/",
    "\u066b": ".",  # Arabic decimal separator
    "\u066c": ",",  # Arabic thousands separator
    "\u066a": "%",
    "\u061f": "?",
    "\u060c": ",",
    "\u061b": ";",
    "\u3001": ",",
    "\u2018": "'",
    "\u2019": "'",
    "\u02bc": "'",
    "\u2032": "'",  # feet and minutes
    "\u2033": '"',
    "\u201c": '"',
    "\u201d": '"',
    "\u00ab": '"',
    "\u00bb": '"',
    "\u300c": '"',
    "\u300d": '"',
    "\u3010": "[",
    "\u3011": "]",
    "\u27e8": "(",
    "\u27e9": ")",
    "\u2236": ":",  # ratio
}


def _ascii(code: int) -> str:
    """The counterpart of one character; itself where there is none."""
    char = chr(code)
    if char in _NAMED:
        return _NAMED[char]
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if 0xFF01 <= code <= 0xFF5E:  # fullwidth
        return chr(code - 0xFEE0)
    if 0x1D400 <= code <= 0x1D7FF:  # mathematical alphanumerics
        return unicodedata.normalize("NFKC", char)
    category = unicodedata.category(char)
    if category == "Zs":
        return " "
    if category == "Cf":  # zero-width, bidirectional, soft hyphen
        return ""
    if category == "No" and "VULGAR" in unicodedata.name(char, ""):
        return " " + unicodedata.normalize("NFKC", char).replace("\u2044", "/")
    return char


class _Table(dict[int, str]):
    """Filled as characters are met, so that a translation is one C loop."""

    def __missing__(self, code: int) -> str:
        self[code] = value = _ascii(code)
        return value


_TABLE = _Table({code: chr(code) for code in range(128)})


def word_set(text: str) -> frozenset[str]:
    """The words of a literal, as a set to look words up in."""
    return frozenset(text.split())


def any_of(text: str) -> str:
    """A pattern for each of the patterns of a literal, two spaces or a line's end between them; "|" at a line's end
    goes on."""
    return "|".join(re.split(r"\s{2,}|\n", text.strip().replace("|\n", "|")))


def plain(text: str) -> str:
    """`text` with digits, signs, spaces and quotes of all scripts in ASCII; other characters stay."""
    return text if text.isascii() else text.translate(_TABLE)


def lower(text: str) -> str:
    """Lower case that keeps every index: the few characters that would grow stay as they are."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)


_MARKUP = " \t\r\n*`\"'~"
_STOPS = ".,;:。"
_HEADING = re.compile(r"#{1,6}(?=\s)|>(?=\s*[*_#])")
_CLOSING_HASHES = re.compile(r"^#+$|(?<=[\s*_])#{2,}$")  # C# keeps its own
_SIGN = re.compile(
    r"\s*(?:[*_]{2}|[*_](?=[^*_\s]))?(?:(?P<quote>[`'\"]{1,3})\s?(?P<quoted>[^\w\s`'\"]{1,3})\s?(?P=quote)|"
    r"\$?(?P<bare><=|>=|==|!=|<>|\+=|-=|->|=>|&&|\|\||//|\*\*(?=\s*$)|[-<>=+/%^&|~@×÷≤≥≠±√∈∪∩→←↔⇒∧∨¬])\$?)(?:[*_]{1,2})?"
    r"\s*\.?\s*"
)


def sign_of(text: str) -> str | None:
    """The sign that is all of a text: an operator such as `<` or `+`, or any other between quotes or backticks."""
    if len(text) > 24:
        return None
    if text.strip() in ("*", "#"):
        return text.strip()
    sign = _SIGN.fullmatch(text)
    return (sign["quoted"] or sign["bare"]) if sign is not None else None


_STYLED = re.compile(r"\s*<(?P<tag>b|i|u|strong|em|code|p|span)>(?P<inner>[^<>]+)</(?P=tag)>\s*\.?\s*", re.IGNORECASE)


def strip_markup(text: str) -> str:
    """Without Markdown emphasis, quotes and closing punctuation at either end (a factorial keeps its mark)."""
    sign = sign_of(text)
    if sign is not None:
        return sign
    styled = _STYLED.fullmatch(text)
    text = styled["inner"] if styled is not None else text
    text = (
        _CLOSING_HASHES.sub("", text.rstrip(_MARKUP + _STOPS + "_"))
        .rstrip(_MARKUP + _STOPS + "_")
        .lstrip(_MARKUP + "_:;,=")
    )
    heading = _HEADING.match(text)
    if heading is not None:
        text = text[heading.end() :].lstrip(_MARKUP + "_:;,=")
    if text.endswith(("!", "?")) and not (text.endswith("!") and (text[-2:-1].isdigit() or text[-2:-1] in tuple(")}"))):
        text = text.rstrip("!?" + _STOPS + _MARKUP)
    return text


# Signs that tell texts apart ("C" from "C++"); all other punctuation is a space between words.
_TELLING = frozenset("+*/=^<>%&@#\\|$€£")
_INSIDE = frozenset(".,'")
_HYPHEN = re.compile(r"-(?!\d)|(?<=[^\W\d_])-")  # dates, ranges and signs keep theirs
_ARTICLES = frozenset({"a", "an", "the"})
_INITIALS = re.compile(r"(?:[^\W\d_]\.){2,}[^\W\d_]|u\.[sk]|[ap]\.m")  # U.S.A. is USA; a.b may be code


class _WordTable(dict[int, str]):
    """Punctuation to spaces, telling signs to words of their own."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char in _TELLING:
            value = f" {char} "
        elif char in _INSIDE or char == "-" or unicodedata.category(char)[0] not in "PSZC":
            value = char
        else:
            value = " "
        self[code] = value
        return value


_WORDS = _WordTable()


def words(text: str) -> list[str]:
    """Case-folded words without punctuation or English articles (all words if there are only articles)."""
    folded = unicodedata.normalize("NFKC", plain(text).replace("**", " ")).casefold()
    folded = folded if folded.isascii() else plain(unicodedata.normalize("NFKC", folded))
    spaced = _HYPHEN.sub(" ", folded).translate(_WORDS)
    found = [word for raw in spaced.split() if (word := raw.strip(".,'"))]
    found = [word.replace(".", "") if "." in word and _INITIALS.fullmatch(word) else word for word in found]
    return [word for word in found if word not in _ARTICLES] or found
