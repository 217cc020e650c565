"""What `make dev` starts, used as the UI uses it: through the webserver's GraphQL."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from taxi_platform_tests.conftest import PROJECT, EmbeddedStack, free_port, stop_process

pytestmark = pytest.mark.integration

DAGSTER = Path(sys.executable).with_name("dagster")
DG = DAGSTER.with_name("dg")
PARTITION = "green|2022-05"

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
RUN = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } } } }"
ASSETS = """
{ assetNodes { assetKey { path } opName kinds owners { ... on TeamAssetOwner { team } }
  latestMaterializationByPartition(partitions: ["green|2022-05"]) { runId } } }
"""
RUNS = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def ask(stack: EmbeddedStack) -> Iterator[Ask]:
    """`dg dev` on a free port, asked in GraphQL."""
    port = free_port()
    project = stack.folder / "project"
    project.mkdir()
    (project / "taxi_platform").symlink_to(PROJECT / "taxi_platform")
    shutil.copy(PROJECT / "pyproject.toml", project)
    # The shell's variable takes precedence, in the code server and in the runs.
    (project / ".env").write_text("TAXI_SOURCE_URL=file:///absent/{color}_{month}.parquet\n")
    log = (stack.folder / "dev.log").open("w")
    dev = subprocess.Popen(
        [DG, "dev", "--host", "127.0.0.1", "--port", str(port)],
        cwd=project,
        env=stack.environ(TAXI_SOURCE_URL="synthetic"),
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)

    def query(text: str, **variables: Any) -> dict[str, Any]:
        answer = client.post("/graphql", json={"query": text, "variables": variables}).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    try:
        _wait(lambda: _answers(client), 120)
        yield query
    finally:
        client.close()
        log.close()
        stop_process(dev)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/server_info").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _wait(until: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.3)


def test_a_partition_launched_in_the_ui_goes_through_the_queue_and_succeeds(ask: Ask) -> None:
    names = ["raw_trips", "cleaned_trips", "gcs_trips", "bigquery_trips", "postgres_trips"]
    made = {f"{store}_marts" for store in ("bigquery", "postgres")}
    assert {node["opName"] for node in ask(ASSETS)["assetNodes"]} == {
        *names,
        "taxi_zones",
        *made,
        "trips_report",
        "loaded_months",
    }
    color, month = PARTITION.split("|")
    tags = {
        "dagster/partition": PARTITION,
        "dagster/partition/color": color,
        "dagster/partition/month": month,
    }
    launched = ask(
        LAUNCH,
        params={
            "selector": {
                "repositoryLocationName": "taxi_platform",
                "repositoryName": "__repository__",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": [name]} for name in names],
                "assetCheckSelection": [],
            },
            "mode": "default",
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        },
    )["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    def status() -> str:
        return str(ask(RUN, id=run_id)["runOrError"]["status"])

    _wait(lambda: status() in ("SUCCESS", "FAILURE", "CANCELED"), 120)
    assert status() == "SUCCESS"
    for node in ask(ASSETS)["assetNodes"]:
        if node["opName"] not in names:
            continue
        latest = node["latestMaterializationByPartition"]
        assert [entry["runId"] for entry in latest] == [run_id], node["opName"]


def test_a_run_from_the_command_line_is_seen_in_the_ui(ask: Ask, stack: EmbeddedStack) -> None:
    commands: dict[str, list[str | Path]] = {
        "2022-06": [DG, "launch", "--assets"],
        "2022-07": [DAGSTER, "asset", "materialize", "-m", "taxi_platform.definitions", "--select"],
    }
    for month, command in commands.items():
        subprocess.run(
            [*command, "raw_trips", "--partition", f"green|{month}"],
            cwd=stack.folder / "project",
            env=stack.environ(TAXI_SOURCE_URL="synthetic"),
            check=True,
            capture_output=True,
        )
        seen = [
            run["status"]
            for run in ask(RUNS)["runsOrError"]["results"]
            if {"key": "dagster/partition", "value": f"green|{month}"} in run["tags"]
        ]
        assert seen == ["SUCCESS"]
