r"""Where a completion commits itself: "Answer: …", "the answer is …", \boxed{…}, JSON, tags, ####, any language.

Owns finding those places, last first, and how far what is stated reaches. Reads no values: that is `reading`'s
business. Every look is bounded (so many places, so many characters each), so the cost is linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dynscale_cli.answers.normalize import box_at, sign_of

Form = Literal["label", "initial", "sentence", "box", "json", "tag", "hash", "reverse", "revision"]

_MOST_PLACES = 48
_REACH = 700
_BOX_REACH = 120
_BOX_COMMAND = re.compile(r"\\boxed\s*(?=\{)")
# What a cue begins with, by how it goes on.
_GROUPS = {
    "english": (
        "answer", "correct option", "correct choice", "best option", "best choice", "right option", "right choice",
        "option is", "choice is",
    ),
    "box": ("boxed", "boxe", "fbox"),
    "hash": ("####",),
    "label": ("ans:", "ans.", "ans =", "result:"),
    "revision": ("correction", "should be", "actually"),
    "tag": ("begin_of_box|>", "<result>", "<solution>", "<final>", "<conclusion>"),
    "mine": ("my pick", "my choice", "my guess", "my vote"),
    "chosen": ("pick", "choose", "go with", "select", "opt for"),
    "picked": ("选", "選", "richtig ist"),
    "key": ('"choice"', '"option"', '"result"'),
    "foreign": (
        "antwort", "ergebnis", "lösung", "respuesta", "resultado", "réponse", "resposta", "risposta", "risultato",
        "antwoord", "svar", "odpowiedź", "ответ", "відповідь", "cevap", "jawaban", "đáp án", "vastaus", "válasz",
        "απάντηση", "תשובה", "الجواب", "الإجابة", "جواب", "پاسخ", "उत्तर", "जवाब", "答案", "答え", "正解", "回答", "답",
        "คำตอบ",
    ),
}  # fmt: skip
_GROUP = {stem: group for group, stems in _GROUPS.items() for stem in stems}
_ASCII_STEMS = tuple(stem for stem in _GROUP if stem.isascii())
_INITIAL = re.compile(r"^[ \t*_#>]{0,6}A[*_]{0,2}:[*_]{0,2}(?=\s*\S)", re.MULTILINE)
_OTHER_INITIAL = re.compile(r"^[ \t*_#>]{0,6}B[*_]{0,2}[:.)]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A place where an answer is stated. `content`: what is stated, markup included; blank if nothing follows."""

    form: Form
    content: str
    start: int
    end: int


# --- behind an English cue -------------------------------------------------------------------------------------

_BE = (
    r"(?:is|are|was|would(?:\s+then)?\s+be|will\s+be|should\s+be|must\s+be|could\s+be|can\s+be|has\s+to\s+be|"
    r"equals|comes\s+(?:out\s+)?to|"
    r"(?:seems|appears)(?:\s+to\s+be)?|turns\s+out\s+to\s+be|becomes|works\s+out\s+to(?:\s+be)?|remains|has\s+been|=)"
)
_LABEL = re.compile(
    r"s?(?:\s+(?:key|choice|option|letter))?[*_\"')\]]{0,6}\s{0,3}(?:\([^)\n]{0,40}\)\s?)?[*_]{0,4}(?::|=|->|→|"
    r"\s-\s)[*_]{0,4}",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    rf"s?(?:\s+(?:to|for|of|in|from|we|that|here)\b(?:[^.:\n?]|\.(?=\d)){{0,110}}?|\s+(?:option|choice|key|"
    rf"letter)|,[^.:\n,]{{0,60}},|\s*\([^)\n]{{0,60}}\))?"
    rf"[*_]{{0,3}}\s+(?:[a-z]+ly\s+)?{_BE}(?![\w])(?P<not>\s+(?:not|never|neither)\b|n't\b)?"
    r"(?:\s+(?:therefore|thus|hence|indeed|simply|just|then|now|also|clearly|definitely|actually|probably|likely|"
    r"most\s+likely|still|exactly|"
    r"approximately|about|roughly|around|equal\s+to|given\s+by|to\s+be|as\s+follows|the\s+following|option|choice|"
    r"letter)\b)*\s{0,3}(?::|=(?![=.<>]|\s*$)|->)?[*_]{0,4}",
    re.IGNORECASE,
)
# "The answer is not A but B."
_BUT = re.compile(r"[^.,;:\n]{1,60},?\s+but\s+(?:(?:rather|instead|actually|in fact|is|it's|it is)\s+)?", re.IGNORECASE)
_HEADING = re.compile(r"s?[*_#]{0,4}[ \t]{0,4}\n")
_DIRECT = re.compile(r"[ \t]{1,3}(?=\(?[A-J]\)?(?:[^\w']|$)|[-$]?\d)")
_KEY_BEFORE = re.compile(r"['\"](?:final[_ ]|correct[_ ])?$", re.IGNORECASE)
_TAG_BEFORE = re.compile(r"(?:<\|?|\[)(?:final[_ ]?)?$", re.IGNORECASE)
_TAG = re.compile(r"\|?[>\]]")
_KEYED = re.compile(r"['\"]\s{0,4}:\s{0,8}")
_HEADING_BEFORE = re.compile(
    r"(?:^|\n)[ \t*_#>\-\d.)]{0,12}(?:(?:the|my|our|final|correct|short|direct|your)\s+){0,3}$", re.IGNORECASE
)
_DIRECT_BEFORE = re.compile(
    r"(?:(?:^|\n)[ \t*_#>]{0,8}|\b(?:final|correct|choose|select|pick|the|is)\s+(?:the\s+)?)$", re.IGNORECASE
)
_REVERSE_BEFORE = re.compile(
    r"\s(?:is|are|must be|would be|should be|as)\s+(?:(?:therefore|thus|hence|clearly|indeed)\s+)?"
    r"(?:the|my|our)\s+(?:(?:correct|right|final|best|only|most \w{1,20})\s+){0,3}$",
    re.IGNORECASE,
)
# What is weighed or denied is not stated; what follows from a condition is.
_UNSTATED_BEFORE = re.compile(
    r"(?:\b(?:if|whether|suppose|supposing|assume|assuming|unless|until|doubt|don't think|n't believe|not think|"
    r"not sure|hypothetical)\b"
    r"[^.,;\n]{0,24}|\b(?:wrong|incorrect|previous|possible|potential|student's|their|no|never|not the|"
    r"not my)\s+(?:final\s+)?)$",
    re.IGNORECASE,
)
_STATED_ANYWAY = re.compile(
    r"\b(?:so|thus|then|therefore|hence)\s+(?:(?:the|my|our|final|correct)\s+){0,3}$", re.IGNORECASE
)

# --- behind a cue of another language --------------------------------------------------------------------------

_FOREIGN = re.compile(
    r"[*_\"')\]]{0,4}\s{0,3}(?:(?:finale?|final|correct[ao]?|correcte|richtige|finala|corretta|правильный|"
    r"النهائية|الصحيحة|الصحيح|النهائي)\s+)?"
    r"(?:(?:est\s+donc|es\s+por\s+tanto|lautet(?:\s+also)?|ist(?:\s+also)?|est|es|é|è|is|är|er|to|jest|adalah|là|"
    r"είναι|на|это)(?![^\W\d_])|[-:=→]|选项是|选项为|应?选择?|應?選擇?|为|為|是|应为|应该是|は|이다|은|는|है|هو|هي)"
    r"\s{0,3}[:=]?\s{0,3}[*_]{0,4}"
    r"(?:选项|選項)?(?:(?:la|el|le|die|der|das|a|o)\s+)?(?:(?:opción|opcion|option|lettre|letra|opção|alternativa|"
    r"variante)\s+)?",
    re.IGNORECASE,
)
_GROUPED_ON = re.compile(r",\d{3}(?!\d)")  # 1,234 is no JSON, but it is a number
_LATEX_IN_JSON = re.compile(
    r"\\(?:frac|boxed|text|times|tan|theta|right|rangle|neq|nu\b|beta|begin|bar|binom|rho|ne\b|to\b)"
)
_TAG_END = re.compile(r"[<\[]\|?(?:/|end_)", re.IGNORECASE)
_HASH_VALUE = re.compile(r"[ \t]*(?:[-+$(]?\s?\d|[A-J]\b|\\|[^\W\d_]{1,20}\s*$)", re.MULTILINE)
_HASH_LIST = re.compile(r"[ \t]*\d+[.)]\s")
_REVISED = {
    "correction": re.compile(
        r"[*_]{0,3}\s?:\s?(?:the\s+(?:correct\s+)?answer\s+is\s+)?(?:it\s+(?:is|should be)\s+)?", re.IGNORECASE
    ),
    "should be": re.compile(r"\s+"),
    "actually": re.compile(
        r",?\s+(?:(?:it|that|this)(?:'s|\s+is|\s+equals)\s+)?(?=[*($]{0,3}[-\d(A-J])", re.IGNORECASE
    ),
}


def places(text: str, lowered: str, asked: Sequence[str] = ()) -> list[tuple[int, str]]:
    """(index, stem) of the last places where a cue stands, last first; `asked`: labels that the question asks for."""
    found: dict[int, str] = {}
    rfind = lowered.rfind
    for stem in (*asked, *(_ASCII_STEMS if text.isascii() else _GROUP)):
        at, left = rfind(stem), _MOST_PLACES
        while at >= 0 and left:
            if _GROUP.get(stem) != "box" or lowered[at - 1 : at] in ("\\", "f"):
                found.setdefault(at, stem)
            at, left = rfind(stem, 0, at), left - 1
    if _OTHER_INITIAL.search(text, max(0, len(text) - _INITIALS)) is None:
        for initial in _INITIAL.finditer(text, max(0, len(text) - _INITIALS)):
            found.setdefault(initial.end(), "initial")
    return sorted(found.items(), reverse=True)[: _MOST_PLACES * 2]


def statements(text: str, lowered: str, asked: Sequence[str] = ()) -> Iterator[Statement]:
    """The statements of a plain text, last first. `lowered` is the text in lower case, index for index."""
    for at, stem in places(text, lowered, asked):
        statement = _asked_label(text, at, stem) if stem in asked else _statement(text, at, stem)
        if statement is not None:
            yield statement


def _asked_label(text: str, at: int, label: str) -> Statement | None:
    """Behind a label that the question asks for, at the beginning of a line or a sentence."""
    before = text[max(0, at - 8) : at].rstrip(" *_#>\"'`")
    if before and before[-1] not in "\n.!?:;)":
        return None
    return _until(text, "label", at, at + len(label))


_INITIALS = 4000  # characters at the end in which a lone "A:" is looked for


def _statement(text: str, at: int, stem: str) -> Statement | None:
    group = _GROUP.get(stem, stem)
    if group == "box":
        start = text.rfind("\\", max(0, at - 2), at)
        box = box_at(text, start) if start >= 0 else None
        if box is not None:
            return _outer_box(text, start, box[1]) or Statement("box", box[0], start, box[1])
        unfinished = start >= 0 and "{" in text[at : at + 8] and len(text) - at < _REACH
        return Statement("box", "", start, len(text)) if unfinished else None
    behind = at + len(stem)
    if group == "key":
        value = _KEYED.match(text, behind - 1)
        return _json(text, at, value.end()) if value is not None else None
    if group == "hash":
        return _hash(text, at)
    if group == "initial":
        return _until(text, "initial", at - 2, at)
    if group == "tag":
        return _tag(text, at, behind)
    if group == "chosen":
        return _matched(_CHOSEN, "sentence", text, at, behind) if _CHOOSER.search(text[max(0, at - 60) : at]) else None
    if group == "picked":
        return _matched(_PICKED, "sentence", text, at, behind)
    if group == "mine":
        return _matched(_IS, "sentence", text, at, behind)
    if group == "revision":
        return _matched(_REVISED[stem], "revision", text, at, behind)
    if group == "foreign":
        return _matched(_FOREIGN, "label", text, at, behind)
    if group == "label":
        return None if text[at - 1 : at].isalnum() else _until(text, "label", at, behind)
    return _english(text, at, at + len(stem.split(" is")[0]))


def _matched(pattern: re.Pattern[str], form: Form, text: str, at: int, start: int) -> Statement | None:
    """What is stated behind a pattern that matches at `start`."""
    match = pattern.match(text, start)
    return _until(text, form, at, match.end()) if match is not None else None


# "I would pick B", "I'll go with Paris".
_CHOOSER = re.compile(
    r"\b(?:i|we)(?:'d|'ll|\s+would|\s+will|\s+must|\s+should|\s+have\s+to|\s+am\s+going\s+to)?(?:\s+(?:therefore|"
    r"thus|probably|"
    r"most\s+likely|rather|also|finally|then|definitely|still))?\s+$",
    re.IGNORECASE,
)
_IS = re.compile(r"\s*(?:is|would be|:|=)\s*[*_]{0,2}(?:(?:option|choice|letter)\s+)?", re.IGNORECASE)
_PICKED = re.compile(r"\s{0,2}[:是为為]?\s{0,2}[*_]{0,2}(?=[(\[]?[A-J](?![A-Za-z]))")
_CHOSEN = re.compile(r"s?\s+(?:(?:answer|option|choice|letter)\s+)?(?:is\s+)?:?\s{0,2}[*_]{0,2}(?=\S)", re.IGNORECASE)


def _outer_box(text: str, start: int, end: int) -> Statement | None:
    """The formula in a box around the one that ends at `end`, if there is one: it is what is stated."""
    outer = text.rfind("\\boxed", max(0, start - _BOX_REACH), start)
    around = box_at(text, outer) if outer >= 0 else None
    if around is None or around[1] <= end or "\\text" in around[0]:
        return None
    return Statement("box", _BOX_COMMAND.sub("", around[0]), outer, around[1])


def _english(text: str, at: int, behind: int) -> Statement | None:
    """A statement around the word "answer" (or "correct option" and its like)."""
    before = text[max(0, at - 90) : at]
    keyed = _KEYED.match(text, behind)
    if keyed is not None and _KEY_BEFORE.search(before):
        return _json(text, at, keyed.end())
    tag = _TAG.match(text, behind)
    if tag is not None and _TAG_BEFORE.search(before):
        return _tag(text, at, tag.end())
    if before.endswith("/"):
        return None
    reverse = _REVERSE_BEFORE.search(before)
    if reverse is not None and not _SENTENCE.match(text, behind) and not _LABEL.match(text, behind):
        return Statement(
            "reverse", _last_clause(before[: reverse.start()].rpartition("\n")[2]), at - len(before), behind
        )
    if _UNSTATED_BEFORE.search(before) and not _STATED_ANYWAY.search(before):
        return None
    sentence = _SENTENCE.match(text, behind)
    if sentence is not None and not sentence["not"]:
        return _until(text, "sentence", at, sentence.end())
    if sentence is not None:
        return _matched(_BUT, "sentence", text, at, sentence.end())
    label = _LABEL.match(text, behind)
    if label is not None:
        return _until(text, "label", at, label.end())
    heading = _HEADING.match(text, behind)
    if heading is not None and _HEADING_BEFORE.search(before):
        return _until(text, "label", at, heading.end() - 1)
    if not text[behind:].strip(" *_#\n:") and _HEADING_BEFORE.search(before):
        return Statement("label", "", at, len(text))
    direct = _DIRECT.match(text, behind)
    asked = re.match(r"[^.!\n?]{0,40}\?", text[behind : behind + 41])  # Is the answer 42?
    if direct is not None and asked is None and _DIRECT_BEFORE.search(before):
        return _until(text, "label", at, direct.end())
    return None


def _last_clause(said: str) -> str:
    """What stands before "… is the answer", from the last comma or full stop on."""
    return re.split(r"[,;:]\s|[.!?]\s|\b(?:so|thus|therefore|hence|that|option|choice)\s", said)[-1]


def _json(text: str, at: int, value: int) -> Statement:
    """The value of an "answer" key: any JSON, or what stands there up to the line's end."""
    window = text[value : value + _REACH]
    try:
        parsed, length = json.JSONDecoder().raw_decode(window)
    except (ValueError, RecursionError):
        length = 0
        parsed = None
    if not length or _GROUPED_ON.match(window, length):
        line = window.partition("\n")[0].rstrip(" ,}")
        return Statement("json", line, at, value + len(line))
    spelt = window[:length]
    if isinstance(parsed, str):
        # Models write LaTeX into JSON without escaping it: "\\frac" would become a form feed.
        unescaped = _LATEX_IN_JSON.search(spelt) is not None
        spelt = spelt[1:-1].replace("\\\\", "\\").replace('\\"', '"') if unescaped else parsed
    return Statement("json", spelt, at, value + length)


def _tag(text: str, at: int, start: int) -> Statement:
    """`<answer>42</answer>`, to the closing tag or as far as a statement reaches."""
    close = _TAG_END.search(text, start, start + 4 * _REACH)
    end = close.start() if close is not None else min(len(text), start + _REACH)
    return Statement("tag", text[start:end], at, end)


def _hash(text: str, at: int) -> Statement | None:
    """GSM8K's `#### 18`; Markdown headings of that level are none."""
    if text[at - 1 : at] not in ("", "\n", " ") or text[at + 4 : at + 5] == "#":
        return None
    if _HASH_VALUE.match(text, at + 4) is None or _HASH_LIST.match(text, at + 4) is not None:
        return None
    end = text.find("\n", at, at + _REACH)
    end = len(text) if end < 0 else end
    return Statement("hash", text[at + 4 : min(end, at + _REACH)], at, end)


_DISPLAY = (("$$", "$$"), ("\\[", "\\]"), ("```", "```"))
_LINE_START = re.compile(r"(?:[ \t*_`>\n\r]|[-•](?=[ \t*_]))*")  # a bullet, but no minus sign
_LIST_MARK = re.compile(r"\d{1,2}[.)]\s+(?=[\d$\\-])")
_SKIPPED = " \t*_`"
_BLOCK_REACH = 20_000  # of a block of code or JSON


def _until(text: str, form: Form, at: int, start: int) -> Statement:
    """From `start` to the line's end; or the next line with text; or all of a block (formula, code, JSON) there."""
    window = text[start : start + _REACH]
    first, _, rest = window.partition("\n")
    sign = sign_of(first) is not None
    said = first.strip() if sign else first.lstrip(" \t*_") if first.strip(_SKIPPED) else ""
    if not sign and not said.strip("`"):
        fenced = first.strip().startswith("```")
        said = first.lstrip() + "\n" + rest if fenced else rest[_LINE_START.match(rest).end() :]  # type: ignore[union-attr]
        mark = _LIST_MARK.match(said)
        said = said[mark.end() :] if mark is not None else said
        if rest[: len(rest) - len(said)].rstrip(" \t").endswith("```"):
            said = "```" + said
    consumed = (len(first) if said and said in first else len(window)) - len(said)
    if said.startswith(("```", "{", "[")):
        return _block(text, form, at, start + consumed) or _line(form, said, at, start + consumed)
    for opening, closing in _DISPLAY:
        if said.startswith(opening):
            content, _, rest = said[len(opening) :].partition(closing)
            return Statement(form, content.strip(), at, start + len(window) - len(rest))
    return _line(form, said, at, start + consumed)


def _line(form: Form, said: str, at: int, start: int) -> Statement:
    line = said.partition("\n")[0]
    return Statement(form, line, at, start + len(line))


def _block(text: str, form: Form, at: int, start: int) -> Statement | None:
    """All of the code between fences, or of the JSON, that begins at `start`; None where JSON does not read."""
    window = text[start : start + _BLOCK_REACH]
    if window.startswith("```"):
        inner = window[3:].partition("\n")[2] if "\n" in window[3:40] else window[3:]
        content, _, rest = inner.partition("```")
        return Statement(form, content.strip(), at, start + len(window) - len(rest))
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(window)
    except (ValueError, RecursionError):
        return None
    many = "\n" in window[:end] or isinstance(value, dict)
    return Statement(form, window[:end], at, start + end) if many else None
