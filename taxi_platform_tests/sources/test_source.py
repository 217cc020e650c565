import base64
import gzip
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import google_crc32c
import pytest

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.download import land
from taxi_platform.landing.files import RawFile
from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.source import source_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.months import GREEN, YELLOW_CSV
from taxi_platform_tests.sources.publisher import Publisher

NAME = "green_tripdata_2024-01.parquet"


def fetch(publisher: Publisher, landing: LandingZone, month: TripMonth = GREEN) -> RawFile:
    return land(source_of(SourceTemplate(publisher.template)), month, landing)[0]


def leftovers(landing: LandingZone) -> list[str]:
    return [
        path.name
        for path in landing.root.rglob("*")
        if path.is_file() and not path.name.startswith("green_")
    ]


def test_the_file_lands_byte_for_byte_with_the_servers_version(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    publisher.publish(NAME, green_parquet, etag='"abc"')
    raw, published = land(source_of(SourceTemplate(publisher.template)), GREEN, landing)
    assert raw.path.read_bytes() == green_parquet
    assert published.etag == '"abc"'
    assert str(published.address) == f"{publisher.url}/{NAME}"
    assert leftovers(landing) == []


def test_a_broken_download_is_kept_and_resumed_where_it_broke(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    publisher.publish(NAME, green_parquet, cut_after=10_000)
    with pytest.raises(TransientStoreError, match=r"green\|2024-01.*kept.*resumes it"):
        fetch(publisher, landing)
    assert fetch(publisher, landing).path.read_bytes() == green_parquet
    assert publisher.asked[1]["Range"] == "bytes=10000-"
    assert leftovers(landing) == []


@pytest.mark.parametrize("honours_range", [True, False])
def test_a_file_republished_between_two_ranges_is_never_joined(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes, honours_range: bool
) -> None:
    publisher.publish(NAME, b"PAR1" + bytes(50_000), cut_after=10_000)
    with pytest.raises(TransientStoreError):
        fetch(publisher, landing)
    publisher.publish(NAME, green_parquet, etag='"v2"', honours_range=honours_range)
    assert fetch(publisher, landing).path.read_bytes() == green_parquet


def digest(algorithm: str, body: bytes) -> str:
    return base64.b64encode(hashlib.new(algorithm, body).digest()).decode()


CHECKSUMS: dict[str, Callable[[bytes], tuple[str, str]]] = {
    "RFC 9530": lambda body: ("Repr-Digest", f"sha-256=:{digest('sha256', body)}:"),
    "RFC 3230": lambda body: (
        "Digest",
        f"md5={digest('md5', body)},SHA-512={digest('sha512', body)}",
    ),
    "RFC 1864": lambda body: ("Content-MD5", digest("md5", body)),
    "Google Cloud Storage": lambda body: (
        "x-goog-hash",
        f"crc32c={base64.b64encode(google_crc32c.Checksum(body).digest()).decode()}",
    ),
}


@pytest.mark.parametrize("kind", CHECKSUMS)
def test_what_arrives_is_compared_with_the_checksum_that_the_server_gives(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes, kind: str
) -> None:
    name, value = CHECKSUMS[kind](green_parquet)
    publisher.publish(NAME, green_parquet, headers={name: value})
    before = fetch(publisher, landing)
    # Changed on its way: as long, and a whole Parquet file to look at.
    damaged = bytearray(green_parquet)
    damaged[len(damaged) // 2] ^= 1
    publisher.publish(NAME, bytes(damaged), headers={name: value}, etag='"v2"')
    with pytest.raises(TransientStoreError, match=r"green\|2024-01: .*than the server announced"):
        fetch(publisher, landing)
    assert landing.find_raw(GREEN) == before
    publisher.publish(NAME, green_parquet, headers={name: value}, etag='"v2"')
    assert fetch(publisher, landing) == before
    assert "Range" not in publisher.asked[-1]


def test_a_checksum_of_what_is_stored_packed_is_not_that_of_what_is_sent(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    packed = {"x-goog-stored-content-encoding": "gzip", "x-goog-hash": "md5=AAAA"}
    publisher.publish(NAME, green_parquet, headers=packed)
    assert fetch(publisher, landing).path.read_bytes() == green_parquet


def test_nothing_is_joined_without_a_strong_version(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    publisher.publish(NAME, green_parquet, etag='W/"weak"', cut_after=10_000)
    with pytest.raises(TransientStoreError):
        fetch(publisher, landing)
    fetch(publisher, landing)
    assert "Range" not in publisher.asked[1]


@pytest.mark.parametrize("status", [404, 410])
def test_a_month_that_is_not_published_fails_for_good_and_says_so(
    publisher: Publisher, landing: LandingZone, status: int
) -> None:
    publisher.publish(NAME, b"no", status=status)
    with pytest.raises(PermanentStoreError, match=rf"green\|2024-01: not published.*{status}"):
        fetch(publisher, landing)


@pytest.mark.parametrize("status", [401, 403])
def test_a_source_of_ones_own_that_refuses_access_is_not_taken_for_a_month_not_published(
    publisher: Publisher, landing: LandingZone, status: int
) -> None:
    publisher.publish(NAME, b"no", status=status)
    said = rf"green\|2024-01: access refused: .*{status}.*user and password.*TAXI_SOURCE_URL"
    with pytest.raises(PermanentStoreError, match=said):
        fetch(publisher, landing)
    with pytest.raises(PermanentStoreError, match=said):
        source_of(SourceTemplate(publisher.template)).published(GREEN)


@pytest.mark.parametrize("status", [403, 404, 405, 501])
def test_a_server_that_refuses_to_say_the_headers_alone_is_asked_for_one_byte(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes, status: int
) -> None:
    publisher.head_status = status
    publisher.publish(NAME, green_parquet, etag='"v7"')
    assert source_of(SourceTemplate(publisher.template)).published(GREEN) == '"v7"'
    assert [headers["Range"] for headers in publisher.asked] == ["bytes=0-0"]
    del publisher.files[f"/{NAME}"]
    assert source_of(SourceTemplate(publisher.template)).published(GREEN) is None


@pytest.mark.parametrize("status", [203, 304, 408, 418, 425, 429, 500, 502, 503, 520])
def test_an_overloaded_server_is_worth_another_try(
    publisher: Publisher, landing: LandingZone, status: int
) -> None:
    publisher.publish(NAME, b"later", status=status)
    with pytest.raises(TransientStoreError, match=str(status)):
        fetch(publisher, landing)


@pytest.mark.parametrize("status", [400, 405, 414, 451])
def test_what_the_server_will_never_answer_is_not_worth_another_try(
    publisher: Publisher, landing: LandingZone, status: int
) -> None:
    publisher.publish(NAME, b"no", status=status)
    with pytest.raises(PermanentStoreError, match=rf"answered {status}.*check TAXI_SOURCE_URL"):
        fetch(publisher, landing)


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [
        ("7", 7, 7),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("in an hour", 3_000, 3_600),
        ("soon", None, None),
        ("-3", None, None),
        ("", None, None),
    ],
)
def test_a_server_that_says_when_to_come_back_is_taken_at_its_word(
    publisher: Publisher, landing: LandingZone, given: str, least: float | None, most: float | None
) -> None:
    if given == "in an hour":
        given = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    publisher.publish(NAME, b"later", status=429, headers={"Retry-After": given})
    for attempt in (
        lambda: fetch(publisher, landing),
        lambda: source_of(SourceTemplate(publisher.template)).published(GREEN),
    ):
        with pytest.raises(TransientStoreError) as busy:
            attempt()
        wait = busy.value.retry_after
        assert wait is None if least is None or most is None else least <= (wait or 0) <= most


@pytest.mark.parametrize("etag", [None, '"v1"'])
def test_an_empty_file_is_worth_another_try_and_replaces_nothing(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes, etag: str | None
) -> None:
    publisher.publish(NAME, green_parquet)
    before = fetch(publisher, landing)
    publisher.publish(NAME, b"", etag=etag)
    with pytest.raises(TransientStoreError, match=r"green\|2024-01: .* is empty: try again later"):
        fetch(publisher, landing)
    assert landing.find_raw(GREEN) == before


def test_a_redirect_is_followed_and_a_loop_of_them_is_not(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    publisher.publish("elsewhere", green_parquet)
    publisher.publish(NAME, location=f"{publisher.url}/elsewhere")
    assert fetch(publisher, landing).size == len(green_parquet)
    publisher.publish(NAME, location="ftp://127.0.0.1/file")
    with pytest.raises(PermanentStoreError, match=r"green\|2024-01.*ftp.*check TAXI_SOURCE_URL"):
        fetch(publisher, landing)
    publisher.publish(NAME, location=f"{publisher.url}/{NAME}")
    with pytest.raises(PermanentStoreError, match=r"green\|2024-01.*redirects"):
        fetch(publisher, landing)


def test_an_unreachable_source_is_worth_another_try(landing: LandingZone) -> None:
    source = source_of(SourceTemplate("http://127.0.0.1:9/{color}_tripdata_{month}.parquet"))
    with pytest.raises(TransientStoreError, match=r"green\|2024-01: http://127\.0\.0\.1:9"):
        land(source, GREEN, landing)


BAD_FILES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "an HTML page": (lambda _: b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML page"),
    "a truncated Parquet": (lambda good: good[:-1000], "truncated Parquet"),
    "a truncated gzip": (lambda _: gzip.compress(bytes(range(256)) * 999)[:-99], "truncated gzip"),
    "another table": (
        lambda _: b"LocationID,Borough,Zone\n1,EWR,Newark\n",
        "not a green trip file",
    ),
    "the other color": (lambda _: b"VendorID,tpep_pickup_datetime\n", "yellow trip file"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_what_is_no_whole_trip_file_never_replaces_one(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes, kind: str
) -> None:
    spoil, said = BAD_FILES[kind]
    publisher.publish(NAME, green_parquet)
    fetch(publisher, landing)
    publisher.publish(NAME, spoil(green_parquet))
    with pytest.raises(PermanentStoreError) as failure:
        fetch(publisher, landing)
    assert said in str(failure.value)
    assert str(failure.value).startswith(f"green|2024-01: {publisher.url}/{NAME}: ")
    assert landing.find_raw(GREEN).path.read_bytes() == green_parquet
    assert leftovers(landing) == []


def test_a_truncated_csv_gz_of_trips_is_refused(
    publisher: Publisher, landing: LandingZone, yellow_csv_gz: bytes
) -> None:
    publisher.publish("yellow_tripdata_2021-01.parquet", yellow_csv_gz[:-20])
    with pytest.raises(PermanentStoreError, match="truncated gzip"):
        fetch(publisher, landing, YELLOW_CSV)


def test_a_month_published_in_another_format_leaves_one_file(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    publisher.publish(NAME, green_parquet)
    fetch(publisher, landing)
    csv = b"VendorID,lpep_pickup_datetime\n"
    publisher.publish(NAME.replace("parquet", "csv"), csv)
    with pytest.raises(PermanentStoreError):
        land(
            source_of(SourceTemplate(publisher.template.replace("parquet", "csv"))), GREEN, landing
        )
    assert landing.find_raw(GREEN).path.suffix == ".parquet"


def test_files_of_a_folder_are_a_source(landing: LandingZone, green_parquet: bytes) -> None:
    folder = landing.root.parent / "a folder"
    folder.mkdir()
    (folder / NAME).write_bytes(green_parquet)
    source = source_of(
        SourceTemplate(f"file://{folder.as_posix()}/{{color}}_tripdata_{{month}}.parquet")
    )
    assert land(source, GREEN, landing)[0].path.read_bytes() == green_parquet
    with pytest.raises(PermanentStoreError, match=r"green\|2023-05: not published"):
        land(source, TripMonth.from_key("green|2023-05"), landing)


def test_the_same_synthetic_month_lands_the_same(landing: LandingZone) -> None:
    first = land(source_of(SourceTemplate("synthetic")), GREEN, landing)[0]
    assert land(source_of(SourceTemplate("synthetic")), GREEN, landing)[0] == first


def test_the_version_of_a_published_month_is_that_of_its_download(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    source = source_of(SourceTemplate(publisher.template))
    assert source.published(GREEN) is None
    publisher.publish(f"{GREEN.stem}.parquet", green_parquet, etag='"v7"')
    assert source.published(GREEN) == '"v7"'
    assert publisher.looks == 2
    # Of a file that is there no byte is downloaded, and one byte to be sure that it is not.
    assert [headers["Range"] for headers in publisher.asked] == ["bytes=0-0"]
    _, published = land(source, GREEN, landing)
    assert published.version == '"v7"'


def test_a_source_that_is_down_is_told_from_a_month_that_is_not_published(
    publisher: Publisher,
) -> None:
    publisher.down = True
    with pytest.raises(TransientStoreError, match="503"):
        source_of(SourceTemplate(publisher.template)).published(GREEN)
    nobody = source_of(SourceTemplate("http://127.0.0.1:9/{color}_tripdata_{month}.parquet"))
    with pytest.raises(TransientStoreError, match="cannot be reached"):
        nobody.published(GREEN)
    publisher.down = False
    publisher.publish(f"{GREEN.stem}.parquet", status=400)
    with pytest.raises(PermanentStoreError, match="400"):
        source_of(SourceTemplate(publisher.template)).published(GREEN)


def test_a_file_in_a_folder_has_a_version_too(
    tmp_path: Path, landing: LandingZone, green_parquet: bytes
) -> None:
    source = source_of(SourceTemplate(f"file://{tmp_path}/{{color}}_tripdata_{{month}}.parquet"))
    assert source.published(GREEN) is None
    file = tmp_path / f"{GREEN.stem}.parquet"
    file.write_bytes(green_parquet)
    before = source.published(GREEN)
    _, published = land(source, GREEN, landing)
    assert published.version == before
    os.utime(file, ns=(1, 1))
    assert source.published(GREEN) not in (None, before)
