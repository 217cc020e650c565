"""Numbers where times should be: what they would be the count of.

They are not read as times, because the unit, the zone and the day that they count from are guesses.
A message can say which guess fits.
"""

import math
import re
from datetime import date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall time, or whatever the file means
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001

_PLAUSIBLE = (date(2008, 1, 1), date(2100, 1, 1))
"""Trips are published since 2009; clocks that were reset stand at 2008."""

_UNITS = (
    ("seconds since 1970", _EPOCH, 1.0),
    ("milliseconds since 1970", _EPOCH, 1e-3),
    ("microseconds since 1970", _EPOCH, 1e-6),
    ("nanoseconds since 1970", _EPOCH, 1e-9),
    ("Excel's days since 1900", _EXCEL_EPOCH, 86_400.0),
    ("days since 1970", _EPOCH, 86_400.0),
)

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_US_TIME = re.compile(r"\d{1,2}/\d{1,2}/\d{2,4}\b.*")


def unit_that_fits(number: float) -> str | None:
    """What a number would have to count to be the time of a trip, and which: in words.

    >>> unit_that_fits(1704067500000)
    'as milliseconds since 1970 it would be 2024-01-01 00:05:00'
    """
    for unit, start, seconds in _UNITS:
        counted = number * seconds
        if not math.isfinite(counted) or abs(counted) > 4e9:
            continue
        time = start + timedelta(seconds=counted)
        if _PLAUSIBLE[0] <= time.date() < _PLAUSIBLE[1]:
            return f"as {unit} it would be {time.replace(microsecond=0)}"
    return None


def what_a_time_looks_like(text: str) -> str:
    """What can be said of a text that is no time in ISO 8601; empty if nothing can."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        fits = unit_that_fits(float(text))
        return f"a number; {fits}" if fits else "a number"
    if _US_TIME.fullmatch(text):
        return "a time with slashes, in which day and month can be taken for each other"
    return ""
