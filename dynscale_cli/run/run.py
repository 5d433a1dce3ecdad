"""The loop: choose a question, reserve its tokens, sample it, read the answer, vote, until settled or spent.

    _fill       allocator.choose -> sampler.draft -> admission.grant -> ledger.reserve -> engine.submit
    _make_room  what does not fit any more rests, the youngest first; at the end it is stopped or asked for its answer
    _step       journal.allow -> ledger.charge -> engine.step
    _finished   answers.extract, or forcing.ask
    _take       journal.returned -> ledger.settle -> state.count, which votes and tells the allocator
    _end        journal.answered: every question as it stands

Owns the order of things and nothing else. Yields typed events; prints nothing and reads no clock but the one it is
given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from dynscale_cli.answers.extract import extract
from dynscale_cli.engine.protocol import Aborted, Engine, EngineEvent, Failed, Finished, Piece, Remark, Tokens
from dynscale_cli.errors import BudgetError, DynscaleError, EngineError
from dynscale_cli.questions import Question
from dynscale_cli.sampling.sampler import Sampler
from dynscale_cli.sampling.samples import ChainShare, Finish, Sample, prior_share

from .admission import Admission, Forcing, Reservation
from .events import (
    Answered,
    Dropped,
    Ended,
    Event,
    How,
    Notice,
    RunStarted,
    Sampled,
    SampleFinished,
    SampleStarted,
    SampleText,
    Sink,
    Start,
    Stepped,
    Stopped,
)
from .request import Settings
from .state import InFlight, QuestionState, RunState
from .stored import Past


class Run:
    """One run over `questions`. Iterate over `events()` once; `interrupted` is asked at every step.

    `journal` is told everything before it counts; `past` is what an earlier part of the same run has told it: the run
    goes on from there, and draws again what was in flight. Raises EngineError after the last event when the engine
    failed: everything answered until then has been reported. Call `leave()` when the events are not taken to their end.

    `first_id`: of its requests, where other runs have had the same engine.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        engine: Engine,
        settings: Settings,
        *,
        journal: Sink | None = None,
        past: Past | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        first_id: int = 0,
    ) -> None:
        self.questions, self.engine, self.settings = questions, engine, settings
        self._forcing = Forcing(engine, settings.prompts)
        self.sampler = Sampler(
            engine,
            settings.prompts,
            sampling=settings.sampling,
            max_tokens=settings.max_tokens,
            spare=self._forcing.reserve,
            seed=settings.seed,
            mode=settings.mode,
            layout=settings.layout,
            logprobs=settings.vote == "confidence",
            share=ChainShare(_prior(settings, engine)),
        )
        self.state = RunState(questions, settings, self.sampler.share, engine.info)
        self.admission = Admission(engine, self.sampler, self._forcing, self.state)
        self._journal = journal or Sink()
        self._past = past
        self._clock, self._interrupted = clock, interrupted
        self._begun = self._part_begun = clock()
        self._in_flight: dict[int, InFlight] = {}
        self._resting: Sequence[InFlight] = ()  # those that the next step leaves where they are
        self._next_id = first_id
        self._looked_at = 0  # questions that are expected, from the first on
        self._failure: DynscaleError | None = None
        self._stopped = self._closed = self._time_is_up = self._told_overdrawn = False

    def events(self) -> Iterator[Event]:
        info = self.engine.info
        yield RunStarted(len(self.questions), self.settings.budget, info.width, info.context, info.model)
        if self.settings.draws_copies and self.settings.max_samples != 1:
            yield Notice("at temperature 0 every sample is the same: one is drawn of each question")
        try:
            yield from self._restore()
            yield from self._loop()
        except Aborted:
            self._stopped = True
        except EngineError as error:
            self._failure = error
        yield from self._end()
        state = self.state
        yield state.account(interrupted=self._stopped)
        if self._failure is not None:
            raise self._failure
        cheapest = self.admission.cheapest
        if cheapest is not None and not state.finished and not self._stopped:
            raise BudgetError(
                f"a budget of {self.settings.budget:,} does not pay for one sample, which needs {cheapest:,}",
                f"dynscale ask --budget {max(2048, 2 * cheapest)} ...",
            )

    def leave(self) -> None:
        """Nobody takes the events any more: what is in flight is paid for, and the journal ends here."""
        if self._past is not None and not self._past.told:  # the state is not complete
            if (ended := self._past.account(self.settings.budget)) is not None:
                self._journal.ended(ended)
        elif not self._closed:
            self._stop_all(list(self._in_flight.values()))
            self._close("interrupted")

    def _restore(self) -> Iterator[Event]:
        """Bring the state to where an earlier part of the run has left it."""
        if self._past is not None:
            yield from self._past.replay(self.state)
            self._begun = self._clock() - self.state.time
            yield self._stepped()

    def _loop(self) -> Iterator[Event]:
        while not self._stopped:
            self._tick()
            yield from self._fill()
            if not self._in_flight:
                return
            yield from self._make_room()
            if self._in_flight:
                yield from self._step()

    # Starting samples

    def _fill(self) -> Iterator[Event]:
        """Start samples while there is room for them, in the batch and in the budget."""
        ledger = self.state.ledger
        while self.engine.free_slots > 0 and not self._time_is_up:
            if ledger.free <= self._forcing.reserve and (self._in_flight or self.state.finished):
                return
            q = self.state.allocator.choose(self.state.is_ready)
            if q is None:
                return
            if not self._in_flight and self.admission.is_out_of_reach(q):
                self.state.close(q)
                continue
            question = self._lay_out(q)
            if question.error is not None:
                yield from self._finish(q, "error")
            elif granted := self.admission.grant(question, self._next_id, self._in_flight.values()):
                yield from self._start(q, question, granted)
            elif self._in_flight:  # what comes back may make room for it
                return
            else:
                self.state.close(q)

    def _lay_out(self, q: int) -> QuestionState:
        """The question's state, with its prompt in the model's own tokens or the reason why there is none."""
        question = self.state.question(q)
        if question.asked is None and question.error is None:
            self._look_ahead(q)
            try:
                question.asked = self.sampler.lay_out(question.question, compared=not question.kind.long)
            except DynscaleError as error:
                question.error = error.message
        return question

    def _look_ahead(self, q: int) -> None:
        """Have a server count the prompts of the next questions while it is at work on others."""
        if not self.engine.info.upfront:
            return
        end = min(len(self.questions), q + 1 + self.engine.info.width)
        for other in range(max(q, self._looked_at), end):
            self.sampler.expect(self.questions[other], compared=not self.state.kind(other).long)
        self._looked_at = max(end, self._looked_at)

    def _start(self, q: int, state: QuestionState, granted: Reservation) -> Iterator[Event]:
        draft, number = granted.draft, state.next_number
        id = draft.request.id
        if not self.state.ledger.reserve(id, granted.prompt, granted.answer, granted.ahead):
            raise AssertionError("a sample was affordable and then was not")
        self._journal.started(Start(q, number, draft.kind, draft.seen))
        thoughts = self.engine.reasoning.tracker(draft.request.prompt.open_thought)
        self._in_flight[id] = InFlight(draft, q, number, thoughts)
        self.state.begin(q, number)
        self._next_id += 1
        self.engine.submit(draft.request)
        question = state.question
        yield SampleStarted(q, question.id, question.text, number, draft.kind, self.state.standing(q))

    # A step

    def _make_room(self) -> Iterator[Event]:
        """Let the youngest samples rest while those in flight are not expected to fit in what is left of the budget.

        So the oldest finish, and what they leave is for the next. Where not even the oldest can go on, the youngest is
        stopped, as its reserve may see an older one to its end. The last is asked for its answer, and so is one whose
        question has no other; once the time is up, all are.
        """
        if self._time_is_up and (samples := self._open_ones()):
            self.engine.halt([sample.id for sample in samples])
            for sample in samples:
                yield from self._force(sample, "time")
        while not self._is_affordable():
            *older, youngest = self._open_ones()
            q = youngest.question
            if older and (self.state.open[q].votes or any(sample.question == q for sample in older)):
                self.state.stopped += 1
                self._stop(youngest)
            else:
                yield from self._force(youngest, "budget")

    def _is_affordable(self) -> bool:
        """Whether the next step can be paid for, with what has to rest at rest."""
        self._resting = self.admission.resting(self._open_ones())
        self.engine.hold([sample.id for sample in self._resting])
        return self.state.ledger.affords(self.engine.plan_step())

    def _open_ones(self) -> list[InFlight]:
        """The samples that are still writing on their own, the oldest first."""
        return [sample for sample in self._in_flight.values() if not sample.closing]

    def _force(self, sample: InFlight, how: Finish) -> Iterator[Event]:
        """A sample cannot go on: it is asked for its answer, or kept as far as it went if it is open-ended."""
        question = self.state.open[sample.question]
        sample.cut_off(how)
        if not sample.generated:
            self._stop(sample)
        elif not question.kind.long and self._forcing.ask(sample, self.state.ledger):
            return
        elif question.kind.long and not sample.in_thought and sample.text:
            end = Finished(sample.id, "length", sample.text, self.engine.cancel(sample.id))
            yield from self._finished(sample, end)
        else:
            self._stop(sample)

    def _step(self) -> Iterator[Event]:
        """Everything in flight moves by one token, which is announced and paid for before."""
        ledger = self.state.ledger
        charges = self.engine.plan_step()
        self._journal.allow(ledger.settled + self.engine.max_committed)
        ledger.charge(charges)
        happened = self.engine.step()
        self._tick()
        for sample in self._in_flight.values():
            sample.generated = self.engine.usage(sample.id).generated
        for event in sorted(happened, key=_by_request):  # whatever the order of the slots
            yield from self._on(event)
        self._forcing.close_thoughts(self._in_flight, self.settings.max_thinking, ledger)
        yield self._stepped()
        yield from self._complain()
        self._stopped = self._interrupted()

    # What comes back

    def _on(self, event: EngineEvent) -> Iterator[Event]:
        if isinstance(event, Remark):
            yield Notice(event.message)
            return
        sample = self._in_flight.get(event.id)
        if sample is None:
            return
        if isinstance(event, Piece):
            yield from self._text(sample, event.text)
        elif isinstance(event, Failed):
            yield from self._failed(sample, event)
        else:
            yield from self._finished(sample, event)

    def _text(self, sample: InFlight, text: str) -> Iterator[Event]:
        sample.text += text
        for said, thinking in sample.thoughts.feed(text):
            if self.settings.stream:
                yield SampleText(sample.question, sample.number, said, thinking)

    def _finished(self, sample: InFlight, event: Finished) -> Iterator[Event]:
        """A sample has ended. One that states no answer is asked for it, whether it was cut off or not."""
        question = self.state.open[sample.question]
        said = self.engine.reasoning.split(event.text, sample.draft.request.prompt.open_thought).said
        answer = extract(said, question.kind, choices=question.question.choices)
        cut = event.reason == "length" and not sample.closing and not self._forcing.is_answered(said)
        if not question.kind.long and (answer is None or cut):
            answer = None
            if not sample.closing and self._is_asked(sample, event):
                return
        if event.reason == "length" and sample.ended is None:
            sample.cut_off(self._limited_by(sample))
        if sample.in_thought and not sample.closing:  # a guess in a thought is no answer
            answer = None
        if self.settings.stream:
            for said, thinking in sample.thoughts.finish():
                yield SampleText(sample.question, sample.number, said, thinking)
        yield from self._take(sample, self.state.weigh(sample.question, sample.sample(event, answer)))

    def _is_asked(self, sample: InFlight, event: Finished) -> bool:
        """Have a sample that has ended say its answer; False where that cannot be paid for."""
        in_thought = sample.thoughts.thinking
        if not self._forcing.ask(sample, self.state.ledger, event):
            return False
        sample.ended = self._limited_by(sample) if event.reason == "length" else "stop"
        sample.in_thought = in_thought and event.reason == "length"
        return True

    def _limited_by(self, sample: InFlight) -> Finish:
        """What kept a sample short: its own limit, the context, or a budget that had no more for its request."""
        request = sample.draft.request
        if request.max_tokens >= self.settings.max_tokens:
            return "length"
        return "context" if request.max_tokens >= self.sampler.limit(request.prompt) else "budget"

    def _take(self, in_flight: InFlight, sample: Sample) -> Iterator[Event]:
        """A sample is done: it is kept, then paid for, then it votes."""
        q = in_flight.question
        self._over(in_flight, Sampled(q, sample), sample.tokens)
        stopped = self.state.count(q, sample)
        if stopped is not None:  # what is still in flight could not change it
            self._stop_all([other for other in self._in_flight.values() if other.question == q])
        yield SampleFinished(q, sample, self.state.standing(q))
        if stopped is not None:
            yield from self._finish(q, stopped)

    def _failed(self, sample: InFlight, event: Failed) -> Iterator[Event]:
        """A sample came to nothing: its question may have another, or has an error of its own."""
        q, kind, tokens = sample.question, sample.draft.kind, event.tokens
        dropped = Dropped(q, sample.number, kind, tokens, event.message, event.hopeless and kind == "parallel")
        self._over(sample, dropped, tokens)
        stopped = self.state.drop(dropped)
        failed = Sample(sample.number, kind, "", None, None, tokens, "failed", seen=sample.draft.seen)
        yield SampleFinished(q, failed, self.state.standing(q))
        if stopped is not None:
            yield from self._finish(q, stopped)

    def _stop_all(self, samples: Sequence[InFlight]) -> None:
        self.engine.halt([sample.id for sample in samples])
        for sample in samples:
            self._stop(sample)

    def _stop(self, sample: InFlight) -> None:
        """Cancel a sample; what it has cost stays paid."""
        tokens = self.engine.cancel(sample.id)
        dropped = Dropped(sample.question, sample.number, sample.draft.kind, tokens)
        self._over(sample, dropped, tokens)
        self.state.drop(dropped)

    def _over(self, sample: InFlight, draw: Sampled | Dropped, tokens: Tokens) -> None:
        """A sample is in flight no more: it is kept before it counts, and gives back what it did not use."""
        self._journal.returned(draw, self.state.time)
        self.state.ledger.settle(sample.id, tokens.billed)
        del self._in_flight[sample.id]

    # Ends

    def _end(self) -> Iterator[Event]:
        """Report every question that is not answered yet, as it stands."""
        self._stop_all(list(self._in_flight.values()))
        if self._failure is not None:
            yield Notice(f"the engine failed: {self._failure.message}")
        rest: Stopped = "time" if self._time_is_up else "budget"
        if self._failure or self._stopped:
            rest = "error" if self._failure else "interrupted"
        for q, stopped in self.state.left(rest):
            yield from self._finish(q, stopped, final=False)
        for note in self.state.cut_notes():
            yield Notice(note)
        self._close("failed" if self._failure else "interrupted" if self._stopped else "finished")
        yield from self._complain()

    def _close(self, how: How) -> None:
        state, ledger = self.state, self.state.ledger
        self._closed = True
        unanswered = state.unanswered + state.answered.count(0)
        self._journal.ended(Ended(how, ledger.settled, ledger.budget, state.settled, unanswered, state.time))

    def _finish(self, q: int, stopped: Stopped, *, final: bool = True) -> Iterator[Event]:
        outcome = self.state.finish(q, stopped)
        self._journal.answered(outcome, final=final)
        yield Answered(outcome)

    # How things stand

    def _tick(self) -> None:
        now = self._clock()
        self.state.time = now - self._begun
        limit = self.settings.time_limit
        self._time_is_up = limit is not None and now - self._part_begun >= limit

    def _stepped(self) -> Stepped:
        state = self.state
        return Stepped(
            state.ledger.spent,
            state.ledger.reserved,
            state.tokens.generated + sum(sample.generated for sample in self._in_flight.values()),
            len(self._in_flight) - len(self._resting),
            state.allocator.settled,
            self.sampler.share.share if self.settings.mode == "hybrid" else float(self.settings.mode != "parallel"),
        )

    def _complain(self) -> Iterator[Event]:
        if complaint := self._journal.complaint():
            yield Notice(complaint)
        over = 0 if self._in_flight else self.state.ledger.overdrawn  # what is in flight may give back what pays for it
        if over and not self._told_overdrawn:
            self._told_overdrawn = True
            yield Notice(f"the server spent more than it was asked to: {over:,} tokens beyond the budget")


def _prior(settings: Settings, engine: Engine) -> float:
    """The share of chains that the run begins with."""
    if settings.chain_share is not None:
        return settings.chain_share
    return prior_share(engine.info.parameters, served=engine.info.upfront)


def _by_request(event: EngineEvent) -> int:
    return -1 if isinstance(event, Remark) else event.id
