"""Whatever is killed, and whenever: every store shows the old month or the new one, whole.

The process that does the work kills itself with SIGKILL at a named point. Then every store is asked
what it holds, the same partition is run again, and the new month must be there, exactly, with
nothing left over.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from taxi_platform.landing.atomic_files import sha256_of
from taxi_platform.marts.definitions import MARTS
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.synthetic import write_synthetic_month
from taxi_platform_tests.conftest import PROJECT, EmbeddedStack
from taxi_platform_tests.sources.publisher import Publisher, running_publisher

pytestmark = [pytest.mark.faults, pytest.mark.integration]

MONTH = TripMonth.from_key("green|2024-08")
NAME = "kill_test"
ROWS = (70_000, 72_000)
"""Of the two publications that take turns; more than one batch of a COPY."""

FILES = "taxi_platform.landing.zone"
ATOMIC = "taxi_platform.landing.atomic_files"
WRITER = "taxi_platform.landing.parquet_writer"
DOWNLOAD = "taxi_platform.landing.download"
CHECKS = "taxi_platform.landing.expectations"
GCS_ROOM = "taxi_platform.stores.gcs.objects"
BIGQUERY = "taxi_platform.stores.bigquery.store"
JOBS = "taxi_platform.stores.bigquery.loads"
POSTGRES = "taxi_platform.stores.postgres.store"
EXCHANGE = "taxi_platform.stores.postgres.loads"
CHILD = "taxi_platform.stores.postgres.child"
MARTING = "taxi_platform.marts.loading"
MONTHS = "taxi_platform.stores.postgres.months"
BLOB = "google.cloud.storage.blob:Blob"
HTTP = "http.client:HTTPConnection"

Step = tuple[str, str, int]

KILL_POINTS: dict[str, list[Step]] = {
    "before the download": [("taxi_platform.sources.http_source:HttpSource.fetch", "call", 1)],
    "mid-download": [
        (
            "taxi_platform.assets.trips:raw_trips.<locals>.<lambda>",
            "call",
            4,
        )
    ],
    "downloaded, not verified": [(f"{DOWNLOAD}:_verify", "call", 1)],
    "verified, not published": [(f"{FILES}:LandingZone.publish_raw", "call", 1)],
    "before the rename of the raw file": [
        (f"{ATOMIC}:publish", "call", 1),
        (f"{ATOMIC}:_rename", "call", 1),
    ],
    "after the rename of the raw file": [
        (f"{ATOMIC}:publish", "call", 1),
        ("pathlib:Path.replace", "return", 1),
    ],
    "after the download, before its record": [(f"{DOWNLOAD}:land", "return", 1)],
    "before cleaning": [(f"{FILES}:LandingZone.write_cleaned", "call", 1)],
    "mid-clean": [(f"{WRITER}:RowGroupWriter.write", "call", 3)],
    "cleaned, not on the disk": [(f"{ATOMIC}:_flush", "call", 2)],
    "before the rename of the rejects": [(f"{ATOMIC}:_rename", "call", 2)],
    "between the renames of rejects and cleaned file": [(f"{ATOMIC}:_rename", "return", 2)],
    "after the rename of the cleaned file": [(f"{ATOMIC}:_rename", "return", 3)],
    "in the checks of the cleaned month": [(f"{CHECKS}:_rows_conserved", "call", 1)],
    "before the upload": [(f"{GCS_ROOM}:GCSTrips.upload", "call", 1)],
    "mid-upload": [
        (f"{BLOB}.upload_from_file", "call", 1),
        # The first carries the headers.
        (f"{HTTP}.send", "return", 1),
    ],
    "after the upload, before it is verified": [(f"{BLOB}.upload_from_file", "return", 1)],
    "after the upload, before its record": [(f"{GCS_ROOM}:GCSTrips.upload", "return", 1)],
    "before the load job": [(f"{JOBS}:LoadJobs.load_object", "call", 1)],
    "load job sent, no answer yet": [
        ("google.cloud.bigquery.client:Client.load_table_from_uri", "call", 1),
        (f"{HTTP}.getresponse", "call", 1),
    ],
    "during the load job": [(f"{JOBS}:LoadJobs._wait_for", "call", 1)],
    "after the load job": [(f"{JOBS}:LoadJobs._wait_for", "return", 1)],
    "after the load job, before its record": [
        (f"{BIGQUERY}:BigQueryStore.replace_month", "return", 1)
    ],
    "in BigQuery's check": [(f"{BIGQUERY}:BigQueryStore.totals", "call", 1)],
    "before Postgres": [(f"{POSTGRES}:PostgresStore.replace_month", "call", 1)],
    "with the writer's lock": [(f"{MONTHS}:find_place", "call", 1)],
    "before the COPY": [(f"{CHILD}:_create", "return", 1)],
    "mid-COPY": [(f"{CHILD}:_encoded", "call", 4)],
    "after the COPY, before the index": [(f"{CHILD}:copy_rows", "return", 1)],
    "after the index, before the swap": [(f"{EXCHANGE}:_exchange", "call", 1)],
    "the swap sent, no answer yet": [
        (f"{EXCHANGE}:_exchange", "call", 1),
        ("psycopg._cursor_base:BaseCursor._execute_send", "return", 2),
    ],
    "after the swap, before it is known": [(f"{EXCHANGE}:_exchange", "return", 1)],
    "after the swap, before its record": [(f"{POSTGRES}:PostgresStore.replace_month", "return", 1)],
}


@dataclass(frozen=True)
class Holdings:
    """What each place holds of the month, as its own client sees it."""

    raw: str
    cleaned: str
    gcs: str
    bigquery: tuple[int, float]
    postgres: tuple[int, float]


MART_POINTS: dict[str, list[Step]] = {
    "a query job sent, no answer yet": [
        (f"{JOBS}:LoadJobs.start_query", "call", 3),
        (f"{HTTP}.getresponse", "call", 1),
    ],
    "between two query jobs": [(f"{JOBS}:LoadJobs.finish_query", "return", 2)],
    "while Postgres computes": [
        ("taxi_platform.stores.postgres.month_queries:answered", "call", 1),
        ("psycopg.connection:Connection.execute", "return", 2),
    ],
    "in the exchange of a mart": [(f"{EXCHANGE}:_exchange", "call", 3)],
    "between two marts": [(f"{EXCHANGE}:_exchange", "return", 4)],
    "after the marts, before their views": [
        ("taxi_platform.marts.loading:ensure_views", "call", 1)
    ],
}

MartRows = frozenset[tuple[object, ...]]


@dataclass
class Worker:
    """A process that forks for each order; see ``kill_worker``."""

    process: subprocess.Popen[str]

    def run(self, kill: list[Step] | None = None, what: str = "trips") -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(
            json.dumps({"partition": MONTH.key, "what": what, "kill": kill or []}),
            file=self.process.stdin,
            flush=True,
        )
        return int(self.process.stdout.readline())


class Places:
    """All places of the month, asked behind the platform's back."""

    def __init__(self, stack: EmbeddedStack, data: Path) -> None:
        self.stack = stack
        self.data = data
        e = stack.environment
        self.bigquery = bigquery.Client(
            project=e["TAXI_GCP_PROJECT"],
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": e["BIGQUERY_EMULATOR_HOST"]},
        )
        self.gcs = storage.Client(
            project="test",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": e["STORAGE_EMULATOR_HOST"]},
        )

    def hold(self) -> Holdings:
        totals = "SELECT COUNT(*), SUM(total_amount) FROM {}.green_trips"
        with psycopg.connect(self.stack.postgres().conninfo) as connection:
            in_postgres = connection.execute(totals.format(NAME).encode()).fetchone()
        in_bigquery = next(iter(self.bigquery.query_and_wait(totals.format(NAME))))
        blob = self.gcs.bucket(NAME).get_blob(f"data/green/{MONTH.stem}.parquet")
        assert in_postgres is not None
        assert blob is not None
        return Holdings(
            raw=sha256_of(self.data / "raw" / "green" / f"{MONTH.stem}.parquet"),
            cleaned=sha256_of(self.data / "cleaned" / "green" / f"{MONTH.stem}.parquet"),
            gcs=blob.crc32c,
            bigquery=(in_bigquery[0], round(in_bigquery[1], 2)),
            postgres=(in_postgres[0], round(in_postgres[1], 2)),
        )

    def marts(self) -> dict[str, MartRows]:
        """The rows of each mart in each store."""
        found: dict[str, MartRows] = {}
        with psycopg.connect(self.stack.postgres().conninfo) as connection:
            for mart in MARTS.values():
                # Without the time that a query of trips took.
                names = ", ".join(column.name for column in mart.columns)
                query = f"SELECT {names} FROM {NAME}.{mart.table('green')}"
                rows = connection.execute(query.encode()).fetchall()
                found[f"postgres {mart.name}"] = frozenset(rows)
                answer = self.bigquery.query_and_wait(query)
                found[f"bigquery {mart.name}"] = frozenset(tuple(row) for row in answer)
        return found

    def leftovers(self) -> list[str]:
        """What is not the month's files, tables and objects."""
        expected = {
            self.data / kind / "green" / f"{MONTH.stem}.parquet"
            for kind in ("raw", "cleaned", "rejected")
        }
        expected.add(self.data / "raw" / "green" / f"{MONTH.stem}.source.json")
        files = {str(p) for p in self.data.rglob("*") if p.is_file() and p not in expected}
        with psycopg.connect(self.stack.postgres().conninfo) as connection:
            rows = connection.execute(
                "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE nspname = %s AND relkind IN ('r', 'p')",
                [NAME],
            ).fetchall()
        ours = ["green_trips", *(mart.table("green") for mart in MARTS.values())]
        tables = {name for (name,) in rows} - {n for t in ours for n in (t, f"{t}_2024_08")}
        objects = {b.name for b in self.gcs.list_blobs(NAME)} - {f"data/green/{MONTH.stem}.parquet"}
        return sorted(files | tables | objects)


@pytest.fixture(scope="module")
def places(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    there = Places(stack, tmp_path_factory.mktemp("data"))
    there.gcs.create_bucket(NAME)
    yield there
    there.bigquery.close()
    there.gcs.close()


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    with running_publisher() as running:
        yield running


@pytest.fixture(scope="module")
def worker(stack: EmbeddedStack, places: Places, publisher: Publisher) -> Iterator[Worker]:
    with subprocess.Popen(
        [sys.executable, "-m", "taxi_platform_tests.faults.kill_worker"],
        cwd=PROJECT,
        env=stack.environ(
            TAXI_SOURCE_URL=publisher.template,
            TAXI_DATA_DIR=str(places.data),
            TAXI_GCS_BUCKET=NAME,
            TAXI_BIGQUERY_DATASET=NAME,
            TAXI_POSTGRES_SCHEMA=NAME,
            TAXI_RETRIES="0",
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Worker(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def publications(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    bodies = []
    for rows in ROWS:
        path = tmp_path_factory.mktemp("published") / "month"
        write_synthetic_month(MONTH, path, rows)
        bodies.append(path.read_bytes())
    return bodies


class Turns:
    """Two publications of the month, and what every place holds when one of them is loaded."""

    def __init__(
        self, worker: Worker, places: Places, publisher: Publisher, bodies: list[bytes]
    ) -> None:
        self._publisher = publisher
        self._bodies = bodies
        self.holdings: list[Holdings] = []
        for which in (0, 1):
            self.publish(which)
            assert worker.run() == 0
            self.holdings.append(places.hold())
        self.current = 1

    def publish(self, which: int) -> None:
        # A version of its own, so that no half of one is continued with the other's rest.
        self._publisher.publish(
            f"{MONTH.stem}.parquet", self._bodies[which], etag=f'"version {which}"'
        )


@pytest.fixture(scope="module")
def turns(worker: Worker, places: Places, publisher: Publisher, publications: list[bytes]) -> Turns:
    return Turns(worker, places, publisher, publications)


@pytest.mark.parametrize("point", KILL_POINTS)
def test_a_run_that_is_killed_leaves_every_store_whole_and_the_next_completes_it(
    worker: Worker, places: Places, turns: Turns, point: str
) -> None:
    old, new = turns.holdings[turns.current], turns.holdings[1 - turns.current]
    turns.publish(1 - turns.current)
    assert worker.run(KILL_POINTS[point]) == -signal.SIGKILL, "the point was not reached"
    found = places.hold()
    for place, holds in vars(found).items():
        assert holds in (getattr(old, place), getattr(new, place)), place
    assert worker.run() == 0
    assert places.hold() == new
    assert places.leftovers() == []
    turns.current = 1 - turns.current


@pytest.fixture(scope="module")
def mart_turns(worker: Worker, places: Places, turns: Turns) -> list[dict[str, MartRows]]:
    """The marts of both publications; the stores hold those of the current one afterwards."""
    found: dict[int, dict[str, MartRows]] = {}
    for _ in (0, 1):
        turns.current = 1 - turns.current
        turns.publish(turns.current)
        assert worker.run() == 0
        assert worker.run(what="marts") == 0
        found[turns.current] = places.marts()
    return [found[0], found[1]]


@pytest.mark.parametrize("point", MART_POINTS)
def test_marts_whose_run_is_killed_are_each_the_old_one_or_the_new_one_and_the_next_run_completes(
    worker: Worker,
    places: Places,
    turns: Turns,
    mart_turns: list[dict[str, MartRows]],
    point: str,
) -> None:
    old, new = mart_turns[turns.current], mart_turns[1 - turns.current]
    turns.current = 1 - turns.current
    turns.publish(turns.current)
    assert worker.run() == 0
    assert worker.run(MART_POINTS[point], "marts") == -signal.SIGKILL, "the point was not reached"
    for mart, rows in places.marts().items():
        assert rows in (old[mart], new[mart]), mart
    assert worker.run(what="marts") == 0
    assert places.marts() == new
    assert places.leftovers() == []


def test_the_marts_of_the_two_publications_differ(mart_turns: list[dict[str, MartRows]]) -> None:
    first, second = mart_turns
    assert all(first[mart] != second[mart] for mart in first)


def test_the_two_publications_differ_in_every_place(turns: Turns) -> None:
    first, second = turns.holdings
    assert all(getattr(first, place) != getattr(second, place) for place in vars(first))


def test_the_points_are_many_and_lie_in_every_step() -> None:
    assert len(KILL_POINTS) >= 20
    modules = {step[0].split(":")[0] for steps in KILL_POINTS.values() for step in steps}
    rooms = {part for module in modules for part in module.split(".")}
    assert {"sources", "landing", "atomic_files", "gcs", "bigquery", "postgres"} <= rooms
