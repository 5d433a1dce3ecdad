"""What kind of answer a question wants: stated by the user, or decided from its choices and wording.

Owns `AnswerType`, its spelling on the command line, and the wording of questions. Must not know completions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from dynscale_cli.answers.normalize import lower, plain
from dynscale_cli.errors import UsageError

KindName = Literal["auto", "number", "choice", "boolean", "math", "text", "regex"]
_NAMES = ("auto", "number", "choice", "boolean", "math", "text")


@dataclass(frozen=True, slots=True)
class AnswerType:
    """A kind of answer. `pattern` belongs to `regex`; `long` texts are whole responses, not last lines.

    `ordered`: whether the order of a list tells.
    """

    name: KindName = "auto"
    pattern: str = ""
    long: bool = False
    ordered: bool = True

    @classmethod
    def parse(cls, text: str) -> AnswerType:
        """`auto`, `number`, `choice`, `boolean`, `math`, `text` or `regex:PATTERN`; else a UsageError."""
        name, colon, pattern = text.strip().partition(":")
        name = name.strip().lower()
        if name == "regex":
            return cls._regex(pattern)
        if colon or name not in _NAMES:
            raise UsageError(
                f"unknown answer type {text!r}",
                f"use one of {', '.join(_NAMES)} or regex:PATTERN, e.g. --answer-type number",
            )
        return cls(cast(KindName, name))

    @classmethod
    def _regex(cls, pattern: str) -> AnswerType:
        hint = r"e.g. --answer-type 'regex:Code: (\w+)'; its first group, or all of the last match, is the answer"
        if not pattern:
            raise UsageError("answer type regex: has no pattern", hint)
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as wrong:
            raise UsageError(f"answer type regex: the pattern does not compile: {wrong}", hint) from wrong
        return cls("regex", pattern)

    def __str__(self) -> str:
        return f"regex:{self.pattern}" if self.name == "regex" else self.name

    def for_question(self, question: str, choices: Sequence[str] = ()) -> AnswerType:
        """The kind for one question: `auto` is decided, `text` learns whether it is long, others stay."""
        if self.name == "auto":
            return decide(question, choices)
        if self.name == "text" and not self.long and wants_long(question):
            return AnswerType("text", long=True)
        return self


_OPTION = re.compile(r"(?:^|[\s(\[])[(\[]?([A-Ja-j1-6])(?:[)\]]\s?|[.:]\s)(?=\S)")
_MANY_CHOICES = 26


def inline_choices(question: str) -> tuple[str, ...]:
    """The options written into a question ("A) red B) blue", "(a) … (b) …"), without letters; () if there are none."""
    text = plain(question)
    for first in "Aa1":
        marks = []
        expected = first
        for mark in _OPTION.finditer(text):
            if mark[1] == expected:
                marks.append(mark)
                expected = chr(ord(expected) + 1)
            elif mark[1] == first:
                marks, expected = [mark], chr(ord(first) + 1)
        if len(marks) >= (3 if first == "1" else 2):
            ends = [*(mark.start() for mark in marks[1:]), len(text)]
            options = [text[mark.end() : end].strip().rstrip(",;") for mark, end in zip(marks, ends, strict=True)]
            options[-1] = options[-1].partition("\n")[0].strip()
            if (
                all(options)
                and max(map(len, options)) <= 300
                and (first != "1" or "option" in text.lower() or "following" in text.lower())
            ):
                return tuple(options[:_MANY_CHOICES])
    return ()


_LONG = re.compile(
    r"^(?:please\s+|can you\s+|could you\s+|would you\s+|kindly\s+|i (?:want|need|would like) (?:you to\s+)?|"
    r"help me\s+|now\s+)*"
    r"(?:explain|describe|write|summari[sz]e|compose|draft|discuss|outline|elaborate|tell me|translate|rewrite|"
    r"paraphrase|implement|"
    r"create|generate|brainstorm|suggest|recommend|list|compare|contrast|analy[sz]e|critique|argue|essay|poem|"
    r"story|teach|show me how|"
    r"give (?:me )?(?:an?|some|three|two|five|\d+) (?:example|overview|summary|explanation|reason|idea|tip|"
    r"description|list|\w+ examples?)|"
    r"why\b|how (?:do|does|did|can|could|should|would|to|is|are)\b|"
    r"explica|describe|escribe|resume|explique|écris|décris|résume|erkläre|beschreibe|schreibe|fasse|объясни|"
    r"опиши|напиши|解释|描述|写|说明|説明|翻译)",
)
_LONG_LATER = re.compile(
    r"\b(?:explain (?:why|how|in|your|the|what)|write (?:an?|the|me) (?!answer|number|final|expression|equation|"
    r"value|result)|in your own words|step[- ]by[- ]step guide)\b"
)
_BOOLEAN = re.compile(
    r"\b(?:yes or no|yes/no|true or false|true/false|answer (?:with )?(?:yes|true)|is it true|"
    r"correct or incorrect|oui ou non|sí o no|ja oder nein|да или нет)\b|是否|吗[?？]?\s*$|对吗"
)
_GERMAN_WAS = (
    r"was\s+(?:ist|sind|war(?:en)?|wird|hat|kann|man|für|kosten|kostet|ergibt|macht|bedeutet|hei(?:ß|ss)t|bleibt|"
    r"passiert|geschieht|kommt|braucht|gibt|gehört|folgt|fehlt)\b"
)
_BOOLEAN_START = re.compile(
    rf"^(?:so,?\s+|then,?\s+)?(?!{_GERMAN_WAS})"
    r"(?:is|are|was|were|do|does|did|can|could|will|would|has|have|had|should|may|might|"
    r"must|isn't|aren't|doesn't|didn't)\s+(?!you\s+(?:tell|give|calculate|compute|find|solve|list|name|please|"
    r"help|show|what|simplify|evaluate|factor|expand|convert|determine|estimate|express|prove|derive|add|multiply|"
    r"integrate|differentiate|state|do|make|work))"
)
_ALTERNATIVES = re.compile(r"\b(?:or|oder|ou)\b")
_NUMBER = re.compile(
    r"\b(?:how (?:many|much|old|far|long|tall|fast|big|often|deep|wide|heavy|high)|what (?:number|percent(?:age)?|"
    r"fraction|year|age|amount|time)|in what year|which year|"
    r"(?:find|calculate|compute|determine|what is|what's|what was|what will be|what are|"
    r"give) (?:the )?(?:\w+ )?(?:sum|product|difference|quotient|average|mean|median|total|area|volume|perimeter|"
    r"number|cost|price|profit|speed|distance|probability|percentage|remainder|value|result|length|width|height|"
    r"age|weight|amount|ratio|rate|gcd|lcm|factorial|perimeter|circumference|radius|square root)|"
    r"cu[aá]nt[oa]s?|combien|wie ?viele?|quanti|quante|quanto|quantos|quantas|hoeveel|hur många|ile|kaç|berapa)\b|"
    r"сколько|多少|几个|何個|いくつ|いくら|몇|कितन|كم "
)
# An unknown in a formula that is typed plainly: x^2, 3x + 7, (x, y); "3 x 4" is a product. In code it is a variable.
_ALGEBRA = re.compile(
    r"(?<![a-z\d])\d*[xyz](?:\s?(?:\^|\*\*|[+=<>≤≥]|[-*/]\s?\d)|\s-\s)|(?:[+*/=]|(?<![a-z])-)\s?\d*[xyz](?![a-z\d'])|"
    r"\(\s?[xyz]\s?,\s?[xyz]\s?[,)]"
)
_CODE = re.compile(r"`|\bprintf?\s?\(|console\.log|\bdef\s|\breturn\b|;\s*(?:\n|$)")
# Worded like a request for prose, but what is wanted is a value: "Write 10 in binary", "List all factors of 12".
_EXACT = re.compile(
    r"^(?:please\s+|can you\s+|could you\s+)*(?:write\s+(?:down\s+)?\S*\d\S*\s+(?:in|as|using)\b|"
    r"(?:write|list|give|name|generate)\s+(?:down\s+)?(?:me\s+)?(?:all|the|every)\s+(?:\w+\s+){0,4}?"
    r"(?:factors|divisors|multiples|primes|prime numbers|solutions|roots|integers|subsets|perfect squares)\b)"
)
_ARITHMETIC = re.compile(
    r"\d\s?(?:%|percent)\s+of\b|\d\s*(?:[-+*/×÷x^]|plus|minus|times|divided by|multiplied by|mod)\s*\(?-?\d"
)
_CALCULATE = re.compile(r"\b(?:calculate|compute|evaluate|add|subtract|multiply|divide)\b")
_MATH = re.compile(
    r"\\(?:frac|sqrt|int|sum|begin|cdot|left|le|ge|pi|infty|log|sin|cos|tan|boxed|in|cup|theta)|"
    r"\$[^$\n]{0,200}?[\\^_=][^$\n]{0,200}\$|\$[a-z0-9]{1,3}\$|"
    r"\b(?:simplify|factor(?:ize|ise)?|solve (?:for|the)|derivative|integral|differentiate|integrate|"
    r"antiderivative|expand|in terms of|expression|equation|polynomial|"
    r"matrix|vector|coordinates|interval notation|domain|range of|inverse function|roots? of|simplest form|"
    r"closed form|slope-intercept|in radians|ordered pair|eigenvalue)\b|√|∫|²|³|\[\["
)
_LOOK = 4000  # characters of a long question that its wording is read from, at either end


def wants_long(question: str) -> bool:
    """Whether the wording asks for prose, code or a translation: an answer that is a whole response."""
    low = lower(plain(question[:_LOOK])).strip()
    return bool(_LONG.match(low) or _LONG_LATER.search(low)) and not _EXACT.match(low)


def decide(question: str, choices: Sequence[str] = ()) -> AnswerType:
    """The kind of one question's answer; `auto` where neither choices nor wording tell (then each sample does)."""
    if choices:
        return AnswerType("choice")
    shortened = question if len(question) <= 2 * _LOOK else question[:_LOOK] + "\n" + question[-_LOOK:]
    if inline_choices(shortened):
        return AnswerType("choice")
    low = lower(plain(shortened)).strip()
    asked = _asked(low)
    if _BOOLEAN.search(low) and not _NUMBER.search(asked):
        return AnswerType("boolean")
    yes_or_no = _BOOLEAN_START.match(asked) and not _ALTERNATIVES.search(asked)
    if yes_or_no and asked.endswith("?") and not (_NUMBER.search(asked) or _LONG.match(asked)):
        return AnswerType("boolean")
    numeric = _NUMBER.search(low) or _ARITHMETIC.search(low)
    prose = _LONG.match(low) and not _EXACT.match(low)
    if (numeric or not prose) and _is_mathematics(low, asked):
        return AnswerType("math")
    if numeric and not (prose and not low.startswith(("how", "tell me how many", "tell me how much"))):
        return AnswerType("number")
    if _LONG.match(asked) or _LONG.match(low) or _LONG_LATER.search(low):
        return AnswerType("text", long=True)
    if yes_or_no:
        return AnswerType("boolean")
    if _CALCULATE.search(low):
        return AnswerType("math")
    return AnswerType("auto")


def _is_mathematics(low: str, asked: str) -> bool:
    """Whether formulas are asked for, not only a number."""
    if _MATH.search(low) or _EXACT.match(low):
        return True
    return bool(_ALGEBRA.search(low)) and not _NUMBER.search(asked) and not _CODE.search(low)


def _asked(low: str) -> str:
    """The sentence with the last question mark, else the last sentence."""
    sentences = [piece.strip() for piece in re.split(r"(?<=[.?!])\s+|\n+", low) if piece.strip()]
    questions = [piece for piece in sentences if piece.endswith("?")]
    return (questions or sentences or [""])[-1]
