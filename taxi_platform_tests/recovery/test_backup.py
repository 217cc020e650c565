"""The scripts deploy/backup and deploy/restore on small databases: what they keep, and refuse."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from taxi_platform.landing.zone import LandingZone
from taxi_platform.local.postgres_server import DAGSTER_DATABASE, DATABASE, ROLE
from taxi_platform.stores.postgres.store import PostgresStore
from taxi_platform.trips.month import TripMonth
from taxi_platform_tests.automation.unattended import wait_until
from taxi_platform_tests.conftest import PROJECT, inherited_environment
from taxi_platform_tests.faults.own_postgres import OwnPostgres, own_postgres
from taxi_platform_tests.months import cleaned_month
from taxi_platform_tests.recovery.scripts import script, script_environment
from taxi_platform_tests.stores.debian_postgres import debian_postgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MONTH = TripMonth.from_key("green|2023-03")

SCHEMA = 'Trips of "ours"'
"""A name that is neither a pattern nor folded to lower case."""


@dataclass(frozen=True)
class Databases:
    """A cluster with a table in each database, and the scripts that are run on it."""

    own: OwnPostgres
    directory: Path

    def environment(self, **more: str) -> dict[str, str]:
        return script_environment(self.own) | {"TAXI_POSTGRES_SCHEMA": SCHEMA} | more

    def backup(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return script(
            "backup", str(self.directory), *arguments, environment=self.environment(**more)
        )

    def restore(self, backup: Path, **more: str) -> subprocess.CompletedProcess[str]:
        return script("restore", str(backup), environment=self.environment(**more))

    def start_backup(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PROJECT / "deploy" / "backup", self.directory],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Where tests run under nohup, it is ignored by inheritance, and no shell can trap it.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )

    def backups(self) -> list[Path]:
        return sorted(self.directory.glob("taxi-*"))

    def files(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    @contextmanager
    def connect(self, database: str) -> Iterator[psycopg.Connection[Any]]:
        password = self.own.passwords[ROLE]
        with psycopg.connect(
            host="127.0.0.1", port=self.own.port, user=ROLE, password=password, dbname=database
        ) as connection:
            yield connection

    def rows(self, database: str, table: str) -> list[Any]:
        with self.connect(database) as connection:
            found = connection.execute(f"SELECT id FROM {table} ORDER BY id".encode()).fetchall()
        return [number for (number,) in found]

    def empty(self) -> None:
        """Makes both databases anew."""
        with self.own.local.connect(self.own.port) as connection:
            for database in (DATABASE, DAGSTER_DATABASE):
                connection.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())
        self.own.local.ensure_databases(self.own.port)

    def fill(self) -> None:
        with self.connect(DAGSTER_DATABASE) as connection:
            connection.execute("CREATE TABLE runs AS SELECT 1 AS id")
        with self.connect(DATABASE) as connection:
            connection.execute(f"CREATE SCHEMA {quoted(SCHEMA)}".encode())
            connection.execute(f"CREATE TABLE {TRIPS} AS SELECT 1 AS id".encode())
            connection.execute("CREATE SCHEMA others")
            connection.execute("CREATE TABLE others.trips AS SELECT 7 AS id")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


TRIPS = f"{quoted(SCHEMA)}.trips"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    with own_postgres(tmp_path_factory.mktemp("backup")) as own:
        yield own


@pytest.fixture
def databases(cluster: OwnPostgres, tmp_path: Path) -> Databases:
    """Filled databases, and a folder for backups whose name has a space in it."""
    made = Databases(cluster, tmp_path / "of us")
    made.empty()
    made.fill()
    made.directory.mkdir()
    return made


def waiting_dumps(databases: Databases) -> list[Any]:
    with databases.own.local.connect(databases.own.port) as connection:
        return connection.execute(
            "SELECT datname FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'"
        ).fetchall()


def test_what_is_backed_up_is_restored_and_others_schemas_are_not(databases: Databases) -> None:
    made = databases.backup()
    assert made.returncode == 0, made.stderr
    (backup,) = databases.backups()
    assert str(backup) in made.stdout
    files = ["DATABASES", "SHA256SUMS", "dagster.dump", "trips.dump"]
    assert sorted(path.name for path in backup.iterdir()) == files
    assert {p.stat().st_mode & 0o077 for p in (backup, *backup.iterdir())} == {0}
    databases.empty()
    restored = databases.restore(backup)
    assert restored.returncode == 0, restored.stderr
    assert databases.rows(DAGSTER_DATABASE, "runs") == [1]
    assert databases.rows(DATABASE, TRIPS) == [1]
    with pytest.raises(psycopg.errors.UndefinedTable):
        databases.rows(DATABASE, "others.trips")


def test_one_database_for_both_is_restored_too(databases: Databases) -> None:
    with databases.connect(DATABASE) as connection:
        connection.execute("CREATE TABLE runs AS SELECT 2 AS id")
        connection.execute("DROP SCHEMA others CASCADE")
    one = {"TAXI_DAGSTER_POSTGRES_DATABASE": DATABASE}
    assert databases.backup(**one).returncode == 0
    databases.empty()
    restored = databases.restore(databases.backups()[0], **one)
    assert restored.returncode == 0, restored.stderr
    assert databases.rows(DATABASE, "runs") == [2]
    assert databases.rows(DATABASE, TRIPS) == [1]


def test_a_schema_that_is_there_and_empty_is_filled(databases: Databases) -> None:
    """Its user may not be allowed to create schemas."""
    assert databases.backup().returncode == 0
    databases.empty()
    with databases.connect(DATABASE) as connection:
        connection.execute(f"CREATE SCHEMA {quoted(SCHEMA)}".encode())
    restored = databases.restore(databases.backups()[0])
    assert restored.returncode == 0, restored.stderr
    assert databases.rows(DATABASE, TRIPS) == [1]


@pytest.mark.parametrize("database", [DATABASE, DAGSTER_DATABASE])
@pytest.mark.parametrize(
    "kind",
    [
        "TABLE somebodys (id int)",
        "TYPE somebodys AS ENUM ('a')",
        "FUNCTION somebodys() RETURNS int LANGUAGE sql RETURN 1",
    ],
)
def test_a_database_that_is_not_empty_is_refused_by_name(
    databases: Databases, database: str, kind: str
) -> None:
    assert databases.backup().returncode == 0
    databases.empty()
    with databases.connect(database) as connection:
        connection.execute(f"CREATE {kind}".encode())
    refused = databases.restore(databases.backups()[0])
    assert refused.returncode == 1
    assert f"database {database} on 127.0.0.1" in refused.stderr
    assert "public.somebodys" in refused.stderr
    for name in (DATABASE, DAGSTER_DATABASE):
        with databases.connect(name) as connection:
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relname IN ('runs', 'trips')"
            ).fetchall()
        assert tables == []


def test_only_the_newest_backups_are_kept_and_nothing_else_is_touched(
    databases: Databases, tmp_path: Path
) -> None:
    assert databases.backup().returncode == 0
    (first,) = databases.backups()
    old = [databases.directory / f"taxi-2020010{day}T000000Z" for day in range(1, 5)]
    for folder in old:
        shutil.copytree(first, folder)
    others = [databases.directory / name for name in OTHERS]
    for folder in others:
        folder.mkdir()
        (folder / "trips.dump").touch()
        os.utime(folder, (0, 0))
    (others[0] / "DATABASES").write_text("db.example.com:5432 dagster, taxi.trips\n")
    linked = databases.directory / "taxi-20200107T000000Z"
    linked.symlink_to(first)

    failed = databases.backup("2", TAXI_POSTGRES_PASSWORD="wrong")
    assert failed.returncode == 1
    assert all(folder.is_dir() for folder in old)

    wait_until(lambda: not (databases.directory / this_second()).exists(), every=0.1)
    # A folder that is given by a link is cleared too.
    (tmp_path / "link").symlink_to(databases.directory)
    made = script("backup", str(tmp_path / "link"), "3", environment=databases.environment())
    assert made.returncode == 0, made.stderr
    assert [folder.is_dir() for folder in old] == [False, False, False, True]
    assert all(folder.is_dir() for folder in (first, linked, *others))
    assert len(databases.files()) == 3 + 1 + len(others)


OTHERS = (
    # That of another installation, one from before there was a file DATABASES, and what is none.
    *("taxi-20200105T000000Z", "taxi-20200106T000000Z"),
    *("taxi-mine", "taxi-20200101T000000Z.tar", ".unfinished-thesis", ".taxi-backup-of-mine"),
)


def this_second() -> str:
    return time.strftime("taxi-%Y%m%dT%H%M%SZ", time.gmtime())


def test_a_backup_of_a_clock_that_was_ahead_does_not_cost_the_new_one(databases: Databases) -> None:
    assert databases.backup().returncode == 0
    (first,) = databases.backups()
    ahead = first.rename(databases.directory / "taxi-20990101T000000Z")
    made = databases.backup("1")
    assert made.returncode == 0
    assert "taxi-20990101T000000Z is newer than this backup. Was the clock wrong?" in made.stderr
    (new,) = databases.backups()
    assert new != ahead
    assert str(new) in made.stdout


@pytest.mark.parametrize("name", ["new\nline", "-dash", "*", "$HOME `id`"])
def test_the_folder_may_have_any_name(databases: Databases, tmp_path: Path, name: str) -> None:
    precious = tmp_path / "new"
    precious.mkdir()
    (precious / "file").write_text("precious")
    for _ in range(2):
        made = subprocess.run(
            [PROJECT / "deploy" / "backup", name, "1"],
            cwd=tmp_path,
            env=databases.environment(CDPATH="/"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        wait_until(lambda: not (tmp_path / name / this_second()).exists(), every=0.1)
    assert len(list((tmp_path / name).iterdir())) == 1
    assert (precious / "file").exists()


@pytest.mark.parametrize("keep", ["0", "-1", "three", "", "99999999999999999999"])
def test_a_number_of_backups_that_is_none_is_refused(databases: Databases, keep: str) -> None:
    refused = databases.backup(keep)
    assert (refused.returncode, f"KEEP is '{keep}'" in refused.stderr) == (1, True)
    assert databases.files() == []


def test_two_backups_of_one_second_do_not_mix(databases: Databases) -> None:
    with ThreadPoolExecutor(4) as executor:
        made = list(executor.map(lambda _: databases.backup(), range(4)))
    whole = [done for done in made if done.returncode == 0]
    assert whole
    assert len(databases.backups()) == len(databases.files()) == len(whole)
    refused = [done.stderr for done in made if done.returncode != 0]
    assert all("there is a backup" in said for said in refused), refused


def test_the_server_is_that_of_the_settings_whatever_libpq_is_told(
    databases: Databases, tmp_path: Path
) -> None:
    """Also if the script is called by a link."""
    (tmp_path / "nightly").symlink_to(PROJECT / "deploy" / "backup")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        told = {"PGHOSTADDR": "192.0.2.1", "PGPORT": port, "PGDATABASE": "x", "PGUSER": "x"}
        made = subprocess.run(
            [tmp_path / "nightly", databases.directory],
            env=databases.environment(**told),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert made.returncode == 0, made.stderr
    assert len(databases.backups()) == 1


def test_a_reason_that_will_not_pass_is_said_once(databases: Databases) -> None:
    failed = databases.backup(TAXI_POSTGRES_PASSWORD="wrong")
    assert failed.returncode == 1
    assert failed.stderr.count("password authentication failed") == 1
    assert "the database dagster was not dumped" in failed.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_backup_leaves_none_that_looks_whole(
    databases: Databases, stop: signal.Signals
) -> None:
    with databases.connect(DATABASE) as connection:
        connection.execute(f"LOCK TABLE {TRIPS} IN ACCESS EXCLUSIVE MODE".encode())
        process = databases.start_backup()
        family = psutil.Process(process.pid)
        try:
            wait_until(lambda: waiting_dumps(databases), every=0.05)
            (unfinished,) = databases.files()
            assert (databases.directory / unfinished / "dagster.dump").stat().st_size > 0
            if stop is signal.SIGKILL:
                os.killpg(process.pid, stop)
            else:
                process.send_signal(stop)
            process.communicate(timeout=60)
            assert process.returncode in (128 + stop, -stop)
        finally:
            for child in family.children(recursive=True) if family.is_running() else ():
                child.kill()
            process.kill()
            process.communicate()
    assert databases.backups() == []
    if stop is signal.SIGKILL:
        (left,) = databases.files()
        refused = databases.restore(databases.directory / left)
        assert refused.returncode == 1
        assert "no whole backup" in refused.stderr
        a_week_ago = time.time() - 7 * 86_400
        os.utime(databases.directory / left, (a_week_ago, a_week_ago))
        assert databases.backup().returncode == 0
        assert databases.files() == [path.name for path in databases.backups()]
    else:
        assert databases.files() == []
        wait_until(lambda: not waiting_dumps(databases), 10)


def test_what_is_loaded_during_a_backup_may_be_in_the_trips_but_never_in_the_records_alone(
    databases: Databases,
) -> None:
    with databases.connect(DAGSTER_DATABASE) as records, databases.connect(DATABASE) as trips:
        records.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
        process = databases.start_backup()
        wait_until(lambda: waiting_dumps(databases), every=0.05)
        trips.execute(f"INSERT INTO {TRIPS} VALUES (2)".encode())
        trips.commit()
        records.execute("INSERT INTO runs VALUES (2)")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    databases.empty()
    assert databases.restore(databases.backups()[0]).returncode == 0
    assert databases.rows(DATABASE, TRIPS) == [1, 2]
    assert databases.rows(DAGSTER_DATABASE, "runs") == [1]


def test_months_that_are_replaced_meanwhile_are_whole_in_the_backup(
    databases: Databases, tmp_path: Path
) -> None:
    """pg_dump finds child tables that are gone when it comes to lock them."""
    with databases.own.administrator() as connection:
        connection.execute(f"GRANT CREATE ON DATABASE {DATABASE} TO {ROLE}".encode())
    store = PostgresStore(databases.own.at(databases.own.port), "busy")
    versions = [
        cleaned_month(LandingZone(tmp_path / str(rows)), MONTH, rows) for rows in (300, 200)
    ]
    store.replace_month(versions[0])
    stopped = threading.Event()

    def keep_replacing() -> int:
        done = 0
        while not stopped.is_set():
            store.replace_month(versions[done % 2])
            done += 1
            time.sleep(0.1)  # pg_dump has to come through between two of them
        return done

    with ThreadPoolExecutor(1) as executor:
        replacing = executor.submit(keep_replacing)
        try:
            for _ in range(3):
                made = databases.backup(TAXI_POSTGRES_SCHEMA="busy")
                assert made.returncode == 0, made.stderr
                time.sleep(1)  # their names differ by the second
        finally:
            stopped.set()
        replaced = replacing.result(60)
    assert replaced > 3
    for backup in databases.backups():
        databases.empty()
        restored = databases.restore(backup, TAXI_POSTGRES_SCHEMA="busy")
        assert restored.returncode == 0, restored.stderr
        assert store.totals(MONTH) in [version.totals for version in versions]
        store.replace_month(versions[1])
        assert store.totals(MONTH) == versions[1].totals


@contextmanager
def restore_that_waits(
    databases: Databases, backup: Path, database: str
) -> Iterator[subprocess.Popen[str]]:
    """A restore that has begun to fill a database, and cannot go on."""
    with databases.own.local.connect(databases.own.port, database) as connection:
        connection.execute("BEGIN")
        # Whoever creates a table has to write into it.
        connection.execute("LOCK TABLE pg_catalog.pg_class IN SHARE MODE")
        process = subprocess.Popen(
            [PROJECT / "deploy" / "restore", backup],
            env=databases.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
        waiting = "SELECT FROM pg_locks WHERE relation = 'pg_class'::regclass AND NOT granted"
        try:
            wait_until(lambda: connection.execute(waiting).fetchall(), every=0.05)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=60)
            connection.execute("COMMIT")


def test_a_restore_that_is_killed_leaves_the_databases_empty(databases: Databases) -> None:
    assert databases.backup().returncode == 0
    (backup,) = databases.backups()
    databases.empty()
    with restore_that_waits(databases, backup, DATABASE) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    restored = databases.restore(backup)
    assert restored.returncode == 0, restored.stderr
    assert databases.rows(DATABASE, TRIPS) == [1]
    assert databases.rows(DAGSTER_DATABASE, "runs") == [1]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_restore_that_is_told_to_stop_stops_and_says_what_is_there(
    databases: Databases, stop: signal.Signals
) -> None:
    assert databases.backup().returncode == 0
    (backup,) = databases.backups()
    databases.empty()
    with restore_that_waits(databases, backup, DAGSTER_DATABASE) as process:
        (child,) = psutil.Process(process.pid).children()
        process.send_signal(stop)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 128 + stop
        assert not child.is_running(), "it would go on, and commit"
    assert f"The database {DATABASE} has been restored: drop it" in said
    assert databases.rows(DATABASE, TRIPS) == [1]
    with pytest.raises(psycopg.errors.UndefinedTable):
        databases.rows(DAGSTER_DATABASE, "runs")
    again = databases.restore(backup)
    assert again.returncode == 1
    assert "is not empty" in again.stderr


def test_a_role_with_a_short_statement_timeout_restores_everything(databases: Databases) -> None:
    assert databases.backup().returncode == 0
    databases.empty()
    with databases.own.administrator() as connection:
        connection.execute(f"ALTER ROLE {ROLE} SET statement_timeout = '15ms'".encode())
        try:
            restored = databases.restore(databases.backups()[0])
        finally:
            connection.execute(f"ALTER ROLE {ROLE} RESET statement_timeout".encode())
    assert restored.returncode == 0, restored.stderr
    assert databases.rows(DAGSTER_DATABASE, "runs") == [1]


def test_postgresql_15_is_backed_up_and_restored_by_its_own_programs(tmp_path: Path) -> None:
    with debian_postgres(15) as cluster:
        server = cluster.server
        environment = inherited_environment() | {
            "PATH": f"/usr/lib/postgresql/15/bin{os.pathsep}{os.environ['PATH']}",
            "TAXI_POSTGRES_HOST": server.host,
            "TAXI_POSTGRES_PORT": str(server.port),
            "TAXI_POSTGRES_USER": server.user,
            "TAXI_POSTGRES_PASSWORD": server.password,
            "TAXI_POSTGRES_DATABASE": "taxi",
            "TAXI_DAGSTER_POSTGRES_DATABASE": "dagster",
        }
        statements = {
            "taxi": "CREATE SCHEMA trips CREATE TABLE t (id int)",
            "dagster": "CREATE TABLE runs (id int)",
        }
        with psycopg.connect(server.conninfo, autocommit=True) as connection:
            for name, statement in statements.items():
                connection.execute(f"CREATE DATABASE {name}".encode())
                with psycopg.connect(replace(server, database=name).conninfo) as inside:
                    inside.execute(statement.encode())
            made = script("backup", str(tmp_path), environment=environment)
            assert made.returncode == 0, made.stderr
            for name in statements:
                connection.execute(f"DROP DATABASE {name}".encode())
                connection.execute(f"CREATE DATABASE {name}".encode())
        (backup,) = tmp_path.iterdir()
        restored = script("restore", str(backup), environment=environment)
        assert restored.returncode == 0, restored.stderr
        with psycopg.connect(replace(server, database="taxi").conninfo) as inside:
            assert inside.execute("SELECT * FROM trips.t").fetchall() == []


def test_programs_older_than_the_server_are_refused(databases: Databases) -> None:
    programs = Path("/usr/lib/postgresql/15/bin")
    if not programs.is_dir():
        pytest.skip("no PostgreSQL 15: apt-get install postgresql-client-15")
    refused = databases.backup(PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert refused.returncode == 1
    assert "server version mismatch" in refused.stderr
    assert databases.files() == []


def damaged(backup: Path) -> None:
    path = backup / "trips.dump"
    path.write_bytes(path.read_bytes()[:-100])


def half(backup: Path) -> None:
    (backup / "dagster.dump").unlink()


@pytest.mark.parametrize("damage", [damaged, half])
def test_a_damaged_backup_is_refused(databases: Databases, damage: Callable[[Path], None]) -> None:
    assert databases.backup().returncode == 0
    damage(databases.backups()[0])
    databases.empty()
    refused = databases.restore(databases.backups()[0])
    assert refused.returncode == 1
    assert "is damaged" in refused.stderr
    with pytest.raises(psycopg.errors.UndefinedTable):
        databases.rows(DATABASE, TRIPS)


def test_without_postgres_among_the_stores_only_the_records_are_backed_up(
    databases: Databases,
) -> None:
    assert databases.backup(TAXI_STORES="bigquery,gcs").returncode == 0
    assert not (databases.backups()[0] / "trips.dump").exists()
    databases.empty()
    (backup,) = databases.backups()
    refused = databases.restore(backup)
    assert refused.returncode == 1
    assert "has no trips, but Postgres is a store" in refused.stderr
    restored = databases.restore(backup, TAXI_STORES="gcs,bigquery")
    assert restored.returncode == 0, restored.stderr
    assert databases.rows(DAGSTER_DATABASE, "runs") == [1]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_password_may_be_in_a_file(databases: Databases, tmp_path: Path, end: str) -> None:
    secret = tmp_path / "password"
    secret.write_bytes((databases.own.passwords[ROLE] + end).encode())
    files = {"TAXI_POSTGRES_PASSWORD": "wrong", "TAXI_POSTGRES_PASSWORD_FILE": str(secret)}
    assert databases.backup(**files).returncode == 0


def test_no_command_line_shows_the_password(databases: Databases) -> None:
    with databases.connect(DATABASE) as connection:
        connection.execute(f"LOCK TABLE {TRIPS} IN ACCESS EXCLUSIVE MODE".encode())
        process = databases.start_backup()
        wait_until(lambda: waiting_dumps(databases), every=0.05)
        family = psutil.Process(process.pid)
        lines = [" ".join(p.cmdline()) for p in (family, *family.children(recursive=True))]
        connection.rollback()
    process.communicate(timeout=60)
    assert any("pg_dump" in line for line in lines)
    assert not any(databases.own.passwords[ROLE] in line for line in lines)


def test_what_is_missing_is_said(databases: Databases, tmp_path: Path) -> None:
    environment = databases.environment()
    del environment["TAXI_POSTGRES_HOST"]
    said = script("backup", str(tmp_path), environment=environment)
    assert (said.returncode, "TAXI_POSTGRES_HOST is not set" in said.stderr) == (1, True)
    unknown = databases.backup(TAXI_POSTGRES_SCHEMA="nowhere")
    assert unknown.returncode == 1
    assert "no matching schemas" in unknown.stderr
    assert databases.files() == []
