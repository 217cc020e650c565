"""Dagster's own storage in Postgres, with pooled connections.

dagster-postgres opens a connection for every statement: some 150 for a run of five assets, 5 ms
each, and asks the catalogue over and over which tables and columns there are. Here each storage
keeps one connection, checks that it lives before it is used, and opens more only while they are
needed at once. ``dagster.yaml`` names this class; everything else is dagster-postgres.

Nor is Postgres connected to before something is asked: commands that only look at the definitions
(``dg list defs``, ``dg check defs``) work without it.
"""

import logging
import math
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Self

import click
from dagster import DagsterInvalidConfigError, Permissive
from dagster._config import process_config, resolve_to_config_type
from dagster._core.storage.config import pg_config
from dagster._core.storage.defs_state.base import DEFS_STATE_INFO_CURSOR_KEY
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
)
from sqlalchemy import event

from taxi_platform.environment import prepare_dagster_process
from taxi_platform.errors import SettingsError

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy.engine import Connection, Dialect

IDLE_SECONDS = 600
"""A connection older than this is replaced before its next use: firewalls drop idle ones."""

PATIENCE_SECONDS = (0.2, 0.4, 0.8, 1.6)
"""Waits between the attempts to connect: a server may be about to start, or full."""

CONNECT_SECONDS = 10
"""How long a server may say nothing. By default libpq waits for ever, also when interrupted."""

_CONNECTION = {
    "connect_timeout": CONNECT_SECONDS,
    # Connections are kept: Linux would notice after two hours that the server's host is gone.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}

SAY_AGAIN_SECONDS = 60.0
"""While there is no server, a process logs so once in this time, however often it is asked."""

SERVERS = {"dagster dev", "dagster-daemon run", "dagster-webserver", "dg dev"}
"""Commands that serve: without the storage they refuse to start, instead of failing later."""

NOWHERE = "postgresql://"
"""The address if none is configured."""

REMEDY = (
    "run 'taxi-platform local up', and this command in the folder with its .env; or set the "
    "TAXI_POSTGRES_* variables and TAXI_DAGSTER_POSTGRES_DATABASE of your server"
)


class StorageUnavailableError(click.ClickException):
    """Dagster's storage cannot be reached; the message says why, and what to do.

    What Dagster's commands let through of click's, they end with: one line, and no traceback.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"Dagster's records cannot be reached ({why}): {REMEDY}")


def _connect_patiently(
    dialect: "Dialect", _record: Any, arguments: Sequence[Any], parameters: Mapping[str, Any]
) -> Any:
    """Connects in SQLAlchemy's place.

    Without it, a server that goes away while a UI or a daemon runs would fill their logs with
    "too many retries for DB connection".

    Raises:
        StorageUnavailableError: there is no server to connect to, or it refuses.
    """
    driver = dialect.loaded_dbapi
    given_up = time.monotonic() + CONNECT_SECONDS
    for seconds in (*PATIENCE_SECONDS, None):
        try:
            return driver.connect(*arguments, **{**_CONNECTION, **parameters})
        except driver.OperationalError as error:
            if seconds is None or time.monotonic() >= given_up:
                unavailable = StorageUnavailableError(" ".join(str(error).split()))
                _say_it_once_a_minute(unavailable.message)
                raise unavailable from error
            time.sleep(seconds)
    raise AssertionError("unreachable")


_last_said = -math.inf


def _say_it_once_a_minute(message: str) -> None:
    global _last_said
    if time.monotonic() - _last_said > SAY_AGAIN_SECONDS:
        _last_said = time.monotonic()
        logging.getLogger("dagster").error(message)


_KEEPING: "weakref.WeakSet[_KeptConnection]" = weakref.WeakSet()


class _KeptConnection:
    """A storage of dagster-postgres that connects on first use, and keeps the connection.

    Attributes:
        making_tables: the same storage of dagster-postgres' own, which makes its tables when it is
            made.
    """

    making_tables: ClassVar[Callable[..., Any]]
    postgres_url: str
    _token_provider: Any
    _engine: Any

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool,
        token_provider: Any,
        unset: str | None,
    ) -> None:
        self._unset = unset
        self._true: set[str] = set()  # asked for already
        self._makes_tables = should_autocreate_tables
        self._connected = False
        self._connecting = threading.Lock()
        # What makes tables also looks for them, now.
        super().__init__(postgres_url, False, None, token_provider)  # type: ignore[call-arg]
        self._engine = create_pg_engine(
            self.postgres_url,
            self._token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=-1,
            # A server that was restarted meanwhile must not fail the run.
            pool_pre_ping=True,
            pool_recycle=IDLE_SECONDS,
        )
        event.listen(self._engine, "do_connect", _connect_patiently)
        _KEEPING.add(self)

    def first_connect(self) -> None:
        """Connects, and creates the tables if there are none.

        Raises:
            StorageUnavailableError: there is no server to connect to.
        """
        with self._connecting:
            if self._connected:
                return
            if self._unset:
                raise StorageUnavailableError(f"{self._unset} is not set")
            self._engine.connect().close()
            if self._makes_tables:
                self.making_tables(self.postgres_url, True, None, self._token_provider).dispose()
            self._connected = True

    def dispose(self) -> None:
        """Closes the kept connections."""
        self._engine.dispose()
        super().dispose()  # type: ignore[misc]

    def forget_connection(self) -> None:
        """Drops a connection of the parent process, without closing it there."""
        self._engine.dispose(close=False)

    def _once_true(self, question: str, ask: Callable[[], bool]) -> bool:
        """Caches existing tables and columns only; a migration may add missing ones."""
        if question not in self._true and ask():
            self._true.add(question)
        return question in self._true


def _forget_connections() -> None:
    for storage in _KEEPING:
        storage.forget_connection()


# Two processes that share one connection would read each other's responses.
os.register_at_fork(after_in_child=_forget_connections)


class PooledRunStorage(_KeptConnection, PostgresRunStorage):
    """Runs."""

    making_tables = PostgresRunStorage

    def connect(self) -> "AbstractContextManager[Connection]":
        """See ``PostgresRunStorage``."""
        self.first_connect()
        return super().connect()

    def get_cursor_values(self, keys: set[str]) -> Mapping[str, str]:
        """See ``SqlRunStorage``. Without a database, definitions have no stored state."""
        try:
            return super().get_cursor_values(keys)
        except StorageUnavailableError:
            if keys == {DEFS_STATE_INFO_CURSOR_KEY}:
                return {}
            raise

    def has_run_stats_index_cols(self) -> bool:
        """See ``SqlRunStorage``."""
        return self._once_true("run_stats", super().has_run_stats_index_cols)

    def has_backfill_id_column(self) -> bool:
        """See ``SqlRunStorage``."""
        return self._once_true("backfill_id", super().has_backfill_id_column)


class PooledEventLogStorage(_KeptConnection, PostgresEventLogStorage):
    """Events."""

    making_tables = PostgresEventLogStorage

    def _connect(self) -> "AbstractContextManager[Connection]":
        self.first_connect()
        return super()._connect()

    def has_table(self, table_name: str) -> bool:
        """See ``PostgresEventLogStorage``."""
        ask = super().has_table
        return self._once_true(f"table {table_name}", lambda: ask(table_name))

    def has_asset_key_col(self, column_name: str) -> bool:
        """See ``SqlEventLogStorage``."""
        ask = super().has_asset_key_col
        return self._once_true(f"asset_keys {column_name}", lambda: ask(column_name))


class PooledScheduleStorage(_KeptConnection, PostgresScheduleStorage):
    """Schedules, sensors and their ticks."""

    making_tables = PostgresScheduleStorage

    def connect(self, run_id: str | None = None) -> "AbstractContextManager[Connection]":
        """See ``PostgresScheduleStorage``."""
        self.first_connect()
        return super().connect(run_id)


class PooledPostgresStorage(DagsterPostgresStorage):
    """All three, configured like dagster-postgres' own."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: "ConfigurableClassData | None" = None,
        token_provider: Any = None,
        unset: str | None = None,
    ) -> None:
        """Makes all three.

        Args:
            postgres_url: the database.
            should_autocreate_tables: whether to make tables where there are none.
            inst_data: the configuration that it comes from.
            token_provider: see ``DagsterPostgresStorage``.
            unset: the environment variable that the address lacks, if one does.
        """
        # What this makes is not used: tables are looked for by those that take their place.
        super().__init__(postgres_url, False, inst_data, token_provider)
        options = (postgres_url, should_autocreate_tables, token_provider, unset)
        self._run_storage = PooledRunStorage(*options)
        self._event_log_storage = PooledEventLogStorage(*options)
        self._schedule_storage = PooledScheduleStorage(*options)
        command = click.get_current_context(silent=True)
        if command is not None and command.command_path in SERVERS:
            self._run_storage.first_connect()

    @classmethod
    def config_type(cls) -> Any:
        """Any config: ``from_config_value`` validates it, and accepts unset variables."""
        return Permissive()

    @classmethod
    def from_config_value(
        cls, inst_data: "ConfigurableClassData | None", config_value: Mapping[str, Any]
    ) -> Self:
        """See ``DagsterPostgresStorage``."""
        try:
            # Before the variables of dagster.yaml are read, just below.
            prepare_dagster_process()
        except SettingsError as error:
            raise click.ClickException(str(error)) from None
        result = process_config(resolve_to_config_type(pg_config()), config_value)
        if result.success and result.value is not None:
            return cls(
                pg_url_from_config(result.value),
                result.value.get("should_autocreate_tables", True),
                inst_data,
                get_token_provider_from_config(result.value),
            )
        said = " ".join(error.message for error in result.errors or [])
        unset = re.search(r'environment variable "(\w+)" which is not set', said)
        if unset is None:
            raise DagsterInvalidConfigError(
                "The storage of dagster.yaml:", result.errors, config_value
            )
        return cls(NOWHERE, False, inst_data, unset=unset[1])
