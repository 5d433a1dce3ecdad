"""Hidden thoughts: which part of a completion is reasoning and which is said to the user.

Owns the markers by which models fence their thoughts, splitting a whole completion, and the same
recognition piece by piece for streaming. Must not know what an answer is.
"""

from __future__ import annotations

import re

# (opening, closing). A closing marker ends a thought whatever opened it: models mix them up.
_FENCES = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    # Harmony (gpt-oss): channels; only `final` is meant for the user.
    ("<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>commentary<|message|>", "<|channel|>final<|message|>"),
    ("<|channel>thought", "<channel|>"),
    ("<unused94>thought", "<unused95>"),
)
_OPENINGS = frozenset(opening for opening, _ in _FENCES)
_MARKERS = sorted({marker for fence in _FENCES for marker in fence}, key=len, reverse=True)
_MARKER = re.compile("|".join(map(re.escape, _MARKERS)), re.IGNORECASE)
_FIRST = re.compile(r"[<\[◁]")  # how every marker begins

# Harmony with its special tokens not rendered: "analysisWe need …assistantfinalThe answer".
_BARE_ANALYSIS = re.compile(r"(?:analysis|commentary)(?=[A-Z])")
_BARE_FINAL = "assistantfinal"
_BARE_MARKER = re.compile(f"{_MARKER.pattern}|{_BARE_FINAL}", re.IGNORECASE)

_LONGEST = len(_MARKERS[0])
_PREFIXES = frozenset(marker[:length] for marker in (*_MARKERS, _BARE_FINAL) for length in range(1, len(marker)))


def split_thought(text: str) -> tuple[str, str, bool]:
    """Split a completion into (thought, rest, still_open).

    Several thoughts are joined. A closing marker that nothing opened ends a thought that the prompt
    opened: all before it is thought. A thought that is never closed runs to the end (`still_open`).
    """
    bare = _BARE_ANALYSIS.match(text)
    if bare is not None:
        thought, final, rest = text[bare.end() :].rpartition(_BARE_FINAL)
        return (thought, rest, False) if final else (rest, "", True)
    if _FIRST.search(text) is None:
        return "", text, False
    thoughts: list[str] = []
    said: list[str] = []
    thinking = False
    opened_before = False
    at = 0
    for marker in _MARKER.finditer(text):
        piece = text[at : marker.start()]
        at = marker.end()
        opens = marker.group().lower() in _OPENINGS
        if thinking:
            thoughts.append(piece)
        elif opens or opened_before:
            said.append(piece)
        else:
            thoughts.append(piece)  # a stray close: the prompt had opened the thought
        thinking = opens
        opened_before = True
    (thoughts if thinking else said).append(text[at:])
    return "".join(thoughts), "".join(said), thinking


class ThoughtTracker:
    """Tells thought from speech while a completion streams in.

    `thinking` starts True where the prompt itself ends inside a thought. What could be the beginning
    of a marker is held back until the next piece decides; `finish()` gives the remainder.
    """

    def __init__(self, thinking: bool = False) -> None:
        self.thinking = thinking
        self._held = ""
        self._started = False
        self._marker = _MARKER

    def feed(self, piece: str) -> list[tuple[str, bool]]:
        """The text that is now certain, as (text, thinking) pieces; markers are left out."""
        text = self._held + piece
        text = self._skip_bare_analysis(text)
        out: list[tuple[str, bool]] = []
        at = 0
        for marker in self._marker.finditer(text):
            self._emit(out, text[at : marker.start()])
            self.thinking = marker.group().lower() in _OPENINGS
            at = marker.end()
        keep = _held_back(text[at:]) if self._started else len(text) - at
        self._held = text[len(text) - keep :] if keep else ""
        self._emit(out, text[at : len(text) - keep])
        return out

    def finish(self) -> list[tuple[str, bool]]:
        """What was held back, when no more pieces will come."""
        held, self._held = self._held, ""
        return [(held, self.thinking)] if held else []

    def _emit(self, out: list[tuple[str, bool]], text: str) -> None:
        if text:
            out.append((text, self.thinking))

    def _skip_bare_analysis(self, text: str) -> str:
        """Decide once, on the first characters, whether they are an unrendered Harmony channel."""
        if self._started:
            return text
        bare = _BARE_ANALYSIS.match(text)
        if bare is not None:
            self.thinking = self._started = True
            self._marker = _BARE_MARKER
            return text[bare.end() :]
        self._started = not any(word.startswith(text) for word in ("analysis", "commentary"))
        return text


def _held_back(text: str) -> int:
    """How many last characters of `text` could begin a marker."""
    tail = text[-_LONGEST:].lower()
    for start in range(len(tail)):
        if tail[start] in "<[◁a" and tail[start:] in _PREFIXES:
            return len(tail) - start
    return 0
