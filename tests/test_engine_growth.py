"""A long run takes no more memory than a short one: nothing of a finished request stays behind."""

import gc
import itertools
import tracemalloc

import numpy as np

from dynscale_cli.engine.protocol import Finished, Message, Request, Sampling
from dynscale_cli.engine.scheduler import PrefixCache, Snapshot
from tests.scripted import scripted_engine

EARLY, LATE = 2_000, 10_000
WORDS = [f"w{n}" for n in range(12)]  # few, as the scripted model remembers every word


def test_ten_thousand_questions_leave_nothing_behind():
    engine = scripted_engine(lambda prompt, seed: " w" * (1 + seed % 5), width=8, cache_bytes=20_000)
    texts = (" ".join(words) for words in itertools.product(WORDS, repeat=4))
    sizes = {}
    tracemalloc.start()
    try:
        for id, text in enumerate(itertools.islice(texts, LATE + 1)):
            while engine.free_slots < 1:
                _step(engine)
            prompt = engine.prompt([Message("user", text)])
            engine.submit(Request(id, prompt, 9, Sampling(), id, cache_boundaries=(1, len(prompt))))
            if id % 3 == 0:
                engine.cancel(id)
            if id in (EARLY, LATE):
                engine._backend.widths.clear()  # the scripted model's own diary
                gc.collect()
                sizes[id] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert sizes[LATE] - sizes[EARLY] < 20_000, sizes
    while engine.plan_step():
        _step(engine)
    assert (engine._backend.samplers, len(engine._sequences), len(engine._held)) == (0, 0, 0)


def test_a_prefix_cache_takes_no_more_memory_than_it_may_with_all_that_an_entry_holds():
    """Of a small recurrent model the token ids of a prefix can weigh as much as its state."""
    capacity = 1_000_000
    tracemalloc.start()
    try:
        cache = PrefixCache(capacity)
        for first in range(0, 1_000_000, 200):
            state, logits = np.zeros(100, np.uint8), np.zeros(100, np.uint8)
            cache.put(tuple(range(1000 + first, 1060 + first)), Snapshot(state, logits))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.7 * capacity < held < 1.1 * capacity


def _step(engine) -> list[Finished]:
    engine.plan_step()
    return [event for event in engine.step() if isinstance(event, Finished)]
