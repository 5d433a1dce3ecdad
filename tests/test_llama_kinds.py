"""The engine on every kind of model, as tiny files with random weights: what is shared decodes as what is not."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from dynscale_cli.engine import llama
from dynscale_cli.engine.batched import BatchedEngine
from dynscale_cli.engine.llama import LlamaBackend, LlamaModel
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.protocol import Finished, Message, Prompt, Request, Sampling
from dynscale_cli.engine.scheduler import Sequence
from dynscale_cli.errors import EngineError, ModelError
from dynscale_cli.questions import Question
from dynscale_cli.run.events import Answered
from dynscale_cli.run.request import Settings
from dynscale_cli.run.run import Run
from tests import tiny_gguf
from tests.tiny_gguf import write_tiny_gguf

GREEDY = Sampling(temperature=0)
WINDOW = 32
ONE_THREAD = LoadOptions(threads=1)
KINDS = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "gemma2, sliding window": {"architecture": "gemma2", "sliding_window": WINDOW},
    "gemma3, sliding window": {"architecture": "gemma3", "sliding_window": WINDOW},
    "mamba, recurrent": {"architecture": "mamba"},
    "jamba, hybrid": {"architecture": "jamba"},
    "lfm2, hybrid": {"architecture": "lfm2"},
}


def load(path: Path, **options: Any) -> LlamaModel:
    return LlamaModel(write_tiny_gguf(path / "tiny.gguf", **options), ONE_THREAD)


@pytest.fixture(params=KINDS, scope="module")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    options = {"architecture": request.param} | KINDS[request.param]
    model = load(tmp_path_factory.mktemp("kind"), **options)
    yield model
    model.close()


def engine_over(model: LlamaModel, width: int = 3, chunk: int = 24, **options: Any) -> BatchedEngine:
    return BatchedEngine(LlamaBackend(model, width=width, context=512), chunk=chunk, **options)


def finish(engine: BatchedEngine, request: Request) -> Finished:
    engine.submit(request)
    while True:
        engine.plan_step()
        for event in engine.step():
            if isinstance(event, Finished):
                return event


def sample(id: int, prompt: Prompt, keep: tuple[int, ...], limit: int = 40) -> Request:
    return Request(id, prompt, limit, GREEDY, id, keep, ignore_end=True)


def long_prompt(model: LlamaModel, last: str = "?") -> Prompt:
    return model.prompt([Message("user", "one two three four five six seven " * 4 + last)])


def test_a_fork_past_the_window_continues_as_a_prompt_prefilled_alone(model):
    prompt = long_prompt(model)
    assert len(prompt) > 3 * WINDOW
    engine, alone = engine_over(model), engine_over(model, width=1, cache_bytes=0)
    expected = finish(alone, sample(0, prompt, (len(prompt),)))
    forks = [finish(engine, sample(id, prompt, (len(prompt),))) for id in range(3)]
    assert [fork.tokens.reused for fork in forks] == [0, len(prompt), len(prompt)]
    assert {fork.text for fork in forks} == {expected.text}
    assert len(expected.text) > 10
    engine.close(), alone.close()


def test_forks_side_by_side_and_moved_between_slots_continue_alike(model):
    prompt = long_prompt(model)
    engine = engine_over(model, width=4)
    lengths = [5, 40, 9, 40, 40, 30, 40]
    waiting = [sample(id, prompt, (len(prompt),), limit) for id, limit in enumerate(lengths)]
    finished: dict[int, str] = {}
    while len(finished) < len(lengths):
        while waiting and engine.free_slots > 0:
            engine.submit(waiting.pop(0))
        engine.plan_step()
        finished |= {event.id: event.text for event in engine.step() if isinstance(event, Finished)}
    longest = max(finished.values(), key=len)
    assert all(longest.startswith(text.rstrip("\N{REPLACEMENT CHARACTER}")) for text in finished.values())
    engine.close()


def test_a_chain_like_prompt_goes_on_behind_the_prefix_that_it_shares(model):
    prompt = long_prompt(model)
    chain = Prompt(prompt.tokens[:-9] + tuple(model.tokenize(" and now compare these attempts with care")))
    keep = (len(prompt) - 9,)
    engine, alone = engine_over(model), engine_over(model, width=1, cache_bytes=0)
    finish(engine, sample(1, prompt, (*keep, len(prompt))))
    shared = finish(engine, sample(2, chain, keep))
    expected = finish(alone, sample(2, chain, keep))
    assert (shared.tokens.reused, expected.tokens.reused) == (keep[0], 0)
    assert shared.text == expected.text
    engine.close(), alone.close()


def test_logits_behind_a_restored_prefix_are_those_of_one_whole_prefill(model, monkeypatch):
    monkeypatch.setattr(llama, "CPU_CHUNK", 128)
    tokens = list(long_prompt(model).tokens)
    backend = LlamaBackend(model, width=2, context=512)

    def evaluate(slot: int, past: int, part: list[int]) -> Any:
        sequence = Sequence(Request(0, Prompt(tuple(tokens)), 1, GREEDY, 0), slot, past, part)
        backend.evaluate([sequence.share(len(part))])
        return backend.logits(0)

    whole = evaluate(0, 0, tokens[:120])
    backend.clear(0)
    for start in range(0, 96, 24):
        evaluate(0, start, tokens[start : start + 24])
    backend.restore(1, backend.save(0))
    pieces = evaluate(1, 96, tokens[96:120])
    scale = float(np.abs(whole).max())
    assert np.abs(whole - pieces).max() < 0.02 * scale
    assert np.isfinite(whole).all()
    backend.close()


# Templates and tokenizers


def rendered(model: LlamaModel, *messages: Message) -> str:
    prompt = model.prompt(messages)
    texts = [model.lib.llama_vocab_get_text(model.vocab, token).decode() for token in prompt.tokens]
    return "".join(texts).replace("Ġ", " ").replace("Ċ", "\n")


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Any]:
    models = []

    def make(**options: Any) -> LlamaModel:
        models.append(load(tmp_path, **options))
        return models[-1]

    yield make
    for model in models:
        model.close()


def test_a_base_model_gets_question_and_answer_lines_and_stops_at_the_next_question(tiny):
    model = tiny(chat_template=None)
    assert rendered(model, Message("system", "Be brief."), Message("user", "Why?")) == (
        "<s>Be brief.\n\nQuestion: Why?\n\nAnswer:"
    )
    assert "\nQuestion:" in model.prompt([Message("user", "Why?")]).stop
    assert model.template is None


@pytest.mark.parametrize("spelled", [False, True])
@pytest.mark.parametrize("add_bos", [False, True])
def test_bos_comes_once_where_the_tokenizer_or_the_template_wants_it(tiny, add_bos, spelled):
    template = ("{{ bos_token }}" if spelled else "") + tiny_gguf.CHATML
    text = rendered(tiny(add_bos=add_bos, chat_template=template), Message("user", "Hi"))
    assert text.count("<s>") == int(add_bos or spelled)
    assert text.startswith("<s>") == (add_bos or spelled)


def test_a_tokenizer_that_ends_every_text_does_not_end_the_prompt(tiny, monkeypatch):
    add = gguf.GGUFWriter.add_add_bos_token

    def with_end(writer: gguf.GGUFWriter, value: bool) -> None:
        add(writer, value)
        writer.add_add_eos_token(True)

    monkeypatch.setattr(gguf.GGUFWriter, "add_add_bos_token", with_end)
    assert rendered(tiny(), Message("user", "Hi")).endswith("<|im_start|>assistant\n")


ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + ALTERNATING
)
SILENT_SYSTEM = (
    "{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endif %}{% endfor %}[assistant]"
)


@pytest.mark.parametrize("template", [NO_SYSTEM, ALTERNATING, SILENT_SYSTEM])
def test_a_template_without_a_system_role_gets_its_words_in_the_first_turn(tiny, template):
    model = tiny(chat_template=template)
    assert rendered(model, Message("system", "Be brief."), Message("user", "Why?")) == (
        "<s>[user]Be brief.\n\nWhy?[assistant]"
    )


def test_repeated_roles_are_merged_for_templates_that_insist_on_alternation(tiny):
    messages = [Message("user", "a"), Message("user", "b"), Message("assistant", "c"), Message("user", "d")]
    assert rendered(tiny(chat_template=ALTERNATING), *messages) == "<s>[user]a\n\nb[assistant]c[user]d[assistant]"


def test_a_template_that_cannot_be_compiled_or_rendered_is_an_error_not_a_traceback(tiny):
    with pytest.raises(ModelError, match="does not compile"):
        tiny(chat_template="{% for m in messages %}").prompt([Message("user", "Why?")])
    with pytest.raises(ModelError, match="template fails"):
        tiny(chat_template="{{ raise_exception('never') }}").prompt([Message("user", "Why?")])


def test_a_tokenizer_that_makes_a_text_longer_still_splits_it(tiny, monkeypatch):
    """Spaces become a character of three bytes, for which this vocabulary has no token but those of its bytes."""

    def bytewise(writer: gguf.GGUFWriter, *_: object) -> list[str]:
        tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_scores([0.0] * len(tokens))
        writer.add_token_types([2, 3, 3, *[6] * 256])
        return tokens

    monkeypatch.setattr(tiny_gguf, "_add_tokenizer", bytewise)
    assert len(tiny().tokenize("a b " * 20)) == 3 + 20 * 8  # and one space in front


def test_a_question_of_which_the_vocabulary_knows_nothing_fails_alone(tiny, monkeypatch):
    def greek(writer: gguf.GGUFWriter, *_: object) -> list[str]:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(["\N{GREEK SMALL LETTER ZETA}"])
        writer.add_token_types([tiny_gguf.NORMAL])
        writer.add_array("tokenizer.ggml.merges", ["a b"])
        writer.add_bos_token_id((1 << 32) - 1)
        writer.add_eos_token_id((1 << 32) - 1)
        return ["z"]

    monkeypatch.setattr(tiny_gguf, "_add_tokenizer", greek)
    engine = engine_over(tiny())
    run = Run([Question(0, "1", "Why?")], engine, Settings(budget=200, mode="parallel"))
    [result] = [event.result for event in run.events() if isinstance(event, Answered)]
    assert result.error == "nothing of its prompt is in the model's vocabulary"
    engine.close()


def test_weights_that_are_no_numbers_are_named(tmp_path, monkeypatch):
    add = gguf.GGUFWriter.add_tensor
    monkeypatch.setattr(
        gguf.GGUFWriter, "add_tensor", lambda writer, name, values: add(writer, name, values * np.float32("nan"))
    )
    model = load(tmp_path)
    engine = engine_over(model)
    prompt = long_prompt(model)
    with pytest.raises(EngineError, match="nothing that is a number"):
        finish(engine, sample(1, prompt, (len(prompt),)))
    engine.close(), model.close()


def test_a_model_without_an_end_token_runs_to_the_limit(tiny, monkeypatch):
    missing = (1 << 32) - 1
    monkeypatch.setattr(gguf.GGUFWriter, "add_eos_token_id", lambda self, id: self.add_uint32(
        "tokenizer.ggml.eos_token_id", missing))  # fmt: skip
    monkeypatch.setattr(tiny_gguf, "SPECIAL", ("<s>", "<a>", "<b>", "<c>"))
    engine = engine_over(tiny(chat_template=None))
    prompt = engine.prompt([Message("user", "Why?")])
    ended = finish(engine, Request(1, Prompt(prompt.tokens), 30, Sampling(), 1))
    assert (ended.reason, ended.tokens.generated) == ("length", 29)
    engine.close()


# What cannot be used


def test_an_encoder_is_refused(tmp_path):
    model = load(tmp_path, architecture="bert")
    with pytest.raises(ModelError, match="cannot generate"):
        LlamaBackend(model, width=1, context=128)
    model.close()


@pytest.mark.parametrize("what", ["has_encoder", "is_diffusion"])
def test_encoder_decoders_and_diffusion_models_are_refused(tmp_path, monkeypatch, what):
    from dynscale_cli.engine.binding import binding

    monkeypatch.setattr(binding(), f"llama_model_{what}", lambda model: True)
    with pytest.raises(ModelError, match="cannot be used"):
        load(tmp_path)


def test_whatever_comes_and_goes_a_slot_holds_what_its_sequence_has_evaluated(model, monkeypatch):
    """Prompts wait for their part of a batch, change slots, end with their first token, go on, are dropped."""
    rng = random.Random(7)
    prompts = [Prompt(tuple(rng.randrange(5, 200) for _ in range(rng.randrange(4, 60)))) for _ in range(12)]
    engine = engine_over(model, width=6, cache_bytes=1 << 20)
    evaluate, evaluated = engine._backend.evaluate, []
    monkeypatch.setattr(
        engine._backend, "evaluate", lambda shares: (evaluate(shares), evaluated.append(sum(s.count for s in shares)))
    )
    over: Counter[int] = Counter()
    extended: set[int] = set()
    billed = {}
    for step in range(150):
        while engine.free_slots and step < 130:
            prompt, id = rng.choice(prompts), len(billed)
            keep = rng.choice([(), (len(prompt),), (3, len(prompt))])
            engine.submit(Request(id, prompt, rng.randrange(1, 4), Sampling(), rng.randrange(999), keep))
            billed[id] = 0
        engine.plan_step()
        for event in engine.step():
            if isinstance(event, Finished):
                over[event.id] += 1
                billed[event.id] = event.tokens.billed
                if event.id not in extended and rng.random() < 0.3:
                    extended.add(event.id)
                    over[event.id] -= 1
                    engine.extend(event.id, " so", rng.randrange(1, 3))
        if rng.random() < 0.2 and (going := [id for id in billed if not over[id]]):
            id = rng.choice(going)
            billed[id] = engine.cancel(id).billed
            over[id] += 1
    while going := [id for id in billed if not over[id]]:
        engine.plan_step()
        for event in engine.step():
            if isinstance(event, Finished):
                over[event.id] += 1
                billed[event.id] = event.tokens.billed
    assert set(over.values()) == {1}
    assert sum(billed.values()) == sum(evaluated)
    engine.close()
