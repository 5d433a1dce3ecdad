"""Days and times of day that stand alone, and the one way each is written.

Owns their many forms: "July 20, 1969", "the 20th of July 1969", "20 juillet 1969", "20.7.1969" and "1969-07-20",
"3:15 PM", "15:15" and "a quarter past three". A day written in digits whose month nobody can tell ("3/6/2024") keeps
that form and may be either day. Must not know numbers that are no dates, nor the text around them.
"""

from __future__ import annotations

import re

from dynscale_cli.answers.normalize import plain
from dynscale_cli.answers.numbers import SMALL

_NAMES = """
january januar janvier enero gennaio janeiro januari января
february februar février fevrier febrero febbraio fevereiro februari февраля
march märz mars marzo março maart марта
april avril abril aprile апреля
may mai mayo maggio maio mei мая
june juni juin junio giugno junho июня
july juli juillet julio luglio julho июля
august août aout agosto augustus августа
september septembre septiembre settembre setembro сентября
october oktober octobre octubre ottobre outubro октября
november novembre noviembre novembro ноября
december dezember décembre decembre diciembre dicembre dezembro декабря
"""
_MONTHS = [line.split() for line in _NAMES.strip().splitlines()]
_ENGLISH = [names[0] for names in _MONTHS]
_NUMBER = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}
_NUMBER |= {name[:3]: number for number, name in enumerate(_ENGLISH, 1)} | {"sept": 9, "okt": 10, "dez": 12}
_MONTH = rf"(?P<month>{'|'.join(sorted(_NUMBER, key=len, reverse=True))})(?![^\W\d_])\.?"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|er|\.|º)?"
_WEEKDAY = (
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+|(?:mon|tues?|wed|thu|thurs?|fri|sat|sun)\.?,?\s+|"
    r"[^\W\d_]{5,10},\s+)?"
)
_LEAD = rf"(?:(?:on|am|le|el|il)\s+)?{_WEEKDAY}(?:(?:the|den|der|le|el|il)\s+)?"
_YEAR = r"(?P<year>\d{4}|\d{1,3}(?=\s*(?:b\.?c|a\.?d|ce\b)))(?:\s*(?P<era>b\.?c\.?(?:e\.?)?|a\.?d\.?|ce)(?![a-z]))?"
_CLOCK = r"(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d))?(?::(?P<sec>[0-5]\d)(?:\.0+)?)?(?:\s?(?P<half>[ap])\.?\s?m\.?)?"
_AT = rf"(?:(?:,|\s|t|\sat\s|,\sat\s)\s*{_CLOCK}\s?(?:z|utc)?)?"
_DAYS = tuple(
    re.compile(form + _AT)
    for form in (
        rf"{_LEAD}{_MONTH}\s+{_DAY}(?:\s*,?\s+{_YEAR})?",
        rf"{_LEAD}{_DAY}(?:\s+(?:day\s+)?(?:of|de|del|di))?[\s-]+{_MONTH}(?:\s*(?:,|-|\s)\s*(?:(?:de|del|of)\s+)?{_YEAR})?",
        r"(?P<year>\d{4})\s?[年년]\s?(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日号號일]",
        r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?:\s(?P<era>bc))?",
    )
)
_IN_DIGITS = re.compile(r"(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})" + _AT)
_SHORT_YEAR = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2})")
_MONTH_YEAR = re.compile(rf"(?:in\s+)?{_MONTH}\s*,?\s+(?:(?:of|de|del)\s+)?{_YEAR}|(?P<number>0[1-9])/(?P<of>\d{{4}})")
_TIME = re.compile(rf"(?:at\s+)?{_CLOCK}")
_MONTH_NAME = re.compile(
    r"\b(?:jan|febr?|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)(?:[a-z]{2,6})?\b\.?", re.IGNORECASE
)
_ANY_DIGITS = re.compile(r"\s*\d{1,4}([-/.])\d{1,2}\1\d{1,4}\s*")
_EITHER = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?P<time> \d.*)?")
_HOURS = {"noon": "12:00", "at noon": "12:00", "midnight": "0:00", "at midnight": "0:00"}
_LONGEST = 64
_NUMERALS = {word: value for word, value in SMALL.items() if 1 <= value <= 12}
_PARTS_OF_AN_HOUR = {"quarter": 15, "half": 30, "twenty five": 25}
_SPOKEN = re.compile(
    rf"(?:at\s+)?(?:(?P<part>(?:a )?quarter|half|(?:five|ten|twenty|twenty[- ]five|[1-5]?\d)(?=\s+min))\s+"
    r"(?:minutes?\s+)?(?P<side>past|after|to)\s+)?"
    rf"(?P<hour>1?\d|{'|'.join(_NUMERALS)})(?P<clock>\s+o'clock)?"
    r"(?:\s+(?:in\s+(?:the\s+)?|at\s+)?(?:(?P<half>[ap])\.?m\.?|(?P<early>morning)|afternoon|evening|night))?"
)


def moment(text: str) -> str | None:
    """`1969-07-20`, `july 20`, `1969-07` or `15:15` for a text that is a day, a month of a year or a time of day.

    A day with its time is `1969-07-20 20:17`; `2/4/2000` may be either day.
    """
    if len(text) > _LONGEST:
        return None
    said = " ".join(plain(text).lower().split()).strip(" *_`'\"").rstrip(".,;")
    if said in _HOURS:
        return _HOURS[said]
    spoken = _spoken(said) if "o'clock" in said or " past " in said or " to " in said else None
    if spoken is not None or not any(char.isdigit() for char in said):
        return spoken
    return _day(said) or _in_digits(said) or _month(said) or _time(said)


def _day(said: str) -> str | None:
    for form in _DAYS:
        date = form.fullmatch(said)
        if date is not None and 1 <= int(date["day"]) <= 31:
            month = int(date["month"]) if date["month"].isdigit() else _NUMBER[date["month"]]
            if not 1 <= month <= 12:
                return None
            if date["year"] is None:
                return f"{_ENGLISH[month - 1]} {int(date['day'])}{_hours(date)}"
            era = " BC" if (date.groupdict().get("era") or "").startswith("b") else ""
            return f"{int(date['year']):04}-{month:02}-{int(date['day']):02}{era}{_hours(date)}"
    return None


def _in_digits(said: str) -> str | None:
    """6/19/2019 has one reading, 2/4/2000 two; with full stops the day comes first."""
    date = _IN_DIGITS.fullmatch(said)
    if date is None:
        short = _SHORT_YEAR.fullmatch(said)
        return "/".join(str(int(part)) for part in short.groups()) if short is not None else None
    first, second, year = int(date["first"]), int(date["second"]), date["year"]
    days = _readings(first, second)
    if not days:
        return None
    if len(days) == 1 or date["mark"] == ".":
        month, day = days[-1]
        return f"{year}-{month:02}-{day:02}{_hours(date)}"
    return f"{first}/{second}/{year}{_hours(date)}"


def _readings(first: int, second: int) -> list[tuple[int, int]]:
    """(month, day) of each reading; the one with the day first comes last."""
    both = dict.fromkeys([(first, second), (second, first)])
    return [(month, day) for month, day in both if 1 <= month <= 12 and 1 <= day <= 31]


def _month(said: str) -> str | None:
    found = _MONTH_YEAR.fullmatch(said)
    if found is None:
        return None
    if found["number"] is not None:
        return f"{found['of']}-{found['number']}"
    era = " BC" if (found["era"] or "").startswith("b") else ""
    return f"{int(found['year']):04}-{_NUMBER[found['month']]:02}{era}"


def _time(said: str) -> str | None:
    time = _TIME.fullmatch(said)
    if time is None or not (time["minute"] or time["half"]):
        return None
    return clock(int(time["hour"]), _minutes(time), time["half"])


def _spoken(said: str) -> str | None:
    """ "half past nine in the evening", "7 o'clock"."""
    time = _SPOKEN.fullmatch(said)
    if time is None or not (time["part"] or time["clock"]) or time["part"] in ("0", "00"):
        return None
    hour = _NUMERALS.get(time["hour"]) or int(time["hour"])
    word = time["part"] or "0"
    minutes = _PARTS_OF_AN_HOUR.get(word.replace("-", " ").removeprefix("a ")) or SMALL.get(word) or int(word)
    if time["side"] == "to":
        hour, minutes = hour - 1 or 12, 60 - minutes
    told = time["half"] or ("a" if time["early"] else "p" if said.endswith(("noon", "evening", "night")) else None)
    return clock(hour, f"{minutes:02}", told) if 1 <= hour <= 12 and minutes < 60 else None


def _minutes(time: re.Match[str]) -> str:
    return (time["minute"] or "00") + (f":{time['sec']}" if time["sec"] else "")


def _hours(date: re.Match[str]) -> str:
    """The time of a day; midnight sharp is the day itself."""
    if date["hour"] is None or not (date["minute"] or date["half"]):
        return ""
    minutes = _minutes(date)
    at = clock(int(date["hour"]), minutes.removesuffix(":00") if len(minutes) > 2 else minutes, date["half"])
    return "" if at in ("0:00", "00:00") else f" {at}"


def clock(hour: int, minute: str, half: str | None) -> str:
    """A time of day on the 24-hour clock; `half` is `a` or `p`, None where it is not said."""
    if half is not None and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    return f"{hour}:{minute}"


def possible_days(key: str) -> tuple[str, ...]:
    """The days that a key such as `2/4/2000` may be; () where it has one reading or is no day in digits."""
    either = _EITHER.fullmatch(key)
    if either is None:
        return ()
    days = _readings(int(either[1]), int(either[2]))
    return tuple(f"{either[3]}-{month:02}-{day:02}{either['time'] or ''}" for month, day in days)


def day_of_a_year(key: str) -> str | None:
    """`-03-15` of the key `march 15`, as the keys of its days end; None for anything else."""
    month, _, day = key.partition(" ")
    return f"-{_ENGLISH.index(month) + 1:02}-{day:0>2}" if month in _ENGLISH and day.isdigit() else None


def holds_date(text: str) -> bool:
    """Whether a text names a month or is a date in digits: its numbers are no amounts."""
    return _MONTH_NAME.search(text) is not None or _ANY_DIGITS.fullmatch(text) is not None
