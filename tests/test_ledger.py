"""The budget's ledger: spent + reserved never exceed the budget, whatever the order of things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.allocation.ledger import Ledger
from dynscale_cli.engine.protocol import Charge


def test_a_pull_reserves_its_prompt_and_its_answer():
    ledger = Ledger(100)
    assert ledger.reserve(1, 60, 30)
    assert not ledger.reserve(2, 5, 6)
    assert (ledger.spent, ledger.reserved, ledger.free) == (0, 90, 10)


def test_prompts_are_paid_from_their_reserve_and_steps_from_what_is_free():
    ledger = Ledger(100)
    ledger.reserve(1, 60, 30)
    ledger.charge([Charge(1, 60, 0)])
    assert (ledger.spent, ledger.reserved, ledger.free) == (60, 30, 10)
    for _ in range(10):
        ledger.charge([Charge(1, 0, 1)])
    assert not ledger.affords([Charge(1, 0, 1)])
    with pytest.raises(ValueError, match="does not cover"):
        ledger.charge([Charge(1, 0, 1)])
    assert ledger.spent == 70


def test_an_asked_sample_pays_out_of_its_answer_reserve():
    ledger = Ledger(100)
    ledger.reserve(1, 60, 40)
    ledger.charge([Charge(1, 60, 0)])
    ledger.close(1)
    ledger.charge([Charge(1, 5, 1)])
    assert (ledger.spent, ledger.reserved, ledger.free) == (66, 34, 0)
    assert ledger.release(1) == 66
    assert ledger.free == 34


def test_a_reused_prompt_gives_its_reserve_back():
    ledger = Ledger(100)
    ledger.reserve(1, 60, 10)
    ledger.charge([Charge(1, 0, 1)])
    assert (ledger.spent, ledger.reserved) == (1, 10)


def test_what_a_pull_has_overdrawn_is_paid_out_of_what_others_give_back():
    ledger = Ledger(100)
    ledger.reserve(1, 0, 0, 20)
    ledger.reserve(2, 0, 0, 80)
    assert ledger.settle(1, 50) == 30
    assert (ledger.spent, ledger.overdrawn, ledger.free, ledger.settled) == (20, 30, 0, 50)
    ledger.settle(2, 60)
    assert (ledger.spent, ledger.overdrawn, ledger.settled) == (100, 10, 110)
    assert not ledger.reserve(3, 1, 0)


@given(
    st.integers(0, 300),
    st.lists(
        st.tuples(st.sampled_from("rcxd"), st.integers(0, 5), st.integers(0, 60), st.integers(0, 40)), max_size=60
    ),
)
def test_the_budget_holds_after_every_operation(budget, operations):
    ledger, opened = Ledger(budget), set()
    for what, pull, first, second in operations:
        if what == "r" and pull not in opened and ledger.reserve(pull, first, second):
            opened.add(pull)
        elif what == "c" and pull in opened:
            charge = [Charge(pull, first, second % 2)]
            if ledger.affords(charge):
                ledger.charge(charge)
        elif what == "x" and pull in opened:
            ledger.close(pull)
        elif what == "d" and pull in opened:
            ledger.release(pull)
            opened.discard(pull)
        assert ledger.spent >= 0
        assert ledger.reserved >= 0
        assert ledger.spent + ledger.reserved <= budget
    for pull in opened:
        ledger.release(pull)
    assert ledger.reserved == 0
