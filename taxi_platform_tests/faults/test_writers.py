"""Several writers at once: of one month, which they replace in turn, and of different months."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg
import pytest

from taxi_platform_tests.conftest import EmbeddedStack
from taxi_platform_tests.faults.month_runs import (
    Contents,
    Holdings,
    in_postgres,
    publish,
    tables_in,
    template,
)
from taxi_platform_tests.faults.worker import Worker, workers

pytestmark = [pytest.mark.integration, pytest.mark.faults]

EVERYTHING = ("raw_trips", "cleaned_trips", "gcs_trips", "bigquery_trips", "postgres_trips")
ROUNDS = 20
SCHEMA = "writers"

_rows = count(2_000, 13)


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Worker]]:
    with workers(2) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("months")


@pytest.fixture(scope="module")
def environment(stack: EmbeddedStack, folder: Path) -> dict[str, str]:
    """Both workers' settings: the same landing zone, and tables that are not there yet."""
    return stack.environment | {
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_SOURCE_URL": template(folder / "published"),
        "TAXI_BIGQUERY_DATASET": SCHEMA,
        "TAXI_POSTGRES_SCHEMA": SCHEMA,
    }


@pytest.fixture(scope="module")
def holds(stack: EmbeddedStack) -> Holdings:
    e = stack.environment
    return Holdings(
        e["STORAGE_EMULATOR_HOST"],
        e["TAXI_GCS_BUCKET"],
        e["BIGQUERY_EMULATOR_HOST"],
        SCHEMA,
        e["TAXI_GCP_PROJECT"],
    )


def deadlocks(stack: EmbeddedStack) -> int:
    """How many deadlocks Postgres has had to break."""
    with closing(psycopg.connect(stack.postgres().conninfo, autocommit=True)) as connection:
        row = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def together(pair: list[Worker], partitions: tuple[str, str], environment: dict[str, str]) -> None:
    """Runs a partition in each worker at the same time; both have to end well."""
    for worker, partition in zip(pair, partitions, strict=True):
        worker.send(partition, EVERYTHING, environment)
    for worker in pair:
        answer = worker.answer()
        assert answer["success"], answer


def both_hold(stack: EmbeddedStack, holds: Holdings, partition: str, expected: Contents) -> None:
    assert holds.in_bigquery(partition) == expected
    assert in_postgres(stack.postgres().conninfo, SCHEMA, partition) == expected


def test_two_writers_of_different_months_do_not_disturb_each_other(
    stack: EmbeddedStack,
    pair: list[Worker],
    environment: dict[str, str],
    folder: Path,
    holds: Holdings,
) -> None:
    before = deadlocks(stack)
    months = ("yellow|2019-05", "yellow|2019-06")
    # The first time neither the tables nor their schemas are there.
    for _ in range(4):
        held = {month: publish(folder / "published", month, next(_rows)) for month in months}
        together(pair, months, environment)
        for month in months:
            both_hold(stack, holds, month, held[month])
    assert deadlocks(stack) == before


def test_two_writers_of_one_month_replace_it_in_turn_and_it_is_exact(
    stack: EmbeddedStack,
    pair: list[Worker],
    environment: dict[str, str],
    folder: Path,
    holds: Holdings,
) -> None:
    before = deadlocks(stack)
    month = "yellow|2019-07"
    for _ in range(ROUNDS):
        held = publish(folder / "published", month, next(_rows))
        together(pair, (month, month), environment)
        both_hold(stack, holds, month, held)
    assert deadlocks(stack) == before
    left = [name for name in tables_in(stack.postgres().conninfo, SCHEMA) if "incoming" in name]
    left += [path.name for path in (folder / "data").rglob(".*") if path.is_file()]
    assert left == []
