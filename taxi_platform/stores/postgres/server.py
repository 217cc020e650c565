"""A Postgres server: its address, its user, and connections to it."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg import conninfo, sql
from psycopg.pq import TransactionStatus

from taxi_platform.stores.postgres.settings import PostgresSettings

if TYPE_CHECKING:
    # Imported where it is used: it imports pandas, and polars if that is installed.
    from adbc_driver_manager import dbapi

CONNECT_SECONDS = 10

CANCEL_SECONDS = 5
"""How long an interrupted process tries to cancel its statement."""

_TRANSACTION = {
    # A process that is stopped between two statements gives up its locks.
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "30s",
    # The server notices within two minutes that the client's machine is gone. By default it may
    # take hours, and the month stays locked.
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    "tcp_user_timeout": "120000",
    # Bounds of partitions are read as text.
    "DateStyle": "ISO, YMD",
    # Names of types are compared as text.
    "quote_all_identifiers": "off",
}


@dataclass(frozen=True)
class PostgresServer:
    """A Postgres server and its user.

    Attributes:
        password: is never in messages or in ``repr``.
    """

    host: str
    port: int
    user: str
    password: str
    database: str

    @classmethod
    def of(cls, chosen: PostgresSettings) -> Self:
        """The server of these settings."""
        password = chosen.password.get_secret_value()
        return cls(chosen.host, chosen.port, chosen.user, password, chosen.database)

    def __repr__(self) -> str:
        return f"PostgresServer({self.address})"

    @property
    def address(self) -> str:
        """Server and database for messages: ``host:port/database``, without the password."""
        return f"{self.host}:{self.port}/{self.database}"

    @property
    def conninfo(self) -> str:
        """The connection string for libpq, including the password."""
        return conninfo.make_conninfo(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=self.database,
            connect_timeout=CONNECT_SECONDS,
            # Detects within two minutes that the server's machine is gone.
            keepalives_idle=60,
            keepalives_interval=10,
            keepalives_count=6,
            tcp_user_timeout=120_000,
            client_encoding="UTF8",
            application_name="taxi_platform",
        )

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        """A connection whose every statement is a transaction of its own."""
        with self.connected(autocommit=True) as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        """A connection in a transaction, which is committed at the end of the block.

        Nothing depends on the session, neither settings nor locks: behind a pooler such as
        PgBouncer in transaction mode, the next transaction may be in another session.
        """
        with self.connected(autocommit=False) as connection:
            connection.execute(local_settings(**_TRANSACTION))
            yield connection
            connection.commit()

    @contextmanager
    def connected(self, *, autocommit: bool) -> Iterator[psycopg.Connection]:
        """A connection; if an error or an interrupt ends the block, its statement is canceled."""
        # No prepared statements, which some versions of PgBouncer do not support.
        connection = psycopg.connect(self.conninfo, autocommit=autocommit, prepare_threshold=None)
        try:
            yield connection
        except BaseException:
            with contextlib.suppress(psycopg.Error):
                end_transaction(connection)
            raise
        finally:
            connection.close()

    @contextmanager
    def connect_arrow(self) -> "Iterator[dbapi.Connection]":
        """A connection that reads Arrow, in one transaction."""
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.conninfo, autocommit=False) as connection:
            yield connection


def local_settings(**settings: str) -> sql.Composed:
    """The statement that sets these settings until the transaction ends."""
    return sql.SQL("SELECT {}").format(
        sql.SQL(", ").join(
            sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
            for name, value in settings.items()
        )
    )


def end_transaction(connection: psycopg.Connection) -> None:
    """Lets the server go of what it is doing, for instance after an interrupt.

    If the connection were only closed, the server would finish its statement first.
    """
    status = connection.info.transaction_status
    if status is TransactionStatus.ACTIVE:
        connection.cancel_safe(timeout=CANCEL_SECONDS)
    elif status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        connection.rollback()
