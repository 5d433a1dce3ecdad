"""Multiple choice: the letter an answer names, or the choice whose text it gives.

Owns reading letters apart from articles and lists ("A, B or C" names no choice), and matching choices by their
words or their value. A choice's key is its letter. Must not know where a completion commits itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from dynscale_cli.answers.latex import prose
from dynscale_cli.answers.normalize import plain, words
from dynscale_cli.answers.structures import exact_math_key

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UNKNOWN = 8  # letters to expect where the choices are not known: A to H

_NAMED = re.compile(
    r"[\s*_`'\"]*(?:(?:the|my)\s+)?(?:(?:(?:correct|right|best)\s+)?(?:option|choice|answer|letter|alternative|"
    r"statement)s?"
    r"\s{0,3}(?:is|:)?)?[\s*_`'\"]{0,6}(?P<open>[(\[{<]?)\s{0,2}[*_`'\"]{0,3}(?P<letter>[A-Za-z])(?![a-zA-Z0-9_\u00c0-\u024f%$=+^/]|['’]\w)"
    r"[*_`'\"]{0,3}\s?(?P<close>[)\]}>.:,;-]?)",
    re.IGNORECASE,
)
_BETWEEN_DOLLARS = re.compile(r"\$\s?\(?([A-Za-z])\)?\s?\$")
_ANOTHER = re.compile(
    r"[\s*_`'\")\].]{0,6}(?:,|/|&|\bor\b|\band\b)\s{0,3}(?:or\s+|and\s+)?(?:option\s+|choice\s+)?"
    r"[(\[*_]{0,4}(?P<letter>[A-Z])(?![\w'])(?!\s+(?:is|are|was|does|cannot|can't)\b)"
)
_REASON = re.compile(r"\s*(?:is|because|since|as|for|due|with|which|that|-|the)\b", re.IGNORECASE)
_ORDINAL = re.compile(
    r"[\s*_`'\"]*(?:(?:option|choice|answer|number)\s{0,3})?[(#]?(\d)[).]?[\s*_`'\".]*", re.IGNORECASE
)
_PLACES = ("first", "second", "third", "fourth", "fifth")
_PLACE = re.compile(
    rf"[\s*_`'\"]*(?:the\s+)?({'|'.join(_PLACES)})(?:\s+(?:option|choice|one|answer))?[\s*_`'\".]*", re.IGNORECASE
)
_LABEL = re.compile(r"\s*[(\[]?([A-Za-z])[)\].:]\s+")


def letter_count(choices: Sequence[str]) -> int:
    return min(len(choices), len(LETTERS)) if choices else _UNKNOWN


@lru_cache(maxsize=256)
def _spelt(choices: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], str | None], ...]:
    """(words, value key) of every choice, without a label of its own ("A) Paris")."""
    bare = []
    for index, choice in enumerate(choices[: len(LETTERS)]):
        label = _LABEL.match(choice)
        labelled = label is not None and label[1].upper() == LETTERS[index]
        bare.append(choice[label.end() :] if label is not None and labelled else choice)
    return tuple((tuple(words(prose(text))), exact_math_key(text)) for text in bare)


def read_choice(content: str, choices: Sequence[str] = ()) -> str | None:
    """The one letter that a committed answer names, by letter or by text; None for several or none."""
    content = _BETWEEN_DOLLARS.sub(r"\1", prose(content[:600]))
    letter, several = _letter(content, choices)
    if several:
        return None
    if letter is not None and not (letter == "A" and _reads_as_article(content, choices)):
        return letter
    by_text = match_text(content, choices)
    if by_text is not None or not choices:
        return by_text
    place = _PLACE.fullmatch(content)
    if place is not None and _PLACES.index(place[1].lower()) < len(choices):
        return LETTERS[_PLACES.index(place[1].lower())]
    ordinal = _ORDINAL.fullmatch(content)
    if ordinal is not None and 1 <= int(ordinal[1]) <= len(choices):
        explicit = content.strip("*_`'\" ")[:1].isalpha()
        if explicit or not any(char.isdigit() for choice in choices for char in choice):
            return LETTERS[int(ordinal[1]) - 1]
    return None


def _letter(content: str, choices: Sequence[str]) -> tuple[str | None, bool]:
    """(letter, whether several are named) at the beginning of `content`."""
    named = _NAMED.match(content)
    if named is None:
        return None, False
    letter = named["letter"]
    if not letter.isascii():  # ignoring case, the pattern takes İ and ſ for letters of ours
        return None, False
    if named["open"] and named["close"] not in tuple(")]}>"):
        return None, False  # "(a - b)": the beginning of a formula
    delimited = bool(named["open"]) or bool(named["close"]) or not content[named.end() :].strip(" *_`'\"\n")
    if letter.islower() and not delimited:
        return None, False
    letter = letter.upper()
    if LETTERS.index(letter) >= letter_count(choices):
        return None, False
    after = content[named.end("letter") :]
    another = _ANOTHER.match(after)
    if another is not None and another["letter"] != letter and LETTERS.index(another["letter"]) < letter_count(choices):
        return None, True
    if letter == "I" and not delimited:
        return None, False
    return letter, False


def _reads_as_article(content: str, choices: Sequence[str]) -> bool:
    """'A cat sat': an article, not choice A."""
    named = _NAMED.match(content)
    if named is None or named["open"] or named["close"]:
        return False
    after = content[named.end("letter") :].lstrip("*_`'\"")
    if not after[:1].isspace() or not after.strip():
        return False
    if match_text(content, choices) is not None:
        return True
    return after.lstrip()[:1].islower() and _REASON.match(after) is None


def match_text(content: str, choices: Sequence[str]) -> str | None:
    """The choice that `content` is, begins with, or alone mentions; by value where words differ."""
    if not choices or not content.strip():
        return None
    spelt = _spelt(tuple(choices))
    said = words(content)
    denied = next((index for index, word in enumerate(said) if word in ("not", "unlike") and index), 0)
    if denied and not any("not" in text for text, _ in spelt):
        content, said = " ".join(said[:denied]), said[:denied]  # "Paris, not London"
    if said[:1] == ["not"] and not any(text[:1] == ("not",) for text, _ in spelt):
        return None
    squeezed = [_squeezed(choice) for choice in choices[: len(LETTERS)]]
    if _squeezed(content) in squeezed:
        return LETTERS[squeezed.index(_squeezed(content))]
    equal = [index for index, (text, _) in enumerate(spelt) if list(text) == said]
    if equal:
        return LETTERS[equal[0]] if len(equal) == 1 else None
    if len(content) <= 120:
        value = exact_math_key(content)
        same = [index for index, (_, key) in enumerate(spelt) if key is not None and key == value]
        if same:
            return LETTERS[same[0]] if len(same) == 1 else None
    texts = [text for text, _ in spelt]
    return _mentioned(said, texts) or _abbreviated(said, texts)


def _squeezed(text: str) -> str:
    """Sign for sign, for choices that differ in more than words ("-x < y", "x < -y")."""
    return "".join(plain(text).casefold().split()).rstrip(".")


def _abbreviated(said: list[str], texts: list[tuple[str, ...]]) -> str | None:
    """The only choice that begins or ends with the words said: "None" for "None of these", a surname for a name."""
    if not said or not all(word.isalpha() and len(word) > 2 for word in said):
        return None
    begun = [index for index, text in enumerate(texts) if list(text[: len(said)]) == said]
    if begun:
        return LETTERS[begun[0]] if len(begun) == 1 else None
    ended = [index for index, text in enumerate(texts) if list(text[-len(said) :]) == said]
    denied = any(_NOT.search(" ".join(texts[index])) for index in ended)
    return LETTERS[ended[0]] if len(ended) == 1 and not denied else None


def _mentioned(said: list[str], texts: list[tuple[str, ...]]) -> str | None:
    """The only choice whose words stand in `said` (a choice inside a longer one that stands there does not count)."""
    line = f" {' '.join(said)} "
    present = [
        (index, f" {' '.join(text)} ") for index, text in enumerate(texts) if text and f" {' '.join(text)} " in line
    ]
    longest = [index for index, text in present if not any(text in other and text != other for _, other in present)]
    return LETTERS[longest[0]] if len(longest) == 1 else None


_ASSERTED = re.compile(
    r"(?:(?:\b(?i:leaves|leaving|choose|select|pick|go with|going with|option|choice|answer|it's|it is|"
    r"therefore|thus|so|hence|"
    r"must be|would be|is)[,:]?\s+|(?:应选|故选|选择|选|選擇|選)\s*)"
    r"(?:option\s+|choice\s+|answer\s+)?[*_]*[(\[]?(?P<before>[A-Z])[)\]]?[*_]*(?=[.,;:!)*_\]\n。]|\s*$|"
    r"\s+(?:because|since|as)\b)"
    r"|(?<![\w'])[*_]{0,3}[(\[]?(?P<after>[A-Z])[)\].:]?[*_]*\s+(?:is|would be|must be|seems)\s+(?P<not>not\s+|"
    r"in)?(?:the\s+|most\s+|only\s+|best\s+)*"
    r"(?:correct|right|best|answer|true|accurate|appropriate|likely)\b)",
)
_LINE = re.compile(r"^[\s*_#>-]{0,6}[(\[]?([A-Z])(?:[)\].:]+[*_]*(?:\s|$)|[*_]*\s*$)", re.MULTILINE)
_PARENTHESISED = re.compile(r"[(\[]([A-Z])[)\]]")
_NOT = re.compile(r"\b(?:not|isn't|neither|nor|never|eliminate|exclude|rule out|incorrect|wrong)\b", re.IGNORECASE)


# "Option B: Nitrogen. Incorrect.", "C) Oxygen ✅": the choices judged one by one.
_JUDGED = re.compile(
    r"(?:^|[.!?:]\s(?=option|choice))[ \t*_#>|-]{0,8}(?:(?:option|choice|answer)\s+)?[(\[]?([A-Z])[)\].:*_]{1,4}"
    r"(?=\s)([^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_WRONG = re.compile(
    r"[❌✗✘✖]|\b(?:incorrect|wrong|not (?:the )?(?:correct|right|best)|isn't (?:correct|right))\b", re.IGNORECASE
)
_RIGHT = re.compile(r"[✅✓✔☑]|\b(?:correct|right answer|best answer)\b(?!\s*\?)", re.IGNORECASE)


def _judged(tail: str, allowed: str) -> str | None:
    """The one choice called right where others are called wrong."""
    right: set[str] = set()
    wrong: set[str] = set()
    for line in _JUDGED.finditer(tail):
        letter = line[1].upper()
        if letter in allowed and _WRONG.search(line[2]):
            wrong.add(letter)
        elif letter in allowed and _RIGHT.search(line[2]):
            right.add(letter)
    return str(*right) if len(right) == 1 and wrong and not right & wrong else None


def find_choice(text: str, choices: Sequence[str] = ()) -> str | None:
    """The choice of a completion without a committed answer: asserted, on a line, or alone in the last sentence."""
    allowed = LETTERS[: letter_count(choices)]
    if len(text) <= 80 and len(set(_MARKED.findall(text))) > 2 and "\n" not in text.strip():
        return None  # "A. B. C. D."
    if len(text) <= 80 and "\n" not in text.strip():
        whole = read_choice(text, choices)
        if whole is not None and not _NOT.search(text):
            return whole
    tail = prose(text[-2000:])
    asserted = _asserted(tail, allowed)
    if asserted is not None:
        return asserted
    judged = _judged(tail, allowed)
    if judged is not None:
        return judged
    lines = {match[1] for match in _LINE.finditer(tail) if match[1] in allowed}
    if len(lines) == 1:
        return str(*lines)
    closing = last_sentence(tail)
    weighed = len(lines) > 1 and _LINE.match(closing)
    if weighed or (_HEADING.match(closing) and len(set(_HEADING.findall(tail))) > 1):
        return None  # the choices repeated, or weighed one by one
    pointed = _POINTED.search(closing)
    if pointed is not None and pointed[1] in allowed:
        return pointed[1]
    closing = _DENIED.split(_CONCEDED.sub("", closing), maxsplit=1)[0]
    if not _NOT.search(closing):
        letters = set(_PARENTHESISED.findall(closing)) & set(allowed)
        if len(letters) == 1:
            return str(*letters)
        by_text = match_text(closing, choices)
        if by_text is not None:
            return by_text
    return match_text(tail, choices) if len(tail) < 400 and not _NOT.search(tail) else None


_CONCEDED = re.compile(
    r"^[\s*_]*(?:while|although|though|even though|whereas|unlike)\b[^,\n]{1,160},\s*", re.IGNORECASE
)
_DENIED = re.compile(r",?\s+(?:(?:and|but)\s+not|rather than|instead of)\b|,\s+not\b", re.IGNORECASE)
_POINTED = re.compile(r"[:>→∴]\s{0,3}[*_(\[]{0,3}([A-Z])[)\]*_.]{0,3}\s*$")
_MARKED = re.compile(r"\b([A-J])[).:](?=\s|$)")
_CLAUSE_END = re.compile(r"[.,;:!?\n]")


_HEADING = re.compile(
    r"(?:^|[.!?:]\s)[ \t*_#>|-]{0,8}(?:option|choice|answer)\s+[*_]*[(\[]?([A-Z])[)\]]?[*_]*[:.)]",
    re.IGNORECASE | re.MULTILINE,
)


def _asserted(tail: str, allowed: str) -> str | None:
    headings = [heading.span() for heading in _HEADING.finditer(tail)]
    weighed = {at for start, end in headings for at in range(start, end)} if len(headings) > 1 else set()
    found = None
    for match in _ASSERTED.finditer(tail):
        if match["before"] and match.start("before") in weighed:
            continue  # "Option A: …", "Option B: …": headings of what is weighed
        letter = match["before"] or match["after"]
        if letter not in allowed or match["not"]:
            continue
        if _NOT.search(_CLAUSE_END.split(tail[max(0, match.start() - 20) : match.start()])[-1]) or _ANOTHER.match(
            tail, match.end()
        ):
            continue
        if match["before"] and _ANOTHER.match(tail, match.end("before")):
            continue
        found = letter
    return found


_SENTENCE_END = re.compile(r"(?<=[.!?。])\s+|\n+")


def last_sentence(text: str) -> str:
    """The last sentence or line that says something."""
    pieces = _SENTENCE_END.split(text.strip()[-600:])
    for piece in reversed(pieces):
        if any(char.isalnum() for char in piece):
            return piece
    return ""
