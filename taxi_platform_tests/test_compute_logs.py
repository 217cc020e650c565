"""What steps print, in the bucket: what one host wrote, another one shows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from dagster import DagsterEventType, DagsterInstance, asset, materialize
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from taxi_platform.local.dagster_home import prepare_dagster_home
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack

pytestmark = pytest.mark.integration

SAID = "said on the first host"


@asset
def talkative() -> None:
    print(SAID)  # noqa: T201


@contextmanager
def host(stack: EmbeddedStack, home: Path, **settings: str) -> Iterator[DagsterInstance]:
    """Dagster on a host with its own folder; its records and the bucket are shared."""
    home.parent.mkdir(exist_ok=True)
    prepare_dagster_home(home, PROJECT)
    variables = {**stack.environment, "DAGSTER_HOME": str(home), **settings}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with DagsterInstance.get() as instance:
            yield instance


def run(instance: DagsterInstance) -> list[str]:
    """Materializes the asset; returns the key of what it printed."""
    result = materialize([talkative], instance=instance)
    (event,) = [e for e in result.all_events if e.event_type is DagsterEventType.LOGS_CAPTURED]
    return [result.run_id, "compute_logs", event.logs_captured_data.file_key]


def shown(instance: DagsterInstance, key: list[str]) -> str:
    return (instance.compute_log_manager.get_log_data(key).stdout or b"").decode()


@pytest.mark.parametrize(("where", "everywhere"), [("bucket", True), ("folder", False)])
def test_what_a_step_printed_is_shown_on_another_host(
    stack: EmbeddedStack, tmp_path: Path, where: str, everywhere: bool
) -> None:
    with host(stack, tmp_path / "first", TAXI_COMPUTE_LOGS=where) as first:
        key = run(first)
        assert SAID in shown(first, key)
    with host(stack, tmp_path / "second", TAXI_COMPUTE_LOGS=where) as second:
        assert (SAID in shown(second, key)) is everywhere
    names = [b.name for b in bucket(stack).list_blobs(prefix=f"compute_logs/storage/{key[0]}/")]
    assert bool(names) is everywhere


def test_a_step_does_not_fail_if_its_output_cannot_be_kept(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    settings = {"TAXI_COMPUTE_LOGS": "bucket", "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}
    with host(stack, tmp_path / "alone", **settings) as instance:
        assert materialize([talkative], instance=instance).success


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"TAXI_COMPUTE_LOGS": "nowhere"}, "TAXI_COMPUTE_LOGS"),
        ({"STORAGE_EMULATOR_HOST": ""}, "taxi-platform local up"),
    ],
)
def test_settings_that_cannot_be_used_are_told_in_one_line(
    stack: EmbeddedStack, tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    settings = {"TAXI_COMPUTE_LOGS": "bucket"} | changed
    with (
        host(stack, tmp_path / "home", **settings) as instance,
        pytest.raises(click.ClickException) as error,
    ):
        instance.compute_log_manager  # noqa: B018
    assert said in error.value.message
    assert "\n" not in error.value.message


def bucket(stack: EmbeddedStack) -> storage.Bucket:
    client = storage.Client(
        project="test",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": stack.environment["STORAGE_EMULATOR_HOST"]},
    )
    return client.bucket(stack.environment["TAXI_GCS_BUCKET"])
