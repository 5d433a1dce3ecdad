"""The engine over a scripted model: forks, batches, limits and bills are right."""

import pytest

from dynscale_cli.engine.batched import BatchedEngine
from dynscale_cli.engine.protocol import Finished, Message, Piece, Request, Sampling
from tests.scripted import ScriptedBackend, scripted_engine


@pytest.fixture(params=["on the processor", "on a device"], autouse=True)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is computed: on a device, texts are told a step later, while it computes."""
    monkeypatch.setattr(ScriptedBackend, "asynchronous", request.param == "on a device")


class Halves(ScriptedBackend):
    """Spells é as two tokens."""

    def piece(self, token: int) -> bytes:
        word = super().piece(token)
        return {" left": "é".encode()[:1], " right": "é".encode()[1:]}.get(word.decode(), word)


def ask(engine: BatchedEngine, id: int, text: str = "what is this", limit: int = 50, **options: object) -> Request:
    prompt = engine.prompt([Message("user", text)])
    request = Request(id, prompt, limit, Sampling(), seed=id, cache_boundaries=(len(prompt),), **options)
    engine.submit(request)
    return request


def run(engine: BatchedEngine, until: int) -> tuple[dict[int, Finished], int]:
    """Step until so many requests are finished: (by id, tokens announced)."""
    finished: dict[int, Finished] = {}
    announced = 0
    while len(finished) < until:
        announced += sum(charge.prompt + charge.generated for charge in engine.plan_step())
        for event in engine.step():
            if isinstance(event, Finished):
                finished[event.id] = event
    return finished, announced


def words(prompt: str, seed: int) -> str:
    return f" word{seed}" * (3 + seed)


def test_forks_of_one_prompt_pay_for_it_once():
    engine = scripted_engine(words, width=4)
    requests = [ask(engine, id) for id in range(4)]
    prompt = len(requests[0].prompt)
    finished, announced = run(engine, 4)
    assert [finished[id].text for id in range(4)] == [words("", id) for id in range(4)]
    assert sum(f.tokens.prompt for f in finished.values()) == prompt
    assert sum(f.tokens.reused for f in finished.values()) == 3 * prompt
    assert announced == engine._backend.evaluated == sum(f.tokens.billed for f in finished.values())


def test_every_step_moves_every_sequence_and_a_free_slot_is_refilled_at_once():
    engine = scripted_engine(lambda prompt, seed: " w" * 5, width=3)
    for id in range(3):
        ask(engine, id)
    waiting = iter(range(3, 12))
    done = 0
    while done < 12:
        while engine.free_slots > 0 and (id := next(waiting, None)) is not None:
            ask(engine, id)
        engine.plan_step()
        done += sum(isinstance(event, Finished) for event in engine.step())
    assert engine._backend.widths[1:] == [3] * (len(engine._backend.widths) - 1)


def test_slots_stay_dense_when_sequences_end_in_any_order():
    engine = scripted_engine(lambda prompt, seed: " w" * (2 + seed * 7 % 13), width=6)
    for id in range(6):
        ask(engine, id, text=f"question number {id}")
    finished, _ = run(engine, 6)
    assert {id: f.text.count("w") for id, f in finished.items()} == {id: 2 + id * 7 % 13 for id in range(6)}


def test_a_long_prompt_is_prefilled_between_the_steps_of_the_others():
    engine = scripted_engine(lambda prompt, seed: " w" * 20, width=2, chunk=8)
    ask(engine, 1, text="short")
    engine.plan_step(), engine.step()
    ask(engine, 2, text="long " * 60)
    charges = engine.plan_step()
    assert {c.id: c.generated for c in charges}[1] == 1
    assert {c.id: c.prompt for c in charges}[2] == 8
    finished, _ = run(engine, 2)
    assert finished[1].text == finished[2].text == " w" * 20


def test_the_limit_ends_a_sample_and_extend_takes_it_further():
    engine = scripted_engine(lambda prompt, seed: " w" * 100, width=2, forced=lambda prompt, seed: "42")
    ask(engine, 1, limit=5)
    finished, _ = run(engine, 1)
    assert (finished[1].reason, finished[1].text) == ("length", " w" * 5)
    engine.extend(1, "\n\nAnswer:", 10)
    again, _ = run(engine, 1)
    assert (again[1].reason, again[1].text) == ("stop", " w w w w w\n\nAnswer: 42")
    assert again[1].tokens.billed == engine._backend.evaluated


def test_a_sample_can_be_extended_in_the_middle():
    engine = scripted_engine(lambda prompt, seed: " w" * 100, width=2, forced=lambda prompt, seed: "7\n and more")
    ask(engine, 1)
    for _ in range(4):
        engine.plan_step()
        engine.step()
    engine.extend(1, "\n\nAnswer:", 10, stop=("\n",))
    finished, _ = run(engine, 1)
    assert finished[1].text.endswith("Answer: 7")
    assert finished[1].tokens.billed == engine._backend.evaluated


def test_cancelling_frees_the_slot_and_the_sampler():
    engine = scripted_engine(lambda prompt, seed: " w" * 100, width=2)
    ask(engine, 1), ask(engine, 2), ask(engine, 3)
    engine.plan_step(), engine.step()
    engine.plan_step(), engine.step()
    for id in (1, 2, 3, 99):
        engine.cancel(id)
    assert engine.plan_step() == []
    assert (engine.free_slots, engine._backend.samplers) == (2, 0)


def test_what_is_held_costs_nothing_keeps_its_slot_and_goes_on_where_it_was():
    engine = scripted_engine(words, width=4)
    for id in range(3):
        ask(engine, id)
    for _ in range(3):
        engine.step()
    before = engine.usage(1)
    engine.hold([1])
    finished, _ = run(engine, 2)
    assert sorted(finished) == [0, 2]
    assert (engine.usage(1), engine.free_slots) == (before, 3)
    engine.hold([])
    finished |= run(engine, 1)[0]
    assert [finished[id].text for id in range(3)] == [words("", id) for id in range(3)]
    assert engine._backend.evaluated == sum(f.tokens.billed for f in finished.values())


def test_a_prompt_is_evaluated_though_its_request_is_held_as_others_may_wait_for_it():
    engine = scripted_engine(words, width=4, chunk=2)
    for id in range(2):
        ask(engine, id)
    engine.hold([0])
    finished, _ = run(engine, 1)
    assert list(finished) == [1]
    assert engine.usage(0).generated == 0


def test_a_prefix_goes_when_the_cache_is_full_and_is_then_paid_for_again():
    engine = scripted_engine(words, width=1, cache_bytes=1500)
    for id, text in enumerate(["first question", "second question, much longer than it", "first question"]):
        ask(engine, id, text=text)
        run(engine, 1)
    assert 0 < engine._prefixes.nbytes <= 1500
    assert engine._backend.evaluated > 0


def test_a_quoted_prefix_is_not_evicted_before_it_is_used():
    engine = scripted_engine(lambda prompt, seed: " w" * 3, width=1, cache_bytes=1000)
    first = ask(engine, 1, text="a b c d")
    run(engine, 1)
    again = Request(2, first.prompt, 50, Sampling(), 2, cache_boundaries=(len(first.prompt),))
    other = ask(engine, 3, text="x y z u v w")
    quoted = engine.prefill_cost(again)
    engine.submit(again)
    finished, _ = run(engine, 2)
    assert finished[2].tokens.prompt <= quoted
    assert finished[3].tokens.prompt == len(other.prompt)


def test_pieces_make_up_the_text_and_never_split_a_character():
    engine = BatchedEngine(Halves(lambda prompt, seed: " a left right b", width=1))
    ask(engine, 1)
    pieces = []
    while True:
        engine.plan_step()
        events = engine.step()
        pieces += [event.text for event in events if isinstance(event, Piece)]
        if any(isinstance(event, Finished) for event in events):
            break
    assert "".join(pieces) == " aé b"
    assert "é" in pieces


def test_a_stop_text_ends_a_sample_and_is_cut_off():
    engine = scripted_engine(lambda prompt, seed: " yes\nQuestion: more", width=1)
    prompt = engine.prompt([Message("user", "q")])
    engine.submit(Request(1, type(prompt)(prompt.tokens, stop=("\nQuestion:",)), 50, Sampling(), 1))
    finished, _ = run(engine, 1)
    assert (finished[1].text, finished[1].reason) == (" yes", "stop")


def test_what_ends_with_its_first_token_can_be_extended_once_that_was_told():
    """It ends inside `plan_step`; whatever is cancelled before the step, its slot is not given away untold."""
    engine = scripted_engine(lambda prompt, seed: " w" * 9, width=3, forced=lambda prompt, seed: "42")
    ask(engine, 1)
    run(engine, 1)
    ask(engine, 2, limit=1), ask(engine, 3, text="another question")
    engine.plan_step()
    engine.cancel(3)
    ended = [event for event in engine.step() if isinstance(event, Finished)]
    assert [(event.id, event.text) for event in ended] == [(2, " w")]
    engine.extend(2, "\n\nAnswer:", 10)
    assert run(engine, 1)[0][2].text == " w\n\nAnswer: 42"
    engine.plan_step()
    assert (engine.free_slots, engine._backend.samplers) == (3, 0)


def test_nothing_more_is_told_of_what_was_cancelled():
    engine = scripted_engine(lambda prompt, seed: " w" * 9, width=2)
    ask(engine, 1)
    run(engine, 1)
    ask(engine, 2, limit=1)
    engine.plan_step()
    engine.cancel(2)
    assert engine.step() == []


def test_a_character_that_is_cut_in_half_does_not_run_into_the_answer():
    engine = BatchedEngine(Halves(lambda prompt, seed: " a left", width=1, forced=lambda prompt, seed: "42"))
    ask(engine, 1, limit=2)
    run(engine, 1)
    engine.extend(1, "\n\nAnswer:", 10)
    assert run(engine, 1)[0][1].text == " a\n\nAnswer: 42"


def test_a_stop_text_is_looked_for_in_what_was_sampled_only():
    """What is put into the model's mouth may end as the stop text does."""
    engine = scripted_engine(lambda prompt, seed: " w" * 9, width=1, forced=lambda prompt, seed: "42\nmore")
    ask(engine, 1, limit=2)
    run(engine, 1)
    engine.extend(1, "\nAnswer:", 10, stop=(":",))
    assert run(engine, 1)[0][1].text == " w w\nAnswer: 42\nmore"


def test_an_ended_sample_cannot_go_on_from_nothing():
    engine = scripted_engine(lambda prompt, seed: " w", width=1)
    ask(engine, 1)
    run(engine, 1)
    with pytest.raises(ValueError, match="nothing to go on from"):
        engine.extend(1, "", 10)
