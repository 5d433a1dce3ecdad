"""An engine that replays what it has seen before, token by token and at its true cost.

Two runs that ask for one sample (the same prompt, the same seed) would decode the same tokens twice. A `SampleCache`
keeps every completion, and a `ReplayedEngine` in front of the real engine asks that one only for what is not in the
cache: so many policies are compared on the same samples, and only what they do differently is decoded. Bills are those
of a run that has the engine to itself: a prompt's prefix is paid once, whether it was evaluated or played.

Owns the cache and the account of prefixes. Knows nothing of questions, answers or budgets.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from dynscale_cli.engine.protocol import (
    Charge,
    Engine,
    EngineEvent,
    EngineInfo,
    Finished,
    Message,
    Piece,
    Prompt,
    Request,
    Sampling,
    Tokens,
)
from dynscale_cli.engine.reasoning import ReasoningFormat

Name: TypeAlias = tuple[Prompt, int, Sampling]  # what makes two requests one sample


def name_of(request: Request) -> Name:
    return request.prompt, request.seed, request.sampling


class SampleCache:
    """Completions by request. One is a list: where a sample was extended after its end, each end in order."""

    def __init__(self) -> None:
        self._takes: dict[Name, list[Finished]] = {}

    def __len__(self) -> int:
        return len(self._takes)

    def find(self, request: Request) -> list[Finished]:
        return self._takes.get(name_of(request), [])

    def record(self, name: Name, takes: Sequence[Finished]) -> None:
        """Keep a completion. `prompt` of its tokens counts those beyond the request's own prompt, such as a text that
        asked for the answer. Of two records the one that goes on longer is kept."""
        if len(takes) > len(self._takes.get(name, ())):
            self._takes[name] = list(takes)

    def forget(self, name: Name) -> None:
        self._takes.pop(name, None)


@dataclass(slots=True)
class Playing:
    """A request that is in the cache. `prompt`: tokens of it still to be charged, `reused`: those that are not."""

    request: Request
    takes: list[Finished]
    prompt: int
    reused: int
    paid: int = 0  # prompt tokens
    generated: int = 0
    take: int = 0
    ended: bool = False

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be charged before the take's end."""
        return not self.prompt and self.generated >= self.takes[self.take].tokens.generated

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.paid, self.generated, self.reused)

    def charge(self) -> Charge:
        return Charge(self.request.id, self.prompt, 0 if self.prompt else int(not self.finished))

    def advance(self) -> list[EngineEvent]:
        charge = self.charge()
        self.prompt -= charge.prompt
        self.paid += charge.prompt
        self.generated += charge.generated
        if not self.finished:
            return []
        self.ended = True
        take, before = self.takes[self.take], self.takes[self.take - 1].text if self.take else ""
        text = take.text.removeprefix(before)
        end = replace(take, tokens=self.tokens)
        return [Piece(take.id, text), end] if text else [end]

    def extend(self) -> bool:
        """Go on to the next take; False where the cache has none."""
        if not self.ended or self.take + 1 == len(self.takes):
            return False
        self.take, self.ended = self.take + 1, False
        self.prompt = self.takes[self.take].tokens.prompt - self.takes[self.take - 1].tokens.prompt
        return True


@dataclass(slots=True)
class Live:
    """A request that the engine decodes. `due`: what a run of its own would evaluate of the prompt, which is paid at
    the first step, whatever the engine has or lacks of it."""

    request: Request
    due: int
    paid: bool = False
    behind: bool = False  # the prompt is: what is evaluated from now on is paid as the engine says
    evaluated: int = 0  # tokens of the prompt, by the engine
    ended: bool = False
    takes: list[Finished] = field(default_factory=list)

    def bill(self, charge: Charge) -> Charge:
        due = 0 if self.paid else self.due
        return replace(charge, prompt=due + (charge.prompt if self.behind or charge.generated else 0))

    def pay(self, charge: Charge) -> None:
        self.behind = self.behind or bool(charge.generated)
        self.paid = True
        if not self.behind:
            self.evaluated += charge.prompt

    def billed(self, tokens: Tokens) -> Tokens:
        due = self.due if self.paid else 0
        return Tokens(tokens.prompt - self.evaluated + due, tokens.generated, len(self.request.prompt) - self.due)


class ReplayedEngine:
    """`Engine`: what is in the cache is played, all else decoded by `inner` and put in the cache.

    Give each run a playback of its own, as `known` prefixes are those of one run.
    """

    def __init__(self, inner: Engine, cache: SampleCache) -> None:
        self.decoded = 0  # tokens that the engine has evaluated
        self._inner, self._cache = inner, cache
        self._playing: dict[int, Playing] = {}
        self._live: dict[int, Live] = {}
        self._known: set[tuple[int, ...]] = set()
        self._held: Collection[int] = ()

    @property
    def info(self) -> EngineInfo:
        return self._inner.info

    @property
    def reasoning(self) -> ReasoningFormat:
        return self._inner.reasoning

    @property
    def free_slots(self) -> int:
        return self._inner.free_slots - sum(not playing.ended for playing in self._playing.values())

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        return self._inner.prompt(messages)

    def expect(self, messages: Sequence[Message]) -> None:
        self._inner.expect(messages)

    def count(self, text: str) -> int:
        return self._inner.count(text)

    def remember(self, request: Request) -> None:
        """An earlier part of this run has paid for the prompt."""
        self._known.update(request.prompt.tokens[:length] for length in request.cache_boundaries)

    def prefill_cost(self, request: Request) -> int:
        return len(request.prompt) - self._reused(request)

    def extend_cost(
        self, request: Request, text: str, max_tokens: int, turn: str = "", written: str | None = None
    ) -> int:
        return self._inner.extend_cost(request, text, max_tokens, turn, written)

    def submit(self, request: Request) -> None:
        reused = self._reused(request)
        takes = self._cache.find(request)
        if takes:
            takes = [replace(take, id=request.id) for take in takes]
            prompt = len(request.prompt) - reused + takes[0].tokens.prompt
            self._playing[request.id] = Playing(request, takes, prompt, reused)
        else:
            self._live[request.id] = Live(request, len(request.prompt) - reused)
            self._inner.submit(request)
        self.remember(request)

    def extend(
        self, id: int, text: str, max_tokens: int, stop: tuple[str, ...] = (), turn: str = "", held: int = 0
    ) -> None:
        """A played sample that was not extended when it was decoded cannot be: it ends as it stands."""
        if id in self._live:
            self._inner.extend(id, text, max_tokens, stop, turn, held)
            self._live[id].ended, self._live[id].behind = False, True
            self._cache.forget(name_of(self._live[id].request))
            return
        playing = self._playing[id]
        if not playing.extend():
            end = Finished(id, "stop", "", playing.tokens)
            playing.takes, playing.take, playing.prompt, playing.ended = [end], 0, 0, False

    def cancel(self, id: int) -> Tokens:
        cost = self.usage(id)
        if self._playing.pop(id, None) is None:
            self._live.pop(id, None)
            self._inner.cancel(id)
        return cost

    def hold(self, ids: Collection[int]) -> None:
        self._held = ids
        self._inner.hold(ids)

    def halt(self, ids: Collection[int]) -> None:
        self._inner.halt(ids)

    def usage(self, id: int) -> Tokens:
        if id in self._playing:
            return self._playing[id].tokens
        return self._live[id].billed(self._inner.usage(id)) if id in self._live else Tokens()

    def plan_step(self) -> list[Charge]:
        self._release()
        played = [playing.charge() for playing in self._moving()]
        live = [self._live[charge.id].bill(charge) for charge in self._inner.plan_step()]
        return [charge for charge in played + live if charge.prompt or charge.generated]

    @property
    def max_committed(self) -> int:
        coming = sum(charge.prompt + charge.generated for charge in self.plan_step())
        return coming + sum(self.usage(id).billed for id in (*self._playing, *self._live))

    def step(self) -> list[EngineEvent]:
        self.plan_step()
        for charge in self._inner.plan_step():
            self._live[charge.id].pay(charge)
            self.decoded += charge.prompt + charge.generated
        events = [self._heard(event) for event in self._inner.step()] if self._live else []
        for playing in self._moving():
            events += playing.advance()
        return events

    def abort(self) -> None:
        self._inner.abort()

    def close(self) -> None:
        self._inner.close()

    def _reused(self, request: Request) -> int:
        """The longest prefix that this run has paid for already."""
        tokens = request.prompt.tokens
        return max((length for length in request.cache_boundaries if tokens[:length] in self._known), default=0)

    def _moving(self) -> list[Playing]:
        return [playing for id, playing in self._playing.items() if playing.prompt or id not in self._held]

    def _release(self) -> None:
        """What ended and was not extended is over."""
        self._playing = {id: playing for id, playing in self._playing.items() if not playing.ended}
        self._live = {id: live for id, live in self._live.items() if not live.ended}

    def _heard(self, event: EngineEvent) -> EngineEvent:
        """A sample that ended goes in the cache, in case nothing extends it."""
        if not isinstance(event, Finished):
            return event
        live = self._live[event.id]
        told = replace(event, tokens=live.billed(event.tokens))
        live.ended = True
        live.takes.append(told)
        own = live.takes[0].tokens.prompt
        takes = [replace(take, tokens=replace(take.tokens, prompt=take.tokens.prompt - own)) for take in live.takes]
        self._cache.record(name_of(live.request), takes)
        return told
