"""Which launcher an instance has, by its settings."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from taxi_platform_tests.conftest import PROJECT, inherited_environment

pytestmark = pytest.mark.slow

SHOW = """
import sys
from dagster import DagsterInstance
with DagsterInstance.get() as instance:
    print(type(instance.run_launcher).__name__, "celery" in sys.modules)
    print(instance.get_concurrency_config().run_queue_config.max_concurrent_runs)
"""


def shown(folder: Path, **settings: str) -> list[str]:
    """What an instance with the platform's configuration says, on a storage in a folder."""
    config = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    config["storage"] = {"sqlite": {"base_dir": str(folder)}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        env=inherited_environment() | {"DAGSTER_HOME": str(folder)} | settings,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_without_a_broker_nothing_of_celery_is_there(tmp_path: Path) -> None:
    assert shown(tmp_path) == ["DefaultRunLauncher", "False", "2"]


def test_with_a_broker_the_queue_waits_for_workers(tmp_path: Path) -> None:
    secret = tmp_path / "broker"
    secret.write_text("redis://:secret@127.0.0.1:9/0\n")
    for setting in (
        {"TAXI_CELERY_BROKER": "redis://127.0.0.1:9/0"},
        {"TAXI_CELERY_BROKER_FILE": str(secret)},
    ):
        assert shown(tmp_path, **setting) == ["WorkerRunLauncher", "True", "0"]
