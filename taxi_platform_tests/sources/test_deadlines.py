"""Servers that send something now and then, and so exceed no timeout of a socket."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from taxi_platform.deadlines import DeadlineError, deadline
from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.landing.download import land
from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.download_limits import DownloadLimits
from taxi_platform.sources.publications import TripSource
from taxi_platform.sources.source import source_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.sources.zones import fetch_zones
from taxi_platform_tests.months import GREEN
from taxi_platform_tests.sources.dripping import dripping_server
from taxi_platform_tests.sources.publisher import Publisher

NAME = f"{GREEN.stem}.parquet"
PATIENCE = 60
"""Seconds by which all must have ended on a busy machine; without a deadline it would never end."""

HEADERS = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\n'


@contextmanager
def in_time() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < PATIENCE


def source_at(port: int, **limits: float) -> TripSource:
    template = SourceTemplate(f"http://127.0.0.1:{port}/{{color}}_tripdata_{{month}}.parquet")
    return source_of(template, 1.0, DownloadLimits(**limits))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("drop", [b"X-More: 1\r\n", b"x"], ids=["lines", "one line"])
def test_headers_without_end(landing: LandingZone, drop: bytes) -> None:
    with dripping_server(HEADERS, drop) as port, in_time():
        source = source_at(port)
        with pytest.raises(TransientStoreError, match=r"longer than 1 s; is the network up"):
            source.published(GREEN)
        with pytest.raises(TransientStoreError, match="longer than 1 s; the received part"):
            land(source, GREEN, landing)
        template = SourceTemplate(f"http://127.0.0.1:{port}/{{color}}_{{month}}.csv")
        with pytest.raises(TransientStoreError, match=r"taxi_zones: .*longer than 1 s; try again"):
            fetch_zones(template, 1.0)


BODIES = {
    "of a known length": (HEADERS + b"Content-Length: 9999999\r\n\r\n", b"x"),
    "of an unknown length": (HEADERS + b"\r\n", b"x"),
    "in chunks": (HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "with a chunk whose header has no end": (
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\n1;a=",
        b"a",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_too_slow(landing: LandingZone, kind: str) -> None:
    with dripping_server(*BODIES[kind]) as port, in_time():
        source = source_at(port, least_bytes=10_000, least_seconds=0.5)
        with pytest.raises(TransientStoreError, match=r"fewer than 10,000 bytes .*resumes it"):
            land(source, GREEN, landing)


@pytest.mark.slow
def test_a_body_that_takes_too_long_in_all(landing: LandingZone) -> None:
    start, _ = BODIES["of an unknown length"]
    with dripping_server(start, b"x" * 5_000) as port, in_time():
        source = source_at(port, least_bytes=1, least_seconds=1, seconds=1.5)
        with pytest.raises(TransientStoreError, match=r"1\.5 s \(TAXI_DOWNLOAD_SECONDS\)"):
            land(source, GREEN, landing)


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_too_large(landing: LandingZone, kind: str) -> None:
    start, _ = BODIES[kind]
    drop = b"1388\r\n" + b"x" * 5_000 + b"\r\n" if b"chunked" in start else b"x" * 5_000
    if start.endswith(b"1;a="):
        start = start.removesuffix(b"1;a=")
    said = r"larger than 20,000 bytes.*DOWNLOAD_BYTES"
    with (
        dripping_server(start, drop) as port,
        in_time(),
        pytest.raises(PermanentStoreError, match=said),
    ):
        land(source_at(port, size=20_000), GREEN, landing)
    assert not [path for path in landing.root.rglob("*") if path.is_file()]


def test_a_download_as_slow_as_allowed_is_not_broken_off(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    publisher.publish(NAME, green_parquet)
    limits = DownloadLimits(seconds=PATIENCE, least_bytes=len(green_parquet) * 2)
    raw, _ = land(source_of(SourceTemplate(publisher.template), 5.0, limits), GREEN, landing)
    assert raw.size == len(green_parquet)


@pytest.mark.slow
def test_a_passed_deadline_is_told_also_if_nobody_noticed() -> None:
    closed: list[float] = []
    with (
        pytest.raises(DeadlineError, match="too late"),
        deadline(0.05, "too late", lambda: closed.append(time.monotonic())),
    ):
        time.sleep(1)
    assert len(closed) >= 2  # also what was opened since


@pytest.mark.slow
def test_a_renewed_deadline_does_not_pass_and_other_errors_stay_as_they_are() -> None:
    def never() -> None:
        raise AssertionError

    with deadline(0.2, "too late", never) as watched:
        watched.renew(PATIENCE, "later")
        time.sleep(0.5)
    with pytest.raises(KeyError), deadline(PATIENCE, "too late", never):
        raise KeyError
