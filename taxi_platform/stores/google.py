"""What GCS and BigQuery share: the variables of Google's clients, and whether they are emulated."""

import os
from typing import Any, Literal

from pydantic import Field

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.settings import StoreSettings

REQUEST_SECONDS = 60.0

NO_RETRY: Any = None
"""Google's clients accept None and do not retry then, which their type hints do not say."""


class GoogleSettings(StoreSettings):
    """The variables that every Google client goes by."""

    environment: Literal["local", "gcp"] = Field("local", validation_alias="TAXI_ENV")
    project: str | None = Field(
        None,
        validation_alias="TAXI_GCP_PROJECT",
        description="Google Cloud project; by default that of the credentials.",
    )
    request_seconds: float = Field(
        REQUEST_SECONDS, gt=0, allow_inf_nan=False, validation_alias="TAXI_REQUEST_SECONDS"
    )


def is_emulated(environment: str, variable: str) -> bool:
    """Whether a client is meant for the embedded stack, whose address a variable holds.

    Raises:
        PermanentStoreError: it is, but the address is not known: without it the client would
            turn to the real cloud.
    """
    if environment != "local":
        return False
    if not os.environ.get(variable):
        raise PermanentStoreError(
            f"the embedded stack is not up ({variable} is not set): run 'taxi-platform local up' "
            "and start from the folder with its .env; for the real cloud set TAXI_ENV=gcp"
        )
    return True
