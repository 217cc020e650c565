"""Queries of users: they only read, and end when their user ends them."""

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.base import Answer
from taxi_platform.stores.bigquery.waiting import wait_for

if TYPE_CHECKING:
    from google.cloud import bigquery


def first_rows(
    client: "bigquery.Client", address: str, statement: str, limit: int, patience: Any
) -> Answer:
    """The first rows of a statement that only reads.

    Args:
        client: of BigQuery.
        address: project and dataset, for messages.
        statement: the SQL.
        limit: at most so many rows; no more are fetched.
        patience: the client's retry and timeout.

    Raises:
        PermanentStoreError: the statement does more than read; it was not run.
        TransientStoreError: it has not ended in time.
    """
    require_reading(client, address, statement, patience)
    job_id = f"taxi_query_{uuid.uuid4().hex}"
    try:
        job = client.query(statement, job_id=job_id, job_retry=None, **patience)
        wait_for(job, f"query: {address}", patience)
        rows = job.result(max_results=limit + 1, job_retry=None, **patience)
        found = [tuple(row) for row in rows]
    except BaseException:
        # The job outlives its client. It may have ended, or not have begun.
        with suppress(Exception):
            client.cancel_job(job_id, **patience)
        raise
    return Answer([column.name for column in rows.schema], found[:limit], len(found) > limit)


def require_reading(client: "bigquery.Client", address: str, statement: str, patience: Any) -> None:
    """Asks BigQuery what a statement does, without running it.

    Raises:
        PermanentStoreError: it does more than read.
    """
    from google.cloud import bigquery

    dry = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
    kind = client.query(statement, job_config=dry, job_retry=None, **patience).statement_type
    if kind != "SELECT":
        raise PermanentStoreError(
            f"query: BigQuery, {address}: this is {kind or 'of an unknown kind'} and not SELECT, "
            "so it was not run. To change tables, use the console or 'bq query'"
        )
