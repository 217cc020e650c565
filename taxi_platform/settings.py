"""Every environment variable of the platform, typed; a store's own are in the store's package.

They are read when the code location or a command starts. Google's own variables
(``STORAGE_EMULATOR_HOST``, ``BIGQUERY_EMULATOR_HOST``, application default credentials) are read by
Google's clients; here they are only checked against ``TAXI_ENV``.
"""

import os
import re
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, InstanceOf, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from taxi_platform.broker import broker_at
from taxi_platform.environment import prepare_dagster_process
from taxi_platform.errors import SettingsError
from taxi_platform.landing.zone import LandingZone
from taxi_platform.sources.address import parts_of
from taxi_platform.sources.download_limits import DOWNLOAD_BYTES, DOWNLOAD_SECONDS
from taxi_platform.sources.template import SourceTemplate
from taxi_platform.stores.base import StoreType, TableStore
from taxi_platform.stores.gcs.client import bucket_zone
from taxi_platform.stores.gcs.settings import GCSSettings
from taxi_platform.stores.registry import STORES
from taxi_platform.stores.settings import StoreSettings
from taxi_platform.trips.month import parse_month
from taxi_platform.trips.types import TRIP_TYPES, default_colors

GCS = "gcs"

LANDING_CACHE_BYTES = 20 << 30
"""Some two years of both colors: published, cleaned and rejected."""

NEW_YORK = ZoneInfo("America/New_York")
"""In which the TLC's months end."""

_MAIL_ADDRESS = re.compile(r"[!-+\--?A-~]+@[A-Za-z0-9.\-\[\]:]+")
EMULATOR_VARIABLES = ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")


class Settings(BaseSettings):
    """The platform's settings; a field is read from the variable ``TAXI_`` plus its name."""

    model_config = SettingsConfigDict(
        env_prefix="TAXI_", extra="ignore", frozen=True, populate_by_name=True
    )

    env: Literal["local", "gcp"] = Field(
        "local", description="`local` uses the embedded stack, `gcp` the real cloud."
    )
    data_dir: Path = Field(
        Path(".taxi/data"), description="Folder of the published, cleaned and rejected files."
    )
    landing: Literal["folder", "bucket"] = Field(
        "folder",
        description="Where these files are kept: `folder`, or for several hosts `bucket`, with the "
        "folder as each host's cache.",
    )
    landing_cache_bytes: int = Field(
        LANDING_CACHE_BYTES, ge=0, description="How large that cache may become."
    )
    compute_logs: Literal["folder", "bucket"] = Field(
        "folder",
        description="Where what steps print is kept: `folder`, which is DAGSTER_HOME's, or for "
        "several hosts `bucket`.",
    )
    first_month: str = Field("2019-01", description="First month of the partitions.")
    source_url: Annotated[InstanceOf[SourceTemplate], NoDecode] = Field(
        SourceTemplate("tlc"),
        description="`tlc`, `mirror`, `synthetic`, or an http(s):// or file:// template with "
        "{color}, {month} and, if you like, {year}. Messages leave out user, password and query.",
    )
    colors: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=default_colors,
        description="Trip types that are loaded, separated by commas.",
    )
    stores: Annotated[tuple[str, ...], NoDecode] = Field(
        ("bigquery", "gcs", "postgres"),
        description="Stores that are loaded, separated by commas. A store that loads from GCS "
        "includes `gcs`.",
    )
    retries: int = Field(
        4, ge=0, description="How often a step is retried after a transient fault."
    )
    retry_seconds: float = Field(
        2.0,
        ge=0,
        allow_inf_nan=False,
        description="Wait before the first retry; it doubles, with jitter.",
    )
    automation: bool = Field(
        False,
        description="Whether the schedule and the sensors are running by default; otherwise switch "
        "them on in the UI.",
    )
    lookback_months: int = Field(
        6, ge=1, description="How many of the newest months are checked for new versions."
    )
    schedule_cron: str = Field(
        "0 5 1 * *", description="When the schedule checks for missing months, New York time."
    )
    published_seconds: int = Field(
        1800, ge=1, description="Seconds between the ticks of the sensor of published months."
    )
    gcs_seconds: int = Field(
        300, ge=1, description="Seconds between the ticks of the sensors of GCS objects."
    )
    request_again_seconds: int = Field(
        3600,
        ge=1,
        description="Wait before a sensor requests a month again after its run failed with a "
        "transient fault; it doubles, up to a day.",
    )
    ui_url: str | None = Field(
        None, description="Address of Dagster's UI, for the links in alerts."
    )
    alert_seconds: int = Field(
        60, ge=1, description="Seconds between the ticks of the alert sensors."
    )
    overdue_days: int = Field(
        75, ge=1, description="Days after its end when a month that is not loaded is overdue."
    )
    alert_webhook_url: SecretStr | None = Field(
        None, description="Slack-compatible webhook for alerts."
    )
    alert_email_to: str | None = Field(
        None, description="Recipients of alerts, separated by commas."
    )
    alert_email_from: str = Field("taxi-platform@localhost", description="Their sender.")
    smtp_host: str = Field("127.0.0.1", description="SMTP server for alerts.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How its connection is encrypted; `none` on trusted networks only."
    )
    smtp_user: str | None = Field(None, description="User of the SMTP server, if it requires one.")
    smtp_password: SecretStr = Field(SecretStr(""), description="That user's password.")

    celery_broker: SecretStr | None = Field(
        None,
        description="Address of the Redis through which workers are given runs; without it, runs "
        "are processes of the code server.",
    )
    queue: str = Field("dagster", description="Queue from which a worker takes runs.")
    kubernetes_runs: int | None = Field(
        None,
        ge=1,
        description="How many runs there may be at once as Jobs of Kubernetes; without it, runs "
        "are processes of the code server.",
    )
    retry_deadline_seconds: float = Field(
        1800,
        ge=0,
        allow_inf_nan=False,
        description="Seconds after its start when a step is no longer retried.",
    )
    request_seconds: float = Field(
        60,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a request waits for a silent source or store before it fails.",
    )
    download_seconds: float = Field(
        DOWNLOAD_SECONDS,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that an attempt of a download may take; with "
        "TAXI_RETRY_DEADLINE_SECONDS, less than the maximum runtime in dagster.yaml.",
    )
    download_bytes: int = Field(
        DOWNLOAD_BYTES, ge=1, description="Size that a published file may have."
    )
    # Not read from the environment by these names: no variable has a blank in its name.
    gcs: GCSSettings = Field(
        default_factory=lambda: GCSSettings(), validation_alias="settings of GCS"
    )
    tables: Mapping[str, StoreSettings] = Field(
        default_factory=lambda: {name: store.settings() for name, store in STORES.items()},
        validation_alias="settings of stores",
    )

    @field_validator("first_month")
    @classmethod
    def _month(cls, value: str) -> str:
        parse_month(value)
        if value >= f"{datetime.now(NEW_YORK):%Y-%m}":
            raise ValueError(f"{value} has not ended yet: there would be no partitions")
        return value

    @field_validator("source_url", mode="before")
    @classmethod
    def _source(cls, value: object) -> object:
        return SourceTemplate(value) if isinstance(value, str) else value

    @field_validator("schedule_cron")
    @classmethod
    def _cron(cls, value: str) -> str:
        if value == cls.model_fields["schedule_cron"].default:
            return value
        from taxi_platform.dagster_internals import is_cron_schedule

        if not is_cron_schedule(value):
            raise ValueError(f"{value!r} is no cron schedule: give five fields, such as 0 5 1 * *")
        return value

    @field_validator("alert_email_to", "alert_email_from")
    @classmethod
    def _mail_addresses(cls, value: str | None) -> str | None:
        for address in map(str.strip, (value or "").split(",")):
            if address and not _MAIL_ADDRESS.fullmatch(address):
                raise ValueError(
                    f"{address!r} is no mail address: give addresses such as taxi@example.org, "
                    "separated by commas"
                )
        return value

    @field_validator("ui_url")
    @classmethod
    def _ui_address(cls, value: str | None) -> str | None:
        if value:
            _require_web_address(value)
        return value or None

    @field_validator("alert_webhook_url")
    @classmethod
    def _web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        _require_web_address(value.get_secret_value())
        return value

    @field_validator("celery_broker")
    @classmethod
    def _broker(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value and value.get_secret_value() else None

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if str(value) == ".":
            raise ValueError("give a folder; leave it out for .taxi/data")
        try:
            return value.expanduser().absolute()
        except RuntimeError as error:
            raise ValueError(f"{value}: {error}") from None

    @field_validator("colors", "stores", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, tuple | list):
            return value
        # In alphabetical order: in another order, a range of partitions selects nothing.
        return tuple(sorted({str(name).strip() for name in names} - {""}))

    @field_validator("colors")
    @classmethod
    def _known_colors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _one_or_more(value, TRIP_TYPES)

    @field_validator("stores")
    @classmethod
    def _known_stores(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        chosen = _one_or_more(value, [*STORES, GCS])
        needs_gcs = any(STORES[name].reads_gcs for name in chosen if name in STORES)
        return tuple(sorted({*chosen, GCS})) if needs_gcs else chosen

    @model_validator(mode="after")
    def _one_environment(self) -> Self:
        stray = [name for name in EMULATOR_VARIABLES if os.environ.get(name)]
        if self.env == "gcp" and stray:
            raise ValueError(
                f"TAXI_ENV is gcp, but {', '.join(stray)} would send trips to an emulator: "
                "unset it, or run 'taxi-platform local down'"
            )
        return self

    @property
    def uses_gcs(self) -> bool:
        """Whether months are uploaded to GCS."""
        return GCS in self.stores

    @property
    def table_stores(self) -> list[StoreType]:
        """The table stores in use, in alphabetical order."""
        return [STORES[name] for name in self.stores if name in STORES]

    def landing_zone(self) -> LandingZone:
        """The landing zone."""
        if self.landing == "folder":
            return LandingZone(self.data_dir)
        return bucket_zone(self.data_dir, self.gcs, self.landing_cache_bytes)

    def open_store(self, name: str) -> AbstractContextManager[TableStore]:
        """A store by name, open within a ``with`` block."""
        return STORES[name].open(self.tables[name])

    def secrets(self) -> list[str]:
        """Every secret value of the settings, to be redacted from messages."""
        parts = (self, self.gcs, *self.tables.values())
        found = [secret for part in parts for secret in _secrets(part)]
        if self.celery_broker is not None:
            found += broker_at(self.celery_broker.get_secret_value()).secrets
        return found + self.source_url.secrets()


def _require_web_address(address: str) -> None:
    parts = parts_of(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("give an http:// or https:// address")


def _one_or_more(names: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{', '.join(unknown)} is none of {', '.join(sorted(known))}")
    if not names:
        raise ValueError(f"name at least one of {', '.join(sorted(known))}")
    return names


def _secrets(part: BaseSettings) -> list[str]:
    values = [getattr(part, name) for name in type(part).model_fields]
    return [v.get_secret_value() for v in values if isinstance(v, SecretStr) and v]


def variable_of(part: type[BaseSettings], field: str) -> str:
    """The environment variable that a field of some settings is read from."""
    alias = part.model_fields[field].validation_alias
    return str(alias) if alias else f"{part.model_config.get('env_prefix', '')}{field}".upper()


def load_settings() -> Settings:
    """Reads the environment.

    Raises:
        SettingsError: a variable has a value that cannot be used.
    """
    prepare_dagster_process()
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(f"settings: {'; '.join(_problems(error))}") from None


def _problems(error: ValidationError) -> list[str]:
    parts: dict[str, type[BaseSettings]] = {p.__name__: p for p in (Settings, GCSSettings)}
    parts |= {store.settings.__name__: store.settings for store in STORES.values()}
    part = parts.get(error.title)
    found = []
    for problem in error.errors(include_input=False, include_url=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        known = part is not None and field in part.model_fields
        variable = variable_of(part, field) if part is not None and known else field
        said = problem["msg"].removeprefix("Value error, ")
        found.append(f"{variable}: {said}" if variable else said)
    return found
