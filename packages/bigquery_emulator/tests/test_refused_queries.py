"""SELECT: what BigQuery refuses, and what it converts instead."""

import google.api_core.exceptions
import pytest
from google.cloud import bigquery

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT MOD(1, 0)", "division by zero"),
        ("SELECT CAST('1.5' AS INT64)", "Bad int64 value: 1.5"),
        ("SELECT 9223372036854775807 + 1", "int64 overflow"),
        ("SELECT x * 10 FROM UNNEST([1e308]) AS x", "double overflow"),
        ("SELECT -x - x FROM UNNEST([1e308]) AS x", "double overflow"),
        ("SELECT 1 - x * 10 + 5 FROM UNNEST([1e308]) AS x", "double overflow"),
        ("SELECT (x * 10) / 2 FROM UNNEST([1e308]) AS x", "double overflow"),
        ("SELECT x / 1e-10 FROM UNNEST([1e308]) AS x", "double overflow"),
        ("SELECT 1 / (x * 10) FROM UNNEST([1e308]) AS x", "double overflow"),
        ("SELECT [1][OFFSET(1)]", "Array index 1 is out of bounds"),
        ("SELECT 1 AS a, 2 AS a", "Duplicate column names in the result are not supported"),
        ("SELECT nothing FROM (SELECT 1 AS a)", "Unrecognized name: nothing"),
        ("SELEC 1", "Syntax error"),
        ("SELECT * FROM somewhere", "must be qualified with a dataset"),
        ("SELECT @absent", "Query parameter 'absent' not found"),
        ("SELECT ARRAY_AGG(x) FROM UNNEST([1, NULL]) AS x", "Array cannot have a null element"),
    ],
)
def test_wrong_queries_are_refused(client: bigquery.Client, sql: str, message: str) -> None:
    with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
        list(client.query(sql).result())


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT k AS n, n + 1 FROM {t}", "Unrecognized name: n"),
        ("SELECT k AS n FROM {t} WHERE n = 1", "Unrecognized name: n"),
        ("SELECT k FROM {t} WHERE k = '1'", "No matching signature for operator = for argument"),
        ("SELECT k FROM {t} WHERE '1' < t.k", "No matching signature for operator <"),
        ("SELECT s || k FROM {t}", "No matching signature"),
        ("SELECT UPPER(k) FROM {t}", "No matching signature for function UPPER"),
        ("SELECT SUM(s) FROM {t}", "No matching signature"),
        ("SELECT * FROM (SELECT k AS n FROM {t}) WHERE n = '1'", "argument types: INT64, STRING"),
        ("WITH w AS (SELECT s FROM {t}) SELECT 1 FROM w JOIN {t} AS o ON w.s = o.k", "STRING, INT"),
        ("SELECT 1 FROM {t} JOIN (SELECT s AS k FROM {t}) USING (k)", "INT64, STRING"),
        ("SELECT COUNT(*) AS n FROM {t} HAVING n > '0'", "operator >"),
        ("SELECT k FROM {t} WHERE k IN ('1', '2')", "operator IN"),
        ("SELECT k FROM {t} WHERE k IN (SELECT s FROM {t})", "operator IN"),
        ("SELECT k FROM {t} WHERE k BETWEEN '1' AND '2'", "operator BETWEEN"),
        ("SELECT k > 0 = 1 FROM {t}", "BOOL, INT64"),
        ("SELECT e FROM UNNEST([1]) AS e WHERE e = '1'", "INT64, STRING"),
        ("SELECT d FROM (SELECT DATE '2024-01-01' AS d), {t} WHERE d = s", "DATE, STRING"),
        ("SELECT k FROM {t} UNION ALL SELECT s FROM {t}", "Column 1 in UNION has incompatible"),
        ("SELECT 'a', k FROM {t} EXCEPT DISTINCT SELECT s, s FROM {t}", "Column 2 in EXCEPT"),
        ("CREATE TABLE {t}2 AS SELECT k FROM {t} WHERE k = s", "INT64, STRING"),
        ("INSERT INTO {t} SELECT k, s FROM {t} WHERE k = s", "INT64, STRING"),
        ("UPDATE {t} SET k = 2 WHERE k = '1'", "INT64, STRING"),
        ("UPDATE {t} AS a SET k = 2 FROM (SELECT 'x' AS x) AS b WHERE a.k = b.x", "INT64, STRING"),
        ("DELETE FROM {t} WHERE s = 1", "STRING, INT64"),
        ("MERGE {t} a USING (SELECT 'x' AS x) b ON a.k = b.x WHEN MATCHED THEN DELETE", "STRING"),
    ],
)
def test_what_only_duckdb_understands_is_refused(
    client: bigquery.Client, dataset: str, sql: str, message: str
) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t AS SELECT 1 AS k, 'a' AS s")

    with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
        client.query(sql.format(t=f"{dataset}.t")).result()


@pytest.mark.parametrize(
    "condition",
    [
        "d = '2024-01-01'",
        "'2024-01-01' <= d",
        "d BETWEEN '2024-01-01' AND '2024-02-01'",
        "d IN ('2024-01-01')",
        "d IN (SELECT d FROM {t})",
        "ts > '2023-01-01'",
        "k = 1.0",
        "k IN (1, 2.5)",
        "f = k",
        "CAST(k AS STRING) = '1'",
        "k = @number AND s = @text AND d = @text_day",
        "EXISTS (SELECT 1 FROM {t} AS o WHERE o.k = x.k)",
        "(SELECT MAX(k) FROM {t}) = k",
        "IF(k = 1, s, 'b') = 'a'",
        "EXTRACT(YEAR FROM d) = 2024",
        "FORMAT_DATE('%Y', d) = '2024'",
        "st.x = 1 AND st.y = 'y'",
        "1 IN UNNEST(many)",
        "many[OFFSET(0)] = k",
        "SUBSTR(s, 1, 1) = s",
        "b = (k > 0)",
        "k = NULL OR k = 1",
        "DATE(ts) = d",
        "DATE_DIFF(d, DATE '2023-12-31', DAY) = 1",
        "SAFE_CAST(s AS INT64) IS NULL",
        "k IN (SELECT k FROM {t} UNION ALL SELECT NULL)",
        "s IN (SELECT NULL AS n UNION ALL SELECT NULL UNION ALL SELECT s FROM {t})",
        "d = (SELECT MAX(n) FROM (SELECT d AS n FROM {t} UNION ALL SELECT NULL))",
        "s = NULL OR NULL = s OR s IN (NULL, 'a')",
    ],
)
def test_what_bigquery_converts_is_compared(
    client: bigquery.Client, dataset: str, condition: str
) -> None:
    table = f"{dataset}.t"
    client.query_and_wait(
        f"CREATE TABLE {table} AS SELECT 1 AS k, 'a' AS s, 1.0 AS f, TRUE AS b, "
        "DATE '2024-01-01' AS d, TIMESTAMP '2024-01-01 10:00:00+00' AS ts, "
        "STRUCT(1 AS x, 'y' AS y) AS st, [1, 2] AS many"
    )
    parameters = [
        bigquery.ScalarQueryParameter("number", "INT64", 1),
        bigquery.ScalarQueryParameter("text", "STRING", "a"),
        bigquery.ScalarQueryParameter("text_day", "DATE", "2024-01-01"),
    ]

    found = client.query_and_wait(
        f"SELECT k FROM {table} AS x WHERE {condition.format(t=table)}",
        job_config=bigquery.QueryJobConfig(query_parameters=parameters),
    )

    assert [row[0] for row in found] == [1]
