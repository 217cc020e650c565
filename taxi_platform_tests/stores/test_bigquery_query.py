"""`taxi-platform query --store bigquery`: what is run, how much is fetched, and what stops it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.answers import first_rows
from taxi_platform.stores.bigquery.settings import BigQuerySettings
from taxi_platform.stores.bigquery.store import BigQueryStore
from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.faults.http_fault_proxy import Answer, Exchange, Fault, http_fault_proxy

pytestmark = pytest.mark.integration

SETTINGS = BigQuerySettings(dataset="query_test", request_seconds=30)


@pytest.fixture
def client(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[bigquery.Client]:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", stack.environment["BIGQUERY_EMULATOR_HOST"])
    with bigquery.Client(
        project=stack.environment["TAXI_GCP_PROJECT"], credentials=AnonymousCredentials()
    ) as connected:
        connected.create_dataset(SETTINGS.dataset, exists_ok=True)
        connected.query_and_wait("CREATE OR REPLACE TABLE query_test.kept AS SELECT 1 AS a")
        yield connected


CHANGES = {
    "DROP TABLE query_test.kept": "DROP_TABLE",
    "DELETE FROM query_test.kept WHERE true": "DELETE",
    "TRUNCATE TABLE query_test.kept": "TRUNCATE_TABLE",
    "INSERT query_test.kept (a) VALUES (2)": "INSERT",
    "UPDATE query_test.kept SET a = 2 WHERE true": "UPDATE",
    "CREATE TABLE query_test.more AS SELECT 1 AS a": "CREATE_TABLE_AS_SELECT",
    "ALTER TABLE query_test.kept ADD COLUMN b INT64": "ALTER_TABLE",
    "DROP SCHEMA query_test CASCADE": "DROP_SCHEMA",
}


@pytest.mark.parametrize("statement", CHANGES)
def test_a_statement_that_does_more_than_read_is_not_run(
    client: bigquery.Client, statement: str
) -> None:
    before = {job.job_id for job in client.list_jobs()}
    with pytest.raises(
        PermanentStoreError,
        match=rf"query: BigQuery, {client.project}.query_test: this is {CHANGES[statement]} and "
        "not SELECT.*was not run",
    ):
        first_rows(BigQueryStore(client, SETTINGS), statement, 5)
    assert {job.job_id for job in client.list_jobs()} == before
    assert [table.table_id for table in client.list_tables("query_test")] == ["kept"]
    assert [row.a for row in client.query_and_wait("SELECT * FROM query_test.kept")] == [1]


def test_reading_is_run_and_what_is_wrong_is_said(client: bigquery.Client) -> None:
    store = BigQueryStore(client, SETTINGS)
    numbers = "SELECT n, 'x' AS s FROM UNNEST(GENERATE_ARRAY(1, 3)) AS n ORDER BY n"
    for statement in (numbers, f"WITH named AS ({numbers}) SELECT * FROM named ORDER BY n;"):
        answer = first_rows(store, statement, 2)
        assert (list(answer.columns), list(answer.rows)) == (["n", "s"], [(1, "x"), (2, "x")])
        assert answer.more
    assert not first_rows(store, numbers, 3).more
    with pytest.raises(PermanentStoreError, match=r"query: BigQuery, .*nowhere"):
        first_rows(store, "SELECT * FROM query_test.nowhere", 2)


def test_only_the_rows_to_be_shown_are_fetched(
    client: bigquery.Client, stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[int] = []

    def count(exchange: Exchange) -> None:
        answer: Answer = exchange.forward()
        answered.append(len(answer.body))
        exchange.send(answer)

    with http_fault_proxy(stack.environment["BIGQUERY_EMULATOR_HOST"]) as proxy:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.url)
        with (
            bigquery.Client(project="test", credentials=AnonymousCredentials()) as counted,
            proxy.broken(Fault(count, times=None)),
        ):
            answer = first_rows(
                BigQueryStore(counted, SETTINGS),
                "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 300000)) AS n",
                1,
            )
    assert len(answer.rows) == 1
    assert answer.more
    assert sum(answered) < 50_000


ENDLESS = (
    "SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS a, "
    "UNNEST(GENERATE_ARRAY(1, 100000)) AS b, UNNEST(GENERATE_ARRAY(1, 100000)) AS c "
    "WHERE MOD(a * b + c, 7) = 3"
)


def test_an_interrupt_cancels_the_query(client: bigquery.Client, stack: EmbeddedStack) -> None:
    def running() -> set[str]:
        return {job.job_id for job in client.list_jobs(state_filter="running")}

    program = str(Path(sys.executable).with_name("taxi-platform"))
    command = [program, "query", "--store", "bigquery", ENDLESS]
    with subprocess.Popen(
        command, env=stack.environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        deadline = time.monotonic() + 120
        while not (ours := running()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"Traceback" not in said
    (job_id,) = ours
    while (job := client.get_job(job_id)).state != "DONE":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert job.error_result["reason"] == "stopped"
