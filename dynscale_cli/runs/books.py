"""What a run knows: how its questions stand, what was spent, what chains have earned.

Owns all of a run that outlives its engine. The loop moves it as samples come in, a journal moves it again when the run
is resumed, and both by the same calls: so a resumed run stands where it stopped. Knows nothing of engines, pulls or
files, and is told the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dynscale_cli.allocation.allocator import Allocator
from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.answers.equivalence import Equivalence
from dynscale_cli.answers.prover import Prover
from dynscale_cli.answers.types import AnswerType
from dynscale_cli.answers.vote import Ballot, tally
from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.questions import Question
from dynscale_cli.sampling.share import ChainShare

from .events import KindReport, Result, RunFinished, Sample, Standing, Stopped
from .pulls import Forecast
from .results import result, standing
from .settings import Settings
from .track import Track
from .tracks import Tracks

FAILURES = 3  # pulls of a question that may come to nothing in a row before it is given up
FREE = 256  # samples of a question beyond the tokens that were billed for it: no budget ends what costs nothing


class Books:
    """The state of one run over `questions`. `time`: seconds since it began, over all its parts."""

    def __init__(self, questions: Sequence[Question], settings: Settings, share: ChainShare, model: str) -> None:
        self.questions, self.settings, self.share, self.model = questions, settings, share, model
        self.ledger = Ledger(settings.budget)
        self.allocator = Allocator(
            len(questions),
            settings.policy,
            confidence=settings.confidence,
            exhaust=settings.exhaust,
        )
        self.equivalence = Equivalence(Prover())
        self.forecast = Forecast(settings.max_tokens)
        self.tokens = Tokens()
        self.lost = 0  # spent on samples of which nothing is left
        self.time = 0.0
        self.tracks = Tracks(questions)
        self.answered = bytearray(len(questions))
        self.settled = self.unanswered = 0
        self._kind = AnswerType.parse(settings.answer_type)
        self._kinds: dict[str, KindReport] = {}

    def kind(self, q: int) -> AnswerType:
        question = self.questions[q]
        return self._kind.for_question(question.text, question.choices)

    def track(self, q: int) -> Track:
        """The question's own record, from its first pull to its answer."""
        if q not in self.tracks:
            self.tracks[q] = Track(self.questions[q], self.kind(q), None, self.time)
        return self.tracks[q]

    def begin(self, q: int, number: int) -> None:
        """A pull of `q` is in flight."""
        track = self.track(q)
        track.started = max(track.started, number + 1)
        track.pending += 1
        self.allocator.start(q)
        if track.started - track.failed == self.settings.max_samples:
            self.allocator.close(q)

    def pay(self, q: int, kind: str, tokens: Tokens) -> None:
        """What a pull has cost, whether or not it became a sample."""
        self.track(q).pay(kind, tokens)
        self.tokens += tokens

    def drop(self, q: int, tokens: Tokens) -> None:
        """A pull of `q`, paid for, is no longer in flight and left no sample."""
        self.track(q).pending -= 1
        self.allocator.drop(q, tokens.billed)

    def fail(self, q: int, tokens: Tokens, message: str, *, final: bool) -> Stopped | None:
        """A pull of `q`, paid for, came to nothing; `final`: so would others. Returns why `q` is done, if it is."""
        track = self.track(q)
        track.failed += 1
        track.failures += 1
        if final or track.failures >= FAILURES:
            track.error = message
        if track.error is None:
            self.allocator.reopen(q)
        else:
            self.allocator.close(q)
        self.drop(q, tokens)
        return "error" if track.error is not None and not track.pending else None

    def weigh(self, q: int, sample: Sample) -> Sample:
        """A chain that repeats the leader it has read is weak evidence, and votes with less weight."""
        if sample.kind == "parallel" or sample.key is None or self.settings.mode == "sequential":
            return sample
        read = [earlier.key for earlier in self.track(q).samples if earlier.number in sample.seen]
        if read.count(sample.key) < max(map(read.count, read)):
            return sample
        return replace(sample, weight=self.share.repeat_weight)

    def count(self, q: int, sample: Sample, ballot: Ballot, cost: int) -> Stopped | None:
        """A sample of `q` is in: it votes. Returns why the question is done, if it is."""
        track = self.track(q)
        track.pending -= 1
        self.forecast.finished(sample.tokens.generated)
        track.add(sample, ballot, whole=self.settings.mode == "sequential")
        self.share.paid(sample.kind, cost)
        self.share.observe(q, track.samples)
        track.tally = tally(track.ballots, track.kind, self.settings.vote, self.equivalence)
        self.allocator.record(q, track.votes, len(track.samples), cost)
        if len(track.samples) >= FREE + track.tokens.billed:
            track.free = True
            self.allocator.close(q)
        if self.allocator.is_settled(q) and not self.settings.exhaust:
            return "settled"
        if len(track.samples) == self.settings.max_samples or (track.free and not track.pending):
            return "limit"
        return "error" if track.error is not None and not track.pending else None

    def close(self, q: int) -> None:
        """`q` gets no more pulls. One that never had any leaves no trace until it is reported."""
        self.allocator.close(q)
        if q in self.tracks and not self.tracks[q].started:
            self.tracks.pop(q)

    def finish(self, q: int, stopped: Stopped, known: Result | None = None) -> Result:
        """Close `q`. `known` is its result where that was told before."""
        asked = q in self.tracks
        track = self.tracks.pop(q) if asked else Track(self.questions[q], AnswerType.parse("auto"), None, self.time)
        self.allocator.close(q)
        self.share.forget(q, track.samples)
        self.answered[q] = True
        for kind, report in track.report().items():
            total = self._kinds.get(kind, KindReport())
            self._kinds[kind] = KindReport(total.samples + report.samples, total.tokens + report.tokens)
        outcome = known or self._result(q, track, stopped)
        self.allocator.forget(q)
        self.settled += outcome.stopped == "settled"
        self.unanswered += outcome.answer is None
        return outcome

    def left(self, rest: Stopped) -> Iterator[tuple[int, Stopped]]:
        """The questions that are not answered yet, and how each stands when the run ends for the reason `rest`."""
        for q in range(len(self.questions)):
            if not self.answered[q]:
                yield q, self._ending(q) if rest == "budget" else rest

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
        )

    def standing(self, q: int) -> Standing:
        track = self.tracks[q]
        return standing(track, track.pending, self.allocator.confidence(q), self.allocator.is_settled(q))

    @property
    def kinds(self) -> dict[str, KindReport]:
        """What each kind of sample has cost and earned, over the questions that are done."""
        return self._with_agreement(self._kinds)

    def _result(self, q: int, track: Track, stopped: Stopped) -> Result:
        return result(
            track,
            stopped,
            confidence=self.allocator.confidence(q),
            settings=self.settings,
            model=self.model,
            seconds=self.time - track.started_at,
            equivalence=self.equivalence,
            kinds=self._with_agreement(track.report()),
        )

    def _ending(self, q: int) -> Stopped:
        if self._is_sure(q):
            return "settled"
        return "error" if q in self.tracks and self.tracks[q].error is not None else "budget"

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
