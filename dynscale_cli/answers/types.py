"""What kind of answer a question wants: its spelling on the command line, and what a question's wording tells.

Owns `AnswerType`: its name, whether it was stated or guessed, and what the wording says of the answer; and the words by
which questions tell, in several languages. A guess is made on real evidence ("how many", an equation, options), never
on digits, dates or words such as "time", "cost" and "total", and gives way when the samples answer otherwise (`vote`);
a stated kind stays. Must not know completions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from dynscale_cli.answers.normalize import any_of, lower, plain, words
from dynscale_cli.answers.offers import alternatives, asked_labels, is_yes_or_no, labelled_options, special_answers
from dynscale_cli.errors import UsageError

KindName = Literal["auto", "number", "choice", "boolean", "math", "text", "long", "json", "regex"]
_NAMES = ("auto", "number", "choice", "boolean", "math", "text", "long", "json")
_LOOK = 4000  # characters of a long question that its wording is read from, at either end


@dataclass(frozen=True, slots=True)
class Wording:
    """What a question says of its answer.

    `options`: what it offers, with their `labels` if it gives any; `also`: answers for special cases; `labels_asked`:
    labels that the answer is to stand behind; `ordered`: whether the order of a list tells; `topic`: its words.
    """

    guess: KindName = "auto"
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    labels_asked: tuple[str, ...] = ()
    ordered: bool = True
    topic: frozenset[str] = frozenset()


_INDEXED = re.compile(r"\b[a-z](?:_\{?\d|[₁-₉])")  # x_1, which is no word
PLAIN = Wording()  # says nothing


@dataclass(frozen=True, slots=True)
class AnswerType:
    """A kind of answer. `pattern` belongs to `regex`; `guessed`: decided from the question, not stated."""

    name: KindName = "auto"
    pattern: str = ""
    guessed: bool = False
    wording: Wording = PLAIN

    @property
    def long(self) -> bool:
        """Whether an answer is a whole response, which is not read off a last line."""
        return self.name == "long"

    @property
    def ordered(self) -> bool:
        """Whether the order of a list tells answers apart."""
        return self.wording.ordered

    @classmethod
    def parse(cls, text: str) -> AnswerType:
        """`auto`, `number`, `choice`, `boolean`, `math`, `text`, `long`, `json` or `regex:PATTERN`; else UsageError."""
        name, colon, pattern = text.strip().partition(":")
        name = name.strip().lower()
        if name == "regex":
            return cls._regex(pattern)
        if colon or name not in _NAMES:
            raise UsageError(
                f"unknown answer type {text!r}",
                f"{', '.join(_NAMES)} or regex:PATTERN",
            )
        return cls(cast(KindName, name))

    @classmethod
    def _regex(cls, pattern: str) -> AnswerType:
        hint = r"such as --answer-type 'regex:Code: (\w+)', whose group is the answer"
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
        """The kind for one question: `auto` is decided, and every kind learns what the wording says of the answer."""
        if self.name in ("regex", "long", "json"):
            return self
        wording = read_wording(question, choices)
        if self.name == "auto":
            # Choices that stand beside the question are no guess.
            return AnswerType(wording.guess, guessed=not choices and wording.guess != "auto", wording=wording)
        if self.name == "text" and wording.guess == "long":
            return AnswerType("long", wording=wording)
        return replace(self, wording=wording)


# --- what the wording tells ------------------------------------------------------------------------------------


def read_wording(question: str, choices: Sequence[str] = ()) -> Wording:
    """The wording of a question; `choices` are options that stand beside its text."""
    shortened = question if len(question) <= 2 * _LOOK else question[:_LOOK] + "\n" + question[-_LOOK:]
    also, rest = special_answers(shortened)
    low = lower(plain(rest)).strip()
    options = labelled_options(shortened)
    named = alternatives(rest) if not options.texts and not choices else ()
    asked = asked_labels(shortened)
    guess = _guess(_without_labels(low, asked), bool(choices or options.texts), named)
    if guess == "long":
        also, named = (), ()
    return Wording(
        guess,
        options.texts or named,
        options.labels,
        also,
        asked,
        not (_UNORDERED.search(low) and not _ORDERED.search(low)),
        frozenset(words(shortened[:_LOOK])) | frozenset(_INDEXED.findall(low)),
    )


def _without_labels(low: str, asked: tuple[str, ...]) -> str:
    """Without the sentences that only say which label to write, where others are left."""
    sentences = re.split(r"(?<=[.?!])\s+|\n+", low) if asked else []
    left = [sentence for sentence in sentences if not any(label in sentence for label in asked)]
    return " ".join(left) or low


def _guess(low: str, has_options: bool, named: tuple[str, ...]) -> KindName:
    if has_options:
        return "choice"
    if _JSON.search(low) and not _ABOUT_JSON.search(low):
        return "json"
    if named and not any(char.isalpha() for option in named for char in option):
        return "choice"  # signs
    if wants_long(low) and not (named and not _LONG.match(low)):
        return "long"
    if named:
        return "boolean" if is_yes_or_no(named) else "choice"
    asked = _asked(low)
    if _BOOLEAN.search(low) and not _NUMBER.search(asked):
        return "boolean"
    yes_or_no = _BOOLEAN_START.match(asked) and not _EITHER.search(asked)
    if yes_or_no and asked.endswith("?") and not (_NUMBER.search(asked) or _LONG.match(asked)):
        return "boolean"
    if _AND_MORE.search(asked):
        return "auto"  # how many came, and who spoke?
    numeric = _NUMBER.search(asked) or _NUMBER.search(low) or _is_arithmetic(low)
    if _is_mathematics(low, asked):
        return "math"
    if numeric:
        return "number"
    if _LONG.match(asked) and not _EXACT.match(asked):
        return "long"
    return "boolean" if yes_or_no else "auto"


def _asked(low: str) -> str:
    """The sentence with the last question mark, else the last sentence."""
    sentences = [piece.strip() for piece in re.split(r"(?<=[.?!])\s+|(?<=[？。！])|\n+", low) if piece.strip()]
    questions = [piece for piece in sentences if piece.endswith("?")]
    return (questions or sentences or [""])[-1]


# --- numbers and formulas --------------------------------------------------------------------------------------

_NUMBER = re.compile(
    r"\b(?:how (?:many|much|old|far|long|tall|fast|big|often|deep|wide|heavy|high|large)\b(?! does it mean)|"
    r"(?:what|which) (?:percent(?:age)?|fraction|year)\b|in what year|"
    r"cu[aá]nt[oa]s?|combien|wie ?viele?|quanti|quante|quanto|quantos|quantas|hoeveel|hur många|ile|kaç|berapa)\b|"
    r"сколько|多少|几[个只天次人块条本张位岁年颗辆支件头匹座种边名台页层棵间把]|何個|何人|いくつ|いくら|몇|कितन|كم "
)
_AND_MORE = re.compile(r"\band (?:who|what|where|when|why|which|how)\b[^?]{3,}\?$")
_OPERAND = r"\(?[-$€£]?\d[\d,]*(?:\.\d+)?\)?"
_EXPRESSION = re.compile(
    rf"(?<![\w.,/:-]){_OPERAND}%?\s*(?:[+*×÷^=]|\s[-/x]\s|\b(?:plus|minus|times|divided by|multiplied by|modulo|mod)\b)"
    rf"\s*[-(√]?\(?[\d(]|\d\s?(?:%|percent)\s+of\b|\bsquare root of \d"
)
_ASKED_EXPRESSION = re.compile(
    rf"^(?:what(?:'s| is| does)|how much is|calculate|compute|evaluate|solve|work out)?:?\s*{_OPERAND}"
    rf"(?:\s*(?:[-+*/×÷x^])\s*{_OPERAND})+\s*(?:equal|=|\?|$|\.$)"
)
# An unknown in a formula that is typed plainly: x^2, 3x + 7, (x, y); "3 x 4" is a product. In code it is a variable.
_ALGEBRA = re.compile(
    r"(?<![a-z\d])\d*[xyz](?:\s?(?:\^|\*\*|[+=<>≤≥]|[-*/]\s?\d)|\s-\s)|(?:[+*/=]|(?<![a-z])-)\s?\d*[xyz](?![a-z\d'])|"
    r"\(\s?[xyz]\s?,\s?[xyz]\s?[,)]"
)
_CODE = re.compile(r"`|\bprintf?\s?\(|console\.log|\bdef\s|\breturn\b|;\s*(?:\n|$)")
_PLEASE = r"^(?:please\s+|can you\s+|could you\s+)*"
_ALL = (
    r"(?:write|list|give|name|generate)\s+(?:down\s+)?(?:me\s+)?(?:all|the|every)\s+(?:\w+\s+){0,4}?"
    r"(?:factors|divisors|multiples|primes|prime numbers|(?:square |cube |even |odd |natural |fibonacci )?numbers|"
    r"squares|cubes|powers|terms|solutions|roots|integers|subsets|perfect squares"
)
# Worded like a request for prose, but what is wanted is a value: "Write 10 in binary", "List all factors of 12".
_EXACT_VALUES = re.compile(rf"{_PLEASE}(?:write\s+(?:down\s+)?\S*\d\S*\s+(?:in|as|using)\b|{_ALL})\b)")
_EXACT = re.compile(
    rf"{_EXACT_VALUES.pattern}|{_PLEASE}(?:{_ALL}|digits|planets|letters|vowels|days|months|continents)\b|"
    r"translate\s+(?:the\s+)?(?:word|term|name|number)\b|"
    r"(?:write|give|state|list)\s+(?:down\s+)?(?:me\s+)?(?:only\s+|just\s+)?the\s+(?:\w+\s+){0,2}?"
    r"(?:number|digits?|result|value|name|answer|sum|capital|word|date|letter|formula|symbol|equation|expression|"
    r"year)\b)"
)
_MATH = re.compile(
    r"\\(?:frac|sqrt|int|sum|begin|cdot|left|le|ge|pi|infty|log|sin|cos|tan|boxed|in|cup|theta)|"
    r"\$[^$\n]{0,200}?[\\^_=][^$\n]{0,200}\$|\$[a-z0-9]{1,3}\$|\b(?:simplify (?!this|the (?:text|sentence|paragraph|"
    r"language|code|following (?:text|sentence|paragraph|code)))|factor(?:ize|ise)? (?:the |this )?(?:poly|expr|quad|"
    r"[\d(a-z]{1,3}[\^²+*-])|solve (?:for|the (?:eq|sys|ineq))|derivative of|integral of|differentiate|integrate|"
    r"antiderivative|expand (?:the (?:prod|expr)|\()|in terms of [a-z]\b|polynomial|interval notation|(?:domain|range) "
    r"of (?:the function|[fgh]\b)|inverse function|roots? of (?:the|x|\d*x)|simplest form|closed form|slope-intercept|"
    r"in radians|ordered pair|eigenvalues?)\b|√|∫|²|³|\[\["
)
_CALCULATE = re.compile(r"\b(?:calculate|compute|evaluate|subtract|multiply|divide)\b[^.?!]{0,80}\d")


def _is_arithmetic(low: str) -> bool:
    return _EXPRESSION.search(low) is not None or any(
        _ASKED_EXPRESSION.match(sentence.strip()) for sentence in re.split(r"(?<=[.?!])\s+|\n", low)[-4:]
    )


def _is_mathematics(low: str, asked: str) -> bool:
    """Whether formulas are asked for, not only a number."""
    if _MATH.search(low) or _EXACT_VALUES.match(low) or (_CALCULATE.search(low) and not _is_arithmetic(low)):
        return True
    return bool(_ALGEBRA.search(low)) and not _NUMBER.search(asked) and not _CODE.search(low)


# --- sides -----------------------------------------------------------------------------------------------------

_BOOLEAN = re.compile(
    r"\b(?:yes or no|yes/no|true or false|true/false|is it true|"
    r"correct or incorrect|oui ou non|sí o no|ja oder nein|да или нет)\b|是否|吗[?？]?\s*$|对吗"
)
_GERMAN_WAS = any_of(r"""
was\s+(?:ist|sind|war(?:en)?|wird|hat|kann|man|für|kosten|kostet|ergibt|macht|bedeutet|hei(?:ß|ss)t|bleibt|passiert|
geschieht|kommt|braucht|gibt|gehört|folgt|fehlt)\b""")
_BOOLEAN_START = re.compile(
    rf"^(?:so,?\s+|then,?\s+)?(?!{_GERMAN_WAS})(?:is|are|was|were|do|does|did|can|could|will|would|has|have|had|should|"
    rf"may|might|must|isn't|aren't|doesn't|didn't)\s+(?!you\s+(?:tell|give|calculate|compute|find|solve|list|name|"
    rf"please|help|show|what|simplify|evaluate|factor|expand|convert|determine|estimate|express|prove|derive|add|"
    rf"multiply|integrate|differentiate|state|do|make|work|write|explain|describe|translate|summari[sz]e|suggest|"
    rf"recommend|create|fix|compare|provide|generate|rewrite|think))"
)
_EITHER = re.compile(r"\b(?:or|oder|ou)\b")

# --- lists -----------------------------------------------------------------------------------------------------

_ORDERED = re.compile(
    r"\b(?:sort(?:ed)?|order(?:ed)?|rank(?:ed)?|arrange|sequence|ascending|descending|alphabetical(?:ly)?|"
    r"chronological(?:ly)?|first (?:\w+ ){1,3}?(?:digits|terms|numbers|primes|letters|multiples|decimals)|next|"
    r"consecutive|from (?:the )?(?:small|large|old|young|high|low|short|long|big|least|most|early|late|left|right|near|"
    r"far)\w*|coordinates|digits|steps|reverse)\b"
)
_UNORDERED = re.compile(
    r"\b(?:who|whom|whose|solve|solutions?|roots?|zeros|satisf(?:y|ies)|factors|divisors|which (?:two|three|four|five|"
    r"\d|of (?:these|the following|them) are|people|ones|(?!is\b|was\b|does\b|has\b)\w+s\b)|what (?!is\b|was\b|does\b|"
    r"has\b)\w+s (?:are|were|do|did|have|make)\b|what (?:two|three|four|are the (?:names|members|colou?rs|ingredients|"
    r"siblings|capitals|languages|primary))|name (?:\w+ )?(?:two|three|four|five|\d|all|both|the)|(?:find|list|give|"
    r"name) (?:all|both|the two|the three|every)|(?:for|at) (?:which|what) (?:values?|numbers?|\$?[a-z]\b)|all (?:real "
    r"|integer |possible |positive )*(?:values|integers|numbers)|all that apply)\b"
)

# --- JSON and whole responses ----------------------------------------------------------------------------------

_JSON = re.compile(
    r"\b(?:return|output|give|produce|respond|reply|answer|write|as|in|into|to|valid|generate|create|extract|"
    r"convert|provide|print|format|only)\b[^.?!\n]{0,40}?\bjson\b"
)
_ABOUT_JSON = re.compile(
    r"\bjson (?:string |object |data |file |payload |array )?(?:in)?to\b|\b(?:what (?:is|does)|explain|difference|"
    r"stand for|how (?:do|does|can|to)|why|write (?:a|an|me) (?!json|valid|single)\w+|compare|function|script|program|"
    r"parser?|code|describe)\b[^.?!\n]{0,80}\bjson\b"
)
_POLITE = (
    r"[¿¡\s]*(?:please,?\s+|can you\s+|could you\s+|would you\s+|will you\s+|kindly\s+|i (?:want|need|would "
    r"like)\s+(?:you\s+)?(?:to\s+)?|i'd like\s+(?:you\s+)?(?:to\s+)?|help me\s+(?:to\s+)?|let's\s+|now\s+|hi[,!.]?\s+|"
    r"hello[,!.]?\s+|hey[,!.]?\s+|bitte\s+|kannst du\s+|(?:mir\s+)|por favor,?\s+|puedes\s+|s'il (?:te|vous) "
    r"plaît,?\s+|peux-tu\s+|pouvez-vous\s+|请|請|帮我|给我|为我)*"
)
_VERBS = any_of(r"""
walk (?:me|us) through  understand\b  continue\b  find (?:the|any|all|my) (?:\w+ )?(?:bug|error|mistake|typo)s?\b
explain  eli5\b  describe  write(?! (?:down )?(?:only|just)\b)  summari[sz]e  compose  draft  discuss  outline
elaborate
translate  rewrite  rephrase  reword  paraphrase  implement  create  generate  brainstorm  suggest  recommend  list
compare  contrast  analy[sz]e  critique  argue  essay  poem  story  teach  refactor  fix  proofread  improve
optimi[sz]e  debug  invent  imagine  propose  develop  sketch  expand on  comment on  introduce  shorten  reformat
pretend  act as  role-?play  correct (?:the|this|these|my|any|all|following)  edit (?:the|this|my)
review (?:the|this|my)  design (?:an?|the|some)  plan (?:an?|my|the|out)  define\b  build (?:an?|me)
make (?:an?|me an?|up|this|it|a list)  code\s  program\s  show (?:me )?(?:how|an?)
tell (?:me |us )?(?:an?|about|some|how|why|more|everything|what you)\b
(?:convert|turn|change|transform|put|simplify) (?:this|the|these|following|my) (?:following )?(?:\w+ )?(?:code|
function|sentences?|text|paragraph|passage|snippet|class|script|loop|query|list|table|poem|story|language|notes|email|
json|xml|yaml|csv|markdown|recipe|dialogue)  (?:turn|transform|put|rework) (?:this|these|the|my) [^\n]{0,80}?\binto\b
(?:convert|turn|change|make) (?:this|these|it|the following) (?:in)?to an? (?:\w+ )?(?:list|table|outline|summary|email|
story|poem|paragraph|tweet|haiku|song)\b
give (?:me |us )?(?:an?|some|several|a few|two|three|four|five|six|seven|ten|\d+) (?:\w+ ){0,3}?(?:examples?|overview|
summary|explanation|reasons?|ideas?|tips?|description|list|recipe|names?|advice|suggestions?|ways|jokes?|facts|titles|
outline|introduction|review|plan|story|poem|quotes?|arguments?|detailed|brief|short|steps|instructions|synonyms|words|
sentences)\b  add (?:comments|docstrings?|tests|types?|type hints|error handling|logging)\b
give (?:me |us )?(?:advice|tips|feedback|instructions|ideas|examples)\b  think of (?:an?|some)\b  come up with\b
(?:name|think of) (?:some|several|a few|two|three|four|five|six|seven|eight|nine|ten|\d+)""")
_ASKED_PROSE = any_of(r"""
(?:the )?best (?:ways?|books?|practices|places|exercises|tips|tools|gifts)\b
what(?:'s| is| are) (?:the |some |a )?(?:best|good|great|easy|easiest|simple|fun|healthy|cheap|creative|effective|
fastest) (?:ways?|books?|ideas|exercises|places|things|practices|habits|gifts|tips|recipes|movies|resources|
strateg(?:y|ies)|methods?|approach(?:es)?)\b  what would (?:you|i|we)\b  differences? between (?!\$?\d)
what are some\b  why\b  how (?:do|does|did|can|could|should|would|to|is|are|come)\b(?! (?:you|i|we|they|
people) (?:say|spell|write|pronounce) )  what(?:'s| is| are| were) (?:the )?(?:\w+ ){0,2}?(?:differences?|
similarit(?:y|ies)|distinction) (?:between|among|of)\b(?!\s*\$?\d)(?! the (?:numbers|ages|prices))
what(?:'s| is| are| were) (?:the |some )?(?:\w+ ){0,2}?(?:pros|cons|advantages?|disadvantages?|benefits?|drawbacks?|
causes|effects|consequences|reasons|symptoms|steps|features|characteristics|uses|implications|tips|ways|
best practices|challenges|risks|stages|principles|arguments|good ideas)\b
what (?:do you (?:think|know|suggest|recommend)|would happen|happens (?:if|when)|makes|should i)\b
any (?:ideas|tips|advice|suggestions)\b""")
_WORKS = (
    r"(?:poem|haiku|limerick|sonnet|song|story|tale|essay|letter|email|e-mail|speech|joke|recipe|dialogue|script|"
    r"blog post|review|summary|overview|slogan|tweet|cover letter|paragraph|outline|guide|tutorial|rap|lyrics|toast|"
    r"description|introduction|biography|explanation|lesson plan|itinerary|meal plan|workout plan)s?"
)
_COUNTS = (
    r"(?:\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|some|several|a few|a list of|"
    r"a couple of|a dozen)"
)
_NOUNS = (
    rf"(?:recipe|poem|haiku|story|joke|song)s?\s*:|(?:[\w'-]+\s+){{1,3}}{_WORKS}[.!]?\s*$|(?:an?|the|my|one|"
    rf"{_COUNTS})\s+(?:[\w'-]+\s+){{0,4}}?{_WORKS}\b(?![^.!\n]*\?)|{_WORKS}\s+(?:about|for|on|of|in)\b(?![^.!\n]*\?)|"
    rf"(?:pros and cons|best practices|advantages|disadvantages|benefits|similarities|causes|ideas|tips|names|titles|"
    rf"suggestions|advice|reasons|ways|facts|instructions|jokes|examples)\s+(?:for|about|on|to|of|why)\b|"
    rf"{_COUNTS}\s+(?:[a-z'-]+\s+){{0,4}}?[a-z'-]+s\s+(?:for|about|to|on|that|which|why|in|of (?!which|the "
    rf"\d))\b(?![^.!\n]*\?)(?![^\n]*(?:\d|\bhow many))"
)
_ELSEWHERE = any_of(r"""
explica\w*  describe  describa  escrib[ea]  redact[ae]  resum[ea]  traduc[ei]\w*  compar[ae]  cuéntame  cuenta\b
enumera  list[ae]\b  corrige  dame (?:una?|unos|unas|algun[oa]s|cinco|tres|diez|\d+)  propón  sugiere  analiza
convierte  mejora  crea\b  haz (?:una?|me)  reescribe  (?:por|para) qué\b  cómo\b(?! se (?:llama|dice|escribe))
cuál(?:es)? (?:es|son) (?:la|las|los) (?:diferencias?|ventajas|desventajas|causas|consecuencias|beneficios|efectos|
pasos|síntomas)  (?:una? )?(?:\w+ ){0,2}(?:receta|poema|cuento|historia|carta|ensayo|resumen)\b  expliqu\w+  décri\w+
écri\w+  rédige\w*  résum\w+  tradui\w+  compare\w*  raconte\w*  énumère\w*  corrige\w*  réécri\w+
donne(?:z)?[- ]?moi (?:une?|des|cinq|trois|dix|quelques|\d+)  propose\w*  analyse\w*  améliore\w*  imagine\w*
convertis\w*  pourquoi\b  comment\b(?! (?:s'appelle|se nomme|dit-on|s'écrit))
quelles? (?:est la|sont les) (?:différences?|causes|conséquences|avantages|inconvénients|étapes|effets|raisons|
symptômes)  (?:une? )?(?:\w+ ){0,2}(?:recette|poème|lettre|histoire|rédaction)\b  erklär\w*  beschreib\w*  schreib\w*
fasse?\b  übersetz\w*  vergleich\w*  verfass\w*  formulier\w*  korrigier\w*  verbesser\w*  erzähl\w*  analysier\w*
diskutier\w*  entwirf  erstell\w*  begründe\w*  liste\b  schlag\w*  überarbeite\w*  refaktorier\w*
nenne?\s+(?:mir\s+)?(?:einige|ein paar|zwei|drei|vier|fünf|zehn|\d+)  gib (?:mir )?(?:eine?n?|einige|fünf|drei|
\d+)\s+(?:\w+ )?(?:beispiele?|überblick|rezept|tipps|ideen|zusammenfassung|liste|gründe)
welche (?:vorteile|nachteile|ursachen|folgen|gründe|möglichkeiten|unterschiede|auswirkungen)  warum\b  wieso\b
weshalb\b  wie (?:funktionier|kann|mach|komm|entsteh|geht|lässt|schreib|soll|koch|back|bau)\w*
(?:was ist|worin (?:besteht|liegt)|was sind) (?:der|die) (?:unterschiede?|vorteile|nachteile|vor- und nachteile|
ursachen|folgen|gründe|symptome|schritte)
(?:eine?n? )?(?:[^\W\d]+ ){0,2}(?:rezept|gedicht|brief|aufsatz|märchen|geschichte|witz|lied|rede|e-mail)\b  spiega\w*
descriv\w*  scriv\w*  riassum\w*  confront\w*  perché\b  come (?:funziona|si fa|posso)  escrev\w*  resum\w*  traduz\w*
por que\b  como (?:funciona|fazer|posso|se faz)\b  объясни  опиши  напиши  переведи  сравни  почему  перечисли
расскажи  составь  исправь  придумай  как (?:работает|сделать|приготовить)  解释  解釋  描述  写  寫  说明  說明
説明  翻译  翻譯  翻訳  总结  總結  概括  比较  比較  对比  列出  列举  介绍  介紹  分析  讨论  改写  润色  修改
纠正  更正  重构  设计  创作  编写  推荐  谈谈  讲述  讲一  生成  起草  把.{1,80}(?:翻译|改写|改成|转换)
将.{1,80}(?:翻译|改写|改成|转换)  用.{1,12}(?:解释|写|描述|翻译|总结|概括|说明|介绍)  为什么  為什麼  为何  如何
怎么(?:样|做|才|办|写|用|会)?(?!算)  怎样  なぜ  どうやって""")
_LONG = re.compile(rf"^{_POLITE}(?:(?:{_VERBS})(?![a-z])|{_ASKED_PROSE}|{_NOUNS}|{_ELSEWHERE})")
_LONG_LATER = re.compile(
    r"\b(?:explain (?:why|how|in|your|the|what)|write (?:an?|the|me) (?!answer|number|final|expression|equation|"
    r"value|result|letter)|in your own words|step[- ]by[- ]step guide)\b|"
    r"(?:有什么|有何|有哪些|有什麼)(?:区别|區別|不同|优点|缺点|好处|优势)|的(?:区别|區別|不同)(?:是什么|在哪)|(?:食谱|菜谱|做法)|について説明|書いて|を?翻訳|要約"
)


_DISCUSS = re.compile(
    r"[.?!]\s+(?:please\s+)?(?:discuss|explain|elaborate|justify|describe|illustrate)\b[^.?!]{0,40}[.!]?$"
)


def wants_long(question: str) -> bool:
    """Whether the wording asks for prose, code, a list or a translation: an answer that is a whole response."""
    low = lower(plain(question[:_LOOK])).strip()
    if _EXACT.match(low):
        return False
    if _LONG.match(low):
        return not (low.startswith(("list", "give")) and _is_arithmetic(low[:200]))
    asked = _asked(low)
    if _DISCUSS.search(low) and not (_NUMBER.search(asked) or _BOOLEAN_START.match(asked)):
        return True
    return bool(_LONG_LATER.search(low)) and not (_NUMBER.search(asked) or _BOOLEAN_START.match(asked))
