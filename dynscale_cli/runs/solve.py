"""The loop: choose a question, reserve its tokens, sample it, read the answer, vote, until settled or spent.

Owns the order of things and nothing else: the books say how things stand, their allocator where the next pull goes,
their ledger whether it may, the sampler what it is, the engine what comes back, `answers` what it says, and the sink
keeps it before it counts. Yields typed events; prints nothing and reads no clock but the one it is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from dynscale_cli.answers.extract import Answer, extract
from dynscale_cli.answers.vote import Ballot
from dynscale_cli.engine.protocol import Aborted, Engine, EngineEvent, Failed, Finished, Piece, Remark
from dynscale_cli.errors import BudgetError, DynscaleError, EngineError
from dynscale_cli.questions import Question
from dynscale_cli.sampling.sampler import Sampler

from .books import Books
from .catchup import Again, CatchUp
from .events import (
    Answered,
    Event,
    Notice,
    RunStarted,
    Sample,
    SampleFinished,
    SampleStarted,
    SampleText,
    Stepped,
    Stopped,
)
from .extending import Extender
from .past import Past
from .pulls import Pull
from .settings import Settings
from .sink import Dropped, Ended, How, Nowhere, Sampled, Sink, Spoke, Start
from .starting import Starter
from .terms import Terms
from .track import Track

REFUSED = 64  # questions laid out for nothing before the budget is said to be at its end


class Run:
    """One run over `questions`. Iterate over `events()` once; `interrupted` is asked at every step.

    `journal` is told everything before it counts; `past` is what an earlier part of the same run has told it: the run
    goes on from there. Raises EngineError after the last event when the engine failed: everything answered until then
    has been reported. Call `leave()` when the events are not taken to their end.
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
    ) -> None:
        self.questions, self.engine, self.settings = questions, engine, settings
        self._extender = Extender(engine, settings.prompts)
        self.sampler = Sampler(
            engine,
            settings.prompts,
            sampling=settings.sampling,
            max_tokens=settings.max_tokens,
            spare=self._extender.reserve,
            seed=settings.seed,
            mode=settings.mode,
            layout=settings.layout,
            logprobs=settings.vote == "confidence",
        )
        self.books = Books(questions, settings, self.sampler.share, engine.info.model)
        self._starter = Starter(engine, self.books, self.sampler, self._extender)
        self._journal: Sink = journal or Nowhere()
        self._past = past
        self._clock, self._interrupted = clock, interrupted
        self._begun = clock()
        self._pulls: dict[int, Pull] = {}
        self._catch_up = CatchUp()
        self._next_id = 0
        self._cheapest: int | None = None  # what one sample would cost, of those refused
        self._refused = 0  # questions that were laid out and are too dear for what is left of the budget
        self._failure: DynscaleError | None = None
        self._stopped = self._over = self._told_overdrawn = False
        self._ready = self._is_idle if settings.mode == "sequential" else None

    def events(self) -> Iterator[Event]:
        info = self.engine.info
        yield RunStarted(len(self.questions), self.settings.budget, info.width, info.context, info.model)
        try:
            yield from self._recall()
            yield from self._loop()
        except Aborted:
            self._stopped = True
        except EngineError as error:
            self._failure = error
        yield from self._end()
        books = self.books
        yield books.account(interrupted=self._stopped)
        if self._failure is not None:
            raise self._failure
        if self._cheapest is not None and not books.forecast.samples and not self._stopped:
            raise BudgetError(
                f"a budget of {self.settings.budget:,} does not pay for one sample, which needs {self._cheapest:,}",
                f"dynscale ask --budget {max(2048, 2 * self._cheapest)} ...",
            )

    def leave(self) -> None:
        """Nobody takes the events any more: what is in flight is paid for, and the journal ends here."""
        if self._past is not None and not self._past.told:  # the books are not complete
            if (ended := self._past.account(self.settings.budget)) is not None:
                self._journal.ended(ended)
        elif not self._over:
            for pull in list(self._pulls.values()):
                self._drop(pull)
            self._close("interrupted")

    def _recall(self) -> Iterator[Event]:
        """Bring the books to where an earlier part of the run has left them."""
        if self._past is None:
            return
        yield from self._past.replay(self.books)
        self._catch_up = self._past.catch_up()
        if self.engine.info.upfront:
            self._catch_up.hurry()
        self._next_id = len(self._catch_up.ids)
        self._begun = self._clock() - self.books.time
        yield self._stepped()

    def _loop(self) -> Iterator[Event]:
        ledger = self.books.ledger
        while not self._stopped:
            self._tick()
            yield from self._fill()
            if not self._pulls:
                return
            self._make_affordable()
            charges = self.engine.plan_step()
            self._journal.allow(ledger.settled + self.engine.max_committed)
            ledger.charge(charges)
            recalling = any(self._is_recalling(charge.id) for charge in charges)
            happened = self.engine.step()
            self._tick()
            if not recalling:
                self._catch_up.step += 1
                self._note_who_spoke()
            for event in sorted(happened, key=_by_request):  # the same in every part of the run
                yield from self._on(event)
            self._extender.close_thoughts(self._pulls, self.settings.max_thinking, self.books.ledger)
            yield self._stepped()
            yield from self._complain()
            self._stopped = self._interrupted()

    def _is_recalling(self, id: int) -> bool:
        """Whether the next step evaluates again what was lost with an earlier part of the run."""
        recall = self._pulls[id].draft.request.recall
        if not recall:
            return False
        tokens = self.engine.usage(id)
        return tokens.billed + tokens.reused < recall

    def _note_who_spoke(self) -> None:
        for id, pull in self._pulls.items():
            if not pull.spoke and (tokens := self.engine.usage(id)).generated:
                pull.spoke = True
                prompt = pull.cost(tokens) - tokens.generated
                self._journal.spoke(Spoke(pull.question, pull.number, self._catch_up.step - 1, prompt))

    def _tick(self) -> None:
        self.books.time = self._clock() - self._begun

    def _stepped(self) -> Stepped:
        books = self.books
        return Stepped(
            books.ledger.spent,
            books.ledger.reserved,
            books.tokens.generated + sum(pull.generated for pull in self._pulls.values()),
            len(self._pulls),
            books.allocator.settled,
            self.sampler.share.share if self.settings.mode == "hybrid" else float(self.settings.mode != "parallel"),
        )

    def _complain(self) -> Iterator[Event]:
        if complaint := self._journal.complaint():
            yield Notice(complaint)
        over = self.books.ledger.overdrawn
        if over and not self._pulls and not self._told_overdrawn:  # what is in flight may give back what pays for it
            self._told_overdrawn = True
            yield Notice(f"the server spent more than it was asked to: {over:,} tokens beyond the budget")

    # Starting pulls

    def _fill(self) -> Iterator[Event]:
        """Start pulls while there is room for them, in the batch and in the budget."""
        ledger = self.books.ledger
        while self.engine.free_slots > 0:
            if ledger.free <= self._extender.reserve and (self._pulls or self.books.forecast.samples):
                return
            again = self._catch_up.next(idle=not self._pulls)
            if again is None and not self._catch_up.over:
                return
            q = again.start.q if again else self.books.allocator.choose(self._ready)
            if q is None:
                return
            if again is None and self._is_out_of_reach(q):
                self._give_up(q)
                continue
            track = self._starter.lay_out(q)
            if track.error is not None:
                yield from self._finish(q, "error")
                continue
            draft = self._starter.draft(track, self._next_id, again, self._catch_up)
            asked = self._starter.price(track, draft)
            terms = self._starter.offer(track, asked, self._pulls.values())
            if terms is None and not self._pulls and again is None and (other := self._starter.instead(track, asked)):
                asked, terms = other, self._starter.offer(track, other, ())
            if terms is None:
                if self._pulls:
                    return
                self._refuse(q, asked.least)
                continue
            yield from self._start(q, track, terms, again)

    def _is_idle(self, q: int) -> bool:
        """A sample that revises the one before it waits for that one."""
        return not self.books.allocator.pending(q)

    def _refuse(self, q: int, needed: int) -> None:
        """Nothing is in flight and this pull is too dear: the question gets no more samples."""
        if not self.books.tracks[q].samples:
            self._cheapest = min(needed, self._cheapest or needed)
        self._refused += 1
        self._give_up(q)

    def _give_up(self, q: int) -> None:
        self.books.close(q)
        self._catch_up.give_up(q)

    def _is_out_of_reach(self, q: int) -> bool:
        """Once the budget is at its end: whether a question need not be laid out to know that it is too dear.

        There may be a hundred thousand of them, which end as they are; a cheaper one among them is still looked for.
        """
        if not self._refused or self._pulls or q in self.books.tracks:
            return False
        if self._refused >= REFUSED:
            return True
        if self.engine.info.upfront:  # of a server's prompts, only upper bounds are known
            return False
        room = self.books.ledger.free - self._extender.reserve
        return self.sampler.outgrows(self.questions[q], room, compared=not self.books.kind(q).long)

    def _start(self, q: int, track: Track, terms: Terms, again: Again | None) -> Iterator[Event]:
        draft = terms.draft
        id, number = draft.request.id, again.start.number if again else track.started
        if not self.books.ledger.reserve(id, terms.prompt, terms.answer, terms.ahead):
            raise AssertionError("a pull was affordable and then was not")
        if again is None:
            self._journal.started(Start(q, number, draft.kind, draft.seen, self._catch_up.step), self.books.time)
            self.books.begin(q, number)
            self._next_id += 1
        else:
            self._catch_up.taken()
        self.engine.submit(draft.request)
        thoughts = self.engine.reasoning.tracker(draft.request.prompt.open_thought)
        spoke = again.spoke if again else None
        self._pulls[id] = Pull(draft, q, number, thoughts, spoke=spoke is not None, paid=spoke.prompt if spoke else 0)
        question = track.question
        yield SampleStarted(q, question.id, question.text, number, draft.kind, self.books.standing(q))

    # What comes back

    def _make_affordable(self) -> None:
        """Near the end of the budget: ask samples in flight for their answers until the next step is covered.

        The longest go first: they are the likeliest to run on for ever. One that has said nothing yet
        is dropped instead.
        """
        while not self.books.ledger.affords(self.engine.plan_step()):
            open_pulls = [pull for pull in self._pulls.values() if not pull.closing]
            pull = max(open_pulls, key=lambda pull: (pull.generated, pull.draft.request.id))
            pull.out_of_budget = True
            if pull.generated and not self.books.tracks[pull.question].kind.long:
                self._extender.ask(pull, self.books.ledger)
            else:
                self._drop(pull)

    def _on(self, event: EngineEvent) -> Iterator[Event]:
        if isinstance(event, Remark):
            yield Notice(event.message)
            return
        pull = self._pulls.get(event.id)
        if pull is None:
            return
        if isinstance(event, Piece):
            yield from self._text(pull, event.text)
        elif isinstance(event, Failed):
            yield from self._failed(pull, event)
        else:
            yield from self._over_with(pull, event)

    def _text(self, pull: Pull, text: str) -> Iterator[Event]:
        pull.generated = self.engine.usage(pull.draft.request.id).generated
        if self.settings.max_thinking is not None:
            pull.text += text
        for said, thinking in pull.thoughts.feed(text):
            if self.settings.stream:
                yield SampleText(pull.question, pull.number, said, thinking)

    def _over_with(self, pull: Pull, event: Finished) -> Iterator[Event]:
        track = self.books.tracks[pull.question]
        said = self.engine.reasoning.split(event.text).said
        answer = extract(said, track.kind, choices=track.question.choices)
        cut_off = event.reason == "length" and not pull.closing
        wanting = cut_off and not track.kind.long and not (answer and answer.committed)
        if wanting and self._extender.ask(pull, self.books.ledger, event):
            return
        if pull.closing and answer and not answer.committed:
            answer = None
        del self._pulls[event.id]
        if self.settings.stream:
            for said, thinking in pull.thoughts.finish():
                yield SampleText(pull.question, pull.number, said, thinking)
        sample = self.books.weigh(pull.question, pull.sample(event, answer))
        yield from self._take(pull, sample, answer)

    def _take(self, pull: Pull, sample: Sample, answer: Answer | None) -> Iterator[Event]:
        """A sample is done: it is kept, then paid for, then it votes."""
        q = pull.question
        committed = answer is None or answer.committed
        cost = pull.cost(sample.tokens)
        self._journal.sampled(Sampled(q, sample, committed, self._catch_up.step, cost), self.books.time)
        self.books.ledger.settle(pull.draft.request.id, sample.tokens.billed)
        self.books.pay(q, sample.kind, sample.tokens)
        ballot = Ballot(sample.number, answer, sample.tokens.generated, sample.weight, sample.logprob)
        stopped = self.books.count(q, sample, ballot, cost)
        yield SampleFinished(q, sample, self.books.standing(q))
        if stopped is not None:
            yield from self._finish(q, stopped)

    def _failed(self, pull: Pull, event: Failed) -> Iterator[Event]:
        """A pull came to nothing: its question may have another, or has an error of its own."""
        q, kind, tokens = pull.question, pull.draft.kind, event.tokens
        final = event.hopeless and kind == "parallel"
        self._journal.dropped(Dropped(q, pull.number, kind, tokens, event.message, final), self.books.time)
        del self._pulls[event.id]
        self.books.ledger.settle(event.id, tokens.billed)
        self.books.pay(q, kind, tokens)
        stopped = self.books.fail(q, tokens, event.message, final=final)
        sample = Sample(pull.number, kind, "", None, None, tokens, "failed", seen=pull.draft.seen)
        yield SampleFinished(q, sample, self.books.standing(q))
        if stopped is not None:
            yield from self._finish(q, stopped)

    def _drop(self, pull: Pull) -> None:
        """Cancel a pull; what it has cost stays paid."""
        id, q, kind = pull.draft.request.id, pull.question, pull.draft.kind
        tokens = self.engine.cancel(id)
        self._journal.dropped(Dropped(q, pull.number, kind, tokens), self.books.time)
        self.books.ledger.settle(id, tokens.billed)
        self.books.pay(q, kind, tokens)
        self._pulls.pop(id)
        self.books.drop(q, tokens)

    # Ends

    def _end(self) -> Iterator[Event]:
        """Report every question that is not answered yet, as it stands."""
        for pull in list(self._pulls.values()):
            self._drop(pull)
        if self._failure is not None:
            yield Notice(f"the engine failed: {self._failure.message}")
        rest: Stopped = "error" if self._failure else "interrupted" if self._stopped else "budget"
        for q, stopped in self.books.left(rest):
            yield from self._finish(q, stopped, final=False)
        self._close("failed" if self._failure else "interrupted" if self._stopped else "finished")
        yield from self._complain()

    def _close(self, how: How) -> None:
        books, ledger = self.books, self.books.ledger
        self._over = True
        unanswered = books.unanswered + books.answered.count(0)
        self._journal.ended(Ended(how, ledger.settled, ledger.budget, books.settled, unanswered, books.time))

    def _finish(self, q: int, stopped: Stopped, *, final: bool = True) -> Iterator[Event]:
        outcome = self.books.finish(q, stopped)
        self._journal.answered(outcome, final=final)
        yield Answered(outcome)


def _by_request(event: EngineEvent) -> int:
    return -1 if isinstance(event, Remark) else event.id
