"""Tables of users' assets, in every store: replaced by month or whole, and read back."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from taxi_platform.errors import PermanentStoreError, StoreError
from taxi_platform.settings import load_settings
from taxi_platform.stores.base import TableStore
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.stores.registry import STORES
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.faults.reader import readers

pytestmark = pytest.mark.integration

PLACE = "derived"
"""The schema and dataset of these tests."""

MARCH, APRIL = date(2023, 3, 1), date(2023, 4, 1)
_numbers = count()


@pytest.fixture(scope="module", params=sorted(STORES))
def store(request: pytest.FixtureRequest, stack: EmbeddedStack) -> Iterator[TableStore]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as opened:
        changed = {"TAXI_POSTGRES_SCHEMA": PLACE, "TAXI_BIGQUERY_DATASET": PLACE}
        for name, value in (stack.environment | changed).items():
            patch.setenv(name, value)
        yield opened.enter_context(load_settings().open_store(request.param))


@pytest.fixture
def table() -> str:
    return f"derived_{next(_numbers)}"


def rows(month: date | None = None, **columns: list[Any]) -> pa.RecordBatchReader:
    """Rows of a derived table, with the month's column if it has a month."""
    made = pa.table(columns)
    if month is not None:
        made = made.append_column("data_file_month", pa.array([month] * len(made), pa.date32()))
    return made.to_reader()


def read(store: TableStore, table: str, month: date | None = None, *names: str) -> pa.Table:
    return store.stream_rows(table, month, list(names) or None).read_all()


def test_a_month_is_replaced_and_not_doubled_and_its_neighbour_stays(
    store: TableStore, table: str
) -> None:
    store.replace_rows(table, APRIL, rows(APRIL, tip=[9.0]))
    for tips in ([1.0, 2.0], [3.0], [3.0]):
        load = store.replace_rows(table, MARCH, rows(MARCH, tip=tips))
        assert load.rows == len(tips)
        assert table in load.table
        assert read(store, table, MARCH, "tip")["tip"].to_pylist() == tips
    assert read(store, table, APRIL, "tip")["tip"].to_pylist() == [9.0]
    assert sorted(read(store, table, None, "tip")["tip"].to_pylist()) == [3.0, 9.0]


def test_a_whole_table_is_replaced_and_not_doubled(store: TableStore, table: str) -> None:
    for names in (["a", "b"], ["c"], ["c"]):
        assert store.replace_rows(table, None, rows(name=names)).rows == len(names)
        assert read(store, table)["name"].to_pylist() == names
    assert store.replace_rows(table, None, rows(name=pa.array([], pa.string()))).rows == 0
    assert read(store, table).num_rows == 0


@pytest.mark.parametrize("month", [MARCH, None])
def test_a_table_gains_columns_and_keeps_those_that_are_gone(
    store: TableStore, table: str, month: date | None
) -> None:
    store.replace_rows(table, month, rows(month, old=[1]))
    if month:
        store.replace_rows(table, APRIL, rows(APRIL, old=[2]))
    store.replace_rows(table, month, rows(month, new=["x"]))
    found = read(store, table, month, "old", "new")
    assert found.to_pylist() == [{"old": None, "new": "x"}]
    if month:
        assert read(store, table, APRIL, "old", "new").to_pylist() == [{"old": 2, "new": None}]


@pytest.mark.parametrize("month", [MARCH, None])
def test_a_table_that_does_not_fit_is_refused_by_name_and_stays(
    store: TableStore, table: str, month: date | None
) -> None:
    store.replace_rows(table, month, rows(month, tip=[1.5]))
    with pytest.raises(PermanentStoreError, match="does not fit the schema: tip is") as refused:
        store.replace_rows(table, month, rows(month, tip=["much"]))
    said = str(refused.value)
    assert said.startswith(f"{table} of 2023-03: " if month else f"{table}: ")
    assert f"{PLACE}.{table}" in said.replace(":", ".")
    assert read(store, table, month)["tip"].to_pylist() == [1.5]
    otherwise = None if month else MARCH
    with pytest.raises(PermanentStoreError, match="partitioned"):
        store.replace_rows(table, otherwise, rows(otherwise, tip=[2.5]))
    assert read(store, table, month)["tip"].to_pylist() == [1.5]


VALUES: dict[str, tuple[pa.Array, list[Any]]] = {
    "bool": (pa.array([True, False, None]), [True, False, None]),
    **{
        str(kind): (pa.array([-5, 7, None], kind), [-5, 7, None])
        for kind in (pa.int8(), pa.int16(), pa.int32())
    },
    **{
        str(kind): (pa.array([5, 200, None], kind), [5, 200, None])
        for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    },
    "int64": (pa.array([-(2**63), 2**63 - 1, None]), [-(2**63), 2**63 - 1, None]),
    "float32": (pa.array([0.5, -1.25, None], pa.float32()), [0.5, -1.25, None]),
    "float64": (pa.array([0.1, 1e300, None]), [0.1, 1e300, None]),
    "string": (pa.array(["", 'Ünïcode, "quoted"\n', None]), ["", 'Ünïcode, "quoted"\n', None]),
    "large_string": (pa.array(["a", None, "b"], pa.large_string()), ["a", None, "b"]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    "date32": (
        pa.array([date(1970, 1, 1), date(2199, 12, 31), None]),
        [date(1970, 1, 1), date(2199, 12, 31), None],
    ),
    "date64": (
        pa.array([date(2023, 3, 1), None, None], pa.date64()),
        [date(2023, 3, 1), None, None],
    ),
    "timestamp": (
        pa.array([datetime(2023, 3, 1, 2, 30, 0, 123456), None, None], pa.timestamp("us")),  # noqa: DTZ001
        [datetime(2023, 3, 1, 2, 30, 0, 123456), None, None],  # noqa: DTZ001
    ),
    "timestamp of pandas": (
        pa.array([datetime(2023, 3, 1, 2, 30), None, None], pa.timestamp("ns")),  # noqa: DTZ001
        [datetime(2023, 3, 1, 2, 30), None, None],  # noqa: DTZ001
    ),
    "instant": (
        pa.array(
            [datetime(2023, 3, 1, 7, 30, tzinfo=UTC), None, None],
            pa.timestamp("us", "America/New_York"),
        ),
        [datetime(2023, 3, 1, 7, 30, tzinfo=UTC), None, None],
    ),
}


@pytest.mark.parametrize("month", [MARCH, None])
def test_values_of_every_type_come_back_equal(
    store: TableStore, table: str, month: date | None
) -> None:
    columns = {f"c{n}": array for n, (array, _) in enumerate(VALUES.values())}
    store.replace_rows(table, month, rows(month, key=[0, 1, 2], **columns))
    found = read(store, table, month).sort_by("key")
    for number, (kind, (_, expected)) in enumerate(VALUES.items()):
        assert found[f"c{number}"].to_pylist() == expected, kind


REFUSED: dict[str, tuple[pa.Array, str]] = {
    "a list": (pa.array([[1]]), "no store supports the column value of type list"),
    "a decimal": (pa.array([Decimal("1.5")]), "no store supports the column value of type decimal"),
    "nothing at all": (pa.nulls(1), "no store supports the column value of type null"),
    "an integer beyond 64 bits": (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
    "nanoseconds": (pa.array([1], pa.timestamp("ns")), "would lose data"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_store_takes_is_refused_for_good_and_leaves_the_table(
    store: TableStore, table: str, kind: str
) -> None:
    store.replace_rows(table, None, rows(other=[1]))
    value, said = REFUSED[kind]
    with pytest.raises(PermanentStoreError, match=said) as refused:
        store.replace_rows(table, None, rows(value=value))
    assert str(refused.value).startswith(f"{table}: ")
    assert read(store, table, None, "other").to_pylist() == [{"other": 1}]


@pytest.mark.parametrize("month", [MARCH, None])
def test_rows_that_fail_on_their_way_raise_their_own_error_and_leave_the_table(
    store: TableStore, table: str, month: date | None
) -> None:
    store.replace_rows(table, month, rows(month, number=[1]))
    good = rows(month, number=list(range(50_000))).read_all().to_batches()

    def breaking() -> Iterator[pa.RecordBatch]:
        yield from good
        raise ZeroDivisionError("in the middle of somebody's rows")

    broken = pa.RecordBatchReader.from_batches(good[0].schema, breaking())
    with pytest.raises(ZeroDivisionError, match="somebody's rows"):
        store.replace_rows(table, month, broken)
    assert read(store, table, month)["number"].to_pylist() == [1]


def test_rows_of_another_month_are_refused(store: TableStore, table: str) -> None:
    store.replace_rows(table, MARCH, rows(MARCH, number=[1]))
    with pytest.raises(PermanentStoreError, match=rf"^{table} of 2023-03: "):
        store.replace_rows(table, MARCH, rows(APRIL, number=[2]))
    assert read(store, table, None)["number"].to_pylist() == [1]


def test_a_column_that_is_none_and_a_table_that_is_none_are_named(
    store: TableStore, table: str
) -> None:
    with pytest.raises(StoreError, match=table):
        store.stream_rows(table, None)
    store.replace_rows(table, None, rows(number=[1]))
    with pytest.raises(ValueError, match="no column nonsense"):
        store.stream_rows(table, None, ["nonsense"])


def test_a_reader_sees_the_rows_before_or_after_and_none_between(
    store: TableStore, table: str, stack: EmbeddedStack
) -> None:
    versions = [rows(number=[n] * size).read_all() for n, size in ((1, 3_000), (2, 4_000))]
    store.replace_rows(table, None, versions[0].to_reader())
    if isinstance(store, PostgresStore):
        kind, address, integer = "postgres", stack.postgres().conninfo, "bigint"
    else:
        kind, address, integer = "bigquery", stack.environment["BIGQUERY_EMULATOR_HOST"], "INT64"
    query = f"SELECT COUNT(*), CAST(SUM(number) AS {integer}) FROM {store.table_name(table)}"
    with readers(kind, address, [query]) as (reader,):
        for turn in range(200):
            store.replace_rows(table, None, versions[turn % 2].to_reader())
            assert reader.errors == []
            if turn >= 20 and len(set(reader.rows)) > 1 and len(reader.rows) >= 20:
                break
    assert set(reader.rows) == {(3_000, 3_000), (4_000, 8_000)}


@pytest.mark.parametrize(("month", "longest"), [(MARCH, 46), (None, 63)])
def test_a_name_that_postgres_would_cut_is_refused(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch, month: date | None, longest: int
) -> None:
    for name, value in (stack.environment | {"TAXI_POSTGRES_SCHEMA": PLACE}).items():
        monkeypatch.setenv(name, value)
    fits = f"{'fits_':x<{longest}}"
    with load_settings().open_store("postgres") as store:
        store.replace_rows(fits, month, rows(month, number=[1]))
        assert read(store, fits, month)["number"].to_pylist() == [1]
        with pytest.raises(PermanentStoreError, match="too long for Postgres by 1 bytes"):
            store.replace_rows(f"{fits}x", month, rows(month, number=[2]))
        assert read(store, fits, month)["number"].to_pylist() == [1]


def _in_postgres(stack: EmbeddedStack, table: str) -> None:
    with psycopg.connect(stack.postgres().conninfo) as connection:
        connection.execute(f"ALTER TABLE {PLACE}.{table} ADD COLUMN foreign_one numeric(9, 2)")


def _in_bigquery(stack: EmbeddedStack, table: str) -> None:
    with bigquery.Client(
        project=stack.environment["TAXI_GCP_PROJECT"],
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": stack.environment["BIGQUERY_EMULATOR_HOST"]},
    ) as client:
        changed = client.get_table(f"{PLACE}.{table}")
        changed.schema = [*changed.schema, bigquery.SchemaField("foreign_one", "NUMERIC")]
        client.update_table(changed, ["schema"])


def test_a_column_of_a_type_that_no_load_makes_is_left_out(
    store: TableStore, table: str, stack: EmbeddedStack
) -> None:
    store.replace_rows(table, None, rows(number=[1]))
    (_in_postgres if isinstance(store, PostgresStore) else _in_bigquery)(stack, table)
    assert read(store, table).to_pylist() == [{"number": 1}]
    with pytest.raises(ValueError, match="no column foreign_one"):
        store.stream_rows(table, None, ["foreign_one"])


def test_a_column_without_any_value_is_null_whatever_its_type_was(
    store: TableStore, table: str
) -> None:
    store.replace_rows(table, MARCH, rows(MARCH, zone=["JFK"], tip=[1.0]))
    store.replace_rows(table, MARCH, rows(MARCH, zone=pa.nulls(1), tip=[2.0]))
    assert read(store, table, MARCH, "zone", "tip").to_pylist() == [{"zone": None, "tip": 2.0}]


def test_a_month_of_another_table_is_neither_replaced_nor_dropped(
    store: TableStore, table: str
) -> None:
    if not isinstance(store, PostgresStore):
        pytest.skip("a partition of BigQuery has no name of its own")
    store.replace_rows(table, MARCH, rows(MARCH, tip=[1.0]))
    child = f"{table}_2023_03"
    with pytest.raises(PermanentStoreError, match="it is a partition of another table"):
        store.replace_rows(child, None, rows(tip=[9.0]))
    # The other way round: a table of somebody's has the name that a month would have.
    store.replace_rows(f"{table}_2023_04", None, rows(tip=[5.0]))
    with pytest.raises(PermanentStoreError, match=f"{table}_2023_04 is not one of its months"):
        store.replace_rows(table, APRIL, rows(APRIL, tip=[9.0]))
    assert read(store, f"{table}_2023_04")["tip"].to_pylist() == [5.0]
    assert read(store, table, MARCH, "tip")["tip"].to_pylist() == [1.0]


def test_a_column_whose_name_postgres_would_cut_is_refused(store: TableStore, table: str) -> None:
    if not isinstance(store, PostgresStore):
        pytest.skip("BigQuery has longer names")
    with pytest.raises(PermanentStoreError, match="longer than 63 bytes"):
        store.replace_rows(table, None, pa.table({"x" * 64: [1]}).to_reader())
