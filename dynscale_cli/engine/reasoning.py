"""Models that think: what of a completion is thought and what is said, and how the one ends and the other begins.

Owns the markers by which models fence their thoughts: a table of the formats in use, and what a model's own template
adds to it (`learn`). Knows nothing of token ids, of questions or of what an answer is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["open", "close", "turn", "wrap"]

# --- markers in common use ---------------------------------------------------------------------------------------

_WORD = (
    r"(?:(?:deep|self|inner|internal|chain_of|reserved)[-_]?)?"
    r"(?:think|thinking|thoughts?|reason|reasoning|reflect|reflection|scratchpad|rationale|analysis|monologue|cot|"
    r"deliberation|judge)(?:[-_](?:process|mode|content|steps|trace))?"
)
_BAR, _GAP = r"[|｜]", r"[_▁]"  # also as DeepSeek's tokens have them
_NAME = rf"(?:[a-z]+:)?{_WORD}(?::[a-z]+)?"  # also in a namespace, before or behind it
_CHANNEL = r"(?:<\|end\|>)?(?:<\|start\|>\s*assistant)?<\|channel\|>\s*"
_MESSAGE = r"[^<]{0,80}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>"

_OPEN = (
    rf"<{_NAME}(?:\s[^<>\n]{{0,80}})?>",
    rf"\[{_NAME}\]",
    r"◁think▷",
    rf"<{_BAR}(?:(?:begin|start){_GAP}(?:of{_GAP})?)?{_WORD}(?:_start|_begin)?{_BAR}>",
    r"<\|inner_prefix\|>",
    r"<\|channel>thought",
    r"<unused94>thought",
    rf"{_CHANNEL}(?!final\b)[a-z]+{_MESSAGE}",
    r"<\|open\|>think<\|sep\|>",
)
_CLOSE = (
    rf"</{_NAME}>",
    rf"\[/{_NAME}\]",
    r"◁/think▷",
    rf"<{_BAR}(?:/|end{_GAP}(?:of{_GAP})?){_WORD}{_BAR}>|<\|{_WORD}_end\|>",
    r"<\|inner_suffix\|>",
    r"<channel\|>",
    r"<unused95>",
    r"\[BEGIN FINAL RESPONSE\]",
    r"<\|content\|>",
    rf"{_CHANNEL}final\b{_MESSAGE}",
    r"<\|close\|>think<\|sep\|>|<\|open\|>response<\|sep\|>",
)
_TURN = (r"(?:<\|end\|>)?<\|begin\|>assistant(?:<\|content\|>)?",)  # ends a thought, and says nothing without one
# Tags that state an answer (<answer>, <result>, a box) stay: extraction reads them.
_TAG = r"(?:response|reply|output|message|assistant|final_response)"
_WRAP = (
    # Around what is said. In code these tags are text.
    rf"(?P<tag></?{_TAG}>)",
    r"<\|(?:begin|end)_of_(?:solution|answer|response)\|>",
    r"<\|(?:start|end)_(?:response|text|answer|solution)\|>",
    r"\[END FINAL RESPONSE\]",
    r"<\|close\|>(?:response|message)<\|sep\|>|<\|open\|>message[^<]{0,60}<\|sep\|>",
    # Ends of turns, which some servers show.
    r"<[|｜](?!(?:begin|end)_of_box)[^<>|｜\s]{1,40}[|｜]>",
    r"</?s>|<(?:eos|bos|pad)>|<(?:start|end)_of_(?:turn|sentence|utterance)>|<turn\|>|<\|turn>|\[e~\[|\[\|endofturn\|\]",
    r"<think_o(?:n|ff)>|<seed:[be]os>|<SPECIAL_\d+>|</assistant>",
)
_BEGINNING = re.compile(r"[<\[◁]")  # of all of these
# The end of a piece that the next piece may turn into a marker.
_UNFINISHED = (
    r"(?:<\|end\|>)?(?:<\|(?:start|begin)\|>[^<>]{0,30})?"
    r"(?:<\|channel\|>[^<>]{0,80}(?:<\|constrain\|>[^<>]{0,40})?)?(?:<\|(?:open|close)\|>[^<>]{0,60})?"
    r"(?:<(?:unused94|\|channel)>[a-z]{0,6})?"
    r"(?:<(?:[|｜/a-z][^<>\n]{0,96})?|\[(?:[|/e~a-z][^\[\]\n]{0,24})?|◁[^▷\n]{0,8})?\Z"
)
_REACH = 320  # characters of the longest

HARMONY, KIMI = "harmony", "kimi"
STRICT = frozenset({HARMONY, KIMI})  # thoughts that only a marker of their own format ends
_CLOSINGS = {
    HARMONY: "<|end|><|start|>assistant<|channel|>final<|message|>",
    KIMI: "<|close|>think<|sep|><|open|>response<|sep|>",
    "◁think▷": "◁/think▷",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>thought": "<channel|>",
    "<unused94>thought": "<unused95>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|start_thinking|>": "<|END_THINKING|>",
}
# Control tokens that are only a part of a marker.
_PARTS = frozenset({
    "<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>", "<|open|>", "<|close|>", "<|sep|>",
    "<|begin|>", "<|channel>", "<unused94>",
})  # fmt: skip

# Harmony with its special tokens not rendered: "analysisWe need …assistantfinalThe answer".
_BARE = re.compile(r"(?:analysis|commentary)(?=[A-Z])")
_BARE_WORDS, _BARE_FINAL = ("analysis", "commentary"), "assistantfinal"


class Split(NamedTuple):
    """A completion in its parts. `closed`: it does not end inside a thought."""

    thought: str
    said: str
    closed: bool


@dataclass(frozen=True, slots=True)
class ReasoningFormat:
    """How one model fences its thoughts. Markers in common use are understood in any case.

    `opening` and `closing` are what this model writes before a thought, and behind it up to where its answer begins.
    `extra` are markers that nobody else has. `thinks`: its template knows of thoughts.
    """

    opening: str = "<think>\n"
    closing: str = "\n</think>\n\n"
    extra: tuple[tuple[str, Kind], ...] = ()
    thinks: bool = False

    def split(self, completion: str, open_thought: bool = False) -> Split:
        """Take a whole completion apart; `open_thought`: the prompt ended inside a thought.

        A first marker that closes what nothing has opened ends a thought that the prompt opened: all before it is
        thought. A thought that is never closed runs to the end.
        """
        tracker = ThoughtTracker(self, open_thought, whole=True)
        parts = [*tracker.feed(completion), *tracker.finish()]
        thought, said = ("".join(text for text, thinking in parts if thinking is side) for side in (True, False))
        return Split(thought, said, not tracker.thinking)

    def tracker(self, open_thought: bool = False) -> ThoughtTracker:
        """What tells thought from speech while a completion streams in."""
        return ThoughtTracker(self, open_thought)

    def state(self, tail: str) -> Literal["open", "closed", "unmarked"]:
        """What a prompt that ends like this has done about the model's thought."""
        tracker = ThoughtTracker(self, whole=True)
        tracker.feed(tail)
        return "open" if tracker.thinking else "closed" if tracker.marked else "unmarked"

    def spells(self, token: str) -> bool:
        """Whether a control token has to be spelt out when tokens become text: it is a marker, or a part of one."""
        if token in _PARTS or any(len(token) > 1 and token in text for text, _ in self.extra):
            return True
        marker = _markers(()).fullmatch(token)
        return marker is not None and marker.group("wrap") is None


class ThoughtTracker:
    """Tells thought from speech while a completion streams in; markers are left out.

    What could be the beginning of a marker is held back until the next piece decides; `finish()` gives the remainder.
    `marked`: the beginning or the end of a thought was seen. With the `whole` completion in one piece, nothing is held.
    """

    def __init__(self, form: ReasoningFormat, open_thought: bool = False, *, whole: bool = False) -> None:
        self.marked = False
        self._form, self._whole, self._extra = form, whole, form.extra
        self._open = [_name(form.opening)] if open_thought else []  # thoughts may hold others
        self._held, self._begun = "", False
        # Of what is said: its last characters, how many ``` it has, whether a marker was left out behind it.
        self._last, self._fences, self._gap = "", 0, False

    @property
    def thinking(self) -> bool:
        return bool(self._open)

    @property
    def closing(self) -> str:
        """The text that ends the thought under way and begins an answer, in the format that it was opened in."""
        opened = self._open[0] if self._open else _name(self._form.opening)
        return self._form.closing if opened == _name(self._form.opening) else _closing(opened)

    def feed(self, piece: str) -> list[tuple[str, bool]]:
        """The text that is now certain, as (text, thinking) pieces."""
        if self._begun and not self._held and not self._extra and _BEGINNING.search(piece) is None:
            return self._plain(piece)  # nearly every piece, and there are thousands a second
        text = self._held + piece
        if not self._begun:
            text = self._begin(text)
        held = 0 if self._whole else self._unfinished(text) if self._begun else len(text)
        self._held = text[len(text) - held :] if held else ""
        return self._read(text[: len(text) - held])

    def _plain(self, text: str) -> list[tuple[str, bool]]:
        """Text without a marker."""
        out: list[tuple[str, bool]] = []
        self._emit(out, text)
        return out

    def finish(self) -> list[tuple[str, bool]]:
        """What was held back, when no more pieces will come."""
        held, self._held = self._held, ""
        return self._read(held)

    def _read(self, text: str) -> list[tuple[str, bool]]:
        if not self._extra and _BEGINNING.search(text) is None:
            return self._plain(text)
        out: list[tuple[str, bool]] = []
        at = 0
        for marker in _markers(self._extra).finditer(text):
            if marker.group("tag") is not None and not self._is_wrapper(marker, text, at):
                continue
            self._emit(out, text[at : marker.start()])
            at = marker.end()
            if self._ends_an_unopened(marker):
                out = [(part, True) for part, _ in out]
                self._last, self._fences, self._gap = "", 0, False
            self._take(marker)
        return out + self._plain(text[at:])

    def _take(self, marker: re.Match[str]) -> None:
        name, kind = _name(marker.group()), marker.lastgroup
        if kind == "open":
            self.marked = True
            if name not in self._open:
                self._open.append(name)
        elif kind in ("close", "turn"):
            self.marked = self.marked or kind == "close"
            if self._open and self._open[0] in STRICT and name != self._open[0]:
                return
            self._open = self._open[: self._open.index(name)] if name in self._open else []
        elif not self._open:
            self._gap = True

    def _ends_an_unopened(self, marker: re.Match[str]) -> bool:
        return self._whole and marker.lastgroup == "close" and not self._open and not self.marked

    def _is_wrapper(self, marker: re.Match[str], text: str, at: int) -> bool:
        """Whether a tag stands around what is said; in code it is text."""
        before = self._last + text[at : marker.start()]
        return not (self._fences + before.count("```")) % 2 and not before.endswith("`")

    def _emit(self, out: list[tuple[str, bool]], text: str) -> None:
        if not text:
            return
        if not self._open:
            if self._gap and self._last[-1:].strip() and text[0].strip():
                text = f"\n{text}"  # what a marker kept apart
            said = self._last + text
            self._gap, self._last = False, said[-2:]
            self._fences += said.count("```")
        out.append((text, bool(self._open)))

    def _begin(self, text: str) -> str:
        """Decide once, on the first characters, whether they are an unrendered Harmony channel."""
        bare = None if self._open else _BARE.match(text)
        self._begun = bare is not None or self._whole or not any(word.startswith(text) for word in _BARE_WORDS)
        if bare is None:
            return text
        self.marked, self._open = True, [HARMONY]
        self._extra = (*self._extra, (_BARE_FINAL, "close"))
        return text[bare.end() :]

    def _unfinished(self, text: str) -> int:
        """How many last characters of `text` could begin a marker."""
        tail = text[-_REACH:]
        found = _unfinished().search(tail) if _BEGINNING.search(tail) is not None else None
        longest = len(tail) - found.start() if found is not None else 0
        for literal, _ in self._extra:
            sizes = range(min(len(literal) - 1, len(tail)), longest, -1)
            longest = next((size for size in sizes if tail.endswith(literal[:size])), longest)
        return longest


@lru_cache(maxsize=16)
def _markers(extra: tuple[tuple[str, Kind], ...]) -> re.Pattern[str]:
    """All markers, each in the group of its kind; those of a template go before those in common use."""
    groups: list[str] = []
    for group, common in (("open", _OPEN), ("close", _CLOSE), ("turn", _TURN), ("wrap", _WRAP)):
        own = [re.escape(text) for text, kind in sorted(extra, key=lambda marker: -len(marker[0])) if kind == group]
        groups.append(f"(?P<{group}>{'|'.join((*own, *common))})")
    return re.compile("|".join(groups), re.IGNORECASE)


@lru_cache(maxsize=1)
def _unfinished() -> re.Pattern[str]:
    return re.compile(_UNFINISHED, re.IGNORECASE)


# Words in the names of models that think though their templates may not tell, and in those of models that do not.
_THINKERS = re.compile(
    r"think|reason|(?<![a-z0-9])(?:(?:open-?)?r1|qwq|qvq|mimo|minimax-?m1|marco-o1|sky-t1|medgemma)(?![0-9])"
)
_OTHERS = re.compile(r"non?[-_ ]?(?:think|reason)|(?<![a-z])(?:base|embed|rerank|reward|prm|judge)")
# Of families whose vocabulary has the markers, the models that answer at once say so in their names.
_AT_ONCE = re.compile(
    r"(?<![a-z])(?:instruct|coder?|chat|it|pt|base|embed\w*|rerank\w*|reward|ocr|guard)(?![a-z])|non?[-_ ]?think"
)


def opening_by_name(name: str, tokens: bool) -> str:
    """The marker that opens the thoughts of a model that thinks though its template may not tell; else empty.

    Its name tells, or the `tokens` <think> and </think> of its vocabulary.
    """
    name = name.lower()
    if _THINKERS.search(name) and not _OTHERS.search(name):
        return "<unused94>thought\n" if "medgemma" in name else "<think>\n"
    return "<think>\n" if tokens and not _AT_ONCE.search(name) else ""


def known_format(opening: str) -> ReasoningFormat:
    """The format of a model that opens its thoughts like this."""
    return ReasoningFormat(opening, _closing(_name(opening)), thinks=True)


def _name(marker: str) -> str:
    """What the two ends of one thought have in common, as far as they have anything."""
    lowered = re.sub(r"\s[^<>]*>", ">", marker.strip().lower()) if "<|" not in marker else marker.strip().lower()
    if "<|channel|>" in lowered or lowered == _BARE_FINAL:
        return HARMONY
    if lowered.startswith(("<|open|>", "<|close|>")):
        return KIMI
    return lowered.replace("/", "", 1)


def _closing(name: str) -> str:
    """What ends a thought that was opened by the marker of this name."""
    if name in _CLOSINGS:
        return _CLOSINGS[name]
    if name.startswith(("<|", "<｜")):
        ends = re.sub(r"begin|start", "end", name)
        return ends if ends != name else f"{name[:2]}/{name[2:]}"
    closing = f"{name[0]}/{name[1:]}"
    return closing.upper() if name.startswith("[") else f"\n{closing}\n\n"


# --- what a template tells of its model's format -----------------------------------------------------------------

Render: TypeAlias = Callable[[Sequence[Mapping[str, Any]], bool], str]
ASKED, THOUGHT, SAID = "Who goes there?", "Let me weigh this", "It is a friend"
FIELDS = ("reasoning_content", "reasoning", "thinking")  # where templates look for a turn's thought
# (what a template that uses the format has in its source, opening, closing, further markers): the first that fits.
_SIGNS: tuple[tuple[str, str, str, tuple[tuple[str, Kind], ...]], ...] = (
    (
        "[BEGIN FINAL RESPONSE]",
        "Here are my reasoning steps:\n",
        "\n[BEGIN FINAL RESPONSE]\n",
        (("Here are my reasoning steps:", "open"),),
    ),
    ("<|channel|>analysis", "<|channel|>analysis<|message|>", _CLOSINGS[HARMONY], ()),
    ("<|channel>thought", "<|channel>thought\n", "<channel|>", ()),
    ("<|inner_prefix|>", "<|inner_prefix|>", "<|inner_suffix|>", ()),
    ("<|START_THINKING|>", "<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>", ()),
    ("<|begin|>assistant<|think|>", "<|think|>", "<|end|><|begin|>assistant<|content|>", ()),
    (
        "Here is my thought process:",  # Granite 3.2
        "Here is my thought process:\n",
        "\n\nHere is my response:\n",
        (("Here is my thought process:", "open"), ("Here is my response:", "close")),
    ),
    ("<response></response>", "<think>", "</think>\n<response>", ()),  # Granite, which is told of both
    ("[THINK]", "[THINK]", "[/THINK]", ()),
)


def learn(render: Render, source: str) -> ReasoningFormat:
    """The format of the model whose chat template is `source`, and can be rendered: (turns, for the next one?) -> text.

    A turn that has a thought shows what stands before it, behind it, and where the answer begins.
    """
    prompt = behind(_rendered(render, [_asked()], True), ASKED)
    found, known = _shown(render), _by_sign(source)
    if found is None or (known is not None and known.extra):  # what such a model writes, a turn does not show
        return known if known is not None else ReasoningFormat(thinks=ReasoningFormat().state(prompt) != "unmarked")
    before, closing = found
    opening = _opening(before, prompt)
    extra: list[tuple[str, Kind]] = []
    if opening.strip() and ReasoningFormat().state(opening) != "open":
        extra.append((opening.strip(), "open"))
    if closing.strip() and ReasoningFormat(extra=tuple(extra)).state(opening + closing) == "open":
        extra.append((closing.strip(), "close"))
    plain = behind(_rendered(render, [_asked(), {"role": "assistant", "content": SAID}], False), ASKED)
    head = plain.partition(SAID)[0].removeprefix(prompt).strip() if plain.startswith(prompt) else ""
    if head and ReasoningFormat(extra=tuple(extra)).split(head).said.strip():
        extra.append((head, "wrap"))
    return ReasoningFormat(opening, closing, tuple(extra), thinks=True)


def _asked() -> dict[str, Any]:
    return {"role": "user", "content": ASKED}


def _rendered(render: Render, turns: Sequence[Mapping[str, Any]], generation: bool) -> str:
    try:
        return render(turns, generation)
    except Exception:  # a program from elsewhere: it refuses what it does not know in whichever way
        return ""


def behind(text: str, words: str) -> str:
    """What a rendered text has behind the last place of `words`."""
    return text.rpartition(words)[2] if words in text else ""


def _shown(render: Render) -> tuple[str, str] | None:
    """What a turn with a thought has before it, and between it and what is said; None where it is left out."""
    parts = [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": SAID}]
    turns: list[dict[str, Any]] = [{"role": "assistant", "content": SAID, field: THOUGHT} for field in FIELDS]
    for turn in (*turns, {"role": "assistant", "content": parts}):
        text = behind(_rendered(render, [_asked(), turn], False), ASKED)
        before, thought, rest = text.partition(THOUGHT)
        closing, said, _ = rest.partition(SAID)
        if thought and said and closing.strip() and "type" not in before[-40:] + closing:  # no list, written out
            return before, closing
    return None


def _opening(before: str, prompt: str) -> str:
    """What the model itself writes before its thought, or what the prompt ends in where that opens it."""
    if before.startswith(prompt) and before.strip() != prompt.strip():
        return before[len(prompt) :]
    last = None
    for marker in _markers(()).finditer(before):
        last = marker if marker.lastgroup == "open" else last
    if last is not None:
        return before[last.start() :]
    atoms = list(re.finditer(r"<[^<>\s]+>|\[[^\[\]\s]+\]", before))
    return before[atoms[-1].start() :] if atoms else before


def _by_sign(source: str) -> ReasoningFormat | None:
    """What the source of a template that never shows a thought still tells: it cuts thoughts out of earlier turns."""
    for sign, opening, closing, extra in _SIGNS:
        if sign in source:
            return ReasoningFormat(opening, closing, extra, thinks=True)
    tag = re.search(rf"</?({_NAME})>", source) or re.search(r"◁/?(think)▷", source)
    if tag is None:
        return None
    opening = tag.group().replace("/", "")
    closing = f"{opening[0]}/{opening[1:]}"
    return ReasoningFormat(f"{opening}\n", f"\n{closing}\n\n", thinks=True)
