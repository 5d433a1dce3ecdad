"""Which question gets the next pull: the arms of a run under one policy.

The live run, the bench and the replay drive this same class. Owns the arms, the first-samples-first rule and settling.
Knows nothing of tokens left (that is the ledger's), prompts, text or time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping

import numpy as np

from dynscale_cli.allocation.policies import NO_LIMIT, Arm, Policy, Totals, parse_policy


class Allocator:
    """The bandit over `questions` arms, numbered from 0.

    `confidence` is what a leader must reach for its question to be settled; with `exhaust` (and under policies that
    never settle: uniform, ucb) nothing ever is, and every pull goes where the policy sees most in it. Otherwise no
    question has more pulls in flight than could settle it if they all agreed with its leader. `most`: samples that a
    question may have. Ties go to the question that comes first, so a run is the same every time: no policy draws at
    random.
    """

    def __init__(
        self,
        questions: int,
        policy: Policy | str = "race",
        *,
        confidence: float = 0.95,
        exhaust: bool = False,
        most: int | None = None,
    ) -> None:
        self.policy = parse_policy(policy) if isinstance(policy, str) else policy
        self.target = confidence
        self.exhaust = exhaust or not self.policy.settles
        self.most = NO_LIMIT if most is None else most
        self._most: dict[int, int] = {}  # of questions that differ from the others
        self.settled = 0
        self._arms: dict[int, Arm] = {}  # of questions that were pulled
        self._untouched = range(questions)  # neither in a heap nor pulled yet
        self._fresh: list[tuple[int, int]] = []  # heap of (failures, question): not pulled yet
        self._first = np.full(questions, -np.inf)  # the policy's terms; -inf: not to be pulled
        self._second = np.zeros(questions)
        self._settled, self._closed = bytearray(questions), bytearray(questions)
        self._pulls = self._samples = self._cost = 0

    def choose(self, ready: Callable[[int], bool] | None = None) -> int | None:
        """The question to pull next, or None where none is worth a pull or may have one.

        None while pulls are in flight means wait: what comes back may reopen a question. `ready` tells which
        questions may be pulled just now; the others are passed over. Does not start the pull.
        """
        if not len(self._first):
            return None
        fresh = self._next_fresh(ready)
        return fresh if fresh is not None else self._next_best(ready)

    def start(self, q: int) -> None:
        """One more pull of `q` is in flight."""
        self._arms.setdefault(q, Arm()).pending += 1
        self._pulls += 1
        self._refresh(q)

    def record(self, q: int, votes: Mapping[str, float], samples: int, cost: int, *, firm: bool = True) -> None:
        """A pull of `q` came back.

        `votes` is the question's whole tally now (answer key -> weight) and replaces the old one; `samples` counts
        its finished samples; `cost` is what this pull was billed, in tokens. Without `firm` the votes are for the most
        part of samples that did not end by themselves: then they settle nothing.
        """
        arm = self._arms[q]
        self._samples += samples - arm.samples
        self._cost += cost
        arm.pending -= 1
        arm.receive(votes, samples, cost)
        leads = self.policy.sure(arm, self.target)
        arm.sure, arm.hollow = leads and firm, leads and not firm
        self._refresh(q)

    def drop(self, q: int, cost: int = 0) -> None:
        """A pull of `q` failed or was cancelled: no sample, but `cost` tokens were billed."""
        arm = self._arms[q]
        arm.pending -= 1
        arm.dropped += 1
        arm.cost += cost
        self._cost += cost
        self._pulls -= 1
        if not arm.pulls and not self._closed[q]:
            heapq.heappush(self._fresh, (arm.dropped, q))  # behind those that did not fail yet
        self._refresh(q)

    def limit(self, q: int, most: int) -> None:
        """`q` may have so many samples, where others may have more. To be called before it is pulled."""
        self._most[q] = most

    def close(self, q: int) -> None:
        """`q` can never be pulled again. What is in flight may still come back."""
        self._closed[q] = True
        self._refresh(q)

    def forget(self, q: int) -> None:
        """`q` was closed, and nothing of it is in flight: nobody will ask about its votes again."""
        self._arms.pop(q, None)
        self._most.pop(q, None)

    def pending(self, q: int) -> int:
        """Pulls of `q` in flight."""
        return self._arms[q].pending if q in self._arms else 0

    def confidence(self, q: int) -> float:
        """P(the leader of `q` would lead all other answers in the long run): 1/2 in a tie of two, 0 without votes."""
        return 1.0 - self._arms[q].doubt if q in self._arms else 0.0

    def is_sure(self, q: int) -> bool:
        """Whether the leader of `q` is sure, whatever is still in flight: that can be stopped."""
        return q in self._arms and self._arms[q].sure and not self.exhaust

    def is_hollow(self, q: int) -> bool:
        """Whether the leader of `q` would be sure, if its votes were firm: more of their kind settle nothing either."""
        return q in self._arms and self._arms[q].hollow and not self.exhaust

    def is_full(self, q: int) -> bool:
        """Whether `q` has all the samples that it may have."""
        return q in self._arms and self._arms[q].samples >= self._most.get(q, self.most)

    def is_settled(self, q: int) -> bool:
        """Whether `q` is done because its leader is sure: no pull in flight, and no other will be chosen."""
        return bool(self._settled[q])

    def _mean_cost(self) -> float:
        return self._cost / max(self._samples, 1)

    def _refresh(self, q: int) -> None:
        """Bring the arm's terms and the count of settled questions up to date."""
        arm = self._arms.get(q)
        if arm is None:
            return
        done = arm.sure and not self.exhaust
        if self._closed[q] or done or not arm.pulls or arm.pending >= self._room(q, arm):
            self._first[q] = -np.inf
        else:
            self._first[q], self._second[q] = self.policy.terms(arm)
        settled = done and not arm.pending
        self.settled += settled - self._settled[q]
        self._settled[q] = settled

    def _room(self, q: int, arm: Arm) -> int:
        """Pulls that may be in flight: what could settle the question, and what it may have at all."""
        could_settle = NO_LIMIT if self.exhaust else self.policy.need(arm, self.target)
        return min(could_settle, self._most.get(q, self.most) - arm.samples)

    def _next_fresh(self, ready: Callable[[int], bool] | None) -> int | None:
        """The next question without a first sample, finished or in flight."""
        skipped: list[tuple[int, int]] = []
        found = None
        while (self._fresh or self._untouched) and found is None:
            if self._untouched and (not self._fresh or self._fresh[0] > (0, self._untouched[0])):
                heapq.heappush(self._fresh, (0, self._untouched[0]))
                self._untouched = self._untouched[1:]
            failures, q = self._fresh[0]
            arm = self._arms.get(q)
            if self._closed[q] or (arm is not None and (arm.pulls or failures != arm.dropped)):
                heapq.heappop(self._fresh)
            elif ready is None or ready(q):
                found = q
            else:
                skipped.append(heapq.heappop(self._fresh))
        for entry in skipped:
            heapq.heappush(self._fresh, entry)
        return found

    def _next_best(self, ready: Callable[[int], bool] | None) -> int | None:
        scores = self.policy.scores(self._first, self._second, Totals(self._pulls, self._mean_cost()))
        best = int(scores.argmax())
        if ready is not None and not ready(best):
            scores = scores.copy()
            while scores[best] > -np.inf and not ready(best):
                scores[best] = -np.inf
                best = int(scores.argmax())
        return best if scores[best] > -np.inf else None
