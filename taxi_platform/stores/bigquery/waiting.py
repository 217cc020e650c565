"""Waiting for a job of BigQuery's."""

import time
from typing import Any

from taxi_platform.errors import TransientStoreError
from taxi_platform.stores.base import Report
from taxi_platform.stores.deadlines import TOTAL_SECONDS

FIRST_POLL_SECONDS = 0.02
LAST_POLL_SECONDS = 2.0


def wait_for(job: Any, what: str, patience: Any, report: Report = lambda _: None) -> None:
    """Polls a job until it has ended.

    The client's own wait sleeps up to a second before it polls for the second time, which is longer
    than a small month takes, and has one timeout for a request and for the whole wait.

    Args:
        job: the job, which has begun.
        what: the kind of job and its subject, for the message.
        patience: the client's retry and timeout.
        report: called with the job's id and state, until it has ended.

    Raises:
        TransientStoreError: it has not ended in time.
    """
    deadline = time.monotonic() + TOTAL_SECONDS
    wait = FIRST_POLL_SECONDS
    while job.state != "DONE":
        if time.monotonic() > deadline:
            raise TransientStoreError(
                f"{what}: BigQuery's job {job.job_id} has not ended for {TOTAL_SECONDS:.0f} s"
            )
        report(f"job {job.job_id} is {job.state}")
        time.sleep(wait)
        wait = min(wait * 1.5, LAST_POLL_SECONDS)
        job.reload(**patience)
