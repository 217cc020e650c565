import base64
import json
from pathlib import Path
from typing import Any

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.landing import versions
from taxi_platform.landing.files import TripParquet
from taxi_platform.landing.footers import SUMMARY_KEY, totals_of_footer
from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.checksums import checksum_of
from taxi_platform.trips.statistics import current_json
from taxi_platform_tests.months import GREEN, cleaned_month


def as_earlier_versions_wrote_it(trips: TripParquet) -> None:
    """Rewrites the file's summary: until 0.1, sums were text in dollars."""
    table = pq.read_table(trips.path)
    summary = json.loads(pq.read_metadata(trips.path).metadata[SUMMARY_KEY.encode()])
    cents = summary["statistics"].pop("cents")
    summary["statistics"]["dollars"] = {
        name: f"{'-' * (n < 0)}{abs(n) // 100}.{abs(n) % 100:02}".rstrip("0").rstrip(".")
        for name, n in cents.items()
    }
    with pq.ParquetWriter(trips.path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({SUMMARY_KEY: json.dumps(summary)})


def test_a_file_cleaned_by_an_earlier_version_is_read_to_the_cent(landing: LandingZone) -> None:
    trips = cleaned_month(landing, GREEN, 3_000)
    as_earlier_versions_wrote_it(trips)

    earlier = landing.find_cleaned(GREEN)

    assert earlier.totals == trips.totals
    assert earlier.total_cents == trips.total_cents
    assert earlier.statistics == trips.statistics
    assert totals_of_footer(GREEN, pq.read_metadata(trips.path)) == trips.totals


@pytest.mark.parametrize(
    ("text", "cents"),
    [("12.3", 1230), ("-0.01", -1), ("0", 0), ("123456789012.07", 12345678901207), ("4.35", 435)],
)
def test_dollars_of_earlier_versions_are_converted_to_exact_cents(text: str, cents: int) -> None:
    assert current_json({"rows": 1, "dollars": {"extra": text}}) == {
        "rows": 1,
        "cents": {"extra": cents},
    }


def test_sums_are_whole_cents_in_the_footer(landing: LandingZone) -> None:
    trips = cleaned_month(landing, GREEN, 500)

    written = json.loads(pq.read_metadata(trips.path).metadata[SUMMARY_KEY.encode()])

    assert "dollars" not in written["statistics"]
    assert all(type(cents) is int for cents in written["statistics"]["cents"].values())


def test_a_file_of_another_writer_has_rows_and_no_sums(tmp_path: Path) -> None:
    path = tmp_path / "theirs.parquet"
    pq.write_table(pa.table({"fare_amount": [1.0, 2.0]}), path)

    totals = totals_of_footer(GREEN, pq.read_metadata(path))

    assert (totals.rows, totals.cents) == (2, {})


def test_the_checksum_of_a_file_is_computed_once_and_again_when_it_changed(
    landing: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[Path] = []
    compute = checksum_of

    def counted(path: Path, algorithm: str) -> Any:
        computed.append(path)
        return compute(path, algorithm)

    monkeypatch.setattr(versions, "checksum_of", counted)

    def expected(trips: TripParquet) -> str:
        crc = google_crc32c.Checksum(trips.path.read_bytes())
        return base64.b64encode(crc.digest()).decode()

    for rows in (500, 600):
        trips = cleaned_month(landing, GREEN, rows)
        assert trips.crc32c == landing.find_cleaned(GREEN).crc32c == expected(trips)
    assert len(computed) == 2


def test_rejected_rows_are_counted_in_their_own_file(landing: LandingZone) -> None:
    trips = cleaned_month(landing, GREEN, 3_000)
    assert trips.rows_in_rejects == trips.rows_rejected > 0

    rejects = pq.read_table(trips.rejects_path)
    pq.write_table(rejects.slice(1), trips.rejects_path)

    assert trips.rows_in_rejects == trips.rows_rejected - 1
