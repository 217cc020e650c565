"""SELECT: what BigQuery answers and DuckDB alone would not, parameters, types, pages."""

import datetime
import math
from decimal import Decimal
from typing import Any

import google.api_core.exceptions
import httpx
import pytest
from google.cloud import bigquery

pytestmark = pytest.mark.integration

UTC = datetime.UTC


def answer(client: bigquery.Client, sql: str, **options: Any) -> list[tuple[Any, ...]]:
    config = bigquery.QueryJobConfig(**options)
    return [row.values() for row in client.query_and_wait(sql, job_config=config)]


def value(client: bigquery.Client, expression: str) -> Any:
    ((only,),) = answer(client, f"SELECT {expression}")
    return only


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Numbers: INT64 and FLOAT64 where DuckDB has INT32, HUGEINT and DECIMAL.
        ("1 / 2", 0.5),
        ("7 / 7", 1.0),
        ("DIV(-7, 2)", -3),
        ("MOD(-7, 3)", -1),
        ("2147483647 + 1", 2147483648),
        ("0.1 + 0.2", 0.30000000000000004),
        ("SAFE_DIVIDE(1, 0)", None),
        ("ROUND(2.5)", 3.0),
        ("ROUND(-2.5)", -3.0),
        ("ROUND(2.345, 1)", 2.3),
        ("CEIL(5)", 5.0),
        ("FLOOR(-1.5)", -2.0),
        ("CAST(2.5 AS INT64)", 3),
        ("CAST(-2.5 AS INT64)", -3),
        ("CAST('0x1F' AS INT64)", 31),
        ("CAST(1.0 AS STRING)", "1"),
        ("CAST(1.5 AS STRING)", "1.5"),
        ("CAST(TRUE AS STRING)", "true"),
        ("CAST(TIMESTAMP '2024-01-02 03:04:05.6' AS STRING)", "2024-01-02 03:04:05.600+00"),
        ("CAST(NUMERIC '1.50' AS STRING)", "1.5"),
        ("SAFE_CAST('x' AS INT64)", None),
        ("SAFE_CAST('2024-13-01' AS DATE)", None),
        ("NUMERIC '1.5' + 1", Decimal("2.5")),
        ("GREATEST(1, NULL)", None),
        ("LEAST(3, 2)", 2),
        ("ABS(-3)", 3),
        ("SQRT(4)", 2.0),
        ("POW(2, 3)", 8.0),
        ("IF(NULL, 1, 2)", 2),
        ("IFNULL(NULL, 3)", 3),
        ("NULLIF(1, 1)", None),
        ("CASE WHEN FALSE THEN 1 END", None),
        # Strings.
        ("CONCAT('a', NULL)", None),
        ("CONCAT('a', 'b', 'c')", "abc"),
        ("'a' || 'b'", "ab"),
        ("SUBSTR('abc', 0, 2)", "ab"),
        ("SUBSTR('abc', -2)", "bc"),
        ("SUBSTR('abc', -9)", "abc"),
        ("LENGTH('é')", 1),
        ("LENGTH(b'abc')", 3),
        ("TRIM('\\t a \\n')", "a"),
        ("LTRIM('xxa', 'x')", "a"),
        ("UPPER('aé')", "AÉ"),
        ("LPAD('7', 3, '0')", "007"),
        ("STRPOS('abc', 'c')", 3),
        ("REPLACE('abc', '', 'x')", "abc"),
        ("SPLIT('a,b')", ["a", "b"]),
        ("REGEXP_CONTAINS('abc', r'^a.c$')", True),
        ("REGEXP_EXTRACT('x12', r'[0-9]+')", "12"),
        ("REGEXP_EXTRACT('x12', r'x([0-9])')", "1"),
        ("REGEXP_EXTRACT('abc', r'[0-9]')", None),
        ("REGEXP_REPLACE('a1b2', r'[0-9]', '')", "ab"),
        ("'a_c' LIKE r'a\\_c'", True),
        ("'abc' LIKE r'a\\_c'", False),
        ("'abc' LIKE 'a%'", True),
        ("STARTS_WITH('abc', 'ab')", True),
        ("'it\\'s'", "it's"),
        ('"double"', "double"),
        # Dates and times.
        ("DATE_TRUNC(DATE '2024-02-29', MONTH)", datetime.date(2024, 2, 1)),
        ("DATE_TRUNC(DATE '2024-01-06', WEEK)", datetime.date(2023, 12, 31)),
        ("DATE_TRUNC(DATE '2024-01-07', ISOWEEK)", datetime.date(2024, 1, 1)),
        ("DATE_TRUNC(DATE '2024-01-07', WEEK(TUESDAY))", datetime.date(2024, 1, 2)),
        ("DATE_TRUNC(DATE '1999-12-31', QUARTER)", datetime.date(1999, 10, 1)),
        ("DATE_ADD(DATE '2024-01-31', INTERVAL 1 MONTH)", datetime.date(2024, 2, 29)),
        ("DATE_SUB(DATE '2024-03-01', INTERVAL 1 DAY)", datetime.date(2024, 2, 29)),
        ("DATE_ADD(DATE '2024-01-31', INTERVAL 1 WEEK)", datetime.date(2024, 2, 7)),
        ("DATE_DIFF(DATE '2024-02-01', DATE '2024-01-31', MONTH)", 1),
        ("DATE_DIFF(DATE '2024-01-07', DATE '2024-01-06', WEEK)", 1),
        ("DATE_DIFF(DATE '2024-01-07', DATE '2024-01-06', ISOWEEK)", 0),
        (
            "TIMESTAMP_DIFF(TIMESTAMP '2024-01-01 01:00:00', TIMESTAMP '2024-01-01 00:00:01', HOUR)",
            0,
        ),
        ("DATETIME_DIFF(DATETIME '2024-01-01 01:00:00', DATETIME '2024-01-01 00:59:59', HOUR)", 1),
        (
            "DATETIME_TRUNC(DATETIME '2024-01-01 10:11:12', HOUR)",
            datetime.datetime(2024, 1, 1, 10),
        ),
        (
            "TIMESTAMP_TRUNC(TIMESTAMP '2024-01-01 10:11:12', DAY)",
            datetime.datetime(2024, 1, 1, tzinfo=UTC),
        ),
        (
            "TIMESTAMP_ADD(TIMESTAMP '2024-01-01', INTERVAL 90 MINUTE)",
            datetime.datetime(2024, 1, 1, 1, 30, tzinfo=UTC),
        ),
        ("EXTRACT(DAYOFWEEK FROM DATE '2024-01-07')", 1),
        ("EXTRACT(WEEK FROM DATE '2024-01-07')", 1),
        ("EXTRACT(ISOWEEK FROM DATE '2024-01-07')", 1),
        ("EXTRACT(MILLISECOND FROM TIMESTAMP '2024-01-01 00:00:07.123456')", 123),
        ("EXTRACT(HOUR FROM TIMESTAMP '2024-01-01 12:00:00' AT TIME ZONE 'America/New_York')", 7),
        ("DATE(TIMESTAMP '2024-01-01 02:00:00', 'America/New_York')", datetime.date(2023, 12, 31)),
        ("DATE(2024, 2, 29)", datetime.date(2024, 2, 29)),
        ("DATETIME(TIMESTAMP '2024-01-01')", datetime.datetime(2024, 1, 1)),
        (
            "TIMESTAMP(DATETIME '2024-01-01 00:00:00', 'America/New_York')",
            datetime.datetime(2024, 1, 1, 5, tzinfo=UTC),
        ),
        ("FORMAT_DATE('%Y-%m', DATE '2024-02-03')", "2024-02"),
        ("PARSE_DATE('%Y%m%d', '20240203')", datetime.date(2024, 2, 3)),
        ("LAST_DAY(DATE '2024-02-03')", datetime.date(2024, 2, 29)),
        ("UNIX_SECONDS(TIMESTAMP '1969-12-31 23:59:59.5')", -1),
        ("TIMESTAMP_MILLIS(1500)", datetime.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)),
        ("TIME '10:20:30'", datetime.time(10, 20, 30)),
        # Arrays and structs.
        ("[1, 2][OFFSET(1)]", 2),
        ("[1, 2][ORDINAL(1)]", 1),
        ("[1, 2][SAFE_OFFSET(5)]", None),
        ("[1, 2][SAFE_OFFSET(-1)]", None),
        ("ARRAY_LENGTH([1, 2, 3])", 3),
        ("2 IN UNNEST([1, 2])", True),
        ("3 NOT IN (1, 2)", True),
        ("STRUCT(1 AS a, 'x' AS b)", {"a": 1, "b": "x"}),
        (
            "[STRUCT(TIMESTAMP '2024-01-01' AS t)]",
            [{"t": datetime.datetime(2024, 1, 1, tzinfo=UTC)}],
        ),
        ("ARRAY(SELECT x FROM UNNEST([3, 1]) AS x ORDER BY x)", [1, 3]),
        ("GENERATE_ARRAY(1, 3)", [1, 2, 3]),
        (
            "GENERATE_DATE_ARRAY(DATE '2024-01-01', DATE '2024-03-01', INTERVAL 1 MONTH)",
            [datetime.date(2024, month, 1) for month in (1, 2, 3)],
        ),
        ("CAST(NULL AS STRING)", None),
        ("b'abc'", b"abc"),
    ],
)
def test_expressions_mean_what_bigquery_says(
    client: bigquery.Client, expression: str, expected: Any
) -> None:
    found = value(client, expression)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x", [(None,), (1,), (2,)]),
        ("SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x DESC", [(2,), (1,), (None,)]),
        ("SELECT SUM(x) FROM UNNEST([1, 2]) AS x", [(3,)]),
        ("SELECT SUM(x) / COUNT(*) FROM UNNEST([1, 2]) AS x", [(1.5,)]),
        ("SELECT ROUND(SUM(x), 1) FROM UNNEST([1.26, 2]) AS x", [(3.3,)]),
        ("SELECT AVG(x) FROM UNNEST([1, 2]) AS x", [(1.5,)]),
        ("SELECT CAST(SUM(x) AS STRING) FROM UNNEST([1, 2]) AS x", [("3",)]),
        ("SELECT COUNTIF(x > 1) FROM UNNEST([1, 2]) AS x", [(1,)]),
        ("SELECT COUNT(DISTINCT x) FROM UNNEST([1, 1, 2]) AS x", [(2,)]),
        ("SELECT APPROX_COUNT_DISTINCT(x) FROM UNNEST([1, 1, 2]) AS x", [(2,)]),
        ("SELECT APPROX_QUANTILES(x, 2) FROM UNNEST([3, 1, 2]) AS x", [([1, 2, 3],)]),
        ("SELECT STRING_AGG(x, '-' ORDER BY x DESC) FROM UNNEST(['a', 'b']) AS x", [("b-a",)]),
        ("SELECT STRING_AGG(x) FROM UNNEST(['a']) AS x", [("a",)]),
        ("SELECT ARRAY_AGG(x IGNORE NULLS ORDER BY x) FROM UNNEST([2, NULL, 1]) AS x", [([1, 2],)]),
        ("SELECT LOGICAL_AND(x > 0) FROM UNNEST([1, 2]) AS x", [(True,)]),
        (
            "SELECT x, SUM(x) OVER (ORDER BY x) FROM UNNEST([1, 2]) AS x ORDER BY 1",
            [(1, 1), (2, 3)],
        ),
        (
            "SELECT x FROM UNNEST([1, 1, 2]) AS x WHERE TRUE "
            "QUALIFY ROW_NUMBER() OVER (PARTITION BY x ORDER BY x) = 1 ORDER BY x",
            [(1,), (2,)],
        ),
        # An alias hides a column in GROUP BY and HAVING, and not the other way round.
        (
            "SELECT DATE_TRUNC(d, MONTH) AS d, COUNT(*) AS n "
            "FROM UNNEST([DATE '2024-01-01', DATE '2024-01-31']) AS d GROUP BY d",
            [(datetime.date(2024, 1, 1), 2)],
        ),
        (
            "SELECT -x AS x, COUNT(*) AS n FROM UNNEST([1, 2]) AS x GROUP BY x HAVING x < -1",
            [(-2, 1)],
        ),
        ("WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) SELECT x FROM b", [(2,)]),
        ("SELECT 1 AS x UNION ALL SELECT 1 ORDER BY x", [(1,), (1,)]),
        ("SELECT 1 AS x UNION DISTINCT SELECT 1", [(1,)]),
        ("SELECT * EXCEPT (b) FROM (SELECT 1 AS a, 2 AS b)", [(1,)]),
        ("SELECT * REPLACE (a + 1 AS a) FROM (SELECT 1 AS a)", [(2,)]),
        (
            "SELECT x, o FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o ORDER BY o",
            [("a", 0), ("b", 1)],
        ),
        (
            "SELECT l.k, r.v FROM (SELECT 1 AS k) AS l LEFT JOIN (SELECT 2 AS k, 3 AS v) AS r "
            "ON l.k = r.k",
            [(1, None)],
        ),
        ("SELECT K FROM (SELECT 1 AS k)", [(1,)]),
        ("SELECT (SELECT MAX(x) FROM UNNEST([1, 2]) AS x)", [(2,)]),
        ("SELECT EXISTS (SELECT 1 FROM UNNEST([1]) AS x WHERE x = 2)", [(False,)]),
        ("SELECT x FROM UNNEST([1, 2, 3]) AS x ORDER BY x LIMIT 1 OFFSET 1", [(2,)]),
        (
            "SELECT PERCENTILE_CONT(x, 0.5) OVER () FROM UNNEST([1, 2]) AS x",
            [(1.5,), (1.5,)],
        ),
    ],
)
def test_queries_mean_what_bigquery_says(
    client: bigquery.Client, sql: str, expected: list[tuple[Any, ...]]
) -> None:
    assert answer(client, sql) == expected


def test_columns_are_named_as_bigquery_names_them(client: bigquery.Client) -> None:
    rows = client.query_and_wait(
        "SELECT 1, 'a' AS b, COUNT(*), s.x FROM (SELECT STRUCT(1 AS x) AS s) GROUP BY s.x"
    )

    assert [field.name for field in rows.schema] == ["f0_", "b", "f1_", "x"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT MOD(1, 0)", "division by zero"),
        ("SELECT CAST('1.5' AS INT64)", "Bad int64 value: 1.5"),
        ("SELECT 9223372036854775807 + 1", "verflow"),
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


def test_scalar_parameters_keep_value_and_type(client: bigquery.Client) -> None:
    given: dict[str, tuple[str, Any]] = {
        "i": ("INT64", 2**40),
        "f": ("FLOAT64", 0.1),
        "n": ("NUMERIC", Decimal("1.123456789")),
        "s": ("STRING", "it's; DROP TABLE x --"),
        "b": ("BOOL", True),
        "y": ("BYTES", b"\x00\xff"),
        "d": ("DATE", datetime.date(2024, 2, 29)),
        "dt": ("DATETIME", datetime.datetime(2024, 2, 29, 1, 2, 3, 4)),
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
    assert sum(pages, []) == list(range(25000, 0, -1))
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
    assert [(field.name, field.field_type) for field in job.schema] == [
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
