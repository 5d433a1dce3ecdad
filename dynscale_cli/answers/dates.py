"""Days and times of day in the ways people write them, and the one key of each.

Owns "July 20, 1969", "the 20th of July 1969" and "1969-07-20", "3:15 PM" and "15:15". Months are English; days
written in digits alone ("3/6/2024") mean two things and are left as they are. Must not know of other answers.
"""

from __future__ import annotations

import re

from dynscale_cli.answers.normalize import plain

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH = r"(?P<month>" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS) + r"|sept)\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?"
_DATES = (
    re.compile(rf"(?:on\s+)?{_WEEKDAY}{_MONTH}\s+{_DAY}(?:,?\s+(?P<year>\d{{4}}))?"),
    re.compile(rf"(?:on\s+)?{_WEEKDAY}(?:the\s+)?{_DAY}(?:\s+of)?\s+{_MONTH}(?:,?\s+(?P<year>\d{{4}}))?"),
)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"(?:at\s+)?(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d))?(?:\s?(?P<half>[ap])\.?\s?m\.?)?")
_MONTH_NAME = re.compile(
    r"\b(?:jan|febr?|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)(?:[a-z]{2,6})?\b\.?", re.IGNORECASE
)
_IN_DIGITS = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\s*")
_LONGEST = 48


def moment(text: str) -> str | None:
    """`1969-07-20`, `july 20` or `15:15` for a text that is a day or a time of day and nothing else."""
    if len(text) > _LONGEST or not any(char.isdigit() for char in text):
        return None
    said = " ".join(plain(text).lower().split()).strip(" *_`'\"").rstrip(".,;")
    if _ISO.fullmatch(said):
        return said
    for form in _DATES:
        date = form.fullmatch(said)
        if date is not None and 1 <= int(date["day"]) <= 31:
            return _date(date["month"], int(date["day"]), date["year"])
    time = _TIME.fullmatch(said)
    if time is None or not (time["minute"] or time["half"]):
        return None
    return clock(int(time["hour"]), time["minute"] or "00", time["half"])


def _date(name: str, day: int, year: str | None) -> str:
    month = next(number for number, full in enumerate(_MONTHS, 1) if full.startswith(name[:3]))
    return f"{_MONTHS[month - 1]} {day}" if year is None else f"{year}-{month:02}-{day:02}"


def clock(hour: int, minute: str, half: str | None) -> str:
    """A time of day on the 24-hour clock; `half` is `a` or `p`, None where it is not said."""
    if half is not None and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    return f"{hour}:{minute}"


def holds_date(text: str) -> bool:
    """Whether a text names a month or is a date in digits: its numbers are no amounts."""
    return _MONTH_NAME.search(text) is not None or _IN_DIGITS.fullmatch(text) is not None
