"""Maps Postgres' errors by their SQLSTATE; errors without one have lost the connection."""

from collections.abc import Iterator
from contextlib import contextmanager

import adbc_driver_manager as adbc
import psycopg

from taxi_platform.errors import PermanentStoreError, StoreError, TransientStoreError

_OF_THE_CLIENT = (psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError)
"""Without an SQLSTATE, these are what the client makes of a value or a statement."""

_REFUSED = ("authentication failed", "no password supplied")
"""A refused connection has no SQLSTATE in the client, only these words."""

_ADVICE = {
    "25P03": "the reader of the answer paused for too long; write it to a file with --output",
    "42501": "give the user the right; 'taxi-platform doctor' names what a load needs",
    "53100": "the month is unchanged; free some space",
    "2BP01": "something that depends on the month's table would be lost; make it depend on the "
    "table of all months, or drop it",
}
"""What to do about permanent errors, by their SQLSTATE."""


@contextmanager
def postgres_errors(where: str) -> Iterator[None]:
    """Maps errors of both clients to the two kinds of store error.

    Args:
        where: partition, server and table, for messages.

    Raises:
        KeyboardInterrupt: Ctrl-C ended a statement.
    """
    try:
        yield
    except StoreError:
        raise
    except (psycopg.Error, adbc.Error) as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            # The Arrow driver has a handler of its own, which cancels the statement.
            raise KeyboardInterrupt from error
        raise store_error(error, where) from error


def store_error(error: psycopg.Error | adbc.Error, where: str) -> StoreError:
    """The store error of a Postgres error.

    Args:
        error: what a client raised.
        where: partition, server and table, for the message.
    """
    message = " ".join(str(error).split())
    state = error.sqlstate or ""
    if state.startswith("28") or any(sign in message for sign in _REFUSED):
        return PermanentStoreError(
            f"{where}: the user or password was refused; check TAXI_POSTGRES_USER and "
            "TAXI_POSTGRES_PASSWORD"
        )
    if state.startswith("3D") or ("database" in message and "does not exist" in message):
        return PermanentStoreError(f"{where}: {message}; check TAXI_POSTGRES_DATABASE")
    if "statement pooling" in message:
        return PermanentStoreError(
            f"{where}: {message}; a load is a transaction: set PgBouncer's pool_mode to session or "
            "transaction"
        )
    if state in _ADVICE:
        return PermanentStoreError(f"{where}: {message}; {_ADVICE[state]}")
    if isinstance(error, _OF_THE_CLIENT) and not state:
        return PermanentStoreError(f"{where}: {message}")
    return _by_state(state, message, where)


def _by_state(state: str, message: str, where: str) -> StoreError:
    if state == "42804":
        return TransientStoreError(
            f"{where}: another run added columns while the month was copied; the month is unchanged"
        )
    if state == "25006":
        return TransientStoreError(
            f"{where}: the server is read-only ({message}), as a standby is after a failover; its "
            "data is unchanged. If that lasts, check TAXI_POSTGRES_HOST, and "
            "default_transaction_read_only of the server, the database and the user"
        )
    if state == "57014":
        return _canceled(message, where)
    if not state or state[:2] in ("08", "40", "53", "55", "57", "58"):
        return TransientStoreError(
            f"{where}: cannot be reached or is busy ({message}); its data is unchanged. Is it "
            "up ('taxi-platform local up' starts the embedded one)?"
        )
    return PermanentStoreError(f"{where}: {message}; its data is unchanged")


def _canceled(message: str, where: str) -> StoreError:
    if "statement timeout" in message:
        return PermanentStoreError(
            f"{where}: the server's statement_timeout is too short for this ({message}); its data "
            "is unchanged. Raise it for this user: ALTER ROLE … SET statement_timeout = 0"
        )
    return TransientStoreError(
        f"{where}: somebody canceled the statement on the server ({message}); its data is unchanged"
    )
