"""Datasets and tables: what is kept of them, what may change, and how errors read."""

import gzip
import io
import json

import google.api_core.exceptions
import httpx
import pytest
from google.cloud import bigquery

from tests.servers import PROJECT

pytestmark = pytest.mark.integration


def partitioned_table(client: bigquery.Client, dataset: str) -> bigquery.Table:
    table = bigquery.Table(
        f"{PROJECT}.{dataset}.trips",
        schema=[
            bigquery.SchemaField("m", "DATE", "REQUIRED", description="the month of the file"),
            bigquery.SchemaField("fare", "FLOAT64"),
            bigquery.SchemaField("tags", "STRING", "REPEATED"),
            bigquery.SchemaField("at", "RECORD", fields=[bigquery.SchemaField("x", "INT64")]),
        ],
    )
    table.time_partitioning = bigquery.TimePartitioning("MONTH", "m")
    table.clustering_fields = ["m"]
    table.description = "trips"
    table.labels = {"color": "green"}
    return client.create_table(table)


def test_a_dataset_keeps_what_it_is_given(client: bigquery.Client, dataset: str) -> None:
    held = client.get_dataset(dataset)
    held.description, held.labels = "trips", {"env": "local", "gone": "soon"}
    client.update_dataset(held, ["description", "labels"])
    held = client.get_dataset(dataset)
    assert (held.description, held.labels["env"], held.location) == ("trips", "local", "US")

    held.description, held.labels["gone"] = None, None
    client.update_dataset(held, ["description", "labels"])

    held = client.get_dataset(dataset)
    assert (held.description, held.labels) == (None, {"env": "local"})
    assert held.modified >= held.created
    assert dataset in [one.dataset_id for one in client.list_datasets()]


def test_a_dataset_is_created_once_and_deleted_when_empty(
    client: bigquery.Client, dataset: str
) -> None:
    with pytest.raises(google.api_core.exceptions.Conflict, match="Already Exists: Dataset"):
        client.create_dataset(dataset)
    assert client.create_dataset(dataset, exists_ok=True).dataset_id == dataset
    partitioned_table(client, dataset)
    with pytest.raises(google.api_core.exceptions.BadRequest, match="is still in use"):
        client.delete_dataset(dataset)

    client.delete_dataset(dataset, delete_contents=True)

    with pytest.raises(google.api_core.exceptions.NotFound):
        client.get_dataset(dataset)


def test_datasets_and_tables_are_told_apart_by_case(client: bigquery.Client, dataset: str) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t AS SELECT 1 AS a")
    client.query_and_wait(f"CREATE TABLE {dataset}.T AS SELECT 2 AS a")

    assert [row[0] for row in client.query_and_wait(f"SELECT A FROM {dataset}.T")] == [2]
    assert [table.table_id for table in client.list_tables(dataset)] == ["T", "t"]
    with pytest.raises(google.api_core.exceptions.NotFound):
        client.get_dataset(dataset.upper())


def test_a_table_keeps_its_columns_and_layout(client: bigquery.Client, dataset: str) -> None:
    created = partitioned_table(client, dataset)

    table = client.get_table(created.reference)

    assert table.schema == created.schema
    assert [(f.name, f.field_type, f.mode) for f in table.schema] == [
        ("m", "DATE", "REQUIRED"),
        ("fare", "FLOAT", "NULLABLE"),
        ("tags", "STRING", "REPEATED"),
        ("at", "RECORD", "NULLABLE"),
    ]
    assert table.schema[0].description == "the month of the file"
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("MONTH", "m")
    assert (table.clustering_fields, table.description) == (["m"], "trips")
    assert (table.labels, table.num_rows, table.num_bytes) == ({"color": "green"}, 0, 0)
    with pytest.raises(google.api_core.exceptions.Conflict, match="Already Exists: Table"):
        client.create_table(created)


def test_a_table_takes_new_columns_and_words(client: bigquery.Client, dataset: str) -> None:
    table = partitioned_table(client, dataset)
    client.query_and_wait(f"INSERT INTO {dataset}.trips (m, fare) VALUES ('2024-01-01', 1)")
    table = client.get_table(table.reference)
    table.description, table.labels = "all trips", {"color": None, "year": "2024"}
    table.schema = [*table.schema, bigquery.SchemaField("tip", "NUMERIC")]

    client.update_table(table, ["description", "labels", "schema"])

    table = client.get_table(table.reference)
    assert (table.description, table.labels) == ("all trips", {"year": "2024"})
    assert table.schema[-1].name == "tip"
    rows = client.list_rows(table)
    assert [row.values()[1:] for row in rows] == [(1.0, [], None, None)]


def test_a_stale_etag_is_refused(client: bigquery.Client, dataset: str) -> None:
    table = partitioned_table(client, dataset)
    stale = client.get_table(table.reference)
    table.description = "newer"
    client.update_table(table, ["description"])

    stale.description = "older"
    with pytest.raises(google.api_core.exceptions.PreconditionFailed):
        client.update_table(stale, ["description"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([("m", "DATE", "REQUIRED")], "Field fare is missing in new schema"),
        (
            [("m", "DATE", "REQUIRED"), ("fare", "STRING", "NULLABLE")],
            "has changed type from FLOAT",
        ),
        ([("m", "DATE", "REQUIRED"), ("fare", "FLOAT", "REQUIRED")], "has changed mode from NULL"),
        (
            [("m", "DATE", "REQUIRED"), ("fare", "FLOAT", "NULLABLE"), ("x", "DATE", "REQUIRED")],
            "Cannot add required fields",
        ),
    ],
)
def test_incompatible_schemas_are_refused(
    client: bigquery.Client,
    http: httpx.Client,
    dataset: str,
    columns: list[tuple[str, str, str]],
    message: str,
) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t (m DATE NOT NULL, fare FLOAT64)")
    fields = [{"name": name, "type": kind, "mode": mode} for name, kind, mode in columns]

    refused = http.patch(f"/datasets/{dataset}/tables/t", json={"schema": {"fields": fields}})

    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["message"].startswith(
        f"Provided Schema does not match Table {PROJECT}:{dataset}.t"
    )
    assert message in error["message"]
    assert error["errors"][0]["reason"] == "invalid"


def test_what_does_not_exist_is_named_in_bigquerys_words(
    client: bigquery.Client, http: httpx.Client, dataset: str
) -> None:
    for path, name in (
        ("/datasets/absent", f"Dataset {PROJECT}:absent"),
        ("/datasets/absent/tables", f"Dataset {PROJECT}:absent"),
        ("/datasets/absent/tables/t", f"Dataset {PROJECT}:absent"),
        (f"/datasets/{dataset}/tables/absent", f"Table {PROJECT}:{dataset}.absent"),
        (f"/datasets/{dataset}/tables/absent/data", f"Table {PROJECT}:{dataset}.absent"),
        ("/jobs/absent", f"Job {PROJECT}:US.absent"),
    ):
        answer = http.get(path)
        assert answer.status_code == 404
        error = answer.json()["error"]
        assert error["message"] == f"Not found: {name}"
        assert (error["errors"][0]["reason"], error["status"]) == ("notFound", "NOT_FOUND")
    with pytest.raises(google.api_core.exceptions.NotFound, match="was not found in location US"):
        client.query(f"SELECT * FROM {dataset}.absent").result()


def test_jobs_of_what_does_not_exist_end_in_404(client: bigquery.Client, dataset: str) -> None:
    schema = [bigquery.SchemaField("a", "INT64")]
    file, never = (
        bigquery.LoadJobConfig(source_format="CSV", schema=schema, create_disposition=create)
        for create in ("CREATE_IF_NEEDED", "CREATE_NEVER")
    )
    into = bigquery.QueryJobConfig(destination=f"{PROJECT}.absent.t")
    for start, name in (
        (lambda: client.query("DELETE FROM absent.t WHERE true"), "Dataset test-project:absent"),
        (lambda: client.query(f"UPDATE {dataset}.t SET a = 1 WHERE true"), f"{dataset}.t"),
        (lambda: client.query(f"DROP TABLE {dataset}.t"), f"Table {PROJECT}:{dataset}.t"),
        (lambda: client.query("CREATE TABLE absent.t (a INT64)"), "Dataset test-project:absent"),
        (lambda: client.query("SELECT 1 AS a", into), "Dataset test-project:absent"),
        (
            lambda: client.load_table_from_file(
                io.BytesIO(b"1"), f"{PROJECT}.absent.t", job_config=file
            ),
            "Dataset test-project:absent",
        ),
        (
            lambda: client.load_table_from_file(
                io.BytesIO(b"1"), f"{PROJECT}.{dataset}.t", job_config=never
            ),
            f"Table {PROJECT}:{dataset}.t",
        ),
    ):
        with pytest.raises(google.api_core.exceptions.NotFound, match=f"Not found: .*{name}"):
            start().result()


def test_tables_are_listed_and_deleted(client: bigquery.Client, dataset: str) -> None:
    for name in ("a", "b", "c"):
        client.query_and_wait(f"CREATE TABLE {dataset}.{name} (x INT64)")
    pages = client.list_tables(dataset, page_size=2).pages
    assert [[table.table_id for table in page] for page in pages] == [["a", "b"], ["c"]]

    client.delete_table(f"{dataset}.b")

    assert [table.table_id for table in client.list_tables(dataset)] == ["a", "c"]
    with pytest.raises(google.api_core.exceptions.NotFound):
        client.delete_table(f"{dataset}.b")


def test_rows_are_listed_by_page_column_and_partition(
    client: bigquery.Client, http: httpx.Client, dataset: str
) -> None:
    client.query_and_wait(
        f"CREATE TABLE {dataset}.t PARTITION BY DATE_TRUNC(m, MONTH) AS "
        "SELECT DATE '2024-01-01' AS m, x, 'a' AS s FROM UNNEST([1, 2, 3]) AS x "
        "UNION ALL SELECT DATE '2024-02-01', 4, 'b'"
    )
    path = f"/datasets/{dataset}/tables/t"
    first = http.get(f"{path}/data", params={"maxResults": 3, "selectedFields": "s,x"}).json()
    assert first["totalRows"] == "4"
    assert [[cell["v"] for cell in row["f"]] for row in first["rows"]] == [
        ["a", "1"],
        ["a", "2"],
        ["a", "3"],
    ]
    rest = http.get(f"{path}/data", params={"pageToken": first["pageToken"]}).json()
    assert len(rest["rows"]) == 1
    assert "pageToken" not in rest
    month = http.get(f"{path}$202402/data").json()
    assert [row["f"][1]["v"] for row in month["rows"]] == ["4"]
    assert http.get(f"{path}$202401").json()["numRows"] == "3"

    assert http.delete(f"{path}$202401").status_code == 204

    assert http.get(path).json()["numRows"] == "1"


def test_requests_may_be_compressed_and_lack_the_prefix(http: httpx.Client, dataset: str) -> None:
    body = {"tableReference": {"projectId": PROJECT, "datasetId": dataset, "tableId": "zipped"}}
    root = str(http.base_url).replace("/bigquery/v2", "")

    created = http.post(
        f"{root}datasets/{dataset}/tables",
        content=gzip.compress(json.dumps(body).encode()),
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )

    assert created.json()["tableReference"]["tableId"] == "zipped"
    assert http.post("/datasets", content=b"{").status_code == 400


def test_a_required_partition_filter_is_required(client: bigquery.Client, dataset: str) -> None:
    table = partitioned_table(client, dataset)
    table.require_partition_filter = True
    client.update_table(table, ["require_partition_filter"])

    with pytest.raises(google.api_core.exceptions.BadRequest, match="without a filter over column"):
        client.query_and_wait(f"SELECT COUNT(*) FROM {dataset}.trips")
    sql = f"SELECT COUNT(*) FROM {dataset}.trips WHERE m = '2024-01-01'"
    assert [row[0] for row in client.query_and_wait(sql)] == [0]
