"""CSV dialects, encodings and compression formats: which are read, and how others are refused."""

import bz2
import csv
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
