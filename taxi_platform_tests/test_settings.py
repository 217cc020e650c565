from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import yaml  # type: ignore[import-untyped]
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from taxi_platform.errors import SettingsError
from taxi_platform.settings import Settings, load_settings, variable_of
from taxi_platform.stores import registry
from taxi_platform.stores.gcs.settings import GCSSettings
from taxi_platform.stores.postgres.settings import PostgresSettings
from taxi_platform.stores.registry import STORES
from taxi_platform.stores.settings import StoreSettings
from taxi_platform_tests.conftest import PROJECT


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("TAXI_") or name.endswith("_EMULATOR_HOST"):
            monkeypatch.delenv(name)


def test_without_variables_it_is_the_embedded_stack_and_the_tlc() -> None:
    settings = load_settings()
    assert (settings.env, str(settings.source_url), settings.first_month) == (
        "local",
        "tlc",
        "2019-01",
    )
    assert settings.data_dir == Path(".taxi/data").absolute()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TAXI_ENV", "cloud", "TAXI_ENV: Input should be 'local' or 'gcp'"),
        ("TAXI_FIRST_MONTH", "2019-13", "TAXI_FIRST_MONTH: give a month"),
        ("TAXI_FIRST_MONTH", "2008-12", "TAXI_FIRST_MONTH: give a month from 2009-01"),
        ("TAXI_POSTGRES_PORT", "five", "TAXI_POSTGRES_PORT: "),
        ("TAXI_RETRIES", "-1", "TAXI_RETRIES: "),
        ("TAXI_RETRY_SECONDS", "inf", "TAXI_RETRY_SECONDS: "),
        ("TAXI_FIRST_MONTH", "2099-01", "TAXI_FIRST_MONTH: 2099-01 has not ended yet"),
        ("TAXI_SCHEDULE_CRON", "0 25 * * *", "TAXI_SCHEDULE_CRON: '0 25 * * *' is no cron"),
        ("TAXI_SCHEDULE_CRON", "monthly", "TAXI_SCHEDULE_CRON: 'monthly' is no cron"),
        ("TAXI_GCS_BUCKET", "gs://lake", "TAXI_GCS_BUCKET: 'gs://lake' is no bucket name"),
        ("TAXI_GCS_BUCKET", "../lake", "TAXI_GCS_BUCKET: '../lake' is no bucket name"),
        ("TAXI_BIGQUERY_DATASET", "project.trips", "TAXI_BIGQUERY_DATASET: 'project.trips'"),
        ("TAXI_BIGQUERY_DATASET", "tr-ips", "TAXI_BIGQUERY_DATASET: 'tr-ips' is no dataset"),
        ("TAXI_BIGQUERY_DATASET", "", "TAXI_BIGQUERY_DATASET: '' is no dataset name"),
        ("TAXI_BIGQUERY_LOCATION", "the EU", "TAXI_BIGQUERY_LOCATION: 'the EU' is no location"),
        ("TAXI_GCP_PROJECT", "My Project", "TAXI_GCP_PROJECT: 'My Project' is no project"),
        ("TAXI_POSTGRES_SCHEMA", "", "TAXI_POSTGRES_SCHEMA: '' is no name"),
        ("TAXI_POSTGRES_SCHEMA", "pg_trips", "TAXI_POSTGRES_SCHEMA: pg_trips is a schema of"),
        ("TAXI_POSTGRES_SCHEMA", "ü" * 32, "TAXI_POSTGRES_SCHEMA: "),
        (
            "TAXI_POSTGRES_DATABASE",
            "two\nlines",
            "TAXI_POSTGRES_DATABASE: 'two\\nlines' is no name",
        ),
        ("TAXI_ALERT_EMAIL_TO", "a@b.org, Bob", "TAXI_ALERT_EMAIL_TO: 'Bob' is no mail address"),
        ("TAXI_ALERT_EMAIL_TO", "a@b.org\nc@d.org", "TAXI_ALERT_EMAIL_TO: "),
        (
            "TAXI_SOURCE_URL",
            "https://host/{colour}_{month}.csv",
            "TAXI_SOURCE_URL: {colour} is no field: {color}, {month}, {year} are",
        ),
        ("TAXI_SOURCE_URL", "nowhere", "TAXI_SOURCE_URL: 'nowhere' is no source: give one of tlc"),
        ("TAXI_ALERT_EMAIL_FROM", "taxi", "TAXI_ALERT_EMAIL_FROM: 'taxi' is no mail address"),
        ("TAXI_UI_URL", "ui.example.org", "TAXI_UI_URL: give an http:// or https:// address"),
        ("TAXI_UI_URL", "http://ui:99999", "TAXI_UI_URL: its host or port cannot be read"),
        ("TAXI_ALERT_WEBHOOK_URL", "https://h:port/x", "TAXI_ALERT_WEBHOOK_URL: its host or port"),
        ("TAXI_ALERT_WEBHOOK_URL", "https:///x", "TAXI_ALERT_WEBHOOK_URL: give an http:// or"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as failure:
        load_settings()
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_download_that_starts_with_the_last_retry_ends_within_the_run() -> None:
    settings = load_settings()
    instance = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    longest = settings.retry_deadline_seconds + settings.download_seconds
    assert longest < instance["run_monitoring"]["max_runtime_seconds"]


def test_the_cloud_is_never_mixed_with_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_ENV", "gcp")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    with pytest.raises(SettingsError, match="STORAGE_EMULATOR_HOST would send trips"):
        load_settings()


def test_the_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_POSTGRES_PASSWORD", "hunter2")
    settings = load_settings()
    assert "hunter2" not in repr(settings) + str(settings)
    postgres = settings.tables["postgres"]
    assert isinstance(postgres, PostgresSettings)
    assert postgres.password.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("stores", "all_of_them", "tables"),
    [
        (None, ("bigquery", "gcs", "postgres"), ["bigquery", "postgres"]),
        ("postgres", ("postgres",), ["postgres"]),
        ("gcs", ("gcs",), []),
        # What loads objects needs them.
        ("bigquery", ("bigquery", "gcs"), ["bigquery"]),
        (" postgres,gcs ,, postgres", ("gcs", "postgres"), ["postgres"]),
    ],
)
def test_the_stores_are_those_that_are_chosen_and_what_they_need(
    monkeypatch: pytest.MonkeyPatch,
    stores: str | None,
    all_of_them: tuple[str, ...],
    tables: list[str],
) -> None:
    if stores is not None:
        monkeypatch.setenv("TAXI_STORES", stores)
    settings = load_settings()
    assert settings.stores == all_of_them
    assert settings.uses_gcs == ("gcs" in all_of_them)
    assert [store.name for store in settings.table_stores] == tables


def test_the_colors_are_those_that_are_chosen_in_the_order_of_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().colors == ("green", "yellow")
    monkeypatch.setenv("TAXI_COLORS", "yellow, fhvhv,yellow")
    assert load_settings().colors == ("fhvhv", "yellow")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TAXI_STORES", "postgres,oracle", "TAXI_STORES: oracle is none of bigquery, gcs,"),
        ("TAXI_STORES", ",", "TAXI_STORES: name at least one of bigquery, gcs, postgres"),
        ("TAXI_COLORS", "pink", "TAXI_COLORS: pink is none of fhvhv, green, yellow"),
        ("TAXI_COLORS", "", "TAXI_COLORS: name at least one of"),
    ],
)
def test_a_store_or_color_that_is_none_is_named_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_every_secret_of_every_part_is_a_secret_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().secrets() == []
    parts: list[type[BaseSettings]] = [
        Settings,
        GCSSettings,
        *(store.settings for store in STORES.values()),
    ]
    expected = set()
    for part in parts:
        for field, described in part.model_fields.items():
            if "SecretStr" in str(described.annotation):
                scheme = "redis" if field == "celery_broker" else "https"
                secret = f"{scheme}://secret-of-{part.__name__}-{field}"
                monkeypatch.setenv(variable_of(part, field), secret)
                expected.add(secret)
    assert len(expected) >= 3
    settings = load_settings()
    assert set(settings.secrets()) == expected
    assert not any(secret in repr(settings) + str(settings) for secret in expected)


class SecretiveSettings(StoreSettings):
    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAXI_SECRETIVE_")

    token: SecretStr = SecretStr("")


def test_a_secret_of_a_store_that_is_registered_is_one_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secretive = replace(STORES["postgres"], name="secretive", settings=SecretiveSettings)
    monkeypatch.setitem(registry._stores, "secretive", secretive)
    monkeypatch.setenv("TAXI_SECRETIVE_TOKEN", "hunter2")
    monkeypatch.setenv("TAXI_STORES", "secretive")
    settings = load_settings()
    assert settings.secrets() == ["hunter2"]
    assert settings.table_stores == [secretive]
    assert "hunter2" not in repr(settings)
