"""Load jobs of CSV: columns by position, values of every type, and what is refused."""

import datetime
import gzip
import io
from decimal import Decimal
from typing import Any

import google.api_core.exceptions
import pytest
from google.cloud import bigquery
from google.cloud.storage import Bucket

from tests.servers import PROJECT
from tests.trips import moment, rows

pytestmark = pytest.mark.integration

NAMES = [("n", "INT64"), ("s", "STRING"), ("f", "FLOAT64")]


def schema(columns: list[tuple[str, str]]) -> list[bigquery.SchemaField]:
    return [bigquery.SchemaField(name, kind) for name, kind in columns]


def load_csv(
    client: bigquery.Client,
    table: str,
    content: bytes,
    columns: list[tuple[str, str]] | None = None,
    **options: Any,
) -> bigquery.LoadJob:
    config = bigquery.LoadJobConfig(source_format="CSV", **options)
    if columns:
        config.schema = schema(columns)
    job = client.load_table_from_file(io.BytesIO(content), f"{PROJECT}.{table}", job_config=config)
    job.result()
    return job


def test_values_of_every_type_are_read(client: bigquery.Client, dataset: str) -> None:
    columns = {
        "i": "INT64",
        "f": "FLOAT64",
        "n": "NUMERIC",
        "b": "BOOL",
        "s": "STRING",
        "y": "BYTES",
        "d": "DATE",
        "dt": "DATETIME",
        "ts": "TIMESTAMP",
        "t": "TIME",
    }
    lines = [
        "-12,1e3,-1.123456789,T,ä,/w==,2024-01-02,2024-01-02 03:04:05.5,2024-01-02,03:04:05",
        "+7,.5,2,no,x,,2024-1-2,2024-01-02T03:04:05,2024-01-02 03:04:05 UTC,3:04:05.25",
        "0,inf,0,1,y,,2024-01-02,2024-01-02,2024-01-02 03:04:05+01:00,03:04:05",
        ",,,,,,,,,",
    ]

    load_csv(client, f"{dataset}.t", "\n".join(lines).encode(), list(columns.items()))

    day, noon = datetime.date(2024, 1, 2), moment("2024-01-02T03:04:05")
    utc = datetime.UTC
    assert rows(client, f"SELECT * FROM {dataset}.t ORDER BY i") == [
        (None,) * 10,
        (
            *(-12, 1000.0, Decimal("-1.123456789"), True, "ä", b"\xff", day),
            moment("2024-01-02T03:04:05.5"),
            moment("2024-01-02T00:00:00").replace(tzinfo=utc),
            noon.time(),
        ),
        (
            *(0, float("inf"), Decimal(0), True, "y", None, day, moment("2024-01-02T00:00:00")),
            moment("2024-01-02T02:04:05").replace(tzinfo=utc),
            noon.time(),
        ),
        (
            *(7, 0.5, Decimal(2), False, "x", None, day, noon, noon.replace(tzinfo=utc)),
            noon.time().replace(microsecond=250_000),
        ),
    ]


def test_columns_go_by_position_and_the_table_may_have_more(
    client: bigquery.Client, dataset: str
) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t (a STRING, b INT64, c INT64)")

    load_csv(client, f"{dataset}.t", b"1,x\n", [("C", "INT64"), ("a", "STRING")])
    job = load_csv(client, f"{dataset}.t", b"y,2,3\n", write_disposition="WRITE_APPEND")

    assert job.output_rows == 1
    assert sorted(rows(client, f"SELECT * FROM {dataset}.t")) == [("x", None, 1), ("y", 2, 3)]


def test_quotes_headers_and_separators_are_those_of_the_job(
    client: bigquery.Client, dataset: str
) -> None:
    content = b"n;s;f\r\n1;'a;\"b\r\n''c';1.5\r\n\r\n2;;-\r\n3;'';\r\n"
    options = {"field_delimiter": ";", "quote_character": "'", "skip_leading_rows": 1}

    load_csv(
        client,
        f"{dataset}.t",
        content.replace(b"-", b""),
        NAMES,
        allow_quoted_newlines=True,
        **options,
    )

    # An empty field is NULL, quoted quotes are the empty string.
    assert rows(client, f"SELECT * FROM {dataset}.t ORDER BY n") == [
        (1, "a;\"b\r\n'c", 1.5),
        (2, None, None),
        (3, "", None),
    ]


def test_without_a_quote_character_quotes_are_text(client: bigquery.Client, dataset: str) -> None:
    load_csv(client, f"{dataset}.t", b'1,x"y,\n2,"z,\n', NAMES, quote_character="")

    assert rows(client, f"SELECT s FROM {dataset}.t ORDER BY n") == [('x"y',), ('"z',)]


def test_a_null_marker_leaves_empty_strings(client: bigquery.Client, dataset: str) -> None:
    columns = [("n", "INT64"), ("s", "STRING")]
    load_csv(client, f"{dataset}.t", b"NA,\n1,NA\n", columns, null_marker="NA")

    assert rows(client, f"SELECT * FROM {dataset}.t ORDER BY n") == [(None, ""), (1, None)]
    with pytest.raises(google.api_core.exceptions.BadRequest, match="Could not parse '' as INT64"):
        load_csv(client, f"{dataset}.t", b",x\n", columns, null_marker="NA")


def test_compressed_objects_are_loaded_from_gcs(
    client: bigquery.Client, bucket: Bucket, dataset: str
) -> None:
    for number in (1, 2):
        content = gzip.compress(f"{number},x,\n".encode())
        bucket.blob(f"csv/{dataset}/{number}.csv.gz").upload_from_string(content)
    config = bigquery.LoadJobConfig(source_format="CSV", schema=schema(NAMES))

    job = client.load_table_from_uri(
        f"gs://{bucket.name}/csv/{dataset}/*.csv.gz", f"{PROJECT}.{dataset}.t", job_config=config
    )
    job.result()

    assert (job.output_rows, job.input_files) == (2, 2)
    assert rows(client, f"SELECT SUM(n) FROM {dataset}.t") == [(3,)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1,x\n", "Too few values"),
        (b"1,x,2,3\n", "Too many values"),
        (b"1.5,x,\n", "Could not parse '1.5' as INT64 for field n"),
        (b"1,x,1e400\n", "Could not parse '1e400' as FLOAT64 for field f"),
        (b"99999999999999999999,x,\n", "Could not parse '9+' as INT64"),
        (b'1,"x,\n', "CSV processing encountered too many errors"),
        (b'1,"x"y,\n', "CSV processing encountered too many errors"),
        (b'1,"x\ny",\n', "needs allowQuotedNewlines"),
        (b"1,\xff,\n", "CSV processing encountered too many errors"),
        (b"\x1f\x8bno gzip", "CSV processing encountered too many errors"),
    ],
)
def test_a_file_that_bigquery_refuses_changes_nothing(
    client: bigquery.Client, dataset: str, content: bytes, message: str
) -> None:
    load_csv(client, f"{dataset}.t", b"1,x,1.5\n", NAMES)

    with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
        load_csv(client, f"{dataset}.t", b"5,z,\n" + content, NAMES)
    if content.startswith(b"\x1f"):
        with pytest.raises(google.api_core.exceptions.BadRequest, match=message):
            load_csv(client, f"{dataset}.t", content, NAMES)

    assert rows(client, f"SELECT * FROM {dataset}.t") == [(1, "x", 1.5)]


@pytest.mark.parametrize(
    ("columns", "content", "options"),
    [
        (None, b"1\n", {"autodetect": True}),
        (NAMES, b"1,x\n", {"allow_jagged_rows": True}),
        (NAMES, b"1,x,\n", {"max_bad_records": 1}),
        (NAMES, b"1,x,\n", {"encoding": "ISO-8859-1"}),
        (NAMES, b"1,x,\n", {"field_delimiter": "||"}),
        ([("ts", "TIMESTAMP")], b"1704067200\n", {}),
        ([("n", "NUMERIC")], b"1e3\n", {}),
        ([("s", "STRING")], b"a\n\nb\n", {}),
        (NAMES, b"1,x,1\r\n2,y,2\n", {}),  # two kinds of line ends
    ],
)
def test_csv_that_is_not_supported_says_so(
    client: bigquery.Client,
    dataset: str,
    columns: list[tuple[str, str]] | None,
    content: bytes,
    options: dict[str, Any],
) -> None:
    with pytest.raises(google.api_core.exceptions.MethodNotImplemented, match="not support"):
        load_csv(client, f"{dataset}.t", content, columns, **options)


def test_a_schema_is_needed(client: bigquery.Client, dataset: str) -> None:
    with pytest.raises(google.api_core.exceptions.BadRequest, match="No schema specified"):
        load_csv(client, f"{dataset}.t", b"1\n")
