from pathlib import Path

import pytest

from taxi_platform.settings import SettingsError, load_settings
from taxi_platform.stores.postgres.settings import PostgresSettings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("TAXI_") or name.endswith("_EMULATOR_HOST"):
            monkeypatch.delenv(name)


def test_without_variables_it_is_the_embedded_stack_and_the_tlc() -> None:
    settings = load_settings()
    assert (settings.env, settings.source_url, settings.first_month) == ("local", "tlc", "2019-01")
    assert settings.data_dir == Path(".taxi/data").absolute()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TAXI_ENV", "cloud", "TAXI_ENV: Input should be 'local' or 'gcp'"),
        ("TAXI_FIRST_MONTH", "2019-13", "TAXI_FIRST_MONTH: give a month"),
        ("TAXI_FIRST_MONTH", "2008-12", "TAXI_FIRST_MONTH: give a month from 2009-01"),
        ("TAXI_POSTGRES_PORT", "five", "TAXI_POSTGRES_PORT: "),
        ("TAXI_RETRIES", "-1", "TAXI_RETRIES: "),
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
