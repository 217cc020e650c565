"""DML and DDL: what they do, what they refuse, and how many rows they say they changed."""

import datetime
from typing import Any

import google.api_core.exceptions
import pytest
from google.cloud import bigquery

pytestmark = pytest.mark.integration


def run(client: bigquery.Client, sql: str) -> bigquery.QueryJob:
    job = client.query(sql)
    job.result()
    return job


def rows(client: bigquery.Client, table: str) -> list[tuple[Any, ...]]:
    return [row.values() for row in client.query_and_wait(f"SELECT * FROM {table} ORDER BY 1")]


@pytest.fixture
def fares(client: bigquery.Client, dataset: str) -> str:
    name = f"{dataset}.fares"
    run(client, f"CREATE TABLE {name} (k INT64 NOT NULL, fare FLOAT64, s STRING)")
    run(client, f"INSERT INTO {name} (k, fare, s) VALUES (1, 1.5, 'a'), (2, 2, NULL)")
    return name


def test_changes_count_their_rows(client: bigquery.Client, fares: str) -> None:
    inserted = run(client, f"INSERT INTO {fares} SELECT 3, 3.5, 'c'")
    updated = run(client, f"UPDATE {fares} SET fare = fare * 2, s = 'x' WHERE k < 3")
    deleted = run(client, f"DELETE FROM {fares} WHERE k = 1")
    assert [job.num_dml_affected_rows for job in (inserted, updated, deleted)] == [1, 2, 1]
    assert [job.statement_type for job in (inserted, updated, deleted)] == [
        "INSERT",
        "UPDATE",
        "DELETE",
    ]
    assert deleted.dml_stats is not None
    assert deleted.dml_stats.deleted_row_count == 1
    assert rows(client, fares) == [(2, 4.0, "x"), (3, 3.5, "c")]
    assert client.get_table(fares).num_rows == 2

    truncated = run(client, f"TRUNCATE TABLE {fares}")

    assert (truncated.num_dml_affected_rows, rows(client, fares)) == (2, [])


def test_merge_counts_by_what_it_did(client: bigquery.Client, fares: str) -> None:
    job = run(
        client,
        f"MERGE {fares} AS t USING (SELECT 1 AS k, 9.0 AS fare UNION ALL SELECT 7, 7.0) AS s "
        "ON t.k = s.k "
        "WHEN MATCHED THEN UPDATE SET fare = s.fare "
        "WHEN NOT MATCHED THEN INSERT (k, fare) VALUES (k, s.fare) "
        "WHEN NOT MATCHED BY SOURCE THEN DELETE",
    )

    assert rows(client, fares) == [(1, 9.0, "a"), (7, 7.0, None)]
    assert job.num_dml_affected_rows == 3
    stats = job.dml_stats
    assert stats is not None
    assert (stats.inserted_row_count, stats.updated_row_count, stats.deleted_row_count) == (1, 1, 1)


def test_insert_row_takes_the_whole_source_row(client: bigquery.Client, fares: str) -> None:
    run(
        client,
        f"MERGE INTO {fares} t USING (SELECT 5 AS k, 'z' AS s, 0.5 AS fare) n ON FALSE "
        "WHEN NOT MATCHED THEN INSERT ROW",
    )

    assert rows(client, fares)[-1] == (5, 0.5, "z")


def test_update_may_read_another_table(client: bigquery.Client, fares: str) -> None:
    job = run(
        client,
        f"UPDATE {fares} AS f SET f.fare = n.fare FROM (SELECT 2 AS k, 8.0 AS fare) AS n "
        "WHERE f.k = n.k",
    )

    assert job.num_dml_affected_rows == 1
    assert rows(client, fares)[1] == (2, 8.0, None)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE {t} SET fare = 1", "UPDATE must have a WHERE clause"),
        ("DELETE FROM {t}", "DELETE must have a WHERE clause"),
        ("INSERT INTO {t} (k) VALUES (NULL)", "Required field k cannot be null"),
        ("INSERT INTO {t} (fare) VALUES (1)", "Required field k cannot be null"),
        ("INSERT INTO {t} (k, absent) VALUES (1, 2)", "Column absent is not present"),
        ("INSERT INTO {t} (k) VALUES (1, 2)", "Inserted row has wrong column count"),
        ("INSERT INTO {t} (k) VALUES (1.5)", "FLOAT64 which cannot be inserted into column k"),
        ("INSERT INTO {t} (k) SELECT 1.5", "cannot be inserted into column k"),
        ("UPDATE {t} SET k = fare WHERE TRUE", "FLOAT64 which cannot be inserted into column k"),
        ("UPDATE {t} SET s = k WHERE TRUE", "INT64 which cannot be inserted into column s"),
        (
            "UPDATE {t} SET s = n FROM UNNEST(['p', 'q']) AS n WHERE k = 1",
            "must match at most one source row",
        ),
        (
            (
                "MERGE {t} t USING (SELECT x AS k FROM UNNEST([1, 1]) AS x) s ON t.k = s.k "
                "WHEN MATCHED THEN UPDATE SET fare = 0"
            ),
            "must match at most one source row",
        ),
    ],
)
def test_wrong_changes_are_refused_and_change_nothing(
    client: bigquery.Client, fares: str, sql: str, message: str
) -> None:
    before = rows(client, fares)

    with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
        run(client, sql.format(t=fares))

    assert rows(client, fares) == before


def test_a_table_can_be_declared(client: bigquery.Client, dataset: str) -> None:
    job = run(
        client,
        f"CREATE TABLE {dataset}.t (m DATE NOT NULL OPTIONS(description='month'), a ARRAY<STRING>, "
        "s STRUCT<x INT64, y STRING>, n NUMERIC) PARTITION BY DATE_TRUNC(m, MONTH) CLUSTER BY n "
        "OPTIONS(description='a table', labels=[('k', 'v')], require_partition_filter=TRUE)",
    )

    assert (job.statement_type, job.ddl_operation_performed) == ("CREATE_TABLE", "CREATE")
    table = client.get_table(job.ddl_target_table)
    assert [(f.name, f.field_type, f.mode, f.description) for f in table.schema] == [
        ("m", "DATE", "REQUIRED", "month"),
        ("a", "STRING", "REPEATED", None),
        ("s", "RECORD", "NULLABLE", None),
        ("n", "NUMERIC", "NULLABLE", None),
    ]
    assert (table.time_partitioning.type_, table.clustering_fields) == ("MONTH", ["n"])
    assert (table.description, table.labels) == ("a table", {"k": "v"})
    assert table.require_partition_filter


def test_a_table_can_be_made_of_a_query_and_replaced_by_one(
    client: bigquery.Client, dataset: str
) -> None:
    name = f"{dataset}.t"
    run(client, f"CREATE TABLE {name} PARTITION BY d AS SELECT DATE '2024-01-01' AS d, 1 AS x")
    with pytest.raises(google.api_core.exceptions.Conflict, match="Already Exists: Table"):
        run(client, f"CREATE TABLE {name} AS SELECT 2 AS x")
    skipped = run(client, f"CREATE TABLE IF NOT EXISTS {name} AS SELECT 2 AS x")
    assert (skipped.ddl_operation_performed, rows(client, name)) == (
        "SKIP",
        [(datetime.date(2024, 1, 1), 1)],
    )

    replaced = run(client, f"CREATE OR REPLACE TABLE {name} AS SELECT x + 1 AS x FROM {name}")

    assert (replaced.ddl_operation_performed, rows(client, name)) == ("REPLACE", [(2,)])
    assert client.get_table(name).time_partitioning is None
    dropped = run(client, f"DROP TABLE {name}")
    assert dropped.ddl_operation_performed == "DROP"
    assert run(client, f"DROP TABLE IF EXISTS {name}").ddl_operation_performed == "SKIP"
    with pytest.raises(google.api_core.exceptions.NotFound, match="Not found: Table"):
        run(client, f"DROP TABLE {name}")


def test_datasets_can_be_created_and_dropped(client: bigquery.Client, dataset: str) -> None:
    name = f"{dataset}_more"
    run(client, f"CREATE SCHEMA {name} OPTIONS(location='EU', description='more')")
    assert run(client, f"CREATE SCHEMA IF NOT EXISTS {name}").ddl_operation_performed == "SKIP"
    held = client.get_dataset(name)
    assert (held.location, held.description) == ("EU", "more")
    with pytest.raises(google.api_core.exceptions.Conflict, match="Already Exists: Dataset"):
        run(client, f"CREATE SCHEMA {name}")
    run(client, f"CREATE TABLE {name}.t (x INT64)")

    run(client, f"DROP SCHEMA {name} CASCADE")

    with pytest.raises(google.api_core.exceptions.NotFound):
        client.get_dataset(name)


def test_an_array_with_a_null_is_not_written(client: bigquery.Client, dataset: str) -> None:
    said = "Array cannot have a null element; error in writing field a"
    with pytest.raises(google.api_core.exceptions.BadRequest, match=said):
        client.query_and_wait(f"CREATE TABLE {dataset}.t AS SELECT [1, NULL] AS a")

    client.query_and_wait(f"CREATE TABLE {dataset}.t AS SELECT [1] AS a")
    with pytest.raises(google.api_core.exceptions.BadRequest, match=said):
        client.query_and_wait(f"INSERT INTO {dataset}.t VALUES ([2, NULL])")
