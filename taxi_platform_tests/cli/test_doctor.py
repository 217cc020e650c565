"""`taxi-platform doctor`: what it finds, reports and fixes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from taxi_platform.broker import BROKER
from taxi_platform.cli.main import app
from taxi_platform.workers.presence import BEAT_SECONDS
from taxi_platform_tests.conftest import EmbeddedStack, inherited_environment
from taxi_platform_tests.hosts.redis_server import PASSWORD, running_redis

pytestmark = pytest.mark.integration


def doctor(stack: EmbeddedStack, *options: str, without: str = "", **changed: str) -> Result:
    environment: dict[str, str | None] = {
        **stack.environment,
        "TAXI_SOURCE_URL": "synthetic",
        "TAXI_REQUEST_SECONDS": "5",
        **changed,
    }
    if without:
        environment[without] = None
    return CliRunner().invoke(app, ["doctor", *options], env=environment)


def test_a_working_installation_is_found_fine(stack: EmbeddedStack) -> None:
    run = doctor(stack)
    assert run.exit_code == 0, run.output
    lines = run.stdout.splitlines()
    assert all(line.startswith("ok") for line in lines)
    for where in ("settings", "dagster", "landing zone", "source", "GCS", "BigQuery", "Postgres"):
        assert any(line.split(None, 1)[1].startswith(where) for line in lines), where
    assert stack.environment["TAXI_POSTGRES_PASSWORD"] not in run.output


BROKEN: dict[str, tuple[dict[str, str], str, str, str]] = {
    "a setting": ({"TAXI_FIRST_MONTH": "soon"}, "", "settings", "TAXI_FIRST_MONTH"),
    "no home of Dagster": ({}, "DAGSTER_HOME", "dagster", "DAGSTER_HOME is not set"),
    "a folder that is none": (
        {"TAXI_DATA_DIR": "/proc/nowhere"},
        "",
        "landing zone",
        "set TAXI_DATA_DIR",
    ),
    "an unreachable source": (
        {"TAXI_SOURCE_URL": "http://127.0.0.1:9/{color}_tripdata_{month}.parquet"},
        "",
        "source",
        "cannot be reached",
    ),
    "an unreachable GCS": (
        {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"},
        "",
        "GCS",
        "taxi-platform local up",
    ),
    "a bucket that is not there": ({"TAXI_GCS_BUCKET": "nowhere"}, "", "GCS", "create it"),
    "a stack that is not up": ({}, "BIGQUERY_EMULATOR_HOST", "BigQuery", "taxi-platform local up"),
    "a wrong password": (
        {"TAXI_POSTGRES_PASSWORD": "hunter2-secret"},
        "",
        "Postgres",
        "TAXI_POSTGRES_PASSWORD",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_said_in_one_line_with_what_to_do(stack: EmbeddedStack, kind: str) -> None:
    changed, without, where, said = BROKEN[kind]
    run = doctor(stack, without=without, **changed)
    assert run.exit_code == 1
    wrong = [line for line in run.stdout.splitlines() if line.startswith("wrong")]
    assert any(line.split(None, 1)[1].startswith(where) and said in line for line in wrong), (
        run.stdout
    )
    assert "Traceback" not in run.output
    assert "hunter2-secret" not in run.output


def test_one_broken_store_does_not_hide_what_is_said_of_the_others(stack: EmbeddedStack) -> None:
    run = doctor(stack, TAXI_GCS_BUCKET="nowhere")
    states = [line.split(None, 1) for line in run.stdout.splitlines()]
    assert [where.split(":")[0] for state, where in states if state == "wrong"] == ["GCS"]
    assert any(where.startswith("Postgres") for state, where in states if state == "ok")


def test_a_table_of_another_shape_is_found(stack: EmbeddedStack) -> None:
    with psycopg.connect(stack.postgres().conninfo, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA misfit")
        connection.execute("CREATE TABLE misfit.green_trips (data_file_month date)")
        run = doctor(stack, TAXI_POSTGRES_SCHEMA="misfit")
        connection.execute("DROP SCHEMA misfit CASCADE")
    assert run.exit_code == 1
    assert "misfit.green_trips does not fit the schema: it is not partitioned" in run.stdout


def test_what_killed_runs_left_is_found_and_removed_and_nothing_else(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    folder = data / "cleaned" / "green"
    folder.mkdir(parents=True)
    (folder / "green_tripdata_2024-01.parquet").write_text("a month")
    killed, locked = (folder / f".green_tripdata_2024-0{n}.parquet.partial" for n in (1, 2))
    killed.write_text("half")
    killed_in_gzip = data / "raw" / "green" / ".fetched-green_tripdata_2024-06.parquet.gz.partial"
    killed_in_gzip.parent.mkdir(parents=True)
    killed_in_gzip.write_text("half")
    raw = data / "raw" / "green"
    resumable = raw / ".green_tripdata_2024-03.partial"
    resumable.write_text("half")
    (raw / ".green_tripdata_2024-03.partial.json").write_text(json.dumps({}))
    others = [
        folder / ".notes.partial",
        folder / ".yellow_tripdata_2024-01.parquet.partial",
        data / "mine" / ".green_tripdata_2024-01.partial",
        data / "mine" / "green" / ".green_tripdata_2024-01.partial",
        raw / "deeper" / ".green_tripdata_2024-01.partial",
        raw / ".green_tripdata_2024-04.partial.partial",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("somebody else's")
    linked = folder / ".green_tripdata_2024-05.parquet.partial"
    linked.symlink_to(others[0])
    elsewhere = tmp_path / "elsewhere" / ".yellow_tripdata_2024-01.csv.gz.partial"
    elsewhere.parent.mkdir()
    elsewhere.write_text("somebody else's")
    others.append(elsewhere)
    (data / "raw" / "yellow").symlink_to(elsewhere.parent)
    program = (
        "import sys; from pathlib import Path\n"
        "from taxi_platform.landing.atomic_files import locked\n"
        "with locked(Path(sys.argv[1])):\n"
        "    print('locked', flush=True); sys.stdin.read()\n"
    )
    with (
        psycopg.connect(stack.postgres().conninfo, autocommit=True) as connection,
        subprocess.Popen(
            [sys.executable, "-c", program, locked],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as writer,
    ):
        assert writer.stdout is not None
        writer.stdout.readline()
        connection.execute("CREATE SCHEMA left_over")
        connection.execute(
            "CREATE TABLE left_over.green_trips (data_file_month date) "
            "PARTITION BY LIST (data_file_month)"
        )
        for month in ("2024_01", "2024_02"):
            connection.execute(
                f"CREATE TABLE left_over.green_trips_{month}_incoming (data_file_month date, "
                "CONSTRAINT file_month CHECK (data_file_month IS NOT NULL))"
            )
        connection.execute("CREATE TABLE left_over.green_trips_copy (a int)")
        # Of a table of somebody else's.
        connection.execute("CREATE TABLE left_over.others (data_file_month date)")
        connection.execute("CREATE TABLE left_over.others_2024_01_incoming (a int)")
        # Somebody is writing February.
        connection.execute(
            "SELECT pg_advisory_lock(hashtextextended("
            "'taxi_platform left_over.green_trips_2024_02', 0))"
        )
        where = {"TAXI_DATA_DIR": str(data), "TAXI_POSTGRES_SCHEMA": "left_over"}
        found = doctor(stack, **where)
        assert found.exit_code == 1
        left = [line for line in found.stdout.splitlines() if line.startswith("left")]
        assert len(left) == 3, found.stdout
        assert str(killed) in left[0]
        assert str(killed_in_gzip) in left[1]
        assert "left_over.green_trips_2024_01_incoming" in left[2]
        assert f"{resumable} is an interrupted download" in found.stdout
        assert killed.exists()

        fixed = doctor(stack, "--fix", **where)
        assert fixed.exit_code == 0, fixed.stdout
        assert doctor(stack, **where).exit_code == 0
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'left_over'::regnamespace "
            "AND relkind = 'r' ORDER BY 1"
        ).fetchall()
        assert tables == [
            ("green_trips_2024_02_incoming",),
            ("green_trips_copy",),
            ("others",),
            ("others_2024_01_incoming",),
        ]
        assert not killed.exists()
        assert not killed_in_gzip.exists()
        assert locked.exists()
        assert resumable.exists()
        assert all(path.exists() for path in (*others, linked))
        connection.execute("DROP SCHEMA left_over CASCADE")
        os.kill(writer.pid, signal.SIGTERM)
    shutil.rmtree(data)


def test_a_bucket_for_what_steps_print_is_checked_whatever_else_uses_it(
    stack: EmbeddedStack,
) -> None:
    run = doctor(
        stack, TAXI_STORES="postgres", TAXI_COMPUTE_LOGS="bucket", TAXI_GCS_BUCKET="nowhere"
    )
    assert run.exit_code == 1
    (wrong,) = [line for line in run.stdout.splitlines() if line.startswith("wrong")]
    assert "GCS" in wrong
    assert "create it" in wrong


def about_the_broker(run: Result) -> list[str]:
    """What is said of the broker, without the secret."""
    assert PASSWORD not in run.output
    assert "Traceback" not in run.output
    return [line for line in run.stdout.splitlines() if line.split()[1].startswith("broker")]


@pytest.mark.timeout(180)
def test_of_a_broker_it_is_said_whether_it_answers_and_which_workers_hear_of_runs(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    settings = {"TAXI_STORES": "postgres"}
    with running_redis(tmp_path) as redis, ExitStack() as running:

        def start(address: str, places: int) -> None:
            process = subprocess.Popen(
                [
                    *(Path(sys.executable).with_name("taxi-platform"), "worker"),
                    *("--concurrency", str(places)),
                ],
                env=inherited_environment() | stack.environment | {BROKER: address},
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                text=True,
            )
            running.enter_context(process)
            running.callback(process.terminate)
            assert process.stdout
            assert "runs at a time" in process.stdout.readline()

        answers, none = about_the_broker(doctor(stack, **settings, **{BROKER: redis.url}))
        assert answers.startswith("ok")
        assert f"redis://127.0.0.1:{redis.port}/0 answers" in answers
        assert none.startswith("wrong")
        assert "start 'taxi-platform worker'" in none

        start(redis.database(1), 1)
        start(redis.url, 3)
        time.sleep(1.5 * BEAT_SECONDS)  # Now both have said that they are there.
        _, elsewhere, here = about_the_broker(doctor(stack, **settings, **{BROKER: redis.url}))
        assert elsewhere.startswith("wrong")
        assert "listens to another broker" in elsewhere
        assert here.startswith("ok")
        assert "workers that take runs: 1, with 3 places, of the queues dagster" in here


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"redis://:{PASSWORD}@127.0.0.1:9/0", "redis://127.0.0.1:9/0 cannot be used"),
        (f"redis://:{PASSWORD}/x@127.0.0.1:9/0", "/ as %2F"),
    ],
)
def test_a_broker_that_cannot_be_used_is_named_without_its_password(
    stack: EmbeddedStack, address: str, said: str
) -> None:
    run = doctor(stack, TAXI_STORES="postgres", TAXI_CELERY_BROKER=address)
    assert run.exit_code == 1
    assert PASSWORD not in run.output
    assert any(said in line for line in run.stdout.splitlines() if line.startswith("wrong"))
