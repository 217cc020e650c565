"""What BigQuery's SQL takes and refuses where DuckDB's differs; in the tests' own process."""

from collections.abc import Iterator

import pytest

from bigquery_emulator.errors import ApiError
from tests.engine import Engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(tmp_path_factory.mktemp("dialect"))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # The hour that comes twice: the earlier moment. The missing hour: by the offset before it.
        (
            "TIMESTAMP(DATETIME '2024-11-03 01:30:00', 'America/New_York')",
            "2024-11-03 05:30:00+00",
        ),
        ("TIMESTAMP('2024-11-03 01:30:00', 'America/New_York')", "2024-11-03 05:30:00+00"),
        ("TIMESTAMP '2024-11-03 01:30:00 America/New_York'", "2024-11-03 05:30:00+00"),
        (
            "PARSE_TIMESTAMP('%F %T', '2024-11-03 01:30:00', 'America/New_York')",
            "2024-11-03 05:30:00+00",
        ),
        (
            "TIMESTAMP(DATETIME '2024-03-10 02:30:00', 'America/New_York')",
            "2024-03-10 07:30:00+00",
        ),
        (
            "TIMESTAMP_TRUNC(TIMESTAMP '2024-11-03 06:45:00', HOUR, 'America/New_York')",
            "2024-11-03 06:00:00+00",
        ),
        (
            "TIMESTAMP_TRUNC(TIMESTAMP '2024-11-03 03:45:00', DAY, 'America/New_York')",
            "2024-11-02 04:00:00+00",
        ),
        ("DATE(TIMESTAMP '2024-01-01 00:30:00', '-01:00')", "2023-12-31"),
        # NaN that is of no column.
        ("CAST('nan' AS FLOAT64) = CAST('nan' AS FLOAT64)", "false"),
        ("CAST('nan' AS FLOAT64) > 1", "false"),
        ("CAST('nan' AS FLOAT64) BETWEEN 0 AND CAST('nan' AS FLOAT64)", "false"),
        ("CAST('nan' AS FLOAT64) IN (CAST('nan' AS FLOAT64), 1)", "false"),
        ("LEAST(1, CAST('nan' AS FLOAT64))", "nan"),
        # Numbers and letters as text.
        ("CAST(-0.0 AS STRING)", "0"),
        ("CAST(1e15 AS STRING)", "1e+15"),
        ("CAST(123456789012345.0 AS STRING)", "123456789012345"),
        ("CAST(0.1 AS STRING)", "0.1"),
        ("CAST(1 / 3 AS STRING)", "0.33333333333333331"),
        ("UPPER('straße')", "STRASSE"),
        ("UPPER('ǰ')", "J̌"),
        ("LOWER('ΟΔΟΣ')", "οδος"),
        ("CONCAT('a', 1, 2.5, TRUE, DATE '2024-01-01')", "a12.5true2024-01-01"),
        # Dates and intervals.
        ("DATE '2024-02-28' + 2", "2024-03-01"),
        ("3 + DATE '2024-02-28'", "2024-03-02"),
        ("DATE '2024-03-01' - 1", "2024-02-29"),
        ("TIMESTAMP '2024-01-01' + INTERVAL 90 MINUTE", "2024-01-01 01:30:00+00"),
        ("DATETIME '2024-01-31' + INTERVAL 1 MONTH", "2024-02-29 00:00:00"),
        ("DATE '2024-01-31' - INTERVAL 1 HOUR", "2024-01-30 23:00:00"),
        ("DATE_DIFF('2024-03-01', '2024-02-01', DAY)", "29"),
        ("DATE '2024-01-01' = DATETIME '2024-01-01'", "true"),
        ("DATE '2024-01-01' IN UNNEST(['2024-01-01'])", "true"),
        # Arrays and STRUCTs.
        ("GENERATE_ARRAY(0, 1, 0.25)", "[0.0, 0.25, 0.5, 0.75, 1.0]"),
        ("GENERATE_ARRAY(1, 0)", "[]"),
        ("(SELECT SUM(s.x) FROM UNNEST([STRUCT(1 AS x), (2)]) AS s)", "3"),
        ("(SELECT SUM(x) FROM UNNEST([STRUCT(1 AS x), STRUCT(2.5)]))", "3.5"),
        ("ARRAY(SELECT AS STRUCT 1 AS a, 'b' AS b)", "[{1, b}]"),
        ("[1, NULL][SAFE_OFFSET(1)]", "NULL"),
        # Types.
        ("IF(TRUE, 1, 2.5)", "1.0"),
        ("COALESCE(NULL, 1, 2.5)", "1.0"),
        ("NUMERIC '1.5' * 1.5", "2.25"),
        ("SAFE_ADD(9223372036854775807, 1)", "NULL"),
        ("SAFE.PARSE_DATE('%F', 'x')", "NULL"),
    ],
)
def test_expressions(engine: Engine, expression: str, expected: str) -> None:
    assert engine.answer(f"SELECT {expression}") == [[expected]]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT x, SUM(x) AS s FROM UNNEST([1, 2]) AS x GROUP BY x HAVING s > 1", [["2", "2"]]),
        ("SELECT x, AVG(x) AS a FROM UNNEST([1, 2]) AS x GROUP BY x HAVING a > 1", [["2", "2.0"]]),
        (
            "SELECT x, SUM(x) / COUNT(*) AS q FROM UNNEST([1, 2]) AS x GROUP BY x HAVING q > 1",
            [["2", "2.0"]],
        ),
        ("SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b), (2, 'y')])", [["1", "x"], ["2", "y"]]),
        ("SELECT * FROM UNNEST(['a']) AS e WITH OFFSET AS o", [["a", "0"]]),
        ("SELECT s.* FROM (SELECT STRUCT(1 AS a, 2 AS b) AS s)", [["1", "2"]]),
        ("SELECT a FROM (SELECT 1 AS a) JOIN (SELECT 1 AS a) USING (a)", [["1"]]),
        (
            (
                "SELECT * FROM (SELECT 'k' AS k, q, v FROM UNNEST([STRUCT('x' AS q, 1 AS v), "
                "('z', 2)])) PIVOT(SUM(v) FOR q IN ('x', 'z' AS zet))"
            ),
            [["k", "1", "2"]],
        ),
        (
            (
                "SELECT ARRAY_AGG(x ORDER BY x DESC LIMIT 2), STRING_AGG(CAST(x AS STRING), '-' "
                "ORDER BY x LIMIT 2) FROM UNNEST([3, 1, 2]) AS x"
            ),
            [["[3, 2]", "1-2"]],
        ),
        ("SELECT MAX_BY(b, a) FROM UNNEST([STRUCT(1 AS a, 'x' AS b), (2, 'y')])", [["y"]]),
        ("SELECT 'abc' LIKE ANY ('x%', 'a%'), 'abc' LIKE ALL ('x%', 'a%')", [["true", "false"]]),
        ("SELECT FORMAT('%05d|%s|%.1f', 42, 'x', 2.25)", [["00042|x|2.2"]]),
        ("SELECT x FROM (SELECT 1 AS x UNION ALL SELECT 2.5) ORDER BY x", [["1.0"], ["2.5"]]),
    ],
)
def test_queries(engine: Engine, sql: str, expected: list[list[str]]) -> None:
    assert engine.answer(sql) == expected


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT TIMESTAMP_ADD(TIMESTAMP '2024-01-01', INTERVAL 1 MONTH)", "MONTH date part"),
        ("SELECT TIMESTAMP_DIFF(TIMESTAMP '2024-01-01', '2024-01-01', YEAR)", "YEAR date part"),
        ("SELECT TIMESTAMP '2024-01-01' + INTERVAL 1 MONTH", "MONTH or YEAR part"),
        ("SELECT DATE_ADD(DATE '2024-01-01', INTERVAL 1 HOUR)", "HOUR date part"),
        ("SELECT DATE_TRUNC(DATE '2024-01-01', HOUR)", "HOUR date part"),
        ("SELECT EXTRACT(HOUR FROM DATE '2024-01-01')", "HOUR date part"),
        ("SELECT 5 % 2", 'Illegal input character "%"'),
        ("SELECT '1' + 1", "argument types: STRING, INT64"),
        ("SELECT -'1'", "argument types: STRING"),
        ("SELECT SUM(x) FROM UNNEST([TRUE]) AS x", "function SUM for argument types: BOOL"),
        ("SELECT AVG(x) FROM UNNEST(['a']) AS x", "function AVG for argument types: STRING"),
        ("SELECT [1] = [1]", "Equality is not defined for arguments of type ARRAY<INT64>"),
        ("SELECT DATETIME '2024-01-01' < TIMESTAMP '2024-01-01'", "DATETIME, TIMESTAMP"),
        ("SELECT DATE '2024-01-01' = TIMESTAMP '2024-01-01'", "DATE, TIMESTAMP"),
        ("SELECT 1 AS a, a + 1 AS b", "Unrecognized name: a"),
        ("SELECT a + 1 AS b FROM (SELECT 1 AS x) AS t, UNNEST([a]) AS u", "Unrecognized name: a"),
        ("SELECT x AS y FROM UNNEST([1]) AS x WHERE y = 1", "Unrecognized name: y"),
        ("SELECT IF(TRUE, 1, 'a')", "function IF for argument types: BOOL, INT64, STRING"),
        ("SELECT COALESCE(1, 'a')", "function COALESCE"),
        ("SELECT [1, 'a']", "do not have a common supertype"),
        ("SELECT CASE WHEN TRUE THEN 1 ELSE 'a' END", "operator CASE"),
        ("SELECT CAST(DATE '2024-01-01' AS INT64)", "Invalid cast from DATE to INT64"),
        ("SELECT CAST(TRUE AS FLOAT64)", "Invalid cast from BOOL to FLOAT64"),
        ("SELECT 1 AND TRUE", "operator AND"),
        ("SELECT 1 WHERE 1", "WHERE clause should return type BOOL"),
        ("SELECT x, COUNT(*) FROM UNNEST([1]) AS x", "neither grouped nor aggregated"),
        ("SELECT COUNT(*) AS n FROM UNNEST([1]) AS x WHERE COUNT(*) > 1", "not allowed in WHERE"),
        ("SELECT 1 UNION ALL SELECT 'a'", "incompatible types: INT64, STRING"),
        ("SELECT 1 UNION ALL SELECT 1, 2", "mismatched column count"),
        ("SELECT MOD(1.5, 2)", "function MOD for argument types: FLOAT64, INT64"),
        ("SELECT LENGTH(1)", "function LENGTH for argument types: INT64"),
        ("SELECT UPPER(1)", "function UPPER for argument types: INT64"),
        ("SELECT SUM(x) FILTER (WHERE x > 1) FROM UNNEST([1]) AS x", "FILTER"),
        ("SELECT MAX([1])", "MAX is not defined for arguments of type ARRAY<INT64>"),
        ("SELECT [[1]]", "Cannot construct array with element type ARRAY<INT64>"),
        ("SELECT 9223372036854775808", "Invalid integer literal"),
        ("SELECT DATE '9999-12-31' + 1", "out of range"),
        ("SELECT DATE(2024, 2, 30)", "Input calculates to invalid date"),
        ("SELECT PARSE_DATE('%F', 'x')", "Failed to parse input string"),
        ("SELECT REGEXP_CONTAINS('a', '(')", "Cannot parse regular expression"),
        ("SELECT DATE(TIMESTAMP '2024-01-01', 'Nowhere/Else')", "Invalid time zone"),
        ("SELECT (SELECT x FROM UNNEST([1, 2]) AS x)", "more than one element"),
        ("SELECT GENERATE_ARRAY(1, 2, 0)", "step cannot be 0"),
        ("SELECT LN(0)", "Floating point error"),
        ("SELECT POW(-1, 0.5)", "Floating point error"),
    ],
)
def test_what_bigquery_refuses(engine: Engine, sql: str, message: str) -> None:
    with pytest.raises(ApiError, match=message.replace("(", r"\(")) as refused:
        engine.answer(sql)

    assert refused.value.reason == "invalidQuery"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT REGEXP_EXTRACT('ab', '(z)?b')",
        "SELECT JSON_VALUE('{\"a\": 1', '$.a')",
        "SELECT STRUCT(1 AS a) = STRUCT(1 AS a)",
        "SELECT PERCENTILE_CONT(x, 0.5 RESPECT NULLS) OVER () FROM UNNEST([1]) AS x",
        "SELECT SAFE.LN(x / 0) FROM UNNEST([1]) AS x",
        "SELECT APPROX_QUANTILES(x, 2) FROM UNNEST([CAST('nan' AS FLOAT64)]) AS x",
        "SELECT t FROM (SELECT 1 AS a) AS t",
    ],
)
def test_what_would_not_be_right_is_not_answered(engine: Engine, sql: str) -> None:
    with pytest.raises(ApiError) as refused:
        engine.answer(sql)

    assert refused.value.reason == "notImplemented"
    assert refused.value.message.startswith("The BigQuery emulator does not support ")
