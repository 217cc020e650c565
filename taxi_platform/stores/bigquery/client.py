"""A client of BigQuery, or of the embedded emulator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taxi_platform.stores.bigquery.settings import BigQuerySettings
from taxi_platform.stores.google import is_emulated

if TYPE_CHECKING:
    from google.cloud import bigquery

EMULATOR = "BIGQUERY_EMULATOR_HOST"


@contextmanager
def bigquery_client(chosen: BigQuerySettings) -> "Iterator[bigquery.Client]":
    """The client, with Application Default Credentials in the cloud; closed after the block.

    Raises:
        PermanentStoreError: the embedded stack should be used and is not up, or there are no
            credentials.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    from taxi_platform.stores.google_errors import google_errors

    credentials = AnonymousCredentials() if is_emulated(chosen.environment, EMULATOR) else None
    with google_errors("trips", "BigQuery"):
        client = bigquery.Client(
            project=chosen.project, location=chosen.location, credentials=credentials
        )
    with client:
        yield client


def console_page(environment: str, table: str) -> str | None:
    """The console's page of a table ``project.dataset.table``; None for the emulator, without."""
    if environment == "local":
        return None
    project, dataset, name = table.split(".")
    return (
        f"https://console.cloud.google.com/bigquery?project={project}"
        f"&ws=!1m5!1m4!4m3!1s{project}!2s{dataset}!3s{name}"
    )
