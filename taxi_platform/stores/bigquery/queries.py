"""Queries of users: they only read, and end when their user ends them."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.answers import BATCH_ROWS
from taxi_platform.stores.base import Answer
from taxi_platform.stores.bigquery.errors import bigquery_errors
from taxi_platform.stores.bigquery.types import answer_schema
from taxi_platform.stores.bigquery.waiting import wait_for

if TYPE_CHECKING:
    from google.cloud import bigquery


@contextmanager
def answer(
    client: "bigquery.Client", address: str, statement: str, limit: int | None, patience: Any
) -> Iterator[Answer]:
    """What a statement that only reads answers; pages are requested one after another.

    Args:
        client: of BigQuery.
        address: project and dataset, for messages.
        statement: the SQL.
        limit: at most so many rows; no more are fetched. None for all.
        patience: the client's retry and timeout.

    Raises:
        PermanentStoreError: the statement does more than read; it was not run.
        TransientStoreError: it has not ended in time.
    """
    # Not around the block: what its reader raises is not BigQuery's.
    with bigquery_errors("query", address):
        rows = _run(client, address, statement, limit, patience)
    yield Answer(answer_schema(rows.schema), _pages(rows, address))


def _run(
    client: "bigquery.Client", address: str, statement: str, limit: int | None, patience: Any
) -> Any:
    require_reading(client, address, statement, patience)
    job_id = f"taxi_query_{uuid.uuid4().hex}"
    try:
        job = client.query(statement, job_id=job_id, job_retry=None, **patience)
        wait_for(job, f"query: {address}", patience)
        page = BATCH_ROWS if limit is None else min(limit, BATCH_ROWS)
        return job.result(max_results=limit, page_size=page, job_retry=None, **patience)
    except BaseException:
        # The job outlives its client. It may have ended, or not have begun.
        with suppress(Exception):
            client.cancel_job(job_id, **patience)
        raise


def _pages(rows: Any, address: str) -> Iterator[list[tuple[Any, ...]]]:
    pages = rows.pages
    while True:
        with bigquery_errors("query", address):
            page = next(pages, None)
        if page is None:
            return
        yield [tuple(row) for row in page]


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
