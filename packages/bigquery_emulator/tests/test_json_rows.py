"""Rows as JSON: loads of NDJSON, and rows that are streamed."""

import datetime
import gzip
import io
import json
from decimal import Decimal
from typing import Any

import google.api_core.exceptions
import pytest
from google.cloud import bigquery

from tests.servers import PROJECT
from tests.trips import rows

pytestmark = pytest.mark.integration

COLUMNS = [
    bigquery.SchemaField("k", "INT64", mode="REQUIRED"),
    bigquery.SchemaField("s", "STRING"),
    bigquery.SchemaField("f", "FLOAT64"),
    bigquery.SchemaField("n", "NUMERIC"),
    bigquery.SchemaField("b", "BOOL"),
    bigquery.SchemaField("d", "DATE"),
    bigquery.SchemaField("t", "TIMESTAMP"),
]
ROW: dict[str, Any] = {
    "k": 1,
    "s": 'a "b",\n\\N',
    "f": 0.1,
    "n": "1.25",
    "b": True,
    "d": "2024-01-02",
    "t": "2024-01-02T03:04:05Z",
}
VALUES = (
    1,
    'a "b",\n\\N',
    0.1,
    Decimal("1.25"),
    True,
    datetime.date(2024, 1, 2),
    datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
)


@pytest.fixture
def table(client: bigquery.Client, dataset: str) -> str:
    """An empty table of all kinds of columns."""
    client.create_table(bigquery.Table(f"{PROJECT}.{dataset}.t", schema=COLUMNS))
    return f"{dataset}.t"


def load(client: bigquery.Client, table: str, content: bytes, **options: Any) -> None:
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", **options)
    client.load_table_from_file(
        io.BytesIO(content), f"{PROJECT}.{table}", job_config=config
    ).result()


@pytest.mark.parametrize("packed", [False, True])
def test_ndjson_is_loaded(client: bigquery.Client, table: str, packed: bool) -> None:
    content = b"".join(json.dumps(row).encode() + b"\n" for row in (ROW, {"K": 2}))

    load(client, table, gzip.compress(content) if packed else content)

    assert rows(client, f"SELECT * FROM {table} ORDER BY k") == [VALUES, (2, *[None] * 6)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"k": 1, "other": 2}', "no such field: other"),
        (b'{"k": 1.5}', "Could not parse"),
        (b'{"k": 1, "d": "2024-13-01"}', "Could not parse"),
        (b'{"k": [1]}', "not a record or repeated"),
        (b'{"k": 1', "JSON parsing error"),
        (b'{"s": "a"}', "Required field k cannot be null"),
    ],
)
def test_wrong_ndjson_is_refused(
    client: bigquery.Client, table: str, content: bytes, message: str
) -> None:
    with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
        load(client, table, b'{"k": 7}\n' + content)

    assert rows(client, f"SELECT COUNT(*) FROM {table}") == [(0,)]


def test_unknown_values_may_be_ignored(client: bigquery.Client, table: str) -> None:
    load(client, table, b'{"k": 1, "other": 2}', ignore_unknown_values=True)

    assert rows(client, f"SELECT k FROM {table}") == [(1,)]


def test_rows_are_streamed(client: bigquery.Client, table: str) -> None:
    assert client.insert_rows_json(f"{PROJECT}.{table}", [ROW, {"k": 2}]) == []

    assert rows(client, f"SELECT * FROM {table} ORDER BY k") == [VALUES, (2, *[None] * 6)]


def test_wrong_streamed_rows_are_named(client: bigquery.Client, table: str) -> None:
    given: list[dict[str, Any]] = [{"k": 1}, {"k": "x"}, {"k": 3, "other": 1}]

    errors = client.insert_rows_json(f"{PROJECT}.{table}", given)

    reasons = {one["index"]: one["errors"][0]["reason"] for one in errors}
    assert reasons == {0: "stopped", 1: "invalid", 2: "invalid"}
    assert rows(client, f"SELECT COUNT(*) FROM {table}") == [(0,)]

    errors = client.insert_rows_json(f"{PROJECT}.{table}", given, skip_invalid_rows=True)

    assert [one["index"] for one in errors] == [1, 2]
    assert rows(client, f"SELECT k FROM {table}") == [(1,)]
