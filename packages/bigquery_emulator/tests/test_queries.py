"""SELECT: what BigQuery answers, and DuckDB alone would not."""

import datetime
from decimal import Decimal
from typing import Any

import pytest
from google.cloud import bigquery

from tests.trips import moment, rows

pytestmark = pytest.mark.integration

UTC = datetime.UTC


def value(client: bigquery.Client, expression: str) -> Any:
    ((only,),) = rows(client, f"SELECT {expression}")
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
        ("TIMESTAMP_DIFF(TIMESTAMP '2024-01-01 01:00:00', '2024-01-01 00:00:01', HOUR)", 0),
        ("DATETIME_DIFF(DATETIME '2024-01-01 01:00:00', DATETIME '2024-01-01 00:59:59', HOUR)", 1),
        (
            "DATETIME_TRUNC(DATETIME '2024-01-01 10:11:12', HOUR)",
            moment("2024-01-01T10:00:00"),
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
        ("DATETIME(TIMESTAMP '2024-01-01')", moment("2024-01-01T00:00:00")),
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
            (
                "SELECT x FROM UNNEST([1, 1, 2]) AS x WHERE TRUE "
                "QUALIFY ROW_NUMBER() OVER (PARTITION BY x ORDER BY x) = 1 ORDER BY x"
            ),
            [(1,), (2,)],
        ),
        # An alias hides a column in GROUP BY and HAVING, and not the other way round.
        (
            (
                "SELECT DATE_TRUNC(d, MONTH) AS d, COUNT(*) AS n "
                "FROM UNNEST([DATE '2024-01-01', DATE '2024-01-31']) AS d GROUP BY d"
            ),
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
            (
                "SELECT l.k, r.v FROM (SELECT 1 AS k) AS l LEFT JOIN (SELECT 2 AS k, 3 AS v) AS r "
                "ON l.k = r.k"
            ),
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
    assert rows(client, sql) == expected


def test_long_sums_are_answered_at_once(client: bigquery.Client) -> None:
    columns = " + ".join(f"x / {number} * 2" for number in range(1, 40))

    found = client.query_and_wait(
        f"SELECT {columns}, x{' / 2' * 12}, x{' - x' * 20}, SUM(x) OVER () FROM UNNEST([1.0]) AS x"
    )

    assert next(iter(found))[0] == pytest.approx(2 * sum(1 / number for number in range(1, 40)))


def test_columns_are_named_as_bigquery_names_them(client: bigquery.Client) -> None:
    rows = client.query_and_wait(
        "SELECT 1, 'a' AS b, COUNT(*), s.x FROM (SELECT STRUCT(1 AS x) AS s) GROUP BY s.x"
    )

    assert [field.name for field in rows.schema] == ["f0_", "b", "f1_", "x"]


def test_arrays_and_structs_of_a_table_can_be_taken_apart(
    client: bigquery.Client, dataset: str
) -> None:
    table = f"{dataset}.t"
    client.query_and_wait(f"CREATE TABLE {table} (k INT64, tags ARRAY<STRING>, s STRUCT<x INT64>)")
    client.query_and_wait(
        f"INSERT INTO {table} VALUES (1, ['a', 'b'], STRUCT(7 AS x)), (2, NULL, NULL)"
    )
    client.query_and_wait(f"INSERT INTO {table} (k) VALUES (3)")

    assert rows(
        client, f"SELECT k, tag, o FROM {table}, UNNEST(tags) AS tag WITH OFFSET o ORDER BY o"
    ) == [
        (1, "a", 0),
        (1, "b", 1),
    ]
    assert rows(
        client, f"SELECT k, tag FROM {table} LEFT JOIN UNNEST(tags) AS tag ON TRUE ORDER BY 1, 2"
    ) == [
        (1, "a"),
        (1, "b"),
        (2, None),
        (3, None),
    ]
    # A table has no NULL array, only an empty one.
    assert rows(client, f"SELECT ARRAY_LENGTH(tags), s.x FROM {table} ORDER BY k") == [
        (2, 7),
        (0, None),
        (0, None),
    ]
