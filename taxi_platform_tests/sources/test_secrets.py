"""Secrets in the address of the source: they are sent to its host, and written nowhere."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import AssetExecutionContext, DagsterInstance, asset, materialize

from taxi_platform.cli.doctor import examine
from taxi_platform.definitions import build_resources
from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.io_managers.failures import as_failures
from taxi_platform.landing.download import land
from taxi_platform.landing.zone import LandingZone
from taxi_platform.resources.source import TripSourceResource
from taxi_platform.settings import load_settings
from taxi_platform.sources.source import source_of
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.sources.zones import fetch_zones
from taxi_platform_tests.faults.month_runs import MonthRuns, failures, metadata
from taxi_platform_tests.months import GREEN
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

USER, PASSWORD, SIGNATURE = "taxi", "hunter2/öß", "T0KEN-of-64-chars"
NAME = f"{GREEN.stem}.parquet"
QUERY = f"?sig={SIGNATURE}"
WRITTEN = ("hunter2", "T0KEN", "aHVudGVy", base64.b64encode(b"taxi:hunter2").decode()[:14])
"""The beginnings of the secrets, in plain and in base64."""


def with_secrets(publisher: Publisher) -> str:
    return publisher.template.replace("http://", f"http://{USER}:hunter2%2F%C3%B6%C3%9F@") + QUERY


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test does, no logger writes a secret."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert not [secret for secret in WRITTEN if secret in caplog.text]


def refuse_secrets(text: object) -> None:
    for secret in WRITTEN:
        assert secret not in str(text)


def test_user_and_password_are_sent_as_basic_authentication(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    publisher.publish(NAME + QUERY, green_parquet)
    publisher.publish("taxi_zone_lookup.csv" + QUERY, b"LocationID")
    template = SourceTemplate(with_secrets(publisher))
    assert source_of(template).published(GREEN) == '"v1"'
    raw, published = land(source_of(template), GREEN, landing)
    assert fetch_zones(template) == b"LocationID"
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert {headers["Authorization"] for headers in publisher.asked} == {expected}
    refuse_secrets([raw, published, repr(published)])
    for path in landing.root.rglob("*"):
        assert path.is_dir() or b"T0KEN" not in path.read_bytes()


def test_a_redirect_gives_them_to_no_other_host(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    with running_publisher() as other:
        other.publish(NAME, green_parquet)
        publisher.publish(NAME + QUERY, location=f"{other.url}/{NAME}")
        template = SourceTemplate(with_secrets(publisher))
        assert source_of(template).published(GREEN) == '"v1"'
        land(source_of(template), GREEN, landing)
    assert "Authorization" in publisher.asked[0]
    for headers in other.asked:
        assert "Authorization" not in headers
        refuse_secrets(headers)
    assert other.paths == [f"/{NAME}"]


def test_the_notes_of_an_unfinished_download_contain_none_and_it_is_resumed(
    publisher: Publisher, landing: LandingZone, green_parquet: bytes
) -> None:
    publisher.publish(NAME + QUERY, green_parquet, cut_after=10_000)
    source = source_of(SourceTemplate(with_secrets(publisher)))
    with pytest.raises(TransientStoreError) as broken:
        land(source, GREEN, landing)
    refuse_secrets(broken.value)
    (notes,) = landing.root.rglob("*.partial.json")
    refuse_secrets(notes.read_text())
    assert f"{publisher.url}/{NAME}" in json.loads(notes.read_text())["address"]
    assert land(source, GREEN, landing)[0].path.read_bytes() == green_parquet
    assert publisher.asked[1]["Range"] == "bytes=10000-"


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 503])
def test_no_message_contains_them(publisher: Publisher, landing: LandingZone, status: int) -> None:
    where = f"{publisher.url}/{NAME}{QUERY}" if status == 302 else None
    publisher.publish(NAME + QUERY, b"no", status=status, location=where)
    publisher.publish("taxi_zone_lookup.csv" + QUERY, b"no", status=status or 200)
    template = SourceTemplate(with_secrets(publisher))
    attempts = [
        lambda: land(source_of(template), GREEN, landing),
        lambda: source_of(template).published(GREEN),
        lambda: fetch_zones(template),
    ]
    said = []
    for attempt in attempts:
        try:
            attempt()
        except (PermanentStoreError, TransientStoreError) as error:
            refuse_secrets([error, repr(error), error.__cause__, repr(error.__cause__)])
            said.append(str(error))
    assert len(said) == (1 if status == 404 else 3)
    assert all(publisher.url in message for message in said)


@pytest.fixture
def runs(tmp_path: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> MonthRuns:
    made = MonthRuns(
        {"TAXI_ENV": "local", "TAXI_DATA_DIR": str(tmp_path / "data")}, tmp_path, monkeypatch
    )
    made.environment["TAXI_SOURCE_URL"] = with_secrets(publisher)
    return made


def test_a_run_uses_them_and_its_events_and_metadata_contain_none(
    runs: MonthRuns, publisher: Publisher, green_parquet: bytes
) -> None:
    assert not runs.run(GREEN.key, "raw_trips").success
    publisher.publish(NAME + QUERY, green_parquet)
    result = runs.run(GREEN.key, "raw_trips")
    assert result.success, failures(result)
    assert metadata(result, "raw_trips")["source"] == f"{publisher.url}/{NAME}"
    refuse_secrets(result.all_events)


def test_the_resource_that_the_ui_shows_contains_none(
    runs: MonthRuns, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in runs.environment.items():
        monkeypatch.setenv(name, value)
    source = build_resources(load_settings())["source"]
    assert isinstance(source, TripSourceResource)
    refuse_secrets([source, source.model_dump(), source._config_schema.config_type])
    assert source.url == publisher.template
    assert source.get_template() == SourceTemplate(with_secrets(publisher))
    with pytest.raises(ValueError, match="TAXI_SOURCE_URL") as refused:
        TripSourceResource(url=with_secrets(publisher))
    refuse_secrets(refused.value)


def test_settings_and_doctor_contain_none(runs: MonthRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in runs.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TAXI_STORES", "postgres")
    monkeypatch.setenv("TAXI_POSTGRES_PORT", "9")
    findings = list(examine())
    assert any(finding.where == "source" for finding in findings)
    refuse_secrets(findings)
    refuse_secrets([load_settings(), repr(load_settings())])
    assert PASSWORD in load_settings().secrets()


@pytest.mark.parametrize("spelling", [PASSWORD, "hunter2%2F%C3%B6%C3%9F", json.dumps(PASSWORD)])
def test_a_failed_step_contains_none_nor_does_its_cause(
    runs: MonthRuns, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    """Whoever repeats it: a client's error may be the cause of the platform's."""
    for name, value in runs.environment.items():
        monkeypatch.setenv(name, value)

    @asset
    def failing(context: AssetExecutionContext) -> None:
        with as_failures(GREEN, context):
            try:
                raise ConnectionError(f"cannot log in with {spelling}")
            except ConnectionError as error:
                raise PermanentStoreError(f"{GREEN}: no {spelling} \udcff") from error

    with DagsterInstance.ephemeral() as instance:
        result = materialize([failing], instance=instance, raise_on_error=False)
        said = [str(entry) for entry in instance.all_logs(result.run_id)]
    refuse_secrets(said)
    assert "***" in failures(result)["failing"]
    assert r"\udcff" in failures(result)["failing"]
    assert "cannot log in with" in " ".join(said)
