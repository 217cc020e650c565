import gzip
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.trips.blocks import BLOCK_ROWS
from taxi_platform.trips.byte_streams import read_first_bytes
from taxi_platform.trips.csv_reader import LONGEST_LINE, CsvTripReader
from taxi_platform.trips.errors import TripFileError
from taxi_platform_tests.trips.published import (
    HEADER,
    NAMES,
    bounded,
    data_lines,
    local,
    numbered,
    parse_all,
    parse_csv,
    trip,
    write_bytes,
    write_csv,
)

BLOCK_SIZES = pytest.mark.parametrize("block_bytes", [1, 200, 1000, 1 << 20])

HALF_QUOTED = trip(store_and_fwd_flag='"N')


@BLOCK_SIZES
def test_a_clean_file_is_read_whole_and_in_order(tmp_path: Path, block_bytes: int) -> None:
    parsed = parse_csv(write_csv(tmp_path / "g.csv", numbered(50)), block_bytes)

    assert parsed.column("trip_distance") == [float(n) for n in range(50)]
    assert parsed.lines == list(range(2, 52))
    assert parsed.bad == []


def test_every_field_reaches_its_column(tmp_path: Path) -> None:
    parsed = parse_csv(write_csv(tmp_path / "g.csv", [trip()]))

    absent = ["cbd_congestion_fee", "pickup_longitude", "pickup_latitude"]
    absent += ["dropoff_longitude", "dropoff_latitude"]
    assert parsed.rows.to_pylist() == [
        {
            "vendor_id": 2,
            "pickup_datetime": local("2020-01-15 18:01:02"),
            "dropoff_datetime": local("2020-01-15 18:21:03"),
            "passenger_count": 1,
            "trip_distance": 2.5,
            "rate_code_id": 1,
            "store_and_fwd_flag": "N",
            "pickup_location_id": 74,
            "dropoff_location_id": 75,
            "payment_type": 1,
            "fare_amount": 9.5,
            "extra": 0.5,
            "mta_tax": 0.5,
            "tip_amount": 2.1,
            "tolls_amount": 0.0,
            "improvement_surcharge": 0.3,
            "total_amount": 12.9,
            "congestion_surcharge": 0.0,
            "ehail_fee": None,
            "trip_type": 1,
            **dict.fromkeys(absent),
        }
    ]


BAD_ROWS: dict[str, str | bytes] = {
    "a word for a code": trip(payment_type="barter"),
    "a fraction for a code": trip(passenger_count="1.5"),
    "a code out of range": trip(VendorID="32768"),
    "a word for an amount": trip(total_amount="free"),
    "an infinite amount": trip(fare_amount="inf"),
    "an absurd amount": trip(trip_distance="1e13"),
    "an invalid date": trip(lpep_pickup_datetime="2020-02-30 00:00:00"),
    "a date in US format": trip(lpep_dropoff_datetime="01/15/2020 18:00"),
    "one field too few": trip().rpartition(",")[0],
    "one field too many": trip() + ",",
    "two fields too many": trip() + ",,",
    "a line without commas": "Total: 12",
    "blanks": "   ",
    "a NUL in a text": trip(store_and_fwd_flag="N\0"),
    "a NUL in a number": trip(total_amount="\0"),
    "only NULs": b"\0" * 300,
    "invalid UTF-8 in a text": trip().encode().replace(b",N,", b",\xff\xfe,"),
    "invalid UTF-8 in a number": trip().encode().replace(b",12.9,", b",12\xe9.9,"),
    "a byte order mark": "\ufeff" + trip(),
    "a carriage return in a number": trip(total_amount="12\r.9"),
    "an unclosed quote": HALF_QUOTED,
    "a long line": trip(store_and_fwd_flag="N" * 5000) + ",",
}


@BLOCK_SIZES
@pytest.mark.parametrize("bad_row", BAD_ROWS.values(), ids=BAD_ROWS)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_only_the_bad_row_is_rejected_with_its_line_number_and_text(
    tmp_path: Path, bad_row: str | bytes, newline: bytes, block_bytes: int
) -> None:
    rows: list[str | bytes] = [*numbered(12)]
    rows.insert(7, bad_row)
    path = write_csv(tmp_path / "g.csv", rows, newline=newline)

    parsed = parse_csv(path, block_bytes)

    text = bad_row if isinstance(bad_row, str) else bad_row.decode("utf-8", "replace")
    assert parsed.bad == [(9, text)]
    assert parsed.column("trip_distance") == [float(n) for n in range(12)]
    assert parsed.lines == [*range(2, 9), *range(10, 15)]


def test_a_bad_row_keeps_its_parsed_values(tmp_path: Path) -> None:
    parsed = parse_csv(write_csv(tmp_path / "g.csv", [trip(passenger_count="many"), trip()]))

    (row,) = parsed.bad_rows.to_pylist()
    assert row["passenger_count"] is None
    assert row["total_amount"] == 12.9


@BLOCK_SIZES
def test_whole_numbers_written_as_floats_are_codes(tmp_path: Path, block_bytes: int) -> None:
    rows = [trip(passenger_count=f"{n}.0", payment_type=f"{n}.00", VendorID="") for n in range(40)]
    rows.insert(20, trip(passenger_count="2.5"))

    parsed = parse_csv(write_csv(tmp_path / "g.csv", rows), block_bytes)

    assert parsed.column("passenger_count") == parsed.column("payment_type") == list(range(40))
    assert parsed.column("vendor_id") == [None] * 40
    assert parsed.bad == [(22, rows[20])]


@BLOCK_SIZES
@pytest.mark.parametrize("missing", ["", "NULL", "null", "NaN", "nan", "N/A", "NA"])
def test_every_spelling_of_a_missing_value_is_null_in_every_type(
    tmp_path: Path, missing: str, block_bytes: int
) -> None:
    row = ",".join([missing] * len(NAMES))
    path = write_csv(tmp_path / "g.csv", [row, trip(), row])

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == []
    assert set(parsed.rows.to_pylist()[0].values()) == {None}
    assert parsed.column("vendor_id") == [None, 2, None]


@BLOCK_SIZES
@pytest.mark.parametrize("missing", ["", "NULL", "null", "NaN", "nan", "N/A", "NA"])
@pytest.mark.parametrize("name", ["store_and_fwd_flag", "VendorID", "total_amount"])
def test_a_missing_value_among_others_is_null(
    tmp_path: Path, name: str, missing: str, block_bytes: int
) -> None:
    path = write_csv(tmp_path / "g.csv", [trip(), trip(**{name: missing}), trip()])

    parsed = parse_csv(path, block_bytes)

    canonical = {"VendorID": "vendor_id"}.get(name, name)
    assert [value is None for value in parsed.column(canonical)] == [False, True, False]


@BLOCK_SIZES
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(f"{HEADER}\n\r\n{trip()}\r\n{trip()}\r\n", [3, 4], id="blank second line"),
        pytest.param(f"{HEADER}\r\n{trip()}\r\n{trip()}\r\n", [2, 3], id="CRLF"),
        pytest.param(f"{HEADER}\r\n{trip()}\n{trip()}\r\n", [2, 3], id="mixed endings"),
        pytest.param(f"{HEADER}\n\n\n{trip()}\n\r\n\n{trip()}\n\n\n", [4, 7], id="blank lines"),
        pytest.param(f"{HEADER}\n{trip()}\r\r\n{trip()}\n", [2, 3], id="doubled carriage return"),
        pytest.param(f"\ufeff{HEADER}\n{trip()}\n{trip()}\n", [2, 3], id="byte order mark"),
    ],
)
def test_line_endings_and_blank_lines_lose_no_row_and_no_number(
    tmp_path: Path, content: str, lines: list[int], block_bytes: int
) -> None:
    parsed = parse_csv(write_bytes(tmp_path / "g.csv", content.encode()), block_bytes)

    assert parsed.lines == lines
    assert parsed.bad == []
    assert parsed.column("total_amount") == [12.9, 12.9]
    assert parsed.column("congestion_surcharge") == [0.0, 0.0]


UNENDED = {
    "truncated before the newline": trip(),
    "truncated within the newline": trip() + "\r",
    "truncated within an amount": trip(congestion_surcharge="12.75")[:-1],
    "truncated within a text": trip()[:60],
    "truncated within a character": trip().encode()[:30] + b"\xc3",
}


@BLOCK_SIZES
@pytest.mark.parametrize("line", UNENDED.values(), ids=UNENDED)
@pytest.mark.parametrize("name", ["g.csv", "g.csv.gz"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_last_line_without_a_newline_is_rejected(
    tmp_path: Path, name: str, newline: bytes, line: str | bytes, block_bytes: int
) -> None:
    line = line if isinstance(line, bytes) else line.encode()
    whole = write_csv(tmp_path / "whole.csv", numbered(30), newline=newline).read_bytes()
    path = write_bytes(tmp_path / name, whole + line)

    parsed = parse_csv(path, block_bytes)

    assert parsed.column("trip_distance") == [float(n) for n in range(30)]
    assert parsed.bad == [(32, line.decode("utf-8", "replace").rstrip("\r"))]


@BLOCK_SIZES
def test_a_last_line_without_a_newline_keeps_its_parsed_values(
    tmp_path: Path, block_bytes: int
) -> None:
    path = write_bytes(tmp_path / "g.csv", f"{HEADER}\n{trip()}\n{trip()}".encode())

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad_rows.equals(parsed.rows)


@pytest.mark.parametrize("ending", ["\r", "\r\r"])
def test_blanks_after_the_last_line_are_not_a_row(tmp_path: Path, ending: str) -> None:
    path = write_bytes(tmp_path / "g.csv", f"{HEADER}\n{trip()}\n{ending}".encode())

    parsed = parse_csv(path)

    assert (parsed.lines, parsed.bad) == ([2], [])


def test_a_truncated_line_does_not_set_the_row_width(tmp_path: Path) -> None:
    content = f"{HEADER}\n{trip()},,\n{trip()}"

    parsed = parse_csv(write_bytes(tmp_path / "g.csv", content.encode()))

    assert parsed.lines == [2]
    assert parsed.bad == [(3, trip())]


@BLOCK_SIZES
def test_rows_with_two_fields_beyond_the_header_are_not_shifted(
    tmp_path: Path, block_bytes: int
) -> None:
    rows = [row + ",," for row in numbered(30)]
    rows[3] = trip(total_amount="x") + ",,"
    rows[5] = trip()  # too few fields among these rows

    path = write_csv(tmp_path / "g.csv", ["", *rows], newline=b"\r\n")
    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == [(6, rows[3]), (8, rows[5])]
    assert parsed.column("trip_distance") == [float(n) for n in range(30) if n not in (3, 5)]
    assert set(parsed.column("vendor_id")) == {2}
    assert set(parsed.column("congestion_surcharge")) == {0.0}


@pytest.mark.parametrize("extra", [",,", ",", ""])
def test_a_damaged_first_row_does_not_set_the_row_width(tmp_path: Path, extra: str) -> None:
    wide = ",," if not extra else ""
    rows = [trip() + extra, *(row + wide for row in numbered(20))]

    parsed = parse_csv(write_csv(tmp_path / "g.csv", rows))

    assert parsed.bad == [(2, rows[0])]
    assert len(parsed.lines) == 20


def quoted(row: str) -> str:
    return ",".join(f'"{field}"' for field in row.split(","))


@BLOCK_SIZES
def test_a_quoted_file_is_read_like_a_plain_one(tmp_path: Path, block_bytes: int) -> None:
    rows = [*numbered(20), trip(payment_type="NULL"), trip(payment_type="barter")]
    plain = parse_csv(write_csv(tmp_path / "plain.csv", rows), block_bytes)
    path = write_csv(tmp_path / "quoted.csv", map(quoted, rows), header=quoted(HEADER))

    parsed = parse_csv(path, block_bytes)

    assert parsed.rows.equals(plain.rows)
    assert parsed.lines == plain.lines
    assert parsed.bad == [(23, quoted(rows[-1]))]


@BLOCK_SIZES
def test_a_quoted_field_may_contain_commas_and_quotes(tmp_path: Path, block_bytes: int) -> None:
    row = quoted(trip()) + ',"a, ""b"", c"'
    path = write_csv(tmp_path / "g.csv", [row] * 3, header=quoted(HEADER) + ',"remark"')

    parsed = parse_csv(path, block_bytes)

    assert parsed.lines == [2, 3, 4]
    assert parsed.column("total_amount") == [12.9] * 3


STRAY = {
    "an unclosed quote": quoted(trip()).replace('"12.9"', '"12.9'),
    "an unclosed quote in the last field": quoted(trip())[:-1].replace('"12.9"', '"x"'),
    "a lone carriage return": quoted(trip(total_amount="1\r2")),
    "a bare carriage return": quoted(trip()).replace('"12.9"', "1\r2"),
    "an unclosed long field": '"' + "x" * 200_000,
}


@BLOCK_SIZES
@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY)
def test_a_stray_quote_affects_only_its_own_line(
    tmp_path: Path, stray: str, block_bytes: int
) -> None:
    rows = [quoted(row) for row in numbered(12)]
    path = write_csv(
        tmp_path / "g.csv", [*rows[:5], stray, *rows[5:]], header=quoted(HEADER), newline=b"\r\n"
    )

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == [(7, stray)]
    assert parsed.column("trip_distance") == [float(n) for n in range(12)]


@BLOCK_SIZES
def test_a_quote_swallows_no_row(tmp_path: Path, block_bytes: int) -> None:
    row = quoted(trip()) + ","
    rows = [row, row + '"a', row, '"', row + '"c', row + '"d', "x", row]
    path = write_csv(tmp_path / "g.csv", rows, header=quoted(HEADER) + ',"remark"')

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == [(n, rows[n - 2]) for n in (3, 5, 6, 7, 8)]
    assert parsed.lines == [2, 4, 9]


@BLOCK_SIZES
def test_rows_in_a_quoted_field_are_not_taken_for_rows(tmp_path: Path, block_bytes: int) -> None:
    within = f"{trip(total_amount='777.77')},"
    note = f'{trip()},"see\n{within}\nend"'
    path = write_csv(
        tmp_path / "g.csv", [f"{trip()},", note, f"{trip()},"], header=HEADER + ",remark"
    )

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == list(enumerate(note.split("\n"), 3))
    assert parsed.lines == [2, 6]


@BLOCK_SIZES
@pytest.mark.parametrize("remark", ["a\nb", "a\nb,c,d", "\n" + "," * 25, "a, b\n\nc"])
def test_a_first_field_may_contain_newlines(tmp_path: Path, remark: str, block_bytes: int) -> None:
    rows = [f'"{remark}",{row}' for row in numbered(9)]
    path = write_csv(tmp_path / "g.csv", rows, header="remark," + HEADER)

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == []
    assert parsed.column("trip_distance") == [float(n) for n in range(9)]


@BLOCK_SIZES
@pytest.mark.parametrize("field", ['"12"5.00', '1"2"5', '12"', '"12" ', '""12', '"1"2"3"', '"12""'])
@pytest.mark.parametrize("others", [str, quoted], ids=["plain", "quoted"])
def test_a_quote_within_a_field_changes_no_value(
    tmp_path: Path, field: str, others: Callable[[str], str], block_bytes: int
) -> None:
    rows = [*map(others, numbered(12))]
    amount = others("5432.1")
    rows[5] = others(trip(total_amount="5432.1")).replace(amount, field)
    path = write_csv(tmp_path / "g.csv", rows)

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == [(7, rows[5])]
    assert len(parsed.lines) == 11


@BLOCK_SIZES
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_quoted_field_may_contain_newlines(
    tmp_path: Path, newline: bytes, block_bytes: int
) -> None:
    remarks = ["a\nb", "", "\n", 'c ""quoted""\n\nd', "e" + "\n" * 15, "f\rg", "h\n,i"]
    rows = [f'{trip(trip_distance=str(n))},"{remark}"' for n, remark in enumerate(remarks)]
    path = write_csv(tmp_path / "g.csv", rows, header=HEADER + ",remark", newline=newline)

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == []
    assert parsed.column("trip_distance") == [float(n) for n in range(len(remarks))]
    assert parsed.lines == [2, 4, 5, 7, 10, 26, 27]


@BLOCK_SIZES
def test_a_bad_record_of_several_lines_is_one_reject(tmp_path: Path, block_bytes: int) -> None:
    bad = f'{trip(trip_distance="far")},"a\nb"'
    rows = [f"{trip()},", bad, f"{trip()},"]
    path = write_csv(tmp_path / "g.csv", rows, header=HEADER + ",remark")

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == [(3, bad)]
    assert parsed.lines == [2, 5]


@BLOCK_SIZES
def test_a_quote_that_is_never_closed_costs_its_own_line_only(
    tmp_path: Path, block_bytes: int
) -> None:
    remarks = ["", *["x"] * 20, ""]
    rows = [f"{trip()},{remark}" for remark in remarks]
    path = write_csv(tmp_path / "g.csv", ['"', *rows, '"a,', *rows], header=HEADER + ",remark")

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == [(2, '"'), (25, '"a,')]
    assert len(parsed.lines) == 44


@BLOCK_SIZES
def test_a_carriage_return_alone_may_end_a_row(tmp_path: Path, block_bytes: int) -> None:
    """A blank line must not compensate for the extra row, and shift the line numbers."""
    pair = f"{trip(trip_distance='1')}\r{trip(trip_distance='2')}"
    path = write_csv(tmp_path / "g.csv", [pair, "", trip(trip_distance="3")])

    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == []
    assert parsed.lines == [2, 2, 4]
    assert parsed.column("trip_distance") == [1.0, 2.0, 3.0]


@BLOCK_SIZES
def test_rows_that_end_in_carriage_returns_do_not_widen_the_others(
    tmp_path: Path, block_bytes: int
) -> None:
    pairs = [f"{a}\r{b}" for a, b in zip(*[iter(numbered(12))] * 2, strict=True)]

    parsed = parse_csv(write_csv(tmp_path / "g.csv", pairs), block_bytes)

    assert parsed.bad == []
    assert parsed.column("trip_distance") == [float(n) for n in range(12)]


@BLOCK_SIZES
def test_of_rows_in_one_unended_line_only_the_last_may_be_truncated(
    tmp_path: Path, block_bytes: int
) -> None:
    path = tmp_path / "g.csv"
    path.write_bytes(f"{HEADER}\n{trip()}\r{trip()}".encode())

    parsed = parse_csv(path, block_bytes)

    assert parsed.lines == [2]
    assert parsed.bad == [(2, trip())]


@BLOCK_SIZES
@pytest.mark.parametrize("text", ["0x1", "0X1", "0x1A"])
@pytest.mark.parametrize("column", ["VendorID", "passenger_count", "trip_distance"])
def test_hexadecimal_text_is_no_number(
    tmp_path: Path, column: str, text: str, block_bytes: int
) -> None:
    rows = [trip(), trip(**{column: text}), trip()]

    parsed = parse_csv(write_csv(tmp_path / "g.csv", rows), block_bytes)

    assert parsed.lines == [2, 4]
    assert parsed.bad == [(3, rows[1])]


@BLOCK_SIZES
def test_a_repeated_header_is_rejected(tmp_path: Path, block_bytes: int) -> None:
    path = write_csv(tmp_path / "g.csv", [trip(), quoted(HEADER), HEADER.upper(), trip()])

    parsed = parse_csv(path, block_bytes)

    assert [line for line, _ in parsed.bad] == [3, 4]
    assert parsed.lines == [2, 5]


def other_headers() -> dict[str, str]:
    names = HEADER.split(",")
    return {
        "in another order": ",".join([*names[:3], *reversed(names[3:])]),
        "with another name": HEADER.replace("trip_distance", "congestion_surcharge"),
        "with fewer columns": ",".join(names[:-2]),
        "with more columns": HEADER + ",cbd_congestion_fee",
    }


@BLOCK_SIZES
@pytest.mark.parametrize("header", other_headers().values(), ids=other_headers())
def test_a_file_joined_from_files_with_other_columns_is_refused(
    tmp_path: Path, header: str, block_bytes: int
) -> None:
    path = write_csv(tmp_path / "g.csv", [trip(), header, trip()])

    with pytest.raises(TripFileError, match=r"g\.csv: line 3 is a header with other columns"):
        parse_csv(path, block_bytes)


@BLOCK_SIZES
@pytest.mark.parametrize("damage", [b"\xff\xfe", b"\xe9"], ids=["never valid", "Latin-1"])
def test_a_damaged_row_is_rejected_whichever_column_is_damaged(
    tmp_path: Path, damage: bytes, block_bytes: int
) -> None:
    """Also if the column is not read: otherwise the result would depend on the block."""
    rows: list[str | bytes] = [row + ",x" for row in numbered(9)]
    rows[2] = trip(total_amount="?") + ",x"
    rows[6] = trip().encode() + b"," + damage

    path = write_csv(tmp_path / "g.csv", rows, header=HEADER + ",remark")
    parsed = parse_csv(path, block_bytes)

    assert [line for line, _ in parsed.bad] == [4, 8]


@BLOCK_SIZES
def test_valid_non_ascii_text_is_kept(tmp_path: Path, block_bytes: int) -> None:
    rows = [row + ",caf\u00e9" for row in numbered(9)]

    path = write_csv(tmp_path / "g.csv", rows, header=HEADER + ",remark")
    parsed = parse_csv(path, block_bytes)

    assert parsed.bad == []
    assert parsed.lines == list(range(2, 11))


FRAGMENTS = st.sampled_from(
    [
        *numbered(3),
        *(text if isinstance(text, bytes) else text.encode() for text in BAD_ROWS.values()),
        *(text.encode() for text in STRAY.values() if len(text) < 1000),
        HALF_QUOTED,
        quoted(trip()),
        trip(passenger_count="3.0"),
        trip(VendorID="", payment_type="", store_and_fwd_flag=""),
        b"",
        b"\r",
        b"\xef\xbb\xbf",
        b'"',
        b",",
    ]
)


@pytest.mark.slow
@pytest.mark.parametrize("quoted_header", [False, True], ids=["plain", "quoted"])
@bounded
@given(
    lines=st.lists(st.tuples(FRAGMENTS, st.sampled_from([b"\n", b"\r\n"])), max_size=25),
    ended=st.booleans(),
    block_bytes=st.integers(1, 3000),
)
def test_no_row_of_any_csv_is_lost_whatever_the_block_size(
    tmp_path: Path,
    quoted_header: bool,
    lines: list[tuple[str | bytes, bytes]],
    ended: bool,
    block_bytes: int,
) -> None:
    content = (quoted(HEADER) if quoted_header else HEADER).encode() + b"\n"
    for text, newline in lines:
        content += (text.encode() if isinstance(text, str) else text) + newline
    if not ended:
        content = content[:-1]
    path = write_bytes(tmp_path / "g.csv", content)
    expected = data_lines(content)
    if not expected:
        return

    whole, parts = parse_csv(path), parse_csv(path, block_bytes)

    assert sorted([*whole.lines, *(n for n, _ in whole.bad)]) == [n for n, _ in expected]
    assert set(whole.bad) <= set(expected)
    assert parts.rows.equals(whole.rows)
    assert parts.lines == whole.lines
    assert parts.bad == whole.bad
    assert parts.bad_rows.equals(whole.bad_rows)


@pytest.mark.parametrize("block_bytes", [1, 200, 1000])
def test_a_block_has_whole_lines_and_at_most_its_size(tmp_path: Path, block_bytes: int) -> None:
    path = write_csv(tmp_path / "g.csv", numbered(100))
    reader = CsvTripReader(path, "green", block_bytes=block_bytes)

    blocks = list(reader.raw_blocks())
    reader.close()

    longest = len(trip()) + 10
    assert all(block.data.to_pybytes().endswith(b"\n") for block in blocks)
    assert max(block.data.size for block in blocks) <= max(block_bytes, longest)
    assert b"".join(block.data for block in blocks) == path.read_bytes().partition(b"\n")[2]
    lines = [block.first_line for block in blocks]
    assert lines == sorted(set(lines))
    assert lines[0] == 2


@pytest.mark.slow
def test_a_block_of_short_lines_has_a_limited_number_of_lines(tmp_path: Path) -> None:
    """Each row takes memory, even if its line is short."""
    lines = [b"x"] * (2 * BLOCK_ROWS + 5)
    path = write_csv(tmp_path / "g.csv", [*lines, trip(), *lines])
    reader = CsvTripReader(path, "green")

    blocks = list(reader.raw_blocks())
    reader.close()

    assert max(block.line_ends for block in blocks) <= BLOCK_ROWS
    assert b"".join(block.data for block in blocks) == path.read_bytes().partition(b"\n")[2]
    parsed = parse_csv(path)
    assert parsed.lines == [2 + len(lines)]
    assert [number for number, _ in parsed.bad] == [
        n for n in range(2, 3 + 2 * len(lines)) if n != 2 + len(lines)
    ]


@pytest.mark.parametrize("block_bytes", [1000, 1 << 20])
def test_rows_keep_their_line_numbers_after_many_blank_lines(
    tmp_path: Path, block_bytes: int
) -> None:
    blank = b"\r\n" * 100_000 + b"\n" * 100_000
    head = f"{HEADER}\n{trip()}\n".encode()
    path = write_bytes(tmp_path / "g.csv", head + blank + trip().encode() + b"\n" + blank)
    reader = CsvTripReader(path, "green", block_bytes=block_bytes)

    blocks = sum(1 for _ in reader.raw_blocks())
    reader.close()

    assert blocks <= 4 + 2 * len(blank) // BLOCK_ROWS
    parsed = parse_csv(path, block_bytes)
    assert (parsed.lines, parsed.bad) == ([2, 200_003], [])


@pytest.mark.slow
def test_a_header_with_many_names_takes_no_memory_per_row(tmp_path: Path) -> None:
    rows = ["x"] * 20_000
    path = write_csv(tmp_path / "g.csv", [*rows, trip()], header=HEADER + "," * 100_000)

    tracemalloc.start()
    try:
        parsed = parse_csv(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(parsed.bad) == 20_001
    assert peak < 200 << 20


@pytest.mark.parametrize("block_bytes", [1, 1000, 1 << 20, 1 << 22])
@pytest.mark.parametrize("ending", [b"\n", b""], ids=["ended", "at the end of the file"])
def test_a_line_of_the_maximum_length_is_read(
    tmp_path: Path, block_bytes: int, ending: bytes
) -> None:
    row = trip().encode() + b","
    row += b"x" * (LONGEST_LINE - len(row))
    path = tmp_path / "g.csv"
    path.write_bytes(f"{HEADER}\n{trip()}\n".encode() + row + ending)

    parsed = parse_csv(path, block_bytes)

    assert parsed.lines == [2]
    assert parsed.bad == [(3, row.decode())]


@pytest.mark.parametrize("block_bytes", [1, 1000, 1 << 20, 1 << 22])
@pytest.mark.parametrize("ending", [b"\n" + trip().encode(), b""], ids=["ended", "without end"])
@pytest.mark.parametrize("rows_before", [0, 1])
def test_a_longer_line_is_refused_with_its_line_number(
    tmp_path: Path, block_bytes: int, ending: bytes, rows_before: int
) -> None:
    head = "".join(f"{line}\n" for line in [HEADER, *numbered(rows_before)]).encode()
    path = tmp_path / "g.csv"
    path.write_bytes(head + b"x" * (LONGEST_LINE + 1) + ending)

    with pytest.raises(TripFileError) as error:
        parse_csv(path, block_bytes)
    assert (
        str(error.value) == f"g.csv: line {2 + rows_before} is longer than {LONGEST_LINE:,} bytes"
    )


def test_a_line_as_long_as_a_block_does_not_stop_the_reader(tmp_path: Path) -> None:
    """One block ends exactly at a newline, and the next one contains none."""
    first = numbered(1)[0].encode() + b"\n"
    filler = b"\n" * (LONGEST_LINE - len(first))
    path = tmp_path / "g.csv"
    path.write_bytes(f"{HEADER}\n".encode() + first + filler + b"x" * LONGEST_LINE + b"\n")

    parsed = parse_csv(path)

    assert parsed.lines == [2]
    assert [len(text or "") for _, text in parsed.bad] == [LONGEST_LINE]


@pytest.mark.parametrize("content", [HEADER, HEADER + "\n", HEADER + "\r\n\r\n\n"])
def test_a_file_with_only_a_header_has_no_rows(tmp_path: Path, content: str) -> None:
    reader = CsvTripReader(write_bytes(tmp_path / "g.csv", content.encode()), "green")

    assert sum(reader.parse(raw).rows_read for raw in reader.raw_blocks()) == 0
    reader.close()


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"  \n1,2\n", b"x" * (LONGEST_LINE + 1)])
@pytest.mark.parametrize("name", ["g.csv", "g.csv.gz"])
def test_a_file_without_a_header_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = write_bytes(tmp_path / name, content)

    with pytest.raises(TripFileError, match=f"^{name} has no header line$"):
        CsvTripReader(path, "green")


@pytest.mark.slow
@BLOCK_SIZES
def test_a_gzipped_file_is_read_like_a_plain_one(tmp_path: Path, block_bytes: int) -> None:
    rows = [*numbered(200), trip(total_amount="x")]
    plain = parse_csv(write_csv(tmp_path / "g.csv", rows), block_bytes)

    parsed = parse_csv(write_csv(tmp_path / "g.csv.gz", rows), block_bytes)

    assert parsed.rows.equals(plain.rows)
    assert parsed.lines == plain.lines
    assert parsed.bad == plain.bad


def test_all_members_of_a_gzip_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "g.csv.gz"
    members = [f"{HEADER}\n", *(f"{row}\n" for row in numbered(3))]
    path.write_bytes(b"".join(gzip.compress(member.encode()) for member in members) + b"\0" * 9)

    assert parse_csv(path).column("trip_distance") == [0.0, 1.0, 2.0]


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda packed: packed[: int(len(packed) * share)]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated to its magic number": lambda packed: packed[:2],
    "truncated in the middle": cut(0.5),
    "truncated near the end": cut(0.99),
    "without its last byte": lambda packed: packed[:-1],
    "without its checksum": lambda packed: packed[:-8],
    "a wrong checksum": lambda packed: packed[:-8] + b"\1\2\3\4" + packed[-4:],
    "a wrong length": lambda packed: packed[:-1] + b"\1",
    "a changed start": lambda packed: packed[:12] + b"\xff" * 60 + packed[72:],
    "changed bytes": lambda packed: packed[:-60] + b"\xff" * 30 + packed[-30:],
    "followed by other bytes": lambda packed: packed + b"<html>",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("count", [20, 30_000])
def test_a_damaged_gzip_file_is_refused_and_not_read_as_a_shorter_one(
    tmp_path: Path, damage: Callable[[bytes], bytes], count: int
) -> None:
    rows = (trip(trip_distance=f"{n * n % 9973}.{n % 89}") for n in range(count))
    path = write_csv(tmp_path / "g.csv.gz", rows)
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(TripFileError) as error:
        parse_csv(path)

    message = str(error.value)
    assert message.startswith("g.csv.gz is a damaged or truncated gzip file (")
    assert message.endswith("download it again")
    assert "\n" not in message


def test_a_file_opened_in_one_thread_is_read_completely_in_another(tmp_path: Path) -> None:
    """The thread that opened the file may have ended."""
    path = write_csv(tmp_path / "g.csv.gz", numbered(60_000))
    opened: list[CsvTripReader] = []
    thread = threading.Thread(target=lambda: opened.append(CsvTripReader(path, "green")))
    thread.start()
    thread.join()

    assert len(parse_all(opened[0]).lines) == 60_000


def test_opening_a_file_starts_no_thread(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "g.csv.gz", numbered(10))
    before = threading.active_count()

    reader = CsvTripReader(path, "green")

    assert threading.active_count() == before
    reader.close()


@pytest.mark.parametrize("name", ["g.csv", "g.csv.gz"])
def test_the_first_bytes_are_decompressed(tmp_path: Path, name: str) -> None:
    path = write_csv(tmp_path / name, numbered(3))

    assert read_first_bytes(path, 8) == b"VendorID"
    assert read_first_bytes(path, 1 << 20).endswith(b"\n")


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        path.write_bytes(f"{HEADER}\n".encode() + f"{trip()}\n".encode() * count)
        reader = CsvTripReader(path, "green", block_bytes=1 << 16)
        tracemalloc.start()
        try:
            for _ in reader.raw_blocks():
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            reader.close()

    assert peak(100_000) < 2 * peak(20_000)
