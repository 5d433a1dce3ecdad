"""What is asked: the question as every room sees it.

Owns the `Question` record and reading questions from arguments, text, JSONL and CSV.
Knows nothing of models, budgets or answers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """One question: an arm of the bandit.

    `index` is its place in the input, from 0; `id` is the user's own name for it, or the
    place counted from 1; `choices` are the options of a multiple-choice question, in order;
    `gold` is the right answer where the input states one (never shown to the model).
    """

    index: int
    id: str
    text: str
    choices: tuple[str, ...] = ()
    gold: str | None = None
