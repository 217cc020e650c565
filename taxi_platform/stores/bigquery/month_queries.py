"""Query jobs whose rows are a month of a derived table."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from taxi_platform.stores.base import MonthQuery, Relation
from taxi_platform.stores.bigquery.loads import LoadJobs
from taxi_platform.stores.bigquery.types import standard_type
from taxi_platform.stores.relations import with_clause
from taxi_platform.trips.schema import DATA_FILE_MONTH

if TYPE_CHECKING:
    from google.cloud import bigquery


def run_queries(
    month: date,
    relations: Mapping[str, Relation],
    queries: Sequence[MonthQuery],
    version: str,
    jobs_of: Callable[[MonthQuery], LoadJobs],
) -> "list[tuple[bigquery.QueryJob, int]]":
    """Runs all queries side by side, each into its partition.

    Args:
        month: first day of the month.
        relations: what the queries may name.
        queries: the queries.
        version: of what they read.
        jobs_of: returns the jobs into the table of a query, which exists then.

    Returns:
        The job of each query, and its rows.
    """
    started = []
    for query in queries:
        jobs = jobs_of(query)
        started.append((jobs, jobs.start_query(_statement(month, relations, query), version)))
    return [(job, jobs.finish_query(job)) for jobs, job in started]


def _statement(month: date, relations: Mapping[str, Relation], query: MonthQuery) -> str:
    """The query with its columns in their types, and the month's column."""
    columns = [
        f"CAST({field.name} AS {standard_type(field.type)}) AS {field.name}"
        for field in query.schema
        if field.name != DATA_FILE_MONTH
    ]
    columns.append(f"DATE '{month}' AS {DATA_FILE_MONTH}")
    # The names are those of the schema.
    statement = f"SELECT {', '.join(columns)} FROM ({query.sql.strip()}) AS answer"  # noqa: S608
    return with_clause(relations, statement)
