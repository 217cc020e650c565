"""Views, copies, scripts, changes of tables and the metadata views, as clients use them."""

import datetime
import time

import google.api_core.exceptions
import httpx
import pytest
from google.cloud import bigquery

from tests.servers import PROJECT
from tests.trips import rows

pytestmark = pytest.mark.integration


@pytest.fixture
def table(client: bigquery.Client, dataset: str) -> str:
    """A table of three rows in two months."""
    client.query_and_wait(
        f"CREATE TABLE {dataset}.t (k INT64, d DATE, s STRING) PARTITION BY DATE_TRUNC(d, MONTH)"
    )
    client.query_and_wait(
        f"INSERT INTO {dataset}.t VALUES (1, '2024-01-05', 'a'), (2, '2024-01-06', 'b'), "
        "(3, '2024-02-01', 'c')"
    )
    return f"{dataset}.t"


def test_a_view_shows_its_table_as_it_is_now(client: bigquery.Client, table: str) -> None:
    view = f"{table}_view"
    client.query_and_wait(
        f"CREATE VIEW {view} OPTIONS (description = 'months') AS "
        f"SELECT DATE_TRUNC(d, MONTH) AS month, COUNT(*) AS n FROM {table} GROUP BY month"
    )
    client.query_and_wait(f"INSERT INTO {table} VALUES (4, '2024-02-02', 'd')")

    assert rows(client, f"SELECT n FROM {view} WHERE month > '2024-01-01'") == [(2,)]
    shown = client.get_table(f"{PROJECT}.{view}")
    assert (shown.table_type, shown.description) == ("VIEW", "months")
    assert [field.name for field in shown.schema] == ["month", "n"]
    assert "GROUP BY month" in shown.view_query
    listed = {item.table_id: item.table_type for item in client.list_tables(table.split(".")[0])}
    assert listed == {"t": "TABLE", "t_view": "VIEW"}


def test_a_view_of_a_view_can_be_replaced_and_dropped(client: bigquery.Client, table: str) -> None:
    first, second = f"{table}_1", f"{table}_2"
    view = bigquery.Table(f"{PROJECT}.{first}")
    view.view_query = f"SELECT k FROM {table} AS x WHERE k > 1"
    client.create_table(view)
    client.query_and_wait(f"CREATE VIEW {second} AS SELECT k * 10 AS k FROM {first}")
    client.query_and_wait(f"CREATE OR REPLACE VIEW {first} AS SELECT k FROM {table} WHERE k > 2")

    assert rows(client, f"SELECT k FROM {second}") == [(30,)]
    for refused in (f"DROP TABLE {first}", f"INSERT INTO {first} VALUES (1)"):
        with pytest.raises(google.api_core.exceptions.BadRequest):
            client.query_and_wait(refused)
    client.query_and_wait(f"DROP VIEW {first}")
    with pytest.raises(google.api_core.exceptions.NotFound):
        client.query_and_wait(f"SELECT * FROM {second}")


def test_a_ctas_job_names_its_table(client: bigquery.Client, table: str) -> None:
    job = client.query(f"CREATE TABLE {table}_new AS SELECT 1 AS a")
    job.result()

    assert job.destination.table_id == "t_new"
    assert job.ddl_target_table.table_id == "t_new"
    change = client.query(f"UPDATE {table} SET s = 'x' WHERE k = 1")
    change.result()
    assert change.destination.table_id == "t"


def test_tables_and_partitions_are_copied(client: bigquery.Client, table: str) -> None:
    name = f"{PROJECT}.{table}"
    client.copy_table(name, f"{name}_copy").result()
    copied = client.get_table(f"{name}_copy")
    assert (copied.num_rows, copied.time_partitioning.type_) == (3, "MONTH")

    client.query_and_wait(f"DELETE FROM {table} WHERE k = 1")
    config = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE")
    job = client.copy_table(f"{name}$202401", f"{name}_copy$202401", job_config=config)
    job.result()

    assert rows(client, f"SELECT k FROM {table}_copy ORDER BY k") == [(2,), (3,)]
    with pytest.raises(google.api_core.exceptions.Conflict):
        client.copy_table(
            name, f"{name}_copy", job_config=bigquery.CopyJobConfig(write_disposition="WRITE_EMPTY")
        ).result()


def test_tables_are_altered(client: bigquery.Client, table: str) -> None:
    for change in (
        "SET OPTIONS (description = 'known', labels = [('a', 'b')])",
        "SET OPTIONS ()",
        "DROP COLUMN s, DROP COLUMN IF EXISTS nothing",
        "RENAME COLUMN k TO key",
        "RENAME TO renamed",
    ):
        client.query_and_wait(f"ALTER TABLE {table} {change}")

    shown = client.get_table(f"{PROJECT}.{table.split('.')[0]}.renamed")
    assert (shown.description, shown.labels) == ("known", {"a": "b"})
    assert [field.name for field in shown.schema] == ["key", "d"]
    assert rows(client, f"SELECT SUM(key) FROM {shown.dataset_id}.renamed") == [(6,)]


def test_a_table_expires(client: bigquery.Client, dataset: str) -> None:
    moment = "TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 SECOND)"
    create = f"CREATE TABLE {dataset}.t OPTIONS (expiration_timestamp = {moment}) AS SELECT 1 AS a"
    client.query_and_wait(create)
    expires = client.get_table(f"{PROJECT}.{dataset}.t").expires
    assert expires - datetime.datetime.now(datetime.UTC) < datetime.timedelta(seconds=1)
    time.sleep(1.1)

    with pytest.raises(google.api_core.exceptions.NotFound):
        client.get_table(f"{PROJECT}.{dataset}.t")
    assert list(client.list_tables(dataset)) == []
    client.query_and_wait(create)


def test_a_script_has_variables_and_jobs_of_its_own(client: bigquery.Client, table: str) -> None:
    job = client.query(
        f"""
        DECLARE months ARRAY<DATE>;
        DECLARE least INT64 DEFAULT 1;
        SET (months) = (
            SELECT AS STRUCT ARRAY_AGG(DISTINCT DATE_TRUNC(d, MONTH) IGNORE NULLS) FROM {table}
            WHERE k <= 2);
        SET least = least + 1;
        DELETE FROM {table} WHERE DATE_TRUNC(d, MONTH) IN UNNEST(months) AND k < least;
        SELECT k, least FROM {table} ORDER BY k;
        """
    )

    assert [tuple(row.values()) for row in job.result()] == [(2, 2), (3, 2)]
    assert (job.statement_type, job.num_child_jobs) == ("SCRIPT", 2)
    children = {one.statement_type for one in client.list_jobs(parent_job=job)}
    assert children == {"DELETE", "SELECT"}


def test_a_script_ends_where_it_fails(client: bigquery.Client, table: str) -> None:
    script = f"DELETE FROM {table} WHERE k = 1; SELECT 1 / 0; DELETE FROM {table} WHERE TRUE"
    with pytest.raises(google.api_core.exceptions.BadRequest, match="division by zero"):
        client.query_and_wait(script)

    assert rows(client, f"SELECT COUNT(*) FROM {table}") == [(2,)]


def test_metadata_views(client: bigquery.Client, table: str) -> None:
    dataset = table.split(".")[0]
    client.query_and_wait(f"CREATE VIEW {table}_v AS SELECT STRUCT(1 AS x) AS s")
    client.query_and_wait(f"ALTER TABLE {table} SET OPTIONS (description = 'a \"b\"')")

    assert rows(
        client,
        f"SELECT table_name, table_type FROM {dataset}.INFORMATION_SCHEMA.TABLES ORDER BY 1",
    ) == [("t", "BASE TABLE"), ("t_v", "VIEW")]
    assert rows(client, f"SELECT view_definition FROM {dataset}.INFORMATION_SCHEMA.VIEWS") == [
        ("SELECT STRUCT(1 AS x) AS s",)
    ]
    assert rows(
        client,
        f"SELECT JSON_VALUE(option_value) FROM {dataset}.INFORMATION_SCHEMA.TABLE_OPTIONS",
    ) == [('a "b"',)]
    assert rows(
        client,
        f"SELECT field_path FROM {dataset}.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS "
        "WHERE table_name = 't_v' ORDER BY 1",
    ) == [("s",), ("s.x",)]
    schemata = rows(client, "SELECT schema_name FROM INFORMATION_SCHEMA.SCHEMATA")
    assert (dataset,) in schemata
    jobs = (
        "SELECT COUNT(*) > 0 FROM `region-us`.INFORMATION_SCHEMA.JOBS "
        "WHERE statement_type = 'CREATE_VIEW' AND state = 'DONE'"
    )
    assert rows(client, jobs) == [(True,)]


def test_a_dataset_has_no_routines(client: bigquery.Client, dataset: str) -> None:
    assert list(client.list_routines(dataset)) == []


def test_a_view_is_checked_when_it_is_made(http: httpx.Client, dataset: str) -> None:
    reference = {"projectId": PROJECT, "datasetId": dataset, "tableId": "v"}
    view = {"query": "SELECT nothing", "useLegacySql": False}

    answer = http.post(
        f"/datasets/{dataset}/tables", json={"tableReference": reference, "view": view}
    )

    assert answer.status_code == 400
    assert "Unrecognized name: nothing" in answer.json()["error"]["message"]
