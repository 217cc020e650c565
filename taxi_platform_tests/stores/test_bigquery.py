from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.bigquery.settings import BigQuerySettings
from taxi_platform.stores.bigquery.store import BigQueryStore
from taxi_platform.stores.bigquery.types import bigquery_schema
from taxi_platform.stores.gcs.objects import GCSTrips
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.schema import trip_schema
from taxi_platform.trips.totals import MonthTotals
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.months import cleaned_month

pytestmark = pytest.mark.integration

MARCH = TripMonth.from_key("green|2023-03")
APRIL = TripMonth.from_key("green|2023-04")
SETTINGS = BigQuerySettings(dataset="store_test")


@pytest.fixture
def client(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[bigquery.Client]:
    for name in ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
        monkeypatch.setenv(name, stack.environment[name])
    with bigquery.Client(project="test", credentials=AnonymousCredentials()) as connected:
        yield connected


@pytest.fixture
def tables(client: bigquery.Client) -> BigQueryStore:
    return BigQueryStore(client, SETTINGS)


@pytest.fixture
def gcs(client: bigquery.Client, stack: EmbeddedStack) -> Iterator[GCSTrips]:
    with storage.Client(project="test", credentials=AnonymousCredentials()) as connected:
        yield GCSTrips(connected, stack.environment["TAXI_GCS_BUCKET"])


def holding(client: bigquery.Client, month: TripMonth) -> tuple[int, int]:
    """Rows, and the sum of ``total_amount`` in cents."""
    rows = client.query_and_wait(
        "SELECT COUNT(*) n, SUM(total_amount) total FROM store_test.green_trips "
        f"WHERE data_file_month = DATE '{month.month}'"
    )
    row = next(iter(rows))
    return row.n, round((row.total or 0) * 100)


def test_a_month_is_replaced_and_its_neighbour_is_not_touched(
    tables: BigQueryStore, gcs: GCSTrips, client: bigquery.Client, landing: LandingZone
) -> None:
    april = cleaned_month(landing, APRIL, 500)
    tables.replace_month(gcs.upload(april)[0])
    for rows in (2_000, 1_000, 1_000):
        trips = cleaned_month(landing, MARCH, rows)
        load = tables.replace_month(gcs.upload(trips)[0])
        assert load.rows == trips.rows
        assert load.details["attached_to_earlier_job"] is False
        assert holding(client, MARCH) == (trips.rows, trips.total_cents)
    assert holding(client, APRIL) == (april.rows, april.total_cents)


def test_the_table_is_partitioned_clustered_and_described(
    tables: BigQueryStore, gcs: GCSTrips, client: bigquery.Client, landing: LandingZone
) -> None:
    load = tables.replace_month(gcs.upload(cleaned_month(landing, MARCH, 100))[0])
    assert load.table == "test.store_test.green_trips"
    table = client.get_table(load.table)
    assert table.time_partitioning.type_ == "MONTH"
    assert table.time_partitioning.field == "data_file_month"
    assert table.clustering_fields == ["pickup_location_id"]
    assert [field.name for field in table.schema] == trip_schema("green").names
    assert {field.name: field.field_type for field in table.schema}["pickup_datetime"] == "DATETIME"
    assert all(field.description for field in table.schema)


def test_rows_come_back_as_they_were_cleaned(
    tables: BigQueryStore, gcs: GCSTrips, landing: LandingZone
) -> None:
    trips = cleaned_month(landing, MARCH, 1_000)
    tables.replace_month(gcs.upload(trips)[0])
    names = ["pickup_datetime", "total_amount", "passenger_count", "store_and_fwd_flag"]
    order = [(name, "ascending") for name in names]
    read = tables.stream_month(MARCH, names).read_all().sort_by(order)
    written = pq.read_table(trips.path, columns=names).select(names).sort_by(order)
    for name in names:
        assert pc.all(pc.equal(read[name], written[name].cast(read[name].type))).as_py()
    with pytest.raises(ValueError, match="no column nonsense"):
        tables.stream_month(MARCH, ["nonsense"])


def test_the_totals_are_those_of_the_object(
    tables: BigQueryStore, gcs: GCSTrips, client: bigquery.Client, landing: LandingZone
) -> None:
    stored, _ = gcs.upload(cleaned_month(landing, MARCH, 3_000))
    tables.replace_month(stored)
    assert tables.totals(MARCH) == stored.totals
    assert stored.totals.cents["tip_amount"] > 0
    client.query_and_wait(
        "UPDATE store_test.green_trips SET tip_amount = tip_amount + 1 "
        "WHERE data_file_month = '2023-03-01'"
    )
    (difference,) = tables.totals(MARCH).differences(stored.totals)
    assert "tip_amount adds up to" in difference


def older_table(
    client: bigquery.Client, tables: BigQueryStore, *changes: bigquery.SchemaField
) -> bigquery.Table:
    """The color's table as an older version of the schema, or others, made it."""
    changed = {field.name: field for field in changes}
    client.create_dataset(SETTINGS.dataset, exists_ok=True)
    client.delete_table(tables.table_name("green_trips"), not_found_ok=True)
    fields = [
        changed.pop(field.name, field)
        for field in bigquery_schema(trip_schema("green"))
        if field.name not in ("cbd_congestion_fee", "ehail_fee")
    ]
    table = bigquery.Table(tables.table_name("green_trips"), schema=[*fields, *changed.values()])
    table.time_partitioning = bigquery.TimePartitioning(type_="MONTH", field="data_file_month")
    table.clustering_fields = ["pickup_location_id"]
    return client.create_table(table)


def test_a_table_gains_the_columns_that_it_lacks_without_a_reload(
    tables: BigQueryStore, gcs: GCSTrips, client: bigquery.Client, landing: LandingZone
) -> None:
    older_table(client, tables, bigquery.SchemaField("note", "STRING"))
    client.query_and_wait(
        "INSERT store_test.green_trips (data_file_month, total_amount, note) "
        "VALUES ('2023-04-01', 12.5, 'old')"
    )
    stored, _ = gcs.upload(cleaned_month(landing, MARCH, 700))
    tables.replace_month(stored)
    assert tables.totals(MARCH) == stored.totals
    assert holding(client, APRIL) == (1, 1250)
    row = next(
        iter(
            client.query_and_wait(
                "SELECT note, cbd_congestion_fee FROM store_test.green_trips "
                "WHERE data_file_month = '2023-04-01'"
            )
        )
    )
    assert tuple(row) == ("old", None)
    described = {
        f.name: f.description for f in client.get_table(tables.table_name("green_trips")).schema
    }
    assert described["cbd_congestion_fee"]


def test_a_table_of_somebody_else_with_rows_is_not_replaced(
    tables: BigQueryStore, gcs: GCSTrips, client: bigquery.Client, landing: LandingZone
) -> None:
    name = tables.table_name("green_trips")
    client.create_dataset(SETTINGS.dataset, exists_ok=True)
    client.delete_table(name, not_found_ok=True)
    theirs = bigquery.Table(
        name,
        schema=[
            bigquery.SchemaField("data_file_month", "DATE"),
            bigquery.SchemaField("total_amount", "FLOAT"),
        ],
    )
    theirs.time_partitioning = bigquery.TimePartitioning(type_="MONTH", field="data_file_month")
    client.create_table(theirs)
    client.query_and_wait(
        "INSERT store_test.green_trips (data_file_month, total_amount) VALUES ('2023-03-01', 1)"
    )
    stored, _ = gcs.upload(cleaned_month(landing, MARCH, 100))
    refusal = (
        r"BigQuery, test.store_test.green_trips: the table has rows and was not made by the "
        r"platform.*ALTER TABLE.*TAXI_BIGQUERY_DATASET.*--set_label managed-by:taxi-platform "
        r"test:store_test.green_trips"
    )
    with pytest.raises(PermanentStoreError, match=r"green\|2023-03: " + refusal):
        tables.replace_month(stored)
    with pytest.raises(PermanentStoreError, match=refusal):
        tables.has_table("green")
    assert holding(client, MARCH) == (1, 100)

    marked = client.get_table(name)
    marked.labels = {"team": "taxis", "managed-by": "taxi-platform"}
    client.update_table(marked, ["labels"])
    tables.replace_month(stored)
    assert holding(client, MARCH)[0] == stored.totals.rows
    assert client.get_table(name).labels == marked.labels
    client.delete_table(name)


def test_an_empty_table_that_somebody_prepared_is_taken_and_marked(
    tables: BigQueryStore, gcs: GCSTrips, client: bigquery.Client, landing: LandingZone
) -> None:
    name = tables.table_name("green_trips")
    client.create_dataset(SETTINGS.dataset, exists_ok=True)
    client.delete_table(name, not_found_ok=True)
    prepared = bigquery.Table(name, schema=[bigquery.SchemaField("data_file_month", "DATE")])
    prepared.time_partitioning = bigquery.TimePartitioning(type_="MONTH", field="data_file_month")
    client.create_table(prepared)
    tables.replace_month(gcs.upload(cleaned_month(landing, MARCH, 100))[0])
    assert client.get_table(name).labels == {"managed-by": "taxi-platform"}


def test_a_table_of_an_earlier_version_is_the_platform_s_by_its_descriptions(
    tables: BigQueryStore, gcs: GCSTrips, client: bigquery.Client, landing: LandingZone
) -> None:
    older_table(client, tables)
    client.query_and_wait(
        "INSERT store_test.green_trips (data_file_month, total_amount) VALUES ('2023-04-01', 12.5)"
    )
    tables.replace_month(gcs.upload(cleaned_month(landing, MARCH, 100))[0])
    assert holding(client, APRIL) == (1, 1250)
    assert client.get_table(tables.table_name("green_trips")).labels == {
        "managed-by": "taxi-platform"
    }


ZONES = pa.table({"location_id": [1], "borough": ["EWR"]})


def test_small_tables_of_somebody_else_are_not_replaced_and_those_of_earlier_versions_are(
    tables: BigQueryStore, client: bigquery.Client
) -> None:
    client.create_dataset(SETTINGS.dataset, exists_ok=True)
    for name, columns in (("theirs", "1 AS id"), ("earlier", "2 AS location_id, 'x' AS borough")):
        client.query_and_wait(f"CREATE OR REPLACE TABLE store_test.{name} AS SELECT {columns}")
    with pytest.raises(PermanentStoreError, match="theirs: the table has rows and was not made by"):
        tables.replace_rows("theirs", None, ZONES.to_reader())
    assert tables.replace_rows("earlier", None, ZONES.to_reader()).rows == 1
    assert tables.replace_rows("earlier", None, ZONES.to_reader()).rows == 1


INCOMPATIBLE = {
    "another type": (
        bigquery.SchemaField("tip_amount", "STRING"),
        "tip_amount is NULLABLE STRING and not NULLABLE FLOAT",
    ),
    "a required column of somebody else": (
        bigquery.SchemaField("note", "STRING", "REQUIRED"),
        "its own column note is REQUIRED",
    ),
}


@pytest.mark.parametrize("kind", INCOMPATIBLE)
def test_a_table_that_does_not_fit_is_refused_with_the_way_to_migrate(
    tables: BigQueryStore,
    gcs: GCSTrips,
    client: bigquery.Client,
    landing: LandingZone,
    kind: str,
) -> None:
    field, said = INCOMPATIBLE[kind]
    older_table(client, tables, field)
    stored, _ = gcs.upload(cleaned_month(landing, MARCH, 100))
    with pytest.raises(PermanentStoreError, match=said) as refused:
        tables.replace_month(stored)
    assert str(refused.value).startswith("green|2023-03: BigQuery")
    assert "docs/guarantees.md" in str(refused.value)
    client.delete_table(tables.table_name("green_trips"))


def test_an_object_with_fewer_rows_than_it_claims_is_reported(
    tables: BigQueryStore, gcs: GCSTrips, landing: LandingZone
) -> None:
    stored, _ = gcs.upload(cleaned_month(landing, MARCH, 100))
    with pytest.raises(PermanentStoreError, match=r"green\|2023-03: load job .* wrote"):
        tables.replace_month(replace(stored, totals=MonthTotals(101, {})))


def test_a_missing_object_fails_for_good_and_leaves_the_month(
    tables: BigQueryStore, gcs: GCSTrips, client: bigquery.Client, landing: LandingZone
) -> None:
    stored, _ = gcs.upload(cleaned_month(landing, MARCH, 700))
    tables.replace_month(stored)
    before = holding(client, MARCH)
    with pytest.raises(PermanentStoreError, match=r"green\|2023-03: BigQuery.*gs://taxi-lake/gone"):
        tables.replace_month(replace(stored, name="gone.parquet", generation=1))
    assert holding(client, MARCH) == before


def test_a_month_that_is_not_the_partitions_is_refused(
    tables: BigQueryStore, gcs: GCSTrips, client: bigquery.Client, landing: LandingZone
) -> None:
    stored, _ = gcs.upload(cleaned_month(landing, MARCH, 700))
    tables.replace_month(stored)
    before = holding(client, APRIL)
    with pytest.raises(PermanentStoreError, match="partition"):
        tables.replace_month(replace(stored, month=APRIL))
    assert holding(client, APRIL) == before


def test_an_unreachable_server_is_worth_another_try(
    client: bigquery.Client,
    gcs: GCSTrips,
    landing: LandingZone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored, _ = gcs.upload(cleaned_month(landing, MARCH, 100))
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    with (
        bigquery.Client(project="test", credentials=AnonymousCredentials()) as gone,
        pytest.raises(TransientStoreError, match=r"green\|2023-03: BigQuery, test\.store_test"),
    ):
        BigQueryStore(gone, SETTINGS).replace_month(stored)
