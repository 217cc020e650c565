"""A Postgres of a test's own, which it may stop, start and configure."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from taxi_platform.local import server as servers
from taxi_platform.local.postgres_server import DATABASE, ROLE, EmbeddedPostgres
from taxi_platform.local.state import ServerRecord
from taxi_platform.stores.postgres.server import PostgresServer


@dataclass
class OwnPostgres:
    """A cluster in a folder of its own, always on the same port."""

    local: EmbeddedPostgres
    log: Path
    passwords: dict[str, str]
    records: list[ServerRecord] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.records[-1].port

    def start(self) -> None:
        servers.start(
            self.local,
            log=self.log,
            preferred_port=self.port if self.records else None,
            record=self.records.append,
            report=lambda _: None,
        )

    def stop(self) -> None:
        self.local.stop(self.records[-1].process)

    def at(self, port: int) -> PostgresServer:
        return PostgresServer("127.0.0.1", port, ROLE, self.passwords[ROLE], DATABASE)

    @contextmanager
    def administrator(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of the superuser to the platform's database."""
        with self.local.connect(self.port, DATABASE) as connection:
            yield connection

    @property
    def conninfo(self) -> str:
        return self.at(self.port).conninfo


@contextmanager
def own_postgres(folder: Path) -> Iterator[OwnPostgres]:
    """A running cluster in a folder, with the platform's role and database."""
    place = folder / ".taxi"
    place.mkdir(mode=0o711)
    passwords: dict[str, str] = {}
    local = EmbeddedPostgres(place, passwords, lambda: None)
    own = OwnPostgres(local, place / "postgres.log", passwords)
    try:
        own.start()
        local.ensure_databases(own.port)
        yield own
    finally:
        for record in own.records:
            local.stop(record.process)
        local.delete_data()


def sessions(server: PostgresServer) -> int:
    """How many others of the platform are busy on the server."""
    with psycopg.connect(server.conninfo) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'taxi_platform' "
            "AND pid <> pg_backend_pid() AND state <> 'idle'"
        ).fetchone()
    assert row is not None
    return int(row[0])
