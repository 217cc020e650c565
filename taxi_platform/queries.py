"""Questions of people to the two tables' stores, through the stores' own clients.

For looking, in `taxi-platform query` and the demo; assets read a month through their IO managers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from taxi_platform.settings import Settings
from taxi_platform.stores.errors import PermanentStoreError


@dataclass(frozen=True)
class Answer:
    """Column names, the first rows, and whether there are more."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: bool


LOOK = " Is the stack up ('taxi-platform local up' starts it), or the network?"

Ask = Callable[[Settings, str, int], Answer]
"""Settings, a statement, and how many rows to bring."""


def ask_postgres(chosen: Settings, statement: str, limit: int) -> Answer:
    """Asks Postgres, in a transaction that cannot write.

    Raises:
        PermanentStoreError: Postgres cannot be reached, or refuses the statement.
    """
    import psycopg

    from taxi_platform.resources.postgres import PostgresResource

    server = PostgresResource.of(chosen).get_server()
    try:
        with psycopg.connect(server.conninfo) as connection:
            connection.read_only = True
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchmany(limit + 1) if cursor.description else []
            names = [column.name for column in cursor.description or []]
    except psycopg.Error as error:
        message = " ".join(str(error).split())
        if isinstance(error, psycopg.OperationalError):
            message += LOOK
        raise PermanentStoreError(f"Postgres at {server.address}: {message}") from error
    return Answer(names, rows[:limit], len(rows) > limit)


def ask_bigquery(chosen: Settings, statement: str, limit: int) -> Answer:
    """Asks BigQuery.

    Raises:
        PermanentStoreError: BigQuery cannot be reached, or refuses the statement.
    """
    import requests
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    from taxi_platform.resources.bigquery import TripBigQueryResource
    from taxi_platform.stores.bigquery import NO_RETRY

    resource = TripBigQueryResource.of(chosen)
    try:
        with resource.get_client() as client:
            result = client.query_and_wait(
                statement,
                max_results=limit + 1,
                api_timeout=chosen.request_seconds,
                retry=NO_RETRY,
                job_retry=NO_RETRY,
            )
            rows = [tuple(row) for row in result]
            names = [field.name for field in result.schema]
    except (GoogleAPIError, GoogleAuthError, requests.RequestException) as error:
        message = str(getattr(error, "message", error)).splitlines()[0]
        if isinstance(error, requests.RequestException):
            message += LOOK
        raise PermanentStoreError(f"BigQuery: {message}") from error
    return Answer(names, rows[:limit], len(rows) > limit)
