"""Describes numbers in time columns: which unit would make them plausible times.

Numbers are never read as times, because their unit, zone and epoch would be guesses. The error
message suggests the unit that fits.
"""

import math
import re
from datetime import date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - no zone: the file's zone is unknown
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001

_PLAUSIBLE = (date(2008, 1, 1), date(2100, 1, 1))
"""Trips are published since 2009. Clocks that were reset show 2008."""

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
    """Describes the unit in which a number would be a plausible time, and that time.

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


def describe_time(text: str) -> str:
    """Describes a text that is not an ISO 8601 time; empty if it is of no known form."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        fits = unit_that_fits(float(text))
        return f"a number; {fits}" if fits else "a number"
    if _US_TIME.fullmatch(text):
        return "a time with slashes, in which day and month are ambiguous"
    return ""
