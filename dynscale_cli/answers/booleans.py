"""Yes or no, true or false, in the words and languages in which models say so.

Owns those words. Keys are `yes` and `no`: "true" and "yes" are one vote. Must not know other kinds.
"""

from __future__ import annotations

import re

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
    r"\b(?:(?:is|are|was|were|be|it's|that's|as)\s+(?P<not>not\s+)?|(?P<isnt>isn't|aren't|wasn't|not)\s+)(?:\w+ly\s+)?[*_\"'`]{0,3}"
    r"(?P<word>true|false|correct|incorrect|right|wrong|untrue|yes|no)\b(?![\w-])(?!\s+[a-z]+\s+(?:of|for)\b)"
    r"(?!\s*(?:or|/)\s*(?:not|true|false|correct|incorrect|right|wrong|yes|no)\b)",
    re.IGNORECASE,
)
_LONE = re.compile(
    r"(?<![\w'-])(?P<word>yes|no|true|false)(?=\s*[*_\"'`]*(?:[.,!;:]|\s*$))", re.IGNORECASE | re.MULTILINE
)


_NOT_QUITE = re.compile(
    r"[\s*_]*not\s+(?:necessarily|really|true|correct|always|exactly|possible|quite|at all)\b", re.IGNORECASE
)
_HEDGE = re.compile(
    r"[\s*_`'\"]*(?:(?:most\s+|very\s+)?(?:probably|likely|possibly|perhaps|maybe|presumably)|"
    r"i\s+(?:think|believe|would say)(?:\s+that)?|in\s+general|generally|technically|strictly speaking)"
    r"[,:]?\s+(?=[a-z])",
    re.IGNORECASE,
)
_WONDERED = re.compile(r"\b(?:whether|if)\b[^.!?;\n]{0,60}$", re.IGNORECASE)
_REVISED = re.compile(
    r"\b(?:actually|correction|no wait|wait|so|thus|therefore|hence)[,:]?\s+(yes|no|true|false)\b(?=\s*(?:[.,!;*]|$))",
    re.IGNORECASE,
)


def _without_hedge(content: str) -> str:
    hedge = _HEDGE.match(content)
    return content if hedge is None else content[hedge.end() :]


def _side(word: str) -> str | None:
    word = word.lower()
    return "yes" if word in _YES else "no" if word in _NO else None


def read_boolean(content: str) -> str | None:
    """`yes` or `no` for what a committed answer begins with or concludes; None where it takes no side."""
    content = _without_hedge(prose(content[:300]))
    if _EITHER.search(content):
        return None
    first = _FIRST.match(content)
    word = first[1] if first is not None else ""
    emphatic = word.lower() in ("definitely", "certainly", "absolutely")  # "definitely not"
    if (emphatic or _side(word) is None) and _NEGATED.match(content):
        return "no"
    if _side(word) is not None:
        return _side(word)
    return _last_verdict(content)


def find_boolean(text: str) -> str | None:
    """The side that an uncommitted completion takes: how it begins, else its last verdict, else its last yes or no."""
    head = text.lstrip()[:200]
    first = _FIRST.match(head)
    side = _side(first[1]) if first is not None else None
    tail = text[-800:]
    if _NOT_QUITE.match(head):
        return "no"
    revised = [match[1] for match in _REVISED.finditer(tail)]
    if revised:
        return _side(revised[-1])
    if side is not None and first is not None and not _EITHER.match(head) and _stands_alone(head, first):
        return side
    verdict = _last_verdict(tail)
    if verdict is not None:
        return verdict
    lone = [match["word"] for match in _LONE.finditer(tail) if not _is_wondered(tail, match.start())]
    return _side(lone[-1]) if lone and not _EITHER.search(tail[-120:]) else None


def _stands_alone(head: str, first: re.Match[str]) -> bool:
    """Whether the first word is an answer, not "No doubt …" or "Right triangles …"."""
    follows = head[first.end() :].lstrip("*_`'\" ")[:1]
    return follows in tuple(",.!;:-\n。，、") or not follows or first[1].lower() not in ("no", "right", "correct")


def _is_wondered(text: str, at: int) -> bool:
    """Whether a verdict is only asked about: "whether the claim is true"."""
    return _WONDERED.search(text[max(0, at - 70) : at]) is not None


def _last_verdict(text: str) -> str | None:
    found = None
    for verdict in _VERDICT.finditer(text):
        if _is_wondered(text, verdict.start()):
            continue
        side = _side(verdict["word"])
        found = ({"yes": "no", "no": "yes"}[side or "yes"]) if verdict["not"] or verdict["isnt"] else side
    return found
