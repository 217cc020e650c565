"""Launches runs on workers, and knows whether they live."""

import logging
import math
import time
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster_celery.defaults import task_default_queue
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import (
    DAGSTER_CELERY_QUEUE_TAG,
    DAGSTER_CELERY_RUN_PRIORITY_TAG,
    DAGSTER_CELERY_TASK_ID_TAG,
)
from kombu.exceptions import KombuError, OperationalError

from taxi_platform.broker import BROKER, Broker
from taxi_platform.dagster_internals import put_back_into_queue
from taxi_platform.workers.mark import Mark
from taxi_platform.workers.presence import Observer, Sighting
from taxi_platform.workers.transport import EXECUTE, Transport

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData

QUEUE = task_default_queue

BROKER_AGAIN_SECONDS = 15.0
"""How long no run is taken from Dagster's queue after the broker could not be reached."""

_LOG = logging.getLogger("dagster.taxi_platform.workers")

_CONNECTION = {
    # Longer than any run waits: a message is not given to a second worker.
    "visibility_timeout": 86_400,
    "socket_connect_timeout": 10,
    "socket_timeout": 30,
    "socket_keepalive": True,
    "health_check_interval": 10,
}


class WorkerRunLauncher(CeleryRunLauncher):
    """dagster-celery's launcher, with another idea of health.

    There, a run is alive if the broker's result backend says so, and a worker that died says
    nothing. Here, workers report in Dagster's storage what they execute.
    """

    def __init__(self, broker: Broker, inst_data: "ConfigurableClassData | None" = None) -> None:
        super().__init__(QUEUE, broker=broker.url, backend="disabled://", inst_data=inst_data)
        self.mark = Mark(broker)
        self._elsewhere: set[str] = set()
        self.celery.conf.update(
            broker_transport=Transport,
            broker_transport_options=_CONNECTION,
            broker_connection_retry_on_startup=True,
            broker_connection_max_retries=None,
            task_ignore_result=True,
            task_create_missing_queues=True,
            task_publish_retry_policy={"max_retries": 3, "interval_start": 0, "interval_max": 1},
            task_queues=None,
            task_routes={},
            task_serializer="json",
            accept_content=["json"],
            # A worker reserves no more than it executes: a run never waits behind another one while
            # another worker is idle. Without the second line it would reserve one more.
            worker_prefetch_multiplier=1,
            worker_disable_prefetch=True,
            worker_hijack_root_logger=False,
            worker_redirect_stdouts=False,
        )
        self.observer = Observer()
        self._queues_without_workers: set[str] = set()
        self._broker_missed = -math.inf

    def places(self) -> dict[str, int]:
        """How many runs the living workers execute at once, by queue.

        A queue whose workers have all died, or drain, or listen to another broker, has none, and so
        has one that a run named and that never had a worker. While the broker cannot be reached, no
        queue has any.
        """
        found = dict.fromkeys([self.default_queue, *self._queues_without_workers], 0)
        for worker, takes_runs in self._workers():
            places = worker.state.places if takes_runs else 0
            found[worker.state.queue] = found.get(worker.state.queue, 0) + places
        if time.monotonic() < self._broker_missed + BROKER_AGAIN_SECONDS:
            return dict.fromkeys(found, 0)
        return found

    def launch_run(self, context: LaunchRunContext) -> None:
        """Gives a run to a worker; puts it back into Dagster's queue if no worker would take it."""
        run = context.dagster_run
        queue = run.tags.get(DAGSTER_CELERY_QUEUE_TAG, self.default_queue)
        workers = [(w, takes) for w, takes in self._workers() if w.state.queue == queue]
        if not any(takes for _, takes in workers):
            self._queues_without_workers.add(queue)
            elsewhere = [listens_elsewhere(w) for w, _ in workers if w.takes_runs]
            self._put_back(
                run, "; ".join([f"No worker takes runs from the queue {queue}", *elsewhere]) + "."
            )
            return
        try:
            task = self.celery.send_task(
                EXECUTE, args=[run.run_id], queue=queue, priority=_priority(run)
            )
        except (KombuError, OperationalError, OSError) as error:
            self._broker_missed = time.monotonic()
            self._put_back(run, f"The broker cannot be reached: {type(error).__name__}.")
            return
        self._instance.add_run_tags(run.run_id, {DAGSTER_CELERY_TASK_ID_TAG: str(task.id)})
        self._instance.report_engine_event(
            f"Sent to a worker of the queue {queue}.", run, cls=self.__class__
        )

    def _workers(self) -> list[tuple[Sighting, bool]]:
        """All workers, and whether a run may be sent to them; says which cannot hear of it."""
        mark = self.mark.seen()
        seen = self.observer.look(self._instance)
        found = [(worker, worker.takes_runs and worker.listens_to(mark)) for worker in seen]
        elsewhere = {w.state.name: w for w, takes in found if w.takes_runs and not takes}
        for name in elsewhere.keys() - self._elsewhere:
            _LOG.warning("%s. No run is sent to it.", listens_elsewhere(elsewhere[name]))
        self._elsewhere = set(elsewhere)
        return found

    def _put_back(self, run: DagsterRun, why: str) -> None:
        put_back_into_queue(self._instance, run, why, type(self))

    def terminate(self, run_id: str) -> bool:
        """Has a run's worker end it, which looks for that every second."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        waits = run.status is not DagsterRunStatus.STARTED
        self._instance.report_run_canceling(run)
        if waits or self._was_on_dead_worker(run_id):
            # Nobody else will say so.
            self._instance.report_run_canceled(run)
        return True

    def _was_on_dead_worker(self, run_id: str) -> bool:
        """Whether all workers that executed a run have died, as far as is known."""
        sightings = [s for s in self.observer.look(self._instance) if run_id in s.state.runs]
        return bool(sightings) and all(s.is_dead for s in sightings)

    @property
    def supports_resume_run(self) -> bool:
        """Runs are not resumed: a run that died is replaced by a new one, from where it failed."""
        return False

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether a worker executes a started run."""
        why = self.observer.why_dead(self._instance, run.run_id)
        if why is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, why)

    def get_run_worker_debug_info(
        self,
        run: DagsterRun,
        include_container_logs: bool | None = True,  # noqa: ARG002
    ) -> str | None:
        """The worker that has the run, and those that take runs."""
        mark = self.mark.seen()
        return "; ".join(
            f"worker {s.state.name}: {len(s.state.runs)} of {s.state.places} places taken, heard "
            f"of {s.quiet_seconds:.0f} s ago"
            f"{'' if s.listens_to(mark) else ', and listens to another broker'}"
            for s in self.observer.look(self._instance)
            if run.run_id in s.state.runs or s.takes_runs
        )

    @classmethod
    def config_type(cls) -> Any:
        """None: the broker is a secret, and is taken from the environment."""
        return {}


def listens_elsewhere(worker: Sighting) -> str:
    """That a worker hears of no run that is sent from here, and what to do."""
    return (
        f"the worker {worker.state.name} listens to another broker than this process: give both "
        f"the same {BROKER}"
    )


def _priority(run: DagsterRun) -> int:
    given = run.tags.get(DAGSTER_CELERY_RUN_PRIORITY_TAG, "")
    return int(given) if given.isdecimal() else 5


def worker_launcher(instance: DagsterInstance) -> WorkerRunLauncher | None:
    """The launcher of an instance, if its runs are executed by workers."""
    launcher = instance.run_launcher
    return launcher if isinstance(launcher, WorkerRunLauncher) else None
