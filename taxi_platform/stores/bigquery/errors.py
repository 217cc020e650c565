"""Errors of BigQuery's jobs."""

from contextlib import AbstractContextManager


def bigquery_errors(subject: object, table: str) -> AbstractContextManager[None]:
    """Maps errors of the client and of jobs to the two kinds of store error.

    Args:
        subject: the partition, for messages.
        table: the table or partition in BigQuery, for messages.
    """
    # Imported here: Google's clients are slow to import.
    from taxi_platform.stores.google_errors import google_errors

    return google_errors(subject, f"BigQuery, {table}")
