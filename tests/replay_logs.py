"""Helpers for the replay tests: write logs as users have them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any


def write_log(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(qid: str, answers: list[Any], tokens: list[Any] | int = 100, gold: Any = "right") -> dict[str, Any]:
    counts = [tokens] * len(answers) if isinstance(tokens, int) else tokens
    return {"qid": qid, "gold": gold, "answers": answers, "tokens": counts}


def easy_and_hard(easy: int = 15, hard: int = 15, samples: int = 120) -> list[dict[str, Any]]:
    """Half the questions are always right, the other half by 62 to 38: tokens belong to those."""
    rng = random.Random(7)
    rows = [row(f"easy {q}", ["right"] * samples) for q in range(easy)]
    for q in range(hard):
        answers = ["right"] * round(0.62 * samples) + ["wrong"] * round(0.38 * samples)
        rng.shuffle(answers)
        rows.append(row(f"hard {q}", answers))
    return rows
