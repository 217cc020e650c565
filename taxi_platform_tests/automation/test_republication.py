"""Months that are published again, badly: under the real daemon the good month stays.

One platform for all of them, a month each; they are published well, then badly, all at once.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from dagster import DagsterRunStatus

from taxi_platform.automation.months import month_keys
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.automation.receivers import Webhook, running_webhook
from taxi_platform_tests.automation.unattended import (
    UnattendedPlatform,
    WebServer,
    unattended_platform,
    wait_until,
)
from taxi_platform_tests.conftest import EmbeddedStack, free_port
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

pytestmark = [pytest.mark.daemon, pytest.mark.integration, pytest.mark.timeout(900)]

ROWS = 4_000


def _days_but_the_tenth(trips: pa.Table) -> pa.Table:
    return trips.filter(pc.not_equal(pc.day(trips["lpep_pickup_datetime"]), 10))


BAD: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "smaller": (lambda trips: trips.slice(0, 60), "rows instead of"),
    "larger": (lambda trips: pa.concat_tables([trips, trips.slice(0, 1_000)]), "rows instead of"),
    "doubled": (lambda trips: pa.concat_tables([trips, trips]), "+100."),
    "one day missing": (_days_but_the_tenth, "1 days lost more than 50% of their rows"),
    "header alone": (lambda trips: trips.slice(0, 0), "has a header but no rows"),
    "empty": (lambda trips: trips.slice(0, 0), "is empty"),
}

MONTHS = {
    how: TripMonth.from_key(f"green|{month}")
    for how, month in zip(BAD, month_keys(load_settings())[-len(BAD) :], strict=True)
}


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    with running_publisher() as running:
        yield running


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with running_webhook("secret") as running:
        yield running


@pytest.fixture(scope="module")
def platform(
    stack: EmbeddedStack, publisher: Publisher, webhook: Webhook
) -> Iterator[UnattendedPlatform]:
    settings = {
        "TAXI_SOURCE_URL": publisher.template,
        "TAXI_COLORS": "green",
        "TAXI_RETRIES": "1",
        "TAXI_LOOKBACK_MONTHS": str(len(BAD)),
        "TAXI_PUBLISHED_SECONDS": "1",
        "TAXI_ALERT_SECONDS": "1",
        "TAXI_REQUEST_AGAIN_SECONDS": "600",
        "TAXI_OVERDUE_DAYS": "10000",
        "TAXI_UI_URL": f"http://127.0.0.1:{free_port()}",
        "TAXI_ALERT_WEBHOOK_URL": webhook.url,
    }
    with unattended_platform(stack, "republication", **settings) as running:
        running.start_daemon()
        yield running


def months_published(month: TripMonth) -> pa.Table:
    with TemporaryDirectory() as folder:
        path = Path(folder, "month.parquet")
        write_synthetic_month(month, path, ROWS)
        return pq.read_table(path)


def body(trips: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(trips, file)
    return file.getvalue()


@pytest.fixture(scope="module")
def good(platform: UnattendedPlatform, publisher: Publisher) -> dict[str, tuple[int, int]]:
    """Every month is loaded well; the rows that both tables hold of each."""
    web = WebServer(platform, platform.environment["TAXI_UI_URL"])
    for month in MONTHS.values():
        publisher.publish(f"{month.stem}.parquet", body(months_published(month)), etag='"good"')
    web.start_sensor("published_months")
    web.close()
    for month in MONTHS.values():
        platform.wait_for_ends(1, dagster__partition=month.key)
        assert platform.is_loaded_whole(month)
    return {how: platform.rows()[month.month] for how, month in MONTHS.items()}


@pytest.fixture(scope="module")
def republished(
    platform: UnattendedPlatform, publisher: Publisher, good: dict[str, tuple[int, int]]
) -> None:
    for how, month in MONTHS.items():
        bad, _ = BAD[how]
        content = b"" if how == "empty" else body(bad(months_published(month)))
        publisher.publish(f"{month.stem}.parquet", content, etag='"bad"')
    for month in MONTHS.values():
        platform.wait_for_ends(2, dagster__partition=month.key)


@pytest.mark.parametrize("how", BAD)
def test_the_good_month_stays(
    platform: UnattendedPlatform, good: dict[str, tuple[int, int]], republished: None, how: str
) -> None:
    month = MONTHS[how]
    assert platform.runs_of(month)[0].status is DagsterRunStatus.FAILURE
    assert platform.rows()[month.month] == good[how]
    assert platform.is_loaded_whole(month)


@pytest.mark.parametrize("how", BAD)
def test_one_alert_says_what_is_wrong_with_both_figures(
    republished: None, webhook: Webhook, how: str
) -> None:
    month, said = MONTHS[how], BAD[how][1]
    wait_until(lambda: f"{month.key}: " in webhook.text())
    alerts = [
        block["text"]["text"]
        for payload in webhook.payloads
        for block in payload["blocks"]
        if month.key in block["text"]["text"]
    ]
    assert len(alerts) == 1, alerts
    assert said in alerts[0]
    assert len(alerts[0]) < 2_900


def test_one_command_accepts_the_new_version(
    platform: UnattendedPlatform,
    republished: None,
    good: dict[str, tuple[int, int]],
    webhook: Webhook,
) -> None:
    month = MONTHS["smaller"]
    when = month.year_month
    command = f"backfill --color green --from {when} --to {when} --accept-replacement"
    assert f"taxi-platform {command}" in webhook.text()
    run = platform.command(*command.split())
    assert run.returncode == 0, run.stdout + run.stderr
    assert platform.is_loaded_whole(month)
    assert 0 < platform.rows()[month.month][0] <= 60
    wait_until(lambda: f"{month.key}: cleaned_trips_checks succeeded" in webhook.text())
