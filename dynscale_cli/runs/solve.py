"""The loop: choose a question, reserve its tokens, sample it, read the answer, vote, until settled or spent.

Owns the order of things and nothing else: the allocator says where the next pull goes, the ledger
whether it may, the sampler what it is, the engine what comes back, `answers` what it says. Yields
typed events; prints nothing and reads no clock but the one it is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from dynscale_cli.allocation.allocator import Allocator
from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.answers.compare import Equivalence
from dynscale_cli.answers.extract import extract
from dynscale_cli.answers.kinds import AnswerType
from dynscale_cli.answers.prover import Prover
from dynscale_cli.answers.thoughts import ThoughtTracker
from dynscale_cli.answers.vote import Ballot, tally
from dynscale_cli.engine.protocol import Aborted, Engine, EngineEvent, Finished, Piece, Tokens
from dynscale_cli.errors import BudgetError, DynscaleError, EngineError
from dynscale_cli.questions import Question
from dynscale_cli.sampling.sampler import Draft, Sampler

from .events import (
    Answered,
    Event,
    KindReport,
    Notice,
    RunFinished,
    RunStarted,
    Sample,
    SampleFinished,
    SampleStarted,
    SampleText,
    Standing,
    Stepped,
    Stopped,
)
from .pulls import Forecast, Pull
from .results import result, standing
from .settings import Settings
from .track import Track

ANSWER_TOKENS = 24  # what a sample that was cut off gets to say its answer
CLOSE_THOUGHT = "\n</think>\n"


class Run:
    """One run over `questions`. Iterate over `events()` once; `interrupted` is asked at every step.

    Raises EngineError after the last event when the engine failed: everything answered until then
    has been reported.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        engine: Engine,
        settings: Settings,
        *,
        interrupted: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.questions, self.engine, self.settings = questions, engine, settings
        self.ledger = Ledger(settings.budget)
        self.allocator = Allocator(
            len(questions),
            settings.policy,
            confidence=settings.confidence,
            exhaust=settings.exhaust,
            seed=settings.seed,
        )
        self._closing_text = settings.prompts.answer
        # The newest token, a thought closed twice (by its limit, then for the answer), the question, the answer.
        asking = 2 * engine.count(CLOSE_THOUGHT) + engine.count(self._closing_text)
        self._reserve = 1 + asking + ANSWER_TOKENS
        self.sampler = Sampler(
            engine,
            settings.prompts,
            sampling=settings.sampling,
            max_tokens=settings.max_tokens,
            spare=self._reserve,
            seed=settings.seed,
            mode=settings.mode,
            layout=settings.layout,
            logprobs=settings.vote == "confidence",
        )
        self.tokens = Tokens()
        self._clock, self._interrupted = clock, interrupted
        self.equivalence = Equivalence(Prover())
        self._kind = AnswerType.parse(settings.answer_type)
        self._tracks: dict[int, Track] = {}
        self._pulls: dict[int, Pull] = {}
        self._answered = bytearray(len(questions))
        self._next_id = 0
        self._forecast = Forecast(settings.max_tokens)
        self._kinds: dict[str, KindReport] = {}
        self._settled = self._unanswered = 0
        self._cheapest: int | None = None  # what one sample would cost, of those refused
        self._failure: DynscaleError | None = None
        self._stopped = False

    def events(self) -> Iterator[Event]:
        info, begun = self.engine.info, self._clock()
        yield RunStarted(len(self.questions), self.settings.budget, info.width, info.context, info.model)
        try:
            yield from self._loop()
        except Aborted:
            self._stopped = True
        except EngineError as error:
            self._failure = error
        yield from self._end()
        yield RunFinished(
            questions=len(self.questions),
            settled=self._settled,
            unanswered=self._unanswered,
            tokens=self.tokens,
            budget=self.settings.budget,
            seconds=self._clock() - begun,
            interrupted=self._stopped,
            kinds=self._with_agreement(self._kinds),
        )
        if self._failure is not None:
            raise self._failure
        if self._cheapest is not None and not self._forecast.samples and not self._stopped:
            raise BudgetError(
                f"a budget of {self.settings.budget} tokens does not pay for one sample, which needs {self._cheapest}",
                f"dynscale ask --budget {max(2048, 2 * self._cheapest)} ...",
            )

    def _loop(self) -> Iterator[Event]:
        while not self._stopped:
            yield from self._fill()
            if not self._pulls:
                return
            self._make_affordable()
            self.ledger.charge(self.engine.upcoming())
            happened = self.engine.step()
            for event in happened:
                yield from self._on(event)
            yield Stepped(
                self.ledger.spent,
                self.ledger.reserved,
                self._forecast.generated,
                len(self._pulls),
                self.allocator.settled,
                self.sampler.share.share if self.settings.mode == "hybrid" else float(self.settings.mode == "chain"),
            )
            self._stopped = self._interrupted()

    # Starting pulls

    def _fill(self) -> Iterator[Event]:
        """Start pulls while there is room for them, in the batch and in the budget."""
        while self.engine.room > 0:
            if self.ledger.free <= self._reserve and (self._pulls or self._forecast.samples):
                return
            q = self.allocator.choose()
            if q is None:
                return
            track = self._track(q)
            if track.error is not None:
                yield from self._finish(q, "error")
                continue
            draft = self._draft(track)
            prompt = self.engine.quote(draft.request)
            if not self._expected(track, prompt):
                if self._pulls:
                    return
                self._refuse(q, prompt)
                continue
            yield from self._start(q, track, draft, prompt)

    def _draft(self, track: Track) -> Draft:
        assert track.asked is not None
        votes = list(track.votes)
        return self.sampler.draft(track.asked, track.started, self._next_id, track.samples, votes)

    def _expected(self, track: Track, prompt: int) -> bool:
        """Whether a pull fits: what is certain of it, and what everything in flight is expected to need.

        A question's first sample is worth having even when it may be cut short, if nothing else runs.
        """
        needed = prompt + self._reserve
        if needed > self.ledger.free or needed == self.ledger.free:
            return False
        if not self._pulls and not track.samples:
            return True
        ahead = sum(self._forecast.remaining(pull, self._tracks[pull.question]) for pull in self._pulls.values())
        return needed + ahead + self._forecast.length(track) <= self.ledger.free

    def _refuse(self, q: int, prompt: int) -> None:
        """Nothing is in flight and this pull is too dear: the question gets no more samples."""
        needed = prompt + self._reserve + 1
        if not self._tracks[q].samples:
            self._cheapest = min(needed, self._cheapest or needed)
        self.allocator.close(q)

    def _start(self, q: int, track: Track, draft: Draft, prompt: int) -> Iterator[Event]:
        id, number = draft.request.id, track.started
        if not self.ledger.reserve(id, prompt, self._reserve):
            raise AssertionError("a pull was affordable and then was not")
        self.engine.submit(draft.request)
        self._pulls[id] = Pull(draft, q, number, ThoughtTracker(draft.request.prompt.open_thought))
        self._next_id += 1
        track.started += 1
        self.allocator.start(q)
        if track.started == self.settings.max_samples:
            self.allocator.close(q)
        question = track.question
        yield SampleStarted(q, question.id, question.text, number, draft.kind, self._standing(q))

    def _track(self, q: int) -> Track:
        track = self._tracks.get(q)
        if track is None:
            question = self.questions[q]
            kind = self._kind.for_question(question.text, question.choices)
            track = self._tracks[q] = Track(question, kind, None, self._clock())
            try:
                track.asked = self.sampler.ask(question, compared=not kind.long)
            except DynscaleError as error:
                track.error = error.message
                return track
            if not self.sampler.fits(track.asked):
                track.error = (
                    f"the prompt of {len(track.asked.prompt)} tokens does not fit a context of "
                    f"{self.engine.info.context} tokens"
                )
        return track

    # What comes back

    def _make_affordable(self) -> None:
        """Near the end of the budget: ask samples in flight for their answers until the next step is covered.

        The longest go first: they are the likeliest to run on for ever. One that has said nothing yet
        is dropped instead.
        """
        while not self.ledger.affords(self.engine.upcoming()):
            open_pulls = [pull for pull in self._pulls.values() if not pull.closing]
            pull = max(open_pulls, key=lambda pull: (pull.generated, pull.draft.request.id))
            pull.out_of_budget = True
            if pull.generated and not self._tracks[pull.question].kind.long:
                self._ask_for_answer(pull)
            else:
                self._drop(pull)

    def _ask_for_answer(self, pull: Pull) -> None:
        """Close the thought if one is open, and have the sample say its answer out of its reserve."""
        id = pull.draft.request.id
        text = (CLOSE_THOUGHT if pull.thoughts.thinking else "") + self._closing_text
        pull.closing = True
        self.ledger.close(id)
        self.engine.extend(id, text, ANSWER_TOKENS, stop=("\n",))

    def _on(self, event: EngineEvent) -> Iterator[Event]:
        pull = self._pulls.get(event.id)
        if pull is None:
            return
        if isinstance(event, Piece):
            yield from self._text(pull, event.text)
        else:
            yield from self._over(pull, event)

    def _text(self, pull: Pull, text: str) -> Iterator[Event]:
        pull.generated = self.engine.usage(pull.draft.request.id).generated
        for said, thinking in pull.thoughts.feed(text):
            if self.settings.stream:
                yield SampleText(pull.question, pull.number, said, thinking)
        limit = self.settings.max_thinking
        if limit is not None and pull.thoughts.thinking and pull.generated >= limit and not pull.thought_closed:
            pull.thought_closed = True
            left = pull.draft.request.max_tokens - pull.generated
            if left > 0 and not pull.closing:
                self.engine.extend(pull.draft.request.id, CLOSE_THOUGHT, left)

    def _over(self, pull: Pull, event: Finished) -> Iterator[Event]:
        track = self._tracks[pull.question]
        answer = extract(event.text, track.kind, choices=track.question.choices)
        cut_off = event.reason == "length" and not pull.closing
        if cut_off and not track.kind.long and not (answer and answer.committed):
            self._ask_for_answer(pull)
            return
        if pull.closing and answer and not answer.committed:
            answer = None
        del self._pulls[event.id]
        if self.settings.stream:
            for said, thinking in pull.thoughts.finish():
                yield SampleText(pull.question, pull.number, said, thinking)
        tokens = self._settle(pull, event.tokens)
        sample = Sample(
            number=pull.number,
            kind=pull.draft.kind,
            text=event.text,
            answer=answer.text if answer else None,
            key=answer.key if answer else None,
            tokens=tokens,
            finish="budget" if pull.out_of_budget else event.reason,
            forced=pull.closing,
            logprob=event.logprob,
            seen=pull.draft.seen,
        )
        sample = self._weigh(track, sample)
        ballot = Ballot(sample.number, answer, tokens.generated, sample.weight, sample.logprob)
        yield from self._count(pull.question, track, sample, ballot)

    def _weigh(self, track: Track, sample: Sample) -> Sample:
        """A chain that repeats the leader it has read is weak evidence, and votes with less weight."""
        if sample.kind == "parallel" or sample.key is None:
            return sample
        read = [earlier.key for earlier in track.samples if earlier.number in sample.seen]
        if read.count(sample.key) < max(map(read.count, read)):
            return sample
        return replace(sample, weight=self.sampler.share.repeat_weight)

    def _count(self, q: int, track: Track, sample: Sample, ballot: Ballot) -> Iterator[Event]:
        self._forecast.finished(sample.tokens.generated)
        track.add(sample, ballot)
        self.sampler.share.paid(sample.kind, sample.tokens.billed)
        self.sampler.share.observe(q, track.samples)
        track.tally = tally(track.ballots, track.kind, self.settings.vote, self.equivalence)
        self.allocator.record(q, track.votes, len(track.samples), sample.tokens.billed)
        yield SampleFinished(q, sample, self._standing(q))
        if self.allocator.is_settled(q) and not self.settings.exhaust:
            yield from self._finish(q, "settled")
        elif len(track.samples) == self.settings.max_samples:
            yield from self._finish(q, "limit")

    def _settle(self, pull: Pull, tokens: Tokens) -> Tokens:
        """Close a pull's account and add it to its question's and the run's."""
        self.ledger.release(pull.draft.request.id)
        self._tracks[pull.question].pay(pull.draft.kind, tokens)
        self.tokens += tokens
        return tokens

    def _drop(self, pull: Pull) -> None:
        """Cancel a pull; what it has cost stays paid."""
        id = pull.draft.request.id
        tokens = self._settle(pull, self.engine.usage(id))
        self.engine.cancel(id)
        self._pulls.pop(id)
        self.allocator.drop(pull.question, tokens.billed)

    # Ends

    def _end(self) -> Iterator[Event]:
        """Report every question that is not answered yet, as it stands."""
        for pull in list(self._pulls.values()):
            self._drop(pull)
        if self._failure is not None:
            yield Notice(f"the engine failed: {self._failure.message}")
        rest: Stopped = "error" if self._failure else "interrupted" if self._stopped else "budget"
        for q in range(len(self.questions)):
            if not self._answered[q]:
                settled = self.allocator.is_settled(q) or self._sure(q)
                yield from self._finish(q, "settled" if settled and rest == "budget" else rest)

    def _sure(self, q: int) -> bool:
        return self.settings.exhaust and self.allocator.confidence(q) >= self.settings.confidence

    def _finish(self, q: int, stopped: Stopped) -> Iterator[Event]:
        track = self._tracks.pop(q, None) or Track(self.questions[q], AnswerType.parse("auto"), None, self._clock())
        self.allocator.close(q)
        self.sampler.share.forget(q, track.samples)
        self._answered[q] = True
        for kind, report in track.report().items():
            total = self._kinds.get(kind, KindReport())
            self._kinds[kind] = KindReport(total.samples + report.samples, total.tokens + report.tokens)
        outcome = result(
            track,
            stopped,
            confidence=self.allocator.confidence(q),
            settings=self.settings,
            model=self.engine.info.model,
            seconds=self._clock() - track.started_at,
            equivalence=self.equivalence,
            kinds=self._with_agreement(track.report()),
        )
        self._settled += stopped == "settled"
        self._unanswered += outcome.answer is None
        yield Answered(outcome)

    def _standing(self, q: int) -> Standing:
        pending = sum(pull.question == q for pull in self._pulls.values())
        return standing(self._tracks[q], pending, self.allocator.confidence(q), self.allocator.is_settled(q))

    def _with_agreement(self, kinds: Mapping[str, KindReport]) -> dict[str, KindReport]:
        """What each kind of sample cost, with what it has earned over the run so far."""
        earned = self.sampler.share.agreement
        return {
            kind: replace(report, agreement=None if (value := earned[kind].value) is None else round(value, 4))
            for kind, report in sorted(kinds.items())
        }
