"""A Postgres server: where it is, what its types are called, and what its errors mean.

Which tables there are, and how a month is replaced, is the business of ``postgres``.
"""

from dataclasses import dataclass

import adbc_driver_manager as adbc
import psycopg
import pyarrow as pa
from psycopg import conninfo, sql

from taxi_platform.errors import PermanentStoreError, StoreError, TransientStoreError

CONNECT_SECONDS = 10

_TYPES = {
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.float64(): "double precision",
    pa.string(): "text",
    pa.timestamp("us"): "timestamp without time zone",
    pa.date32(): "date",
}


_REFUSED = ("authentication failed", "no password supplied")
"""A refused connection has no SQLSTATE on the client's side, only these words."""


@dataclass(frozen=True)
class PostgresServer:
    """Where Postgres is and who asks.

    Attributes:
        password: never shown: not in messages, not in ``repr``.
    """

    host: str
    port: int
    user: str
    password: str
    database: str

    def __repr__(self) -> str:
        return f"PostgresServer({self.address})"

    @property
    def address(self) -> str:
        """Server and database for messages: ``host:port/database``, without the password."""
        return f"{self.host}:{self.port}/{self.database}"

    @property
    def conninfo(self) -> str:
        """What libpq needs to connect, the password included."""
        return conninfo.make_conninfo(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=self.database,
            connect_timeout=CONNECT_SECONDS,
            # A server whose machine is gone says nothing any more; it is found out in two minutes.
            keepalives_idle=60,
            keepalives_interval=10,
            keepalives_count=6,
            application_name="taxi_platform",
        )


def postgres_type(arrow: pa.DataType) -> str:
    """What Postgres calls a type of the canonical schema."""
    return _TYPES[arrow]


def column_definitions(schema: pa.Schema) -> sql.Composed:
    """The columns of a table, from its Arrow schema."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(postgres_type(field.type)))
        for field in schema
    )


def postgres_error(error: psycopg.Error | adbc.Error, store: str) -> StoreError:
    """The store error that an error of Postgres is, by its SQLSTATE or by having none.

    Args:
        error: what a client raised.
        store: partition, server and table, for the message.
    """
    message = " ".join(str(error).split())
    state = error.sqlstate or ""
    if state.startswith("28") or any(sign in message for sign in _REFUSED):
        return PermanentStoreError(
            f"{store}: the user or password was refused; check TAXI_POSTGRES_USER and "
            "TAXI_POSTGRES_PASSWORD"
        )
    if state.startswith("3D") or ("database" in message and "does not exist" in message):
        return PermanentStoreError(f"{store}: {message}; check TAXI_POSTGRES_DATABASE")
    if state.startswith("42501"):
        return PermanentStoreError(f"{store}: {message}; give the user the right")
    if state in ("53100",):
        return PermanentStoreError(f"{store}: {message}; the month is as it was; free some space")
    if not state or state[:2] in ("08", "40", "53", "55", "57", "58"):
        return TransientStoreError(
            f"{store}: cannot be reached or is busy ({message}); the month is as it was. Is it "
            "up ('taxi-platform local status')?"
        )
    return PermanentStoreError(f"{store}: {message}; the month is as it was")
