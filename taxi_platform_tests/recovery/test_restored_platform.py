"""A platform that lost its database server and its disk, and goes on from a backup."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from dagster import AssetRecordsFilter, DagsterInstance, RunsFilter

from taxi_platform.assets.keys import RAW
from taxi_platform.automation.months import UNFINISHED, newest_months
from taxi_platform.local.dagster_home import make_dagster_tables, prepare_dagster_home
from taxi_platform.settings import load_settings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform.trips.zones import synthetic_zones
from taxi_platform_tests.automation.unattended import (
    UnattendedPlatform,
    wait_until,
    with_environment,
)
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack, free_port, inherited_environment
from taxi_platform_tests.faults.month_runs import in_postgres, tables_in
from taxi_platform_tests.faults.own_postgres import OwnPostgres, own_postgres
from taxi_platform_tests.recovery.scripts import postgres_variables, script, script_environment
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

pytestmark = [pytest.mark.daemon, pytest.mark.integration, pytest.mark.timeout(900)]

SCHEMA = "trips"
READER = "reader_of_trips"
OBJECTS = f"""
CREATE VIEW {SCHEMA}.trips_by_zone AS
  SELECT pickup_location_id, count(*) AS trips FROM {SCHEMA}.green_trips GROUP BY 1;
COMMENT ON VIEW {SCHEMA}.trips_by_zone IS 'for the dashboard';
GRANT USAGE ON SCHEMA {SCHEMA} TO {READER};
GRANT SELECT ON {SCHEMA}.trips_by_zone, {SCHEMA}.green_trips TO {READER};
"""


@contextmanager
def platform_on(
    own: OwnPostgres, folder: Path, publisher: Publisher
) -> Iterator[UnattendedPlatform]:
    """Dagster's processes, which tests start, on a cluster and in a folder of their own."""
    home = folder / "home"
    home.mkdir(parents=True)
    port = free_port()
    (folder / "dagster.yaml").write_bytes((PROJECT / "dagster.yaml").read_bytes())
    (folder / "workspace.yaml").write_text(
        "load_from:\n  - grpc_server:\n"
        f"      host: 127.0.0.1\n      port: {port}\n      location_name: taxi_platform\n"
    )
    variables = postgres_variables(own) | {
        "DAGSTER_HOME": str(home),
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_STORES": "postgres",
        "TAXI_COLORS": "green",
        "TAXI_SOURCE_URL": publisher.template,
        "TAXI_PUBLISHED_SECONDS": "5",
        "TAXI_RETRY_SECONDS": "0.05",
        "TAXI_POSTGRES_SCHEMA": SCHEMA,
        "PYTHONWARNINGS": "ignore",
    }
    environment = inherited_environment() | variables
    prepare_dagster_home(home, folder)
    with with_environment(environment):
        instance = DagsterInstance.from_config(str(home))
    with instance:
        stack = EmbeddedStack(folder, variables)
        running = UnattendedPlatform(stack, folder, environment, instance, port)
        try:
            yield running
        finally:
            running.stop()


def start(platform: UnattendedPlatform, *, automation: bool) -> None:
    platform.environment["TAXI_AUTOMATION"] = str(automation).lower()
    platform.start_code_server()
    platform.start_daemon()


def loads(platform: UnattendedPlatform, month: TripMonth) -> int:
    """How often a month was downloaded and recorded."""
    chosen = AssetRecordsFilter(asset_key=RAW, asset_partitions=[month.key])
    return len(platform.instance.fetch_materializations(chosen, limit=10).records)


def is_idle(platform: UnattendedPlatform) -> bool:
    return not platform.instance.get_runs(RunsFilter(statuses=UNFINISHED))


def cursor_of(platform: UnattendedPlatform, sensor: str) -> str | None:
    """What a sensor remembers."""
    for state in platform.instance.all_instigator_state():
        if state.instigator_name == sensor:
            data = state.instigator_data
            return data.cursor if data else None  # type: ignore[union-attr]
    return None


def last_tick(platform: UnattendedPlatform, sensor: str) -> float:
    for state in platform.instance.all_instigator_state():
        if state.instigator_name == sensor:
            return float(state.instigator_data.last_tick_timestamp or 0)  # type: ignore[union-attr]
    return 0.0


def publish(publisher: Publisher, folder: Path, month: TripMonth, rows: int) -> None:
    path = folder / f"{month.stem}_{rows}.parquet"
    write_synthetic_month(month, path, rows)
    publisher.publish(f"{month.stem}.parquet", path.read_bytes(), etag=f'"{rows}"')


def give_objects(own: OwnPostgres) -> None:
    with psycopg.connect(own.conninfo) as connection:
        connection.execute(OBJECTS.encode())


def create_reader(own: OwnPostgres) -> None:
    with own.administrator() as connection:
        connection.execute(f"CREATE ROLE {READER}".encode())


def marts(own: OwnPostgres, month: TripMonth) -> dict[str, int]:
    """Rows of the month in each table that has the months' column."""
    with psycopg.connect(own.conninfo) as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid "
            "WHERE relnamespace = %s::regnamespace AND relkind = 'p' "
            "AND attname = 'data_file_month'",
            [SCHEMA],
        ).fetchall()
        found = {}
        for (name,) in names:
            query = f"SELECT count(*) FROM {SCHEMA}.{name} WHERE data_file_month = %s"
            row = connection.execute(query.encode(), [month.month]).fetchone()
            assert row
            found[name] = row[0]
    return found


def test_a_platform_goes_on_from_its_backup_on_another_server(tmp_path: Path) -> None:
    green = [month for month in newest_months(load_settings()) if month.color == "green"]
    third, second, first = green[:3]
    published, backups = tmp_path / "published", tmp_path / "backups"
    published.mkdir()
    lost, found = tmp_path / "lost", tmp_path / "found"
    for folder in (lost, found):
        folder.mkdir()
    with running_publisher() as publisher:
        publisher.publish("taxi_zone_lookup.csv", synthetic_zones())
        publish(publisher, published, first, 700)
        publish(publisher, published, second, 800)

        with own_postgres(lost) as own:
            create_reader(own)
            with platform_on(own, lost / "host", publisher) as platform:
                make_dagster_tables(platform.environment, platform.folder)
                start(platform, automation=True)
                wait_until(lambda: loads(platform, first) and loads(platform, second), 240)
                wait_until(lambda: is_idle(platform), 240)
                give_objects(own)
                contents = {m: in_postgres(own.conninfo, SCHEMA, m.key) for m in (first, second)}
                in_marts = {m: marts(own, m) for m in (first, second)}
                tables = tables_in(own.conninfo, SCHEMA)
                cursor = cursor_of(platform, "published_months")
                assert cursor is not None
                assert second.key in cursor
                environment = script_environment(own)
                made = script("backup", str(backups), environment=environment)
                assert made.returncode == 0, made.stderr
                publish(publisher, published, third, 900)
                wait_until(lambda: loads(platform, third), 240)
                wait_until(lambda: is_idle(platform), 240)
                assert in_postgres(own.conninfo, SCHEMA, third.key)[0] > 0
        assert all(rows > 0 for rows, _ in contents.values())
        assert len(in_marts[first]) > 1

        with own_postgres(found) as own:
            (backup,) = backups.iterdir()
            environment = script_environment(own)
            no_role = script("restore", str(backup), environment=environment)
            assert (no_role.returncode, READER in no_role.stderr) == (1, True)
            assert tables_in(own.conninfo, SCHEMA) == []
            create_reader(own)
            restored = script("restore", str(backup), environment=environment)
            assert restored.returncode == 0, restored.stderr

            assert tables_in(own.conninfo, SCHEMA) == tables
            assert {m: in_postgres(own.conninfo, SCHEMA, m.key) for m in contents} == contents
            assert {m: marts(own, m) for m in contents} == in_marts
            with own.administrator() as connection:
                row = connection.execute(
                    "SELECT obj_description('trips.trips_by_zone'::regclass), "
                    "has_table_privilege(%(who)s, 'trips.green_trips', 'SELECT'), "
                    "has_table_privilege(%(who)s, 'trips.trips_by_zone', 'SELECT'), "
                    "(SELECT sum(trips) FROM trips.trips_by_zone)",
                    {"who": READER},
                ).fetchone()
            assert row == ("for the dashboard", True, True, sum(n for n, _ in contents.values()))

            with platform_on(own, found / "host", publisher) as platform:
                assert cursor_of(platform, "published_months") == cursor
                assert [loads(platform, m) for m in (first, second, third)] == [1, 1, 0]
                doctor = platform.command("doctor")
                assert doctor.returncode == 0, doctor.stdout + doctor.stderr

                start(platform, automation=False)
                months = ("--from", first.year_month, "--to", third.year_month)
                command = ("backfill", "--color", "green", *months)
                missing = platform.command(*command, "--missing-only")
                assert missing.returncode == 0, missing.stdout + missing.stderr
                assert "of 1 month" in missing.stdout
                assert [loads(platform, m) for m in (first, second, third)] == [1, 1, 1]
                assert {m: in_postgres(own.conninfo, SCHEMA, m.key) for m in contents} == contents
                assert in_postgres(own.conninfo, SCHEMA, third.key)[0] > 0
                assert "nothing to do" in platform.command(*command, "--missing-only").stdout

                platform.stop()
                ticked = last_tick(platform, "published_months")
                start(platform, automation=True)
                wait_until(lambda: last_tick(platform, "published_months") > ticked + 5, 240)
                wait_until(lambda: is_idle(platform), 240)
                assert [loads(platform, m) for m in (first, second, third)] == [1, 1, 1]

                publish(publisher, published, first, 720)
                wait_until(lambda: loads(platform, first) == 2, 240)
                wait_until(lambda: is_idle(platform), 240)
                rows, _ = in_postgres(own.conninfo, SCHEMA, first.key)
                assert rows > contents[first][0]
                assert platform.command("doctor").returncode == 0
