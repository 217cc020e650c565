"""Every environment variable of the platform, typed, in one place.

Read once, where the code location or a command starts; nothing below imports this. Google's own
variables (``STORAGE_EMULATOR_HOST``, ``BIGQUERY_EMULATOR_HOST``, application default credentials)
are read by Google's clients; here they are only checked against ``TAXI_ENV``.
"""

import os
import re
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

EMULATOR_VARIABLES = ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")


class SettingsError(Exception):
    """The environment does not describe a platform that can run. One line says what and how."""


class Settings(BaseSettings):
    """The platform's settings; each field is the variable ``TAXI_`` and its name."""

    model_config = SettingsConfigDict(env_prefix="TAXI_", extra="ignore", frozen=True)

    env: Literal["local", "gcp"] = Field(
        "local", description="`local` uses the embedded stack, `gcp` the real cloud."
    )
    data_dir: Path = Field(
        Path(".taxi/data"), description="Folder of the published, cleaned and rejected files."
    )
    first_month: str = Field("2019-01", description="First month of the partitions.")
    source_url: str = Field(
        "tlc",
        description="`tlc`, `mirror`, `synthetic`, or an http(s):// or file:// template with "
        "{color} and {month}.",
    )
    gcp_project: str | None = Field(
        None, description="Google Cloud project; by default that of the credentials."
    )
    gcs_bucket: str = Field("taxi-lake", description="Bucket of the trip objects.")
    bigquery_dataset: str = Field("trips", description="Dataset of the trip tables.")
    bigquery_location: str = Field("US", description="Location of the dataset and its jobs.")
    postgres_host: str = Field("127.0.0.1", description="Postgres server.")
    postgres_port: int = Field(5432, description="Its port.")
    postgres_user: str = Field("taxi", description="User that owns the trip tables.")
    postgres_password: SecretStr = Field(SecretStr(""), description="That user's password.")
    postgres_database: str = Field("taxi", description="Database of the trip tables.")
    postgres_schema: str = Field("trips", description="Schema of the trip tables.")
    retries: int = Field(4, ge=0, description="How often a step is retried after a passing fault.")
    retry_seconds: float = Field(
        2.0, ge=0, description="Wait before the first retry; it doubles, with jitter."
    )
    automation: bool = Field(
        False,
        description="Whether the schedule and the sensors run from the start; else they wait to be "
        "switched on in the UI.",
    )
    lookback_months: int = Field(
        6, ge=1, description="How many of the newest months are looked at for publications."
    )
    schedule_cron: str = Field(
        "0 5 1 * *", description="When the schedule looks for missing months, New York time."
    )
    published_seconds: int = Field(
        1800, ge=1, description="How often the source is asked what it has published."
    )
    lake_seconds: int = Field(
        300, ge=1, description="How often the bucket is looked through for new objects."
    )
    request_again_seconds: int = Field(
        3600,
        ge=1,
        description="Wait before a sensor requests a month again whose run failed for a passing "
        "reason; it doubles, up to a day.",
    )
    ui_url: str | None = Field(
        None, description="Where people reach Dagster's UI, for the links in alerts."
    )
    alert_seconds: int = Field(60, ge=1, description="How often alerts are gathered and sent.")
    overdue_days: int = Field(
        75, ge=1, description="Days after a month's end from which it is overdue, if not loaded."
    )
    alert_webhook_url: SecretStr | None = Field(
        None, description="Slack-compatible webhook that alerts are sent to."
    )
    alert_email_to: str | None = Field(
        None, description="Addresses that alerts are sent to, separated by commas."
    )
    alert_email_from: str = Field("taxi-platform@localhost", description="Their sender.")
    smtp_host: str = Field("127.0.0.1", description="SMTP server of alerts.")
    smtp_port: int = Field(587, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How its connection is encrypted; `none` on trusted networks only."
    )
    smtp_user: str | None = Field(None, description="User of the SMTP server, if it asks for one.")
    smtp_password: SecretStr = Field(SecretStr(""), description="That user's password.")

    retry_deadline_seconds: float = Field(
        1800, ge=0, description="How long after its start a step is still retried."
    )
    request_seconds: float = Field(
        60, gt=0, description="How long a source or a store may be silent before a request fails."
    )

    @field_validator("first_month")
    @classmethod
    def _month(cls, value: str) -> str:
        if not re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", value) or value < "2009-01":
            raise ValueError("give a month from 2009-01, such as 2019-01")
        return value

    @field_validator("alert_webhook_url")
    @classmethod
    def _web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("give an http:// or https:// address")
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _one_environment(self) -> Self:
        stray = [name for name in EMULATOR_VARIABLES if os.environ.get(name)]
        if self.env == "gcp" and stray:
            raise ValueError(
                f"TAXI_ENV is gcp, but {', '.join(stray)} would send trips to an emulator: "
                "unset it, or run 'taxi-platform local down'"
            )
        return self


def load_settings() -> Settings:
    """Reads the environment.

    Raises:
        SettingsError: a variable has a value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{'TAXI_' + str(e['loc'][0]).upper() + ': ' if e['loc'] else ''}"
            f"{e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"settings: {problems}") from None


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
