"""Runs as Jobs of Kubernetes: what the launcher posts, executed as processes, and how they end."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.launcher import WorkerStatus

from taxi_platform.kubernetes_runs import KubernetesRunLauncher
from taxi_platform_tests.automation.unattended import (
    UnattendedPlatform,
    unattended_platform,
    wait_until,
    with_environment,
)
from taxi_platform_tests.conftest import EmbeddedStack, inherited_environment
from taxi_platform_tests.deploy.kubernetes_cluster import Cluster, Job, running_cluster
from taxi_platform_tests.deploy.kubernetes_values import (
    KUBERNETES,
    NAMESPACE,
    image_of,
    passed_on,
    values,
)
from taxi_platform_tests.faults.month_runs import publish, template

pytestmark = [pytest.mark.daemon, pytest.mark.integration, pytest.mark.timeout(600)]

STARTING = DagsterRunStatus.STARTING
STARTED, SUCCESS = DagsterRunStatus.STARTED, DagsterRunStatus.SUCCESS
CANCELED = DagsterRunStatus.CANCELED

LONG = 400_000
"""Rows of a month whose run takes some seconds."""

PASSWORD = "TAXI_POSTGRES_PASSWORD"


@dataclass
class OnKubernetes:
    """Dagster's processes, the cluster of their runs, and what is published."""

    platform: UnattendedPlatform
    cluster: Cluster
    published: Path
    launcher: KubernetesRunLauncher

    def request(self, month: str, rows: int) -> int:
        """Publishes a month of yellow trips and requests it; returns the rows that will be kept."""
        kept, _ = publish(self.published, f"yellow|{month}", rows)
        span = ("--from", month, "--to", month)
        self.platform.start(
            f"backfill {month} {rows}", "taxi-platform", "backfill", "--color", "yellow", *span
        )
        return kept

    def wait_for_run(
        self, month: str, status: DagsterRunStatus, parent: DagsterRun | None = None
    ) -> DagsterRun:
        """Waits until the latest run of a month, or the one that replaced another, has a status."""

        def found() -> DagsterRun | None:
            runs = self.platform.runs(dagster__partition=f"yellow|{month}")
            fitting = [r for r in runs if parent is None or r.parent_run_id == parent.run_id]
            return fitting[0] if fitting and fitting[0].status is status else None

        run: DagsterRun = wait_until(found, 240, 0.2)
        return run

    def rows(self, month: str) -> tuple[int, int]:
        """What Postgres and BigQuery hold of a month."""
        by_month = {f"{day:%Y-%m}": rows for day, rows in self.platform.rows("yellow").items()}
        return by_month[month]

    def job(self, run: DagsterRun) -> Job:
        return self.cluster.job_of(run.run_id)

    def said_of(self, run: DagsterRun) -> str:
        records = self.platform.instance.all_logs(run.run_id)
        return "\n".join(record.message for record in records)


@pytest.fixture(scope="module")
def on(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnKubernetes]:
    folder = tmp_path_factory.mktemp("kubernetes")
    published = folder / "published"
    published.mkdir()
    of_settings = yaml.safe_load_all((KUBERNETES / "settings.yaml").read_text())
    shipped = {document["kind"]: document for document in of_settings}
    with running_cluster(folder / "cluster", NAMESPACE) as (cluster, kubeconfig):
        chosen = {
            name: shipped["ConfigMap"]["data"][name]
            for name in ("TAXI_KUBERNETES_RUNS", "TAXI_LANDING", "TAXI_COMPUTE_LOGS")
        }
        of_code_server = {
            "DAGSTER_CURRENT_IMAGE": image_of(values()),
            "DAGSTER_CLI_API_GRPC_CONTAINER_CONTEXT": json.dumps(passed_on(values())),
        }
        settings = {"TAXI_SOURCE_URL": template(published), "KUBECONFIG": str(kubeconfig)}
        with unattended_platform(
            stack, "kubernetes", **settings, **chosen, **of_code_server
        ) as platform:
            for name in of_code_server:
                del platform.environment[name]
            inherited = inherited_environment()
            own = {k: v for k, v in platform.environment.items() if k not in inherited}
            password = {PASSWORD: own.pop(PASSWORD)}
            assert shipped["Secret"]["stringData"].keys() == password.keys()
            cluster.config_maps = {shipped["ConfigMap"]["metadata"]["name"]: own}
            for name in passed_on(values())["k8s"]["env_config_maps"]:
                cluster.config_maps.setdefault(name, {})
            cluster.secrets = {shipped["Secret"]["metadata"]["name"]: password}
            platform.start_daemon()
            with with_environment(platform.environment):
                launcher = platform.instance.run_launcher
            assert isinstance(launcher, KubernetesRunLauncher)
            yield OnKubernetes(platform, cluster, published, launcher)


def container_of(job: Job) -> dict[str, Any]:
    (container,) = job.posted["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_a_run_is_a_job_whose_command_loads_the_month(on: OnKubernetes) -> None:
    kept = on.request("2021-03", 500)
    run = on.wait_for_run("2021-03", SUCCESS)
    assert on.rows("2021-03") == (kept, kept)

    job = on.job(run)
    assert wait_until(lambda: job.process.poll() == 0, 60)
    for version in ("1.29", "1.33", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(job.posted, version, strict=True)
    container, pod = container_of(job), job.posted["spec"]["template"]["spec"]
    code = values()["dagster-user-deployments"]["deployments"][0]
    assert container["image"] == image_of(values())
    assert "@sha256:" in container["image"]
    assert container["resources"] == code["resources"]
    assert container["securityContext"] == code["securityContext"]
    assert pod["securityContext"] == code["podSecurityContext"]
    assert container["volumeMounts"] == code["volumeMounts"]
    assert pod["volumes"] == code["volumes"]
    assert pod["serviceAccountName"] == values()["global"]["serviceAccountName"]
    assert pod["restartPolicy"] == "Never"
    assert job.posted["spec"]["backoffLimit"] == 0, "Dagster retries, not Kubernetes"
    labels = job.posted["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= code["labels"].items()
    assert labels["dagster/run-id"] == run.run_id
    assert labels["dagster/code-location"] == "taxi_platform"

    # Settings and secrets are named, not contained: neither in the variables nor in the command,
    # which holds the instance.
    assert {"configMapRef": {"name": "taxi-platform"}} in container["envFrom"]
    assert {"secretRef": {"name": "taxi-platform"}} in container["envFrom"]
    assert {v["name"] for v in container["env"]} == {"DAGSTER_RUN_JOB_NAME", "DAGSTER_HOME"}
    assert on.platform.environment[PASSWORD] not in json.dumps(job.posted)
    assert "PooledPostgresStorage" in json.dumps(container["args"])


def test_as_many_runs_are_taken_as_the_setting_says(on: OnKubernetes) -> None:
    limit = on.platform.instance.get_concurrency_config().run_queue_config
    assert limit is not None
    assert limit.max_concurrent_runs == int(on.platform.environment["TAXI_KUBERNETES_RUNS"])


def test_terminate_ends_the_process_with_the_month_as_it_was(on: OnKubernetes) -> None:
    before = on.rows("2021-03")
    on.request("2021-03", LONG)
    run = on.wait_for_run("2021-03", STARTED)
    assert on.platform.instance.run_coordinator.cancel_run(run.run_id)
    on.wait_for_run("2021-03", CANCELED)
    assert wait_until(lambda: on.job(run).process.poll() is not None, 30)
    assert on.rows("2021-03") == before


def test_a_run_whose_pod_is_evicted_or_killed_is_run_again_in_another(on: OnKubernetes) -> None:
    said = {
        signal.SIGTERM: "Execution was interrupted unexpectedly",
        signal.SIGKILL: "K8s job has no active pods",
    }
    months = dict(zip(("2021-05", "2021-06"), said, strict=True))
    kept = {month: on.request(month, LONG) for month in months}
    runs = {month: on.wait_for_run(month, STARTED) for month in months}
    for month, number in months.items():
        os.kill(on.job(runs[month]).process.pid, number)
    for month, number in months.items():
        again = on.wait_for_run(month, SUCCESS, parent=runs[month])
        assert on.job(again).folder != on.job(runs[month]).folder
        assert on.rows(month) == (kept[month],) * 2
        assert said[number] in on.said_of(runs[month])


def test_a_job_of_which_the_launcher_was_not_told_is_the_runs_all_the_same(
    on: OnKubernetes,
) -> None:
    on.cluster.loses_an_answer = True
    kept = on.request("2021-04", 500)
    run = on.wait_for_run("2021-04", SUCCESS)
    assert not on.cluster.loses_an_answer
    assert on.rows("2021-04") == (kept, kept)
    # The launcher asked again before the run began, and heard that there is a Job.
    assert on.platform.runs(dagster__partition="yellow|2021-04") == [run]


def test_while_the_cluster_does_not_answer_runs_go_on_and_wait(on: OnKubernetes) -> None:
    kept = {"2021-07": on.request("2021-07", LONG)}
    run = on.wait_for_run("2021-07", STARTED)
    on.cluster.answers = False
    try:
        kept["2021-08"] = on.request("2021-08", 500)
        waits = on.wait_for_run("2021-08", STARTING)
        assert on.launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        # Not for its status: the queue gives it to the launcher again at once.
        wait_until(lambda: "The cluster does not answer. The run waits." in on.said_of(waits))
    finally:
        on.cluster.answers = True
    for month, first in (("2021-07", run), ("2021-08", waits)):
        assert on.wait_for_run(month, SUCCESS).run_id == first.run_id
        assert on.rows(month) == (kept[month],) * 2

    # A Job that is not there, on the other hand, executes nothing.
    on.job(run).is_deleted = True
    assert on.launcher.check_run_worker_health(run).status is WorkerStatus.UNKNOWN
