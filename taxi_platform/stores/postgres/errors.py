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


@contextmanager
def postgres_errors(where: str) -> Iterator[None]:
    """Maps errors of both clients to the two kinds of store error.

    Args:
        where: partition, server and table, for messages.
    """
    try:
        yield
    except StoreError:
        raise
    except (psycopg.Error, adbc.Error) as error:
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
    if state == "42804":
        return TransientStoreError(
            f"{where}: another run added columns while the month was copied; the month is unchanged"
        )
    if state.startswith("42501"):
        return PermanentStoreError(f"{where}: {message}; give the user the right")
    if state == "53100":
        return PermanentStoreError(f"{where}: {message}; the month is unchanged; free some space")
    if isinstance(error, _OF_THE_CLIENT) and not state:
        return PermanentStoreError(f"{where}: {message}")
    if not state or state[:2] in ("08", "40", "53", "55", "57", "58"):
        return TransientStoreError(
            f"{where}: cannot be reached or is busy ({message}); its data is unchanged. Is it "
            "up ('taxi-platform local up' starts the embedded one)?"
        )
    return PermanentStoreError(f"{where}: {message}; the month is unchanged")
