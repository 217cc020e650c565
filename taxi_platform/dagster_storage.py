"""Dagster's own storage in Postgres, over connections that are kept.

dagster-postgres opens a connection for every statement: some 150 for a run of five assets, 5 ms
each, and asks the catalogue over and over which tables and columns there are. Here each storage
keeps one connection, checks that it lives before it is used, and opens more only while they are
needed at once. ``dagster.yaml`` names this class; everything else is dagster-postgres.
"""

import os
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

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

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData

IDLE_SECONDS = 600
"""A connection older than this is replaced before its next use: firewalls forget idle ones."""

_KEEPING: "weakref.WeakSet[_KeptConnection]" = weakref.WeakSet()


class _KeptConnection:
    """A storage of dagster-postgres that keeps a connection."""

    postgres_url: str
    _token_provider: Any
    _engine: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._true: set[str] = set()  # asked for already while the tables are made
        super().__init__(*args, **kwargs)
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
        _KEEPING.add(self)

    def dispose(self) -> None:
        """Closes what is kept."""
        self._engine.dispose()
        super().dispose()  # type: ignore[misc]

    def forget_connection(self) -> None:
        """Lets a connection go that belongs to the parent process, without closing it there."""
        self._engine.dispose(close=False)

    def _once_true(self, question: str, ask: Callable[[], bool]) -> bool:
        """Tables and columns that are there stay; one that is missing may come by a migration."""
        if question not in self._true and ask():
            self._true.add(question)
        return question in self._true


def _forget_connections() -> None:
    for storage in _KEEPING:
        storage.forget_connection()


# Two processes that talk over one connection would read each other's answers.
os.register_at_fork(after_in_child=_forget_connections)


class PooledRunStorage(_KeptConnection, PostgresRunStorage):
    """Runs."""

    def has_run_stats_index_cols(self) -> bool:
        """See ``SqlRunStorage``."""
        return self._once_true("run_stats", super().has_run_stats_index_cols)

    def has_backfill_id_column(self) -> bool:
        """See ``SqlRunStorage``."""
        return self._once_true("backfill_id", super().has_backfill_id_column)


class PooledEventLogStorage(_KeptConnection, PostgresEventLogStorage):
    """Events."""

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


class PooledPostgresStorage(DagsterPostgresStorage):
    """All three, configured like dagster-postgres' own."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: "ConfigurableClassData | None" = None,
        token_provider: Any = None,
    ) -> None:
        # What this makes is not used: tables are looked for by those that take their place.
        super().__init__(postgres_url, False, inst_data, token_provider)
        options = (postgres_url, should_autocreate_tables, None, token_provider)
        self._run_storage = PooledRunStorage(*options)
        self._event_log_storage = PooledEventLogStorage(*options)
        self._schedule_storage = PooledScheduleStorage(*options)

    @classmethod
    def from_config_value(
        cls, inst_data: "ConfigurableClassData | None", config_value: Mapping[str, Any]
    ) -> Self:
        """See ``DagsterPostgresStorage``."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )
