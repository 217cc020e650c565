"""GCS and BigQuery on bad days: a month arrives late or not at all, and never half or twice."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from taxi_platform.local.bigquery_server import EmbeddedBigQuery
from taxi_platform.local.server import start
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.faults.http_fault_proxy import (
    Answer,
    Does,
    Exchange,
    Fault,
    HttpFaultProxy,
    answering,
    changing_the_answer,
    closing_mid_answer,
    closing_mid_request,
    hanging,
    http_fault_proxy,
    losing_the_answer,
)
from taxi_platform_tests.faults.month_runs import (
    Contents,
    Holdings,
    MonthRuns,
    failures,
    metadata,
    retried,
)

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MONTH = "yellow|2019-02"
CLOUD = ("gcs_trips", "bigquery_trips")
OBJECT_CHECK = "gcs_trips_object_is_the_cleaned_file"
TABLE_CHECK = "bigquery_trips_table_holds_the_cleaned_month"

_rows = count(300, 7)


@dataclass(frozen=True)
class Cloud:
    """The servers of these tests, each behind a proxy.

    Attributes:
        gcs: between the platform and GCS.
        bigquery: between the platform and BigQuery.
        behind: between BigQuery and GCS.
        holds: past all of them.
    """

    gcs: HttpFaultProxy
    bigquery: HttpFaultProxy
    behind: HttpFaultProxy
    holds: Holdings


@pytest.fixture(scope="module")
def cloud(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    gcs_url = stack.environment["STORAGE_EMULATOR_HOST"]
    with http_fault_proxy(gcs_url) as gcs, http_fault_proxy(gcs_url) as behind:
        folder = tmp_path_factory.mktemp("emulator")
        emulator = EmbeddedBigQuery(folder / "bigquery", lambda: behind.url)
        running = start(
            emulator,
            log=folder / "bigquery.log",
            preferred_port=None,
            record=lambda _: None,
            report=lambda _: None,
        )
        url = emulator.address(running.port)
        try:
            with http_fault_proxy(url) as bigquery:
                holds = Holdings(gcs_url, "faults", url, "faults", "faults-project")
                with holds.gcs_client() as client:
                    client.create_bucket("faults")
                yield Cloud(gcs, bigquery, behind, holds)
        finally:
            emulator.stop(running.process)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("months")


@pytest.fixture
def runs(
    stack: EmbeddedStack, cloud: Cloud, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> MonthRuns:
    settings = {
        "STORAGE_EMULATOR_HOST": cloud.gcs.url,
        "BIGQUERY_EMULATOR_HOST": cloud.bigquery.url,
        "TAXI_GCP_PROJECT": cloud.holds.project,
        "TAXI_GCS_BUCKET": cloud.holds.bucket,
        "TAXI_BIGQUERY_DATASET": cloud.holds.dataset,
        "TAXI_DATA_DIR": str(folders / "data"),
    }
    return MonthRuns(stack.environment | settings, folders / "published", monkeypatch)


@pytest.fixture
def old(runs: MonthRuns, cloud: Cloud) -> Contents:
    """The month as BigQuery has it before the fault: what the test before this one left there."""
    with cloud.holds.bigquery_client() as client:
        if not list(client.list_datasets()):
            published = runs.clean(MONTH, next(_rows))
            assert runs.run(MONTH, *CLOUD).success
            assert cloud.holds.in_bigquery(MONTH) == published
    return cloud.holds.in_bigquery(MONTH)


@pytest.fixture
def new(old: Contents, runs: MonthRuns) -> Contents:
    """The month as it is published and cleaned now, and in no store yet."""
    published = runs.clean(MONTH, next(_rows))
    assert published != old
    return published


def load_jobs(cloud: Cloud) -> dict[str, str | None]:
    """The load jobs of the object as it is now, and what each failed of."""
    generation, _ = cloud.holds.in_gcs(MONTH)
    with cloud.holds.bigquery_client() as client:
        return {
            job.job_id: (job.error_result or {}).get("reason")
            for job in client.list_jobs()
            if f"_{generation}_" in job.job_id
        }


FAULTS: dict[str, Does] = {
    "429": answering(429),
    "500": answering(500),
    "503": answering(503),
    "no answer": hanging,
    "closing in the middle of its answer": closing_mid_answer,
    "closing in the middle of the request": closing_mid_request,
    "doing it and losing the answer": losing_the_answer,
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_server_that_fails_for_a_while_delays_the_month_and_the_log_shows_the_attempts(
    runs: MonthRuns, cloud: Cloud, new: Contents, kind: str
) -> None:
    fault = FAULTS[kind]
    upload = Fault(fault, "POST", "^/upload/")
    footer = Fault(fault, "GET", "alt=media")
    load = Fault(fault, "POST", "/jobs", b'"load"')
    totals = Fault(fault, "POST", "/jobs", b'"query"')
    with cloud.gcs.broken(upload, footer), cloud.bigquery.broken(load, totals):
        result = runs.run(MONTH, *CLOUD, TAXI_REQUEST_SECONDS=patience(kind))
    assert result.success, failures(result)
    assert [len(f.spoiled) for f in (upload, footer, load, totals)] == [1, 1, 1, 1]
    assert {"gcs_trips", OBJECT_CHECK, "bigquery_trips", TABLE_CHECK} == set(retried(result))
    assert cloud.holds.in_bigquery(MONTH) == new


def patience(kind: str) -> str:
    """Seconds that a request may take: few where all of them are waited for."""
    return "3" if kind == "no answer" else "60"


PERMANENT = (
    "429",
    "500",
    "503",
    "no answer",
    "closing in the middle of its answer",
)


@pytest.mark.parametrize("kind", PERMANENT)
@pytest.mark.parametrize("store", ["GCS", "BigQuery"])
def test_a_server_that_fails_for_good_fails_the_month_clearly_and_keeps_the_old_one(
    runs: MonthRuns, cloud: Cloud, old: Contents, new: Contents, store: str, kind: str
) -> None:
    in_gcs = cloud.holds.in_gcs(MONTH)
    broken, step, address = {
        "GCS": (cloud.gcs, "gcs_trips", "GCS, gs://faults/data/yellow/yellow_tripdata_2019-02"),
        "BigQuery": (
            cloud.bigquery,
            "bigquery_trips",
            "BigQuery, faults-project.faults.yellow_trips$201902",
        ),
    }[store]
    with broken.broken(Fault(FAULTS[kind], times=None)):
        result = runs.run(MONTH, *CLOUD, TAXI_REQUEST_SECONDS=patience(kind))
    assert step in retried(result)
    said = failures(result)[step]
    assert said.startswith(f"{MONTH}: {address}"), said
    assert "taxi-platform local up" in said
    assert cloud.holds.in_bigquery(MONTH) == old
    if store == "GCS":
        assert cloud.holds.in_gcs(MONTH) == in_gcs
    again = runs.run(MONTH, *CLOUD)
    assert again.success, failures(again)
    assert retried(again) == []
    assert cloud.holds.in_bigquery(MONTH) == new


def test_a_load_job_that_failed_of_bigquery_itself_is_run_again_under_another_id(
    runs: MonthRuns, cloud: Cloud, new: Contents
) -> None:
    with cloud.behind.broken(Fault(answering(503), "GET", "alt=media")):
        result = runs.run(MONTH, *CLOUD)
    assert result.success, failures(result)
    assert retried(result) == ["bigquery_trips"]
    generation, _ = cloud.holds.in_gcs(MONTH)
    name = f"taxi_faults_yellow_trips_201902_{generation}"
    assert load_jobs(cloud) == {f"{name}_0": "backendError", f"{name}_1": None}
    assert cloud.holds.in_bigquery(MONTH) == new


def test_a_load_job_that_failed_of_its_object_is_not_run_again(
    runs: MonthRuns, cloud: Cloud, old: Contents, new: Contents
) -> None:
    garbage = changing_the_answer(lambda answer: answer.with_body(b"no Parquet at all"))
    with cloud.behind.broken(Fault(garbage, "GET", "alt=media", times=None)):
        result = runs.run(MONTH, *CLOUD)
    assert retried(result) == []
    said = failures(result)["bigquery_trips"]
    assert said.startswith(f"{MONTH}: BigQuery, faults-project.faults.yellow_trips$201902: ")
    assert len(load_jobs(cloud)) == 1
    assert cloud.holds.in_bigquery(MONTH) == old
    assert runs.run(MONTH, *CLOUD).success
    assert cloud.holds.in_bigquery(MONTH) == new


def test_a_job_id_that_somebody_else_used_is_not_taken_for_ours(
    runs: MonthRuns, cloud: Cloud, new: Contents
) -> None:
    assert runs.run(MONTH, "gcs_trips").success
    generation, _ = cloud.holds.in_gcs(MONTH)
    name = f"taxi_faults_yellow_trips_201902_{generation}"
    with cloud.holds.bigquery_client() as client:
        client.query("SELECT 1", job_id=f"{name}_0", location="US", job_retry=None).result()
    result = runs.run(MONTH, "bigquery_trips")
    assert result.success, failures(result)
    assert metadata(result, "bigquery_trips")["job_id"] == f"{name}_1"
    assert cloud.holds.in_bigquery(MONTH) == new


def test_a_job_that_still_runs_is_attached_to_and_not_started_twice(
    runs: MonthRuns, cloud: Cloud, new: Contents
) -> None:
    asked_after = threading.Event()

    def read_when_asked_after(exchange: Exchange) -> None:
        assert asked_after.wait(120)
        exchange.send(exchange.forward())

    def show_and_let_go(exchange: Exchange) -> None:
        exchange.send(exchange.forward())
        asked_after.set()

    with (
        cloud.behind.broken(Fault(read_when_asked_after, "GET", "alt=media")),
        cloud.bigquery.broken(
            Fault(losing_the_answer, "POST", "/jobs", b'"load"'),
            Fault(show_and_let_go, "GET", "/jobs/taxi_faults"),
        ),
    ):
        result = runs.run(MONTH, *CLOUD)
    assert result.success, failures(result)
    assert retried(result) == ["bigquery_trips"]
    assert metadata(result, "bigquery_trips")["attached_to_earlier_job"] is True
    assert list(load_jobs(cloud).values()) == [None]
    assert cloud.holds.in_bigquery(MONTH) == new


def spoiled(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]


ON_ITS_WAY: dict[str, Does] = {
    "the local server": lambda e: e.send(e.forward(spoiled(e.body))),
    "Google's words": answering(
        400, "invalid", 'Provided CRC32C "AAAAAA==" doesn\'t match calculated CRC32C.'
    ),
}


@pytest.mark.parametrize("at", ON_ITS_WAY)
def test_an_object_that_changes_on_its_way_is_noticed_and_sent_again(
    runs: MonthRuns, cloud: Cloud, new: Contents, at: str
) -> None:
    with cloud.gcs.broken(Fault(ON_ITS_WAY[at], "POST", "^/upload/")):
        result = runs.run(MONTH, *CLOUD)
    assert result.success, failures(result)
    assert retried(result) == ["gcs_trips"]
    assert cloud.holds.in_bigquery(MONTH) == new


def test_the_checksum_of_an_upload_is_said_beforehand_so_that_gcs_itself_compares(
    runs: MonthRuns, cloud: Cloud, new: Contents
) -> None:
    said: list[bytes] = []

    def listen(exchange: Exchange) -> None:
        said.append(exchange.body)
        exchange.send(exchange.forward())

    with cloud.gcs.broken(Fault(listen, "POST", "^/upload/")):
        assert runs.run(MONTH, "gcs_trips").success
    _, checksum = cloud.holds.in_gcs(MONTH)
    assert f'"crc32c": "{checksum}"'.encode() in said[0]


def test_a_page_of_somebody_elses_instead_of_an_answer_is_worth_another_try(
    runs: MonthRuns, cloud: Cloud, new: Contents
) -> None:
    def sign_in(answer: Answer) -> Answer:
        page = answer.with_headers(Content_Type="text/html")
        return page.with_body(b"<html>Sign in to the guest network</html>")

    with (
        cloud.gcs.broken(Fault(changing_the_answer(sign_in), "GET", "/o/")),
        cloud.bigquery.broken(Fault(changing_the_answer(sign_in), "POST", "/jobs")),
    ):
        result = runs.run(MONTH, *CLOUD)
    assert result.success, failures(result)
    assert retried(result) == ["gcs_trips", "bigquery_trips"]
    assert cloud.holds.in_bigquery(MONTH) == new
