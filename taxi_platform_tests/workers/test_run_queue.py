"""Which launcher an instance has, by its settings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from taxi_platform_tests.conftest import PROJECT, inherited_environment

pytestmark = pytest.mark.slow

PLACES = """
import json, sys, time
from dataclasses import replace
from dagster import DagsterInstance
from taxi_platform.workers.presence import WorkerState, report
with DagsterInstance.get() as instance:
    given = ("a", "dagster", 2), ("b", "dagster", 3), ("c", "heavy", 1)
    states = [WorkerState(*of) for of in given]
    states.append(WorkerState("d", "gone", 4, is_draining=True))
    for beat in (1, 2):
        for state in states:
            report(instance, replace(state, beat=beat, at=time.time()))
        chosen = instance.get_concurrency_config().run_queue_config
    print(chosen.max_concurrent_runs)
    print(json.dumps(chosen.tag_concurrency_limits))
"""

POOLS = """
import time
from dagster import DagsterInstance
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter
from dagster._core.storage.dagster_run import RunOpConcurrency
from dagster._core.test_utils import create_run_for_test
from dagster._record import copy
from taxi_platform.workers.presence import WorkerState, report
with DagsterInstance.get() as instance:
    storage = instance.event_log_storage
    storage.set_concurrency_slots("postgres", 1)
    run = create_run_for_test(instance, "job")
    pools = RunOpConcurrency(
        root_key_counts={}, has_unconstrained_root_nodes=False, all_pools={"source", "postgres"},
    )
    for places in (5, 3, 1):
        for beat in (places, -places):
            state = WorkerState("a", "dagster", places, beat=beat, at=time.time())
            report(instance, state)
            config = instance.get_concurrency_config()
        # As Dagster's daemon does, each time that it looks at its queue.
        GlobalOpConcurrencyLimitsCounter(
            instance, [copy(run, run_op_concurrency=pools)], [],
            concurrency_keys=storage.get_concurrency_keys(), pool_limits=storage.get_pool_limits(),
            pool_granularity=config.pool_config.pool_granularity,
        )
        print(sorted((pool.name, pool.limit) for pool in storage.get_pool_limits()))
"""

PUT_BACK = """
import json, sys, time
from dataclasses import replace
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.launcher import LaunchRunContext
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test
from taxi_platform.workers.presence import WorkerState, report
with DagsterInstance.get() as instance:
    for beat in (1, 2):
        report(instance, replace(WorkerState("a", "dagster", 2), beat=beat, at=time.time()))
        instance.run_launcher.places()
    for queue in ("nowhere", "dagster"):
        run = create_run_for_test(
            instance, "job", tags={"dagster-celery/queue": queue}, status=DagsterRunStatus.STARTING,
            remote_job_origin=RemoteJobOrigin(
                RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("platform"), "all"), "job"
            ),
        )
        instance.run_launcher.launch_run(LaunchRunContext(run, None))
        said = [record.dagster_event.message for record in instance.all_logs(run.run_id)]
        print(json.dumps(instance.run_launcher.places()), instance.get_run_by_id(run.run_id).status)
        print(said)
"""

SHOW = """
import sys
from dagster import DagsterInstance
with DagsterInstance.get() as instance:
    launcher = type(instance.run_launcher).__name__
    print(launcher, *(name for name in ("celery", "kubernetes") if name in sys.modules))
    print(instance.get_concurrency_config().run_queue_config.max_concurrent_runs)
    print(instance.get_settings("concurrency")["pools"]["default_limit"])
"""


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: one, cluster: {server: http://127.0.0.1:9}}]
users: [{name: test, user: {}}]
contexts: [{name: test, context: {cluster: one, user: test}}]
current-context: test
"""


def make_instance(folder: Path) -> None:
    """An instance with the platform's configuration, but for the storage."""
    config = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    config["storage"] = {"sqlite": {"base_dir": str(folder)}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))


def shown(folder: Path, script: str = SHOW, **settings: str) -> list[str]:
    """What an instance with the platform's configuration says, on a storage in a folder."""
    make_instance(folder)
    done = ended(folder, sys.executable, "-c", script, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def ended(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command that has ended, with the instance in a folder."""
    return subprocess.run(
        command,
        env=inherited_environment() | {"DAGSTER_HOME": str(folder)} | settings,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_by_default_nothing_of_celery_and_kubernetes_is_there(tmp_path: Path) -> None:
    assert shown(tmp_path) == ["DefaultRunLauncher", "2", "2"]


def test_as_jobs_there_are_as_many_runs_as_the_setting_says_in_all_and_in_pools(
    tmp_path: Path,
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    settings = {"TAXI_KUBERNETES_RUNS": "5", "KUBECONFIG": str(kubeconfig)}
    assert shown(tmp_path, **settings) == ["KubernetesRunLauncher kubernetes", "5", "5"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"TAXI_KUBERNETES_RUNS": "5", "TAXI_CELERY_BROKER": "redis://127.0.0.1:9/0"},
            "TAXI_CELERY_BROKER and TAXI_KUBERNETES_RUNS are set",
        ),
        ({"TAXI_KUBERNETES_RUNS": "many"}, "TAXI_KUBERNETES_RUNS"),
        ({"TAXI_KUBERNETES_RUNS": "5"}, "no cluster around this process"),
    ],
    ids=["both", "no number", "no cluster"],
)
def test_what_cannot_be_is_said_in_a_line(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(AssertionError, match=f"ClickException: .*{said}"):
        shown(tmp_path, **settings)


def test_with_a_broker_the_queue_waits_for_workers(tmp_path: Path) -> None:
    secret = tmp_path / "broker"
    secret.write_text("redis://:secret@127.0.0.1:9/0\n")
    for setting in (
        {"TAXI_CELERY_BROKER": "redis://127.0.0.1:9/0"},
        {"TAXI_CELERY_BROKER_FILE": str(secret)},
    ):
        assert shown(tmp_path, **setting) == ["WorkerRunLauncher celery", "0", "2"]


@pytest.mark.parametrize(
    "command",
    [
        ("dagster-daemon", "run", "--empty-workspace"),
        ("dagster-webserver", "--empty-workspace", "--port", "9"),
        ("dagster", "run", "list"),
        ("taxi-platform", "worker"),
    ],
)
def test_a_broker_that_cannot_be_used_is_named_by_every_process(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """By the launcher, or before: by the storage."""
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    program = str(Path(sys.executable).with_name(command[0]))
    done = ended(
        tmp_path, program, *command[1:], TAXI_CELERY_BROKER="redis://:pa/55-word@redis:6379/0"
    )
    assert done.returncode != 0
    assert "TAXI_CELERY_BROKER: its user or password has characters" in done.stderr
    for unwanted in ("Traceback", "55-word", ":pa/"):
        assert unwanted not in done.stdout + done.stderr


def test_the_launcher_says_so_too_beside_another_storage(tmp_path: Path) -> None:
    make_instance(tmp_path)
    done = ended(
        tmp_path, sys.executable, "-c", SHOW, TAXI_CELERY_BROKER="foo://:pa55-word@redis:6379/0"
    )
    assert "TAXI_CELERY_BROKER: foo:// is unknown" in done.stderr
    assert "55-word" not in done.stderr


def test_a_worker_with_an_empty_broker_says_that_it_has_none(tmp_path: Path) -> None:
    make_instance(tmp_path)
    program = str(Path(sys.executable).with_name("taxi-platform"))
    done = ended(tmp_path, program, "worker", TAXI_CELERY_BROKER="")
    assert done.returncode != 0
    assert "TAXI_CELERY_BROKER is not set" in done.stderr


def test_as_many_runs_are_taken_from_the_queue_as_workers_have_places(tmp_path: Path) -> None:
    places, limits = shown(tmp_path, PLACES, TAXI_CELERY_BROKER="redis://127.0.0.1:9/0")
    assert places == "6"
    by_queue = {limit["value"]: limit["limit"] for limit in json.loads(limits)[1:]}
    assert by_queue == {"dagster": 5, "heavy": 1, "gone": 0}
    assert json.loads(limits)[0]["key"] == "dagster/partition"


def test_pools_that_have_no_limit_of_their_own_follow_the_places(tmp_path: Path) -> None:
    """But are never below what ``dagster.yaml`` says."""
    assert shown(tmp_path, POOLS, TAXI_CELERY_BROKER="redis://127.0.0.1:9/0") == [
        "[('postgres', 1), ('source', 5)]",
        "[('postgres', 1), ('source', 3)]",
        "[('postgres', 1), ('source', 2)]",
    ]


def test_a_run_that_cannot_be_sent_waits_instead_of_being_taken_again_every_second(
    tmp_path: Path,
) -> None:
    nowhere, said, broker, why = shown(
        tmp_path, PUT_BACK, TAXI_CELERY_BROKER="redis://127.0.0.1:9/0"
    )
    assert nowhere == '{"dagster": 2, "nowhere": 0} DagsterRunStatus.QUEUED'
    assert "No worker takes runs from the queue nowhere. The run waits." in said
    assert broker == '{"dagster": 0, "nowhere": 0} DagsterRunStatus.QUEUED'
    assert "The broker cannot be reached" in why
