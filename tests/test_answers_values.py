"""What is one value: quantities with units, dates and lists, in all the ways they are written."""

from __future__ import annotations

import random
from datetime import date, timedelta
from fractions import Fraction

import pytest

from dynscale_cli.answers import AnswerType, Equivalence, canonical, extract

KINDS = [AnswerType(), AnswerType("number")]


def one_vote(first: str, second: str, kind: AnswerType, *, ordered: bool = True) -> bool:
    keys = [canonical(text, kind) or "" for text in (first, second)]
    assert all(keys)
    return Equivalence().same(*keys, ordered=ordered)


# --- quantities ------------------------------------------------------------------------------------------------

# Each line holds writings of one value; values of one paragraph are all different.
QUANTITIES = """
1 h 15 min | 1 hour 15 minutes | 1 hour and 15 minutes | 75 minutes | 1.25 hours | 1h15 | 1h15m
1 h 50 min | 110 min
1 hour | 60 minutes
15 minutes | a quarter of an hour
2:05:09 | 2 h 5 min 9 s | 2 hours, 5 minutes and 9 seconds
2:05:10
2 days 6 hours | 2.25 days | two days and six hours
2 weeks | 14 days
1 year 3 months | 15 months
90 s | 1 min 30 s | one and a half minutes

6 ft 2 in | 6'2" | 6 feet 2 inches | 74 inches | 6 ft, 2 in.
6 ft 3 in
6 feet | 6 ft
1 m 82 cm | 1.82 m | 182 cm | 1,82 m
1.28 m

3 kg 250 g | 3.25 kg | 3250 grams
3 kg 520 g
3 kg | 3000 g
7 lb 8 oz | 7.5 lb | 120 ounces

8 km | 8 kilometres | 8 kilometers | 8000 m | $8\\ \\text{km}$ | 8 km.
8 miles | 8 mi
8 nautical miles
8 m | 8 metres

90 km/h | 90 kilometres per hour | 90 kph | $90\\mathrm{~km}/\\mathrm{hr}$ | 25 m/s
90 mph | 90 miles per hour
9.8 m/s² | 9.8 m/s^2 | 9.8 metres per second squared

12 m² | 12 m^2 | 12 square metres | 12 sq. m | $12\\text{ m}^2$
12 m³ | 12 cubic metres
12 ft²

$4.50 | 4.50 dollars | 4.5 USD | US$4.50
€4.50 | 4,50 € | 4.5 euros
£4.50
45 cents

330 ml | 330 millilitres | 0.33 litres | 33 cl
330 l

18 °C | 18 degrees Celsius | 18°C
18 °F | 18 degrees Fahrenheit

753 BC | 753 B.C. | 753 BCE
753 AD | AD 753 | 753 CE

6 GB | 6 gigabytes
6 GiB
6 Gb | 6 gigabits

0x1F | 0x1f
0x2F
0b11
"""
GROUPS = [[line.split(" | ") for line in group.splitlines()] for group in QUANTITIES.strip().split("\n\n")]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0][0])
def test_equal_quantities_are_one_vote_and_others_are_not(group: list[list[str]], kind: AnswerType) -> None:
    writings = [(place, text) for place, line in enumerate(group) for text in line]
    wrong = [
        (first, second)
        for here, first in writings
        for there, second in writings
        if one_vote(first, second, kind) is not (here == there)
    ]
    assert not wrong


@pytest.mark.parametrize("seed", range(4))
def test_quantities_made_at_random_are_joined_by_their_value_alone(seed: int) -> None:
    draw = random.Random(seed)
    systems = [
        (("h", "hours", 3600), ("min", "minutes", 60), ("s", "seconds", 1)),
        (("km", "kilometres", 1000), ("m", "metres", 1), ("cm", "centimetres", Fraction(1, 100))),
        (("t", "tonnes", 10**6), ("kg", "kilograms", 1000), ("g", "grams", 1)),
        (("lb", "pounds", 16), ("oz", "ounces", 1)),
        (("ft", "feet", 12), ("in", "inches", 1)),
    ]
    for _ in range(150):
        system = draw.choice(systems)
        values = [draw.randint(1, 11) for _ in system]
        total = sum(value * unit[2] for value, unit in zip(values, system, strict=True))
        other = [*values[:-1], values[-1] + 1]
        long = " ".join(f"{value} {unit[1]}" for value, unit in zip(values, system, strict=True))
        short = draw.choice([" ", ", "]).join(f"{value} {unit[0]}" for value, unit in zip(values, system, strict=True))
        changed = " ".join(f"{value} {unit[0]}" for value, unit in zip(other, system, strict=True))
        assert one_vote(long, short, KINDS[1]), (long, short)
        assert one_vote(short, f"{total / Fraction(system[-1][2])} {system[-1][1]}", KINDS[1]), short
        assert not one_vote(long, changed, KINDS[1]), (long, changed)


def test_a_bare_number_joins_the_one_unit_that_is_said() -> None:
    equivalence = Equivalence()
    assert set(equivalence.classes(["5", "5 km", "5000 m"]).values()) == {"5"}
    assert len(set(equivalence.classes(["5", "5 km", "5 mi"]).values())) == 3
    assert len(set(equivalence.classes(["490", "490 BC"]).values())) == 2
    assert set(equivalence.classes(["18", "$18", "18 $/h"]).values()) == {"18"}
    assert len(set(equivalence.classes(["$18", "18 $/h", "18 $/d"]).values())) == 3


@pytest.mark.parametrize(
    ("completion", "shown"),
    [
        ("Answer: 5 feet 7 inches", "5 feet 7 inches"),
        ("It takes \\boxed{2\\text{ h }40\\text{ min}}.", "2 h 40 min"),
        ("The answer is 753 BC.", "753 BC"),
        ("Answer: 2:05:09", "2:05:09"),
        ("Answer: 7 eggs", "7"),
        ("Answer: 0x1F", "0x1F"),
    ],
)
def test_a_quantity_is_printed_whole(completion: str, shown: str) -> None:
    answer = extract(completion, AnswerType("number"))
    assert answer is not None
    assert answer.text == shown


@pytest.mark.parametrize(
    ("first", "second"),
    [("#FF8800", "#ff8801"), (">", "<"), (">=", ">"), ("+", "-"), ("C#", "C"), ("192.168.0.1", "192.168.0.10")],
)
def test_codes_and_signs_are_answers(first: str, second: str) -> None:
    keys = [answer.key for text in (first, second) if (answer := extract(f"Answer: {text}", AnswerType())) is not None]
    assert len(set(keys)) == 2


# --- dates -----------------------------------------------------------------------------------------------------

MONTHS = {
    "": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
}


def writings(day: date) -> list[str]:
    name = {language: names.split()[day.month - 1] for language, names in MONTHS.items()}
    ending = "th" if 11 <= day.day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    return [
        day.isoformat(),
        f"{day:%Y/%m/%d}",
        f"{name['']} {day.day}, {day.year}",
        f"{name[''][:3]}. {day.day}, {day.year}",
        f"{day.day} {name['']} {day.year}",
        f"the {day.day}{ending} of {name['']} {day.year}",
        f"{name['']} {day.day}{ending}, {day.year}",
        f"{day:%A}, {day.day} {name['']} {day.year}",
        f"{day.day}.{day.month}.{day.year}",
        f"{day.day}. {name['de']} {day.year}",
        f"{day.day} {name['fr']} {day.year}",
        f"{day.day} de {name['es']} de {day.year}",
        f"{day.year}年{day.month}月{day.day}日",
        *([f"{day:%m/%d/%Y}", f"{day.month}/{day.day}/{day.year}"] if day.day > 12 else []),
    ]


@pytest.mark.parametrize("kind", [AnswerType(), AnswerType("text"), AnswerType("math")], ids=str)
def test_all_writings_of_a_date_are_one_vote_and_the_next_day_is_another(kind: AnswerType) -> None:
    draw = random.Random(20)
    for _ in range(60):
        day = date(1000, 1, 1) + timedelta(days=draw.randrange(400_000))
        keys = {canonical(text, kind): text for text in writings(day)}
        assert list(keys) == [day.isoformat()], keys
        later = {canonical(text, kind) for text in writings(day + timedelta(days=1))}
        assert not later & set(keys)


def test_a_date_whose_month_nobody_can_tell_joins_the_day_that_is_said() -> None:
    auto, equivalence = AnswerType(), Equivalence()
    assert not one_vote("2/4/2000", "3/6/2000", auto)
    assert not one_vote("2/4/2000", "4/2/2000", auto)
    assert one_vote("2/4/2000", "02/04/2000", auto)
    assert one_vote("2/4/2000", "February 4, 2000", auto)
    assert len(set(equivalence.classes(["2/4/2000", "2000-02-04", "2000-04-02"]).values())) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [("March 15, 44 BC", "March 15, 44 AD"), ("June 2019", "July 2019"), ("1939-1945", "1939-1946"), ("5 pm", "5 am"),
     ("1990s", "1990"), ("2019-06-19 10:30", "2019-06-19 11:30"), ("noon", "midnight")],
)  # fmt: skip
def test_times_that_differ_are_two_votes(first: str, second: str) -> None:
    assert not one_vote(first, second, AnswerType())


# --- lists -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "ordered", "expected"),
    [
        ("4, 5, 6", "6, 5, 4", True, False),
        ("4, 5, 6", "6, 5, 4", False, True),
        ("4, 5, 6", "[4, 5, 6]", True, True),
        ("4, 5 and 6", "$4, 5, 6$", True, True),
        ("4, 5, 5", "4, 5", True, False),
        ("Ann and Bob", "Bob, Ann", False, True),
        ("Ann and Bob", "Bob, Ann", True, False),
        ("Ann, Bob and Cy", "Ann, Bob, Cy", True, True),
        ("Ann and Bob", "Ann and Ben", False, False),
        ("x = 4 or x = 5", "5, 4", False, True),
        ("(4, 5)", "(5, 4)", False, False),
        ("\\pm 4", "-4, 4", False, True),
        ("4 km, 9 km", "9000 m and 4000 m", False, True),
    ],
)
def test_the_order_of_a_list_tells_where_the_question_says_so(
    first: str, second: str, ordered: bool, expected: bool
) -> None:
    assert one_vote(first, second, AnswerType(), ordered=ordered) is expected
