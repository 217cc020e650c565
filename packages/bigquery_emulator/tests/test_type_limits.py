"""Parameterized types, such as STRING(64) and NUMERIC(10, 2): what is written keeps limits."""

import io
from decimal import Decimal
from typing import Any

import google.api_core.exceptions
import httpx
import pytest
from google.cloud import bigquery

from tests.servers import PROJECT
from tests.trips import rows

pytestmark = pytest.mark.integration

COLUMNS = (
    "s STRING(3), b BYTES(2), n NUMERIC(5, 2), whole NUMERIC(3), free STRING, "
    "codes ARRAY<STRING(2)>, part STRUCT<code STRING(2), n NUMERIC(3, 1)>"
)
LIMITS: dict[str, dict[str, Any]] = {
    "s": {"maxLength": "3"},
    "b": {"maxLength": "2"},
    "n": {"precision": "5", "scale": "2"},
    "whole": {"precision": "3"},
    "free": {},
    "codes": {"maxLength": "2"},
}


@pytest.fixture
def limited(client: bigquery.Client, dataset: str) -> str:
    """A table of which every column but one has limits."""
    client.query_and_wait(f"CREATE TABLE {dataset}.limited ({COLUMNS})")
    return f"{dataset}.limited"


def limits(field: dict[str, Any]) -> dict[str, Any]:
    return {name: field[name] for name in ("maxLength", "precision", "scale") if name in field}


def test_the_schema_shows_them(client: bigquery.Client, http: httpx.Client, limited: str) -> None:
    path = f"/datasets/{limited.replace('.', '/tables/')}"
    fields = {one["name"]: one for one in http.get(path).json()["schema"]["fields"]}

    assert {name: limits(fields[name]) for name in LIMITS} == LIMITS
    assert [limits(one) for one in fields["part"]["fields"]] == [
        {"maxLength": "2"},
        {"precision": "3", "scale": "1"},
    ]
    dataset, table = limited.split(".")
    named = rows(
        client,
        f"SELECT column_name, data_type FROM {dataset}.INFORMATION_SCHEMA.COLUMNS "
        f"WHERE table_name = '{table}' ORDER BY ordinal_position",
    )
    assert [kind for _, kind in named] == [
        *("STRING(3)", "BYTES(2)", "NUMERIC(5, 2)", "NUMERIC(3)", "STRING"),
        *("ARRAY<STRING(2)>", "STRUCT<code STRING(2), n NUMERIC(3, 1)>"),
    ]
    # They are no part of a value's type.
    found = client.query_and_wait(f"SELECT s, n FROM {limited}")
    assert [(one.max_length, one.precision, one.scale) for one in found.schema] == [
        (None, None, None)
    ] * 2


def test_numbers_are_rounded_to_the_scale(client: bigquery.Client, limited: str) -> None:
    client.query_and_wait(
        f"INSERT INTO {limited} (s, b, n, whole, codes, part) VALUES "
        "('äöü', b'xy', NUMERIC '1.005', NUMERIC '999.4', ['ab'], ('ab', NUMERIC '0.05'))"
    )
    client.query_and_wait(f"UPDATE {limited} SET n = n * -1 - NUMERIC '0.005' WHERE true")

    found = rows(client, f"SELECT s, n, whole, part.n AS tenths FROM {limited}")
    assert found == [("äöü", Decimal("-1.02"), Decimal(999), Decimal("0.1"))]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (
            "s",
            "'four'",
            r"Field s: STRING\(3\) has maximum length 3 but got a value with length 4",
        ),
        ("b", "b'abc'", r"Field b: BYTES\(2\) has maximum length 2"),
        ("n", "NUMERIC '999.995'", r"Field n: NUMERIC\(5, 2\) has precision 5 and scale 2"),
        ("whole", "NUMERIC '-1000'", r"not in range of \[-999, 999\]"),
        ("codes", "['ab', 'abc']", r"Field codes: STRING\(2\) has maximum length 2"),
        ("part", "('abc', NULL)", r"Field part.code: STRING\(2\) has maximum length 2"),
    ],
)
def test_a_value_beyond_the_limits_is_refused(
    client: bigquery.Client, limited: str, column: str, value: str, said: str
) -> None:
    sql = f"INSERT INTO {limited} (free, {column}) VALUES ('good', NULL), ('bad', {value})"

    with pytest.raises(google.api_core.exceptions.BadRequest, match=said):
        client.query_and_wait(sql)
    client.query_and_wait(f"INSERT INTO {limited} (free) VALUES ('good')")
    with pytest.raises(google.api_core.exceptions.BadRequest, match=said):
        client.query_and_wait(f"UPDATE {limited} SET {column} = {value} WHERE true")
    assert rows(client, f"SELECT free, {column} IS NULL FROM {limited}") == [
        ("good", column != "codes")
    ]


def test_loads_streams_and_query_results_keep_them(client: bigquery.Client, dataset: str) -> None:
    limited = f"{dataset}.flat"
    client.query_and_wait(f"CREATE TABLE {limited} (s STRING(3), n NUMERIC(5, 2))")
    said = r"Field s: STRING\(3\) has maximum length 3 but got a value with length 4"
    configuration = bigquery.LoadJobConfig(
        source_format="CSV",
        schema=[bigquery.SchemaField("s", "STRING"), bigquery.SchemaField("n", "NUMERIC")],
        write_disposition="WRITE_APPEND",
    )

    def load(text: str) -> None:
        file = io.BytesIO(text.encode())
        client.load_table_from_file(file, limited, job_config=configuration).result()

    load("abc,1.005\n")
    with pytest.raises(google.api_core.exceptions.BadRequest, match=said):
        load("abc,1\nabcd,1\n")
    refused = client.insert_rows_json(
        f"{PROJECT}.{limited}", [{"s": "x"}, {"s": "abcd"}], skip_invalid_rows=True
    )
    assert [one["index"] for one in refused] == [1]
    into = bigquery.QueryJobConfig(
        destination=f"{PROJECT}.{limited}", write_disposition="WRITE_APPEND"
    )
    with pytest.raises(google.api_core.exceptions.BadRequest, match=said):
        client.query_and_wait("SELECT 'abcd' AS s", job_config=into)
    assert rows(client, f"SELECT s, n FROM {limited} ORDER BY s") == [
        ("abc", Decimal("1.01")),
        ("x", None),
    ]


def test_a_patch_may_widen_but_not_narrow_them(client: bigquery.Client, dataset: str) -> None:
    def schema(length: int | None, precision: int) -> list[bigquery.SchemaField]:
        limits = {} if length is None else {"maxLength": str(length)}
        text = bigquery.SchemaField.from_api_repr({"name": "s", "type": "STRING", **limits})
        return [text, bigquery.SchemaField("n", "NUMERIC", precision=precision, scale=2)]

    table = client.create_table(bigquery.Table(f"{PROJECT}.{dataset}.patched", schema=schema(3, 5)))

    for length, precision in [(2, 5), (3, 4)]:
        table.schema = schema(length, precision)
        with pytest.raises(google.api_core.exceptions.BadRequest, match="has changed type from"):
            client.update_table(table, ["schema"])
    table.schema = schema(None, 6)
    widened = client.update_table(table, ["schema"]).schema
    assert [(one.max_length, one.precision) for one in widened] == [(None, None), (None, 6)]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("STRING(0)", "length must be greater than 0"),
        ("INT64(3)", "INTEGER does not have the parameter"),
        ("NUMERIC(30)", r"In NUMERIC\(P\), P must be between 1 and 29"),
        ("NUMERIC(2, 3)", r"In NUMERIC\(P, 3\), P must be between 3 and 32"),
        ("NUMERIC(12, 10)", "S must be between 0 and 9"),
        ("STRING(1, 2)", "too many parameters"),
    ],
)
def test_types_without_such_limits_are_refused(
    client: bigquery.Client, dataset: str, kind: str, said: str
) -> None:
    with pytest.raises(google.api_core.exceptions.BadRequest, match=said):
        client.query_and_wait(f"CREATE TABLE {dataset}.wrong (x {kind})")


def test_casts_keep_them(client: bigquery.Client) -> None:
    found = rows(
        client,
        "SELECT CAST('abc' AS STRING(3)), SAFE_CAST('abcd' AS STRING(3)), "
        "CAST(NUMERIC '1.005' AS NUMERIC(5, 2)), SAFE_CAST('999.995' AS NUMERIC(5, 2)), "
        "CAST(NULL AS BYTES(1))",
    )

    assert found == [("abc", None, Decimal("1.01"), None, None)]
    with pytest.raises(google.api_core.exceptions.BadRequest, match="maximum length 3 but got"):
        client.query_and_wait("SELECT CAST(123.5 AS STRING(3))")
