"""What the emulator does not do, it says: HTTP 501 in Google's shape, and no other answer."""

from typing import Any

import google.api_core.exceptions
import httpx
import pytest
from google.cloud import bigquery

from tests.servers import PROJECT

pytestmark = pytest.mark.integration


def assert_not_supported(answer: httpx.Response, what: str = "") -> None:
    assert answer.status_code == 501, answer.text
    error = answer.json()["error"]
    assert (error["errors"][0]["reason"], error["status"]) == ("notImplemented", "UNIMPLEMENTED")
    assert "The BigQuery emulator does not support" in error["message"]
    assert what in error["message"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT some_function(1)",
        "SELECT SAFE.SUBSTR('a', 1)",
        "SELECT DATE '2024-01-03' - DATE '2024-01-01'",
        "SELECT TO_JSON_STRING([1.5])",
        "SELECT PARSE_JSON('{}')",
        "SELECT FORMAT('%*d', 5, 1)",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION DISTINCT SELECT n + 1 FROM t) SELECT n FROM t",
        "SELECT LAX_INT64(JSON '1')",
        "FOR x IN (SELECT 1) DO SELECT 1; END FOR",
        "CREATE VIEW d.v (a, b) AS SELECT 1, 2",
        "SELECT x FROM (SELECT [1] AS x) AS t, t.x",
        "SELECT BIGNUMERIC '1'",
        "SELECT CAST(['a'] AS ARRAY<STRING(5)>)",
        "SELECT CAST(DATE '2024-01-01' AS STRING FORMAT 'YYYY')",
        "SELECT ST_GEOGPOINT(1, 2)",
        "SELECT FORMAT_DATE('%O', DATE '2024-01-01')",
        "SELECT PARSE_DATE('%m', '01')",
        "SELECT NUMERIC '1' / 3",
        "SELECT AVG(x) FROM UNNEST([NUMERIC '1']) AS x",
        "SELECT DATE '2024-01-01' + INTERVAL '1:2' HOUR TO MINUTE",
        "SELECT * FROM d.t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()",
        "SELECT * FROM d.t TABLESAMPLE SYSTEM (10 PERCENT)",
        "ASSERT TRUE",
        "CALL d.p()",
        "CREATE SNAPSHOT TABLE d.s CLONE d.t",
        "CREATE FUNCTION d.f() AS (1)",
        "ALTER TABLE d.t ALTER COLUMN x SET DATA TYPE NUMERIC",
        "ALTER TABLE d.t ADD COLUMN x INT64 DEFAULT 1",
        "ALTER TABLE d.t ADD COLUMN x BIGNUMERIC(5, 2)",
        "ALTER TABLE d.t ADD PRIMARY KEY (x) NOT ENFORCED",
        "ALTER SCHEMA d SET OPTIONS (description = 'x')",
        "EXPORT DATA OPTIONS(uri='gs://b/o', format='CSV') AS SELECT 1",
        "GRANT `roles/viewer` ON TABLE d.t TO 'user:a@b.c'",
    ],
)
def test_sql_that_is_not_listed(http: httpx.Client, sql: str) -> None:
    assert_not_supported(http.post("/queries", json={"query": sql, "useLegacySql": False}))


@pytest.mark.parametrize(
    "expression",
    [
        "SAFE_DIVIDE(x, 1e-10)",
        "POW(x, 2)",
        "EXP(x)",
        "SUM(x) + SUM(x)",
        "(SELECT SUM(y) FROM UNNEST([1e308, 1e308]) AS y)",
        "(SELECT AVG(y) FROM UNNEST([1e308, 1e308]) AS y)",
        "CAST('inf' AS FLOAT64) + 1",
    ],
)
def test_infinite_numbers_that_may_be_overflows(http: httpx.Client, expression: str) -> None:
    query = f"SELECT {expression} FROM UNNEST([1e308]) AS x"
    answer = http.post("/queries", json={"query": query, "useLegacySql": False})
    assert_not_supported(answer, "double overflow")


def test_tables_that_queries_cannot_name(
    client: bigquery.Client, http: httpx.Client, dataset: str
) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t_1 AS SELECT 1 AS a")
    for name in ("t_*", "t_1$202401", "INFORMATION_SCHEMA.ROUTINES"):
        sql = f"SELECT * FROM `{dataset}.{name}`"
        assert_not_supported(http.post("/queries", json={"query": sql, "useLegacySql": False}))


def test_legacy_sql(http: httpx.Client) -> None:
    assert_not_supported(http.post("/queries", json={"query": "SELECT 1"}), "legacy SQL")


@pytest.mark.parametrize(
    "change",
    [
        {"externalDataConfiguration": {"sourceFormat": "CSV"}},
        {"rangePartitioning": {"field": "x"}},
        {"timePartitioning": {"type": "DAY"}},
        {"timePartitioning": {"type": "HOUR", "field": "d"}},
        {"schema": {"fields": [{"name": "g", "type": "GEOGRAPHY"}]}},
        {
            "schema": {
                "fields": [{"name": "n", "type": "NUMERIC", "roundingMode": "ROUND_HALF_EVEN"}]
            }
        },
    ],
)
def test_kinds_of_tables(http: httpx.Client, dataset: str, change: dict[str, Any]) -> None:
    reference = {"projectId": PROJECT, "datasetId": dataset, "tableId": "t"}
    fields = [{"name": "d", "type": "TIMESTAMP"}, {"name": "x", "type": "INTEGER"}]
    body = {"tableReference": reference, "schema": {"fields": fields}} | change

    assert_not_supported(http.post(f"/datasets/{dataset}/tables", json=body))


@pytest.mark.parametrize(
    "configuration",
    [
        {"extract": {"destinationUris": ["gs://b/o"]}},
        {"load": {"sourceFormat": "AVRO", "sourceUris": ["gs://b/o"]}},
        {
            "load": {
                "sourceFormat": "PARQUET",
                "sourceUris": ["gs://b/o"],
                "hivePartitioningOptions": {"mode": "AUTO"},
            }
        },
        {"query": {"query": "SELECT 1", "useLegacySql": False, "continuous": True}},
    ],
)
def test_kinds_of_jobs(http: httpx.Client, configuration: dict[str, Any]) -> None:
    if "load" in configuration:
        reference = {"projectId": PROJECT, "datasetId": "d", "tableId": "t"}
        configuration["load"]["destinationTable"] = reference

    assert_not_supported(http.post("/jobs", json={"configuration": configuration}))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/datasets/d/models"),
        ("POST", "/datasets/d/tables/t:getIamPolicy"),
        ("GET", "/serviceAccount"),
        ("GET", "/no/such/thing"),
        ("POST", "/datasets/d:undelete"),
    ],
)
def test_uncovered_calls(http: httpx.Client, method: str, path: str) -> None:
    assert_not_supported(http.request(method, path))


def test_googles_client_raises_its_own_error(client: bigquery.Client) -> None:
    with pytest.raises(google.api_core.exceptions.MethodNotImplemented, match="does not support"):
        client.query("SELECT NUMERIC '1' / 3").result()
