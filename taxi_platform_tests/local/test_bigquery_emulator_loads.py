"""Load jobs: a partition is replaced whole or not at all, and columns match by name."""

import datetime
import io
import threading
import uuid
from typing import Any

import google.api_core.exceptions
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery, storage

from taxi_platform_tests.local.bigquery_fixtures import PROJECT

pytestmark = pytest.mark.integration

SCHEMA = [
    bigquery.SchemaField("vendor_id", "INT64"),
    bigquery.SchemaField("pickup", "DATETIME"),
    bigquery.SchemaField("fare", "FLOAT64"),
    bigquery.SchemaField("m", "DATE", "REQUIRED"),
]


def month(number: int, rows: int, fare: float = 1.0) -> pa.Table:
    """A month of trips, with codes of 16 bits as the platform writes them."""
    pickup = datetime.datetime(2024, number, 1, 12)
    return pa.table(
        {
            "vendor_id": pa.array([1] * rows, pa.int16()),
            "pickup": pa.array([pickup] * rows, pa.timestamp("us")),
            "fare": pa.array([fare] * rows, pa.float64()),
            "m": pa.array([datetime.date(2024, number, 1)] * rows, pa.date32()),
        }
    )


def stored(bucket: storage.Bucket, table: pa.Table, name: str = "") -> str:
    """Puts a table into the lake as Parquet and says where."""
    name = name or f"data/{uuid.uuid4().hex} #1.parquet"
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=50_000)
    bucket.blob(name).upload_from_string(buffer.getvalue())
    return f"gs://{bucket.name}/{name}"


def load(
    client: bigquery.Client, uris: str | list[str], table: str, **options: Any
) -> bigquery.LoadJob:
    config = bigquery.LoadJobConfig(source_format="PARQUET", **options)
    job = client.load_table_from_uri(uris, f"{PROJECT}.{table}", job_config=config)
    job.result()
    return job


def replace(client: bigquery.Client, uri: str, table: str, **options: Any) -> bigquery.LoadJob:
    return load(client, uri, table, write_disposition="WRITE_TRUNCATE", **options)


def rows(client: bigquery.Client, sql: str) -> list[tuple[Any, ...]]:
    return [row.values() for row in client.query_and_wait(sql)]


@pytest.fixture
def trips(client: bigquery.Client, dataset: str) -> str:
    table = bigquery.Table(f"{PROJECT}.{dataset}.trips", schema=SCHEMA)
    table.time_partitioning = bigquery.TimePartitioning("MONTH", "m")
    table.clustering_fields = ["vendor_id"]
    client.create_table(table)
    return f"{dataset}.trips"


def test_a_partition_is_replaced_and_the_others_stay(
    client: bigquery.Client, bucket: storage.Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 10)), f"{trips}$202401")
    replace(client, stored(bucket, month(2, 20)), f"{trips}$202402")

    job = replace(client, stored(bucket, month(1, 7, fare=2.0)), f"{trips}$202401")

    assert (job.input_files, job.output_rows, job.output_bytes) == (1, 7, 7 * 4 * 8)
    assert job.input_file_bytes > 0
    assert rows(client, f"SELECT m, COUNT(*), MIN(fare) FROM {trips} GROUP BY m ORDER BY m") == [
        (datetime.date(2024, 1, 1), 7, 2.0),
        (datetime.date(2024, 2, 1), 20, 1.0),
    ]
    table = client.get_table(trips)
    assert (table.num_rows, table.num_bytes) == (27, 27 * 32)
    assert [field.field_type for field in table.schema] == ["INTEGER", "DATETIME", "FLOAT", "DATE"]


def test_readers_see_the_old_partition_or_the_new_one(
    client: bigquery.Client, http: httpx.Client, bucket: storage.Bucket, trips: str
) -> None:
    uris = [stored(bucket, month(1, rows, fare=rows)) for rows in (200_000, 300_000)]
    replace(client, uris[0], f"{trips}$202401")
    sql = f"SELECT COUNT(*), MIN(fare), MAX(fare) FROM {trips}"
    seen: set[tuple[str, ...]] = set()
    faults: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            answer = http.post("/queries", json={"query": sql, "useLegacySql": False})
            try:
                seen.add(tuple(cell["v"] for cell in answer.json()["rows"][0]["f"]))
            except KeyError:
                faults.append(answer.text)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(6):
            replace(client, uris[(turn + 1) % 2], f"{trips}$202401")
    finally:
        stop.set()
        for reader in readers:
            reader.join()

    assert not faults
    assert seen == {("200000", "200000.0", "200000.0"), ("300000", "300000.0", "300000.0")}


def test_a_row_of_another_partition_refuses_the_load(
    client: bigquery.Client, bucket: storage.Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 10)), f"{trips}$202401")
    mixed = stored(bucket, pa.concat_tables([month(1, 5), month(2, 1)]))

    message = "Some rows belong to different partitions rather than destination partition 202401"
    with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
        replace(client, mixed, f"{trips}$202401")

    assert rows(client, f"SELECT COUNT(*) FROM {trips}") == [(10,)]


@pytest.mark.parametrize("decorator", ["2024", "20240101", "2024-01", "202413", "junk"])
def test_a_decorator_of_another_kind_is_refused(
    client: bigquery.Client, bucket: storage.Bucket, trips: str, decorator: str
) -> None:
    uri = stored(bucket, month(1, 1))

    with pytest.raises(google.api_core.exceptions.BadRequest, match="partition decorator"):
        replace(client, uri, f"{trips}${decorator}")


@pytest.mark.parametrize(
    ("unit", "decorator"), [("DAY", "20240101"), ("MONTH", "202401"), ("YEAR", "2024")]
)
def test_each_kind_of_partition_can_be_replaced(
    client: bigquery.Client, bucket: storage.Bucket, dataset: str, unit: str, decorator: str
) -> None:
    uri = stored(bucket, month(1, 3))
    partitioning = bigquery.TimePartitioning(unit, "m")

    for _ in range(2):
        replace(
            client, uri, f"{dataset}.t${decorator}", schema=SCHEMA, time_partitioning=partitioning
        )

    assert rows(client, f"SELECT COUNT(*) FROM {dataset}.t") == [(3,)]
    assert rows(
        client, f"SELECT partition_id, total_rows FROM {dataset}.INFORMATION_SCHEMA.PARTITIONS"
    ) == [(decorator, 3)]


def test_columns_match_by_name_whatever_their_order_and_case(
    client: bigquery.Client, bucket: storage.Bucket, trips: str
) -> None:
    table = month(1, 1, fare=7.5).select(["m", "fare", "pickup", "vendor_id"])
    upper = table.rename_columns([name.upper() for name in table.column_names])

    replace(client, stored(bucket, upper), f"{trips}$202401")

    assert rows(client, f"SELECT * FROM {trips}") == [
        (1, datetime.datetime(2024, 1, 1, 12), 7.5, datetime.date(2024, 1, 1))
    ]


def test_a_missing_column_is_null_unless_it_is_required(
    client: bigquery.Client, bucket: storage.Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 1).drop_columns(["fare"])), f"{trips}$202401")
    assert rows(client, f"SELECT fare FROM {trips}") == [(None,)]

    required = stored(bucket, month(1, 1).drop_columns(["m"]))
    with pytest.raises(google.api_core.exceptions.BadRequest, match="m is missing in new schema"):
        replace(client, required, f"{trips}$202401")


def test_a_null_in_a_required_column_refuses_the_load(
    client: bigquery.Client, bucket: storage.Bucket, trips: str
) -> None:
    nulls = month(1, 1).set_column(3, "m", pa.nulls(1, pa.date32()))

    with pytest.raises(google.api_core.exceptions.BadRequest, match="m cannot be null"):
        load(client, stored(bucket, nulls), trips)


def test_a_new_column_needs_leave(
    client: bigquery.Client, bucket: storage.Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(2, 1)), f"{trips}$202402")
    wider = stored(bucket, month(1, 1).append_column("tip", pa.array([0.5])))
    with pytest.raises(
        google.api_core.exceptions.BadRequest, match=r"Cannot add fields \(field: tip"
    ):
        replace(client, wider, f"{trips}$202401")

    replace(client, wider, f"{trips}$202401", schema_update_options=["ALLOW_FIELD_ADDITION"])

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
    bucket: storage.Bucket,
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
    client: bigquery.Client, bucket: storage.Bucket, dataset: str
) -> None:
    uri = stored(bucket, pa.table({"passenger_count": pa.array([1], pa.int64())}))

    with pytest.raises(
        google.api_core.exceptions.BadRequest,
        match="Parquet column 'passenger_count' has type INT64 which does not match the target "
        f"cpp_type DOUBLE. File: gs://",
    ):
        load(
            client,
            uri,
            f"{dataset}.t",
            schema=[bigquery.SchemaField("passenger_count", "FLOAT64")],
        )


def test_types_are_taken_from_the_file(
    client: bigquery.Client, bucket: storage.Bucket, dataset: str
) -> None:
    moment = datetime.datetime(2024, 1, 1, 12)
    table = pa.table(
        {
            "i8": pa.array([1], pa.int8()),
            "u32": pa.array([2], pa.uint32()),
            "f32": pa.array([0.5], pa.float32()),
            "dec": pa.array([1], pa.decimal128(10, 2)),
            "s": ["x"],
            "by": [b"\x00"],
            "bo": [True],
            "d": [moment.date()],
            "ts": pa.array([moment], pa.timestamp("us")),
            "tz": pa.array([moment], pa.timestamp("us", "UTC")),
            "t": [moment.time()],
        }
    )

    load(client, stored(bucket, table), f"{dataset}.t")

    assert [field.field_type for field in client.get_table(f"{dataset}.t").schema] == [
        *("INTEGER", "INTEGER", "FLOAT", "NUMERIC", "STRING", "BYTES", "BOOLEAN", "DATE"),
        *("TIMESTAMP", "TIMESTAMP", "TIME"),
    ]
    aware = moment.replace(tzinfo=datetime.UTC)
    assert rows(client, f"SELECT * EXCEPT (dec) FROM {dataset}.t") == [
        (1, 2, 0.5, "x", b"\x00", True, moment.date(), aware, aware, moment.time())
    ]


def test_dispositions_are_kept(
    client: bigquery.Client, bucket: storage.Bucket, dataset: str
) -> None:
    uri, name = stored(bucket, month(1, 2)), f"{dataset}.t"
    with pytest.raises(google.api_core.exceptions.NotFound, match=f"Not found: Table {PROJECT}"):
        load(client, uri, name, create_disposition="CREATE_NEVER")
    load(client, uri, name, write_disposition="WRITE_EMPTY")
    with pytest.raises(google.api_core.exceptions.Conflict, match="Already Exists: Table"):
        load(client, uri, name, write_disposition="WRITE_EMPTY")
    assert load(client, uri, name).output_rows == 2
    assert client.get_table(name).num_rows == 4

    replace(client, stored(bucket, pa.table({"other": ["x"]})), name)

    assert rows(client, f"SELECT * FROM {name}") == [("x",)]


def test_wildcards_load_every_object_they_match(
    client: bigquery.Client, bucket: storage.Bucket, dataset: str
) -> None:
    for number in (1, 2):
        stored(bucket, month(number, number), f"{dataset}/part-{number}.parquet")
    stored(bucket, month(3, 3), f"{dataset}/other.parquet")

    job = load(client, f"gs://{bucket.name}/{dataset}/part-*.parquet", f"{dataset}.t")

    assert (job.input_files, job.output_rows) == (2, 3)


@pytest.mark.parametrize("name", ["absent.parquet", "absent-*"])
def test_a_missing_object_fails_the_job(
    client: bigquery.Client, bucket: storage.Bucket, trips: str, name: str
) -> None:
    uri = f"gs://{bucket.name}/{name}"
    job = client.load_table_from_uri(
        uri,
        f"{PROJECT}.{trips}$202401",
        job_config=bigquery.LoadJobConfig(source_format="PARQUET"),
    )

    with pytest.raises(google.api_core.exceptions.NotFound):
        job.result()

    assert job.state == "DONE"
    assert (job.error_result["reason"], job.error_result["message"]) == (
        "notFound",
        f"Not found: URI {uri}",
    )
    assert job.errors == [job.error_result]


def test_a_file_that_is_not_parquet_fails_the_job(
    client: bigquery.Client, bucket: storage.Bucket, trips: str
) -> None:
    bucket.blob("text.parquet").upload_from_string("not parquet at all")

    with pytest.raises(google.api_core.exceptions.BadRequest, match="not in Parquet format"):
        load(client, f"gs://{bucket.name}/text.parquet", trips)


def test_an_empty_month_empties_its_partition(
    client: bigquery.Client, bucket: storage.Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 5)), f"{trips}$202401")

    job = replace(client, stored(bucket, month(1, 0)), f"{trips}$202401")

    assert (job.output_rows, client.get_table(trips).num_rows) == (0, 0)


@pytest.mark.filterwarnings("ignore:Loading DataFrames via:PendingDeprecationWarning")
def test_a_dataframe_can_be_uploaded(client: bigquery.Client, trips: str) -> None:
    frame = month(1, 3).to_pandas()
    config = bigquery.LoadJobConfig(write_disposition="WRITE_TRUNCATE", schema=SCHEMA)

    client.load_table_from_dataframe(frame, f"{trips}$202401", job_config=config).result()

    assert rows(client, f"SELECT COUNT(*), SUM(vendor_id) FROM {trips}") == [(3, 3)]
    found = client.query_and_wait(f"SELECT * FROM {trips}").to_dataframe()
    assert found["fare"].tolist() == [1.0] * 3


@pytest.mark.parametrize("size", ["known", "unknown"])
def test_a_file_can_be_uploaded_whole_or_in_chunks(
    client: bigquery.Client, trips: str, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = month(1, 200_000).set_column(2, "fare", pa.array([float(i) for i in range(200_000)]))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="none")
    length = len(buffer.getvalue())
    buffer.seek(0)
    monkeypatch.setattr("google.cloud.bigquery.client._DEFAULT_CHUNKSIZE", 256 * 1024)
    config = bigquery.LoadJobConfig(source_format="PARQUET")

    job = client.load_table_from_file(
        buffer, trips, size=length if size == "known" else None, job_config=config
    )
    job.result()

    assert (job.output_rows, job.input_file_bytes) == (200_000, length)
    assert rows(client, f"SELECT SUM(fare) FROM {trips}") == [(sum(range(200_000)),)]


def test_lists_are_arrays_if_the_job_says_so(
    client: bigquery.Client, bucket: storage.Bucket, dataset: str
) -> None:
    uri = stored(bucket, pa.table({"a": pa.array([[1, 2], None], pa.list_(pa.int64()))}))
    with pytest.raises(google.api_core.exceptions.MethodNotImplemented):
        load(client, uri, f"{dataset}.t")
    options = bigquery.ParquetOptions()
    options.enable_list_inference = True

    load(client, uri, f"{dataset}.t", parquet_options=options)

    assert rows(client, f"SELECT a FROM {dataset}.t") == [([1, 2],), ([],)]
