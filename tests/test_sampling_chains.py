"""Chains: which attempts are quoted, in which order, and how they are cut."""

import random

import pytest

from dynscale_cli.engine.protocol import Tokens
from dynscale_cli.sampling import samples as records
from dynscale_cli.sampling.samples import DOUBT, ChainShare, Sample, attempts, cut, keep, pick, prior_share


def sample(number, key, kind="parallel", text=None, seen=(), earlier=()):
    said = f"reason {number}\nAnswer: {key}" if text is None else text
    found = Sample(number, kind, said, key, key, Tokens(0, 50), "stop", seen=seen)
    return keep(found, earlier)


def count(text):
    return len(text.split())


def test_every_answer_is_shown_before_any_twice_then_by_votes():
    samples = [sample(n, key) for n, key in enumerate("AAABAC")]
    picked = pick(samples, ["A", "B", "C"], random.Random(0))
    assert sorted(s.key for s in picked) == ["A", "B", "C"]
    picked = pick(samples[:5], ["A", "B"], random.Random(0))
    assert sorted(s.key for s in picked) == ["A", "A", "B"]


def test_samples_without_an_answer_are_not_quoted():
    samples = [sample(0, None), sample(1, "A"), sample(2, None)]
    assert [s.number for s in pick(samples, ["A"], random.Random(0))] == [1]


def test_the_order_is_drawn_and_carries_no_vote():
    samples = [sample(n, key) for n, key in enumerate("AAB")]
    orders = {tuple(s.number for s in pick(samples, ["A", "B"], random.Random(seed))) for seed in range(50)}
    assert len(orders) == 6
    again = [tuple(s.number for s in pick(samples, ["A", "B"], random.Random(3))) for _ in range(2)]
    assert again[0] == again[1]


def test_thoughts_are_not_quoted():
    samples = [sample(0, "4", text="<think>secret</think>So it is.\nAnswer: 4"), sample(1, "5", text="<think>only")]
    quoted = attempts(samples, 100, count)
    assert quoted == ["So it is.\nAnswer: 4", "Answer: 5"]


def test_attempts_share_the_room_and_keep_their_ends():
    long = sample(0, "9", text="word " * 300 + "Answer: 9")
    quoted = attempts([long, sample(1, "8")], 60, count)
    assert all(count(text) <= 30 for text in quoted)
    assert quoted[0].endswith("Answer: 9")


def test_cutting_ends_for_any_text():
    for text in ["", "x", "word " * 1000, "\u4e2d" * 1000, " " * 500]:
        assert len(cut(text, 5, lambda t: len(t.encode()))) <= max(8, len(text))


def test_what_a_chain_quotes_is_there_whatever_the_order_of_arrival():
    """Texts that no chain can quote are not kept; every other one is, to the letter, at each moment."""
    rng = random.Random(4)
    dropped = 0
    for _ in range(60):
        kept, votes = [], ["A", "B"]
        for number in rng.sample(range(12), 12):
            kept.append(
                sample(
                    number, rng.choice(["A", "A", "B", None]), text=f"<think>x</think>é {number} \ud83d", earlier=kept
                )
            )
            for quoted in pick(kept, votes, random.Random(number)):
                assert quoted.said == f"é {quoted.number} \ud83d"
        dropped += sum(each.key is not None and each.packed is None for each in kept)
    assert dropped > 60


def test_held_out_agreement_counts_only_samples_the_chain_has_not_read():
    share = ChainShare()
    parallel = [sample(0, "A"), sample(1, "A"), sample(2, "B"), sample(3, "A")]
    share.observe(0, [*parallel, sample(4, "A", "chain", seen=(0, 1, 2))])
    assert share.agreement["chain"].value == 1.0
    share.observe(0, [*parallel, sample(4, "A", "chain", seen=(0, 1, 2)), sample(5, "B")])
    assert share.agreement["chain"].value == 0.5
    assert share.agreement["chain"].count == 1


def test_the_share_starts_small_and_a_chain_costs_what_it_reads():
    share = ChainShare()
    assert share.share == pytest.approx(DOUBT)
    assert share.repeat_weight == 0.5
    assert share.price == 4
    for _ in range(100):
        share.paid("parallel", 100)
        share.paid("chain", 150)
    assert 1.5 < share.price < 1.6
    rng = random.Random(0)
    tokens = {True: 0.0, False: 0.0}
    for _ in range(20_000):
        chain = share.choose(rng)
        tokens[chain] += share.price if chain else 1.0
    assert 0.8 * DOUBT < tokens[True] / sum(tokens.values()) < 1.2 * DOUBT


def spent_on_chains(advantage: float, price: float, seed: int) -> tuple[float, float]:
    """(share of tokens that chains got, their share at the end) over what 3000 parallel samples cost.

    A chain agrees with unseen samples more often than what it displaces by `advantage`, and costs `price` samples.
    """
    rng, share, chains, total = random.Random(seed), ChainShare(), 0.0, 0.0
    share.paid("parallel", 100)
    while total < 3000:
        if share.choose(rng):
            share.paid("chain", round(100 * price))
            share.bought.add(max(-1.0, min(1.0, rng.gauss(advantage, 0.4))))
            chains += price
            total += price
        else:
            share.paid("parallel", 100)
            total += 1
    return chains / total, share.share


@pytest.mark.parametrize("price", [1.5, 4.0, 12.0])
def test_finding_out_that_chains_are_useless_costs_a_run_little(price):
    """A twentieth of the tokens at the most, on average, whatever a chain costs."""
    spent = [spent_on_chains(-0.15, price, seed)[0] for seed in range(40)]
    assert sum(spent) / len(spent) < DOUBT
    assert max(spent) < 0.2


@pytest.mark.parametrize("price", [1.5, 4.0])
def test_chains_that_help_get_most_of_the_tokens(price):
    runs = [spent_on_chains(0.25, price, seed) for seed in range(40)]
    assert sum(spent for spent, _ in runs) / len(runs) > 0.5
    assert sum(share > 0.95 for _, share in runs) >= 36


@pytest.mark.parametrize(
    ("parameters", "served", "share"),
    [
        (135_000_000, False, DOUBT),
        (1_700_000_000, False, DOUBT),
        (None, False, DOUBT),
        (3_090_000_000, False, 0.5),
        (8_000_000_000, False, 0.5),
        (None, True, 0.5),
    ],
)
def test_chains_begin_small_where_models_are_small_or_unknown(parameters, served, share):
    assert prior_share(parameters, served=served) == share
    assert ChainShare(share).share == pytest.approx(share)


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_a_share_of_none_or_all_is_moved_by_no_evidence(prior):
    share = ChainShare(prior)
    for value in [1.0, -1.0, -1.0, -1.0] * 20:
        share.bought.add(value)
    assert share.share == prior
    assert share.choose(random.Random(1)) == bool(prior)


def test_the_thousandth_sample_is_compared_with_no_more_than_the_hundredth(monkeypatch):
    """What a question of many samples costs must not grow with their square."""
    counted = []
    agrees = records._agrees
    monkeypatch.setattr(records, "_agrees", lambda key, votes: counted.append(len(votes)) or agrees(key, votes))
    share, samples, at = ChainShare(), [], {}
    for n in range(600):
        kind = "chain" if n > 4 and n % 2 else "parallel"
        samples.append(sample(n, "AB"[n % 3 == 0], kind, seen=(0, 1, 2) if kind == "chain" else ()))
        share.observe(0, samples)
        at[n] = sum(counted)
    assert at[599] - at[499] <= 1.1 * (at[199] - at[99])
    assert share.agreement["chain"].count > 250
