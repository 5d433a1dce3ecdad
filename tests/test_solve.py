"""The loop over a scripted engine: what is asked, counted, settled and reported."""

import random

import pytest

from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.errors import BudgetError, EngineError
from dynscale_cli.questions import Question
from dynscale_cli.run import database
from dynscale_cli.run.events import (
    Answered,
    Notice,
    RunFinished,
    SampleFinished,
    SampleStarted,
    SampleText,
    Stepped,
)
from dynscale_cli.run.request import Settings
from dynscale_cli.run.run import Run
from tests.scripted import scripted_engine


def always(text):
    return lambda prompt, seed: text


def ask(script, questions=("How many?",), interrupted=lambda: False, engine=None, **settings):
    """(results in order, all events) of a run; `engine` holds options of the scripted engine."""
    asked = [q if isinstance(q, Question) else Question(n, str(n + 1), q, (), None) for n, q in enumerate(questions)]
    run = Run(
        asked,
        scripted_engine(script, **(engine or {})),
        Settings(**{"budget": 2000, "mode": "parallel", **settings}),
        interrupted=interrupted,
        clock=lambda: 0.0,
    )
    events = []
    try:
        for event in run.events():
            events.append(event)
    finally:
        ask.events = events
    results = sorted((e.result for e in events if isinstance(e, Answered)), key=lambda r: r.index)
    return results, events


def samples(events):
    return [event.sample for event in events if isinstance(event, SampleFinished)]


def test_unanimous_samples_settle_a_question_and_leave_the_rest_of_the_budget():
    [result], events = ask(always(" so\nAnswer: 42"), engine={"width": 2})
    assert (result.answer, result.stopped) == ("42", "settled")
    assert result.samples <= 6
    assert result.confidence >= 0.95
    finished = next(event for event in events if isinstance(event, RunFinished))
    assert (finished.settled, finished.unanswered) == (1, 0)
    assert finished.tokens.billed < 2000


def test_exhaust_spends_what_settling_would_leave():
    [result], events = ask(always(" so\nAnswer: 42"), exhaust=True, budget=1000)
    assert result.tokens.billed > 900
    assert next(event for event in events if isinstance(event, RunFinished)).settled == 1
    assert result.stopped == "settled"


def test_the_majority_answers():
    def script(prompt, seed):
        return f" so\nAnswer: {7 if random.Random(seed).random() < 0.7 else seed % 5}"

    [result], _ = ask(script, policy="uniform", budget=3000)
    assert result.answer == "7"
    assert next(iter(result.votes)) == "7"
    assert sum(result.votes.values()) == result.samples


def test_equal_numbers_are_one_vote_however_written():
    forms = ["1,234.0", "$1234", "1234", "**1234**", "\\boxed{1234}"]
    [result], _ = ask(lambda prompt, seed: f" so\nAnswer: {forms[seed % 5]}", policy="uniform", budget=1500)
    assert len(result.votes) == 1


def test_a_sample_without_an_answer_does_not_vote():
    [result], events = ask(
        always(" I cannot say"),
        questions=[Question(0, "1", "How many apples?")],
        engine={"forced": always("nothing")},
        answer_type="number",
        budget=600,
    )
    assert (result.answer, result.stopped, result.votes) == (None, "no answer", {})
    assert result.samples == len(samples(events)) > 0
    assert next(event for event in events if isinstance(event, RunFinished)).unanswered == 1


def test_a_sample_cut_off_before_its_answer_is_asked_for_it():
    [result], events = ask(
        always(" word" * 500), engine={"forced": always("42\n and on")}, max_tokens=30, answer_type="number"
    )
    assert result.answer == "42"
    assert result.forced == result.samples
    assert all(sample.forced for sample in samples(events))
    assert all(sample.text.endswith("Answer: 42") for sample in samples(events))


def test_a_sample_cut_off_behind_its_answer_is_not_asked_again():
    [result], _ = ask(always("\nAnswer: 7\n" + " word" * 500), max_tokens=30, answer_type="number")
    assert (result.answer, result.forced) == ("7", 0)


def test_an_open_thought_is_closed_before_the_answer_is_asked():
    [result], events = ask(
        always(" <think>" + " hmm" * 500), engine={"forced": always("5")}, max_tokens=30, answer_type="number"
    )
    assert result.answer == "5"
    assert all("</think>" in sample.text for sample in samples(events))


def test_max_thinking_closes_a_thought_and_lets_the_sample_go_on():
    _, events = ask(always(" <think>" + " hmm" * 60 + " </think>\nAnswer: 9"), max_thinking=10, stream=True)
    first = samples(events)[0]
    assert first.text.index("</think>") < 80
    thoughts = [event for event in events if isinstance(event, SampleText) and event.thinking]
    assert thoughts
    assert not any("Answer" in event.text for event in thoughts)


def test_thoughts_do_not_vote():
    [result], _ = ask(always(" <think> Answer: 1 </think>\nAnswer: 2"))
    assert set(result.votes) == {"2"}


def test_abstaining_gives_no_answer_below_the_bar():
    [result], events = ask(lambda prompt, seed: f" so\nAnswer: {seed % 2}", abstain_below=0.999, budget=600)
    assert result.answer is None
    assert result.votes
    assert next(event for event in events if isinstance(event, RunFinished)).unanswered == 1


def test_a_limit_of_samples_is_kept():
    results, events = ask(lambda prompt, seed: f" so\nAnswer: {seed}", questions=["a?", "b?"], max_samples=3)
    assert [result.samples for result in results] == [3, 3]
    assert [result.stopped for result in results] == ["limit", "limit"]
    assert sum(isinstance(event, SampleStarted) for event in events) == 6


def test_a_prompt_that_does_not_fit_fails_alone():
    results, _ = ask(
        always(" so\nAnswer: 1"),
        questions=["short one?", "long " * 400, "short two?"],
        engine={"context": 200},
        budget=4000,
        max_tokens=50,
    )
    assert [result.answer for result in results] == ["1", None, "1"]
    assert "does not fit" in results[1].error
    assert results[1].stopped == "error"


def test_a_budget_below_one_sample_says_what_one_costs():
    with pytest.raises(BudgetError, match=r"budget of 20 does not pay .* needs \d+"):
        ask(always(" so\nAnswer: 1"), budget=20)
    assert [event.result.stopped for event in ask.events if isinstance(event, Answered)] == ["budget"]


def test_every_question_gets_its_first_sample_before_any_gets_luxury():
    _, events = ask(lambda prompt, seed: f" so\nAnswer: {seed}", questions=[f"q{n}?" for n in range(10)], budget=1200)
    firsts = [event.index for event in events if isinstance(event, SampleStarted)][:10]
    assert sorted(firsts) == list(range(10))


def test_a_failing_engine_loses_no_finished_answer():
    with pytest.raises(EngineError):
        ask(
            always(" so\nAnswer: 3"),
            questions=[f"q{n}?" for n in range(6)],
            engine={"fail_at": 14, "width": 3},
            budget=9000,
        )
    results = [event.result for event in ask.events if isinstance(event, Answered)]
    assert len(results) == 6
    assert any(result.answer == "3" for result in results)
    assert any(isinstance(event, Notice) for event in ask.events)


def test_an_interrupted_run_reports_what_it_has():
    steps = iter(range(1000))
    results, events = ask(
        lambda prompt, seed: f" so\nAnswer: {seed % 3}", interrupted=lambda: next(steps) > 12, budget=9000
    )
    assert results[0].stopped == "interrupted"
    assert results[0].answer is not None
    assert next(event for event in events if isinstance(event, RunFinished)).interrupted


def test_a_long_form_answer_is_the_whole_response():
    text = " The sea is deep.\nIt is blue, too.\nFish live there."
    [result], _ = ask(always(text), questions=["Explain the sea in a few words."])
    assert result.answer.strip() == text.strip()


def test_what_is_generated_is_told_while_it_is_generated():
    """Or else a speed made of it would be 0 until the first sample ends."""
    _, events = ask(lambda prompt, seed: " one two three four five\nAnswer: 6", questions=["a?"], max_samples=1)
    told = [event.generated for event in events if isinstance(event, Stepped)]
    assert told == sorted(told)
    assert len(set(told)) > 5


def test_gold_is_compared_and_never_shown_to_the_model():
    seen = []

    def script(prompt, seed):
        seen.append(prompt)
        return " so\nAnswer: 6"

    results, _ = ask(script, questions=[Question(0, "a", "How many?", (), "6.0"), Question(1, "b", "And?", (), "8765")])
    assert [result.correct for result in results] == [True, False]
    assert not any("8765" in prompt for prompt in seen)


def test_choices_are_laid_out_and_their_letter_answers():
    question = Question(0, "1", "Which is red?", ("grass", "blood", "sky"), "B")
    prompts = []

    def script(prompt, seed):
        prompts.append(prompt)
        return " It is blood.\nAnswer: (B)"

    [result], _ = ask(script, questions=[question])
    assert result.correct
    assert "B) blood" in prompts[0]


def test_the_questions_tokens_add_up_to_the_runs():
    results, events = ask(lambda prompt, seed: f" so\nAnswer: {seed % 4}", questions=["a?", "b?", "c?"], mode="hybrid")
    total = Tokens()
    for result in results:
        total += result.tokens
    assert total == next(event for event in events if isinstance(event, RunFinished)).tokens
    assert all(sum(report.tokens for report in result.kinds.values()) == result.tokens.billed for result in results)


def test_questions_with_a_shared_header_pay_for_it_once():
    results, _ = ask(always(" so\nAnswer: 1"), questions=[f"alpha{n}" for n in range(5)], engine={"width": 1})
    prompts = sorted(result.tokens.prompt for result in results)
    assert prompts[-1] > prompts[-2]
    assert len(set(prompts[:-1])) == 1


def test_what_the_budget_cannot_reach_is_not_laid_out():
    """Whatever is left at the end: of a thousand questions, those that get a sample are laid out, and few more."""
    asked = [Question(n, str(n), f"How many are {n} and {n}?") for n in range(1000)]
    for budget in range(600, 650, 4):
        engine = scripted_engine(always(" so it must be\nAnswer: 42"), width=4)
        laid_out = []
        engine.prompt = lambda messages, prompt=engine.prompt, laid_out=laid_out: laid_out.append(0) or prompt(messages)
        run = Run(asked, engine, Settings(budget=budget, mode="parallel"), clock=lambda: 0.0)
        events = list(run.events())
        started = sum(isinstance(event, SampleStarted) for event in events)
        assert started <= len(laid_out) <= started + 80, budget
        results = [event.result for event in events if isinstance(event, Answered)]
        assert len(results) == 1000
        assert sum(result.stopped == "budget" and not result.samples for result in results) >= 900
        assert not run.state.open


def test_a_cheap_question_is_found_behind_dear_ones():
    dear = ["Why? " + "word " * 200] * 100
    results, _ = ask(always(" 42\nAnswer: 42"), [*dear, "Short?", *dear], budget=200, engine={"width": 1})
    assert [result.answer for result in results] == [None] * 100 + ["42"] + [None] * 100
    assert {result.stopped for result in results if result.answer is None} == {"budget"}


def test_a_thought_that_reaches_its_limit_with_the_last_token_leaves_no_slot_behind():
    script, questions = always(" <think>" + " hmm" * 60), [f"Explain the sea in {n} words." for n in range(4)]
    results, _ = ask(script, questions, engine={"width": 2}, max_tokens=10, max_thinking=9, max_samples=2)
    assert [result.samples for result in results] == [2, 2, 2, 2]
    assert all(result.tokens.generated == 18 for result in results)


@pytest.mark.parametrize(("script", "answer"), [(always(""), None), (lambda prompt, seed: f" {seed % 2}", "0 or 1")])
def test_samples_that_cost_nothing_come_to_an_end(script, answer):
    """No budget ends them: the prompt is at hand, and the last token of a sample is never evaluated."""
    steps = iter(range(300))
    endless = lambda: next(steps) == 299  # noqa: E731
    [result], _ = ask(script, ["Explain the sea in a few words."], endless, max_tokens=1, exhaust=True)
    assert result.samples > 200
    assert result.tokens.billed < 100
    assert result.stopped == ("no answer" if answer is None else "limit")
    assert (result.answer is None) == (answer is None)


@pytest.mark.parametrize("mode", ["hybrid", "chain", "sequential"])
def test_a_run_does_not_depend_on_which_questions_are_at_hand(mode, monkeypatch):
    """Chains quote what was said long ago, of questions that have been in a file since."""

    def script(prompt, seed):
        return f" so {len(prompt)} and {seed % 1000}\nAnswer: {seed % 3}"

    asked = [Question(n, f"q{n}", f"What of {n}?", ("a", "b", "c") if n % 3 else (), "1") for n in range(30)]
    _, usual = ask(script, asked, mode=mode, budget=20_000, exhaust=True)
    monkeypatch.setattr(database, "AT_HAND", 1)
    _, sparse = ask(script, asked, mode=mode, budget=20_000, exhaust=True)
    assert sparse == usual
    assert any(sample.kind == "chain" for sample in samples(sparse))
