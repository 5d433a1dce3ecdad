"""Hybrid sampling: chains are kept where they help, and fade where they only repeat what they read."""

import random
import re
from functools import cache

import pytest

from dynscale_cli.questions import Question
from dynscale_cli.run.events import Answered, RunFinished, SampleFinished, Stepped
from dynscale_cli.run.request import Settings
from dynscale_cli.run.run import Run
from tests.scripted import scripted_engine

QUESTIONS = 80


def model(chain):
    """A model that thinks at length, finds the right answer (100 + the question's number) 4 times in 10, and
    answers chains as `chain` says."""

    def complete(prompt: str, seed: int) -> str:
        rng = random.Random(seed)
        right = 100 + int(re.findall(r"number (\d+) here", prompt)[0])
        attempts = re.findall(r"Answer: (\d+)", prompt)
        answer = chain(rng, right, attempts) if attempts else own(rng, right)
        return " <think>" + " because" * 60 + f" </think>\nAnswer: {answer}"

    return complete


def own(rng: random.Random, right: int) -> int:
    return right if rng.random() < 0.4 else rng.randint(1, 5)


def helps(rng, right, attempts):
    return right if rng.random() < 0.9 else rng.randint(1, 4)


def copies_one(rng, right, attempts):
    return rng.choice(attempts)


def copies_the_leader(rng, right, attempts):
    return max(attempts, key=attempts.count)


def misleads(rng, right, attempts):
    return right if rng.random() < 0.1 else rng.randint(1, 4)


@cache
def run(chain, mode, layout="turns", seed=0):
    """The events of one run: several tests look at the same one."""
    questions = [Question(n, str(n), f"How many are number {n} here?", (), str(100 + n)) for n in range(QUESTIONS)]
    settings = Settings(budget=QUESTIONS * 1500, mode=mode, layout=layout, seed=seed, policy="uniform")
    return list(Run(questions, scripted_engine(model(chain), width=8), settings, clock=lambda: 0.0).events())


def share(events):
    return [event for event in events if isinstance(event, Stepped)][-1].chain_share


def right(events):
    return sum(event.result.correct for event in events if isinstance(event, Answered))


def kinds(events):
    return next(event for event in events if isinstance(event, RunFinished)).kinds


@pytest.mark.parametrize("layout", ["turns", "quoted"])
def test_chains_that_help_are_drawn_more_and_more(layout):
    hybrid = run(helps, "hybrid", layout)
    assert share(hybrid) > 0.9
    assert kinds(hybrid)["chain"].agreement > kinds(hybrid)["parallel"].agreement
    assert right(hybrid) > right(run(None, "parallel"))


@pytest.mark.parametrize("chain", [copies_one, copies_the_leader, misleads])
def test_chains_that_tell_nothing_new_fade(chain):
    hybrid = run(chain, "hybrid")
    assert share(hybrid) < 0.1
    assert kinds(hybrid)["chain"].samples < 0.15 * kinds(hybrid)["parallel"].samples


@pytest.mark.parametrize("chain", [copies_one, copies_the_leader, misleads])
def test_chains_that_do_not_help_cost_little_accuracy(chain):
    seeds = range(2)
    hybrid = sum(right(run(chain, "hybrid", seed=seed)) for seed in seeds)
    parallel = sum(right(run(None, "parallel", seed=seed)) for seed in seeds)  # which draws no chain
    assert hybrid >= parallel - 0.05 * QUESTIONS * len(seeds)


def test_the_first_samples_are_parallel_and_chains_read_only_finished_ones():
    events = run(helps, "chain")
    samples = [event.sample for event in events if isinstance(event, SampleFinished)]
    assert all(sample.kind == "parallel" for sample in samples if sample.number < 4)
    chains = [sample for sample in samples if sample.kind == "chain"]
    assert len(chains) > QUESTIONS
    assert all(2 <= len(sample.seen) <= 3 and sample.number not in sample.seen for sample in chains)


def test_parallel_mode_draws_no_chain():
    events = run(None, "parallel")
    assert all(event.sample.kind == "parallel" for event in events if isinstance(event, SampleFinished))
    assert share(events) == 0


def test_a_chain_reuses_the_questions_prefix():
    samples = [event.sample for event in run(helps, "chain") if isinstance(event, SampleFinished)]
    chains = [sample for sample in samples if sample.kind == "chain"]
    assert min(sample.tokens.reused for sample in chains) >= 10


def test_a_chain_that_repeats_the_leader_it_read_votes_with_less():
    samples = [event.sample for event in run(copies_the_leader, "chain") if isinstance(event, SampleFinished)]
    weights = [sample.weight for sample in samples if sample.kind == "chain"]
    assert min(weights) == 0.5
    assert sum(weights) / len(weights) < 0.75


def test_in_sequence_each_sample_revises_the_one_before_it_and_waits_for_it():
    questions = [Question(n, str(n), f"How many are number {n} here?") for n in range(3)]
    settings = Settings(budget=20_000, mode="sequential", policy="uniform", max_samples=5)
    events = list(Run(questions, scripted_engine(model(copies_one), width=8), settings, clock=lambda: 0.0).events())
    samples = [event.sample for event in events if isinstance(event, SampleFinished)]
    assert len(samples) == 15
    assert all(sample.seen == (() if sample.number == 0 else (sample.number - 1,)) for sample in samples)
    assert {sample.weight for sample in samples} == {1.0}  # a revision that agrees is no copy of a vote
    assert max(event.active for event in events if isinstance(event, Stepped)) == 3
