"""A damaged file either loads without losing a row or is refused, whatever the damage.

The inputs are generated from a fixed seed, so they are the same in every run.
"""

import gzip
import io
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from taxi_platform.trips.cleaning import clean_trips
from taxi_platform.trips.csv_reader import LONGEST_LINE
from taxi_platform.trips.errors import TripFileError
from taxi_platform_tests.conftest import PROJECT
from taxi_platform_tests.trips.published import (
    HEADER,
    LENIENT,
    Cleaned,
    collect,
    data_lines,
    green_table,
    trip,
)
from taxi_platform_tests.trips.shapes import SHAPES

INPUTS = 5_000

Mutation = Callable[[bytes, Random], bytes]


def some_bytes(random: Random, count: int) -> bytes:
    return bytes(random.randrange(256) for _ in range(count))


def flip_bits(content: bytes, random: Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 8, 64])):
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def overwrite(content: bytes, random: Random) -> bytes:
    start, count = random.randrange(len(content)), random.choice([1, 4, 40])
    return content[:start] + some_bytes(random, count) + content[start + count :]


def cut_end(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content))]


def cut_middle(content: bytes, random: Random) -> bytes:
    start, end = sorted(random.randrange(len(content)) for _ in range(2))
    return content[:start] + content[end:]


def repeat_stretch(content: bytes, random: Random) -> bytes:
    start, end = sorted(random.randrange(len(content)) for _ in range(2))
    return content[:end] + content[start:end] + content[end:]


def insert(*pieces: bytes) -> Mutation:
    def inserted(content: bytes, random: Random) -> bytes:
        at = random.randrange(len(content))
        return content[:at] + random.choice(pieces) * random.choice([1, 1, 3, 50]) + content[at:]

    return inserted


def enormous_field(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content))
    filler = random.choice([b"9", b"x", b" ", b"\0", b'"', b",", b"\xc3\xa9", b"\r"])
    return content[:at] + filler * random.choice([2_000, 40_000, 140_000]) + content[at:]


def reorder_header(content: bytes, random: Random) -> bytes:
    header, newline, rest = content.partition(b"\n")
    names = header.split(b",")
    one, other = random.randrange(len(names)), random.randrange(len(names))
    match random.randrange(4):
        case 0:
            names[one], names[other] = names[other], names[one]
        case 1:
            names.insert(one, names[other])
        case 2:
            names[one] = names[other]
        case _:
            del names[one]
    return b",".join(names) + newline + rest


def reorder_columns(content: bytes, random: Random) -> bytes:
    """Swaps or duplicates a column in all lines or in some."""
    lines = [line.split(b",") for line in content.split(b"\n")]
    one, other = random.randrange(20), random.randrange(20)
    double, share = random.random() < 0.5, random.choice([0.3, 1.0])
    for fields in lines:
        if len(fields) > max(one, other) and random.random() < share:
            if double:
                fields.insert(one, fields[other])
            else:
                fields[one], fields[other] = fields[other], fields[one]
    return b"\n".join(b",".join(fields) for fields in lines)


def reorder_lines(content: bytes, random: Random) -> bytes:
    header, newline, rest = content.partition(b"\n")
    lines = rest.split(b"\n")
    random.shuffle(lines)
    return header + newline + b"\n".join(lines)


def other_line_ends(content: bytes, random: Random) -> bytes:
    bare = content.replace(b"\r", b"")
    end = random.choice([b"\n", b"\r\n", b"\r", b"\n\r", b"\r\r\n", b"\n\n", b"\x0b", b"\x85"])
    return bare.replace(b"\n", end, random.choice([1, 3, -1]))


def other_encoding(content: bytes, random: Random) -> bytes:
    text = content.decode("latin-1")
    encoding = random.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "utf-8-sig"])
    return text.encode(encoding)


def other_separator(content: bytes, random: Random) -> bytes:
    return content.replace(b",", random.choice([b";", b"\t", b", ", b" ,", b'","', b",,"]))


def other_values(content: bytes, random: Random) -> bytes:
    """Replaces one field of some lines with a value that is invalid or barely valid."""
    odd = (
        b"1e400 -1e13 1e308 inf -inf nan NaN NULL 0x10 1_000 1,5 99999999999999999999 -0 +1 1. .1 "
        b"32768 -32769 0000-00-00 9999-12-31 10000-01-01T00:00:00 2020-02-30 2020-01-01Z "
        b'2020-01-01T00:00:00+05:00 CMT cash NOC \xff \xc3\xa9 \xef\xbf\xbd " "" \0 \r true None'
    ).split(b" ")
    lines = content.split(b"\n")
    for position in range(1, len(lines)):
        if random.random() < 0.5:
            fields = lines[position].split(b",")
            fields[random.randrange(len(fields))] = random.choice(odd)
            lines[position] = b",".join(fields)
    return b"\n".join(lines)


def nothing(content: bytes, random: Random) -> bytes:
    return content


OF_BYTES: tuple[Mutation, ...] = (flip_bits, overwrite, cut_end, cut_middle, repeat_stretch)
OF_TEXT: tuple[Mutation, ...] = (
    *OF_BYTES,
    nothing,
    insert(b"\0", b"\xff", b"\xe9", b"\r", b"\n", b'"', b",", b"\xef\xbb\xbf", b"\x1a"),
    enormous_field,
    reorder_header,
    reorder_columns,
    reorder_lines,
    other_line_ends,
    other_encoding,
    other_separator,
    other_values,
)


def as_parquet(content: bytes, random: Random) -> bytes | None:
    """The rows as Parquet, with inferred types; None if they are not a table."""
    header, _, rest = content.partition(b"\n")
    lines = [line.rstrip(b"\r,") for line in rest.split(b"\n")]
    names = [name.strip() for name in header.decode().split(",")]
    # Without the empty fields at the end of lines that have no name in the header.
    whole = [
        line + b"," * (len(names) - 1 - line.count(b","))
        for line in lines[:-1]
        if 0 <= len(names) - 1 - line.count(b",") <= 3
    ]
    if not whole:
        return None
    table = pa_csv.read_csv(
        io.BytesIO(b"\n".join(whole)), pa_csv.ReadOptions(column_names=names, use_threads=False)
    )
    packed = io.BytesIO()
    pq.write_table(
        table,
        packed,
        compression=random.choice(["none", "snappy", "zstd", "gzip"]),
        use_dictionary=random.random() < 0.5,
        data_page_version=random.choice(["1.0", "2.0"]),
        row_group_size=random.choice([3, 1000]),
    )
    return packed.getvalue()


def sources(folder: Path | None) -> list[bytes]:
    """Small complete files of every era: the published heads if available, and generated rows."""
    random = Random(2009)  # noqa: S311 - no secret
    made = [
        shape.head + b"".join(shape.row(random).encode() + b"\r\n" for _ in range(12))
        for shape in SHAPES
    ]
    return made + ([p.read_bytes() for p in sorted(folder.glob("*.csv"))] if folder else [])


def assert_accounted_for(cleaned: Cleaned, rows: int) -> None:
    summary = cleaned.summary
    assert summary.rows_read == rows == summary.rows_kept + summary.rows_rejected
    assert cleaned.kept.num_rows == summary.rows_kept
    assert cleaned.rejected.num_rows == summary.rows_rejected
    cleaned.kept.validate(full=True)
    cleaned.rejected.validate(full=True)


def load(path: Path, text: bytes | None) -> Cleaned | None:
    """The result of cleaning a file; None if it is refused with a one-line message."""
    try:
        return collect(clean_trips(path, options=replace(LENIENT, rules=())))
    except TripFileError as error:
        refusal = str(error)
    assert refusal
    assert "\n" not in refusal
    if text is not None and "has a header but no rows" in refusal:
        assert data_lines(text) == []
    return None


def write_damaged(path: Path, source: bytes, random: Random) -> tuple[str, bytes | None]:
    """Writes a damaged file. Returns its format, and its text if known."""
    kind = random.choices(["csv", "gz", "damaged gz", "parquet"], [70, 5, 13, 12])[0]
    if kind == "parquet":
        packed = as_parquet(source, random)
        assert packed is not None
        path.write_bytes(random.choice((*OF_BYTES, nothing))(packed, random))
        return kind, None
    text = source
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        text = random.choice(OF_TEXT)(text, random) or source
    if kind == "csv":
        path.write_bytes(text)
        return kind, text
    packed = gzip.compress(text, random.choice([0, 1, 9]), mtime=0)
    if kind == "gz":
        path.write_bytes(packed)
        return kind, text
    damaged = random.choice(OF_BYTES)(packed, random)
    path.write_bytes(damaged)
    try:
        return kind, gzip.decompress(damaged)
    except Exception:  # noqa: BLE001 - whatever Python says of it, it is damaged
        return kind, None


def fuzz(path: Path, inputs: list[bytes], count: int, seed: int) -> Counter[str]:
    random = Random(seed)  # noqa: S311 - no secret
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        kind, text = write_damaged(path, random.choice(inputs), random)
        cleaned = load(path, text)
        outcomes[f"{kind} {'refused' if cleaned is None else 'loaded'}"] += 1
        if cleaned is None:
            continue
        if kind == "parquet":
            assert_accounted_for(cleaned, pq.read_metadata(path).num_rows)
        else:
            assert text is not None, "a damaged gzip file was loaded"
            assert_accounted_for(cleaned, len(data_lines(text)))
    return outcomes


def assert_telling(outcomes: Counter[str]) -> None:
    """Checks that some files load and some are refused."""
    for outcome in ("csv loaded", "gz loaded", "parquet loaded"):
        assert outcomes[outcome] > 0
    for outcome in ("csv refused", "damaged gz refused", "parquet refused"):
        assert outcomes[outcome] > 0
    assert outcomes["csv loaded"] > outcomes["csv refused"] / 4


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]
)
@pytest.mark.parametrize("name", ["yellow_tripdata_2010-03.csv", "trips"])
def test_a_damaged_file_of_any_era_loses_no_row_or_is_refused(
    tmp_path: Path, name: str, seed: int
) -> None:
    assert_telling(fuzz(tmp_path / name, sources(None), INPUTS // 20, seed))


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_published_file_loses_no_row_or_is_refused(
    tmp_path: Path, real_data: Path, seed: int
) -> None:
    inputs = sources(real_data / "tlc_heads")

    assert_telling(fuzz(tmp_path / "trips.csv", inputs, INPUTS // 20, 100 + seed))


HEAD, ROW = f"{HEADER}\n{trip()}\n".encode(), f"{trip()}\n".encode()
MEGABYTE = 1 << 20
BOMB = 400
TOO_LONG = f"line 3 is longer than {LONGEST_LINE:,} bytes"
"""Megabytes in memory, from a small or sparse file."""


def packed(*parts: tuple[bytes, int]) -> bytes:
    """A gzip file whose members are the given pieces, each repeated a number of times."""
    return b"".join(gzip.compress(piece, 1, mtime=0) * times for piece, times in parts)


def sparse(path: Path, head: bytes) -> None:
    """Zeros after a head, in a sparse file."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(BOMB * MEGABYTE)


def many_rows(path: Path) -> None:
    """Parquet with few bytes per row, in one row group."""
    pq.write_table(green_table(1_500_000), path, compression="zstd", row_group_size=2_000_000)


def write(content: Callable[[], bytes]) -> Callable[[Path], None]:
    def written(path: Path) -> None:
        path.write_bytes(content())

    return written


# How to write the file, and the expected result: rows kept and rejected, or the error message.
BOMBS: dict[str, tuple[Callable[[Path], None], str]] = {
    "zeros below a row": (lambda path: sparse(path, HEAD), TOO_LONG),
    "zeros alone": (lambda path: sparse(path, b""), "has no header line"),
    "packed zeros below a row": (
        write(lambda: packed((HEAD, 1), (b"\0" * MEGABYTE, BOMB))),
        TOO_LONG,
    ),
    "packed zeros alone": (
        write(lambda: packed((b"\0" * MEGABYTE, BOMB))),
        "has no header line",
    ),
    "packed fields without end": (
        write(lambda: packed((HEAD, 1), (b"1," * (MEGABYTE // 2), BOMB))),
        TOO_LONG,
    ),
    "packed names without end": (
        write(lambda: packed((HEADER.encode() + b"," * MEGABYTE, BOMB))),
        "has no header line",
    ),
    "packed newlines between two rows": (
        write(lambda: packed((HEAD, 1), (b"\n" * MEGABYTE, BOMB), (ROW, 1))),
        "2 kept, 0 rejected",
    ),
    "packed line ends among rows": (
        write(lambda: packed((HEAD, 1), (ROW + b"\r\n" * (MEGABYTE // 2), BOMB // 10))),
        f"{1 + BOMB // 10} kept, 0 rejected",
    ),
    "packed lines of the greatest length": (
        write(lambda: packed((HEAD, 1), (b"x" * (LONGEST_LINE - 1) + b"\n", BOMB // 4))),
        f"1 kept, {BOMB // 4} rejected",
    ),
    "packed lines of one byte": (
        write(lambda: packed((HEAD, 1), (b"x\n" * 100_000, 10))),
        "1 kept, 1000000 rejected",
    ),
    "packed lines of commas": (
        write(lambda: packed((HEAD, 1), (b"," * 19 + b"\n", 500), (b"," * 20 + b"\n", 500))),
        "501 kept, 500 rejected",
    ),
    "Parquet of few bytes a row": (many_rows, "1500000 kept, 0 rejected"),
}

CHILD = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from taxi_platform.trips.cleaning import CleaningOptions, clean_trips
from taxi_platform.trips.errors import TripFileError
from taxi_platform.trips.month import TripMonth

resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

def peak():  # in kilobytes, of this program alone: what rusage says includes its parent's
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def load(path):
    month = TripMonth.from_key("green|2020-01")
    trips = clean_trips(Path(path), month, CleaningOptions(max_rejected_share=1.0, rules=()))
    kept = rejected = 0
    for batch in trips:
        kept += batch.kept.num_rows
        rejected += batch.rejected.num_rows
    return f"{kept} kept, {rejected} rejected"

load(sys.argv[1])
before = peak()
try:
    outcome = load(sys.argv[2])
except TripFileError as error:
    outcome = str(error)
print(outcome)
print((peak() - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("make", "expected"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_loaded_or_refused_in_bounded_memory(
    tmp_path: Path, make: Callable[[Path], None], expected: str
) -> None:
    ordinary = tmp_path / "ordinary.csv"
    ordinary.write_bytes(HEAD + ROW * 100_000)
    bomb = tmp_path / "bomb"
    make(bomb)

    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(ordinary), str(bomb)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    outcome, grown = done.stdout.splitlines()
    assert outcome.endswith(expected)
    assert int(grown) < 150, "megabytes more than for 100,000 trips"
