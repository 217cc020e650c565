import gzip
import io
import zipfile
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from taxi_platform.trips.csv_reader import CsvTripReader
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.parquet_reader import ParquetTripReader
from taxi_platform.trips.reader import infer_month, open_trip_file
from taxi_platform_tests.trips.published import (
    HEADER,
    green_table,
    numbered,
    parse_all,
    trip,
    write_bytes,
    write_csv,
    write_parquet,
)

NEUTRAL = HEADER.replace("lpep_", "")


def refusal(path: Path, color: str | None = None) -> str:
    with pytest.raises(TripFileError) as error:
        open_trip_file(path, color).close()
    message = str(error.value)
    assert message.isprintable(), message
    assert path.name in message
    return message


@pytest.mark.parametrize("name", ["green_tripdata_2020-01.csv", "a.csv.gz", "a.parquet", "a"])
def test_a_csv_is_detected_by_its_content_and_not_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(write_csv(tmp_path / "source.csv", numbered(3)).read_bytes())

    reader = open_trip_file(path)

    assert isinstance(reader, CsvTripReader)
    assert reader.color == "green"
    assert len(parse_all(reader).lines) == 3


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv", "a.parquet"])
def test_a_gzipped_csv_is_detected_by_its_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(f"{HEADER}\n{trip()}\n".encode()))

    assert len(parse_all(open_trip_file(path)).lines) == 1


@pytest.mark.parametrize("name", ["a.parquet", "a.csv.gz"])
def test_parquet_is_detected_by_its_content(tmp_path: Path, name: str) -> None:
    reader = open_trip_file(write_parquet(tmp_path / name, green_table(2)))

    assert isinstance(reader, ParquetTripReader)
    assert len(parse_all(reader).lines) == 2


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page"),
        (b"\xef\xbb\xbf\r\n  <HTML><head>", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "an XML document"),
    ],
)
@pytest.mark.parametrize("name", ["green_tripdata_2020-01.csv", "green_tripdata_2020-01.csv.gz"])
def test_an_error_page_is_refused_as_such(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    path = write_bytes(tmp_path / name, content)

    expected = f"{name} is {kind}, not a trip file: the address returned an error page or a sign"
    assert refusal(path, "green").startswith(expected)


def test_another_csv_is_refused_with_its_header(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "zones.csv", b'"LocationID","Borough"\r\n1,"EWR"\r\n')

    assert refusal(path) == (
        "zones.csv is not a trip file: neither its header nor its name shows a color; "
        'it begins \'"LocationID", "Borough"\''
    )
    assert refusal(path, "green").endswith("its header has 2: LocationID, Borough")
    expected = "zones.csv is not a green trip file: no column for vendor_id, pickup_dat"
    assert expected in refusal(path, "green")


def test_a_json_response_is_refused_with_its_text(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "green_tripdata_2020-01.csv", b'{"error": "rate limited"}\n')

    assert "rate limited" in refusal(path)


def test_an_archive_is_refused_without_printing_it(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("green.csv", "\n".join([HEADER, *numbered(50)]))
    path = write_bytes(tmp_path / "green_tripdata_2020-01.zip", packed.getvalue())

    assert refusal(path).startswith("green_tripdata_2020-01.zip is a zip archive: unpack it")


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \r\n"])
@pytest.mark.parametrize("name", ["green_tripdata_2020-01.csv", "green_tripdata_2020-01.csv.gz"])
def test_an_empty_file_is_refused_as_such(tmp_path: Path, name: str, content: bytes) -> None:
    message = refusal(write_bytes(tmp_path / name, content))

    empty = f"{name} is empty: check the source, or try again later"
    assert message == (f"{name} has no header line" if content else empty)


def test_a_missing_file_is_refused_with_its_full_path(tmp_path: Path) -> None:
    path = tmp_path / "green.csv"

    assert refusal(path) == f"{path}: No such file or directory"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: Is a directory"


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "green.csv.gz", numbered(100))
    path.write_bytes(path.read_bytes()[:-20])

    assert refusal(path).startswith("green.csv.gz is a damaged or truncated gzip file (")


@pytest.mark.parametrize("keep", [4, 100, -1])
def test_a_truncated_parquet_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = write_parquet(tmp_path / "green.parquet", green_table(100))
    path.write_bytes(path.read_bytes()[:keep])

    assert refusal(path).startswith("green.parquet is a damaged or truncated Parquet file (")


def test_the_other_color_is_refused_in_either_format(tmp_path: Path) -> None:
    expected = "is a green trip file, expected a yellow one"

    csv = write_csv(tmp_path / "yellow_tripdata_2020-01.csv.gz", numbered(3))
    assert refusal(csv, "yellow") == f"{csv.name} {expected}"
    parquet = write_parquet(tmp_path / "yellow_tripdata_2024-01.parquet", green_table())
    assert refusal(parquet, "yellow") == f"{parquet.name} {expected}"


def test_the_header_takes_precedence_over_the_name(tmp_path: Path) -> None:
    reader = open_trip_file(write_csv(tmp_path / "yellow_tripdata_2020-01.csv", numbered(1)))

    assert reader.color == "green"
    reader.close()


@pytest.mark.parametrize(
    ("name", "expected", "color"),
    [
        ("green.csv", None, "green"),
        ("x.csv", "yellow", "yellow"),
        ("green.csv", "yellow", "yellow"),
    ],
)
def test_without_header_marks_the_color_comes_from_the_caller_or_the_name(
    tmp_path: Path, name: str, expected: str | None, color: str
) -> None:
    reader = open_trip_file(write_csv(tmp_path / name, numbered(1), header=NEUTRAL), expected)

    assert reader.color == color
    reader.close()


@pytest.mark.slow
@pytest.mark.real_data
def test_published_heads_of_every_era_are_not_shifted(real_data: Path) -> None:
    heads = sorted((real_data / "tlc_heads").glob("*.csv"))
    for head in heads:
        parsed = parse_all(open_trip_file(head))
        # The last line is truncated at the 1,024th byte.
        last = head.read_bytes().count(b"\n") + 1
        assert {number for number, _ in parsed.bad} <= {last}, head.name
        assert len(parsed.lines) >= 3, head.name
        assert set(parsed.column("vendor_id")) <= {1, 2, 3}, head.name
        assert set(parsed.column("store_and_fwd_flag")) <= {"N", "Y", None}, head.name
        month = infer_month(head, open_and_close(head)).month
        pickups = parsed.column("pickup_datetime")
        assert all(abs(p.date() - month) < timedelta(days=45) for p in pickups), head.name


def open_and_close(path: Path) -> CsvTripReader | ParquetTripReader:
    reader = open_trip_file(path)
    assert isinstance(reader, CsvTripReader | ParquetTripReader)
    reader.close()
    return reader


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("yellow_tripdata_sample_2018-06.csv", 10_000),
        ("yellow_tripdata_sample_2019-06.csv", 10_000),
        ("yellow_tripdata_sample_2020-04.csv", 10_000),
        ("yellow_tripdata_sample_2020-10.csv", 10_000),
    ],
)
def test_samples_with_renamed_columns_are_read_completely(
    real_data: Path, name: str, count: int
) -> None:
    reader = open_trip_file(real_data / "tlc_samples" / name)

    assert reader.color == "yellow"
    assert reader.columns.unknown == ()
    parsed = parse_all(reader)
    assert len(parsed.lines) == count
    assert parsed.bad == []


def test_the_month_comes_from_the_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "green_tripdata_2019-03.csv", numbered(3))

    assert infer_month(path, open_and_close(path)) == TripMonth("green", date(2019, 3, 1))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_without_a_name_the_month_is_the_most_common_pickup_month(
    tmp_path: Path, ending: str
) -> None:
    stray = "2008-12-31 23:59:59"
    path = tmp_path / f"trips.{ending}"
    if ending == "parquet":
        write_parquet(path, green_table(3))
    else:
        rows = [trip(lpep_pickup_datetime=pickup) for pickup in (stray, "", "never")]
        write_csv(path, [*rows, trip(), trip()])

    assert infer_month(path, open_and_close(path)) == TripMonth("green", date(2020, 1, 1))


def test_inferring_the_month_loses_no_row(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "trips.csv.gz", numbered(5))
    reader = open_trip_file(path)

    infer_month(path, reader)

    assert len(parse_all(reader).lines) == 5


def test_a_file_whose_month_cannot_be_detected_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "trips.csv", [trip(lpep_pickup_datetime="")])

    with pytest.raises(TripFileError, match=r"^trips.csv: neither its name nor its pickups show"):
        infer_month(path, open_and_close(path))


def test_a_parquet_file_of_another_table_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "green.parquet", pa.table({"a": [1]}))

    assert "its header has 1: a" in refusal(path)
