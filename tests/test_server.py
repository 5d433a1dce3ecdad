"""The engine over a chat server, well-behaved and not: what is asked for, what is billed, what a fault costs."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import pytest

from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.protocol import Aborted, Finished, Message, Piece, Request, Sampling
from dynscale_cli.engine.server.client import ChatClient
from dynscale_cli.engine.server.connect import connect, open_server
from dynscale_cli.engine.server.endpoints import Endpoint, Endpoints, ServerOptions
from dynscale_cli.engine.server.engine import ServerEngine
from dynscale_cli.engine.server.faults import Fault
from dynscale_cli.engine.server.news import ChatRequest, Dead, Inbox, Over
from dynscale_cli.engine.server.request import TokenEstimator
from dynscale_cli.engine.server.stream import Delta, Usage
from dynscale_cli.engine.template import server_fields
from dynscale_cli.errors import DynscaleError, EngineError, UsageError
from dynscale_cli.questions import Question
from dynscale_cli.run.events import Answered, Notice, RunFinished, SampleFinished, Stepped
from dynscale_cli.run.request import RunRequest, Settings
from dynscale_cli.run.run import Run
from dynscale_cli.run.store import Store
from tests.chat_server import ChatServer, Script, Talk, count

ANSWER = "so it is\nAnswer: 42"
KEY = "sk-very-secret-42"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a server waits for moments."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)
    monkeypatch.setattr("dynscale_cli.engine.server.transport.RETRIES", 2)
    monkeypatch.setattr("dynscale_cli.engine.server.endpoints.FIRST", 0.01)
    monkeypatch.setattr("dynscale_cli.engine.server.endpoints.LONGEST", 0.05)


NO_SOCKS = pytest.mark.skipif(find_spec("socksio") is not None, reason="socksio is installed")


class Outcome:
    """What a run over servers has told."""

    def __init__(self, events: list[Any], error: DynscaleError | None) -> None:
        self.events, self.error = events, error
        self.results = sorted((e.result for e in events if isinstance(e, Answered)), key=lambda r: r.index)
        self.samples = [e.sample for e in events if isinstance(e, SampleFinished)]
        self.notices = [e.message for e in events if isinstance(e, Notice)]
        self.tokens = next(e.tokens for e in events if isinstance(e, RunFinished))

    def told(self, words: str) -> int:
        return sum(words in notice for notice in self.notices)


def ask(
    *scripts: Script | str,
    questions: Sequence[str | Question] = ("How many?",),
    stall: float = 0.5,
    width: int = 4,
    owner: str = "sglang",
    store: Store | None = None,
    **settings: Any,
) -> tuple[Outcome, list[ChatServer]]:
    """Run over servers with these scripts, or at these addresses."""
    asked = [q if isinstance(q, Question) else Question(n, str(n), q) for n, q in enumerate(questions)]
    told: list[str] = []
    with ExitStack() as stack:
        servers = [
            stack.enter_context(ChatServer(script, extra={"owned_by": owner})) for script in scripts if callable(script)
        ]
        urls = [script for script in scripts if isinstance(script, str)] + [server.url for server in servers]
        found = connect(ServerOptions(tuple(urls), stall=stall), told.append)
        chosen = Settings(**{"budget": 4000, "max_tokens": 40, "mode": "parallel", "layout": "turns", **settings})
        engine = open_server(
            found, context=None, max_tokens=chosen.max_tokens, width=width, together=chosen.max_thinking is None
        )
        stack.callback(engine.close)
        journal = None
        if store is not None:
            model = {"kind": "server", "name": "small", "path": ",".join(urls), "served": "small"}
            journal = store.create(RunRequest(chosen, model, width, engine.info.context, len(asked)), asked)
            stack.callback(journal.close)
        run = Run(asked, engine, chosen, journal=journal)
        events, error = [], None
        try:
            for event in run.events():
                events.append(event)
        except DynscaleError as raised:
            error = raised
        ledger = run.state.ledger
        assert all(e.spent + e.reserved <= chosen.budget for e in events if isinstance(e, Stepped))
        assert ledger.reserved == 0
        outcome = Outcome(events, error)
        outcome.notices = told + outcome.notices
        assert outcome.tokens.billed == ledger.spent + ledger.overdrawn == sum(r.tokens.billed for r in outcome.results)
        return outcome, servers


def honest(text: str = ANSWER, **options: Any) -> Script:
    return lambda talk: talk.honest(text, **options)


# What is asked for and billed


def test_a_question_is_asked_settled_and_billed_as_the_server_counts():
    outcome, [server] = ask(honest())
    [result] = outcome.results
    assert (result.answer, result.stopped, result.model) == ("42", "settled", "small")
    prompts = {count(body["messages"]) for body in server.bodies}
    together = sum(body.get("n", 1) for body in server.bodies)
    assert result.tokens.generated == 4 * result.samples == 4 * together
    assert result.tokens.prompt == len(server.bodies) * prompts.pop()
    assert outcome.notices == []


def test_cached_prompt_tokens_are_reused_and_free():
    outcome, _ = ask(honest(cached=10), width=1)
    [result] = outcome.results
    assert result.tokens.reused == 10 * result.samples


class Meter:
    """A server that answers at some length or fails, and knows what it was asked for at most at any moment."""

    def __init__(self, seed: int, store: Store) -> None:
        self.rng, self.lock, self.store = random.Random(seed), threading.Lock(), store
        self.asked = self.done = self.worst = self.unannounced = 0

    def __call__(self, talk: Talk) -> None:
        several = talk.body.get("n", 1)
        prompt, status = count(talk.body["messages"]), self.rng.choice([429, 500, 503] + [200] * 27)
        asked = prompt + talk.limit * several
        words = self.rng.randint(1, 60)
        with self.lock:
            self.asked += asked
            self.worst = max(self.worst, self.done + self.asked)
            self.unannounced = max(self.unannounced, self.done + self.asked - self.store.read().spent)
        time.sleep(0.01)
        tell, over = talk.done, [False]

        def settle(done: int) -> None:
            with self.lock:
                self.asked -= 0 if over[0] else asked
                self.done += 0 if over[0] else done
                over[0] = True

        if status != 200:
            settle(0)
            talk.status(status)
            return
        talk.done = lambda: (settle(prompt + talk.said), tell())  # type: ignore[method-assign,assignment]
        try:
            talk.honest(" ".join(["so"] * (words - 1) + ["Answer:1"]), pace=0.004)
        finally:  # the client may have had enough
            settle(prompt + talk.said)


@pytest.mark.parametrize("seed", range(8))
def test_the_server_is_never_asked_for_more_than_the_budget_or_than_the_journal_has_announced(seed, tmp_path):
    """Whatever the lengths and the faults: at every moment all that is asked for fits into what is left."""
    store = Store(tmp_path / "runs.db")
    rng, meter = random.Random(seed), Meter(seed, store)
    budget = rng.choice([400, 900, 2500])
    outcome, _ = ask(
        meter,
        questions=[f"How many? {'word ' * rng.choice([1, 20])}" for _ in range(rng.randint(1, 4))],
        width=16,
        budget=budget,
        max_tokens=rng.choice([40, 300]),
        mode=rng.choice(["parallel", "hybrid", "chain"]),
        exhaust=True,
        seed=seed,
        store=store,
    )
    assert max(meter.done, outcome.tokens.billed) <= budget
    assert meter.worst <= budget
    assert meter.unannounced <= 0
    assert outcome.told("beyond the budget") == 0


def test_a_kill_costs_no_more_than_the_requests_that_are_under_way(tmp_path):
    """What others had been given, and did not take, is no longer announced when they are back."""
    store, rest, announced = Store(tmp_path / "runs.db"), threading.Barrier(3), []
    limit, around = 1000, 1000  # of the one that is on its way, and of its prompt and all that is back, at most

    def script(talk: Talk) -> None:
        if "slow" in talk.conversation:
            end = time.monotonic() + 10
            while (spent := store.read().spent) > limit + around and time.monotonic() < end:
                time.sleep(0.01)
            announced.append(spent)
        elif talk.number < 4:
            rest.wait(10)
        talk.honest(ANSWER)

    questions = ["slow?", *(f"number {n}?" for n in range(5))]
    ask(script, questions=questions, store=store, stall=120, budget=20_000, max_tokens=limit, max_samples=1)
    [spent] = announced
    assert limit <= spent <= limit + around


def test_a_cancelled_request_closes_its_stream():
    gone = threading.Event()

    def script(talk: Talk) -> None:
        talk.chunk("so")
        if talk.hang():
            gone.set()

    with ChatServer(script) as server:
        engine = open_server(connect(ServerOptions((server.url,))), context=None, max_tokens=40, width=4)
        prompt = engine.prompt([Message("user", "Why?")])
        engine.submit(Request(1, prompt, 40, Sampling(), 1))
        while not any(isinstance(event, Piece) for event in engine.step()):
            engine.plan_step()
        assert engine.cancel(1).generated == 40  # nobody knows what it has generated in silence
        assert gone.wait(10)
        engine.close()


def run_until(engine: ServerEngine, words: str) -> str:
    """Step until the text has these words, or a request is over."""
    text, over = "", False
    while not over and words not in text:
        for event in engine.step():
            text += event.text if isinstance(event, Piece) else ""
            over = over or isinstance(event, Finished)
        engine.plan_step()
    return text


@pytest.mark.parametrize("owner", ["llamacpp", "vllm", "somebody"])
def test_what_is_cancelled_is_billed_as_the_server_has_counted_or_else_for_all_that_it_may_have_been(owner):
    """What is on its way when the request is closed is heard and billed; only who counts as it goes is trusted."""
    late = threading.Event()

    def say(talk: Talk, number: int) -> None:
        timings = {"prompt_n": 3, "cache_n": 6, "predicted_n": 3 * number}  # several tokens in one chunk
        usage = {"prompt_tokens": 9, "completion_tokens": 3 * number, "prompt_tokens_details": {"cached_tokens": 6}}
        asked = talk.body.get("timings_per_token"), talk.body["stream_options"].get("continuous_usage_stats")
        assert asked == (True if owner == "llamacpp" else None, True if owner == "vllm" else None)
        counted = {"llamacpp": {"timings": timings}, "vllm": {"usage": usage}}.get(owner, {})
        talk.event({"choices": [{"index": 0, "delta": {"content": f" {number}"}, "finish_reason": None}], **counted})

    def script(talk: Talk) -> None:
        for number in range(1, 6):
            say(talk, number)
        talk.hang()
        with contextlib.suppress(OSError):
            say(talk, 6)
        late.set()

    with ChatServer(script, extra={"owned_by": owner}) as server:
        engine = open_server(connect(ServerOptions((server.url,))), context=None, max_tokens=400, width=4)
        prompt = engine.prompt([Message("user", "Why?")])
        engine.submit(Request(0, prompt, 400, Sampling(), 0))
        assert run_until(engine, "5")
        tokens = engine.cancel(0)
        assert late.wait(5)
        if owner == "somebody":
            assert (tokens.prompt, tokens.generated) == (engine.prefill_cost(Request(0, prompt, 1, Sampling(), 0)), 400)
        else:
            assert (tokens.prompt, tokens.reused) == (3, 6)
            assert 3 * 6 <= tokens.generated <= 3 * 6 + 8
        engine.close()


@pytest.mark.parametrize("owner", ["llamacpp", "vllm"])
@pytest.mark.parametrize("words", [0, 2])
def test_what_is_halted_is_billed_as_the_server_has_counted(owner, words, monkeypatch):
    """All streams end at the same time: one after the other, the last would go on while the first is waited for."""
    monkeypatch.setattr("dynscale_cli.engine.server.engine.LAST_PATIENCE", 10.0)
    monkeypatch.setattr("dynscale_cli.engine.server.engine.PATIENCE", 10.0)
    begun, gone, most = [], threading.Barrier(8), 10.0

    def script(talk: Talk) -> None:
        usage = {"prompt_tokens": 9, "completion_tokens": 2}
        timings = {"prompt_n": 3, "cache_n": 6, "predicted_n": 2}
        counted = {"timings": timings} if owner == "llamacpp" else {"usage": usage}
        talk.raw(b": here\n\n")
        for word in ("so", " it")[:words]:
            talk.event({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}], **counted})
        begun.append(talk)
        talk.hang()
        gone.wait(most)

    with ChatServer(script, extra={"owned_by": owner}) as server:
        engine = open_server(connect(ServerOptions((server.url,))), context=None, max_tokens=400, width=8)
        for id in range(8):
            engine.submit(Request(id, engine.prompt([Message("user", f"Why {id}?")]), 400, Sampling(), 0))
        text = ""
        while text.count("it") < 4 * words or not all(r.accepted for r in engine._requests.values()):
            text += "".join(event.text for event in engine.step() if isinstance(event, Piece))
            engine.plan_step()
        engine.halt(range(8))
        assert [engine.cancel(id).generated for id in range(8)] == [words + 8] * 8
        assert not gone.broken
        engine.close()


def test_samples_that_share_a_request_and_are_halted_are_billed_as_the_server_has_counted_each():
    def script(talk: Talk) -> None:
        for place in range(talk.body["n"]):
            timings = {"prompt_n": 3, "cache_n": 6, "predicted_n": 2 + place}
            talk.event({"choices": [{"index": place, "delta": {"content": "so"}}], "timings": timings})
        talk.hang()

    with ChatServer(script, extra={"owned_by": "llamacpp"}) as server:
        engine = open_server(connect(ServerOptions((server.url,))), context=None, max_tokens=400, width=4)
        prompt, text = engine.prompt([Message("user", "Why?")]), ""
        for id in range(4):
            engine.submit(Request(id, prompt, 400, Sampling(), id))
        while text.count("so") < 4:
            text += "".join(event.text for event in engine.step() if isinstance(event, Piece))
            engine.plan_step()
        engine.halt(range(4))
        tokens = [engine.cancel(id) for id in range(4)]
        assert [t.generated for t in tokens] == [2 + place + 8 for place in range(4)]
        assert sum(t.prompt for t in tokens) == 3
        engine.close()


@pytest.mark.parametrize("owner", ["vllm", "llamacpp"])
def test_a_stream_that_breaks_off_amid_running_counts_is_no_answer_and_costs_what_was_counted(owner):
    def broken(talk: Talk) -> None:
        for number in (1, 2):
            usage = {"prompt_tokens": 9, "completion_tokens": number}
            timings = {"prompt_n": 9, "cache_n": 0, "predicted_n": number}
            counted = {"usage": usage} if owner == "vllm" else {"timings": timings}
            choice = {"index": 0, "delta": {"content": " so it goes on and on"}, "finish_reason": None}
            talk.event({"choices": [choice], **counted})

    outcome, _ = ask(first(broken), width=1, owner=owner)
    assert outcome.samples[0].finish == "failed"
    assert (outcome.samples[0].tokens.prompt, outcome.samples[0].tokens.generated) == (9, 2 + 8)
    assert outcome.results[0].answer == "42"


SAID = {"prompt_tokens": 31, "total_tokens": 37, "completion_tokens": 6}


def as_ollama(talk: Talk) -> None:
    """Its chunks as they are, whatever `n` and `logprobs` are."""
    head = {"id": "chatcmpl-7", "created": 1764, "model": "small", "system_fingerprint": "fp_ollama"}
    for delta in (
        {"content": "", "reasoning": "four"},
        {"content": "", "reasoning": " tens"},
        {"content": "Answer: 42"},
    ):
        choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None}
        talk.event({**head, "choices": [choice]})
    last = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    talk.event({**head, "choices": [last]})
    talk.event({**head, "choices": [], "usage": SAID})
    talk.done()


def as_sglang(talk: Talk) -> None:
    """All completions by turns, each with a role first; one usage for all, and the prompt in it once."""
    several, nothing = talk.body.get("n", 1), {"tool_calls": None, "reasoning_content": None, "content": None}

    def say(place: int, reason: str | None = None, **delta: Any) -> None:
        choice = {"index": place, "delta": {"role": None, **nothing, **delta}, "logprobs": None}
        talk.event({"choices": [{**choice, "finish_reason": reason, "matched_stop": None}], "usage": None})

    for place in range(several):
        say(place, role="assistant", content="")
    for part in ({"reasoning_content": "four"}, {"reasoning_content": " tens"}, {"content": "Answer: 42"}):
        for place in range(several):
            say(place, **part)
    for place in range(several):
        say(place, "stop")
    usage = {**SAID, "completion_tokens": 6 * several, "prompt_tokens_details": None, "reasoning_tokens": 2 * several}
    talk.event({"choices": [], "usage": usage})
    talk.done()


@pytest.mark.parametrize(("owner", "script", "prompts"), [("library", as_ollama, 4), ("sglang", as_sglang, 1)])
def test_thoughts_answers_and_counts_are_read_as_ollama_and_sglang_give_them(owner, script, prompts):
    outcome, [server] = ask(script, owner=owner, max_samples=4, budget=20_000, policy="uniform")
    assert [sample.text for sample in outcome.samples] == ["<think>\nfour tens\n</think>\n\nAnswer: 42"] * 4
    assert (outcome.tokens.prompt, outcome.tokens.generated) == (31 * prompts, 6 * 4)
    assert len(server.bodies) == prompts
    assert outcome.notices == []


@pytest.mark.parametrize(
    "body",
    [
        {"object": "error", "message": "The input is longer than the context length", "code": 400, "param": None},
        {"error": {"message": "The input is longer than the context length", "type": "invalid_request_error"}},
        {"error": "The input is longer than the context length"},
        {"detail": "The input is longer than the context length"},
    ],
)
def test_what_a_server_says_of_a_request_is_told_of_its_question_alone(body):
    def script(talk: Talk) -> None:
        talk.status(400, body) if "bad" in talk.conversation else talk.honest(ANSWER)

    outcome, _ = ask(script, questions=["good?", "bad?"], width=1)
    assert [result.answer for result in outcome.results] == ["42", None]
    assert "(400: The input is longer than the context length)" in outcome.results[1].error


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_what_a_server_has_broken_off_is_no_answer(reason):
    """As vLLM and SGLang end what they were told to abort."""

    def broken(talk: Talk) -> None:
        talk.chunk("Answer: 4")
        talk.chunk(None, reason=reason)
        talk.usage(20, 3)
        talk.done()

    outcome, _ = ask(first(broken), width=1)
    assert outcome.samples[0].finish == "failed"
    assert outcome.samples[0].tokens.billed == 23
    assert set(outcome.results[0].votes) == {"42"}


def test_a_stream_that_breaks_off_with_empty_counts_is_no_answer():
    """As older Ollamas have in every chunk but the last."""
    nothing = {"prompt_tokens": 0, "completion_tokens": 0}

    def script(talk: Talk) -> None:
        for word in ("Answer:", " 4", "2"):
            talk.event({"choices": [{"index": 0, "delta": {"content": word}}], "usage": nothing})
        if talk.number:
            talk.chunk(None, reason="stop")
            talk.usage(20, 3)
            talk.done()

    outcome, _ = ask(script, width=1, owner="library")
    assert outcome.samples[0].finish == "failed"
    assert {sample.tokens.billed for sample in outcome.samples[1:]} == {23}
    assert outcome.told("cannot be") == 0


def test_a_server_that_does_not_let_go_is_not_waited_for_and_billed_in_full(monkeypatch):
    monkeypatch.setattr("dynscale_cli.engine.server.engine.PATIENCE", 0.05)
    gone = threading.Event()

    def script(talk: Talk) -> None:
        counted = {"timings": {"prompt_n": 3, "cache_n": 6, "predicted_n": 1}}
        talk.event({"choices": [{"index": 0, "delta": {"content": "so"}, "finish_reason": None}], **counted})
        gone.wait(10)

    with ChatServer(script, extra={"owned_by": "llamacpp"}) as server:
        engine = open_server(connect(ServerOptions((server.url,))), context=None, max_tokens=400, width=4)
        engine.submit(Request(0, engine.prompt([Message("user", "Why?")]), 400, Sampling(), 0))
        assert run_until(engine, "so")
        assert engine.cancel(0).generated == 400
        gone.set()
        engine.close()


def test_one_that_leaves_a_shared_request_is_paid_for_and_not_billed_to_the_others_again():
    def script(talk: Talk) -> None:
        for place in range(2):
            talk.chunk("so", place)
        while talk.body["n"] == 2 and not left.is_set():
            left.wait(1)
        talk.chunk(None, 0, reason="stop")
        talk.chunk(None, 1, reason="stop")
        talk.usage(9, 60)
        talk.done()

    left = threading.Event()
    with ChatServer(script, extra={"owned_by": "sglang"}) as server:
        engine = open_server(connect(ServerOptions((server.url,))), context=None, max_tokens=40, width=4)
        prompt = engine.prompt([Message("user", "Why?")])
        for id in range(2):
            engine.submit(Request(id, prompt, 40, Sampling(), id))
        assert run_until(engine, "so")
        assert engine.cancel(1).generated == 40
        left.set()
        finished = None
        while finished is None:
            engine.plan_step()
            finished = next((event for event in engine.step() if isinstance(event, Finished)), None)
        assert finished.tokens.generated == 60 - 40
        engine.close()


def llama_server(template: str) -> Callable[[str, dict[str, Any]], Any]:
    """What a llama-server says at paths of its own; its tokens are words, as everywhere here."""

    def answer(path: str, body: dict[str, Any]) -> Any:
        if path == "/props":
            return {"chat_template": template, "bos_token": "", "eos_token": None, "total_slots": 3}
        if path == "/apply-template":
            return {"prompt": " x" * count(body["messages"])}
        return {"tokens": [0] * len(body["content"].split())} if path == "/tokenize" else None

    return answer


PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}:{% endif %}"
SWITCH = "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
LOADING = [
    (PLAIN, "auto", False, {}, ""),
    (PLAIN, "on", False, {}, "does not think"),
    (PLAIN + SWITCH, "auto", True, {}, ""),
    (PLAIN + SWITCH, "off", False, {"chat_template_kwargs": {"enable_thinking": False}}, ""),
    (PLAIN + "<think>", "off", True, {}, "no effect on a server"),
    ("{% broken", "auto", None, {}, ""),
    ("{% for n in range(99999) %}{% for n in range(99999) %}x{% endfor %}{% endfor %}", "auto", None, {}, ""),
]


@pytest.mark.parametrize(("template", "think", "thinks", "fields", "notice"), LOADING)
def test_a_llama_servers_template_tells_whether_its_model_thinks_and_how_it_is_switched(
    template, think, thinks, fields, notice
):
    with ChatServer(honest(), extra={"owned_by": "llamacpp"}, native=llama_server(template)) as server:
        found = connect(ServerOptions((server.url,)), loading=LoadOptions(think=think))
        assert found.thinks is thinks
        assert notice in "".join(found.notices)
        assert bool(found.notices) == bool(notice)
        if thinks is not None:
            assert server_fields(think, {}, found.template) == fields
        engine = open_server(found, context=None, max_tokens=40, width=None)
        assert engine.info.expected == (256 if thinks is False else 3072)
        assert engine.info.width == 3  # no more than it has slots
        engine.close()


def test_a_llama_server_counts_prompts_so_that_a_small_budget_goes_further():
    question = "How many words are there in a sentence of this length, do you think, if you count them?"
    for native in (llama_server(PLAIN), lambda path, body: None):
        with ChatServer(honest(), extra={"owned_by": "llamacpp"}, native=native) as server:
            engine = open_server(connect(ServerOptions((server.url,))), context=None, max_tokens=40, width=None)
            request = Request(0, engine.prompt([Message("user", question)]), 40, Sampling(), 0)
            exact = engine.prefill_cost(request) == count([{"content": question}])
            assert exact == (native("/props", {}) is not None)
            assert engine.extend_cost(request, "", 24, "And so?") < engine.prefill_cost(request) + 24 + 200
            engine.close()


def test_prompts_that_are_expected_are_counted_side_by_side():
    together = threading.Barrier(3)

    def native(path: str, body: dict[str, Any]) -> Any:
        if path == "/apply-template":
            together.wait(20)  # until three are asked for at once
        return llama_server(PLAIN)(path, body)

    texts = [f"How many words are there in sentence number {n}?" for n in range(3)]
    with ChatServer(honest(), extra={"owned_by": "llamacpp"}, native=native) as server:
        engine = open_server(connect(ServerOptions((server.url,))), context=None, max_tokens=40, width=None)
        for text in texts:
            engine.expect([Message("user", text)])
        lengths = [len(engine.prompt([Message("user", text)])) for text in texts]
        engine.close()
    assert lengths == [count([{"content": text}]) for text in texts]


def test_a_run_has_the_prompts_of_its_next_questions_counted_meanwhile():
    asked: list[int] = []
    together = threading.Barrier(2)

    def native(path: str, body: dict[str, Any]) -> Any:
        if path == "/apply-template" and "question" in str(body) and len(asked) < 2:
            asked.append(1)
            together.wait(4)  # the first is not known before the second is asked for
        return llama_server(PLAIN)(path, body)

    questions = [f"How many sides has question {n}?" for n in range(4)]
    with ChatServer(honest(), extra={"owned_by": "llamacpp"}, native=native) as server:
        outcome, _ = ask(server.url, questions=questions, max_samples=1)
    assert len(asked) == 2
    assert [result.answer for result in outcome.results] == ["42"] * 4


def test_only_a_llama_server_is_asked_at_paths_of_its_own():
    asked = []
    with ChatServer(honest(), native=lambda path, body: asked.append(path)) as server:
        found = connect(ServerOptions((server.url,)))
        open_server(found, context=None, max_tokens=40, width=None).prompt([Message("user", "Why?")])
        found.client.close()
    assert asked == []


def test_our_key_is_masked_while_it_streams_in_however_it_is_cut(monkeypatch):
    monkeypatch.setenv("DYNSCALE_API_KEY", KEY)

    def script(talk: Talk) -> None:
        for letter in f"key {KEY} ends in {KEY[:9]}":
            talk.chunk(letter)
        talk.chunk(None, reason="stop")
        talk.usage(9, 40)
        talk.done()

    with ChatServer(script) as server:
        engine = open_server(connect(ServerOptions((server.url,))), context=None, max_tokens=400, width=4)
        engine.submit(Request(0, engine.prompt([Message("user", "Why?")]), 400, Sampling(), 0))
        assert run_until(engine, "never") == f"key *** ends in {KEY[:9]}"
        engine.close()


def test_a_key_that_a_server_repeats_is_neither_shown_nor_stored(monkeypatch):
    monkeypatch.setenv("DYNSCALE_API_KEY", KEY)

    def script(talk: Talk) -> None:
        talk.chunk(f"your key is {KEY[:7]}")
        talk.chunk(f"{KEY[7:]} or {KEY}, and Answer: 42")
        talk.chunk(None, reason="stop")
        talk.usage(20, 9)
        talk.done()

    outcome, _ = ask(script, width=1, max_samples=2)
    assert outcome.results[0].answer == "42"
    assert "your key is ***" in outcome.samples[0].text
    assert KEY not in repr([outcome.results, outcome.samples])


def test_a_server_that_only_a_stored_run_names_gets_no_key(monkeypatch):
    monkeypatch.setenv("DYNSCALE_API_KEY", KEY)
    told: list[str] = []
    with ChatServer(honest()) as server:
        connect(ServerOptions((server.url,), trusted=False), told.append).client.close()
        assert KEY not in repr(server.keys)
        assert "named by the stored run alone" in told[0]
        connect(ServerOptions((server.url,)), told.append).client.close()
        assert f"Bearer {KEY}" in server.keys


def test_names_of_models_move_no_terminal():
    told: list[str] = []
    with ChatServer(honest(), models=("\x1b]0;owned\x07", "b")) as server:
        with pytest.raises(UsageError) as caught:
            connect(ServerOptions((server.url,)))
        connect(ServerOptions((server.url,), "c"), told.append).client.close()
    assert "\x1b" not in caught.value.message + "".join(told)


def test_the_bound_of_a_prompt_holds_for_any_text_and_is_exact_once_counted():
    estimator, [message] = TokenEstimator(), [Message("user", "größer als π? 中文 🙂")]
    assert estimator.most([message]) >= len(message.content.encode())
    estimator.learn((message,), 31, estimator.most([message]))
    assert estimator.most([message]) == estimator.likely([message]) == 31
    before = estimator.most([Message("user", "another")])
    estimator.learn((Message("user", "hidden"),), 5000, estimator.most([Message("user", "hidden")]))
    assert estimator.most([Message("user", "another")]) > before + 4000


def test_a_low_budget_makes_requests_smaller_instead_of_keeping_them_out():
    outcome, [server] = ask(honest(), budget=900, max_tokens=2000)
    assert outcome.results[0].answer == "42"
    assert 4 <= server.bodies[0]["max_tokens"] < 900


def test_a_sample_that_was_cut_off_is_asked_for_its_answer_in_another_turn():
    def script(talk: Talk) -> None:
        talk.honest("Answer: 7" if talk.body["messages"][-2]["role"] == "assistant" else "and so on " * 30)

    outcome, [server] = ask(lambda talk: script(talk) if len(talk.body["messages"]) > 1 else talk.honest("and " * 90))
    [result] = outcome.results
    assert (result.answer, result.forced) == ("7", result.samples)
    assert outcome.samples[0].text.endswith("and\n\nAnswer: 7")
    asking = next(body for body in server.bodies if len(body["messages"]) == 3)
    assert [m["role"] for m in asking["messages"]] == ["user", "assistant", "user"]
    assert asking["max_tokens"] == 24
    assert outcome.samples[0].tokens.generated == 40 + 2


def test_pulls_of_one_question_share_a_request_and_pay_for_the_prompt_once():
    outcome, [server] = ask(honest(), max_samples=4, policy="uniform", budget=20000)
    assert [body.get("n", 1) for body in server.bodies] == [4]
    assert len(outcome.samples) == 4
    assert outcome.tokens.prompt == count(server.bodies[0]["messages"])
    assert outcome.tokens.reused == 3 * outcome.tokens.prompt


def test_where_the_server_has_a_prompt_in_its_cache_samples_do_not_wait_for_each_other():
    outcome, [server] = ask(honest(cached=10), max_samples=8, policy="uniform", budget=20000, exhaust=True)
    assert len(outcome.samples) == 8
    assert server.bodies[0]["n"] > 1
    assert all("n" not in body for body in server.bodies[1:])


def only_one(talk: Talk) -> None:
    talk.body.pop("n", None)
    talk.honest(ANSWER)


def no_n(talk: Talk) -> None:
    talk.status(400, {"error": {"message": "only one choice, please"}}) if "n" in talk.body else talk.honest(ANSWER)


@pytest.mark.parametrize("script", [only_one, no_n])
def test_a_server_without_n_is_asked_once_and_then_one_by_one(script):
    outcome, [server] = ask(script, max_samples=4, policy="uniform", budget=20000)
    assert [sample.text for sample in outcome.samples] == [ANSWER] * 4
    assert all(sample.finish == "stop" for sample in outcome.samples)
    assert sum("n" in body for body in server.bodies) == 1


def bills_each_by_itself(talk: Talk) -> None:
    """As llama-server does."""
    several, prompt = talk.body.pop("n", 1), count(talk.body["messages"])
    for place in range(several):
        for word in ("so it ", "is\n", "Answer: ", "42"):
            talk.chunk(word, place)
        talk.chunk(None, place, reason="stop")
        talk.usage(prompt, 4, 2)
    talk.done()


def test_where_a_server_bills_each_sample_of_a_request_by_itself_all_bills_count():
    outcome, [server] = ask(bills_each_by_itself, owner="llamacpp", max_samples=4, policy="uniform", budget=20000)
    prompt = count(server.bodies[0]["messages"])
    assert len(server.bodies) == 1
    assert (outcome.tokens.prompt, outcome.tokens.generated) == (prompt - 2, 4 * 4)


def tells_of_the_first(talk: Talk) -> None:
    """As a LiteLLM gateway does before a llama-server: the usage and the end of one sample stand for all."""
    several, words = talk.body.pop("n", 1), ["so"] * 40
    if len(talk.body["messages"]) > 1:
        words = ["42"]
    for place in range(several):
        for word in words:
            talk.chunk(f"{word} ", place)
    talk.chunk(None, 0, reason="length" if len(words) == talk.limit else "stop")
    counts = {"prompt_tokens": count(talk.body["messages"]), "completion_tokens": len(words)}
    talk.event({"choices": [{"index": 0, "delta": {}}], "usage": counts})
    talk.done()


def test_a_gateway_is_asked_for_one_sample_at_a_time_since_it_may_count_one_of_several():
    settings = {"max_samples": 6, "policy": "uniform", "budget": 20000, "exhaust": True}
    outcome, [server] = ask(tells_of_the_first, owner="openai", **settings)
    assert not any("n" in body for body in server.bodies)
    assert outcome.tokens.generated == 6 * 40 + 6
    assert [sample.forced for sample in outcome.samples] == [True] * 6  # all were cut, and asked for their answers


def test_a_count_of_one_sample_is_not_believed_of_several():
    outcome, [server] = ask(tells_of_the_first, max_samples=4, policy="uniform", budget=20000)
    assert server.bodies[0]["n"] == 4
    assert outcome.tokens.generated >= 4 * 40
    assert outcome.told("count of tokens cannot be") == 1


def test_chains_are_turns_of_a_conversation():
    _, [server] = ask(
        lambda talk: talk.honest(f"Answer: {talk.number % 3}"), mode="chain", budget=20000, width=1, max_samples=8
    )
    chain = next(body["messages"] for body in server.bodies if len(body["messages"]) > 3)
    assert [m["role"] for m in chain] == ["user", "assistant"] * ((len(chain) - 1) // 2) + ["user"]


def test_sampling_goes_out_and_what_a_server_refuses_is_left_out():
    def script(talk: Talk) -> None:
        if "top_k" in talk.body:
            talk.status(400, {"error": {"message": "Unrecognized request argument supplied: top_k"}})
        else:
            talk.honest(ANSWER)

    outcome, [server] = ask(script, width=1)
    assert outcome.results[0].answer == "42"
    assert outcome.told("does not take top_k") == 1
    first = server.bodies[0]
    assert (first["temperature"], first["top_p"], first["top_k"], first["stream"]) == (0.8, 0.95, 40, True)
    assert len({body["seed"] for body in server.bodies if "top_k" not in body}) > 1


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_given_apart_are_thoughts(field):
    def script(talk: Talk) -> None:
        talk.chunk("it may be Answer: 1", field=field)
        talk.chunk("\nAnswer: 2")
        talk.chunk(None, reason="stop")
        talk.usage(20, 9)
        talk.done()

    outcome, _ = ask(script, width=1)
    assert set(outcome.results[0].votes) == {"2"}
    assert outcome.samples[0].text.startswith("<think>\nit may be Answer: 1\n</think>")


def test_a_long_thought_is_closed_and_the_sample_goes_on():
    def script(talk: Talk) -> None:
        if len(talk.body["messages"]) > 1:
            talk.honest("Answer: 5")
            return
        for _ in range(talk.limit):
            talk.chunk(" hmm", field="reasoning_content")
            time.sleep(0.005)

    outcome, _ = ask(script, width=1, max_thinking=10, max_tokens=200, max_samples=1)
    [result] = outcome.results
    assert result.answer == "5"
    assert outcome.samples[0].text.count("hmm") < 100


def test_log_probabilities_weigh_votes_where_they_are_given():
    logprobs = {"content": [{"token": "x", "logprob": -0.25, "top_logprobs": []}]}

    def script(talk: Talk) -> None:
        assert talk.body["logprobs"] is True
        talk.chunk(ANSWER, logprobs=logprobs)
        talk.chunk(None, reason="stop")
        talk.usage(20, 1)
        talk.done()

    outcome, _ = ask(script, width=1, vote="confidence")
    assert outcome.samples[0].logprob == pytest.approx(-0.25)
    outcome, _ = ask(honest(), width=1, vote="confidence")
    assert outcome.results[0].answer == "42"
    assert outcome.told("no log-probabilities") == 1


# What goes wrong


def first(bad: Callable[[Talk], None], times: int = 1) -> Script:
    """Bad at first, good afterwards."""
    return lambda talk: bad(talk) if talk.number < times else talk.honest(ANSWER)


FAULTS = {
    "busy": lambda talk: talk.status(429),
    "overloaded": lambda talk: talk.status(503),
    "broken": lambda talk: talk.status(500, "<html>Internal error</html>"),
    "reset": lambda talk: talk.reset(),
    "html": lambda talk: talk.status(200, "<html>Welcome!</html>"),
    "not JSON": lambda talk: talk.raw(b"data: {oops\n\n"),
    "empty": lambda talk: talk.done(),
    "error in the stream": lambda talk: talk.event({"error": {"message": "out of memory"}}),
    "silent": lambda talk: talk.hang(5),
    "silent stream": lambda talk: (talk.raw(b": ping\n\n"), talk.hang(5)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_pass_is_tried_again_and_costs_nothing(fault):
    outcome, [server] = ask(first(FAULTS[fault]), width=1)
    assert outcome.error is None
    [result] = outcome.results
    assert (result.answer, result.stopped) == ("42", "settled")
    assert result.tokens.generated == 4 * result.samples
    assert all(sample.finish == "stop" for sample in outcome.samples)
    assert len(server.bodies) == result.samples + 1
    assert len(outcome.notices) <= 1


@pytest.mark.parametrize("kept", [1, 2, 0.02])
def test_a_connection_that_the_server_has_closed_is_no_fault(kept, monkeypatch):
    """It takes the next request with it, without a word: that goes out again at once, and nobody is blamed."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 60)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 60)
    monkeypatch.setattr("dynscale_cli.engine.server.endpoints.FIRST", 60)

    def script(talk: Talk) -> None:
        time.sleep(0.03 * (talk.number % 2))
        talk.honest(ANSWER)

    with ChatServer(script, kept=kept) as server:
        outcome, _ = ask(server.url, questions=[f"number {n}?" for n in range(6)], width=2, budget=40_000, stall=120)
    assert [result.answer for result in outcome.results] == ["42"] * 6
    assert [sample.finish for sample in outcome.samples] == ["stop"] * len(outcome.samples)
    assert outcome.notices == []
    assert server.dropped > 0 or kept < 1


def test_a_server_that_never_answers_on_a_fresh_connection_is_a_fault():
    outcome, [server] = ask(lambda talk: talk._handler.connection.close(), width=1)
    assert isinstance(outcome.error, EngineError)
    assert len(server.bodies) < 30


def test_only_the_requests_own_headers_go_out(monkeypatch):
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, f"{name}-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: my-secret")
    monkeypatch.setenv("DYNSCALE_API_KEY", "sk-mine")
    _, [server] = ask(honest(), width=1)
    assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-mine"}
    assert "secret" not in repr(server.headers)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda talk: talk._head(200, {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}), "compressed"),
        (lambda talk: [talk.raw(b"data: " + b"x" * 100_000) for _ in range(80)], "longer than any answer"),
    ],
)
def test_what_no_answer_needs_is_not_read(bad, words):
    outcome, _ = ask(bad, width=1, stall=5)
    assert isinstance(outcome.error, EngineError)
    assert words in outcome.error.message


@pytest.mark.parametrize("ready", [2, 10_000])
def test_a_server_that_is_still_loading_its_model_is_waited_for(ready, monkeypatch):
    """As the first seconds of a llama-server that was started just before."""
    monkeypatch.setattr("dynscale_cli.engine.server.connect.AGAIN", 0.01)
    monkeypatch.setattr("dynscale_cli.engine.server.connect.LOADING", 60.0 if ready < 10_000 else 0.1)
    told, asked = [], []

    def listing(talk: Talk) -> None:
        asked.append(talk)
        if len(asked) <= ready:
            talk.status(503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}})
        else:
            talk.status(200, {"data": [{"id": "small"}]})

    with ChatServer(honest(), models=listing) as server:
        if ready < 10_000:
            connect(ServerOptions((server.url,)), told.append).client.close()
        else:
            with pytest.raises(EngineError, match="503: Loading model"):
                connect(ServerOptions((server.url,)), told.append)
    assert told == ["the server is loading its model: waiting for it"]
    assert len(asked) > 2


def test_a_list_of_models_that_does_not_end_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("dynscale_cli.engine.server.connect.CONNECT", 0.2)

    def drip(talk: Talk) -> None:
        talk._head(200, {"Content-Type": "application/json"})
        with contextlib.suppress(OSError):
            for _ in range(200):
                talk._handler.wfile.write(b" ")
                time.sleep(0.05)

    begun = time.monotonic()
    with ChatServer(honest(), models=drip) as server, pytest.raises(EngineError, match="no list of models"):
        connect(ServerOptions((server.url,)))
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("streams", [True, False])
def test_a_request_that_waits_for_its_turn_is_not_given_up_while_others_are_answered(streams, monkeypatch):
    """Ollama and others answer one after the other."""
    monkeypatch.setattr("dynscale_cli.engine.server.client.WHOLE", 0.5)
    turn = threading.Lock()

    def script(talk: Talk) -> None:
        with turn:
            if streams:
                talk.honest(ANSWER, pace=0.05)
            elif talk.body.get("stream"):
                talk.honest(ANSWER, usage=False)
            else:
                time.sleep(0.2)
                talk.whole(ANSWER, {"prompt_tokens": 11, "completion_tokens": 4})

    questions = [f"number {n}?" for n in range(8)]
    outcome, [server] = ask(script, questions=questions, width=8, max_samples=1, budget=40_000, owner="library")
    assert [result.answer for result in outcome.results] == ["42"] * 8
    assert len(server.bodies) == 8
    assert outcome.told("silent") == 0


def test_retry_after_is_obeyed():
    _, [server] = ask(first(lambda talk: talk.status(429, Retry_After="0.4")), width=1)
    assert server.times[1] - server.times[0] >= 0.4


def test_a_stream_that_breaks_off_is_charged_for_what_came_and_its_question_goes_on():
    def broken(talk: Talk) -> None:
        talk.chunk("four words and more")
        talk.reset()

    outcome, _ = ask(first(broken), width=1)
    [result] = outcome.results
    assert (result.answer, result.stopped) == ("42", "settled")
    failed = outcome.samples[0]
    assert (failed.finish, failed.answer) == ("failed", None)
    assert failed.tokens.generated == len(b"four words and more")
    assert failed.tokens.prompt > 0
    assert result.samples == len(outcome.samples) - 1


def test_a_question_that_only_fails_has_an_error_of_its_own():
    def script(talk: Talk) -> None:
        if "bad" in talk.conversation:
            talk.status(400, {"error": {"message": "This model's maximum context length is 10 tokens."}})
        else:
            talk.honest(ANSWER)

    outcome, [server] = ask(script, questions=["good one?", "a bad one?", "good two?"])
    good, bad, other = outcome.results
    assert outcome.error is None
    assert (good.answer, other.answer) == ("42", "42")
    assert (bad.answer, bad.stopped) == (None, "error")
    assert "maximum context length is 10" in bad.error
    assert sum("bad" in str(body["messages"]) for body in server.bodies) <= 2


def test_one_poisonous_question_is_not_taken_for_a_dead_server():
    def script(talk: Talk) -> None:
        talk.status(500, {"error": {"message": "cannot"}}) if "bad" in talk.conversation else talk.honest(ANSWER)

    outcome, _ = ask(script, questions=["good?", "bad?", "fine?"], width=1)
    assert outcome.error is None
    assert [result.answer for result in outcome.results] == ["42", None, "42"]
    assert "500: cannot" in outcome.results[1].error


def test_a_server_that_stays_broken_ends_the_run_after_what_was_answered():
    def script(talk: Talk) -> None:
        talk.honest(ANSWER) if talk.number < 8 else talk.status(500)

    outcome, _ = ask(script, questions=["a?", "b?", "c?", "d?"], width=1, max_samples=3)
    assert isinstance(outcome.error, EngineError)
    assert "500" in outcome.error.message
    assert [result.answer for result in outcome.results[:2]] == ["42", "42"]
    assert len(outcome.results) == 4


@pytest.mark.parametrize(("owner", "together"), [("vllm", 1), ("llamacpp", 4)])
def test_what_no_server_has_taken_is_not_billed_when_it_is_given_up(owner, together):
    outcome, [server] = ask(lambda talk: talk.status(429, Retry_After="60"), time_limit=0.5, owner=owner)
    assert server.bodies[0].get("n", 1) == together
    assert outcome.tokens.billed == 0


def test_all_endpoints_that_fail_in_a_row_are_given_up_whoever_asked_them():
    """Requests take turns at them: each would need as many failures of its own."""
    first, second = ends = Endpoint("http://a/v1"), Endpoint("http://b/v1")
    endpoints = Endpoints(ends)
    for turn in range(4):
        assert not endpoints.fail(4)
        endpoints.down(first, now=100.0 * turn)
    assert not endpoints.fail(4)  # the second is well
    second.refused = True
    assert endpoints.fail(4)
    endpoints.well(first, now=500.0)
    assert not endpoints.fail(4)


def test_nothing_is_billed_where_a_gateway_refuses_the_model_of_all_requests():
    def script(talk: Talk) -> None:
        time.sleep(0.1 * (talk.number % 4))  # the others are under way when the first is refused
        talk.status(400, {"error": {"message": "Invalid model name passed in model=small.", "code": "400"}})

    outcome, _ = ask(script, questions=["a?", "b?", "c?", "d?"])
    assert isinstance(outcome.error, EngineError)
    assert "has no model 'small'" in outcome.error.message
    assert outcome.tokens.billed == 0


def test_a_gateway_that_calls_a_wrong_key_a_bad_request_is_told_as_one_that_does_not_accept_it():
    def listing(talk: Talk) -> None:
        talk.status(400, {"error": {"message": "No connected db.", "type": "no_db_connection", "code": "400"}})

    with ChatServer(honest(), models=listing) as server, pytest.raises(EngineError) as raised:
        connect(ServerOptions((server.url,), served_model="small"))
    assert "does not accept the key (400: No connected db.)" in raised.value.message
    assert "DYNSCALE_API_KEY" in raised.value.hint


class Still(ChatClient):
    """Sends nothing: what comes back is what a test puts into `inbox`."""

    def __init__(self) -> None:
        self.inbox, self.model, self.counts, self.sent = Inbox(), "small", True, []
        self._key = ""

    def send(self, chat: ChatRequest) -> None:
        self.sent.append(chat)


@pytest.mark.parametrize("end", [ServerEngine.abort, lambda engine: engine._client.inbox.put(Dead(Fault("down", "")))])
def test_an_answer_that_comes_with_the_end_is_told_before_it(end):
    client = Still()
    engine = ServerEngine(client, context=4096)
    for id in range(2):
        prompt = engine.prompt([Message("user", f"{id}?")])
        engine.submit(Request(id, prompt, 40, Sampling(), seed=id))
    engine._launch()
    client.inbox.put(Delta(client.sent[0], 0, ANSWER, False))
    client.inbox.put(Over(client.sent[0], ("stop",), Usage(20, 5)))
    end(engine)
    assert [event.text for event in engine.step() if isinstance(event, Finished)] == [ANSWER]
    with pytest.raises((EngineError, Aborted)):
        engine.step()


def test_a_dead_endpoint_among_several_is_set_aside_and_taken_back():
    outages = []

    def shaky(talk: Talk) -> None:
        if talk.number in (1, 2):
            outages.append(talk.number)
            talk.status(502)
        else:
            talk.honest(ANSWER)

    questions = [f"number {n}?" for n in range(12)]
    outcome, [one, two] = ask("http://127.0.0.1:9", shaky, honest(), questions=questions, width=4, budget=40000)
    assert all(result.answer == "42" for result in outcome.results)
    assert outages
    assert min(len(one.bodies), len(two.bodies)) > 5
    assert outcome.told("http://127.0.0.1:9/v1") == 1
    assert outcome.told("502") == 1


def test_requests_go_where_the_fewest_are_outstanding():
    enough, served = threading.Event(), []

    def slow(talk: Talk) -> None:
        enough.wait(60)
        talk.honest(ANSWER)

    def fast(talk: Talk) -> None:
        served.append(talk)
        if len(served) == 12:
            enough.set()
        talk.honest(ANSWER)

    questions = [f"number {n}?" for n in range(16)]
    _, [busy, quick] = ask(slow, fast, questions=questions, width=4, budget=40000, max_samples=1)
    assert len(quick.bodies) >= 12 > len(busy.bodies) > 0


def test_an_endless_answer_is_cut_off_and_told_once():
    gone = []

    def endless(talk: Talk) -> None:
        try:
            for _ in range(2000):
                talk.chunk(" more")
                time.sleep(0.001)
        except OSError:
            gone.append(talk.number)
            raise

    outcome, _ = ask(endless, width=1, max_samples=2, max_tokens=30, answer_type="number")
    assert outcome.told("beyond the max_tokens") == 1
    assert gone
    assert all(sample.tokens.generated < 200 for sample in outcome.samples)


def test_a_stream_without_usage_makes_the_engine_ask_for_whole_answers():
    def script(talk: Talk) -> None:
        if talk.body.get("stream"):
            talk.honest(ANSWER, usage=False)
        else:
            talk.whole(ANSWER, {"prompt_tokens": 11, "completion_tokens": 4})

    outcome, [server] = ask(script, width=1)
    [result] = outcome.results
    assert result.answer == "42"
    assert [bool(body.get("stream")) for body in server.bodies] == [True] + [False] * (result.samples - 1)
    assert outcome.samples[0].tokens.generated == len(ANSWER)  # a byte each, as nobody counts
    assert {sample.tokens.billed for sample in outcome.samples[1:]} == {15}
    assert outcome.told("counts no tokens in its streams") == 1


@pytest.mark.parametrize("usage", [(-5, 3), (20, -1), (20, 10**9), (10**12, 3), ("many", 3), (20, 0), (20, 3, 50)])
def test_an_absurd_usage_is_not_believed(usage):
    def script(talk: Talk) -> None:
        talk.chunk(ANSWER)
        talk.chunk(None, reason="stop")
        talk.usage(*usage)
        talk.done()

    outcome, _ = ask(script, width=1, max_samples=2)
    assert [sample.tokens.generated for sample in outcome.samples] == [len(ANSWER)] * 2
    assert outcome.told("cannot be") == 1


def test_a_prompt_beyond_its_bound_is_billed_as_counted_and_told_once():
    def script(talk: Talk) -> None:
        talk.chunk(ANSWER)
        talk.chunk(None, reason="stop")
        talk.usage(1500, 5)
        talk.done()

    outcome, _ = ask(script, width=1, max_samples=2, budget=8000)
    assert [sample.tokens.prompt for sample in outcome.samples] == [1500, 1500]
    assert outcome.told("more prompt tokens") == 1
    outcome, _ = ask(script, width=1, budget=600)
    assert outcome.tokens.billed == 1505
    assert outcome.told("905 tokens beyond the budget") == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept the key"),
        (402, "wants to be paid"),
        (403, "does not accept the key"),
        (404, "has no model 'small'"),
        (405, "is no chat server"),
        (501, "is no chat server"),
    ],
)
def test_what_waiting_does_not_help_is_said_once_and_never_shows_the_key(status, words, monkeypatch):
    monkeypatch.setenv("DYNSCALE_API_KEY", KEY)
    refuse = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": status}}
    outcome, [server] = ask(lambda talk: talk.status(status, refuse), width=4)
    assert outcome.samples == []  # it is no fault of the question
    assert isinstance(outcome.error, EngineError)
    assert words in outcome.error.message
    assert outcome.error.hint
    assert len(server.bodies) == 1
    assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in repr(outcome.events) + repr(outcome.error.__dict__)


@pytest.mark.parametrize("pause", ["-5", "nan", "9" * 400, "\u00b2", "Wed, 21 Oct 2015 07:28:00 GMT", "1 Jan", ""])
@pytest.mark.parametrize("header", ["Retry_After", "retry-after-ms"])
def test_a_pause_that_cannot_be_is_not_waited_for(header, pause):
    outcome, _ = ask(first(lambda talk: talk.status(429, **{header: pause}), times=2), width=1)
    assert (outcome.error, outcome.results[0].answer) == (None, "42")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda talk: talk.reset(), "broke the connection off: Connection reset by peer"),
        (
            lambda talk: talk._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}),
            "broke the connection off: peer closed connection",
        ),
        (lambda talk: talk.event({"error": "out of memory"}), "reports: out of memory"),
        (lambda talk: talk.status(200, {"error": {"message": "no quota"}}), "reports: no quota"),
        (lambda talk: talk.status(200, "<html>"), "gave no readable answer: it is not a chat completion"),
        (lambda talk: talk.raw(b"data: " + b"[" * 100_000 + b"\n\n"), "gave no readable answer: maximum recursion"),
        (lambda talk: talk._handler.wfile.write(b"hello\r\n\r\n"), "gave no readable answer: illegal status line"),
        (lambda talk: talk._head(307, {"Location": "/v1/chat/completions"}), "gave no readable answer: Exceeded"),
    ],
)
def test_who_answers_badly_is_not_taken_for_nobody(bad, words):
    outcome, _ = ask(bad, width=1, stall=60)
    assert isinstance(outcome.error, EngineError)
    assert words in outcome.error.message


def test_a_stream_of_nothing_but_signs_of_life_ends(monkeypatch):
    monkeypatch.setattr("dynscale_cli.engine.server.stream.SPARE_CHUNKS", 10)

    def script(talk: Talk) -> None:
        for _ in range(5000):
            talk.event({"choices": []})
        talk.honest("Answer: 13")

    outcome, _ = ask(first(script, times=2), width=1)
    assert set(outcome.results[0].votes) == {"42"}
    assert outcome.told("it does not end") == 1


@pytest.mark.parametrize(
    "choice",
    [
        {"delta": {"content": ANSWER}},
        {"index": None, "delta": {"content": ANSWER}},
        {"index": 0, "message": {"role": "assistant", "content": ANSWER}},
        {"index": 0, "delta": {"content": [{"type": "text", "text": ANSWER}]}},
    ],
)
def test_the_dialects_of_a_chunk(choice):
    def script(talk: Talk) -> None:
        talk.event({"choices": [{**choice, "finish_reason": "stop"}]})
        talk.usage(20, 4)
        talk.done()

    outcome, _ = ask(script, width=1)
    assert outcome.samples[0].text == ANSWER


def test_a_thought_that_comes_as_a_part_of_the_content_is_a_thought():
    part = {"type": "thinking", "thinking": [{"type": "text", "text": "it may be Answer: 1"}]}

    def script(talk: Talk) -> None:
        talk.event({"choices": [{"index": 0, "delta": {"content": [part]}}]})
        talk.honest("Answer: 2")

    outcome, _ = ask(script, width=1)
    assert set(outcome.results[0].votes) == {"2"}
    assert outcome.samples[0].text.startswith("<think>\nit may be Answer: 1\n</think>")


def test_a_server_that_calls_its_limit_by_another_name_is_asked_for_the_answer():
    def script(talk: Talk) -> None:
        talk.chunk("Answer: 7" if len(talk.body["messages"]) > 1 else "and so on")
        talk.chunk(None, reason="stop" if len(talk.body["messages"]) > 1 else "max_tokens")
        talk.usage(20, 9)
        talk.done()

    outcome, _ = ask(script, width=1)
    assert (outcome.results[0].answer, outcome.samples[0].forced) == ("7", True)


def test_a_proxy_that_fails_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(EngineError) as caught:
        connect(ServerOptions(("http://gpu-box:8000",)))
    assert caught.value.message == (
        "no server answers at http://gpu-box:8000/v1 through the proxy 127.0.0.1:9: connection refused"
    )
    assert "NO_PROXY=gpu-box" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("http_proxy", "foo://x:y:z", "http_proxy cannot be used"),
        ("all_proxy", "socks9://127.0.0.1:9", "all_proxy cannot be used"),
        pytest.param("ALL_PROXY", "socks5://127.0.0.1:9", "ALL_PROXY names a SOCKS proxy", marks=NO_SOCKS),
        ("SSL_CERT_FILE", "/nowhere.pem", "SSL_CERT_FILE=/nowhere.pem: No such file"),
    ],
)
def test_what_the_environment_says_wrongly_of_connections_is_a_usage_error(monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        connect(ServerOptions(("http://127.0.0.1:9",)))
    assert words in caught.value.message


def test_a_proxy_that_is_of_no_use_does_not_matter_where_none_is_to_be_used(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks9://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    outcome, _ = ask(honest(), width=1)
    assert outcome.results[0].answer == "42"


def test_https_where_http_is_spoken_is_said():
    with ChatServer(honest()) as server, pytest.raises(EngineError) as caught:
        connect(ServerOptions((server.url.replace("http", "https"),)))
    assert "does not answer in https" in caught.value.message
    assert caught.value.hint == f"--endpoint {server.url}"


def test_an_endpoint_that_lists_other_models_only_is_not_asked():
    told: list[str] = []
    with (
        ChatServer(honest("Answer: 1"), models=("a", "b")) as one,
        ChatServer(honest("Answer: 2"), models=("b",)) as two,
    ):
        found = connect(ServerOptions((one.url, two.url), "a"), told.append)
        engine = open_server(found, context=None, max_tokens=40, width=8, together=False)
        asked = [Question(n, str(n), f"number {n}?") for n in range(8)]
        run = Run(asked, engine, Settings(budget=20_000, max_tokens=40, max_samples=1))
        answers = {event.result.answer for event in run.events() if isinstance(event, Answered)}
        engine.close()
    assert answers == {"1"}
    assert told == [f"{two.url} has no model 'a'; going on without it"]
    assert two.bodies == []


def test_a_model_that_nobody_lists_is_asked_for_and_told():
    told: list[str] = []
    with ChatServer(honest(), models=("a", "b")) as server:
        connect(ServerOptions((server.url,), "c"), told.append).client.close()
        connect(ServerOptions((server.url,), "b"), told.append).client.close()
    assert told == ["no model 'c' is listed there, but a, b; asking for it all the same"]


@pytest.mark.parametrize("listed", ["<html>", [1], {"data": 5}, {"data": ["x"]}])
def test_a_list_of_models_that_is_none_matters_only_where_no_model_is_named(listed):
    with ChatServer(honest(), models=lambda talk: talk.status(200, listed)) as server:
        with pytest.raises(DynscaleError, match=r"not list its models|names no model"):
            connect(ServerOptions((server.url,)))
        found = connect(ServerOptions((server.url,), "c"))
        found.client.close()
    assert found.model == "c"


def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\u2028x")
    with pytest.raises(UsageError) as caught:
        connect(ServerOptions(("http://127.0.0.1:9",)))
    assert KEY not in str(caught.value) + caught.value.hint


def test_nobody_there_is_said_at_once():
    with pytest.raises(EngineError, match=r"no server answers at http://127.0.0.1:9/v1: connection refused"):
        connect(ServerOptions(("127.0.0.1:9",)))


def test_the_model_is_asked_for_where_there_is_one_and_must_be_named_where_there_are_more():
    with ChatServer(honest(), models=("a", "b"), extra={"max_model_len": 4321}) as server:
        with pytest.raises(UsageError, match="2 models: a, b") as caught:
            connect(ServerOptions((server.url,)))
        assert "--served-model" in caught.value.hint
        found = connect(ServerOptions((server.url,), "b"))
        found.client.close()
    assert (found.model, found.context) == ("b", 4321)
    with ChatServer(honest(), models=lambda talk: talk.status(404)) as server:
        found = connect(ServerOptions((server.url,), "c"))
        found.client.close()
    assert (found.model, found.context) == ("c", 0)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("gpu-box:8000/", "http://gpu-box:8000/v1"),
        ("https://api.example.org/openai/v1/chat/completions", "https://api.example.org/openai/v1"),
    ],
)
def test_an_address_is_completed(text, url):
    assert ServerOptions((text, text)).endpoints == (url,)


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "http://", "http://h:99999", "http://u:secret@h", "http://h?k=secret", "http://[::1"]
)
def test_what_is_no_address_is_a_usage_error(text):
    with pytest.raises(UsageError) as caught:
        ServerOptions((text,))
    assert "u:secret" not in str(caught.value)
