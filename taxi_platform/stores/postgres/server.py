"""A Postgres server: its address, its user, and connections to it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg import conninfo

from taxi_platform.stores.postgres.settings import PostgresSettings

if TYPE_CHECKING:
    # Imported where it is used: it imports pandas, and polars if that is installed.
    from adbc_driver_manager import dbapi

CONNECT_SECONDS = 10


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
            application_name="taxi_platform",
        )

    def connect(self) -> psycopg.Connection:
        """A connection that commits as it goes.

        The advisory lock of a month outlives transactions, and a table that is made must be there
        for other months at once.
        """
        return psycopg.connect(self.conninfo, autocommit=True)

    def connect_arrow(self, *, autocommit: bool) -> "dbapi.Connection":
        """An Arrow connection."""
        from adbc_driver_postgresql import dbapi

        return dbapi.connect(self.conninfo, autocommit=autocommit)
