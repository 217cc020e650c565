"""Where runs are executed, for ``dagster.yaml``: as processes, by workers, or as Jobs of a cluster.

``TAXI_CELERY_BROKER`` and ``TAXI_KUBERNETES_RUNS`` decide. Without them, runs are executed as
Dagster executes them by default, and nothing of Celery and Kubernetes is imported.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from dagster import DagsterRun
from dagster._core.launcher import DefaultRunLauncher, RunLauncher
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import (
    QueuedRunCoordinator,
    RunQueueConfig,
)
from dagster._serdes import ConfigurableClass

from taxi_platform.broker import BROKER, broker_at
from taxi_platform.environment import prepare_dagster_process
from taxi_platform.errors import SettingsError

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData

    from taxi_platform.workers.launcher import WorkerRunLauncher

JOBS = "TAXI_KUBERNETES_RUNS"

QUEUE_TAG = "dagster-celery/queue"
"""The tag of a run with the queue from which workers take it."""


class ChosenRunLauncher(RunLauncher, ConfigurableClass):
    """Is never made: makes Dagster's default launcher, or the one of workers or of Jobs."""

    @classmethod
    def config_type(cls) -> Any:
        """None: everything is in the environment."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls,
        inst_data: "ConfigurableClassData | None",
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> RunLauncher:
        """See ``ConfigurableClass``.

        Raises:
            click.ClickException: the settings cannot be used; one line, and no traceback.
        """
        try:
            prepare_dagster_process()
            broker, jobs = os.environ.get(BROKER), os.environ.get(JOBS)
            if broker and jobs:
                raise SettingsError(
                    f"{BROKER} and {JOBS} are set: unset the first for runs as Jobs of Kubernetes, "
                    "the second for runs on workers"
                )
            if broker:
                return _of_workers(broker, inst_data)
            return _of_jobs(inst_data) if jobs else DefaultRunLauncher(inst_data=inst_data)
        except SettingsError as error:
            raise click.ClickException(str(error)) from None


def _of_workers(broker: str, inst_data: "ConfigurableClassData | None") -> RunLauncher:
    try:
        from taxi_platform.workers.launcher import WorkerRunLauncher
    except ImportError as error:
        raise _missing(BROKER, error, "scale") from None
    return WorkerRunLauncher(broker_at(broker), inst_data)


def _of_jobs(inst_data: "ConfigurableClassData | None") -> RunLauncher:
    try:
        from taxi_platform.kubernetes_runs import KubernetesRunLauncher
    except ImportError as error:
        raise _missing(JOBS, error, "kubernetes") from None
    from kubernetes.config import ConfigException

    from taxi_platform.settings import load_settings

    try:
        return KubernetesRunLauncher(load_settings().kubernetes_runs or 1, inst_data)
    except ConfigException as error:
        raise SettingsError(
            f"{JOBS} is set, but there is no cluster around this process: name a kubeconfig in "
            f"KUBECONFIG ({error})"
        ) from None


def _missing(variable: str, error: ImportError, extra: str) -> SettingsError:
    return SettingsError(
        f"{variable} is set, but {error.name} is not installed: install the extra '{extra}' of "
        "taxi-platform"
    )


class PlacesRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue, from which no more runs are taken than workers have places.

    As Jobs, as many as the setting says; as processes, ``max_concurrent_runs`` of ``dagster.yaml``.
    """

    _pool_limit: int | None = None
    """The default limit of pools in ``dagster.yaml``."""

    @property
    def dequeue_interval_seconds(self) -> int:
        """See ``QueuedRunCoordinator``. Workers begin a run at once, so asking often pays."""
        return super().dequeue_interval_seconds if self._workers() is None else 1

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """See ``QueuedRunCoordinator``. The run says from which queue workers take it."""
        run, workers = context.dagster_run, self._workers()
        if workers is not None and QUEUE_TAG not in run.tags:
            self._instance.add_run_tags(run.run_id, {QUEUE_TAG: workers.default_queue})
        return super().submit_run(context)

    def get_run_queue_config(self) -> RunQueueConfig:
        """See ``QueuedRunCoordinator``. Dagster's daemon asks before it takes runs."""
        chosen, workers = super().get_run_queue_config(), self._workers()
        if workers is None:
            jobs = getattr(self._instance.run_launcher, "runs_at_once", None)
            if jobs is None:
                return chosen
            self._let_pools_follow(jobs)
            return chosen._replace(max_concurrent_runs=jobs)
        places = workers.places()
        limits = [
            {"key": QUEUE_TAG, "value": queue, "limit": free} for queue, free in places.items()
        ]
        in_all = sum(places.values())
        self._let_pools_follow(in_all)
        return chosen._replace(
            max_concurrent_runs=in_all,
            tag_concurrency_limits=[*(chosen.tag_concurrency_limits or ()), *limits],
        )

    def _let_pools_follow(self, places: int) -> None:
        """Pools whose limit nobody has set let as many runs in as there are places, or Jobs."""
        pools = self._instance.get_settings("concurrency").get("pools", {})
        if "default_limit" not in pools:  # somebody has removed it: there is no limit
            return
        if self._pool_limit is None:
            self._pool_limit = pools["default_limit"]
        pools["default_limit"] = max(self._pool_limit, places)

    def _workers(self) -> "WorkerRunLauncher | None":
        launcher: Any = self._instance.run_launcher
        return launcher if hasattr(launcher, "places") else None
