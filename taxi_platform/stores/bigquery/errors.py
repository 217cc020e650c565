"""Errors of BigQuery's jobs. ``stores.google_errors`` maps other errors of Google's clients."""

from collections.abc import Iterator
from contextlib import contextmanager

from taxi_platform.errors import PermanentStoreError, TransientStoreError

_TRANSIENT_JOB_REASONS = (
    "backendError",
    "internalError",
    "rateLimitExceeded",
    "jobRateLimitExceeded",
    "quotaExceeded",
    "stopped",
    "tableUnavailable",
    "timeout",
)


@contextmanager
def bigquery_errors(subject: object, table: str) -> Iterator[None]:
    """Maps errors of the client and of jobs to the two kinds of store error.

    Args:
        subject: the partition, for messages.
        table: the table or partition in BigQuery, for messages.
    """
    from google.api_core import exceptions

    from taxi_platform.stores.google_errors import google_errors

    try:
        with google_errors(subject, f"BigQuery, {table}"):
            yield
    except PermanentStoreError as error:
        cause = error.__cause__
        reasons = {
            e.get("reason")
            for e in getattr(cause, "errors", None) or []
            if isinstance(cause, exceptions.GoogleAPICallError) and isinstance(e, dict)
        }
        if reasons.intersection(_TRANSIENT_JOB_REASONS):
            raise TransientStoreError(str(error)) from cause
        raise
