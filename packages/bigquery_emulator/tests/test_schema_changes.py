"""Columns added to a table that has rows: by patch, by update, by load jobs."""

import datetime

import google.api_core.exceptions
import httpx
import pyarrow as pa
import pytest
from google.cloud import bigquery
from google.cloud.storage import Bucket

from tests.servers import PROJECT
from tests.trips import ADDITION, load, month, repeating, replace, rows, stored

pytestmark = pytest.mark.integration


def with_tip(table: pa.Table, tip: float = 0.5) -> pa.Table:
    return table.append_column("tip", pa.array([tip] * table.num_rows))


def add_columns(client: bigquery.Client, name: str, *added: bigquery.SchemaField) -> None:
    table = client.get_table(name)
    table.schema = [*table.schema, *added]
    client.update_table(table, ["schema"])


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_old_rows_read_null_and_new_months_bring_the_column(
    client: bigquery.Client, http: httpx.Client, bucket: Bucket, trips: str, method: str
) -> None:
    replace(client, stored(bucket, month(1, 2)), f"{trips}$202401")
    table = client.get_table(trips).to_api_repr()
    fields = [*table["schema"]["fields"], {"name": "tip", "type": "FLOAT64"}]
    path = f"/datasets/{trips.replace('.', '/tables/')}"

    changed = http.request(method, path, json={"schema": {"fields": fields}}).json()

    assert [field["mode"] for field in changed["schema"]["fields"]][-1] == "NULLABLE"
    assert changed["timePartitioning"] == {"type": "MONTH", "field": "m"}
    replace(client, stored(bucket, with_tip(month(2, 1))), f"{trips}$202402")
    replace(client, stored(bucket, with_tip(month(1, 1))), f"{trips}$202401")
    replace(client, stored(bucket, month(3, 1)), f"{trips}$202403")
    found = rows(client, f"SELECT EXTRACT(MONTH FROM m), tip FROM {trips} ORDER BY 1")
    assert found == [(1, 0.5), (2, 0.5), (3, None)]
    client.query_and_wait(f"UPDATE {trips} SET tip = 1 WHERE tip IS NULL")
    assert rows(client, f"SELECT SUM(tip) FROM {trips}") == [(2.0,)]


def test_a_new_array_is_empty_in_old_rows(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 2)), f"{trips}$202401")

    add_columns(client, trips, bigquery.SchemaField("tags", "STRING", "REPEATED"))

    assert rows(client, f"SELECT ARRAY_LENGTH(tags) FROM {trips}") == [(0,), (0,)]
    replace(client, stored(bucket, month(2, 1)), f"{trips}$202402")
    assert rows(client, f"SELECT SUM(ARRAY_LENGTH(tags)), COUNT(*) FROM {trips}") == [(0, 3)]


def test_a_load_may_add_the_columns_that_it_declares(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 1)), f"{trips}$202401")
    schema = [*client.get_table(trips).schema, bigquery.SchemaField("tip", "FLOAT64")]
    uri = stored(bucket, with_tip(month(2, 1)))
    with pytest.raises(google.api_core.exceptions.BadRequest, match=r"Cannot add fields"):
        replace(client, uri, f"{trips}$202402", schema=schema)
    assert [field.name for field in client.get_table(trips).schema][-1] == "m"

    replace(client, uri, f"{trips}$202402", schema=schema, **ADDITION)
    load(client, stored(bucket, month(3, 1)), trips, schema=schema)

    assert rows(client, f"SELECT tip FROM {trips} ORDER BY m") == [(None,), (0.5,), (None,)]


def test_a_load_that_adds_a_column_and_fails_adds_none(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 1)), f"{trips}$202401")
    before = client.get_table(trips)

    with pytest.raises(google.api_core.exceptions.BadRequest, match="different partitions"):
        replace(client, stored(bucket, with_tip(month(2, 1))), f"{trips}$202401", **ADDITION)

    after = client.get_table(trips)
    assert (after.schema, after.num_rows, after.etag) == (before.schema, 1, before.etag)


def test_no_load_adds_a_required_column(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    required = bigquery.SchemaField("tip", "FLOAT64", "REQUIRED")
    schema = [*client.get_table(trips).schema, required]

    with pytest.raises(google.api_core.exceptions.BadRequest, match="Cannot add required fields"):
        load(client, stored(bucket, with_tip(month(1, 1))), trips, schema=schema, **ADDITION)


@pytest.mark.parametrize(
    ("write", "decorator", "allowed"),
    [
        ("WRITE_APPEND", "", True),
        ("WRITE_TRUNCATE", "$202401", True),
        ("WRITE_TRUNCATE", "", False),
        ("WRITE_EMPTY", "", False),
    ],
)
def test_schema_updates_are_for_appends_and_partitions(
    client: bigquery.Client, bucket: Bucket, trips: str, write: str, decorator: str, allowed: bool
) -> None:
    uri = stored(bucket, with_tip(month(1, 1)))

    if allowed:
        load(client, uri, trips + decorator, write_disposition=write, **ADDITION)
        assert rows(client, f"SELECT tip FROM {trips}") == [(0.5,)]
    else:
        with pytest.raises(
            google.api_core.exceptions.BadRequest,
            match="Schema update options should only be specified with WRITE_APPEND disposition",
        ):
            load(client, uri, trips + decorator, write_disposition=write, **ADDITION)


def test_readers_and_changes_go_on_while_columns_are_added(
    client: bigquery.Client, http: httpx.Client, bucket: Bucket, trips: str
) -> None:
    for number in (1, 2):
        replace(client, stored(bucket, month(number, 1000)), f"{trips}$20240{number}")
    path = f"/datasets/{trips.replace('.', '/tables/')}/data"
    sql = f"SELECT COUNT(*), MIN(fare), MAX(m) FROM {trips}"
    faults: list[object] = []
    seen: set[tuple[str, ...]] = set()

    def query() -> None:
        answer = http.post("/queries", json={"query": sql, "useLegacySql": False}).json()
        if "rows" in answer:
            seen.add(tuple(cell["v"] for cell in answer["rows"][0]["f"]))
        else:
            faults.append(answer)

    def page() -> None:
        answer = http.get(path, params={"maxResults": 5}).json()
        if len(answer.get("rows", ())) != 5:
            faults.append(answer)

    with repeating(query, query, page):
        for number in range(8):
            add_columns(client, trips, bigquery.SchemaField(f"c{number}", "STRING"))
            wider = month(1, 1000).append_column(f"x{number}", pa.array(["x"] * 1000))
            replace(client, stored(bucket, wider), f"{trips}$202401", **ADDITION)

    assert not faults
    assert seen == {("2000", "1.0", "2024-02-01")}
    assert len(client.get_table(trips).schema) == 20


def test_a_new_column_outlives_a_table_copy_by_changes(
    client: bigquery.Client, bucket: Bucket, dataset: str
) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t AS SELECT DATE '2024-01-01' AS m, 1 AS a")
    add_columns(client, f"{dataset}.t", bigquery.SchemaField("b", "NUMERIC"))
    client.query_and_wait(f"INSERT INTO {dataset}.t VALUES (DATE '2024-02-01', 2, 2.5)")
    client.query_and_wait(f"DELETE FROM {dataset}.t WHERE a = 3")
    client.query_and_wait(f"UPDATE {dataset}.t SET a = a + 1 WHERE true")

    found = [tuple(row) for row in client.list_rows(f"{PROJECT}.{dataset}.t")]

    assert [(row[0], row[1], row[2] and float(row[2])) for row in sorted(found)] == [
        (datetime.date(2024, 1, 1), 2, None),
        (datetime.date(2024, 2, 1), 3, 2.5),
    ]


def test_alter_table_adds_and_relaxes_columns(
    client: bigquery.Client, bucket: Bucket, trips: str
) -> None:
    replace(client, stored(bucket, month(1, 1)), f"{trips}$202401")

    job = client.query(
        f"ALTER TABLE {trips} ADD COLUMN tip FLOAT64 OPTIONS (description = 'given'), "
        "ADD COLUMN IF NOT EXISTS FARE STRING, ADD COLUMN tags ARRAY<STRING>"
    )
    job.result()
    client.query_and_wait(f"ALTER TABLE {trips} ALTER COLUMN m DROP NOT NULL")

    assert (job.statement_type, job.ddl_operation_performed) == ("ALTER_TABLE", "ALTER")
    fields = {field.name: field for field in client.get_table(trips).schema}
    assert list(fields) == ["vendor_id", "pickup", "fare", "m", "tip", "tags"]
    assert (fields["tip"].description, fields["m"].mode) == ("given", "NULLABLE")
    assert rows(client, f"SELECT fare, tip, tags FROM {trips}") == [(1.0, None, [])]
    replace(client, stored(bucket, with_tip(month(1, 2))), f"{trips}$202401")
    assert rows(client, f"SELECT SUM(tip) FROM {trips}") == [(1.0,)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ADD COLUMN fare STRING", "Column already exists: fare"),
        ("ADD COLUMN tip FLOAT64 NOT NULL", "Cannot add required fields"),
        ("ADD COLUMN tip FLOAT64, ADD COLUMN tip FLOAT64", "Column already exists: tip"),
        ("ALTER COLUMN tip DROP NOT NULL", "Column not found: tip"),
    ],
)
def test_a_wrong_alter_table_changes_nothing(
    client: bigquery.Client, trips: str, change: str, message: str
) -> None:
    with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
        client.query_and_wait(f"ALTER TABLE {trips} {change}")

    assert len(client.get_table(trips).schema) == 4


def test_alter_table_of_an_absent_table_and_of_one_without_columns(
    client: bigquery.Client, dataset: str
) -> None:
    with pytest.raises(google.api_core.exceptions.NotFound, match="Not found: Table"):
        client.query_and_wait(f"ALTER TABLE {dataset}.t ADD COLUMN a INT64")
    skipped = client.query(f"ALTER TABLE IF EXISTS {dataset}.t ADD COLUMN a INT64")
    skipped.result()
    assert skipped.ddl_operation_performed == "SKIP"
    client.create_table(f"{PROJECT}.{dataset}.t")

    client.query_and_wait(f"ALTER TABLE {dataset}.t ADD COLUMN a INT64, ADD COLUMN b STRING")

    client.query_and_wait(f"INSERT INTO {dataset}.t VALUES (1, 'x')")
    assert rows(client, f"SELECT * FROM {dataset}.t") == [(1, "x")]


@pytest.mark.parametrize(("how", "held"), [("LIKE", 0), ("COPY", 3), ("CLONE", 3)])
def test_a_table_is_made_from_another(
    client: bigquery.Client, bucket: Bucket, trips: str, how: str, held: int
) -> None:
    replace(client, stored(bucket, month(1, 3)), f"{trips}$202401")
    source, copied = client.get_table(trips), f"{trips}_2"

    for _ in range(2):
        client.query_and_wait(f"CREATE OR REPLACE TABLE {copied} {how} {trips}")

    made = client.get_table(copied)
    assert (made.schema, made.num_rows) == (source.schema, held)
    assert made.time_partitioning == source.time_partitioning
    assert made.clustering_fields == source.clustering_fields
    client.query_and_wait(f"DELETE FROM {copied} WHERE TRUE")
    assert rows(client, f"SELECT COUNT(*) FROM {trips}") == [(3,)]
