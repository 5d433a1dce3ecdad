"""Answers in words: names, lists of names, sentences, signs, JSON.

Owns their keys and what a stated text boils down to: without a subject that only repeats the question ("The capital
of Australia is Canberra"), a list by its members, JSON by its value. Must not know numbers or formulas.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b

from dynscale_cli.answers.dates import moment
from dynscale_cli.answers.normalize import sign_of, strip_markup, word_set, words

Reading = tuple[str, str]  # (key, text as shown)

_LONGEST_KEY = 160
_LONGEST_SENTENCE = 4000  # characters within which the first one ends
SENTENCE_END = re.compile(
    r"(?<!\b[A-Z])(?<!\bMr)(?<!\bDr)(?<!\bMs)(?<!\bSt)(?<!\bMt)(?<!\bNo)(?<!\bvs)(?<!\bMrs)(?<!\bRev)(?<!\bi\.e)"
    r"(?<!\be\.g)[.!?。](?=\s+[A-Z\u0400-\u04ff]|\s*$|。)|。"
)
_NONE = re.compile(
    r"[\s*_`'\"(\[]*(?:n/?a|null|not sure|no answer|cannot determine|unable to|undefined answer|\?+|-{2,}|\.{2,}|_+|"
    r"\\boxed\{\s*\})[\s*_`'\")\].!]*$|"
    # A template that was not filled in: [your answer], <answer>, {insert value here}
    r"[\s*_`'\"]*[\[<{(](?:(?:insert|write|put|your|the|final|numerical|correct)\s+){0,3}"
    r"(?:answer|value|number|letter|result|response)s?(?:\s+(?:goes\s+)?here)?[\]>})][\s*_`'\".]*$|"
    # "I cannot determine that.", "Please provide more information."
    r"[\s*_`'\"(]*(?:(?:i'm|i am)\s+(?:sorry|afraid|unable|not (?:sure|able|certain))|sorry|"
    r"i\s+(?:do not|don't|cannot|can't|could not|couldn't|need|would need|am not able)|as an ai|"
    r"(?:please|(?:could|can) you (?:please )?)\s?(?:provide|clarify|specify|share))\b(?:[^\n]{0,40}?"
    r"\b(?:answer|tell|say|know|determine|help|assist|information|context|details|question))?(?:\s+(?:to|that|this|it|you|"
    r"with|the|for|about|from|given|provided|text|passage|question|answer))*[\s*_`'\")\].!?]*$",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"(?:(?:there|it|he|she|they|we|i)\s+(?:is|are|was|were|has|have|had)\s+)?(?:none|no[ -]one|nobody|"
    r"none of (?:them|these|those|the above)|no (?!idea|answer|info|limit|clue|way|data|matter|such)[a-z]+"
    r"(?: (?:left|remain\w*|at all))?)",
    re.IGNORECASE,
)
# Said of an answer in a sentence; behind a label some of it is an answer ("Answer: right").
FILLER = re.compile(
    r"[\s*_`'\"]*(?:as follows|given by|correct|right|wrong|incorrect|clear|obvious|simple|below|above|shown|"
    r"found|the following|that|in the form|to (?:the|this|be)|not)\b",
    re.IGNORECASE,
)


_EMPTY = re.compile(r"(?:as follows|given by|shown(?: below)?|the following|in the form)\s*:?", re.IGNORECASE)


def states_none(content: str) -> bool:
    """Whether what is stated is that the speaker has no answer ("I don't know", "N/A", null); "None", "unknown" and
    "cannot be determined" are said of the matter, and are answers."""
    return _NONE.match(content) is not None


_NOT_ANY = frozenset(
    ("none", "no one", "no-one", "nobody", "none of them", "none of these", "none of those", "none of the above")
)


def states_nobody(content: str) -> bool:
    """Whether a text is a count of none: "no one", "none of them", "there are no apples left"."""
    return _NOBODY.fullmatch(content) is not None


def first_sentence(content: str) -> str:
    end = SENTENCE_END.search(content, 0, _LONGEST_SENTENCE)
    return content if end is None else content[: end.start()]


_REASON = re.compile(
    r"(?<!\s)\s*(?:,\s*)?(?:\b(?:because|since|which|where|when|for all|so that|as (?:we|it|the)|given that)\b|"
    r"\bwith (?=\$?[a-z]\s?=)|\((?:since|because|as)\b)",
    re.IGNORECASE,
)


def without_reason(content: str) -> str:
    reason = _REASON.search(content)
    return content if reason is None or not reason.start() else content[: reason.start()]


_SENTENCE_BREAK = re.compile(r"(?<=[.!?。])\s+|\n+")


def last_sentence(text: str) -> str:
    """The last sentence or line that says something."""
    pieces = _SENTENCE_BREAK.split(text.strip()[-600:])
    return next((piece for piece in reversed(pieces) if any(char.isalnum() for char in piece)), "")


def text_key(text: str) -> str:
    """Words in lower case without punctuation or articles; of long texts the beginning and a digest."""
    sign = sign_of(text)
    if sign is not None:
        return sign
    said = " ".join(_in_figures(words(text)))
    said = moment(text) or moment(said) or said
    if len(said) <= _LONGEST_KEY:
        return said or "".join(text.split())[:_LONGEST_KEY]
    begin = said[:80].rpartition(" ")[0] or said[:80].rstrip(".,'")
    return f"{begin} {blake2b(said.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


_PLACE_NAMES = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)
_PLACES = _PLACE_NAMES.split()
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def _in_figures(said: list[str]) -> list[str]:
    """ "nineteenth century" and "twenty first" as 19th and 21st."""
    found: list[str] = []
    for word in said if len(said) <= 8 else ():
        place = _PLACES.index(word) + 1 if word in _PLACES else 0
        if 0 < place < 10 and found[-1:] == ["twenty"]:
            found[-1] = f"2{place}{_ENDINGS.get(place, 'th')}"
        else:
            found.append(f"{place}{_ENDINGS.get(place, 'th')}" if place else word)
    return found or said


_WORDED = re.compile(r"[^\W\d_]{2,}(?: [^\W\d_]{2,}){0,3}|[A-Za-z]|\d+(?:\.\d+)?|\d+/\d+")
_ARROW = re.compile(r"\s*(?:-+>|=>|→|⇒|➔)\s*")


def read_sequence(content: str) -> Reading | None:
    """Steps joined by arrows ("A -> B -> D"), and words that a ranking joins by ">"; None for what has none."""
    shown = strip_markup(content.partition("\n")[0])
    ranked = [step.strip() for step in shown.split(">")]
    if len(ranked) > 2 and all(_WORDED.fullmatch(step) for step in ranked):
        return ", ".join(" ".join(words(step)) for step in ranked), shown
    steps = [step.strip() for step in _ARROW.split(shown)]
    if not 2 <= len(steps) <= _MOST_ITEMS or not all(steps) or any(len(step.split()) > 5 for step in steps):
        return None
    return " -> ".join(" ".join(step.casefold().split()) for step in steps), shown


_COMPOUND = re.compile(r"(?:(?:[A-Z][a-z]?|\((?:[A-Z][a-z]?\d*)+\))\d*){2,}(?:\^?\d?[+-])?")
_LOWERED = re.compile(r"_\{?(\d+)\}?")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "01234567890123456789+-")
_LOWERING = frozenset("_₀₁₂₃₄₅₆₇₈₉^⁺⁻")
_CHARGE = re.compile(r"[¹²³⁴]?[⁺⁻]")
_DRESSING = re.compile(r"\\(?:ce|text|mathrm|rm)\b|[${}]|</?sub>")


def read_compound(content: str) -> Reading | None:
    """A chemical formula with its numbers lowered in any way (H₂O, H_2O), with its charge (SO₄²⁻)."""
    if len(content) > 80 or not (set(content) & _LOWERING or r"\ce" in content or "<sub>" in content):
        return None
    charged = _CHARGE.sub(lambda charge: f"^{charge.group()}", content).translate(_SUBSCRIPTS)
    spelt = _DRESSING.sub("", _LOWERED.sub(r"\1", charged)).strip()
    if not _COMPOUND.fullmatch(spelt):
        return None
    return (spelt if spelt[-1] in "+-" else text_key(spelt)), spelt


_TOLD_NONE = word_set(
    "output outputs print prints printed return returns returned show shows display python function evaluate"
)
_TOLD_SIGN = word_set(
    "punctuation symbol symbols character characters sign signs operator mark marks delimiter separator separates key"
)


def without_quotes(content: str) -> str:
    """Without quotes, emphasis and a full stop behind them, where more than that is left."""
    said = content.strip(" \t\n`*'\"")
    return said.rstrip("._*`'\" ") or said


def asks_for_output(topic: frozenset[str]) -> bool:
    """Whether a question asks what a program prints or returns."""
    return not topic.isdisjoint(_TOLD_NONE)


def is_told(content: str, topic: frozenset[str]) -> bool:
    """Whether what else would say nothing ("None", "?") is what such a question asks for."""
    said = without_quotes(content)
    if said.lower() in ("none", "null"):
        return asks_for_output(topic)
    return 0 < len(said) <= 3 and not any(map(str.isalnum, said)) and not topic.isdisjoint(_TOLD_SIGN)


def read_text(content: str, topic: frozenset[str] = frozenset()) -> Reading | None:
    """Words: without what only repeats the question, and without what follows the first sentence."""
    shown = strip_markup(content)
    if not shown or states_none(shown) or _EMPTY.fullmatch(shown):
        return None
    identifier = read_identifier(shown, topic)
    if identifier is not None:
        return identifier
    sentence = strip_markup(_without_aside(without_subject(first_sentence(shown), topic)))
    key = "none" if sentence.lower() in _NOT_ANY else list_key(sentence) or text_key(_without_kind(sentence, topic))
    return (key, sentence) if key else None


_EXACT = word_set("password passcode passphrase username identifier variable token captcha")
_CODED = word_set("code key id string function method class command serial")
_IDENTIFIER = re.compile(r"[^\s,;]{1,64}")
_CODELIKE = re.compile(r".*\d|.*[a-z].*[A-Z]")


def read_identifier(shown: str, topic: frozenset[str]) -> Reading | None:
    """A password, code or name in a program, whose capitals tell."""
    shown = shown.strip("$")
    if _IDENTIFIER.fullmatch(shown) is None or not any(char.isalpha() for char in shown):
        return None
    if asks_for_output(topic):
        return (shown, shown) if shown.isalpha() and shown.isascii() else None
    coded = not topic.isdisjoint(_CODED) and _CODELIKE.match(shown) is not None
    exact = coded or not topic.isdisjoint(_EXACT)
    return (shown, shown) if exact else None


# Common nouns that go with a name: where the question has said what it asks for, the name says the rest.
_KINDS = word_set(
    "ocean sea river lake island mountain vitamin planet street bridge tower castle university company desert "
    "canal strait bay gulf county province language forest valley airport station"
)
_KIND_ABBREVIATED = {"mount": "mountain", "mt": "mountain", "mt.": "mountain"}


def _without_kind(sentence: str, topic: frozenset[str]) -> str:
    """ "Pacific Ocean" is "Pacific" where an ocean is asked for."""
    said = sentence.removeprefix("the ").removeprefix("The ").split()
    for at in (-1, 0) if 1 < len(said) <= 4 else ():
        kind = said[at].lower()
        kind = _KIND_ABBREVIATED.get(kind, kind)
        rest = said[:-1] if at else said[2:] if said[1] == "of" else said[1:]
        if kind in _KINDS and kind in topic and rest and rest[-1][:1].isupper():
            return " ".join(rest)
    return sentence


# --- sentences -------------------------------------------------------------------------------------------------

_SUBJECT = re.compile(
    r"(?P<subject>[^.,:;!?()\n]{1,100}?)(?:\s+(?:is|are|was|were|would be|will be)|(?<=\b[Tt]hat)'s|(?<=\b[Ii]t)'s)\s+"
    r"(?:called\s+|named\s+|known as\s+|located in\s+)?(?P<rest>\S[^\n]*)"
)
# 日本の首都は東京です, 中国的首都是北京: subjects that stand in the question as they are.
_EAST_ASIAN_SUBJECT = re.compile(
    r"(?:(?P<subject>[^\s。，,、]{1,40}?)(?:は|是|은\s|는\s))?(?P<rest>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af][^。]*)。?"
)
_COPULA = re.compile(r"(?<=[^\s。])(?:です|だ|である|입니다)[。.]?$")
_PREDICATE = re.compile(
    r"(?P<subject>[^.,:;!?()\n]{1,60}?)\s+(?:is|are|was|were|has|have|had)\s+(?P<rest>(?!(?:not|no)\b)\S[^\n]*)"
)
# "Ann Bell drew the map in 1650."
_NAMED_FIRST = re.compile(
    r"(?P<subject>(?!(?:The|An?)\s)(?:[A-Z][\w.'-]*\s+(?:(?:van|von|de|da|del|of|the)\s+){0,2}){1,5})(?P<rest>(?!and\b|or\b)[a-z][^.,;]*)"
)
_YEAR = re.compile(r"\b\d{3,4}\b")
_PRONOUNS = word_set(
    "it he she they this that these those there his her its their my our your here answer final correct so therefore "
    "thus hence result of for to in on at and or by with from i we name solution s"
)


_ASIDE = re.compile(
    r"(?:,\s+(?:(?:which|who|whose|where|because|since|though|although|as (?:it|he|she|they|the))\b|"
    r"not (?=[A-Z\d]|(?:the|an?)\s))|\s+because\b|[*_]{0,2}\s+--?\s+(?=[a-z]+\s[a-z]+)).*",
    re.DOTALL,
)
_FEW_WORDS = 6


def _without_aside(sentence: str) -> str:
    """ "Paris, which is large", "Paris - the city of light", "Paris, not Lyon": Paris."""
    head = _ASIDE.sub("", sentence)
    return head if 0 < len(head.split()) <= _FEW_WORDS else sentence


# "built in 1889", "By Jane Austen": what the question's own word asks for stands behind.
_LEADS = (
    (
        word_set("when wann quand cuándo year date day month"),
        re.compile(
            r"(?:[a-z]+ )?(?:[Ii]n|[Oo]n|[Aa]t|[Aa]round|[Bb]y) (?=[A-Z\d])|(?:[Ii]n )?(?:[Tt]he )?[Yy]ear (?=\d)"
        ),
    ),
    (
        word_set("where wo où dónde city country town state"),
        re.compile(r"(?:[a-z]+ )?(?:[Ii]n|[Oo]n|[Aa]t|[Nn]ear) (?=[A-Z])"),
    ),
    (word_set("who whom wer qui quién"), re.compile(r"(?:[a-z]+ )?[bB]y (?=[A-Z])")),
)


def without_subject(sentence: str, topic: frozenset[str]) -> str:
    """ "The capital of Australia is Canberra" says Canberra, where the question had all the other words."""
    east = _EAST_ASIAN_SUBJECT.fullmatch(_COPULA.sub("", sentence[:300]))
    if east is not None:
        return east["rest"] if not east["subject"] or any(east["subject"] in word for word in topic) else sentence
    stated = _SUBJECT.match(sentence) if len(sentence) <= 300 else None
    if stated is not None and _compared(stated["subject"], stated["rest"], topic):
        return stated["subject"].strip()
    denied = stated is not None and stated["rest"].lower().startswith(("not ", "n't "))
    if stated is not None and not denied and repeats(stated["subject"], topic):
        sentence = stated["rest"]
    named = _PREDICATE.match(sentence) if topic and len(sentence) <= 300 else None
    if named is not None and repeats(named["rest"], topic) and not repeats(named["subject"], topic):
        sentence = named["subject"]  # "Canberra is the capital of Australia"
    sentence = _who_did(sentence, topic) or sentence
    for asked, lead in _LEADS:
        if not topic.isdisjoint(asked):
            begun = lead.match(sentence)
            return sentence[begun.end() :] if begun is not None else sentence
    return sentence


_COMPARISON = re.compile(
    r"(?:the\s+)?(?:\w+(?:er|est)|more|most|less|least|worse|worst|true|correct|first|last)\b[^.]*[.!]?"
)
_CHOOSE_ONE = word_set("which who what whose welche welcher welches quel quelle cuál")


def _compared(subject: str, rest: str, topic: frozenset[str]) -> bool:
    """Which is larger? "3/4 is larger." says 3/4."""
    named = not topic.isdisjoint(_CHOOSE_ONE) and not repeats(subject, frozenset())
    return named and _COMPARISON.fullmatch(rest) is not None and repeats(rest, topic)


def _who_did(sentence: str, topic: frozenset[str]) -> str | None:
    """Who drew the map? "Ann Bell drew the map in 1650." says Ann Bell."""
    done = _NAMED_FIRST.fullmatch(sentence) if len(sentence) <= 300 and not topic.isdisjoint(_CHOOSE_ONE) else None
    if done is None or not topic.isdisjoint(words(done["subject"])) or len(done["rest"].split()) < 2:
        return None
    return done["subject"].strip() if repeats(_YEAR.sub("", done["rest"]), topic) else None


def repeats(said: str, topic: frozenset[str]) -> bool:
    """Whether all of a text are words of the question, or such as say nothing by themselves."""
    known, spoken = topic | _PRONOUNS, words(said)
    return bool(spoken) and all(word in known or word.removesuffix("'s") in known for word in spoken)


# --- lists -----------------------------------------------------------------------------------------------------

_BETWEEN = re.compile(r"\s*(?:,|;|\n)\s*(?:(?:and|or|und|oder|et|ou|y|e)\s+)?|\s+(?:and|&|und|et|y)\s+")
_MOST_ITEMS = 40


def list_key(text: str) -> str | None:
    """The keys of a list's members in order, with commas between them; None for what is no list of names."""
    if not any(mark in text for mark in ",;&") and not _BETWEEN.search(text):
        return None
    items = [item for item in _BETWEEN.split(text) if item and item.strip()]
    if not 2 <= len(items) <= _MOST_ITEMS or any(len(item.split()) > 5 for item in items):
        return None
    if len(items) == 2 and not _two_names(text, items):
        return None
    keys = [" ".join(words(item)) for item in items]
    return ", ".join(keys) if all(keys) else None


def _two_names(text: str, items: list[str]) -> bool:
    """ "Bob and Carl", "Bob, Carl": two names; "Paris, France" is read alike, and "salt and pepper" in its order."""
    return "," in text or ";" in text or all(len(item.split()) <= 3 for item in items)


# --- JSON ------------------------------------------------------------------------------------------------------

_FENCE = re.compile(r"```[a-zA-Z]{0,12}[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_MOST_TRIES = 40
_GREATEST = 50_000


def read_json(content: str, *, anywhere: bool = False) -> Reading | None:
    """The value of a JSON object or list, by value and as it is written; `anywhere`: the largest one in a text."""
    text = content.strip()[-_GREATEST:]
    fences = _FENCE.findall(text) if "```" in text else []
    for candidate in (*reversed(fences), text):
        candidate = candidate.strip().strip("`").strip()
        if candidate[:1] in ("{", "["):
            found = _json_at(candidate, 0)
            if found is not None and (anywhere or not candidate[found[1] :].strip(" .`*_\n")):
                return _canonical_json(found[0]), candidate[: found[1]]
    return _largest_json(text) if anywhere else None


def _largest_json(text: str) -> Reading | None:
    best, at = None, 0
    for opening in list(_OPENING.finditer(text))[:_MOST_TRIES]:
        if opening.start() < at:
            continue
        found = _json_at(text, opening.start())
        if found is not None:
            spelt = text[opening.start() : found[1]]
            at = found[1]
            if best is None or len(spelt) >= len(best[1]):
                best = (_canonical_json(found[0]), spelt)
    return best


def _json_at(text: str, start: int) -> tuple[object, int] | None:
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return (value, end) if isinstance(value, dict | list) else None


def _canonical_json(value: object) -> str:
    spelt = json.dumps(_exact(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if len(spelt) <= _LONGEST_KEY:
        return spelt
    return f"{spelt[:80]}… {blake2b(spelt.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def _exact(value: object) -> object:
    """1.0 is 1."""
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
