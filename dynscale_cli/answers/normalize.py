r"""One spelling for what models write in many: characters of every script, Markdown around a value, LaTeX.

Owns the translation of characters (digits, signs, spaces and quotes as their ASCII counterparts), the shedding of
markup, \boxed{…} and the matching of braces, and the spelling of LaTeX commands (\dfrac, \left(, \text{…}). Must not
know what a text means, nor arithmetic. All of it is linear in the length of the text.
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
    "\u266f": "#",  # of music
    "\u266d": "b",
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
    if 0xFE00 <= code <= 0xFE0F:  # how an emoji looks
        return ""
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
_LINK = re.compile(r"\s*(?:<(?P<inner>[^<>\s]+[@/][^<>\s]+)>|\[(?P<said>[^\[\]]+)\]\([^()\s]+[@/][^()\s]*\))\s*\.?")
_HEADING = re.compile(r"#{1,6}(?=\s)|>(?=\s*[*_#])")
_CLOSING_HASHES = re.compile(r"^#+$|(?<=[\s*_])#{2,}$")  # C# keeps its own
_SIGN = re.compile(
    r"\s*(?:[Tt]he\s)?(?:\\\()?(?:[*_]{2}|[*_](?=[^*_\s]))?(?:(?P<quote>[`'\"]{1,3})\s?(?P<quoted>[^\w\s`'\"]{1,3})\s?(?P=quote)|"
    r"\$?(?P<bare><=|>=|==|!=|<>|\+=|-=|->|=>|&&|\|\||//|\*\*(?=\s*$)|[-<>=+/%^&|~@×÷≤≥≠±√∈∪∩→←↔⇒∧∨¬])\$?)(?:[*_]{1,2})?"
    r"(?:\\\))?(?:\s(?:operator|sign|symbol)|\s\([a-z -]{1,20}\))?\s*\.?\s*"
)


def sign_of(text: str) -> str | None:
    """The sign that is all of a text: an operator such as `<` or `+`, or any other between quotes or backticks."""
    if len(text) > 40:
        return None
    if text.strip() in ("*", "#"):
        return text.strip()
    sign = _SIGN.fullmatch(text)
    return (sign["quoted"] or sign["bare"]) if sign is not None else None


_TAGGED = re.compile(r"\s*<(?P<tag>b|i|u|strong|em|code|p|span)>(?P<inner>[^<>]+)</(?P=tag)>\s*\.?\s*", re.IGNORECASE)


def strip_markup(text: str) -> str:
    """Without Markdown emphasis, quotes and closing punctuation at either end (a factorial keeps its mark)."""
    sign = sign_of(text)
    if sign is not None:
        return sign
    styled = _TAGGED.fullmatch(text) if "<" in text else None
    link = _LINK.fullmatch(text) if text.rstrip(" .").endswith((">", ")")) else None
    text = styled["inner"] if styled is not None else (link["inner"] or link["said"]) if link is not None else text
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
_TELLING = frozenset("+*/=^<>%&@#\\|$€£≤≥≠±")
_INSIDE = frozenset(".,'")
# Dates, ranges and signs keep theirs, and so do a grade (A-) and a blood type.
_HYPHEN = re.compile(r"(?!(?:(?<=\b[a-z])|(?<=\b[a-z][a-z]))-(?:\s|$))(?:-(?!\d)|(?<=[^\W\d_])-)")
_ARTICLES = frozenset({"a", "an", "the"})
_INITIALS = re.compile(r"(?:[^\W\d_]\.){2,}[^\W\d_]?|u\.[sk]|[ap]\.m")  # U.S.A. is USA; a.b may be code
_SPACED_INITIAL = re.compile(r"(?<![\w.])([^\W\d_]\.) (?=[^\W\d_]\.)")  # J. K. is J.K.


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
    if ". " in folded:
        folded = _SPACED_INITIAL.sub(r"\1", folded)
    if "-" in folded:
        folded = _HYPHEN.sub(" ", folded)
    spaced = folded.translate(_WORDS).split()
    if "." in folded:
        spaced = [raw.replace(".", "") if _INITIALS.fullmatch(raw.strip(",'")) else raw for raw in spaced]
    found = [word for raw in spaced if (word := raw.strip(".,'"))]
    said: list[str] = []
    for word in reversed(found):
        if word not in _ARTICLES or not _is_article(word, said[-1] if said else ""):
            said.append(word)
    return said[::-1] or found


def _is_article(word: str, behind: str) -> bool:
    """Whether it is one, by the word behind it: the A of "vitamin A", "T-A-C" and "/a/b" is none."""
    return word == "the" or (behind[:1].isalnum() and (len(behind) > 1 or behind.isdigit()))


# --- LaTeX -----------------------------------------------------------------------------------------------------

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_LONGEST_GROUP = 4000


def group_end(text: str, start: int) -> int | None:
    """Index behind the `}` that closes the `{` at `start`; None if it is not closed within reach."""
    depth = 0
    for brace in _BRACE.finditer(text, start, start + _LONGEST_GROUP):
        char = brace.group()
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return brace.end()
    return None


_BOX = re.compile(r"\\{1,2}f?boxed?\s*(?P<open>\{)?|\\{1,2}fbox\s*(?P<fopen>\{)")
_BARE_BOX = re.compile(r"[ \t]*([-+]?[\w.,/%]+)")


def box_at(text: str, start: int) -> tuple[str, int] | None:
    r"""(content, end) of the \boxed{…} or \boxed 5 at `start`, innermost box of nested ones."""
    box = _BOX.match(text, start)
    if box is None:
        return None
    opened = box.start("open") if box["open"] else box.start("fopen") if box["fopen"] else -1
    if opened < 0:
        bare = _BARE_BOX.match(text, box.end())
        return (bare[1], bare.end()) if bare is not None else None
    end = group_end(text, opened)
    if end is None:
        return None
    content = text[opened + 1 : end - 1]
    inner = content.strip().strip("$").strip()
    nested = box_at(inner, 0)
    if nested is not None and nested[1] == len(inner):
        content = nested[0]
    return content, end


_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_RAISED = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_LOWERED = re.compile(f"[{''.join(_SUBSCRIPTS)}]+")
_SIGNS = str.maketrans(
    {
        "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ", "μ": r"\mu ",
        "φ": r"\phi ", "ω": r"\omega ", "∞": r"\infty ", "√": r"\sqrt ", "∛": r"\sqrt[3] ", "×": "*", "·": "*",
        "⋅": "*", "∙": "*", "÷": "/", "±": r"\pm ", "∓": r"\mp ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ",
        "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "ℝ": r"\R ", "≈": r"\approx ",
        "⟨": "(", "⟩": ")", "∧": r"\wedge ", "⩽": r"\le ", "⩾": r"\ge ",
    }
)  # fmt: skip


def ascii_math(text: str) -> str:
    """Unicode mathematics (superscripts, roots, Greek, relation signs) as LaTeX."""
    if text.isascii():
        return text
    text = _RAISED.sub(lambda run: "^{" + "".join(_SUPERSCRIPTS[char] for char in run.group()) + "}", text)
    text = _LOWERED.sub(lambda run: "_{" + "".join(_SUBSCRIPTS[char] for char in run.group()) + "}", text)
    return text.translate(_SIGNS)


_COMMAND = re.compile(r"\\(?:operatorname\*|[a-zA-Z]+|.)", re.DOTALL)
_RENAMED = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\leq": r"\le", r"\geq": r"\ge",
    r"\leqslant": r"\le", r"\geqslant": r"\ge", r"\neq": r"\ne", r"\lt": "<", r"\gt": ">", r"\cdot": "*",
    r"\times": "*", r"\ast": "*", r"\div": "/", r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[",
    r"\rbrack": "]", r"\langle": "(", r"\rangle": ")", r"\lvert": "|", r"\rvert": "|", r"\mid": "|",
    r"\vert": "|", r"\varnothing": r"\emptyset", r"\infin": r"\infty", r"\mathbb": r"\mathbb", r"\%": "%",
    r"\colon": ":", r"\dbinom": r"\binom", r"\tbinom": r"\binom", r"\varphi": r"\phi", r"\lor": r"\text{ or }",
    r"\land": r"\text{ and }", r"\vee": r"\text{ or }", r"\ldots": "...", r"\dots": "...", r"\cdots": "...",
    r"\tan^{-1}": r"\arctan", r"\&": "&", r"\_": "_", r"\#": "#", r"\to": r"\to", r"\percent": "%",
}  # fmt: skip
_DROPPED = word_set(
    r"\left \right \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \displaystyle \textstyle \limits "
    r"\mathstrut \hline \, \; \: \! \quad \qquad \( \) \[ \] \$ \circ \degree \boldsymbol \bm \hfill \nobreak "
    r"\rm \bf \it \tt \thinspace \enspace \phantom \vec \hat"
)
_SPACE = frozenset({r"\ ", "\\\n", r"\,", r"\;", r"\:", r"\quad", r"\qquad", r"\enspace", r"\thinspace"})
# Their braces hold words; the others' hold mathematics.
_TEXTUAL = (r"\text", r"\textbf", r"\textit", r"\textrm", r"\texttt", r"\textsf", r"\mbox", r"\hbox", r"\emph")
_STYLED = (r"\mathrm", r"\mathbf", r"\mathit", r"\mathsf", r"\mathcal", r"\operatorname", r"\boldsymbol", r"\bm")
_THOUSANDS = re.compile(r"(?:\{,\}|,?\\[,!; ]|~)(?=\d{3}(?!\d))")
_DEGREES = re.compile(
    r"\s?\^\s?\{?\s?(?:\\circ|\\degree)\s?\}?"
    r"(?:\s*\\?[ ,]?(?:\\(?:text|mathrm)\s?\{)?\s?([CFK])\}?(?![a-zA-Z]))?"
)
_DEGREE_SIGN = re.compile(r"°\s?[CFK]?(?![a-zA-Z])")


def _ungrouped(text: str) -> str:
    r"""1\,000 as 1000. (A pattern that begins with what is rare is quick to find nothing.)"""
    return _THOUSANDS.sub(lambda mark: "" if text[mark.start() - 1 : mark.start()].isdigit() else mark.group(), text)


def tidy(text: str) -> str:
    r"""One spelling: \frac for its kin, no spacing, sizes or degrees, `\text{…}` for all words in formulas."""
    text = _DEGREE_SIGN.sub("", ascii_math(text))
    if "\\" not in text:
        return text.replace("$", "").replace("{,}", "")
    text = _ungrouped(text.replace(r"\$", ""))
    text = _DEGREES.sub("", text) if _has_degrees(text) else text
    return _COMMAND.sub(_respell, text).replace("$", "").replace(r"\text{}", "").replace("{}", "")


def _respell(command: re.Match[str]) -> str:
    name = command.group().removesuffix("*")
    if name in _SPACE:
        return " "
    if name in _DROPPED:
        return ""
    if name in _TEXTUAL or name in _STYLED:
        return r"\text"
    return _RENAMED.get(name, name)


_FRACTION = re.compile(r"\\frac {0,3}(?:\{ {0,3}(-?\d+) {0,3}\}|(\d)) {0,3}(?:\{ {0,3}(\d+) {0,3}\}|(\d))")
TEXT_GROUP = re.compile(r"\\text\s*\{([^{}]*)\}")


_INLINE = re.compile(r"\$(?![\s$])([^$\n]{1,300})(?<![\s\\])\$(?![\d$])")
_SPACES = re.compile(r" {2,}")
_WORDED_FRACTION = re.compile(r"\\frac\s?\{\s*([A-Za-z]+(?:\^\{?\d\}?)?)\s*\}\s?\{\s*([A-Za-z]+(?:\^\{?\d\}?)?)\s*\}")


def _has_degrees(text: str) -> bool:
    return "circ" in text or "degree" in text


def prose(text: str) -> str:
    r"""Formulas spelt for a reader of numbers: \frac{3}{4} as 3/4, \text{ cm} as " cm"."""
    text = text.replace("{,}", "")
    text = _INLINE.sub(_undelimited, text) if "$" in text else text
    if "\\" not in text:
        return ascii_math(text).replace(r"\sqrt ", "√").replace("*", "×") if not text.isascii() else text
    text = _ungrouped(text.replace(r"\$", "\x00").replace("$", "").replace("\x00", "$"))
    text = _GREEK_UNIT.sub(lambda unit: "Ω" if unit[1] == "Omega" else "µ", text)
    text = _DEGREES.sub(lambda found: f"°{found[1] or ''}", text) if _has_degrees(text) else text
    spelt = _COMMAND.sub(_respell, text).replace("~", " ")
    spelt = _WORDED_FRACTION.sub(r" \1/\2", TEXT_GROUP.sub(r" \1", spelt).replace("/ ", "/"))
    return _SPACES.sub(" ", _FRACTION.sub(_spell_fraction, spelt))


_GREEK_UNIT = re.compile(r"\\(?:(Omega)|mu)(?![a-zA-Z])\s?")  # 4.7 k\Omega, 10 \mu m


def _undelimited(formula: re.Match[str]) -> str:
    before = formula.string[formula.start() - 1 : formula.start()]
    return formula.group() if before in ("\\", "$") and before else formula[1]


def _spell_fraction(match: re.Match[str]) -> str:
    """3/4, apart from the whole number before it."""
    num, num1, den, den1 = match.groups()
    whole = match.string[match.start() - 1 : match.start()].isdigit()
    return f"{' ' if whole else ''}{num or num1}/{den or den1}"


_ALL_WORDS = re.compile(r"\\(?:text|textbf|mathrm|mbox)\s?\{([^{}]*)\}")


def without_dollars(text: str) -> str:
    r"""Without the delimiters of mathematics; a lone dollar is a currency."""
    text = text.strip()
    worded = _ALL_WORDS.fullmatch(text)
    if worded is not None and worded[1].strip():
        return worded[1].strip()
    if text.count("$") - text.count(r"\$") > 1:
        text = text.replace(r"\$", "\x00").replace("$", "").replace("\x00", r"\$")
    for opening, closing in (("\\(", "\\)"), ("\\[", "\\]")):
        if text.startswith(opening):
            text = text[len(opening) :].replace(closing, "")
    return text.strip()
