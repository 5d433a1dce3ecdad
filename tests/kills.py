"""A run that is killed again and again: python -m tests.kills FOLDER KILLS SEED BUDGET.

Each part is a process of its own, forked from this one so that it costs no start-up, and killed with SIGKILL at a
random moment; the last part may end. Prints what was seen as one line of JSON.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

from dynscale_cli.engine.batched import BatchedEngine
from dynscale_cli.errors import DynscaleError
from dynscale_cli.questions import Question
from dynscale_cli.run.events import Answered
from dynscale_cli.run.request import RunRequest, Settings
from dynscale_cli.run.run import Run
from dynscale_cli.run.store import Store
from dynscale_cli.run.stored import Past
from tests.scripted import ScriptedBackend

QUESTIONS = [Question(n, f"q{n}", f"What is {n} plus {n}?") for n in range(16)]
WIDTH, LONGEST = 4, 100  # tokens that a part evaluates before it is killed, at most


def script(prompt: str, seed: int) -> str:
    rng = random.Random(seed)
    return " word" * rng.randint(3, 40) + f"\nAnswer: {rng.choice([7, 7, 8])}"


class CountingBackend(ScriptedBackend):
    """Counts the tokens of all parts where a kill does not reach, each before it is evaluated."""

    counter: mmap.mmap | None = None

    def evaluate(self, shares):
        if self.counter is not None:
            (before,) = struct.unpack("q", self.counter[:8])
            self.counter[:8] = struct.pack("q", before + sum(share.count for share in shares))
            time.sleep(0.0005)
        super().evaluate(shares)


def settings(budget: int) -> Settings:
    return Settings(budget=budget, max_samples=6, max_tokens=60)


def opened(store: Store, budget: int):
    """(journal, past) of a run that is begun, or gone on with."""
    try:
        journal, stored = store.reopen()
        journal.resume(budget)
        return journal, Past(stored)
    except DynscaleError:
        for id in store.ids():
            store.remove(id)  # killed before it had begun
        model = {"kind": "scripted", "name": "", "path": ""}
        request = RunRequest(settings(budget), model, WIDTH, 4096, len(QUESTIONS))
        return store.create(request, QUESTIONS), None


def part(store: Store, budget: int) -> list[list[object]]:
    journal, past = opened(store, budget)
    engine = BatchedEngine(CountingBackend(script, width=WIDTH), chunk=64)
    run = Run(QUESTIONS, engine, settings(budget), journal=journal, past=past, clock=lambda: 0.0)
    results = [event.result for event in run.events() if isinstance(event, Answered)]
    journal.close()
    assert run.state.ledger.spent == run.state.tokens.billed + run.state.lost
    return [[r.index, r.answer, r.samples, r.votes, r.stopped] for r in sorted(results, key=lambda r: r.index)]


def names(store: Store) -> list[list[object]]:
    """What is stored of samples."""
    try:
        return [[q, sample.number, sample.text] for q, sample in store.read().samples()]
    except DynscaleError:
        return []


def is_alive_behind(counter: mmap.mmap, tokens: int, child: int) -> bool:
    """Wait until the child has evaluated so many more; False where it is over before."""
    (begun,) = struct.unpack("q", counter[:8])
    while struct.unpack("q", counter[:8])[0] < begun + tokens:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.0002)
    return True


def main(folder: Path, kills: int, seed: int, budget: int) -> None:
    rng, store = random.Random(seed), Store(folder / "runs.db")
    CountingBackend.counter = counter = mmap.mmap(-1, 8)
    kept: list[list[object]] = []
    missing = killed = 0
    while killed < kills:
        child = os.fork()
        if child == 0:
            part(store, budget)
            os._exit(0)
        if is_alive_behind(counter, rng.randrange(LONGEST), child):
            time.sleep(rng.random() * 0.003)
            os.kill(child, signal.SIGKILL)
            killed += os.waitpid(child, 0)[1] == signal.SIGKILL
        found = names(store)
        missing += sum(name not in found for name in kept)
        kept = found
        if found and store.read().ended:
            break
    results = part(store, budget)
    final = names(store)
    (evaluated,) = struct.unpack("q", counter[:8])
    told = {
        "killed": killed,
        "missing": missing + sum(name not in final for name in kept),
        "twice": len(final) - len({(q, number) for q, number, _ in final}),
        "evaluated": evaluated,
        "results": results,
        "parts": store.read().parts,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
