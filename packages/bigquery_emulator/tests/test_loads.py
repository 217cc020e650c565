"""Load jobs: a partition is replaced whole or not at all."""

import datetime

import google.api_core.exceptions
import httpx
import pyarrow as pa
import pytest
from google.cloud import bigquery
from google.cloud.storage import Bucket

from tests.servers import PROJECT
from tests.trips import SCHEMA, load, month, repeating, replace, rows, stored

pytestmark = pytest.mark.integration


def test_a_partition_is_replaced_and_the_others_stay(
    client: bigquery.Client, bucket: Bucket, trips: str
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
    client: bigquery.Client, http: httpx.Client, bucket: Bucket, trips: str
) -> None:
    uris = [stored(bucket, month(1, rows, fare=rows)) for rows in (200_000, 300_000)]
    replace(client, uris[0], f"{trips}$202401")
    sql = f"SELECT COUNT(*), MIN(fare), MAX(fare) FROM {trips}"
    seen: set[tuple[str, ...]] = set()
    faults: list[object] = []

    def read() -> None:
        answer = http.post("/queries", json={"query": sql, "useLegacySql": False})
        try:
            seen.add(tuple(cell["v"] for cell in answer.json()["rows"][0]["f"]))
        except KeyError:
            faults.append(answer.text)

    with repeating(read, read, read, read):
        for turn in range(6):
            replace(client, uris[(turn + 1) % 2], f"{trips}$202401")

    assert not faults
    assert seen == {("200000", "200000.0", "200000.0"), ("300000", "300000.0", "300000.0")}


def test_a_row_of_another_partition_refuses_the_load(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 10)), f"{trips}$202401")
    mixed = stored(bucket, pa.concat_tables([month(1, 5), month(2, 1)]))

    message = "Some rows belong to different partitions rather than destination partition 202401"
    with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
        replace(client, mixed, f"{trips}$202401")

    assert rows(client, f"SELECT COUNT(*) FROM {trips}") == [(10,)]


@pytest.mark.parametrize("decorator", ["2024", "20240101", "2024-01", "202413", "junk"])
def test_a_decorator_of_another_kind_is_refused(
    client: bigquery.Client, bucket: Bucket, trips: str, decorator: str
) -> None:
    uri = stored(bucket, month(1, 1))

    with pytest.raises(google.api_core.exceptions.BadRequest, match="partition decorator"):
        replace(client, uri, f"{trips}${decorator}")


@pytest.mark.parametrize(
    ("unit", "decorator"), [("DAY", "20240101"), ("MONTH", "202401"), ("YEAR", "2024")]
)
def test_each_kind_of_partition_can_be_replaced(
    client: bigquery.Client, bucket: Bucket, dataset: str, unit: str, decorator: str
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


def test_dispositions_are_kept(client: bigquery.Client, bucket: Bucket, dataset: str) -> None:
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
    client: bigquery.Client, bucket: Bucket, dataset: str
) -> None:
    for number in (1, 2):
        stored(bucket, month(number, number), f"{dataset}/part-{number}.parquet")
    stored(bucket, month(3, 3), f"{dataset}/other.parquet")

    job = load(client, f"gs://{bucket.name}/{dataset}/part-*.parquet", f"{dataset}.t")

    assert (job.input_files, job.output_rows) == (2, 3)


@pytest.mark.parametrize("name", ["absent.parquet", "absent-*"])
def test_a_missing_object_fails_the_job(
    client: bigquery.Client, bucket: Bucket, trips: str, name: str
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
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    bucket.blob("text.parquet").upload_from_string("not parquet at all")

    with pytest.raises(google.api_core.exceptions.BadRequest, match="not in Parquet format"):
        load(client, f"gs://{bucket.name}/text.parquet", trips)


def test_an_empty_month_empties_its_partition(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 5)), f"{trips}$202401")

    job = replace(client, stored(bucket, month(1, 0)), f"{trips}$202401")

    assert (job.output_rows, client.get_table(trips).num_rows) == (0, 0)


def test_many_small_appends_stay_one_table(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    uri = stored(bucket, pa.concat_tables([month(1, 1), month(2, 1)]))
    for _ in range(10):
        load(client, uri, trips)

    assert rows(client, f"SELECT m, COUNT(*) FROM {trips} GROUP BY m ORDER BY m") == [
        (datetime.date(2024, 1, 1), 10),
        (datetime.date(2024, 2, 1), 10),
    ]
    # The appended rows of the month go too, wherever they lie.
    replace(client, stored(bucket, month(1, 3)), f"{trips}$202401")

    assert rows(client, f"SELECT m, COUNT(*) FROM {trips} GROUP BY m ORDER BY m") == [
        (datetime.date(2024, 1, 1), 3),
        (datetime.date(2024, 2, 1), 10),
    ]


def test_rows_without_a_date_have_a_partition_of_their_own(
    client: bigquery.Client, bucket: Bucket, dataset: str
) -> None:
    table = f"{dataset}.t"
    client.query_and_wait(
        f"CREATE TABLE {table} PARTITION BY DATE_TRUNC(m, MONTH) AS "
        "SELECT DATE '2024-01-01' AS m, 1 AS x UNION ALL SELECT NULL, 2"
    )
    nulls = pa.table({"m": pa.nulls(3, pa.date32()), "x": [7, 8, 9]})

    replace(client, stored(bucket, nulls), f"{table}$__NULL__")
    replace(client, stored(bucket, pa.table({"m": pa.nulls(0, pa.date32())})), f"{table}$202401")

    assert rows(client, f"SELECT x FROM {table} ORDER BY x") == [(7,), (8,), (9,)]
    assert rows(
        client, f"SELECT partition_id, total_rows FROM {dataset}.INFORMATION_SCHEMA.PARTITIONS"
    ) == [("__NULL__", 3)]
