from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from taxi_platform.stores.bigquery import BigQueryTrips
from taxi_platform.stores.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.files import LandingZone
from taxi_platform.stores.lake import TripLake
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import trip_schema
from taxi_platform.trips.totals import MonthTotals
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.stores.conftest import cleaned_month

pytestmark = pytest.mark.integration

MARCH = TripMonth.from_key("green|2023-03")
APRIL = TripMonth.from_key("green|2023-04")


@pytest.fixture
def client(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[bigquery.Client]:
    for name in ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
        monkeypatch.setenv(name, stack.environment[name])
    with bigquery.Client(project="test", credentials=AnonymousCredentials()) as connected:
        yield connected


@pytest.fixture
def tables(client: bigquery.Client) -> BigQueryTrips:
    return BigQueryTrips(client, "store_test")


@pytest.fixture
def lake(client: bigquery.Client, stack: EmbeddedStack) -> Iterator[TripLake]:
    with storage.Client(project="test", credentials=AnonymousCredentials()) as connected:
        yield TripLake(connected, stack.environment["TAXI_GCS_BUCKET"])


def holding(client: bigquery.Client, month: TripMonth) -> tuple[int, Decimal]:
    rows = client.query_and_wait(
        "SELECT COUNT(*) n, SUM(total_amount) total FROM store_test.green_trips "
        f"WHERE data_file_month = DATE '{month.month}'"
    )
    row = next(iter(rows))
    return row.n, Decimal(str(row.total or 0)).quantize(Decimal("0.01"))


def test_a_month_is_replaced_and_its_neighbour_is_not_touched(
    tables: BigQueryTrips, lake: TripLake, client: bigquery.Client, landing: LandingZone
) -> None:
    april = cleaned_month(landing, APRIL, 500)
    tables.replace_month(lake.upload(april)[0])
    for rows in (2_000, 1_000, 1_000):
        trips = cleaned_month(landing, MARCH, rows)
        load = tables.replace_month(lake.upload(trips)[0])
        assert load.rows == trips.rows
        assert not load.attached
        assert holding(client, MARCH) == (trips.rows, trips.total_amount)
    assert holding(client, APRIL) == (april.rows, april.total_amount)


def test_the_table_is_partitioned_clustered_and_described(
    tables: BigQueryTrips, lake: TripLake, client: bigquery.Client, landing: LandingZone
) -> None:
    load = tables.replace_month(lake.upload(cleaned_month(landing, MARCH, 100))[0])
    assert load.table == "test.store_test.green_trips"
    table = client.get_table(load.table)
    assert table.time_partitioning.type_ == "MONTH"
    assert table.time_partitioning.field == "data_file_month"
    assert table.clustering_fields == ["pickup_location_id"]
    assert [field.name for field in table.schema] == trip_schema("green").names
    assert {field.name: field.field_type for field in table.schema}["pickup_datetime"] == "DATETIME"
    assert all(field.description for field in table.schema)


def test_rows_come_back_as_they_were_cleaned(
    tables: BigQueryTrips, lake: TripLake, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MARCH, 1_000)
    tables.replace_month(lake.upload(trips)[0])
    names = ["pickup_datetime", "total_amount", "passenger_count", "store_and_fwd_flag"]
    order = [(name, "ascending") for name in names]
    read = tables.read_month(MARCH, names).sort_by(order)
    written = pq.read_table(trips.path, columns=names).select(names).sort_by(order)
    for name in names:
        assert pc.all(pc.equal(read[name], written[name].cast(read[name].type))).as_py()
    with pytest.raises(PermanentStoreError, match="no column nonsense"):
        tables.read_month(MARCH, ["nonsense"])


def test_an_object_with_fewer_rows_than_it_claims_is_reported(
    tables: BigQueryTrips, lake: TripLake, landing: LandingZone
) -> None:
    stored, _ = lake.upload(cleaned_month(landing, MARCH, 100))
    with pytest.raises(PermanentStoreError, match=r"green\|2023-03: load job .* wrote"):
        tables.replace_month(replace(stored, totals=MonthTotals(101, {})))


def test_a_missing_object_fails_for_good_and_leaves_the_month(
    tables: BigQueryTrips, lake: TripLake, client: bigquery.Client, landing: LandingZone
) -> None:
    stored, _ = lake.upload(cleaned_month(landing, MARCH, 700))
    tables.replace_month(stored)
    before = holding(client, MARCH)
    with pytest.raises(PermanentStoreError, match=r"green\|2023-03: BigQuery.*gs://taxi-lake/gone"):
        tables.replace_month(replace(stored, name="gone.parquet", generation=1))
    assert holding(client, MARCH) == before


def test_a_month_that_is_not_the_partitions_is_refused(
    tables: BigQueryTrips, lake: TripLake, client: bigquery.Client, landing: LandingZone
) -> None:
    stored, _ = lake.upload(cleaned_month(landing, MARCH, 700))
    tables.replace_month(stored)
    before = holding(client, APRIL)
    with pytest.raises(PermanentStoreError, match="partition"):
        tables.replace_month(replace(stored, month=APRIL))
    assert holding(client, APRIL) == before


def test_an_unreachable_server_is_worth_another_try(
    client: bigquery.Client,
    lake: TripLake,
    landing: LandingZone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored, _ = lake.upload(cleaned_month(landing, MARCH, 100))
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    with (
        bigquery.Client(project="test", credentials=AnonymousCredentials()) as gone,
        pytest.raises(TransientStoreError, match=r"green\|2023-03: BigQuery, test\.store_test"),
    ):
        BigQueryTrips(gone, "store_test").replace_month(stored)
