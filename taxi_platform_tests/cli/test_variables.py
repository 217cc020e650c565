import pytest

from taxi_platform.cli.variables import misspelled


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TAXI_RETRIES_FILE", "TAXI_RETRIES"),
        ("TAXI_POSTGRES_PASWORD", "TAXI_POSTGRES_PASSWORD"),
        ("TAXI_POSTGRES_PASSWORD_FLE", "TAXI_POSTGRES_PASSWORD_FILE"),
        ("TAXI_SOURCE_URLS", "TAXI_SOURCE_URL"),
        ("TAXI_LOOK_BACK_MONTHS", "TAXI_LOOKBACK_MONTHS"),
        ("TAXI_PROJECT", "TAXI_GCP_PROJECT"),
        ("TAXI_TEAM_NAME", None),
        ("TAXI_GOOGLE_KEY_FILE", None),
        ("TAXI_DAGSTER_POSTGRES_DATABASE", None),
        ("TAXI_SMTP_PASSWORD_FILE", None),
        ("POSTGRES_PASSWORD", None),
    ],
)
def test_a_variable_is_misspelled_if_it_is_much_like_a_setting(
    name: str, meant: str | None
) -> None:
    found = dict(misspelled([name, "TAXI_ENV", "PATH"]))
    assert found == ({name: meant} if meant else {})
