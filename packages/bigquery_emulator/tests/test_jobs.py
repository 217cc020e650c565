"""Jobs: run once, in the background, and their outcome outlives the process."""

import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import google.api_core.exceptions
import httpx
import psutil
import pyarrow as pa
import pytest
from google.cloud import bigquery
from google.cloud.storage import Bucket

from tests.discovery_check import DiscoveryCheck
from tests.servers import PROJECT, Server, bigquery_client, bigquery_server
from tests.trips import SCHEMA, month, rows, stored

pytestmark = pytest.mark.integration

SLOW = (
    "SELECT SUM(a * b) FROM UNNEST(GENERATE_ARRAY(1, 60000)) AS a, "
    "UNNEST(GENERATE_ARRAY(1, 60000)) AS b"
)


def started(client: bigquery.Client, uri: str, table: str, job_id: str) -> bigquery.LoadJob:
    config = bigquery.LoadJobConfig(
        source_format="PARQUET", write_disposition="WRITE_APPEND", schema=SCHEMA
    )
    return client.load_table_from_uri(uri, f"{PROJECT}.{table}", job_id=job_id, job_config=config)


@pytest.fixture
def own_emulator(tmp_path: Path, object_server: Server) -> Iterator[Server]:
    """An emulator that the test may kill and start again on the same data."""
    server = bigquery_server(tmp_path, object_server.url)
    server.start()
    yield server
    server.stop(signal.SIGKILL)


@pytest.fixture
def own_client(
    own_emulator: Server, answers: DiscoveryCheck, monkeypatch: pytest.MonkeyPatch
) -> Iterator[bigquery.Client]:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", own_emulator.url)
    made = bigquery_client(own_emulator.url, answers)
    yield made
    made.close()


def test_a_job_is_answered_before_it_is_done(client: bigquery.Client) -> None:
    job = client.query(SLOW)
    assert job.state in ("PENDING", "RUNNING")
    job.cancel()


def test_a_job_id_runs_once(client: bigquery.Client, bucket: Bucket, dataset: str) -> None:
    uri, job_id = stored(bucket, month(1, 5)), f"load_{uuid.uuid4().hex}"
    started(client, uri, f"{dataset}.t", job_id).result()

    with pytest.raises(google.api_core.exceptions.Conflict) as refused:
        started(client, uri, f"{dataset}.t", job_id)

    assert f"Already Exists: Job {PROJECT}:US.{job_id}" in str(refused.value)
    assert refused.value.errors[0]["reason"] == "duplicate"
    assert rows(client, f"SELECT COUNT(*) FROM {dataset}.t") == [(5,)]
    attached = client.get_job(job_id)
    assert isinstance(attached, bigquery.LoadJob)
    attached.result()
    assert attached.output_rows == 5


def test_a_failed_job_id_is_used_too(client: bigquery.Client, dataset: str) -> None:
    job_id = f"load_{uuid.uuid4().hex}"
    with pytest.raises(google.api_core.exceptions.NotFound):
        started(client, "gs://lake/absent", f"{dataset}.t", job_id).result()

    with pytest.raises(google.api_core.exceptions.Conflict):
        started(client, "gs://lake/absent", f"{dataset}.t", job_id)


def test_a_deleted_job_is_gone_and_its_id_used(client: bigquery.Client) -> None:
    job_id = f"q_{uuid.uuid4().hex}"
    client.query("SELECT 1", job_id=job_id, job_retry=None).result()

    client.delete_job_metadata(job_id, location="US")

    with pytest.raises(google.api_core.exceptions.NotFound):
        client.get_job(job_id)
    with pytest.raises(google.api_core.exceptions.Conflict):
        # The client answers a conflict with the job of that id, and finds none.
        client._call_api(
            None,
            path=f"/projects/{PROJECT}/jobs",
            method="POST",
            data={
                "jobReference": {"projectId": PROJECT, "jobId": job_id, "location": "US"},
                "configuration": {"query": {"query": "SELECT 1", "useLegacySql": False}},
            },
        )


def test_jobs_are_listed_newest_first(client: bigquery.Client, http: httpx.Client) -> None:
    names = [client.query(f"SELECT {n}") for n in range(3)]
    for job in names:
        job.result()

    listed = [job.job_id for job in client.list_jobs(max_results=3)]

    assert listed == [job.job_id for job in reversed(names)]
    failed = client.query("SELECT CAST('x' AS INT64)")
    assert isinstance(failed.exception(), google.api_core.exceptions.BadRequest)
    newest = http.get("/jobs", params={"maxResults": 1, "stateFilter": "done"}).json()
    assert newest["jobs"][0]["errorResult"]["reason"] == "invalidQuery"


def test_a_job_runs_where_it_is_told(client: bigquery.Client) -> None:
    job = client.query("SELECT 1", location="EU")
    job.result()

    assert client.get_job(job.job_id, location="EU").location == "EU"
    with pytest.raises(google.api_core.exceptions.NotFound, match=f"US.{job.job_id}"):
        client.get_job(job.job_id, location="US")


def test_a_cancelled_query_stops(client: bigquery.Client) -> None:
    job = client.query(SLOW)

    client.cancel_job(job.job_id)

    with pytest.raises(google.api_core.exceptions.GoogleAPICallError):
        job.result(timeout=20)
    assert client.get_job(job.job_id).error_result["reason"] == "stopped"


def test_a_repeated_request_is_the_same_query(
    client: bigquery.Client, http: httpx.Client, dataset: str
) -> None:
    client.query_and_wait(f"CREATE TABLE {dataset}.t (x INT64)")
    body = {
        "query": f"INSERT INTO {dataset}.t VALUES (1)",
        "useLegacySql": False,
        "requestId": uuid.uuid4().hex,
    }

    answers = [http.post("/queries", json=body).json() for _ in range(2)]

    assert [answer["numDmlAffectedRows"] for answer in answers] == ["1", "1"]
    assert rows(client, f"SELECT COUNT(*) FROM {dataset}.t") == [(1,)]


def test_an_unfinished_query_says_so_in_time(http: httpx.Client) -> None:
    body = {"query": SLOW, "useLegacySql": False, "timeoutMs": 50}

    answer = http.post("/queries", json=body).json()

    assert answer["jobComplete"] is False
    http.post(f"/jobs/{answer['jobReference']['jobId']}/cancel")


def test_everything_committed_outlives_a_kill(
    own_emulator: Server, own_client: bigquery.Client, bucket: Bucket
) -> None:
    own_client.create_dataset("d")
    uri = stored(bucket, month(1, 1000))
    done = started(own_client, uri, "d.t", "done_before")
    done.result()
    query = own_client.query("SELECT COUNT(*) FROM d.t")
    query.result()
    running = own_client.query(SLOW)
    while own_client.get_job(running.job_id).state != "RUNNING":
        time.sleep(0.01)

    own_emulator.stop(signal.SIGKILL)
    own_emulator.start()

    assert rows(own_client, "SELECT COUNT(*) FROM d.t") == [(1000,)]
    assert own_client.get_table("d.t").num_rows == 1000
    kept = own_client.get_job("done_before")
    assert isinstance(kept, bigquery.LoadJob)
    assert (kept.state, kept.error_result, kept.output_rows) == ("DONE", None, 1000)
    found = own_client.get_job(query.job_id)
    assert isinstance(found, bigquery.QueryJob)
    assert [row[0] for row in found.result()] == [1000]
    with pytest.raises(google.api_core.exceptions.Conflict):
        started(own_client, uri, "d.t", "done_before")
    killed = own_client.get_job(running.job_id)
    assert (killed.state, killed.error_result["reason"]) == ("DONE", "backendError")


def test_a_load_cut_by_a_kill_leaves_all_of_its_rows_or_none(
    own_emulator: Server, own_client: bigquery.Client, bucket: Bucket
) -> None:
    own_client.create_dataset("d")
    uri = stored(bucket, month(1, 400_000))
    expected = 0
    for turn in range(6):
        job_id = f"load_{turn}"
        started(own_client, uri, "d.t", job_id)
        time.sleep(0.03 + 0.06 * turn)
        own_emulator.stop(signal.SIGKILL)
        own_emulator.start()

        job = own_client.get_job(job_id)

        assert job.state == "DONE"
        if job.error_result is None:
            expected += 400_000
        else:
            assert job.error_result["reason"] == "backendError"
        if expected:
            assert rows(own_client, "SELECT COUNT(*) FROM d.t") == [(expected,)]
            assert own_client.get_table("d.t").num_rows == expected


def test_sigterm_ends_the_emulator_though_a_query_runs(
    own_emulator: Server, own_client: bigquery.Client
) -> None:
    job = own_client.query(SLOW)
    while own_client.get_job(job.job_id).state != "RUNNING":
        time.sleep(0.01)

    assert own_emulator.stop(signal.SIGTERM) == 0

    own_emulator.start()
    assert own_client.get_job(job.job_id).error_result["reason"] == "backendError"


def test_a_large_load_stays_in_bounded_memory(
    own_emulator: Server, own_client: bigquery.Client, bucket: Bucket
) -> None:
    own_client.create_dataset("d")
    process = psutil.Process(own_emulator.process_id)

    started(own_client, stored(bucket, month(1, 6_000_000)), "d.t", "large").result()

    assert process.memory_info().rss < 1_600 * 2**20


def test_every_answer_was_checked(answers: DiscoveryCheck, client: bigquery.Client) -> None:
    before = answers.checked
    client.query_and_wait("SELECT 1")
    assert answers.checked > before


def test_a_dataset_is_found_only_where_it_lies(
    client: bigquery.Client, bucket: Bucket, dataset: str
) -> None:
    european = bigquery.Dataset(f"{PROJECT}.{dataset}_eu")
    european.location = "EU"
    client.create_dataset(european)
    table = f"{dataset}_eu.t"
    try:
        job = client.query(f"CREATE TABLE {table} (vendor_id INT64)")
        job.result()
        assert job.location == "EU"
        assert client.query(f"SELECT * FROM {table}").location == "EU"
        uri = stored(bucket, pa.table({"vendor_id": [1]}))
        to = f"{PROJECT}.{table}"
        elsewhere = bigquery.QueryJobConfig(destination=to, write_disposition="WRITE_APPEND")
        parquet = bigquery.LoadJobConfig(source_format="PARQUET")
        message = f"Not found: Dataset {PROJECT}:{dataset}_eu was not found in location US"
        for start in (
            lambda: client.query(f"SELECT * FROM {table}", location="US"),
            lambda: client.query(f"INSERT INTO {table} VALUES (1)", location="US"),
            lambda: client.query(f"DROP TABLE {table}", location="US"),
            lambda: client.query(f"SELECT 1 FROM {table}, {dataset}.t", location="US"),
            lambda: client.query("SELECT 1 AS vendor_id", elsewhere, location="US"),
            lambda: client.load_table_from_uri(uri, to, job_config=parquet, location="US"),
        ):
            with pytest.raises(google.api_core.exceptions.NotFound, match=message):
                start().result()
        assert client.get_table(table).num_rows == 0
    finally:
        client.delete_dataset(european, delete_contents=True)
