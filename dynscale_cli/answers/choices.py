"""Which option an answer names: the letter or the text of a choice, what the question offers, yes or no.

Owns reading letters apart from articles and lists ("A, B or C" names no choice), matching choices by their words or
their value, and the words and languages in which models say yes or no, true or false. A choice's key is its letter;
those of sides are `yes` and `no`: "true" and "yes" are one vote. Must not know where a completion commits itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from dynscale_cli.answers.normalize import plain, prose, sign_of, word_set, words
from dynscale_cli.answers.quantities import bare
from dynscale_cli.answers.structures import exact_math_key
from dynscale_cli.answers.text import Reading

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
        if not same and value is not None:  # 50, for the choice of 50 km/h
            same = [index for index, (_, key) in enumerate(spelt) if key is not None and bare(key) == value]
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


_NOT = re.compile(r"\b(?:not|isn't|neither|nor|never|eliminate|exclude|rule out|incorrect|wrong)\b", re.IGNORECASE)


_LETTER_MARK = re.compile(r"(?<![\w.])([A-J])[*_]{0,2}[)\]](?=[\s,.;*]|$)")
_CHOOSING = word_set("apply select choose pick which correct")


def read_several(content: str, topic: frozenset[str]) -> Reading | None:
    """Letters of several options ("A) 2 and C) 7"), where several may be chosen."""
    letters = list(dict.fromkeys(_LETTER_MARK.findall(content))) if not topic.isdisjoint(_CHOOSING) else []
    return (", ".join(letters).lower(), ", ".join(letters)) if len(letters) > 1 else None


# --- what the question offers in its own text ------------------------------------------------------------------

_LABELLED = (
    r"[\s*_`'\"(\[]*(?:(?:option|choice|answer|number|no\.?)\s{{0,2}})?[(#\[*_]{{0,3}}(?P<label>{labels})"
    r"(?:[*_]{{0,2}}[)\].:]|[*_`'\"\s]*$|\s+-\s|\s+(?:because|since|as)\b)"
)


def read_option(
    content: str, choices: Sequence[str], options: Sequence[str] = (), labels: Sequence[str] = ()
) -> Reading | None:
    """(key, text) of the option named: a letter for choices, the question's own label or words for what it offers."""
    if choices or not options or labels[:1] == ("A",):
        letter = read_choice(content, choices or options)
        return None if letter is None else (letter, letter)
    index = _labelled(content, labels) if labels else None
    index = index if index is not None else _offered(content, options)
    if index is None:
        return None
    if labels:
        return labels[index], labels[index]
    return " ".join(words(options[index])) or options[index], options[index]


def _labelled(content: str, labels: Sequence[str]) -> int | None:
    """The option whose number a content begins with: "2", "2) river", "option 2"."""
    spelt = "|".join(sorted(map(re.escape, labels), key=len, reverse=True))
    named = re.match(_LABELLED.format(labels=spelt), content, re.IGNORECASE)
    return labels.index(named["label"].lower()) if named is not None else None


_ENDINGS = ("s", "d", "ed", "ing")


def _offered(content: str, options: Sequence[str]) -> int | None:
    """The option that a content is or begins with, or alone mentions; yes and no in other words, where offered."""
    sign = sign_of(content)
    if sign is not None and sign in options:
        return list(options).index(sign)
    said = words(prose(content[:600]))
    spelt = [words(option) for option in options]
    begun = [index for index, option in enumerate(spelt) if option and said[: len(option)] == option]
    if not begun and said:  # accepted, where "accept" is offered
        stems = ["".join(option) for option in spelt]
        begun = [n for n, stem in enumerate(stems) if len(stem) > 2 and said[0] in (stem + end for end in _ENDINGS)]
    if begun:
        return max(begun, key=lambda index: len(spelt[index]))
    letter = match_text(content, options)
    if letter is not None:
        return LETTERS.index(letter)
    side = read_boolean(content)
    sides = [read_boolean(option) for option in options]
    return sides.index(side) if side is not None and sides.count(side) == 1 else None


def read_special(content: str, also: Sequence[str]) -> Reading | None:
    """(key, text) where a content is an answer that the question allows for a special case ("not stated")."""
    if not also:
        return None
    said = words(content[:200])
    for answer in also:
        spelt = words(answer)
        if said == spelt or (said[: len(spelt)] == spelt and len(spelt) > 1):
            return " ".join(spelt), answer
        if said[: len(spelt)] == spelt and content.strip(" *_`'\"")[len(answer) :][:1] in (".", ",", ";", " (", "\n"):
            return " ".join(spelt), answer
    return None


# --- yes or no -------------------------------------------------------------------------------------------------

_YES = word_set(
    "yes yeah yep yup true correct right affirmative indeed definitely certainly absolutely "
    "sí si sì sim oui ja jawohl да tak ano evet ya có ναι כן हाँ हां نعم بله vrai verdadero verdadeiro vero wahr "
    "richtig "
    "cierto correcto correto waar sant правда верно истина kyllä igen 是 是的 对 對 正确 正確 はい 正しい "
    "예 네 맞습니다 참"
)
_NO = word_set(
    "no nope nah false incorrect wrong untrue negative never "
    "non não nao nein nee nej nei нет nie ne hayır tidak bukan không όχι לא नहीं لا نه faux falso falsch onwaar fel "
    "неверно неправда ложь ei nem 不 不是 否 不对 不對 错误 錯誤 错 いいえ 間違い 아니요 아니오 아닙니다 거짓"
)
_FIRST_WORD = re.compile(r"[\s*_`'\"(\[{#>:,-]*([^\W\d_](?:[^\W\d_]|[\u0900-\u0dff])*)")
_EITHER = re.compile(r"\b(?:yes|true|correct|right)\b\s*(?:/|,|or|and)\s*(?:no|false|incorrect|wrong)\b", re.IGNORECASE)
_DENIED = re.compile(
    r"[\s*_`'\"]*(?:(?:this|that|it|the statement|the claim)\s+(?:is|was)\s+)?"
    r"(?:not(?!\s+(?:false|incorrect|wrong|untrue)\b)|isn't|never|(?:definitely|absolutely|certainly) not)\b",
    re.IGNORECASE,
)
_VERDICT = re.compile(
    r"\b(?:(?:is|are|was|were|be|it's|that's|as)\s+(?P<not>not\s+)?|(?P<isnt>isn't|aren't|wasn't|"
    r"not)\s+)(?:\w+ly\s+)?[*_\"'`]{0,3}"
    r"(?P<word>true|false|correct|incorrect|right|wrong|untrue|yes|no)\b(?![\w-])(?!\s+[a-z]+\s+(?:of|for)\b)"
    r"(?!\s*(?:or|/)\s*(?:not|true|false|correct|incorrect|right|wrong|yes|no)\b)",
    re.IGNORECASE,
)

_HEDGE = re.compile(
    r"^[\s*_`'\"]*(?:(?:most\s+|very\s+)?(?:probably|likely|possibly|perhaps|maybe|presumably)|"
    r"i\s+(?:think|believe|would say)(?:\s+that)?|in\s+general|generally|technically|strictly speaking|"
    r"(?:almost\s+)?[a-z]{3,14}ly(?=,|\s+(?:yes|no|true|false)\b))"
    r"[,:]?\s+(?=[a-z])",
    re.IGNORECASE,
)
# "They cannot.", "He did."
_SHORT_SIDE = re.compile(
    r"[\s*_`'\"]*(?:it|he|she|they|we|you|i|this|that|there)\s+(?:is|are|was|were|do|does|did|can|could|will|would|has|have|"
    r"had|should)(?P<not>\s?not|n't)?[\s*_`'\".!]*",
    re.IGNORECASE,
)
_CONCLUDED = re.compile(r"\b(?:so|thus|therefore|hence)[,:]?\s+(yes|no|true|false)\b[\s.!*_]*$", re.IGNORECASE)
_WONDERED = re.compile(r"\b(?:whether|if)\b[^.!?;\n]{0,60}$", re.IGNORECASE)


def _side(word: str) -> str | None:
    word = word.lower()
    return "yes" if word in _YES else "no" if word in _NO else None


def read_boolean(content: str) -> str | None:
    """`yes` or `no` for what a committed answer begins with or concludes; None where it takes no side."""
    content = _HEDGE.sub("", prose(content[:300]), count=1)
    if _EITHER.search(content):
        return None
    first = _FIRST_WORD.match(content)
    word = first[1] if first is not None else ""
    emphatic = word.lower() in ("definitely", "certainly", "absolutely")  # "definitely not"
    if (emphatic or _side(word) is None) and _DENIED.match(content):
        return "no"
    if _side(word) is not None:
        return _side(word)
    short = _SHORT_SIDE.fullmatch(content)
    if short is not None:
        return "no" if short["not"] else "yes"
    concluded = _CONCLUDED.search(content)
    return _side(concluded[1]) if concluded is not None else _last_verdict(content)


def read_side(content: str, offered: Sequence[str] = ()) -> tuple[str, str] | None:
    """(`yes` or `no`, the word shown): the word that the question offers for that side, else the side itself."""
    side = read_boolean(content)
    if side is None:
        return None
    return side, next((word for word in offered if _side(word) == side), side)


_PLAIN_SIDES = word_set(
    "yes no yeah nope true false sí si sì sim oui ja da tak evet vrai verdadero verdadeiro vero wahr non não nein nee "
    "nej нет да faux falso falsch 是 是的 否 不是 はい いいえ 네 아니요"
)


def plain_side(word: str) -> str | None:
    """The side of a word that means nothing else: "right", "never" and "correct" are words where no side is asked."""
    return _side(word) if word.lower() in _PLAIN_SIDES else None


def _last_verdict(text: str) -> str | None:
    found = None
    for verdict in _VERDICT.finditer(text):
        if _WONDERED.search(text[max(0, verdict.start() - 70) : verdict.start()]):
            continue  # only asked about: "whether the claim is true"
        side = _side(verdict["word"])
        found = ({"yes": "no", "no": "yes"}[side or "yes"]) if verdict["not"] or verdict["isnt"] else side
    return found
