"""Publishers on bad days: what lands is what was published, byte for byte, or nothing does."""

import gzip
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from taxi_platform_tests.faults.http_fault_proxy import (
    Answer,
    Does,
    Exchange,
    Fault,
    HttpFaultProxy,
    answering,
    closing_mid_answer,
    hanging,
    http_fault_proxy,
    stalling_mid_answer,
)
from taxi_platform_tests.faults.month_runs import MonthRuns, failures, retried
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

pytestmark = [pytest.mark.faults, pytest.mark.slow]

MONTH = "yellow|2019-02"
NAME = "yellow_tripdata_2019-02.csv.gz"
_rows = count(5_000, 7)


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    with running_publisher() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(publisher: Publisher) -> Iterator[HttpFaultProxy]:
    with http_fault_proxy(publisher.url) as running:
        yield running


@pytest.fixture
def runs(tmp_path: Path, proxy: HttpFaultProxy, monkeypatch: pytest.MonkeyPatch) -> MonthRuns:
    made = MonthRuns(
        {"TAXI_ENV": "local", "TAXI_DATA_DIR": str(tmp_path / "data")},
        tmp_path / "published",
        monkeypatch,
    )
    made.environment["TAXI_SOURCE_URL"] = f"{proxy.url}/{{color}}_tripdata_{{month}}.csv.gz"
    return made


def publish(runs: MonthRuns, publisher: Publisher, tmp_path: Path, **how: object) -> bytes:
    """Publishes another version of the month."""
    runs.publish(MONTH, next(_rows))
    body = (tmp_path / "published" / NAME).read_bytes()
    publisher.publish(NAME, body, **how)
    return body


def landed(tmp_path: Path) -> dict[str, bytes]:
    """The landed file, and whatever else lies beside it but the note of its source."""
    folder = tmp_path / "data" / "raw" / "yellow"
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if not path.name.endswith(".source.json")
    }


def claiming(extra: int) -> Does:
    """The server says that its file is longer than it is, or shorter, and closes where it ends."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        length = len(answer.body) + extra
        exchange.send(answer.with_headers(Content_Length=str(length)), most=length)
        exchange.close()

    return fault


TRANSIENT: dict[str, Does] = {
    "429": answering(429),
    "500": answering(500),
    "503": answering(503),
    "no answer": hanging,
    "stalling in the middle": stalling_mid_answer,
    "closing in the middle": closing_mid_answer,
    "a length that is too long": claiming(1_000),
}


@pytest.mark.parametrize("kind", TRANSIENT)
def test_a_publisher_that_fails_for_a_while_delays_the_month_and_the_log_shows_the_attempts(
    runs: MonthRuns, proxy: HttpFaultProxy, publisher: Publisher, tmp_path: Path, kind: str
) -> None:
    body = publish(runs, publisher, tmp_path)
    with proxy.broken(Fault(TRANSIENT[kind])):
        result = runs.run(MONTH, "raw_trips", TAXI_REQUEST_SECONDS="3")
    assert result.success, failures(result)
    assert retried(result) == ["raw_trips"]
    assert landed(tmp_path) == {NAME: body}


@pytest.mark.parametrize("kind", TRANSIENT)
def test_a_publisher_that_fails_for_good_fails_the_month_clearly_and_keeps_the_old_file(
    runs: MonthRuns, proxy: HttpFaultProxy, publisher: Publisher, tmp_path: Path, kind: str
) -> None:
    old = publish(runs, publisher, tmp_path)
    assert runs.run(MONTH, "raw_trips").success
    new = publish(runs, publisher, tmp_path, etag='"v2"')
    with proxy.broken(Fault(TRANSIENT[kind], times=None)):
        result = runs.run(MONTH, "raw_trips", TAXI_REQUEST_SECONDS="3")
    assert retried(result) == ["raw_trips"]
    said = failures(result)["raw_trips"]
    assert said.startswith(f"{MONTH}: {proxy.url}/{NAME}"), said
    assert any(way_out in said for way_out in ("try again later", "attempt resumes it"))
    assert landed(tmp_path)[NAME] == old
    assert runs.run(MONTH, "raw_trips").success
    assert landed(tmp_path) == {NAME: new}


def redirecting_to_itself(exchange: Exchange) -> None:
    exchange.send(Answer(302, {"Location": exchange.path, "Content-Length": "0"}, b""))


PERMANENT: dict[str, tuple[Does, str]] = {
    "redirecting in a loop": (redirecting_to_itself, "check TAXI_SOURCE_URL"),
    "a length that is too short": (claiming(-1_000), "truncated gzip"),
}


@pytest.mark.parametrize("kind", PERMANENT)
def test_what_trying_again_cannot_mend_is_not_tried_again_and_keeps_the_old_file(
    runs: MonthRuns, proxy: HttpFaultProxy, publisher: Publisher, tmp_path: Path, kind: str
) -> None:
    does, way_out = PERMANENT[kind]
    old = publish(runs, publisher, tmp_path)
    assert runs.run(MONTH, "raw_trips").success
    publish(runs, publisher, tmp_path, etag='"v2"')
    with proxy.broken(Fault(does, times=None)):
        result = runs.run(MONTH, "raw_trips")
    assert retried(result) == []
    said = failures(result)["raw_trips"]
    assert said.startswith(f"{MONTH}: {proxy.url}/{NAME}"), said
    assert way_out in said
    assert landed(tmp_path) == {NAME: old}


Part = Callable[[bytes, int], Answer]
"""What a server answers that was asked for the rest of a file from a byte on."""


def partial_content(body: bytes, start: int, end: int, total: int, etag: str) -> Answer:
    headers = {"ETag": etag, "Content-Range": f"bytes {start}-{end - 1}/{total}"}
    return Answer(206, headers, b"").with_body(body[start:end])


RESTS: dict[str, Part] = {
    "the rest of another version": lambda body, start: partial_content(
        body.replace(b"N", b"Y"), start, len(body), len(body), '"v2"'
    ),
    "less than the rest": lambda body, start: partial_content(
        body, start, start + 5_000, len(body), '"v1"'
    ),
    "another part": lambda body, _: partial_content(body, 9, len(body), len(body), '"v1"'),
    "the whole file": lambda body, _: Answer(200, {"ETag": '"v1"'}, b"").with_body(body),
    "that there is no rest": lambda body, _: Answer(
        416, {"Content-Range": f"bytes */{len(body)}"}, b""
    ).with_body(b""),
}


@pytest.mark.parametrize("kind", RESTS)
def test_whatever_a_server_answers_to_a_range_the_file_is_of_one_version_and_whole(
    runs: MonthRuns, proxy: HttpFaultProxy, publisher: Publisher, tmp_path: Path, kind: str
) -> None:
    # As plain text, of which no checksum would say that it was pieced together.
    body = gzip.decompress(publish(runs, publisher, tmp_path))
    plain = NAME.removesuffix(".gz")
    publisher.publish(plain, body)

    def rest(exchange: Exchange) -> None:
        start = int(exchange.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        exchange.send(RESTS[kind](body, start))

    address = runs.environment["TAXI_SOURCE_URL"].removesuffix(".gz")
    runs.environment["TAXI_SOURCE_URL"] = address
    with proxy.broken(Fault(closing_mid_answer, times=2)):
        assert not runs.run(MONTH, "raw_trips").success
    second = Fault(rest)
    with proxy.broken(second):
        result = runs.run(MONTH, "raw_trips")
    assert len(second.spoiled) == 1
    assert result.success, failures(result)
    assert landed(tmp_path) == {plain: body}
