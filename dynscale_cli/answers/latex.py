r"""LaTeX as answers use it: \boxed{…}, and formulas brought to one spelling.

Owns brace matching and the spelling of commands (\dfrac, \left(, \text{…}, spacing, unicode signs).
Must not know arithmetic. All of it is linear in the length of the text.
"""

from __future__ import annotations

import re

from dynscale_cli.answers.normalize import word_set

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
    text = _DEGREES.sub(lambda found: f"°{found[1] or ''}", text) if _has_degrees(text) else text
    spelt = _COMMAND.sub(_respell, text).replace("~", " ")
    spelt = _WORDED_FRACTION.sub(r" \1/\2", TEXT_GROUP.sub(r" \1", spelt).replace("/ ", "/"))
    return _SPACES.sub(" ", _FRACTION.sub(_spell_fraction, spelt))


def _undelimited(formula: re.Match[str]) -> str:
    before = formula.string[formula.start() - 1 : formula.start()]
    return formula.group() if before in ("\\", "$") and before else formula[1]


def _spell_fraction(match: re.Match[str]) -> str:
    """3/4, apart from the whole number before it."""
    num, num1, den, den1 = match.groups()
    whole = match.string[match.start() - 1 : match.start()].isdigit()
    return f"{' ' if whole else ''}{num or num1}/{den or den1}"
