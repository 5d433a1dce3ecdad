"""Depth before breadth: no more in flight than the answer needs, nothing begun that the budget cannot finish."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from dynscale_cli.allocation import policies
from dynscale_cli.engine.protocol import Sampling, Tokens
from dynscale_cli.questions import Question
from dynscale_cli.run.events import (
    Answered,
    Notice,
    RunFinished,
    SampleFinished,
    SampleStarted,
    Stepped,
)
from dynscale_cli.run.request import Settings
from dynscale_cli.run.run import Run
from dynscale_cli.run.state import CUT_WEIGHT
from dynscale_cli.sampling.prompts import Prompts
from tests.scripted import scripted_engine


def ask(script, questions=1, width=4, budget=None, forced=None, engine=None, **settings):
    asked = [Question(n, str(n), f"How many are {n}?", (), "42") for n in range(questions)]
    options = {"width": width, **({"forced": forced} if forced else {})}
    model = scripted_engine(script, **options)
    model._backend.info = replace(model.info, **(engine or {}))
    run = Run(
        asked,
        model,
        Settings(**{"budget": budget or 4000 * questions, "mode": "parallel", "answer_type": "number", **settings}),
        clock=settings.pop("clock", lambda: 0.0),
    )
    return list(run.events())


def results(events):
    return sorted((e.result for e in events if isinstance(e, Answered)), key=lambda result: result.index)


def cost(events):
    return next(event for event in events if isinstance(event, RunFinished)).tokens.billed


def notices(events):
    return [event.message for event in events if isinstance(event, Notice)]


def agreeing(share):
    """Samples of 10 to 60 words of which `share` say 42, and the rest one of three other numbers."""

    def script(prompt, seed):
        rng = random.Random(f"{prompt}{seed}")
        answer = 42 if rng.random() < share else rng.randint(1, 3)
        return " so" * rng.randint(10, 60) + f"\nAnswer: {answer}"

    return script


def mixed(prompt, seed):
    """Half the questions are easy, a quarter is won by 7 of 10, a quarter is hopeless; all are sampled at length."""
    rng = random.Random(f"{prompt[:60]}{seed}")
    kind = sum(map(ord, prompt.split("are ")[-1][:6])) % 4
    share = (1.0, 1.0, 0.7, 0.0)[kind]
    answer = 42 if rng.random() < share else rng.randint(1, 3) if kind == 2 else rng.randint(1, 10**6)
    return " so" * rng.randint(10, 60) + f"\nAnswer: {answer}"


@pytest.mark.parametrize("width", [1, 4, 8, 16, 32])
def test_a_question_on_which_all_agree_takes_no_more_samples_than_settle_it(width):
    events = ask(lambda prompt, seed: " so" * (5 + seed % 40) + "\nAnswer: 42", width=width)
    assert results(events)[0].stopped == "settled"
    assert sum(isinstance(event, SampleStarted) for event in events) <= 5


@pytest.mark.parametrize("width", [16, 32])
def test_a_question_on_which_seven_of_ten_agree_costs_a_wide_batch_what_it_costs_a_narrow_one(width):
    narrow = sum(cost(ask(agreeing(0.7), width=1, seed=seed)) for seed in range(40))
    wide = sum(cost(ask(agreeing(0.7), width=width, seed=seed)) for seed in range(40))
    assert wide < 1.1 * narrow


@pytest.mark.parametrize("width", [16, 32])
@pytest.mark.parametrize("questions", [4, 16, 64])
def test_mixed_questions_cost_a_wide_batch_what_they_cost_a_narrow_one(questions, width):
    def run(width):
        runs = [
            ask(mixed, questions, width, budget=500 * questions, seed=seed) for seed in range(max(1, 32 // questions))
        ]
        right = sum(result.answer == "42" for events in runs for result in results(events))
        return sum(map(cost, runs)), right

    (narrow, right), (wide, as_right) = run(1), run(width)
    assert wide < 1.1 * narrow
    assert as_right >= right - 2


def test_what_a_settled_question_still_has_in_flight_is_stopped_and_billed_for_what_it_had(monkeypatch):
    monkeypatch.setattr(policies, "need", lambda first, second, target: 16)  # as if more could be needed
    script = lambda prompt, seed: " so" * (400 if seed % 5 == 0 else 8) + "\nAnswer: 42"  # noqa: E731
    runs = [ask(script, width=16, seed=seed) for seed in range(12)]
    started = [sum(isinstance(event, SampleStarted) for event in events) for events in runs]
    finished = [results(events)[0].samples for events in runs]
    assert sum(started) > sum(finished)
    for events in runs:
        [result] = results(events)
        done = sum((e.sample.tokens for e in events if isinstance(e, SampleFinished)), Tokens())
        assert result.tokens.billed == cost(events) >= done.billed


def test_exhaust_fills_the_slots():
    events = ask(lambda prompt, seed: " so" * 20 + "\nAnswer: 42", width=16, exhaust=True)
    assert max(event.active for event in events if isinstance(event, Stepped)) == 16


def test_a_wide_batch_starves_no_question():
    for policy in ("race", "adaptive", "early-stop"):
        events = ask(mixed, 24, 16, budget=24 * 300, policy=policy)
        assert all(result.samples for result in results(events))


def test_a_hopeless_question_leaves_the_easy_ones_their_samples():
    def script(prompt, seed):
        return " so" * 20 + f"\nAnswer: {seed if 'are 0?' in prompt else 42}"

    events = ask(script, 10, 16, budget=10 * 150)
    stopped = Counter(result.stopped for result in results(events)[1:])
    assert stopped == {"settled": 9}


def test_samples_longer_than_thought_let_the_oldest_finish():
    """A thinker that nobody announced: six samples would be begun and cut; the first are right."""
    events = ask(
        lambda prompt, seed: " <think>" + " hmm" * (1100 + seed % 50) + " </think>\nAnswer: 42",
        width=16,
        budget=3000,
        max_tokens=2000,
        forced=lambda prompt, seed: "7",
    )
    [result] = results(events)
    assert result.answer == "42"
    assert result.forced <= 1


def long_ones(prompt, seed):
    """One sample in five takes 900 words, the others 20."""
    return " so" * (900 if seed % 5 == 0 else 20) + f"\nAnswer: {seed % 3}"


def lost(events):
    """The share of the tokens that went to samples that came to nothing."""
    done = sum(event.sample.tokens.billed for event in events if isinstance(event, SampleFinished))
    return 1 - done / cost(events)


@pytest.mark.parametrize("width", [4, 16])
def test_a_sample_that_has_to_wait_is_not_begun_again(width):
    """It rests until the budget is expected to see it to its end; only at the end of all is it given up."""
    for seed in range(3):
        events = ask(long_ones, 6, width, budget=4000, max_tokens=4000, seed=seed)
        begun = Counter((event.index, event.number) for event in events if isinstance(event, SampleStarted))
        assert max(begun.values()) == 1
        assert lost(events) < 0.4


def test_four_samples_of_one_length_that_fit_the_budget_all_finish_however_long_they_were_thought_to_be():
    engine = {"expected": 300}
    events = ask(lambda prompt, seed: " hmm" * 600 + "\nAnswer: 42", budget=2700, max_tokens=800, engine=engine)
    [result] = results(events)
    assert (result.stopped, result.samples, result.cut) == ("settled", 4, 0)
    assert lost(events) == 0
    assert min(event.active for event in events if isinstance(event, Stepped)) < 4


def test_a_sample_that_rests_when_the_time_is_up_is_asked_for_its_answer():
    ticks = iter(range(100_000))
    script = lambda prompt, seed: " hmm" * 900 + "\nAnswer: 7"  # noqa: E731
    engine = scripted_engine(script, width=4, forced=lambda prompt, seed: "42")
    settings = Settings(budget=2500, max_tokens=2000, mode="parallel", answer_type="number", time_limit=1500.0)
    run = Run([Question(0, "0", "How many?")], engine, settings, clock=lambda: float(next(ticks)))
    events = list(run.events())
    [result] = results(events)
    assert (result.answer, result.stopped, result.forced) == ("42", "time", 4)
    assert min(event.active for event in events if isinstance(event, Stepped) and event.active) < 4


def test_what_outlives_its_forecast_tells_how_long_the_next_will_be():
    """None is begun for nothing beside it, and the oldest can finish."""
    script = lambda prompt, seed: " hmm" * 600 + "\nAnswer: 42"  # noqa: E731
    events = ask(script, budget=3000, max_tokens=2000, forced=lambda *_: "7", engine={"expected": 20})
    [result] = results(events)
    assert (result.answer, result.cut) == ("42", 0)
    assert lost(events) == 0


def test_a_thousand_questions_with_a_budget_for_forty_get_forty_answers():
    def script(prompt, seed):
        return " so" * (5 + seed % 35) + "\nAnswer: 42"

    alone, beside = (ask(script, 1000, width, budget=2000) for width in (1, 16))
    for events in (alone, beside):
        assert all(result.samples <= 1 for result in results(events))
    answered = [sum(result.answer is not None for result in results(events)) for events in (alone, beside)]
    assert answered[0] > 35
    assert answered[1] > 0.9 * answered[0]


def test_a_budget_for_one_sample_is_spent_on_one():
    events = ask(lambda prompt, seed: " so" * 20 + "\nAnswer: 42", 10, 16, budget=80)
    assert [result.answer for result in results(events)].count("42") == 1
    assert sum(isinstance(event, SampleStarted) for event in events) == 1


def test_a_length_that_is_known_beforehand_begins_no_more_than_fit():
    engine = scripted_engine(lambda prompt, seed: " hmm" * 900 + "\nAnswer: 42", width=16)
    engine._backend.info = type(engine.info)("scripted", 16, 4096, expected=1000)
    run = Run([Question(0, "0", "How many?")], engine, Settings(budget=2400, mode="parallel", answer_type="number"))
    events = list(run.events())
    assert results(events)[0].samples == 2
    assert sum(event.sample.cut for event in events if isinstance(event, SampleFinished)) == 0
    assert run.state.stopped == 0


def test_forced_votes_are_marked_weigh_less_and_settle_nothing_alone():
    events = ask(lambda prompt, seed: " <think>" + " hmm" * 500, max_tokens=30, forced=lambda prompt, seed: "42")
    [result] = results(events)
    assert result.answer == "42"
    assert result.stopped == "cut off"
    assert result.forced == result.cut == result.samples
    assert result.votes == {"42": CUT_WEIGHT * result.samples}
    message = f"{result.cut} of {result.samples} samples were cut off while thinking: raise --max-tokens"
    assert result.note == f"{message} or use --think off"
    assert result.note in notices(events)
    assert cost(events) < 2000


@pytest.mark.parametrize(("max_tokens", "remedy"), [(30, "--max-tokens"), (3000, "--ctx-size")])
def test_what_is_to_be_raised_is_what_cut_the_samples(max_tokens, remedy):
    events = ask(lambda prompt, seed: " hmm" * 500, max_tokens=max_tokens, engine={"context": 120}, max_samples=2)
    assert results(events)[0].note == f"2 of 2 samples were cut off: raise {remedy}"


def test_forced_votes_beside_whole_ones_may_settle():
    def script(prompt, seed):
        return " so" * (100 if seed % 4 == 0 else 5) + "\nAnswer: 42"

    events = ask(script, max_tokens=40, forced=lambda prompt, seed: "42", seed=3)
    [result] = results(events)
    assert result.stopped == "settled"
    assert result.note is None


def test_a_guess_in_a_thought_that_is_cut_off_does_not_vote():
    events = ask(
        lambda prompt, seed: " <think> So the answer is 7." + " hmm" * 500,
        max_tokens=30,
        forced=lambda prompt, seed: "I do not know",
    )
    [result] = results(events)
    assert (result.answer, result.votes) == (None, {})


def test_a_sample_that_ends_without_an_answer_is_asked_for_it():
    events = ask(lambda prompt, seed: " I have counted them all.", forced=lambda prompt, seed: "42")
    [result] = results(events)
    assert (result.answer, result.stopped, result.forced, result.cut) == ("42", "settled", 0, 0)
    assert all(event.sample.asked for event in events if isinstance(event, SampleFinished))


def test_one_vote_gives_no_figure():
    [result] = results(ask(lambda prompt, seed: " so\nAnswer: 42", max_samples=1))
    assert (result.answer, result.confidence) == ("42", None)


def test_ten_different_answers_are_not_half_sure():
    [result] = results(ask(lambda prompt, seed: f" so\nAnswer: {seed}", max_samples=10))
    assert result.confidence == pytest.approx(0.1, abs=0.01)


def test_temperature_0_draws_one_sample_and_says_so():
    events = ask(lambda prompt, seed: " so\nAnswer: 42", sampling=Sampling(0.0))
    assert results(events)[0].samples == 1
    assert any("temperature 0" in note for note in notices(events))


def test_a_time_limit_asks_what_is_in_flight_for_its_answer():
    ticks = iter(range(10_000))
    asked = [Question(0, "0", "How many?")]
    engine = scripted_engine(lambda prompt, seed: " so" * 900, width=4, forced=lambda prompt, seed: "42")
    settings = Settings(budget=100_000, mode="parallel", answer_type="number", time_limit=60.0)
    events = list(Run(asked, engine, settings, clock=lambda: float(next(ticks))).events())
    [result] = results(events)
    assert (result.answer, result.stopped) == ("42", "time")
    assert "raise --time-limit" in result.note
    assert engine.free_slots == 4


def responses(prompt, seed):
    if "attempts" in prompt:
        return " Deep and blue, and full of fish."
    return f" The sea is deep, as number {seed % 1000} has it.\nIt is blue, too."


def explain(**options):
    asked = [Question(0, "0", "Explain the sea in a few words.")]
    engine = scripted_engine(responses, width=8)
    engine._backend.info = replace(engine.info, parameters=options.pop("parameters", None))
    settings = Settings(**{"budget": 20_000, "answer_type": "auto", **options})
    events = list(Run(asked, engine, settings, clock=lambda: 0.0).events())
    return results(events)[0], [event.sample for event in events if isinstance(event, SampleFinished)]


def test_an_open_question_gets_three_samples_and_the_response_that_stands_in_their_middle():
    result, samples = explain(parameters=135_000_000)
    assert [sample.kind for sample in samples] == ["parallel"] * 3
    assert result.answer in [sample.text.strip() for sample in samples]
    assert result.stopped == "limit"


def test_a_capable_model_reads_its_responses_and_writes_the_answer():
    result, samples = explain(parameters=8_000_000_000)
    assert [sample.kind for sample in samples] == ["parallel"] * 3 + ["chain"]
    assert set(samples[-1].seen) == {0, 1, 2}
    assert result.answer == "Deep and blue, and full of fish."


@pytest.mark.parametrize("options", [{"max_samples": 6}, {"exhaust": True, "budget": 800}])
def test_an_open_question_gets_more_samples_where_they_are_asked_for(options):
    _, samples = explain(parameters=135_000_000, **options)
    assert len(samples) > 4


def test_a_chain_of_an_open_question_is_not_told_to_end_on_an_answer():
    for layout in ("turns", "quoted"):
        asked = Question(0, "0", "Explain the sea.")
        text = "\n".join(m.content for m in Prompts().chain(asked, ["It is deep."], layout, compared=False))
        assert "Answer:" not in text
        assert "Explain the sea." in text


def test_explain_tells_where_the_share_of_chains_began():
    finished = next(
        event
        for event in ask(lambda prompt, seed: " so\nAnswer: 42", mode="hybrid", chain_share=0.3)
        if isinstance(event, RunFinished)
    )
    assert (finished.chain_share_prior, finished.chain_share) == (0.3, pytest.approx(0.3))
