"""The budget is a hard cap: over a thousand random runs, not one token more is evaluated than was allowed."""

import random
from dataclasses import replace

import pytest

from dynscale_cli.errors import BudgetError, EngineError
from dynscale_cli.questions import Question
from dynscale_cli.run.events import Answered, RunFinished, Stepped
from dynscale_cli.run.request import Settings
from dynscale_cli.run.run import Run
from tests.scripted import scripted_engine

POLICIES = ("race", "ucb", "adaptive", "early-stop", "uniform")


def script(lengths: random.Random):
    typical = lengths.choice([2, 8, 30, 120])

    def complete(prompt: str, seed: int) -> str:
        rng = random.Random(f"{prompt[:200]}{seed}")
        answer = rng.choice(["12", "12", "13", "no idea"])
        words = " so" * min(200, int(rng.expovariate(1 / typical)) + 1)
        return f"{words}\nAnswer: {answer}" if rng.random() < 0.9 else words

    return complete


def one_run(number: int, rested: set[int] | None = None):
    """A run whose everything is drawn from `number`; it is put in `rested` if samples of it had to rest."""
    rng = random.Random(number)
    questions = [
        Question(n, str(n), "How many? " + "word " * rng.choice([1, 5, 40]) + str(n)) for n in range(rng.randint(1, 9))
    ]
    engine = scripted_engine(
        script(rng),
        width=rng.randint(1, 8),
        context=rng.choice([180, 400, 2000]),
        chunk=rng.choice([4, 64]),
        cache_bytes=rng.choice([0, 6000, 1 << 20]),
        fail_at=rng.choice([None] * 9 + [rng.randint(1, 60)]),
    )
    if rng.random() < 0.7:  # samples that are longer than they were thought to be
        engine._backend.info = replace(engine.info, expected=10)
    settings = Settings(
        budget=rng.choice([1, 50, 150, 400, 800, 1500, 3000]),
        max_tokens=rng.choice([3, 20, 300, 300]),
        policy=rng.choice(POLICIES),
        mode=rng.choice(["hybrid", "parallel", "chain"]),
        layout=rng.choice(["turns", "quoted"]),
        exhaust=rng.random() < 0.2,
        max_samples=rng.choice([None, None, 3]),
        seed=number,
        time_limit=rng.choice([None] * 5 + [20.0, 200.0]),
    )
    ticks = iter(range(1 << 30))
    stop_after = rng.choice([None] * 9 + [rng.randint(1, 40)])
    steps = iter(range(1 << 30))
    run = Run(
        questions,
        engine,
        settings,
        interrupted=lambda: stop_after is not None and next(steps) >= stop_after,
        clock=lambda: float(next(ticks)),
    )
    events, raised = [], None
    try:
        for event in run.events():
            events.append(event)
            if rested is not None and run._resting:
                rested.add(number)
    except (BudgetError, EngineError) as error:
        raised = error
    return questions, settings, engine, run, events, raised


@pytest.mark.parametrize("block", range(20))
def test_a_budget_is_never_exceeded_and_every_question_is_reported(block):
    """Whatever is stopped on the way: samples that do not fit, what settled questions have in flight, all of it."""
    for number in range(block * 50, block * 50 + 50):
        questions, settings, engine, run, events, raised = one_run(number)
        backend = engine._backend
        steps = [event for event in events if isinstance(event, Stepped)]
        assert all(step.spent + step.reserved <= settings.budget for step in steps), number
        assert backend.evaluated <= settings.budget, number
        results = [event.result for event in events if isinstance(event, Answered)]
        assert sorted(result.index for result in results) == list(range(len(questions))), number
        finished = [event for event in events if isinstance(event, RunFinished)]
        assert len(finished) == 1, number
        billed = sum(result.tokens.billed for result in results)
        assert billed == finished[0].tokens.billed, number
        if not isinstance(raised, EngineError):
            assert billed == backend.evaluated == run.state.ledger.spent, number
        assert run.state.ledger.reserved == 0, number
        assert backend.samplers == 0 or raised is not None or engine.free_slots == engine.info.width, number


def test_the_same_seed_gives_the_same_run():
    for number in range(0, 200, 7):
        assert one_run(number)[4] == one_run(number)[4], number


def test_the_random_runs_have_rests_and_stops_in_them():
    rested = set()
    assert sum(one_run(number, rested)[3].state.stopped for number in range(100)) > 0
    assert len(rested) > 5
