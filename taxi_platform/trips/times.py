"""Converts times of any type to New York wall time in microseconds.

Times in a known zone are converted. UTC is ambiguous, because programs that always write a zone
often label wall time as UTC; ``utc_times`` says how to read it. Fractions finer than microseconds
are truncated. Numbers are not accepted as times: see ``units``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.trips.arrow_values import FALSE, integers, numbers_of, present
from taxi_platform.trips.columns import TIME

UtcTimes = Literal["wall_time", "convert"]
"""How to read times labeled UTC: as New York wall time, or by converting them from UTC."""

NEW_YORK = "America/New_York"

_NAMES_OF_UTC = frozenset(
    "utc etc/utc uct etc/uct z zulu etc/zulu universal etc/universal gmt etc/gmt gmt0 etc/gmt0 "
    "gmt+0 gmt-0 etc/gmt+0 etc/gmt-0 greenwich etc/greenwich +00 -00 +00:00 -00:00 +0000 "
    "-0000".split()
)

_INSTANT = pa.timestamp("us", "UTC")

_HOUR = 3_600_000_000

_CLOCK = r"(:\d{2}(?:\.\d{1,6})?)"
_FINER = r"(:\d{2}\.\d{6})\d+"
_NAMED_UTC = _CLOCK + r"\s*(?:[Zz]|UTC|GMT)$"
_APART = _CLOCK + r"\s+([+-]\d{2}(?::?\d{2})?)$"
_ZONED = _CLOCK + r"(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_IN_UTC = _CLOCK + r"(?:Z|[+-]00(?::?00)?)$"


@dataclass(frozen=True)
class WallTimes:
    """Times in New York wall time, and how many of them were labeled UTC.

    Attributes:
        values: New York wall time, timestamp[us] without a zone.
        labeled: how many were labeled UTC.
        first_labeled: the position of the first one labeled UTC, if any.
        cut: how many had no minutes, and were read as the start of their day or hour.
        first_cut: the position of the first of these, if any.
    """

    values: pa.Array
    labeled: int = 0
    first_labeled: int = 0
    cut: int = 0
    first_cut: int = 0


def is_utc(zone: str) -> bool:
    """Whether a zone name means UTC."""
    return zone.lower() in _NAMES_OF_UTC


def wall_times(array: pa.Array, utc_times: UtcTimes) -> WallTimes:
    """Converts timestamps of any unit and zone to wall time.

    Raises:
        pa.ArrowInvalid: a time is out of range for microseconds.
    """
    zone = array.type.tz
    # Truncate nanoseconds, but do not let a coarser unit overflow.
    instants = array.cast(pa.timestamp("us", zone), safe=array.type.unit != "ns")
    if zone is None:
        return WallTimes(instants)
    utc = is_utc(zone)
    if utc and utc_times == "wall_time":
        return _all_labeled(array, instants.cast(_INSTANT).cast(TIME))
    local = _in_new_york(instants)
    return _all_labeled(array, local) if utc else WallTimes(local)


def wall_times_of_texts(array: pa.Array, utc_times: UtcTimes) -> WallTimes:
    """Converts ISO 8601 texts, with or without a zone, to wall time.

    ``Z``, ``UTC``, ``GMT`` and ``+00:00`` are labels of UTC; any other offset is converted. A date
    alone is midnight, as some programs write it.

    Raises:
        pa.ArrowInvalid: a text is not a time in ISO 8601.
    """
    without = pc.fill_null(pc.invert(pc.match_substring(array, ":")), FALSE)
    some = {"cut": without.true_count, "first_cut": _first(without)}
    try:
        return WallTimes(array.cast(TIME), **some)
    except pa.ArrowInvalid:
        pass
    array = pc.replace_substring_regex(array, _FINER, r"\1")
    array = pc.replace_substring_regex(array, _NAMED_UTC, r"\1Z")
    array = pc.replace_substring_regex(array, _APART, r"\1\2")
    zoned = pc.match_substring_regex(array, _ZONED)
    none = pa.nulls(1, array.type)[0]
    plain = pc.if_else(zoned, none, array).cast(TIME)
    instants = pc.if_else(zoned, array, none).cast(_INSTANT)
    labeled = pc.fill_null(pc.match_substring_regex(array, _IN_UTC), FALSE)
    local = _in_new_york(instants)
    if utc_times == "wall_time":
        local = pc.if_else(labeled, instants.cast(TIME), local)
    return WallTimes(pc.coalesce(plain, local), labeled.true_count, _first(labeled), **some)


def full_hours(times: pa.Array) -> pa.Int64Array:
    """The positions of the times that are the start of an hour.

    Args:
        times: timestamp[us] without a zone.
    """
    if times.null_count == len(times):
        return integers([])
    is_full = numbers_of(times.view(pa.int64())) % _HOUR == 0
    if times.null_count:
        is_full &= present(times)
    return integers(np.flatnonzero(is_full))


def has_zones_or_fractions(array: pa.Array) -> bool:
    """Whether texts are times with a zone or with more than six decimals, which Arrow rejects."""
    finer = pc.match_substring_regex(array, f"(?:{_FINER})|(?:{_NAMED_UTC})|(?:{_APART})|{_ZONED}")
    return bool(pc.any(finer).as_py())


def _all_labeled(array: pa.Array, values: pa.Array) -> WallTimes:
    valid = pc.is_valid(array)
    return WallTimes(values, valid.true_count, _first(valid))


def _first(mask: pa.BooleanArray) -> int:
    positions = pc.indices_nonzero(mask)
    return positions[0].as_py() if len(positions) else 0


def _in_new_york(instants: pa.Array) -> pa.Array:
    return pc.local_timestamp(instants.cast(pa.timestamp("us", NEW_YORK)))


def repeated_hours(hours: pa.Array) -> pa.BooleanArray:
    """A mask of the hours of wall time that occur twice, when New York sets clocks back in fall.

    Args:
        hours: timestamp[us] without a zone, each the start of an hour.
    """
    distinct = pc.unique(hours.drop_null())
    twice = [hour for hour in distinct if _is_repeated(hour.as_py())]
    if not twice:
        return pc.is_in(hours, value_set=distinct[:0])
    return pc.is_in(hours, value_set=pc.take(distinct, _positions(distinct, twice)))


def _positions(distinct: pa.Array, chosen: list[pa.Scalar]) -> pa.Array:
    mask = pc.equal(distinct, chosen[0])
    for hour in chosen[1:]:
        mask = pc.or_(mask, pc.equal(distinct, hour))
    return pc.indices_nonzero(mask)


@cache
def _is_repeated(hour: datetime) -> bool:
    zone = ZoneInfo(NEW_YORK)
    offsets = [hour.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)]
    first, second = (offset or timedelta() for offset in offsets)
    # For an hour skipped in spring, the order of the two offsets is reversed.
    return first > second
