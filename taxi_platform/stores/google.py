"""The common part of GCS and BigQuery: settings of Google's clients, and emulators."""

import os
import re
from typing import Any, Literal

from pydantic import Field, field_validator

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.settings import StoreSettings

REQUEST_SECONDS = 60.0

NO_RETRY: Any = None
"""With None, Google's clients do not retry; their type hints do not allow it."""


class GoogleSettings(StoreSettings):
    """The variables of every Google client."""

    environment: Literal["local", "gcp"] = Field("local", validation_alias="TAXI_ENV")
    project: str | None = Field(
        None,
        validation_alias="TAXI_GCP_PROJECT",
        description="Google Cloud project; by default that of the credentials.",
    )
    request_seconds: float = Field(
        REQUEST_SECONDS, gt=0, allow_inf_nan=False, validation_alias="TAXI_REQUEST_SECONDS"
    )

    @field_validator("project")
    @classmethod
    def _project_id(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[a-z0-9.:-]+", value):
            raise ValueError(f"{value!r} is no project: give its id, not its name")
        return value or None


def is_emulated(environment: str, variable: str) -> bool:
    """Whether a client connects to the embedded stack, at the address in a variable.

    Raises:
        PermanentStoreError: it should, but the variable is not set: the client would connect to
            the real cloud.
    """
    if environment != "local":
        return False
    if not os.environ.get(variable):
        raise PermanentStoreError(
            f"the embedded stack is not up ({variable} is not set): run 'taxi-platform local up' "
            "and start from the folder with its .env; for the real cloud set TAXI_ENV=gcp"
        )
    return True
