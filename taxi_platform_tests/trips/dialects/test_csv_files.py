"""CSV dialects, encodings and compression formats: which are read, and how others are refused."""

import base64
import bz2
import csv
import gzip
import io
import json
import lzma
import pickle
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet import encryption

from taxi_platform.trips.types import trip_type
from taxi_platform_tests.trips.dialects.months import (
    Rows,
    canonical_rows,
    picked,
    published_names,
    read,
    refusal,
)

COLOR = "green"
ROWS = canonical_rows(COLOR, 11, 30)
NAMES = published_names(trip_type(COLOR))


def text_of(
    rows: Rows = ROWS, *, quoting: int = csv.QUOTE_MINIMAL, names: dict[str, str] = NAMES
) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=quoting, lineterminator="\r\n")  # type: ignore[arg-type]
    writer.writerow([names[name] for name in rows[0]])
    writer.writerows(["" if v is None else v for v in row.values()] for row in rows)
    return out.getvalue()


def write(folder: Path, content: bytes | str) -> Path:
    path = folder / "green_tripdata_2024-01.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def assert_equal(path: Path) -> list[str]:
    found, summary = read(path, COLOR)
    assert picked(found, ROWS) == ROWS
    return summary.warnings


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("header", ["bare", "quoted"])
def test_quotes_are_removed_in_every_quoting_style(
    tmp_path: Path, quoting: int, header: str
) -> None:
    lines = text_of(quoting=quoting).split("\r\n")
    bare = lines[0].replace('"', "")
    lines[0] = bare if header == "bare" else ",".join(f'"{n}"' for n in bare.split(","))
    assert assert_equal(write(tmp_path, "\r\n".join(lines))) == []


@pytest.mark.parametrize("start", [0, 1, 29])
def test_quotes_may_start_in_any_row(tmp_path: Path, start: int) -> None:
    lines = text_of().splitlines(keepends=True)
    for n in range(start + 1, len(lines)):
        lines[n] = lines[n].replace(",N,", ',"N",').replace(",Y,", ',"Y",')
    assert_equal(write(tmp_path, "".join(lines)))


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be with a mark", "latin-1"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("packed", [0, 1, 2])
def test_every_encoding_with_a_byte_order_mark_is_read_gzipped_or_not(
    tmp_path: Path, encoding: str, packed: int
) -> None:
    text = text_of()
    if encoding == "utf-16-be with a mark":
        content = ("\ufeff" + text).encode("utf-16-be")
    else:
        content = text.encode(encoding)
    for _ in range(packed):
        content = gzip.compress(content)
    assert_equal(write(tmp_path, content))


@pytest.mark.parametrize("blank", ["\n", "\r\n\r\n"])
def test_blank_lines_above_the_header_are_skipped_and_counted(tmp_path: Path, blank: str) -> None:
    lines = text_of().splitlines()
    path = write(tmp_path, blank + "\n".join([*lines, "x\n"]))
    found, summary = read(path, COLOR)
    assert picked(found, ROWS) == ROWS
    assert summary.first_failure is not None
    assert summary.first_failure.line_number == blank.count("\n") + len(lines) + 1


def test_a_truncated_character_rejects_only_the_last_line(tmp_path: Path) -> None:
    found, summary = read(write(tmp_path, text_of().encode("utf-16")[:-3]), COLOR)
    assert picked(found, ROWS) == ROWS[:-1]
    assert summary.rejected_by_reason == {"unparseable": 1}


def parquet() -> bytes:
    packed = io.BytesIO()
    arrays = {NAMES[name]: pa.array([row[name] for row in ROWS]) for name in ROWS[0]}
    pq.write_table(pa.table(arrays), packed)
    return packed.getvalue()


@pytest.mark.parametrize("layers", [1, 2])
def test_gzipped_parquet_is_read_and_leaves_no_file(tmp_path: Path, layers: int) -> None:
    content = parquet()
    for _ in range(layers):
        content = gzip.compress(content)
    assert_equal(write(tmp_path, content))


@pytest.mark.parametrize("cut", [20, -1])
def test_damaged_gzipped_parquet_is_refused(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path, gzip.compress(parquet())[:cut])
    assert "damaged or truncated gzip file" in refusal(path, COLOR)


def zipped(text: str, name: str = "green.csv") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, text)
    return out.getvalue()


def tarred(text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("green.csv")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def arrow_bytes(new_file: Callable[..., Any]) -> bytes:
    table = pa.Table.from_pylist(
        [{NAMES[name]: value for name, value in row.items()} for row in ROWS]
    )
    out = io.BytesIO()
    with new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def duckdb_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trips.duckdb")
        duckdb.connect(path).close()
        return path.read_bytes()


class OpenKeys(encryption.KmsClient):
    """Keeps each key beside the data that it encrypts."""

    def __init__(self) -> None:
        super().__init__()

    def wrap_key(self, key_bytes: bytes, _master_key: str) -> bytes:
        return base64.b64encode(key_bytes)


def encrypted_parquet() -> bytes:
    """A Parquet file that anybody can open, with one column that nobody can read."""
    table = pq.read_table(io.BytesIO(parquet()))
    properties = encryption.CryptoFactory(lambda _: OpenKeys()).file_encryption_properties(
        encryption.KmsConnectionConfig(),
        encryption.EncryptionConfiguration(
            footer_key="footer", column_keys={"fare": [NAMES["fare_amount"]]}, plaintext_footer=True
        ),
    )
    out = io.BytesIO()
    with pq.ParquetWriter(out, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    return out.getvalue()


REFUSED: dict[str, tuple[Callable[[str], bytes | str], str]] = {
    "zip": (zipped, "is a zip archive: unpack it"),
    "xlsx": (
        lambda t: zipped(t, "[Content_Types].xml"),
        "is an Excel workbook (.xlsx): provide it",
    ),
    "xls": (lambda t: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + t.encode(), "an Excel workbook (.xls)"),
    "tar": (tarred, "is a tar archive: unpack it"),
    "tar.gz": (lambda t: gzip.compress(tarred(t)), "is a tar archive: unpack it"),
    "bzip2": (lambda t: bz2.compress(t.encode()), "is compressed with bzip2: unpack it"),
    "xz": (lambda t: lzma.compress(t.encode()), "is compressed with xz: unpack it"),
    "Zstandard": (
        lambda t: pa.compress(t.encode(), "zstd", asbytes=True),
        "is compressed with Zstandard: unpack it",
    ),
    "7-Zip": (lambda t: b"7z\xbc\xaf\x27\x1c" + t.encode(), "is a 7-Zip archive"),
    "ORC": (lambda t: b"ORC" + t.encode(), "is an ORC file"),
    "Avro": (lambda t: b"Obj\x01" + t.encode(), "is an Avro file"),
    "lzma": (
        lambda t: lzma.compress(t.encode(), lzma.FORMAT_ALONE),
        "is compressed with lzma: unpack it",
    ),
    "zlib": (lambda t: zlib.compress(t.encode()), "is compressed with zlib: unpack it"),
    "zlib, best": (lambda t: zlib.compress(t.encode(), 9), "is compressed with zlib: unpack it"),
    "LZ4": (lambda t: pa.compress(t.encode(), "lz4", asbytes=True), "is compressed with LZ4"),
    "an Arrow file": (lambda _: arrow_bytes(pa.ipc.new_file), "is an Arrow file: provide it"),
    "an Arrow stream": (lambda _: arrow_bytes(pa.ipc.new_stream), "is an Arrow stream: provide it"),
    "a pickle": (lambda t: pickle.dumps(t), "is a Python pickle: provide it as Parquet, CSV"),
    "JSON": (lambda _: json.dumps(ROWS, default=str), "is JSON: provide it as Parquet, CSV or"),
    "an answer in JSON": (
        lambda _: '{"error": "slow down"}',
        'it begins \'{"error": "slow down"}\'',
    ),
    "JSON lines": (
        lambda _: "\n".join(json.dumps(row, default=str) for row in ROWS),
        "is JSON: provide it as Parquet, CSV or gzipped CSV",
    ),
    "a pointer of Git LFS": (
        lambda _: "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n",
        "is a pointer of Git LFS, not the file itself: fetch the file (git lfs pull)",
    ),
    "SQL": (lambda t: f"INSERT INTO trips VALUES ({t})", "is a file of SQL statements"),
    "a dump of Postgres": (lambda t: b"PGDMP\x01" + t.encode(), "is a dump of a Postgres database"),
    "a DuckDB database": (lambda _: duckdb_file(), "is a DuckDB database: provide it as Parquet"),
    "UTF-32 without a byte order mark": (
        lambda t: t.encode("utf-32-le"),
        "is text in UTF-32 (little-endian) without a byte order mark: save it as UTF-8",
    ),
    "UTF-32, big-endian": (
        lambda t: t.encode("utf-32-be"),
        "is text in UTF-32 (big-endian) without a byte order mark: save it as UTF-8",
    ),
    "Parquet without its start": (
        lambda _: b"\0" * 40 + parquet()[40:],
        "is a damaged or truncated Parquet file (it does not begin as Parquet does)",
    ),
    "Parquet joined to itself": (lambda _: parquet() * 2, "consists of several Parquet files"),
    "gzipped Parquet joined to itself": (
        lambda _: gzip.compress(parquet() * 3),
        "consists of several Parquet files",
    ),
    "Parquet with encrypted columns": (
        lambda _: encrypted_parquet(),
        "is an encrypted Parquet file (Cannot decrypt ColumnMetadata",
    ),
    "three layers of gzip": (
        lambda t: gzip.compress(gzip.compress(gzip.compress(t.encode()))),
        "gzipped more than twice",
    ),
    "UTF-32": (lambda t: t.encode("utf-32"), "is text in UTF-32: save it as UTF-8"),
    "UTF-16 without a byte order mark": (
        lambda t: t.encode("utf-16-le"),
        "is text in UTF-16 (little-endian) without a byte order mark",
    ),
    "UTF-16, big-endian": (
        lambda t: t.encode("utf-16-be"),
        "is text in UTF-16 (big-endian) without a byte order mark",
    ),
    "carriage returns": (
        lambda t: t.replace("\r\n", "\r"),
        "lines end in a carriage return alone",
    ),
    "semicolons": (lambda t: t.replace(",", ";"), "fields are separated by semicolons, as Ex"),
    "tabs": (lambda t: t.replace(",", "\t"), "fields are separated by tabs, as Excel and psql"),
    "vertical bars": (lambda t: t.replace(",", "|"), "fields are separated by vertical bars"),
    "Hive's delimiter": (lambda t: t.replace(",", "\x01"), "separated by the control character 1"),
    "a comment": (lambda t: "# green trips\n" + t, "begins with a comment, '# green trips'"),
    "no header": (
        lambda t: t.partition("\n")[2],
        "has no header line: its first line is a row, '5,2024-01-01 00:05:28",
    ),
    "a table's name in the header": (
        lambda t: ",".join(f"g.{n}" for n in NAMES.values()) + "\n" + t.partition("\n")[2],
        "no column for vendor_id (is it 'g.vendorid'?), pickup_datetime (is it",
    ),
    "Excel's first line": (lambda t: "sep=;\r\n" + t.replace(",", ";"), "begins with 'sep=;'"),
    "decimal commas": (
        lambda t: "\r\n".join(line.replace(",", ";").replace(".", ",") for line in t.split("\r\n")),
        "fields are separated by semicolons",
    ),
    "an HTML page": (lambda t: f"<html>{t}</html>", "is an HTML page"),
    "Excel's times": (
        lambda t: t.replace("2024-01-", "1/").replace(":00,", " AM,"),
        "expected a time such as 2024-01-31 18:05:00",
    ),
    "dates without times": (
        lambda t: re.sub(r"(2024-01-\d\d) [\d:]{8}", r"\1", t),
        "30 of 30 rows have a date without minutes in pickup_datetime: write the times",
    ),
    "times without minutes": (
        lambda t: re.sub(r"(2024-01-\d\d \d\d):\d\d:\d\d", r"\1", t),
        "30 of 30 rows have a date without minutes in pickup_datetime: write the times",
    ),
    "too few fields": (
        lambda t: "".join(
            line.rpartition(",")[0] + "\r\n" if n else line + "\r\n"
            for n, line in enumerate(t.splitlines())
        ),
        "fields instead of",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_of_another_format_is_refused_with_its_format(tmp_path: Path, kind: str) -> None:
    make, said = REFUSED[kind]
    message = refusal(write(tmp_path, make(text_of())), COLOR)
    assert said in message
    assert "max_rejected_share" not in message
    assert "switch" not in message


def test_a_file_of_another_month_is_refused_without_suggesting_to_switch_off_a_rule(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, text_of().replace("2024-01-", "2023-05-"))
    message = refusal(path, COLOR)
    assert "30 of these pickups are in 2023-05: check whether the file is of another" in message
    assert "max_rejected_share" not in message
    assert "switch" not in message


@pytest.mark.parametrize("block_of_text", [False, True])
def test_midnight_may_be_written_as_a_date_and_is_reported(
    tmp_path: Path, *, block_of_text: bool
) -> None:
    rows = [dict(row) for row in ROWS]
    rows[4]["pickup_datetime"] = datetime(2024, 1, 5)  # noqa: DTZ001 - wall time
    rows[4]["dropoff_datetime"] = datetime(2024, 1, 5, 0, 20)  # noqa: DTZ001
    text = text_of(rows).replace("2024-01-05 00:00:00", "2024-01-05")
    if block_of_text:
        text = text.replace("2024-01-05 00:20:00", "2024-01-05 00:20:00Z")
    found, summary = read(write(tmp_path, text), COLOR)
    assert picked(found, rows) == rows
    assert summary.warnings[0] == (
        "pickup_datetime: 1 values have no minutes and were read as the start of their day or "
        "hour (the first: 2024-01-05)"
    )
    assert len(summary.warnings) == 1 + block_of_text


def test_a_time_is_missed_also_beside_a_column_with_times_that_is_not_read(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[4]["pickup_datetime"] = datetime(2024, 1, 5)  # noqa: DTZ001 - wall time
    rows[4]["dropoff_datetime"] = datetime(2024, 1, 5, 0, 20)  # noqa: DTZ001
    header, *lines = text_of(rows).replace("2024-01-05 00:00:00", "2024-01-05").splitlines()
    # As many colons in the file as if no time were cut.
    notes = ["12:30:00" if n == 4 else "none" for n in range(len(lines))]
    text = "\n".join([f"{header},note", *map("{},{}".format, lines, notes), ""])
    found, summary = read(write(tmp_path, text), COLOR)
    assert picked(found, rows) == rows
    assert any("1 values have no minutes" in warning for warning in summary.warnings)


@pytest.mark.parametrize("other", ["Z", ".1234567"], ids=["zone", "seven decimals"])
def test_times_are_missed_also_where_the_other_column_is_parsed_as_text(
    tmp_path: Path, other: str
) -> None:
    header, *lines = text_of().splitlines()
    times = re.compile(r"(2024-01-\d\d) \d\d:\d\d:\d\d,(2024-01-\d\d \d\d:\d\d:\d\d)")
    # Several blocks: the first one teaches the reader how to parse the others.
    lines = [times.sub(rf"\1,\2{other}", line) for line in lines] * 2_000
    message = refusal(write(tmp_path, "\n".join([header, *lines, ""])), COLOR)
    assert "60,000 of 60,000 rows have a date without minutes in pickup_datetime" in message


@pytest.mark.parametrize("beyond", [1, 2, 3, 7])
@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
def test_non_empty_fields_beyond_the_header_are_reported(
    tmp_path: Path, beyond: int, filled: bool
) -> None:
    width = len(ROWS[0])
    lines = [
        line + ("," * beyond) + ("x" if filled and n > 1 else "") if n else line
        for n, line in enumerate(text_of().splitlines())
    ]
    warnings = assert_equal(write(tmp_path, "".join(line + "\n" for line in lines)))
    expected = (
        f"field {width + beyond} has no name in the header and was not read: 29 rows have "
        "a value in it, the first 'x'"
    )
    assert warnings == ([expected] if filled else [])
