"""Yes or no, true or false, in the words and languages in which models say so.

Owns those words. Keys are `yes` and `no`: "true" and "yes" are one vote. Must not know other kinds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dynscale_cli.answers.latex import prose
from dynscale_cli.answers.normalize import word_set

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
_FIRST = re.compile(r"[\s*_`'\"(\[{#>:,-]*([^\W\d_](?:[^\W\d_]|[\u0900-\u0dff])*)")
_EITHER = re.compile(r"\b(?:yes|true|correct|right)\b\s*(?:/|,|or|and)\s*(?:no|false|incorrect|wrong)\b", re.IGNORECASE)
_NEGATED = re.compile(
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
    r"[a-z]{3,14}ly(?=,))"
    r"[,:]?\s+(?=[a-z])",
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
    first = _FIRST.match(content)
    word = first[1] if first is not None else ""
    emphatic = word.lower() in ("definitely", "certainly", "absolutely")  # "definitely not"
    if (emphatic or _side(word) is None) and _NEGATED.match(content):
        return "no"
    if _side(word) is not None:
        return _side(word)
    concluded = _CONCLUDED.search(content)
    return _side(concluded[1]) if concluded is not None else _last_verdict(content)


def read_side(content: str, offered: Sequence[str] = ()) -> tuple[str, str] | None:
    """(`yes` or `no`, the word shown): the word that the question offers for that side, else the side itself."""
    side = read_boolean(content)
    if side is None:
        return None
    return side, next((word for word in offered if _side(word) == side), side)


_PLAIN = word_set(
    "yes no yeah nope true false sí si sì sim oui ja da tak evet vrai verdadero verdadeiro vero wahr non não nein nee "
    "nej нет да faux falso falsch 是 是的 否 不是 はい いいえ 네 아니요"
)


def plain_side(word: str) -> str | None:
    """The side of a word that means nothing else: "right", "never" and "correct" are words where no side is asked."""
    return _side(word) if word.lower() in _PLAIN else None


def _last_verdict(text: str) -> str | None:
    found = None
    for verdict in _VERDICT.finditer(text):
        if _WONDERED.search(text[max(0, verdict.start() - 70) : verdict.start()]):
            continue  # only asked about: "whether the claim is true"
        side = _side(verdict["word"])
        found = ({"yes": "no", "no": "yes"}[side or "yes"]) if verdict["not"] or verdict["isnt"] else side
    return found
