"""Changes of a table while it is being read: readers never wait behind them for long."""

import random
import time
from collections.abc import Sequence

import psycopg
from psycopg import errors, sql

from taxi_platform.errors import PermanentStoreError, TransientStoreError
from taxi_platform.stores.postgres.server import local_settings

LOCK_WAIT_MS = 400
"""How long a change may wait in the table's lock queue, where readers wait behind it."""

CHANGE_SECONDS = 300
"""How long a change is tried before the step fails, to be retried."""

STATEMENT_SECONDS = 10
"""How long one statement of a change may take, while readers wait."""

CHANGED = "TX001"
"""The SQLSTATE of a change's own check, if the table is not as it was."""


def commit_quickly(
    connection: psycopg.Connection,
    address: str,
    vacuumed: sql.Composable | None,
    change: Sequence[sql.Composable],
) -> None:
    """Executes the last statements of a transaction and commits it, all in one message.

    The server needs nothing more of the client to release the locks, so a client that is stopped
    or dies does not hold them. A try gives up its place in the lock queue after ``LOCK_WAIT_MS``,
    so that readers never wait behind it; then the next follows.

    Args:
        connection: in a transaction.
        address: partition, server and table, for messages.
        vacuumed: names the tables that autovacuum may be working on, for ``LOCK TABLE``. It only
            lets go of a table after another has waited for ``deadlock_timeout``, so this waits
            with a lock that readers do not mind.
        change: the statements.

    Raises:
        PermanentStoreError: a statement took too long.
        TransientStoreError: the table was locked for ``CHANGE_SECONDS``, or is not as it was.
    """
    message = _message(connection, vacuumed, change)
    deadline = time.monotonic() + CHANGE_SECONDS
    wait = 0.05
    while True:
        try:
            connection.execute(message)
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            if time.monotonic() > deadline:
                raise TransientStoreError(
                    f"{address} was locked by long queries for {CHANGE_SECONDS} s; it is unchanged"
                ) from error
        except errors.QueryCanceled as error:
            if "statement timeout" not in str(error):
                raise
            raise PermanentStoreError(
                f"{address}: a change that keeps readers waiting took longer than "
                f"{STATEMENT_SECONDS} s and was undone. Has the table a default partition? Every "
                "change searches it: detach it"
            ) from error
        except psycopg.Error as error:
            if error.sqlstate != CHANGED:
                raise
            raise TransientStoreError(
                f"{address} was changed by somebody else meanwhile; the month is unchanged"
            ) from error
        else:
            return
        connection.execute("ROLLBACK TO SAVEPOINT change")
        _pause(wait)
        wait = min(wait * 2, 5.0)


def _pause(seconds: float) -> None:
    """Lets waiting readers have their turn."""
    time.sleep(random.uniform(seconds / 2, seconds))  # noqa: S311


def _message(
    connection: psycopg.Connection,
    vacuumed: sql.Composable | None,
    change: Sequence[sql.Composable],
) -> sql.Composed:
    parts: list[sql.Composable] = [sql.SQL("SAVEPOINT change")]
    if vacuumed is not None:
        row = connection.execute(
            "SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'"
        ).fetchone()
        patience = (row[0] if row else 1_000) + 1_000
        parts += [
            local_settings(lock_timeout=f"{patience}ms"),
            sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(vacuumed),
        ]
    parts += [
        local_settings(lock_timeout=f"{LOCK_WAIT_MS}ms", statement_timeout=f"{STATEMENT_SECONDS}s"),
        *change,
        sql.SQL("COMMIT"),
    ]
    return sql.SQL("; ").join(parts)
