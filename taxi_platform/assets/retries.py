"""The retry policy of steps, the only layer that retries. Stores and clients do not."""

from typing import Any

from dagster import Backoff, Jitter, RetryPolicy

from taxi_platform.io_managers.failures import RETRY_DEADLINE_TAG
from taxi_platform.settings import Settings


def retried(chosen: Settings) -> dict[str, Any]:
    """Arguments for an asset or a check whose transient faults are retried."""
    return {
        "retry_policy": RetryPolicy(
            max_retries=chosen.retries,
            delay=chosen.retry_seconds,
            backoff=Backoff.EXPONENTIAL,
            jitter=Jitter.PLUS_MINUS,
        ),
        "op_tags": {RETRY_DEADLINE_TAG: str(chosen.retry_deadline_seconds)},
    }
