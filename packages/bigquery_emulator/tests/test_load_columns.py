"""Load jobs: columns match by name, and types are converted as BigQuery converts them."""

import datetime
from decimal import Decimal

import google.api_core.exceptions
import pyarrow as pa
import pytest
from google.cloud import bigquery
from google.cloud.storage import Bucket

from tests.trips import ADDITION, load, moment, month, replace, rows, stored

pytestmark = pytest.mark.integration


def test_columns_match_by_name_whatever_their_order_and_case(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    table = month(1, 1, fare=7.5).select(["m", "fare", "pickup", "vendor_id"])
    upper = table.rename_columns([name.upper() for name in table.column_names])

    replace(client, stored(bucket, upper), f"{trips}$202401")

    assert rows(client, f"SELECT * FROM {trips}") == [
        (1, moment("2024-01-01T12:00:00"), 7.5, datetime.date(2024, 1, 1))
    ]


def test_a_missing_column_is_null_unless_it_is_required(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 1).drop_columns(["fare"])), f"{trips}$202401")
    assert rows(client, f"SELECT fare FROM {trips}") == [(None,)]

    required = stored(bucket, month(1, 1).drop_columns(["m"]))
    with pytest.raises(google.api_core.exceptions.BadRequest, match="m is missing in new schema"):
        replace(client, required, f"{trips}$202401")


def test_a_null_in_a_required_column_refuses_the_load(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    nulls = month(1, 1).set_column(3, "m", pa.nulls(1, pa.date32()))

    with pytest.raises(google.api_core.exceptions.BadRequest, match="m cannot be null"):
        load(client, stored(bucket, nulls), trips)


def test_a_new_column_needs_leave(client: bigquery.Client, bucket: Bucket, trips: str) -> None:
    replace(client, stored(bucket, month(2, 1)), f"{trips}$202402")
    wider = stored(bucket, month(1, 1).append_column("tip", pa.array([0.5])))
    with pytest.raises(
        google.api_core.exceptions.BadRequest, match=r"Cannot add fields \(field: tip"
    ):
        replace(client, wider, f"{trips}$202401")

    replace(client, wider, f"{trips}$202401", **ADDITION)

    assert rows(client, f"SELECT tip FROM {trips} ORDER BY m") == [(0.5,), (None,)]


@pytest.mark.parametrize(
    ("column", "array", "message"),
    [
        ("fare", pa.array([1], pa.int64()), "fare has changed type from FLOAT to INTEGER"),
        ("vendor_id", pa.array(["1"]), "vendor_id has changed type from INTEGER to STRING"),
        ("pickup", pa.array(["x"]), "pickup has changed type from DATETIME to STRING"),
        (
            "pickup",
            pa.array([0], pa.timestamp("us", "UTC")),
            "pickup has changed type from DATETIME to TIMESTAMP",
        ),
    ],
)
def test_types_are_converted_only_as_bigquery_converts_them(
    client: bigquery.Client,
    bucket: Bucket,
    trips: str,
    column: str,
    array: pa.Array,
    message: str,
) -> None:
    table = month(1, 1)
    changed = table.set_column(table.column_names.index(column), column, array)

    with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
        replace(client, stored(bucket, changed), f"{trips}$202401")


def test_a_declared_schema_that_the_file_breaks_is_explained_as_in_bigquery(
    client: bigquery.Client, bucket: Bucket, dataset: str
) -> None:
    uri = stored(bucket, pa.table({"passenger_count": pa.array([1], pa.int64())}))

    with pytest.raises(
        google.api_core.exceptions.BadRequest,
        match="Parquet column 'passenger_count' has type INT64 which does not match the target "
        "cpp_type DOUBLE",
    ):
        load(
            client,
            uri,
            f"{dataset}.t",
            schema=[bigquery.SchemaField("passenger_count", "FLOAT64")],
        )


def test_types_are_taken_from_the_file(
    client: bigquery.Client, bucket: Bucket, dataset: str
) -> None:
    noon = moment("2024-01-01T12:00:00")
    table = pa.table(
        {
            "i8": pa.array([1], pa.int8()),
            "u32": pa.array([2], pa.uint32()),
            "f32": pa.array([0.5], pa.float32()),
            "dec": pa.array([1], pa.decimal128(10, 2)),
            "s": ["x"],
            "by": [b"\x00"],
            "bo": [True],
            "d": [noon.date()],
            "ts": pa.array([noon], pa.timestamp("us")),
            "tz": pa.array([noon], pa.timestamp("us", "UTC")),
            "t": [noon.time()],
        }
    )

    load(client, stored(bucket, table), f"{dataset}.t")

    assert [field.field_type for field in client.get_table(f"{dataset}.t").schema] == [
        *("INTEGER", "INTEGER", "FLOAT", "NUMERIC", "STRING", "BYTES", "BOOLEAN", "DATE"),
        *("TIMESTAMP", "TIMESTAMP", "TIME"),
    ]
    aware = noon.replace(tzinfo=datetime.UTC)
    assert rows(client, f"SELECT * EXCEPT (dec) FROM {dataset}.t") == [
        (1, 2, 0.5, "x", b"\x00", True, noon.date(), aware, aware, noon.time())
    ]


def test_lists_are_arrays_if_the_job_says_so(
    client: bigquery.Client, bucket: Bucket, dataset: str
) -> None:
    uri = stored(bucket, pa.table({"a": pa.array([[1, 2], None], pa.list_(pa.int64()))}))
    with pytest.raises(google.api_core.exceptions.MethodNotImplemented):
        load(client, uri, f"{dataset}.t")
    options = bigquery.ParquetOptions()
    options.enable_list_inference = True

    load(client, uri, f"{dataset}.t", parquet_options=options)

    assert rows(client, f"SELECT a FROM {dataset}.t") == [([1, 2],), ([],)]


def test_new_columns_keep_their_place_in_old_and_new_rows(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 1)), f"{trips}$202401")
    table = client.get_table(trips)
    table.schema = [bigquery.SchemaField("first", "STRING"), *table.schema]
    client.update_table(table, ["schema"])
    wider = month(2, 1).append_column("first", pa.array(["x"]))
    replace(client, stored(bucket, wider), f"{trips}$202402")

    found = client.query_and_wait(f"SELECT * FROM {trips} ORDER BY m")

    assert [field.name for field in found.schema][-1] == "first"
    assert [(row["m"].month, row["vendor_id"], row["first"]) for row in found] == [
        (1, 1, None),
        (2, 1, "x"),
    ]


def test_decimals_are_numeric_if_the_job_lets_them(
    client: bigquery.Client, bucket: Bucket, dataset: str
) -> None:
    uri = stored(bucket, pa.table({"n": pa.array([Decimal("1.25")], pa.decimal128(10, 2))}))

    load(client, uri, f"{dataset}.t", decimal_target_types=["NUMERIC", "BIGNUMERIC"])

    assert rows(client, f"SELECT n FROM {dataset}.t") == [(Decimal("1.25"),)]
    with pytest.raises(google.api_core.exceptions.MethodNotImplemented, match="without NUMERIC"):
        load(client, uri, f"{dataset}.t", decimal_target_types=["STRING"])
