"""What a run holds of its questions: little while they are under way, hardly more with every sample, then nothing."""

import gc
import random
import re
import tracemalloc

import pytest

from dynscale_cli.questions import Question
from dynscale_cli.run import database
from dynscale_cli.run.events import Answered, SampleFinished, Stepped
from dynscale_cli.run.request import Settings
from dynscale_cli.run.run import Run
from tests.scripted import scripted_engine

DICE = random.Random(1)
WORDS = re.findall(r"\w+", "so we add both numbers; then the sum is 12 and that gives each of two apples, leaving 7")
LINES = ["_".join(DICE.choices(WORDS, k=14)) for _ in range(50)]  # a word each, so that the scripted model is quick


@pytest.fixture(autouse=True)
def little_memory_for_what_waits(monkeypatch):
    """A few questions stay in memory whatever the run's length: in a long run that does not show."""
    monkeypatch.setattr(database, "AT_HAND", 8)


def grown(questions, answers, count, marks, **options):
    """Bytes of Python's memory when so many events of the class `count` have come, for each of the marks."""

    def script(prompt, seed):
        rng = random.Random(seed)
        return " ".join(["", *rng.choices(LINES, k=10)]) + f"\nAnswer: {answers(seed)}"

    engine = scripted_engine(script, width=8, cache_bytes=50_000)
    settings = Settings(budget=questions * 400, max_tokens=100, **options)
    asked = [Question(n, str(n), f"What is {n % 30} + {n // 30 % 30}?") for n in range(questions)]
    sizes, seen = [], 0
    tracemalloc.start()
    try:
        for event in Run(asked, engine, settings).events():
            seen += isinstance(event, count)
            if isinstance(event, Stepped) and seen >= marks[len(sizes)]:
                engine._backend.widths.clear()  # the scripted model's own diary
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
                if len(sizes) == len(marks):
                    break
    finally:
        tracemalloc.stop()
    return sizes


def test_an_open_question_holds_how_its_race_stands_and_nothing_that_was_said():
    early, late = grown(700, lambda seed: seed % 10, SampleFinished, (100, 600))
    assert (late - early) / 500 < 550, (early, late)


def test_more_samples_of_an_open_question_hold_hardly_more():
    """Text, answer and prompt wait in a file, as attempts that a chain may yet quote."""
    one, five = grown(200, lambda seed: seed % 3, SampleFinished, (200, 1000), policy="uniform")
    assert (five - one) / 800 < 100, (one, five)


def test_an_answered_question_holds_next_to_nothing():
    early, late = grown(200, lambda seed: 7, Answered, (50, 150))
    assert (late - early) / 100 < 100, (early, late)
