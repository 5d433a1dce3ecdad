"""Continuous batching, without a model: who gets a slot, and what the next batch is made of."""

from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.engine.protocol import Prompt, Request, Sampling
from dynscale_cli.engine.scheduler import Scheduler, Sequence


def request(id: int, length: int = 5, cache_boundaries: tuple[int, ...] = (), first: int | None = None) -> Request:
    tokens = (first if first is not None else id, *range(100, 99 + length))
    return Request(id, Prompt(tokens), 10, Sampling(), id, cache_boundaries)


def admit(scheduler: Scheduler, *requests: Request, reusable: int = 0) -> list[Sequence]:
    scheduler.waiting += requests
    return scheduler.admit(lambda request: reusable)


def step(scheduler: Scheduler) -> list[int]:
    """Evaluate the next batch; sequences whose prompt is over go on with a sampled token."""
    shares = scheduler.plan()
    for share in shares:
        scheduler.advance(share)
    for share in shares:
        if share.last:
            share.sequence.accept(7)
    return [share.count for share in shares]


def test_first_come_first_served_up_to_the_width():
    scheduler = Scheduler(width=2, chunk=64)
    assert [s.request.id for s in admit(scheduler, request(1), request(2), request(3))] == [1, 2]
    assert scheduler.free_slots == -1
    scheduler.release(scheduler.active[0])
    assert [(s.request.id, s.slot) for s in admit(scheduler)] == [(3, 0)]


def test_prompts_share_a_chunk_and_decoding_sequences_never_wait_for_it():
    scheduler = Scheduler(width=4, chunk=10)
    admit(scheduler, request(1, 4), request(2, 30), request(3, 30))
    assert step(scheduler) == [4, 6]
    assert step(scheduler) == [1, 10]
    assert step(scheduler) == [1, 10]
    assert step(scheduler) == [1, 4, 6]
    assert step(scheduler) == [1, 1, 10]


def test_a_chunk_ends_where_a_prefix_is_worth_keeping():
    scheduler = Scheduler(width=1, chunk=64)
    admit(scheduler, request(1, 20, cache_boundaries=(6, 15, 20)))
    kept = []
    for _ in range(3):
        (share,) = scheduler.plan()
        kept.append(scheduler.advance(share))
    assert kept == [6, 15, 20]


def test_who_shares_a_prefix_that_is_just_being_evaluated_waits_for_it_and_others_go_first():
    scheduler = Scheduler(width=3, chunk=64)
    twins = [request(1, 20, cache_boundaries=(20,), first=0), request(2, 20, cache_boundaries=(20,), first=0)]
    assert [s.request.id for s in admit(scheduler, *twins, request(3))] == [1, 3]
    step(scheduler)
    assert [s.request.id for s in admit(scheduler, reusable=20)] == [2]


def test_a_prefix_whose_sequence_is_gone_is_not_waited_for():
    scheduler = Scheduler(width=2, chunk=4)
    (first,) = admit(
        scheduler, request(1, 20, cache_boundaries=(20,), first=0), request(2, 20, cache_boundaries=(20,), first=0)
    )
    step(scheduler)
    scheduler.release(first)
    assert [s.request.id for s in admit(scheduler)] == [2]


def test_a_prompt_is_charged_as_prompt_and_a_sampled_token_as_generated():
    scheduler = Scheduler(width=1, chunk=64)
    (sequence,) = admit(scheduler, request(1, 5), reusable=2)
    step(scheduler), step(scheduler), step(scheduler)
    assert (sequence.prompt, sequence.generated, sequence.reused) == (3, 2, 2)
    sequence.extend([8, 9], limit=4)
    (share,) = scheduler.plan()
    assert (share.charge.prompt, share.charge.generated) == (2, 1)


ADMIT = st.tuples(st.just("admit"), st.integers(1, 30))
END = st.tuples(st.just("end"), st.integers(0, 5))
STEP = st.tuples(st.just("step"), st.just(0))


@given(width=st.integers(1, 6), chunk=st.integers(1, 20), actions=st.lists(st.one_of(ADMIT, END, STEP)))
def test_slots_are_dense_batches_in_order_and_prompts_within_the_chunk(width, chunk, actions):
    scheduler = Scheduler(width, chunk)
    for id, (action, number) in enumerate(actions):
        if action == "admit":
            admit(scheduler, request(id, number, cache_boundaries=(number,)))
        elif action == "end" and number < len(scheduler.active):
            scheduler.release(scheduler.active[number])
        scheduler.compact()
        assert [s.slot for s in scheduler.active] == list(range(len(scheduler.active)))
        shares = scheduler.plan()
        slots = [share.sequence.slot for share in shares]
        assert slots == sorted(set(slots))
        assert sum(share.count for share in shares if share.count > 1) <= chunk
        assert all(share in shares for share in shares if len(share.sequence.pending_tokens) == 1)
        assert bool(shares) == bool(scheduler.active)
        step(scheduler)


def test_older_requests_come_first_in_a_chunk_whatever_their_slots():
    scheduler = Scheduler(width=2, chunk=10)
    admit(scheduler, request(2, 10), request(1, 8))
    assert [(share.sequence.request.id, share.count) for share in scheduler.plan()] == [(2, 2), (1, 8)]
