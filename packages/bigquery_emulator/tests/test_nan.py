"""NaN: equal to nothing, before all other numbers, and the extreme wherever it occurs."""

import math
from typing import Any

import pytest
from google.cloud import bigquery

from tests.trips import rows

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def fares(client: bigquery.Client) -> str:
    """A table with a NaN, an Infinity, a NULL and a number."""
    client.create_dataset("nan_tests", exists_ok=True)
    client.query_and_wait(
        "CREATE OR REPLACE TABLE nan_tests.fares AS SELECT CAST('nan' AS FLOAT64) AS fare, 1 AS k "
        "UNION ALL SELECT 2, 2 UNION ALL SELECT NULL, 3 UNION ALL SELECT CAST('-inf' AS FLOAT64), 4"
    )
    return "nan_tests.fares"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT k FROM {t} WHERE fare > 1", [2]),
        ("SELECT k FROM {t} WHERE NOT fare <= 1 ORDER BY k", [1, 2]),
        ("SELECT k FROM {t} WHERE fare = fare ORDER BY k", [2, 4]),
        ("SELECT k FROM {t} WHERE fare != fare", [1]),
        ("SELECT k FROM {t} WHERE fare BETWEEN 1 AND 1e308", [2]),
        ("SELECT k FROM {t} ORDER BY fare", [3, 1, 4, 2]),
        ("SELECT k FROM {t} ORDER BY fare DESC", [2, 4, 1, 3]),
        ("SELECT k FROM {t} ORDER BY fare NULLS LAST", [1, 4, 2, 3]),
        ("SELECT f FROM (SELECT fare + 1 AS f FROM {t}) WHERE f = 3", [3.0]),
        ("SELECT COUNT(*) FROM {t} AS a JOIN {t} AS b ON a.fare = b.fare", [2]),
        ("SELECT k FROM {t} QUALIFY ROW_NUMBER() OVER (ORDER BY fare) = 2", [1]),
        ("SELECT CASE fare WHEN fare THEN 'same' ELSE 'other' END FROM {t} WHERE k = 1", ["other"]),
        ("SELECT NULLIF(fare, fare) IS NULL FROM {t} WHERE k = 1", [False]),
        ("SELECT COUNT(DISTINCT fare) FROM (SELECT * FROM {t} UNION ALL SELECT * FROM {t})", [3]),
    ],
)
def test_nan_is_compared_as_by_bigquery(
    client: bigquery.Client, fares: str, sql: str, expected: list[Any]
) -> None:
    assert [row[0] for row in rows(client, sql.format(t=fares))] == expected


@pytest.mark.parametrize(
    "expression",
    [
        "MIN(fare)",
        "MAX(fare)",
        "MIN(MIN(fare)) OVER ()",
        "LEAST(1, MIN(fare))",
        "GREATEST(1, MAX(fare))",
        "SUM(fare)",
    ],
)
def test_nan_is_the_extreme(client: bigquery.Client, fares: str, expression: str) -> None:
    assert math.isnan(rows(client, f"SELECT {expression} FROM {fares}")[0][0])


def test_nan_is_not_deleted_by_a_comparison(client: bigquery.Client, fares: str) -> None:
    client.query_and_wait(f"CREATE OR REPLACE TABLE {fares}_2 AS SELECT * FROM {fares}")

    client.query_and_wait(f"DELETE FROM {fares}_2 WHERE fare >= 2")

    assert rows(client, f"SELECT COUNT(*) FROM {fares}_2") == [(3,)]
