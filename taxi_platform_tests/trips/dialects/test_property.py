"""A month written in any dialect is read unchanged, or refused with a message."""

import csv
import gzip
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.types import trip_type
from taxi_platform_tests.trips.dialects.months import (
    Rows,
    canonical_rows,
    picked,
    published_names,
    read,
)

NEW_YORK = ZoneInfo("America/New_York")
UTC = timezone.utc  # noqa: UP017

deterministic = settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Way:
    """One way to write a column.

    Attributes:
        make: converts a value that is not missing to the written value.
        type: type of the written values in Parquet.
        missing: the written value for a missing value.
        utc_times: the setting that reads it correctly, if that matters.
        refused: whether the file must be refused.
    """

    make: Callable[[Any], Any]
    type: pa.DataType
    missing: Any = None
    utc_times: str | None = None
    refused: bool = False


def _aware(time: datetime, zone: Any = NEW_YORK) -> datetime:
    return time.replace(tzinfo=zone)


def _epoch(factor: int) -> Callable[[datetime], int]:
    return lambda t: int(_aware(t, UTC).timestamp()) * factor


TIMES = {
    **{f"timestamp {u}": Way(lambda t: t, pa.timestamp(u)) for u in ("s", "ms", "us", "ns")},
    **{
        f"{zone} {u}": Way(_aware, pa.timestamp(u, zone))
        for zone in ("America/New_York", "Europe/London", "-05:00")
        for u in ("ms", "us", "ns")
    },
    "UTC label": Way(lambda t: _aware(t, UTC), pa.timestamp("us", "UTC"), None, "wall_time"),
    "UTC instant": Way(_aware, pa.timestamp("us", "UTC"), None, "convert"),
    "text": Way(str, pa.string(), ""),
    "text with T": Way(lambda t: t.isoformat(), pa.large_string(), "NaT"),
    "text with offset": Way(lambda t: str(_aware(t)), pa.string(), "\\N"),
    "text in UTC": Way(lambda t: f"{t} UTC", pa.string(), "null", "wall_time"),
    "text in Zulu": Way(
        lambda t: f"{_aware(t).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", pa.string(), "", "convert"
    ),
    "text of nanoseconds": Way(lambda t: f"{t}.000000001", pa.string(), "<NA>"),
    "epoch ms": Way(_epoch(1000), pa.int64(), None, None, refused=True),
    "epoch s": Way(_epoch(1), pa.float64(), None, None, refused=True),
    "US text": Way(lambda t: f"{t:%m/%d/%Y %I:%M:%S %p}", pa.string(), "", None, refused=True),
    "date": Way(lambda t: t.date(), pa.date32(), None, None, refused=True),
    "text of a date": Way(lambda t: str(t.date()), pa.string(), None, None, refused=True),
}
AMOUNTS = {
    "double": Way(lambda a: a, pa.float64()),
    "float": Way(lambda a: a, pa.float32()),
    "NaN": Way(lambda a: a, pa.float64(), float("nan")),
    "decimal 2": Way(lambda a: Decimal(str(a)), pa.decimal128(12, 2)),
    "NUMERIC": Way(lambda a: Decimal(str(a)), pa.decimal128(38, 9)),
    "text": Way(str, pa.string(), "NULL"),
    "text of zeros": Way(lambda a: f"{a:.3f}", pa.large_string(), "None"),
    "half": Way(lambda a: a, pa.float16(), None, None, refused=True),
    "dollar sign": Way(lambda a: f"${a}", pa.string(), "", None, refused=True),
}
CODES = {
    **{str(t): Way(lambda c: c, t) for t in (pa.int8(), pa.int32(), pa.int64(), pa.uint16())},
    "double": Way(float, pa.float64(), float("nan")),
    "float": Way(float, pa.float32()),
    "text": Way(str, pa.string(), "N/A"),
    "float text": Way(lambda c: f"{c}.0", pa.string(), ""),
    "blanks": Way(lambda c: f" {c} ", pa.string(), " "),
    "NUMERIC": Way(Decimal, pa.decimal128(38, 9)),
    "hexadecimal": Way(hex, pa.string(), "", None, refused=True),
    "truth value": Way(lambda c: c > 0, pa.bool_(), None, None, refused=True),
}
TEXTS = {
    "text": Way(str, pa.string()),
    "lower case": Way(str.lower, pa.string(), "\\N"),
    "blanks": Way(lambda t: f" {t}  ", pa.large_string(), "  "),
    "dictionary": Way(str, pa.dictionary(pa.int32(), pa.string())),
    "bytes": Way(str.encode, pa.binary()),
    "null word": Way(str, pa.string(), "None"),
}
FLAGS = TEXTS | {
    "words": Way(lambda f: "true" if f == "Y" else "FALSE", pa.string()),
    "truth values": Way(lambda f: f == "Y", pa.bool_()),
    "digits": Way(lambda f: "1" if f == "Y" else "0", pa.string(), ""),
    "numbers": Way(lambda f: float(f == "Y"), pa.float64()),
}


def ways_of(column: Any) -> dict[str, Way]:
    if pa.types.is_timestamp(column.type):
        return TIMES
    if pa.types.is_floating(column.type):
        return AMOUNTS
    if pa.types.is_integer(column.type):
        return (
            {k: w for k, w in CODES.items() if k != "int8"} if column.name == "trip_time" else CODES
        )
    return FLAGS if column.domain == "N|Y" else TEXTS


@st.composite
def choices(draw: st.DrawFn, color: str, rows: Rows) -> dict[str, Way]:
    """A way to write each column. Few must be refused, and all need the same ``utc_times``."""
    reading = draw(st.sampled_from(["wall_time", "convert"]))
    may_refuse = draw(st.integers(0, 3)) == 0
    chosen = {}
    for column in trip_type(color).columns:
        if column.name not in rows[0]:
            continue
        allowed = {
            name: way
            for name, way in ways_of(column).items()
            if way.utc_times in (None, reading) and (may_refuse or not way.refused)
        }
        chosen[column.name] = allowed[draw(st.sampled_from(sorted(allowed)))]
    chosen[""] = Way(str, pa.null(), None, reading)
    return chosen


def as_parquet(
    path: Path, rows: Rows, names: dict[str, str], ways: dict[str, Way], data: Any
) -> None:
    arrays = {}
    for name in rows[0]:
        way = ways[name]
        values = [way.missing if r[name] is None else way.make(r[name]) for r in rows]
        array = pa.array(values, way.type, from_pandas=False)
        if data.draw(st.booleans()) and pa.types.is_string(array.type):
            array = array.dictionary_encode()
        arrays[names[name]] = array
    out = io.BytesIO()
    pq.write_table(
        pa.table(arrays),
        out,
        row_group_size=data.draw(st.integers(1, 30)),
        version=data.draw(st.sampled_from(["1.0", "2.4", "2.6"])),
        write_page_checksum=data.draw(st.booleans()),
        store_schema=True,
    )
    content = out.getvalue()
    path.write_bytes(gzip.compress(content) if data.draw(st.booleans()) else content)


def as_csv(path: Path, rows: Rows, names: dict[str, str], ways: dict[str, Way], data: Any) -> bool:
    """Writes a CSV. Returns whether it must be refused because of its format."""
    out = io.StringIO(newline="")
    separator = data.draw(st.sampled_from([*",,,,;"]))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r", "mixed"]))
    quoting = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    ends = itertools.cycle(["\n", "\r", "\r\n"] if end == "mixed" else [end])
    writer = csv.writer(out, delimiter=separator, lineterminator="", quoting=quoting)
    writer.writerow([names[name] for name in rows[0]])
    out.write(next(ends))
    for row in rows:
        fields = []
        for name in rows[0]:
            way = ways[name]
            value = way.missing if row[name] is None else way.make(row[name])
            value = value.decode() if isinstance(value, bytes) else value
            fields.append("" if value is None else value)
        writer.writerow(fields)
        out.write(next(ends))
    out.write("\n" if end == "mixed" else "")
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    content = out.getvalue().encode(encoding)
    path.write_bytes(gzip.compress(content) if data.draw(st.booleans()) else content)
    return separator != "," or end == "\r"


@pytest.mark.slow
@pytest.mark.parametrize("file", ["parquet", "csv"])
@pytest.mark.parametrize("color", ["green", "yellow", "fhvhv"])
@deterministic
@given(data=st.data())
def test_a_month_in_any_dialect_is_read_unchanged_or_refused(
    tmp_path: Path, color: str, file: str, data: st.DataObject
) -> None:
    rows = canonical_rows(color, data.draw(st.integers(0, 1 << 20)), data.draw(st.integers(1, 25)))
    ways = data.draw(choices(color, rows))
    names = published_names(trip_type(color))
    path = tmp_path / f"{color}_tripdata_2024-01.{file}"
    must_refuse = False
    if file == "csv":
        must_refuse = as_csv(path, rows, names, ways, data)
    else:
        as_parquet(path, rows, names, ways, data)
    reading = ways[""].utc_times
    refused = ""
    try:
        found, summary = read(path, color, utc_times=reading, max_rejected_share=0.0)
    except TripFileError as error:
        refused = str(error)
    if refused:
        assert must_refuse or any(way.refused for way in ways.values()), refused
        assert refused.isprintable()
        assert path.name in refused
        return
    assert not must_refuse
    # A column that must be refused may have had no values.
    assert picked(found, rows) == rows, ways
    assert summary.rows_rejected == 0
    assert summary.duplicate_rows == 0
