"""Every value that a table may have arrives in Postgres as it is, and comes back as it was."""

# ruff: noqa: DTZ001 (times without a zone are among the values)

import datetime as dt
import math
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pyarrow as pa
import pytest

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform_tests.conftest import EmbeddedStack

pytestmark = pytest.mark.integration

SCHEMA = "value_test"
UTC = dt.UTC

VALUES: dict[pa.DataType, list[object]] = {
    pa.bool_(): [True, False],
    pa.int16(): [0, -1, 2**15 - 1, -(2**15)],
    pa.int32(): [0, -1, 2**31 - 1, -(2**31)],
    pa.int64(): [0, -1, 2**63 - 1, -(2**63)],
    pa.float64(): [0.0, -0.0, 0.1, -1e308, 5e-324, math.inf, -math.inf, math.nan],
    pa.string(): ["", " ", "N", "\\N", 'a\n"b"\t\r\\', "Zürich 🚕", "x" * 100_000],
    pa.date32(): [
        dt.date(1, 1, 1),
        dt.date(1970, 1, 1),
        dt.date(1999, 12, 31),
        dt.date(9999, 1, 1),
    ],
    pa.timestamp("us"): [
        dt.datetime(1, 1, 1),
        dt.datetime(1999, 12, 31, 23, 59, 59, 999_999),
        dt.datetime(2000, 1, 1),
        dt.datetime(2024, 11, 3, 1, 30, 0, 1),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999_999),
    ],
    pa.timestamp("us", tz="UTC"): [
        dt.datetime(1883, 11, 18, 17, 0, tzinfo=UTC),
        dt.datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        dt.datetime(2024, 11, 3, 5, 30, tzinfo=UTC),
    ],
}


@pytest.fixture
def tables(stack: EmbeddedStack) -> Iterator[PostgresStore]:
    server = stack.postgres()
    yield PostgresStore(server, SCHEMA)
    with closing(psycopg.connect(server.conninfo, autocommit=True)) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def as_text(value: object) -> str:
    """A text that tells -0.0 from 0.0 and is equal for NaN."""
    return repr(value)


@pytest.mark.parametrize("kind", VALUES, ids=str)
def test_values_of_a_type_come_back_as_they_were(tables: PostgresStore, kind: pa.DataType) -> None:
    values = [*VALUES[kind], None]
    rows = pa.table(
        {"place": pa.array(range(len(values)), pa.int32()), "value": pa.array(values, kind)}
    )
    assert tables.replace_rows("every_value", None, rows.to_reader()).rows == len(values)
    with closing(psycopg.connect(tables.server.conninfo)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(f"SELECT value FROM {SCHEMA}.every_value ORDER BY place")
        texts = [as_text(value) for (value,) in found]
    # Postgres' client has a zone of its own name.
    assert [t.replace("zoneinfo.ZoneInfo(key='UTC')", "datetime.timezone.utc") for t in texts] == [
        as_text(value) for value in values
    ]
    back = tables.stream_rows("every_value", None).read_all().sort_by("place")
    # As Arrow: repr of the Python values tells -0.0 from 0.0.
    assert [as_text(v) for v in back["value"].to_pylist()] == [
        as_text(v) for v in rows["value"].to_pylist()
    ]


@pytest.mark.parametrize("value", [-(2**63) + 1, -(2**62) * 2 + 10**15])
def test_a_value_out_of_range_is_refused_and_nothing_is_replaced(
    tables: PostgresStore, value: int
) -> None:
    def rows(number: int) -> pa.RecordBatchReader:
        return pa.table({"value": pa.array([number], pa.timestamp("us"))}).to_reader()

    tables.replace_rows("times", None, rows(0))
    with pytest.raises(PermanentStoreError, match="times: Postgres at "):
        tables.replace_rows("times", None, rows(value))
    assert tables.stream_rows("times", None).read_all()["value"].to_pylist() == [
        dt.datetime(1970, 1, 1)
    ]


def test_a_table_of_one_large_batch_is_copied_in_small_ones(tables: PostgresStore) -> None:
    rows = pa.table({"value": pa.array(range(100_000), pa.int64())})
    assert tables.replace_rows("large", None, rows.to_reader()).rows == 100_000
    back = tables.stream_rows("large", None).read_all().sort_by("value")
    assert back.equals(rows)
