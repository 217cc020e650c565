"""Runs as Jobs of Kubernetes, for ``taxi_platform.run_queue``.

Dagster's Helm chart passes on with each run what the code server's deployment has: the image, the
environment, volumes, resources, labels, namespace and service account. What the chart does not
pass on, and what a run of this platform needs wherever it is deployed, is here.
"""

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster_k8s.client import DagsterK8sAPIRetryLimitExceeded, DagsterK8sUnrecoverableAPIError
from dagster_k8s.job import get_job_name_from_run_id
from dagster_k8s.launcher import K8sRunLauncher
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from taxi_platform.dagster_internals import put_back_into_queue
from taxi_platform.environment import DAGSTER_HOME

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData

KUBECONFIG = "KUBECONFIG"
"""The variable of every Kubernetes client; without it, the cluster is the one around this pod."""

USER = 10001
"""Of the image."""

TERMINATION_SECONDS = 60
"""How long a run that was told to end may take; it needs five seconds."""

KEPT_SECONDS = 3600
"""How long a Job that ended can still be looked at with kubectl."""

ANSWER_SECONDS = 10
"""How long the cluster may take to say whether there is a Job."""

_CONTAINER = {
    "allow_privilege_escalation": False,
    "capabilities": {"drop": ["ALL"]},
    "read_only_root_filesystem": True,
}
_POD = {
    "security_context": {
        "run_as_non_root": True,
        "run_as_user": USER,
        "run_as_group": USER,
        "fs_group": USER,
        "seccomp_profile": {"type": "RuntimeDefault"},
    },
    "termination_grace_period_seconds": TERMINATION_SECONDS,
}
_JOB = {"backoff_limit": 0, "ttl_seconds_after_finished": KEPT_SECONDS}


class KubernetesRunLauncher(K8sRunLauncher):
    """dagster-k8s' launcher, configured by the environment.

    Attributes:
        runs_at_once: how many runs there may be at once.
    """

    def __init__(self, runs_at_once: int, inst_data: "ConfigurableClassData | None" = None) -> None:
        self.runs_at_once = runs_at_once
        kubeconfig = os.environ.get(KUBECONFIG)
        super().__init__(
            # Both have to be given, and come from elsewhere: the account from the code server, the
            # instance from the Job's command.
            service_account_name="",
            instance_config_map="",
            dagster_home=os.environ.get(DAGSTER_HOME, ""),
            load_incluster_config=not kubeconfig,
            kubeconfig_file=kubeconfig,
            security_context=_CONTAINER,
            run_k8s_config={"pod_spec_config": _POD, "job_spec_config": _JOB},
            inst_data=inst_data,
        )

    def launch_run(self, context: LaunchRunContext) -> None:
        """As dagster-k8s does, but while the cluster does not answer, the run waits in the queue.

        There, it fails after half a minute.
        """
        try:
            super().launch_run(context)
        except DagsterK8sAPIRetryLimitExceeded:
            why = "The cluster does not answer."
            put_back_into_queue(self._instance, context.dagster_run, why, type(self))
        except DagsterK8sUnrecoverableAPIError as error:
            # The run's Job is there: it was made, and the answer got lost.
            if getattr(error.k8s_api_exception, "status", None) != HTTPStatus.CONFLICT:
                raise

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """As dagster-k8s does, but a cluster that does not answer says nothing about a run.

        There, such a run counts as failed, and is run again while it is still running.
        """
        health: CheckRunHealthResult = super().check_run_worker_health(run)
        if health.status is WorkerStatus.UNKNOWN and not self._is_gone(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING, health.msg)
        return health

    def _is_gone(self, run: DagsterRun) -> bool:
        """Whether the cluster says that a run has no Job."""
        job = get_job_name_from_run_id(run.run_id)
        namespace = self.get_container_context_for_run(run).namespace
        try:
            self._api_client.batch_api.read_namespaced_job_status(
                job, namespace, _request_timeout=ANSWER_SECONDS
            )
        except ApiException as error:
            return bool(error.status == HTTPStatus.NOT_FOUND)
        except HTTPError:
            pass
        return False

    @classmethod
    def config_type(cls) -> Any:
        """None: everything is in the environment."""
        return {}
