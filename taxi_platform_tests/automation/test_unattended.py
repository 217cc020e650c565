"""The unattended platform: real daemon, code server and web server, real receivers of alerts.

The tests share one platform and go on from one another's end, each with months of its own: to start
Dagster's processes takes longer than any of them.
"""

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from dagster import DagsterEventType, DagsterRunStatus
from psycopg import sql

from taxi_platform.assets.keys import ZONES
from taxi_platform.automation.executor import CAUSE_TAG
from taxi_platform.automation.months import newest_months
from taxi_platform.io_managers.failures import next_step
from taxi_platform.landing.zone import LandingZone
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform.trips.zones import synthetic_zones
from taxi_platform_tests.automation.receivers import (
    Mailbox,
    Webhook,
    running_mailbox,
    running_webhook,
)
from taxi_platform_tests.automation.unattended import (
    UnattendedPlatform,
    WebServer,
    unattended_platform,
    wait_until,
)
from taxi_platform_tests.conftest import EmbeddedStack, free_port
from taxi_platform_tests.months import cleaned_month
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

pytestmark = [pytest.mark.daemon, pytest.mark.integration, pytest.mark.timeout(900)]

WEBHOOK_SECRET = "T0K3N-of-the-webhook"
SMTP_PASSWORD = "p4ssword-of-the-mail-server"

WINDOW = 6
NEWEST = newest_months(load_settings().model_copy(update={"lookback_months": WINDOW}))
GREEN = [month for month in NEWEST if month.color == "green"]
YELLOW = [month for month in NEWEST if month.color == "yellow"]
OLD = TripMonth.from_key("green|2023-04")


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    with running_publisher() as running:
        yield running


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with running_webhook(WEBHOOK_SECRET) as running:
        yield running


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with running_mailbox("taxi", SMTP_PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def platform(
    stack: EmbeddedStack, publisher: Publisher, webhook: Webhook, mailbox: Mailbox
) -> Iterator[UnattendedPlatform]:
    days_late = (datetime.now(UTC).date() - GREEN[-1].following).days
    settings = {
        "TAXI_SOURCE_URL": publisher.template,
        "TAXI_RETRIES": "1",
        "TAXI_LOOKBACK_MONTHS": str(WINDOW),
        # The real times are months, hours and minutes.
        "TAXI_SCHEDULE_CRON": "* * * * *",
        "TAXI_PUBLISHED_SECONDS": "1",
        "TAXI_GCS_SECONDS": "1",
        "TAXI_ALERT_SECONDS": "1",
        "TAXI_REQUEST_AGAIN_SECONDS": "5",
        # The oldest month of the window is overdue, and no other.
        "TAXI_OVERDUE_DAYS": str(days_late - 1),
        "TAXI_UI_URL": f"http://127.0.0.1:{free_port()}",
        "TAXI_ALERT_WEBHOOK_URL": webhook.url,
        "TAXI_ALERT_EMAIL_TO": "people@example.com",
        "TAXI_SMTP_PORT": str(mailbox.port),
        "TAXI_SMTP_SECURITY": "none",
        "TAXI_SMTP_USER": "taxi",
        "TAXI_SMTP_PASSWORD": SMTP_PASSWORD,
    }
    with unattended_platform(stack, "unattended", **settings) as running:
        running.start_daemon()
        yield running


@pytest.fixture(scope="module")
def web(platform: UnattendedPlatform, publisher: Publisher) -> Iterator[WebServer]:
    server = WebServer(platform, platform.environment["TAXI_UI_URL"])
    publish(publisher, GREEN[0])
    # Its minute passes while the tests before its own are at work.
    server.start_schedule("monthly")
    yield server
    server.close()


def publish(
    publisher: Publisher,
    month: TripMonth,
    *,
    rows: int = 1_500,
    etag: str = '"v1"',
    days: int = 31,
    failures: int = 0,
) -> None:
    """Publishes a synthetic month; with fewer days, one that was cut off."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "month.parquet")
        write_synthetic_month(month, path, rows)
        trips = pq.read_table(path)
    if days < 31:
        # Twice as many of half of the days: the number of rows must not give it away.
        day = pc.day(trips[f"{'l' if month.color == 'green' else 't'}pep_pickup_datetime"])
        trips = trips.filter(pc.less_equal(day, days))
        trips = pa.concat_tables([trips, trips])
    file = io.BytesIO()
    pq.write_table(trips, file)
    publisher.publish(f"{month.stem}.parquet", file.getvalue(), etag=etag, failures=failures)


def wait_until_loaded(platform: UnattendedPlatform, month: TripMonth, runs: int) -> None:
    """Waits until so many runs of a month have ended, the last of them well."""
    platform.wait_for_ends(runs, dagster__partition=month.key)
    found = platform.runs_of(month)
    assert len(found) == runs, [(run.tags, run.status) for run in found]
    assert found[0].status is DagsterRunStatus.SUCCESS
    assert platform.is_loaded_whole(month)


def wait_until_reported(headline: str, *places: Webhook | Mailbox) -> None:
    wait_until(lambda: all(headline in place.text() for place in places))


def test_an_object_that_somebody_puts_into_gcs_is_loaded_into_bigquery_once(
    platform: UnattendedPlatform, web: WebServer, tmp_path: Path
) -> None:
    web.start_sensor("gcs_objects_to_bigquery")
    for number, rows in enumerate((1_200, 1_300), start=1):
        trips = cleaned_month(LandingZone(tmp_path / str(rows)), OLD, rows)
        platform.put_into_gcs(OLD, trips.path)
        platform.wait_for_ends(number, dagster__partition=OLD.key)
        assert platform.rows()[OLD.month] == (0, trips.rows)
    web.wait_for_ticks("gcs_objects_to_bigquery", 2)
    runs = platform.runs_of(OLD)
    assert [run.job_name for run in runs] == ["gcs_to_bigquery"] * 2
    assert all(run.status is DagsterRunStatus.SUCCESS for run in runs)


def test_a_run_waits_in_the_queue_while_its_pool_is_full(
    platform: UnattendedPlatform, web: WebServer, tmp_path: Path
) -> None:
    storage = platform.instance.event_log_storage
    storage.set_concurrency_slots("bigquery", 0)
    trips = cleaned_month(LandingZone(tmp_path), OLD, 1_400)
    platform.put_into_gcs(OLD, trips.path)
    (run, *_) = wait_until(lambda: found if len(found := platform.runs_of(OLD)) == 3 else None, 240)
    web.wait_for_ticks("gcs_objects_to_bigquery", 2)
    waiting = platform.instance.get_run_by_id(run.run_id)
    assert waiting
    assert waiting.status is DagsterRunStatus.QUEUED
    storage.set_concurrency_slots("bigquery", 2)
    platform.wait_for_ends(3, dagster__partition=OLD.key)
    assert platform.rows()[OLD.month] == (0, trips.rows)


def test_the_schedule_loads_what_is_published_and_missing_and_nothing_else(
    platform: UnattendedPlatform, web: WebServer
) -> None:
    wait_until_loaded(platform, GREEN[0], runs=1)
    web.stop_schedule("monthly")
    runs = platform.runs(taxi__reason="monthly")
    assert [run.tags["dagster/partition"] for run in runs] == [GREEN[0].key]
    # What the platform has loaded itself is not loaded again from GCS.
    web.wait_for_ticks("gcs_objects_to_bigquery", 2)
    assert len(platform.runs(taxi__reason="object in GCS")) == 3


def test_a_month_that_is_published_is_loaded_and_one_published_again_is_loaded_again(
    platform: UnattendedPlatform, web: WebServer, publisher: Publisher
) -> None:
    web.start_sensor("published_months")
    web.wait_for_ticks("published_months", 1)
    month = GREEN[1]
    publish(publisher, month, rows=1_000)
    wait_until_loaded(platform, month, runs=1)
    first = platform.kept_rows(month)

    publish(publisher, month, rows=1_050, etag='"v2"')
    wait_until_loaded(platform, month, runs=2)
    assert platform.kept_rows(month) != first

    before = len(platform.runs())
    publish(publisher, month, rows=1_050, etag='"v2"')
    web.wait_for_ticks("published_months", 2)
    assert len(platform.runs()) == before
    assert len(platform.runs_of(GREEN[0])) == 1


def test_a_source_that_is_down_loses_no_month_and_causes_no_flood_of_runs(
    platform: UnattendedPlatform, web: WebServer, publisher: Publisher
) -> None:
    before = len(platform.runs())
    publisher.down = True
    publish(publisher, GREEN[2])
    # It answers questions, but breaks off for longer than a step tries.
    publish(publisher, GREEN[3], failures=3)
    ticks = web.wait_for_ticks("published_months", 2)
    assert all("did not answer" in tick["skipReason"] for tick in ticks)
    assert len(platform.runs()) == before

    publisher.down = False
    wait_until_loaded(platform, GREEN[2], runs=1)
    wait_until_loaded(platform, GREEN[3], runs=2)
    assert len(platform.runs()) == before + 3


def test_a_permanent_fault_fails_alone_is_reported_once_and_repaired_by_the_command_in_the_alert(
    platform: UnattendedPlatform,
    web: WebServer,
    publisher: Publisher,
    webhook: Webhook,
    mailbox: Mailbox,
) -> None:
    damaged, cut_off, good = YELLOW[0], YELLOW[1], GREEN[-1]
    wait_until(lambda: webhook.text().count("not loaded") == 2)  # green and yellow of the oldest
    webhook.refusals = 3
    publisher.publish(f"{damaged.stem}.parquet", b"<html>no trips here</html>")
    publish(publisher, cut_off, days=14)
    publish(publisher, good)
    wait_until_loaded(platform, good, runs=1)
    for month in (damaged, cut_off):
        platform.wait_for_ends(1, dagster__partition=month.key)
    for headline in (
        f"{good.key}: was overdue, and is loaded now",
        f"{damaged.key}: raw_trips failed",
        f"{cut_off.key}: the check days_present",
    ):
        wait_until_reported(headline, webhook, mailbox)
    assert webhook.refused == 3

    web.wait_for_ticks("published_months", 2)
    web.wait_for_ticks("alerts_by_webhook", 2)
    assert [len(platform.runs_of(month)) for month in (damaged, cut_off)] == [1, 1]
    for month, said in ((damaged, "raw_trips failed: "), (cut_off, "the check days_present ")):
        (run,) = platform.runs_of(month)
        assert run.tags[CAUSE_TAG].startswith(f"{month.key}: {said}")
        log = platform.instance.all_logs(run.run_id)
        ends = [entry.dagster_event_type is DagsterEventType.RUN_FAILURE for entry in log]
        last = log[ends.index(True) - 1]
        assert last.user_message.startswith(f"{month.key}: {said}")
        assert last.user_message.endswith(next_step(month))
    for sent in (webhook.text(), mailbox.text()):
        assert sent.count(f"{damaged.key}: raw_trips failed") == 1
        assert sent.count(f"{cut_off.key}: the check") == 1
        assert platform.environment["TAXI_UI_URL"] + "/runs/" in sent
    rows = platform.rows("yellow")
    assert damaged.month not in rows
    assert cut_off.month not in rows

    publish(publisher, damaged)  # with the version that it had
    command = re.search(rf"taxi-platform (backfill .* {damaged.year_month})", webhook.text())
    assert command
    repaired = platform.command(*command[1].split())
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    wait_until_loaded(platform, damaged, runs=2)
    wait_until_reported(f"{damaged.key}: raw_trips succeeded", webhook, mailbox)
    assert f"{GREEN[3].key}: raw_trips succeeded" in webhook.text()


def test_secrets_are_in_no_log_no_event_and_no_page(
    platform: UnattendedPlatform, web: WebServer
) -> None:
    secrets = [WEBHOOK_SECRET, SMTP_PASSWORD, platform.environment["TAXI_POSTGRES_PASSWORD"]]
    texts: dict[str, str] = {
        str(path): path.read_text(errors="replace")
        for path in platform.folder.rglob("*")
        if path.is_file() and path.suffix not in (".parquet", ".lock")
    }
    texts |= everything_in_the_database(platform)
    texts |= {query: json.dumps(web.ask(query)) for query in PAGES}
    assert len(texts) > 20
    assert any("published_months" in text for text in texts.values())
    found = [
        (where, secret) for where, text in texts.items() for secret in secrets if secret in text
    ]
    assert not found


PAGES = [
    "{ instance { info runQueueConfig { maxConcurrentRuns } daemonHealth { id } } }",
    """{ runsOrError { ... on Runs { results { runId runConfigYaml tags { key value }
      eventConnection { events { ... on MessageEvent { message }
        ... on ExecutionStepFailureEvent { error { message stack causes { message stack } } }
        ... on MaterializationEvent { metadataEntries { label description
          ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr }
          ... on JsonMetadataEntry { jsonString } } } } } } } } }""",
    """{ repositoriesOrError { ... on RepositoryConnection { nodes { allTopLevelResourceDetails {
      name description configuredValues { key value } } sensors { name description
      sensorState { ticks { status skipReason error { message stack } } } } } } } }""",
]


def everything_in_the_database(platform: UnattendedPlatform) -> dict[str, str]:
    """Each of Dagster's tables, as text."""
    server = platform.stack.postgres()
    name = platform.environment["TAXI_DAGSTER_POSTGRES_DATABASE"]
    with psycopg.connect(server.conninfo, dbname=name) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        return {
            table: str(
                connection.execute(
                    sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
                ).fetchall()
            )
            for (table,) in tables
        }


def test_the_zones_are_loaded_by_themselves_and_not_again(
    platform: UnattendedPlatform, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("taxi_zone_lookup.csv", synthetic_zones())
    web.start_sensor("automation_conditions")
    event = wait_until(lambda: platform.instance.get_latest_materialization_event(ZONES), 240)
    loaded = event.asset_materialization
    assert loaded is not None
    assert loaded.metadata["dagster/row_count"].value == 265
    assert (
        loaded.metadata["source"].value
        == f"{publisher.template.rpartition('/')[0]}/taxi_zone_lookup.csv"
    )
    web.wait_for_ticks("automation_conditions", 1)
    requested = platform.runs(dagster__from_automation_condition="true")
    assert sum(ZONES in (run.asset_selection or ()) for run in requested) == 1


def test_a_month_that_is_loaded_again_replaces_its_marts_by_itself(
    platform: UnattendedPlatform, web: WebServer, tmp_path: Path
) -> None:
    # It was loaded into BigQuery alone, by a job without marts, while the sensor was off.
    loaded = platform.rows()[OLD.month][1]
    wait_until(lambda: platform.trips_in_mart("congestion_days", OLD) == loaded, 240)
    trips = cleaned_month(LandingZone(tmp_path), OLD, 1_600)
    platform.put_into_gcs(OLD, trips.path)
    wait_until(lambda: platform.trips_in_mart("congestion_days", OLD) == trips.rows, 240)

    # The job of a month makes its marts, and nothing requests them once more.
    for month in GREEN[:2]:
        assert platform.trips_in_mart("congestion_days", month) == platform.kept_rows(month)
    web.wait_for_ticks("automation_conditions", 2)
    requested = platform.runs(dagster__from_automation_condition="true")
    followed = [run.tags.get("dagster/partition") for run in requested]
    assert sorted(filter(None, followed)) == [OLD.key] * 2
