"""Which runs a sensor requests, and when it retries; on a real instance, without processes."""

import time
from collections.abc import Iterator

import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunRequest
from dagster._core.test_utils import create_run_for_test

from taxi_platform.automation.months import MonthRecords
from taxi_platform.automation.requests import MOST_REQUESTS, VersionLedger
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth

MONTH = TripMonth.from_key("green|2024-01")
SHORT, LONG = 0.0, 3600.0


def records_of(instance: DagsterInstance, wait: float) -> MonthRecords:
    return MonthRecords(
        instance, load_settings().model_copy(update={"request_again_seconds": wait})
    )


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def due(
    instance: DagsterInstance,
    ledger: VersionLedger,
    version: str,
    *,
    loaded: bool = False,
    wait: float = SHORT,
) -> list[RunRequest]:
    return ledger.due(records_of(instance, wait), {MONTH: version}, lambda _month, _version: loaded)


def run_of(
    instance: DagsterInstance, request: RunRequest, status: DagsterRunStatus, **tags: str
) -> None:
    """The run that Dagster creates for a request."""
    own = {"dagster/run_key": request.run_key or "", "dagster/partition": MONTH.key}
    create_run_for_test(instance, job_name="ingest_month", status=status, tags=own | tags)


def test_a_version_is_requested_once_also_with_a_stored_cursor(
    instance: DagsterInstance,
) -> None:
    ledger = VersionLedger(None)
    (request,) = due(instance, ledger, "v1")
    assert request.partition_key == MONTH.key
    assert "v1" in (request.run_key or "")
    run_of(instance, request, DagsterRunStatus.SUCCESS)
    ledger = VersionLedger(ledger.to_json())
    assert due(instance, ledger, "v1") == []


def test_a_version_that_comes_back_is_requested_with_a_key_of_its_own(
    instance: DagsterInstance,
) -> None:
    ledger = VersionLedger(None)
    keys = []
    for version in ("v1", "v2", "v1", "v2"):
        (request,) = due(instance, ledger, version)
        run_of(instance, request, DagsterRunStatus.SUCCESS)
        assert due(instance, ledger, version) == []
        keys.append(request.run_key)
    assert len(set(keys)) == 4


def test_what_is_loaded_already_is_not_requested(instance: DagsterInstance) -> None:
    ledger = VersionLedger(None)
    assert due(instance, ledger, "v1", loaded=True) == []
    assert due(instance, ledger, "v1", loaded=False) == []  # it was loaded before


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED])
def test_a_month_with_a_queued_or_running_run_waits_for_its_end(
    instance: DagsterInstance, status: DagsterRunStatus
) -> None:
    create_run_for_test(instance, status=status, tags={"dagster/partition": MONTH.key})
    ledger = VersionLedger(None)
    assert due(instance, ledger, "v1") == []
    for run in instance.get_runs():
        instance.delete_run(run.run_id)
    assert len(due(instance, ledger, "v1")) == 1


def test_a_run_whose_process_died_is_requested_again_after_a_wait_that_doubles(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = VersionLedger(None)
    now = time.time()
    for tries, wait in ((1, 3600), (2, 7200), (3, 14400)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        (request,) = due(instance, ledger, "v1", wait=LONG)
        run_of(instance, request, DagsterRunStatus.FAILURE)
        monkeypatch.setattr(time, "time", lambda now=now, wait=wait: now + wait - 1)
        assert due(instance, ledger, "v1", wait=LONG) == [], tries
        now += wait


def test_a_run_that_dagster_retries_is_not_requested_again(instance: DagsterInstance) -> None:
    ledger = VersionLedger(None)
    (request,) = due(instance, ledger, "v1", wait=LONG)
    run_of(instance, request, DagsterRunStatus.FAILURE, **{"dagster/will_retry": "true"})
    assert due(instance, ledger, "v1", wait=LONG) == []


def test_a_run_that_a_person_canceled_is_not_requested_again(instance: DagsterInstance) -> None:
    ledger = VersionLedger(None)
    (request,) = due(instance, ledger, "v1")
    run_of(instance, request, DagsterRunStatus.CANCELED)
    assert due(instance, ledger, "v1") == []


def test_a_full_bucket_is_requested_in_batches(instance: DagsterInstance) -> None:
    months = {TripMonth.from_key(f"green|20{year}-06"): "1" for year in range(10, 70)}
    ledger = VersionLedger(None)
    counts = [
        len(ledger.due(records_of(instance, LONG), months, lambda _month, _version: False))
        for _ in range(4)
    ]
    assert counts == [MOST_REQUESTS, MOST_REQUESTS, len(months) - 2 * MOST_REQUESTS, 0]
