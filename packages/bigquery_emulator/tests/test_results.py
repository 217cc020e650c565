"""Queries with parameters, and how their results are written, paged, kept and described."""

import datetime
import math
from decimal import Decimal
from typing import Any

import google.api_core.exceptions
import httpx
import pytest
from google.cloud import bigquery

from tests.trips import moment

pytestmark = pytest.mark.integration

UTC = datetime.UTC


def answer(client: bigquery.Client, sql: str, **options: Any) -> list[tuple[Any, ...]]:
    config = bigquery.QueryJobConfig(**options)
    return [row.values() for row in client.query_and_wait(sql, job_config=config)]


def test_scalar_parameters_keep_value_and_type(client: bigquery.Client) -> None:
    given: dict[str, tuple[str, Any]] = {
        "i": ("INT64", 2**40),
        "f": ("FLOAT64", 0.1),
        "n": ("NUMERIC", Decimal("1.123456789")),
        "s": ("STRING", "it's; DROP TABLE x --"),
        "b": ("BOOL", True),
        "y": ("BYTES", b"\x00\xff"),
        "d": ("DATE", datetime.date(2024, 2, 29)),
        "dt": ("DATETIME", moment("2024-02-29T01:02:03.000004")),
        "ts": ("TIMESTAMP", datetime.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC)),
        "t": ("TIME", datetime.time(1, 2, 3)),
        "z": ("STRING", None),
    }
    parameters = [
        bigquery.ScalarQueryParameter(name, kind, held) for name, (kind, held) in given.items()
    ]
    columns = ", ".join(f"@{name} AS c_{name}" for name in given)

    rows = client.query_and_wait(
        f"SELECT {columns}", job_config=bigquery.QueryJobConfig(query_parameters=parameters)
    )

    assert next(iter(rows)).values() == tuple(held for _, held in given.values())
    legacy = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
    assert [field.field_type for field in rows.schema] == [
        legacy.get(kind, kind) for kind, _ in given.values()
    ]


def test_array_and_positional_parameters(client: bigquery.Client) -> None:
    days = [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)]
    array = bigquery.ArrayQueryParameter("days", "DATE", days)
    assert answer(
        client, "SELECT d FROM UNNEST(@days) AS d ORDER BY d", query_parameters=[array]
    ) == [(day,) for day in days]
    empty = bigquery.ArrayQueryParameter("days", "DATE", [])
    assert answer(
        client, "SELECT DATE '2024-01-01' IN UNNEST(@days)", query_parameters=[empty]
    ) == [(False,)]
    two = [bigquery.ScalarQueryParameter(None, "INT64", n) for n in (7, 3)]
    assert answer(client, "SELECT ? - ? LIMIT 1", query_parameters=two) == [(4,)]


def test_floats_without_a_number_are_written_as_google_writes_them(
    client: bigquery.Client, http: httpx.Client
) -> None:
    sql = "SELECT CAST('nan' AS FLOAT64), CAST('inf' AS FLOAT64), CAST('-inf' AS FLOAT64), 1.0"
    body = http.post("/queries", json={"query": sql, "useLegacySql": False}).json()

    assert [cell["v"] for cell in body["rows"][0]["f"]] == ["NaN", "Infinity", "-Infinity", "1.0"]
    ((nan, infinity, _, _),) = answer(client, sql)
    assert math.isnan(nan)
    assert infinity == math.inf


@pytest.mark.parametrize(
    ("option", "written"), [("true", "1704067200123456"), (None, "1.704067200123456E9")]
)
def test_timestamps_are_integers_if_the_client_asks(
    http: httpx.Client, option: str | None, written: str
) -> None:
    sql = "SELECT TIMESTAMP '2024-01-01 00:00:00.123456' AS t"
    job = http.post("/queries", json={"query": sql, "useLegacySql": False}).json()["jobReference"]
    params = {"formatOptions.useInt64Timestamp": option} if option else {}

    body = http.get(f"/queries/{job['jobId']}", params=params).json()

    assert body["rows"] == [{"f": [{"v": written}]}]


def test_pages_cover_the_result_once(client: bigquery.Client, http: httpx.Client) -> None:
    job = client.query("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 25000)) AS x ORDER BY x DESC")
    rows = job.result(page_size=7000)

    pages = [[row[0] for row in page] for page in rows.pages]

    assert [len(page) for page in pages] == [7000, 7000, 7000, 4000]
    assert [value for page in pages for value in page] == list(range(25000, 0, -1))
    assert rows.total_rows == 25000
    body = http.get(f"/queries/{job.job_id}", params={"startIndex": 24998, "maxResults": 5}).json()
    assert [row["f"][0]["v"] for row in body["rows"]] == ["2", "1"]
    assert "pageToken" not in body
    anonymous = client.list_rows(client.get_table(job.destination), max_results=2)
    assert [row[0] for row in anonymous] == [25000, 24999]


def test_a_dry_run_says_what_a_query_would_answer(client: bigquery.Client, dataset: str) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t AS SELECT 1 AS a, 'x' AS b")
    dry = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)

    job = client.query(f"SELECT b, a / 2 AS half FROM {dataset}.t", job_config=dry)

    assert job.total_bytes_processed == 11
    assert [(field.name, field.field_type) for field in job.schema or ()] == [
        ("b", "STRING"),
        ("half", "FLOAT"),
    ]
    with pytest.raises(google.api_core.exceptions.NotFound):
        client.query(f"SELECT * FROM {dataset}.absent", job_config=dry)


def test_a_query_can_write_a_table_and_a_partition(client: bigquery.Client, dataset: str) -> None:
    table = f"{client.project}.{dataset}.t"
    client.query_and_wait(
        f"CREATE TABLE {dataset}.t PARTITION BY DATE_TRUNC(m, MONTH) AS "
        "SELECT DATE '2024-01-01' AS m, 1 AS x UNION ALL SELECT DATE '2024-02-01', 2"
    )
    config = bigquery.QueryJobConfig(
        destination=f"{table}$202401", write_disposition="WRITE_TRUNCATE"
    )

    # The replaced rows are read by the query that replaces them.
    job = client.query(
        f"SELECT m, x + 10 AS x FROM `{table}` WHERE m = '2024-01-01'", job_config=config
    )

    assert [row.values() for row in job.result()] == [(datetime.date(2024, 1, 1), 11)]
    assert answer(client, f"SELECT x FROM `{table}` ORDER BY x") == [(2,), (11,)]
    with pytest.raises(google.api_core.exceptions.BadRequest, match="different partitions"):
        client.query("SELECT DATE '2024-03-01' AS m, 1 AS x", job_config=config).result()
    empty = bigquery.QueryJobConfig(destination=table, write_disposition="WRITE_EMPTY")
    with pytest.raises(google.api_core.exceptions.Conflict, match="Already Exists"):
        client.query("SELECT DATE '2024-03-01' AS m, 1 AS x", job_config=empty).result()


def test_metadata_views_describe_a_dataset(client: bigquery.Client, dataset: str) -> None:
    client.query_and_wait(
        f"CREATE TABLE {dataset}.t PARTITION BY DATE_TRUNC(m, MONTH) CLUSTER BY x AS "
        "SELECT DATE '2024-01-01' AS m, 1 AS x UNION ALL SELECT DATE '2024-02-01', 2"
    )

    assert answer(
        client,
        f"SELECT column_name, data_type, is_partitioning_column, clustering_ordinal_position "
        f"FROM {dataset}.INFORMATION_SCHEMA.COLUMNS ORDER BY ordinal_position",
    ) == [("m", "DATE", "YES", None), ("x", "INT64", "NO", 1)]
    assert answer(
        client,
        f"SELECT partition_id, total_rows FROM {dataset}.INFORMATION_SCHEMA.PARTITIONS "
        "WHERE table_name = 't' ORDER BY partition_id",
    ) == [("202401", 1), ("202402", 1)]
    assert answer(client, f"SELECT table_name FROM {dataset}.INFORMATION_SCHEMA.TABLES") == [("t",)]
    assert answer(client, f"SELECT table_id, row_count FROM {dataset}.__TABLES__") == [("t", 2)]
    (modified,) = answer(client, f"SELECT last_modified_time FROM {dataset}.__TABLES__")[0]
    assert modified / 1000 == client.get_table(f"{dataset}.t").modified.timestamp()
