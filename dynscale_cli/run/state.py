"""What a run knows: how its questions stand, what was spent, what chains have earned.

Owns all of a run that outlives its engine: `RunState`, and a `QuestionState` for each question that is under way; and
what is known of a sample in flight. The loop moves the state as samples come in, a stored run moves it again when it is
resumed, and both by the same calls. Knows nothing of engines or files, and is told the time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dynscale_cli.allocation.allocator import Allocator
from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.answers.equivalence import Equivalence, same_as_gold
from dynscale_cli.answers.extract import Answer
from dynscale_cli.answers.prover import Prover
from dynscale_cli.answers.types import AnswerType
from dynscale_cli.answers.vote import Tally, tally
from dynscale_cli.engine.protocol import EngineInfo, Finished, Tokens
from dynscale_cli.engine.reasoning import ThoughtTracker
from dynscale_cli.questions import Question
from dynscale_cli.sampling.sampler import Asked, Draft
from dynscale_cli.sampling.samples import CAPABLE_SHARE, ChainShare, Finish, Sample, StoredSample, keep

from .database import StateStore
from .events import Dropped, KindReport, Result, RunFinished, Standing, Stopped
from .request import Settings

FAILURES = 3  # pulls of a question that may come to nothing in a row before it is given up
LONG_SAMPLES = 3  # of an open question: voting buys little there
CUT_WEIGHT = 0.5  # of the vote of a sample that was cut off
REMEDIES: dict[Finish, str] = {
    "length": "--max-tokens", "context": "--ctx-size", "budget": "--budget", "time": "--time-limit",
}  # fmt: skip
FREE = 256  # samples of a question beyond the tokens that were billed for it: no budget ends what costs nothing


@dataclass(slots=True)
class InFlight:
    """One sample in flight."""

    draft: Draft
    question: int
    number: int
    thoughts: ThoughtTracker
    generated: int = 0
    text: str = ""
    closing: bool = False  # it was asked for its answer
    ended: Finish | None = None  # how it ended, where it was taken further or cut off
    in_thought: bool = False  # it was cut off there
    thought_closed: bool = False

    @property
    def id(self) -> int:
        return self.draft.request.id

    def cut_off(self, how: Finish) -> None:
        """It is not to end by itself."""
        self.ended, self.in_thought = how, self.thoughts.thinking

    def sample(self, event: Finished, answer: Answer | None) -> Sample:
        """What has become of it."""
        finish = self.ended or event.reason
        return Sample(
            number=self.number,
            kind=self.draft.kind,
            text=event.text,
            answer=answer.text if answer else None,
            key=answer.key if answer else None,
            tokens=event.tokens,
            finish=finish,
            forced=self.closing and finish != "stop",
            asked=self.closing,
            in_thought=self.in_thought,
            logprob=event.logprob,
            seen=self.draft.seen,
        )


@dataclass(slots=True)
class QuestionState:
    """A question that has been pulled at least once and is not answered yet: its samples, its votes, what it cost."""

    question: Question
    kind: AnswerType
    asked: Asked | None
    started_at: float
    started: int = 0  # pulls, which also number the samples
    unfinished: set[int] = field(default_factory=set)  # samples to be drawn again
    pending: int = 0  # pulls in flight
    samples: list[StoredSample] = field(default_factory=list)
    generated: int = 0  # tokens of these
    tally: Tally | None = None
    tokens: Tokens = field(default_factory=Tokens)
    forced: int = 0
    cut: dict[Finish, int] = field(default_factory=dict)  # samples that did not end by themselves, by what cut them
    in_thought: int = 0  # of these, while they were thinking
    failures: int = 0  # pulls in a row that came to nothing
    error: str | None = None
    free: bool = False  # samples of it cost nothing, and there were enough of them
    kinds: dict[str, KindReport] = field(default_factory=dict)

    @property
    def next_number(self) -> int:
        """Of the next sample: one that was begun and left nothing is drawn again from its seed."""
        return min(self.unfinished, default=self.started)

    def expect(self, number: int) -> None:
        """A sample of this number is to be drawn again."""
        self.unfinished.add(number)
        self.started = max(self.started, number + 1)

    def begin(self, number: int) -> None:
        """A pull of this number is in flight."""
        self.unfinished.discard(number)
        self.started = max(self.started, number + 1)
        self.pending += 1

    def add(self, sample: Sample, *, whole: bool = False) -> None:
        self.samples.append(keep(sample, self.samples, whole=whole))
        self.generated += sample.tokens.generated
        self.failures = 0
        self.forced += sample.forced
        self.in_thought += sample.in_thought
        if sample.cut:
            self.cut[sample.finish] = self.cut.get(sample.finish, 0) + 1
        _add(self.kinds, sample.kind, 1, 0)

    def pay(self, kind: str, tokens: Tokens) -> None:
        """Count what a pull cost, whether or not it became a sample."""
        self.tokens += tokens
        _add(self.kinds, kind, 0, tokens.billed)

    @property
    def is_firm(self) -> bool:
        """Whether its votes are for the most part of samples that ended by themselves, and the leader has one such."""
        if self.tally is None or not self.tally.votes:
            return False
        voted = [sample for sample in self.samples if sample.key is not None]
        whole = [sample for sample in voted if not sample.cut]
        leader = self.tally.votes[0][0]
        return 2 * len(whole) >= len(voted) and any(self.tally.key_of.get(s.number) == leader for s in whole)

    @property
    def note(self) -> str | None:
        """What would help, where most of its samples were cut off."""
        cut, thinking = sum(self.cut.values()), 2 * self.in_thought > sum(self.cut.values())
        if 2 * cut <= len(self.samples):
            return None
        remedy = REMEDIES[max(self.cut, key=lambda how: self.cut[how])]
        where, off = (" while thinking", " or use --think off") if thinking else ("", "")
        were = "sample was" if len(self.samples) == 1 else "samples were"
        return f"{cut} of {len(self.samples)} {were} cut off{where}: raise {remedy}{off}"

    @property
    def votes(self) -> dict[str, float]:
        """Answer key -> weight, most votes first."""
        return self.tally.weights if self.tally else {}

    @property
    def shown(self) -> tuple[tuple[str, float], ...]:
        """(answer as shown, weight), most votes first."""
        return tuple((text, weight) for _, text, weight in self.tally.votes) if self.tally else ()

    @property
    def counts(self) -> tuple[int, ...]:
        """How many samples gave each of the answers shown."""
        given = Counter(self.tally.key_of.values()) if self.tally else Counter()
        return tuple(given[key] for key in self.votes)

    @property
    def combined(self) -> str | None:
        """The response of a sample that has read the others, to an open question."""
        chains = [sample for sample in self.samples if sample.kind == "chain" and sample.key is not None]
        return chains[-1].said if chains and self.kind.long else None


class RunState:
    """The state of one run over `questions`. `time`: seconds since it began, over all its parts."""

    def __init__(
        self, questions: Sequence[Question], settings: Settings, share: ChainShare, engine: EngineInfo
    ) -> None:
        self.questions, self.settings, self.share, self.model = questions, settings, share, engine.model
        self.ledger = Ledger(settings.budget)
        self.allocator = Allocator(
            len(questions),
            settings.policy,
            confidence=settings.confidence,
            exhaust=settings.exhaust,
            most=1 if settings.draws_copies else settings.max_samples,
        )
        self.equivalence = Equivalence(Prover())
        self.finished = self.generated = 0  # samples that came back, and their tokens
        self.tokens = Tokens()
        self.lost = 0  # spent on samples of which nothing is left
        self.time = 0.0
        self.open: StateStore[QuestionState] = StateStore(questions)
        self.answered = bytearray(len(questions))
        self.settled = self.unanswered = 0
        self.stopped = 0  # samples that were stopped so that older ones could end
        self._remedies: Counter[str] = Counter()  # what would help questions whose samples were cut off
        self._note = ""  # the newest in full
        self.combines = settings.mode == "hybrid" and share.prior >= CAPABLE_SHARE  # attempts at an open question
        self._few_of_long_ones = settings.max_samples is None and not settings.exhaust
        self._kind = AnswerType.parse(settings.answer_type)
        self._kinds: dict[str, KindReport] = {}

    def kind(self, q: int) -> AnswerType:
        question = self.questions[q]
        return self._kind.for_question(question.text, question.choices)

    def question(self, q: int) -> QuestionState:
        """The question's own state, from its first pull to its answer."""
        if q not in self.open:
            kind = self.kind(q)
            self.open[q] = QuestionState(self.questions[q], kind, None, self.time)
            if kind.long and self._few_of_long_ones:
                self.allocator.limit(q, LONG_SAMPLES + self.combines)
        return self.open[q]

    def is_ready(self, q: int) -> bool:
        """Whether a question may have a sample now: one that reads those before it waits for them."""
        if self.settings.mode == "sequential":
            return not self.allocator.pending(q)
        return q not in self.open or not self.open[q].kind.long or not self.is_combined(self.open[q], waiting=True)

    def is_combined(self, question: QuestionState, *, waiting: bool = False) -> bool:
        """Whether the next sample of an open question reads the others and writes the response."""
        due = self.combines and self._few_of_long_ones and question.kind.long and question.next_number >= LONG_SAMPLES
        return due and (not waiting or question.pending > 0)

    def begin(self, q: int, number: int) -> None:
        """A pull of `q` is in flight."""
        self.question(q).begin(number)
        self.allocator.start(q)

    def pay(self, q: int, kind: str, tokens: Tokens) -> None:
        """What a pull has cost, whether or not it became a sample."""
        self.question(q).pay(kind, tokens)
        self.tokens += tokens

    def drop(self, dropped: Dropped) -> Stopped | None:
        """A pull came to nothing, or was stopped; what it has cost stays paid. Returns why `q` is done, if it is.

        A sample that was stopped is drawn again where the question gets another.
        """
        q, state = dropped.q, self.question(dropped.q)
        self.pay(q, dropped.kind, dropped.tokens)
        state.pending -= 1
        if dropped.failed is None:
            state.expect(dropped.number)
        else:
            state.failures += 1
            if dropped.final or state.failures >= FAILURES:
                state.error = dropped.failed
                self.allocator.close(q)
        self.allocator.drop(q, dropped.tokens.billed)
        return "error" if state.error is not None and not state.pending else None

    def weigh(self, q: int, sample: Sample) -> Sample:
        """One that was cut off votes with less weight; so does a chain that repeats the leader that it has read."""
        if sample.cut:
            sample = replace(sample, weight=CUT_WEIGHT)
        if sample.kind == "parallel" or sample.key is None or self.settings.mode == "sequential":
            return sample
        read = [earlier.key for earlier in self.question(q).samples if earlier.number in sample.seen]
        if read.count(sample.key) < max(map(read.count, read)):
            return sample
        return replace(sample, weight=min(sample.weight, self.share.repeat_weight))

    def count(self, q: int, sample: Sample) -> Stopped | None:
        """A sample of `q` is in: it is paid for, and votes. Returns why the question is done, if it is."""
        state = self.question(q)
        self.pay(q, sample.kind, sample.tokens)
        state.pending -= 1
        self.finished += 1
        self.generated += sample.tokens.generated
        state.add(sample, whole=self.settings.mode == "sequential" or state.kind.long)
        self.share.paid(sample.kind, sample.tokens.billed)
        self.share.observe(q, state.samples)
        state.tally = tally([each.ballot for each in state.samples], state.kind, self.settings.vote, self.equivalence)
        self.allocator.record(q, state.votes, len(state.samples), sample.tokens.billed, firm=state.is_firm)
        if len(state.samples) >= FREE + state.tokens.billed:
            state.free = True
            self.allocator.close(q)
        if self.allocator.is_sure(q):
            return "settled"
        if self.allocator.is_hollow(q):
            return "cut off"
        if self.allocator.is_full(q) or (state.free and not state.pending):
            return "limit"
        return "error" if state.error is not None and not state.pending else None

    def close(self, q: int) -> None:
        """`q` gets no more pulls. One that never had any leaves no trace until it is reported."""
        self.allocator.close(q)
        if q in self.open and not self.open[q].started:
            self.open.pop(q)

    def finish(self, q: int, stopped: Stopped, known: Result | None = None) -> Result:
        """Close `q`. `known` is its result where that was told before."""
        asked = q in self.open
        state = self.open.pop(q) if asked else QuestionState(self.questions[q], self.kind(q), None, self.time)
        self.allocator.close(q)
        self.share.forget(q, state.samples)
        self.answered[q] = True
        for kind, report in state.kinds.items():
            _add(self._kinds, kind, report.samples, report.tokens)
        outcome = known or self._result(q, state, stopped)
        if outcome.note is not None:
            self._remedies[outcome.note.rpartition(": ")[2]] += 1
            self._note = outcome.note
        self.allocator.forget(q)
        self.settled += outcome.stopped == "settled"
        self.unanswered += outcome.answer is None
        return outcome

    def left(self, rest: Stopped) -> Iterator[tuple[int, Stopped]]:
        """The questions that are not answered yet, and how each stands when the run ends for the reason `rest`."""
        for q in range(len(self.questions)):
            if not self.answered[q]:
                yield q, self._ending(q, rest) if rest in ("budget", "time") else rest

    def cut_notes(self) -> Iterator[str]:
        """What is to be said of samples that were cut off or stopped: once for the run, however many they are."""
        many = sum(self._remedies.values())
        if many and len(self.questions) == 1:
            yield self._note
        elif many:
            remedy = self._remedies.most_common(1)[0][0]
            yield f"most samples of {many:,} of {len(self.questions):,} questions were cut off: {remedy}"
        if self.stopped:
            samples = "1 sample was" if self.stopped == 1 else f"{self.stopped:,} samples were"
            yield f"{samples} stopped so that older ones could finish within the budget"

    def account(self, *, interrupted: bool) -> RunFinished:
        """What the run has come to, once every question is reported."""
        return RunFinished(
            questions=len(self.questions),
            settled=self.settled,
            unanswered=self.unanswered,
            tokens=self.tokens,
            budget=self.settings.budget,
            seconds=self.time,
            interrupted=interrupted,
            kinds=self.kinds,
            lost=self.lost,
            stopped=self.stopped,
            chain_share=self.share.share,
            chain_share_prior=self.share.prior,
        )

    def standing(self, q: int) -> Standing:
        state = self.open[q]
        settled = self.allocator.is_settled(q)
        return Standing(
            len(state.samples), state.pending, state.shown, self.allocator.confidence(q), settled, state.counts
        )

    @property
    def kinds(self) -> dict[str, KindReport]:
        """What each kind of sample has cost and earned, over the questions that are done."""
        return self._with_agreement(self._kinds)

    def _result(self, q: int, state: QuestionState, stopped: Stopped) -> Result:
        """A question's outcome. A leader less sure than `settings.abstain_below` is no answer."""
        question, leader = state.question, state.tally.leader if state.tally else None
        confidence = self.allocator.confidence(q)
        answer = leader.text if leader and confidence >= self.settings.abstain_below else None
        if answer is not None and state.combined is not None:
            answer = state.combined
        if state.samples and leader is None and stopped in ("budget", "limit", "time", "cut off"):
            stopped = "no answer"
        return Result(
            id=question.id,
            index=question.index,
            question=question.text,
            answer=answer,
            confidence=round(confidence, 6) if sum(state.votes.values()) >= 2 else None,
            votes={text: round(weight, 6) for text, weight in state.shown},
            samples=len(state.samples),
            tokens=state.tokens,
            stopped=stopped,
            forced=state.forced,
            cut=sum(state.cut.values()),
            note=state.note,
            seed=self.settings.seed,
            model=self.model,
            seconds=round(self.time - state.started_at, 3),
            error=state.error,
            kinds=self._with_agreement(state.kinds),
            gold=question.gold,
            correct=self._correct(state, answer),
            prompts=self.settings.prompts.version,
            counts={text: count for (text, _), count in zip(state.shown, state.counts, strict=True)},
        )

    def _correct(self, state: QuestionState, answer: str | None) -> bool | None:
        gold, choices = state.question.gold, state.question.choices
        if gold is None:
            return None
        return answer is not None and same_as_gold(answer, gold, state.kind, choices, self.equivalence)

    def _ending(self, q: int, rest: Stopped) -> Stopped:
        if self._is_sure(q):
            return "settled"
        return "error" if q in self.open and self.open[q].error is not None else rest

    def _is_sure(self, q: int) -> bool:
        sure = self.settings.exhaust and self.allocator.confidence(q) >= self.settings.confidence
        return sure or self.allocator.is_settled(q)

    def _with_agreement(self, kinds: Mapping[str, KindReport]) -> dict[str, KindReport]:
        """What each kind of sample cost, with what it has earned over the run so far."""
        earned = self.share.agreement
        return {
            kind: replace(report, agreement=None if (value := earned[kind].value) is None else round(value, 4))
            for kind, report in sorted(kinds.items())
        }


def _add(kinds: dict[str, KindReport], kind: str, samples: int, tokens: int) -> None:
    known = kinds.get(kind, KindReport())
    kinds[kind] = KindReport(known.samples + samples, known.tokens + tokens)
