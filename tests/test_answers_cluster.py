"""Free text: what counts as saying the same, and which text is shown for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynscale_cli.answers import cluster

TOGETHER = [
    ("Paris", "paris."),
    ("Paris", "Paris, France"),
    ("the Great Gatsby", "Great Gatsby"),
    ("Shakespeare", "William Shakespeare"),
    ("It is Paris", "Paris"),
    ("北京", "北京。"),
    (
        "Plants turn light, water and carbon dioxide into sugar and oxygen during photosynthesis in their leaves.",
        "During photosynthesis in their leaves, plants turn water, light and carbon dioxide into oxygen and sugar.",
    ),
    ("July 20, 1969", "20th of July 1969"),
    ("6 p.m.", "18:00"),
    ("salt and pepper", "pepper and salt"),
    ("red, green", "red and green"),
    ("Smith & Sons", "Smith and Sons"),
    ("from Rome to Paris", "From Rome, to Paris."),
]
APART = [
    ("Paris", "London"),
    ("New York", "New Delhi"),
    ("Barack Obama", "Michelle Obama"),
    ("It is safe", "It is not safe"),
    ("Henry IV", "Henry V"),
    ("in 1889", "in 1989"),
    ("The capital of Australia is Sydney", "The capital of Australia is Canberra"),
    ("北京", "上海"),
    ("C", "C++"),
    ("World War I", "World War II"),
    ("Rocky V", "Rocky"),
    ("Henry VIII", "Henry VII"),
    ("Bob", "Bob and Amy"),
    ("Ann is taller than Bea", "Bea is taller than Ann"),
    ("wash, then dry", "dry, then wash"),
    ("from Rome to Paris", "from Paris to Rome"),
]


@pytest.mark.parametrize(("first", "second"), TOGETHER)
def test_texts_that_say_the_same_are_one_cluster(first: str, second: str) -> None:
    assert len(cluster([first, second])) == 1


@pytest.mark.parametrize(("first", "second"), APART)
def test_texts_that_differ_in_what_matters_stay_apart(first: str, second: str) -> None:
    assert len(cluster([first, second])) == 2


def test_the_largest_cluster_comes_first_and_shows_its_commonest_text() -> None:
    found = cluster(["London", "Paris, France", "Paris", "Paris"])
    assert [len(group.members) for group in found] == [3, 1]
    assert found[0].medoid == 2


def test_the_medoid_is_the_text_most_like_the_others() -> None:
    middle = "rain comes from clouds that cool over the sea and over high land"
    texts = [middle + " as well as winter storms with snow", middle, middle + " where rivers begin their long way"]
    (found,) = cluster(texts)
    assert found.medoid == 1


@given(texts=st.lists(st.text(alphabet="ab ", max_size=12), max_size=12))
def test_every_text_is_in_one_cluster(texts: list[str]) -> None:
    found = cluster(texts)
    assert sorted(index for group in found for index in group.members) == list(range(len(texts)))
    assert all(group.medoid in group.members for group in found)
    assert [len(group.members) for group in found] == sorted((len(group.members) for group in found), reverse=True)
