"""What a run plays back instead of decoding: the same samples at the same price as if it had decoded them itself."""

import random

import pytest

from dynscale_cli.evaluation.sample_cache import ReplayedEngine, SampleCache
from dynscale_cli.questions import Question
from dynscale_cli.run.events import RunFinished, SampleFinished, Stepped
from dynscale_cli.run.request import Settings
from dynscale_cli.run.run import Run
from tests.scripted import scripted_engine

QUESTIONS = [Question(n, str(n), f"How many are number {n} here?", (), str(100 + n)) for n in range(6)]


def script(prompt: str, seed: int) -> str:
    """Some samples answer, and some go on for ever and have to be asked."""
    rng = random.Random(seed)
    if rng.random() < 0.3:
        return " and" * 60
    return " so" * rng.randint(1, 20) + f" Answer: {rng.randint(1, 3)}"


def engine(width: int = 4):
    return scripted_engine(script, width=width)


def run(engine, **changes):
    settings = Settings(**{"budget": 6000, "max_tokens": 40, "policy": "uniform", "mode": "parallel"} | changes)
    events = list(Run(QUESTIONS, engine, settings, clock=lambda: 0.0).events())
    samples = {(e.index, e.sample.number): e.sample for e in events if isinstance(e, SampleFinished)}
    return samples, next(e for e in events if isinstance(e, RunFinished)), events


def test_what_is_on_the_tape_is_played_at_its_price_and_nothing_is_decoded():
    decoder, cache = engine(), SampleCache()
    plain, account, _ = run(engine(), max_samples=4)
    run(ReplayedEngine(decoder, cache), max_samples=4)
    player = ReplayedEngine(decoder, cache)
    played, billed, _ = run(player, max_samples=4)
    assert player.decoded == 0
    assert played == plain
    assert any(sample.forced for sample in played.values())
    assert billed.tokens == account.tokens


@pytest.mark.parametrize("budget", [300, 500, 700])
def test_where_a_budget_ends_what_is_played_has_got_as_far_as_what_is_decoded(budget):
    decoder, cache = engine(), SampleCache()
    run(ReplayedEngine(decoder, cache), max_samples=8, max_tokens=60)
    plain, _, _ = run(engine(), max_samples=8, max_tokens=60, budget=budget)
    played, _, _ = run(ReplayedEngine(decoder, cache), max_samples=8, max_tokens=60, budget=budget)
    assert set(played) == set(plain)
    assert all(played[one] == plain[one] for one in plain if not plain[one].cut)


def test_a_tape_that_ends_is_gone_on_with_live_at_the_price_of_a_run_of_its_own():
    decoder, cache = engine(), SampleCache()
    run(ReplayedEngine(decoder, cache), max_samples=2)
    player = ReplayedEngine(decoder, cache)
    mixed, billed, _ = run(player, max_samples=5)
    plain, account, _ = run(engine(), max_samples=5)
    assert mixed == plain
    assert billed.tokens == account.tokens
    assert 0 < player.decoded < account.tokens.billed


@pytest.mark.parametrize("mode", ["chain", "sequential"])
def test_chains_on_top_of_a_played_pool_cost_what_they_would_cost_without_one(mode):
    """The engine has not evaluated the questions' prompts, which the chains share: that is not the chains' to pay."""
    decoder, cache = engine(1), SampleCache()
    run(ReplayedEngine(decoder, cache), max_samples=6)
    mixed, billed, _ = run(ReplayedEngine(decoder, cache), max_samples=6, mode=mode)
    plain, account, _ = run(engine(1), max_samples=6, mode=mode)
    assert {name: (s.kind, s.text, s.tokens) for name, s in mixed.items()} == {
        name: (s.kind, s.text, s.tokens) for name, s in plain.items()
    }
    assert billed.tokens == account.tokens


def test_an_engine_that_knows_the_prompts_already_makes_a_run_no_cheaper():
    decoder = engine()
    run(ReplayedEngine(decoder, SampleCache()), max_samples=1)
    warm, billed, _ = run(ReplayedEngine(decoder, SampleCache()), max_samples=3, seed=5)
    cold, account, _ = run(engine(), max_samples=3, seed=5)
    assert warm == cold
    assert billed.tokens == account.tokens


def test_the_ledger_agrees_with_the_bill_at_every_step():
    decoder, cache = engine(), SampleCache()
    run(ReplayedEngine(decoder, cache), max_samples=3)
    _, billed, events = run(ReplayedEngine(decoder, cache), policy="race", mode="hybrid")
    steps = [event for event in events if isinstance(event, Stepped)]
    assert steps[-1].spent == billed.tokens.billed
    assert all(step.spent + step.reserved <= 6000 for step in steps)
