"""What a question offers as answers: labelled options, named alternatives, answers for special cases, labels to use.

Owns finding these in a question's text: "A) red B) blue", "yes, no or maybe", "answer 'unknown' if …", "write
'Result:' and …". Must not know completions, nor what kind of answer the rest of the question wants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dynscale_cli.answers.normalize import plain, word_set

_LONGEST_OPTION = 300


@dataclass(frozen=True, slots=True)
class Options:
    """Options in order, without their labels; `labels` as a completion names them, empty where they have none."""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


# --- labelled options ------------------------------------------------------------------------------------------

_MARK = re.compile(
    r"(?:^|(?<=[\s(\[*]))(?:option|choice)?\s?[(\[*]{0,3}(?P<label>[A-Ja-j]|[1-9]|i{1,3}|iv|v)"
    r"(?:[*]{0,2}[)\]][*]{0,2}[.:]?\s?|[*]{0,2}[.:][*]{0,2}\s|[ \t]-[ \t])(?=\S)",
    re.MULTILINE,
)
_SEQUENCES = (tuple("ABCDEFGHIJ"), tuple("abcdefghij"), ("i", "ii", "iii", "iv", "v"), tuple("123456789"))
_ASKS_TO_CHOOSE = re.compile(
    r"\b(?:options?|choices?|following|which|choose|pick|select|correct one|one of|welche|wähle|quelle?|choisis|cuál|"
    r"elige)\b"
    r"|[哪选選]",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"\b(?:all that apply|all of the (?:correct|true)|(?:which|choose|select|pick|name)\s+(?:the\s+)?(?:two|three|"
    r"four|2|3|4)|"
    r"which (?:ones|of (?:these|the following|them) are)|one or more)\b",
    re.IGNORECASE,
)
_SENTENCE_BEHIND = re.compile(r"(?<=[\w)\"'])(?:[.?!]\s+(?=[A-Z\"'(])|\s*\n|\s{2,}(?=[A-Z]))")
_BULLET = re.compile(r"^[ \t]*[-*•][ \t]+(\S[^\n]{0,120})$", re.MULTILINE)


def labelled_options(question: str) -> Options:
    """Options with letters or numbers in front, or as a list of bullets; none where several may be chosen."""
    text = plain(question)
    if _SEVERAL.search(text):
        return Options()
    for sequence in _SEQUENCES:
        found = _in_sequence(text, sequence)
        if found.texts and (sequence[0] in "Aa" or _ASKS_TO_CHOOSE.search(text)):
            return found
    bullets = _BULLET.findall(text)
    if 2 <= len(bullets) <= 10 and re.search(r"\b(?:which|choose|pick|select|one of)\b", text, re.IGNORECASE):
        return Options(tuple(bullet.strip() for bullet in bullets))
    return Options()


def _in_sequence(text: str, sequence: tuple[str, ...]) -> Options:
    marks: list[re.Match[str]] = []
    for mark in _MARK.finditer(text):
        if len(marks) < len(sequence) and mark["label"] == sequence[len(marks)]:
            marks.append(mark)
        elif mark["label"] == sequence[0]:
            marks = [mark]
    if len(marks) < (2 if sequence[0] in "Aa" else 3):
        return Options()
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    options = [_trimmed(text[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]
    if not any(_SENTENCE_BEHIND.search(option) for option in options[:-1]):
        options[-1] = _trimmed(_SENTENCE_BEHIND.split(options[-1], maxsplit=1)[0])
    if not all(options) or max(map(len, options)) > _LONGEST_OPTION or len(set(options)) < len(options):
        return Options()
    labels = sequence[: len(options)]
    return Options(tuple(options), tuple(label.upper() for label in labels) if sequence[0] in "Aa" else labels)


def _trimmed(option: str) -> str:
    option = re.sub(r"[\s,;*]*(?:\b(?:or|and)\b)?[\s,;*(\[]*$", "", option.strip())
    return option.removesuffix("?").strip().rstrip(".").strip() or option.strip()


# --- named alternatives ----------------------------------------------------------------------------------------

_QUOTED = r"[\"'`*]{1,2}[^\"'`*\n]{1,40}[\"'`*]{1,2}"
_BARE = (
    r"[^\s,.;:?!\"()/|`]{1,40}"
    r"(?:[ ](?!(?:or|oder|ou|o|and|if|when|unless|depending|based|to)\b)[^\s,.;:?!\"()/|`]{1,40}){0,3}"
)
_ITEM = rf"(?:{_QUOTED}|n/a\b|{_BARE})"
_OR = r"(?:\s*,?\s+(?:or|oder|ou|o)\s+(?:else\s+)?|\s*/\s*|\s*\|\s*)"
_LIST = rf"(?P<list>{_ITEM}(?:\s*[,;]\s*{_ITEM}){{0,8}}{_OR}{_ITEM}(?:{_OR}{_ITEM}){{0,8}})"
_PLAIN_LIST = rf"(?P<list>{_ITEM}(?:\s*[,;|/]\s*(?:or\s+|and\s+)?{_ITEM}){{1,11}})"
_LIST_END = r"(?=[\]})]?\s*(?:[.?!:;)\n]|$|only\b|and nothing else|depending\b|based\b|if\b|to (?:the|this)\b|, ))"
_VERB = (
    r"(?:answer|say|reply|respond|choose|pick|select|state|write|output|return|classify|label|rate|categori[sz]e|"
    r"decide|compare|tell me|give|print|use|mark|judge|assign|antworte|réponds|répondez|responde|contesta)"
)
_ALTERNATIVES = (
    # Answer yes, no or maybe. Classify it as positive, negative or neutral.
    re.compile(
        rf"\b{_VERB}\b(?:[^.?!\n:\"']{{0,80}}?\b(?:as|with|whether (?:it|this|that|the \w+) is|either|between|from|mit|"
        rf"par|con)\b)?(?:\s*:)?\s+(?:one of\s+|either\s+|exactly\s+|just\s+|only\s+|simply\s+|the words?\s+)*[(\[{{]?"
        rf"{_LIST}{_LIST_END}"
    ),
    # one of: red, green, blue; options: red, green, blue
    re.compile(
        rf"\b(?:one of(?: the following)?|(?:from|among)(?: the following)?|options|choices|labels|categories|classes|"
        rf"(?:possible|allowed|valid) (?:answers|values|labels|options))\b(?:\s+are)?\s*(?::\s*|"
        rf"(?=\s[\"'`]))\s?[(\[{{]?"
        rf"{_PLAIN_LIST}{_LIST_END}"
    ),
    # True, false or undetermined: all swans are white.
    re.compile(rf"(?:^|[.?!]\s+){_LIST}\s*:"),
    # Fill in the blank with < or >.
    re.compile(r"(?<!\S)(?P<list>[<>=+×÷*/≤≥≠-](?:,\s*[<>=+×÷*/≤≥≠-]){0,5},?\s+or\s+[<>=+×÷*/≤≥≠-])(?![\w.])"),
    # What is the sentiment: positive, negative or neutral? Which is older, Rome or Paris? (yes/no/maybe)
    re.compile(rf":\s*[(\[]?{_LIST}[)\]]?\s*(?:[.?]|$|\n)"),
    re.compile(rf"^(?:which|who|what|where|when)\b[^,?.:]{{3,80}},\s+(?:(?:is|was|are) it\s+)?{_LIST}\s*\?"),
    re.compile(rf"[(\[]{_LIST}[)\]]"),
    # Is the number even or odd? The first of the list is as long as the others: one word.
    re.compile(
        r"(?:^|[.?!]\s+)(?:is|are|was|were|does|do|did|should|would|will)\s[^,?.:;\n]{1,100}?\s"
        r"(?P<list>[a-z<>+-]+(?:,\s[a-z-]+){0,6},?\s(?:or)\s[a-z<>+-]+)(?:\s(?:on|over|at|when|for)\s[^?\n]{1,40})?\s*\?"
    ),
)
_SPLIT = re.compile(r"\s*(?:[,;]?\s+(?:or|oder|ou|o|and)\s+(?:else\s+)?|[,;|]|(?<!\bn)/|/(?!a\b))\s*", re.IGNORECASE)
_NO_ITEM = word_set(
    "not otherwise else a an the it this that in by with if so more less fewer most at least than nothing something "
    "both "
    "your my answer explain think step letter number option choice"
)
_ONLY = re.compile(r"\s+(?:only|exactly|please)\s*$", re.IGNORECASE)
_YES_NO = ({"yes", "no"}, {"true", "false"}, {"correct", "incorrect"}, {"right", "wrong"})
_QUOTES = " \"'`*()[]{}"


def alternatives(question: str) -> tuple[str, ...]:
    """Unlabelled answers to choose from: ("yes", "no", "maybe"); () where the question names none."""
    text = plain(question)
    lowered = text.lower()
    if len(lowered) != len(text):
        text = lowered
    for pattern in _ALTERNATIVES:
        for match in pattern.finditer(lowered):
            start, end = match.span("list")
            items = [_ONLY.sub("", item).strip(_QUOTES) for item in _SPLIT.split(text[start:end])]
            items = [item for item in items if item]
            if _are_alternatives(items):
                return tuple(items)
    return ()


def _are_alternatives(items: list[str]) -> bool:
    folded = [item.lower() for item in items]
    if not 2 <= len(set(folded)) == len(folded) <= 12 or any(len(item) > 40 for item in items):
        return False
    first_words = {(item.removeprefix("not ").split() or [""])[0] for item in folded}  # "yes, no or not mentioned"
    if first_words & _NO_ITEM or any(item.endswith(("...", "…")) for item in items):
        return False
    return any(char.isalpha() or char in "<>=+-*/" for item in items for char in item)


def is_yes_or_no(options: tuple[str, ...]) -> bool:
    return {option.lower() for option in options} in _YES_NO


# --- answers for special cases ---------------------------------------------------------------------------------

_SAY = (
    r"(?:answer|say|write|reply|respond|return|output|put|state|print|use|give|type|enter|antworte|schreibe|réponds|"
    r"écris|responde|escribe)"
)
_LEAD = r"(?:(?:with|only|just|exactly|simply|as|mit|par|con|the\s+(?:word|phrase|text|answer)s?)\s+|:\s*)*"
_SPECIAL = (
    r"(?:[\"'`](?P<quoted>[^\"'`\n]{1,60})[\"'`]|(?P<bare>[^\W\d_][\w/-]*(?: (?!if\b|when\b|unless\b)[\w/-]+){0,3}))"
)
_WHEN = r"(?:if|when|where|unless|in case|whenever|falls|wenn|si)"
_CASES = (
    re.compile(rf"\b{_WHEN}\b[^.?!\n=(){{}}<>_]{{3,140}}?[,:]?\s+(?:then\s+)?(?:please\s+)?(?:just\s+|simply\s+)?"
               rf"(?:(?:you|it)\s+(?:should|must|can)\s+)?{_SAY}\s+{_LEAD}{_SPECIAL}(?=[\s]*(?:[.!,;)\n]|$|instead\b))",
               re.IGNORECASE),
    re.compile(rf"\b{_SAY}\s+{_LEAD}{_SPECIAL},?\s+{_WHEN}\b", re.IGNORECASE),
    re.compile(rf"(?<![\"'`]\s)\b(?:or|otherwise|else),?\s+(?:{_SAY}\s+)?{_LEAD}[\"'`](?P<quoted>[^\"'`\n]{{1,60}})[\"'`]"
               rf"(?P<bare>)?(?=\s*(?:[.!;)\n]|$|{_WHEN}\b))", re.IGNORECASE),
    re.compile(rf"\botherwise,?\s+{_SAY}\s+{_LEAD}{_SPECIAL}(?=\s*(?:[.!;)\n]|$))", re.IGNORECASE),
)  # fmt: skip
_NO_CASE = word_set(
    "the a an one this these my it me how what why in by all your its only each any them their as with using to at "
    "no_more "
    "yes_or_no true_or_false"
)


def special_answers(question: str) -> tuple[tuple[str, ...], str]:
    """(answers that the question allows for special cases, the question without the sentences that say so)."""
    text = plain(question)
    found: list[str] = []
    spans: list[tuple[int, int]] = []
    for pattern in _CASES:
        for case in pattern.finditer(text):
            said = (case["quoted"] or case["bare"] or "").strip().rstrip(".")
            if said and not said.endswith(":") and (case["quoted"] or said.split()[0].lower() not in _NO_CASE):
                found.append(said)
                spans.append(case.span())
    for start, end in sorted(spans, reverse=True):
        begin = max((text.rfind(mark, 0, start) for mark in ".?!\n"), default=-1) + 1
        stop = re.compile(r"[.?!\n]|$").search(text, end)
        text = text[:begin] + " " + text[stop.end() if stop is not None else end :]
    return tuple(dict.fromkeys(found)), text


# --- labels that the question asks for -------------------------------------------------------------------------

_ASKED_LABEL = re.compile(
    r"\b(?:write|end|finish|respond|reply|answer|start|begin|prefix|precede|format|put|print|give|mark|state|conclude|"
    r"output|use|say|line|form|like|as)\b[^.?!\n\"'`]{0,80}[\"'`*]{1,2}(?P<label>[^\"'`*:\n]{1,30}:)",
    re.IGNORECASE,
)


def asked_labels(question: str) -> tuple[str, ...]:
    """Labels that the answer is to stand behind, in lower case: 'write "Result: " and …' gives ("result:",)."""
    found = (match["label"].strip().lower() for match in _ASKED_LABEL.finditer(plain(question)))
    return tuple(dict.fromkeys(label for label in found if len(label) > 1))
