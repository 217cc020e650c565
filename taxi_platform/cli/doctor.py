"""Checks an installation: settings, credentials, every store, and what killed runs left behind.

Each finding is one line that says what is wrong and what to do. By default nothing is changed. With
``fix``, files and tables that killed runs left behind are removed, as the next run of their month
would do. Each store checks its own requirements.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from taxi_platform.broker import BROKER, broker_at
from taxi_platform.cli.variables import misspelled
from taxi_platform.errors import SettingsError, StoreError
from taxi_platform.settings import Settings, load_settings
from taxi_platform.trips.month import TripMonth
from taxi_platform.trips.notes import listed
from taxi_platform.trips.types import trip_type

LEAST_FREE_BYTES = 5 << 30
"""The space for two of the largest months: raw, cleaned and unfinished files."""


class State(StrEnum):
    """How serious a finding is."""

    FINE = "ok"
    LEFT = "left"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """A finding: where, how serious, and one line that says what is wrong and what to do."""

    where: str
    state: State
    says: str


def examine(*, fix: bool = False) -> Iterator[Finding]:
    """All findings, one after another.

    Args:
        fix: remove what killed runs left behind.
    """
    try:
        chosen = load_settings()
    except SettingsError as error:
        yield Finding("settings", State.WRONG, str(error))
        return
    yield Finding("settings", State.FINE, f"TAXI_ENV={chosen.env}")
    for name, meant in misspelled(os.environ):
        yield Finding("settings", State.WRONG, f"{name} is no setting: do you mean {meant}?")
    for where, examination in _examinations(chosen).items():
        try:
            for state, says in examination(chosen, fix):
                yield Finding(where, state, says)
        except StoreError as error:
            yield Finding(where, State.WRONG, " ".join(str(error).split()))
        except Exception as error:  # noqa: BLE001 (one failed check must not hide the others)
            message = " ".join(str(error).split())
            yield Finding(where, State.WRONG, f"unexpected {type(error).__name__}: {message}")


Said = Iterator[tuple[State, str]]

Examination = Callable[[Settings, bool], Said]


def _dagster(chosen: Settings, _fix: bool) -> Said:
    from dagster import DagsterInstance

    from taxi_platform.assets.records import synthetic_months
    from taxi_platform.dagster_storage import StorageUnavailableError

    home = os.environ.get("DAGSTER_HOME")
    if not home:
        yield _wrong(
            "DAGSTER_HOME is not set, so runs from the command line are not recorded: run "
            "'taxi-platform local up', or set it to the folder of dagster.yaml"
        )
        return
    if not Path(home, "dagster.yaml").is_file():
        yield _wrong(f"there is no dagster.yaml in DAGSTER_HOME, {home}: link it there")
        return
    try:
        with DagsterInstance.get() as instance:
            runs = instance.get_runs_count()
            synthetic = sorted(synthetic_months(instance))
    except StorageUnavailableError as error:
        yield _wrong(error.message)
        return
    except Exception as error:  # noqa: BLE001 (whatever its storage raises)
        message = str(error).strip().splitlines()[0]
        yield _wrong(
            f"the instance of {home} cannot be opened ({message}): is its Postgres up, and are the "
            "TAXI_POSTGRES_* variables right?"
        )
        return
    yield State.FINE, f"instance of {home}, {runs:,} runs"
    if synthetic:
        yield State.FINE, _about_synthetic(synthetic, chosen)


def _about_synthetic(months: list[TripMonth], chosen: Settings) -> str:
    from taxi_platform.cli.backfill import repair_commands

    says = f"synthetic months, of which no row is real: {listed(month.key for month in months)}"
    if chosen.source_url.is_synthetic:
        return says
    return f"{says}; to load the real ones: {'; '.join(repair_commands(months))}"


def _landing_zone(chosen: Settings, fix: bool) -> Said:
    from taxi_platform.landing.leftovers import abandoned, resumable

    folder = chosen.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield _wrong(f"cannot write to {folder} ({error.strerror}): set TAXI_DATA_DIR")
        return
    free = shutil.disk_usage(folder).free
    what = "cache of the bucket in " if chosen.landing == "bucket" else ""
    room = f"{what}{folder}, {free / 1e9:,.1f} GB free"
    if free < LEAST_FREE_BYTES:
        yield _wrong(f"{room}: two of the largest months need 5; free some or set TAXI_DATA_DIR")
    else:
        yield State.FINE, room
    for path in resumable(folder):
        yield State.FINE, f"{path} is an interrupted download; the next run of its month resumes it"
    for path in abandoned(folder):
        if fix:
            with suppress(FileNotFoundError):
                path.unlink()
        yield _left(f"{path} is the unfinished file of a run that was killed", fix)


def _source(chosen: Settings, _fix: bool) -> Said:
    from taxi_platform.sources.source import source_of

    color = chosen.colors[0]
    first = max(chosen.first_month, f"{trip_type(color).first_month:%Y-%m}")
    month = TripMonth.from_key(f"{color}|{first}")
    version = source_of(chosen.source_url, chosen.request_seconds).published(month)
    yield (
        State.FINE,
        f"{chosen.source_url} answers; {month} is {'published' if version else 'not published'}",
    )


def _gcs(chosen: Settings, _fix: bool) -> Said:
    from taxi_platform.stores.gcs.client import trip_objects

    trip_objects(chosen.gcs).check_access()
    yield State.FINE, f"gs://{chosen.gcs.bucket} can be written"


def _broker(chosen: Settings, _fix: bool) -> Said:
    from taxi_platform.redaction import redact

    try:
        from redis.exceptions import RedisError

        from taxi_platform.workers.mark import Mark
    except ImportError as error:
        yield _wrong(f"{error.name} is not installed: install the extra 'scale' of taxi-platform")
        return
    broker = broker_at(chosen.celery_broker.get_secret_value() if chosen.celery_broker else "")
    mark = None
    try:
        mark = Mark(broker).ask()
    except (RedisError, OSError) as error:
        said = redact(" ".join(str(error).split()), chosen.secrets())
        yield _wrong(f"{broker.shown} cannot be used ({said}): {_what_to_do(said)}")
    else:
        yield State.FINE, f"{broker.shown} answers"
    yield from _workers(mark)


def _what_to_do(said: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return f"name the authority of its certificate in {BROKER}: docs/scale.md"
    return f"is it up, and are host, port and password of {BROKER} right?"


def _workers(mark: str | None) -> Said:
    from taxi_platform.cli.backfill import NoInstanceError, open_instance
    from taxi_platform.workers.launcher import listens_elsewhere
    from taxi_platform.workers.presence import BEAT_SECONDS, Observer

    observer = Observer()
    try:
        with open_instance() as instance:
            if observer.look(instance):
                time.sleep(2 * BEAT_SECONDS)  # Which of them live is seen by their going on.
            alive = [worker for worker in observer.look(instance) if worker.takes_runs]
    except NoInstanceError:
        return  # It has been said.
    here = [worker for worker in alive if worker.listens_to(mark)]
    for worker in alive:
        if worker not in here:
            yield _wrong(listens_elsewhere(worker))
    if not here:
        yield _wrong("no worker takes runs, so runs wait: start 'taxi-platform worker'")
        return
    places = sum(worker.state.places for worker in here)
    queues = ", ".join(sorted({worker.state.queue for worker in here}))
    yield (
        State.FINE,
        f"workers that take runs: {len(here)}, with {places} places, of the queues {queues}",
    )


def _table_store(name: str) -> Examination:
    def examination(chosen: Settings, fix: bool) -> Said:
        with chosen.open_store(name) as store:
            store.check_access()
            yield State.FINE, f"{store.address} can be used"
            for color in chosen.colors:
                yield _table(store.table_name(f"{color}_trips"), store.has_table(color))
            for table in store.leftovers(drop=fix):
                yield _left(f"table {table} is the unfinished copy of a run that was killed", fix)

    return examination


def _table(name: str, there: bool) -> tuple[State, str]:
    return (
        State.FINE,
        f"{name} {'fits the schema' if there else 'will be created by the first load'}",
    )


def _wrong(says: str) -> tuple[State, str]:
    return State.WRONG, says


def _left(what: str, fixed: bool) -> tuple[State, str]:
    if fixed:
        return State.FINE, f"{what}: removed"
    return State.LEFT, f"{what}: run its month again, or 'taxi-platform doctor --fix'"


def _uses_bucket(chosen: Settings) -> bool:
    return chosen.uses_gcs or "bucket" in (chosen.landing, chosen.compute_logs)


def _examinations(chosen: Settings) -> dict[str, Examination]:
    return {
        "dagster": _dagster,
        "landing zone": _landing_zone,
        "source": _source,
        **({"GCS": _gcs} if _uses_bucket(chosen) else {}),
        **({"broker": _broker} if chosen.celery_broker else {}),
        **{store.label: _table_store(store.name) for store in chosen.table_stores},
    }
