"""The command `taxi-platform worker`."""

import sys
from typing import Annotated

import typer

from taxi_platform.cli.terminal import fail
from taxi_platform.errors import SettingsError


def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="How many runs at a time.")] = 2,
    queue: Annotated[
        str | None,
        typer.Option(help="Take the runs of this queue; by default of TAXI_QUEUE, 'dagster'."),
    ] = None,
) -> None:
    """Execute runs, in processes that have everything imported already.

    Runs are given to workers, on this host and others, through the broker TAXI_CELERY_BROKER.
    SIGTERM lets a worker finish its runs and take no more.
    """
    from taxi_platform.broker import BROKER
    from taxi_platform.cli.backfill import NoInstanceError, open_instance
    from taxi_platform.settings import load_settings

    try:
        chosen = load_settings()
        if chosen.celery_broker is None:
            raise fail(f"{BROKER} is not set: name a broker, such as redis://127.0.0.1:6379/0")
        with open_instance() as instance:
            from taxi_platform.workers.launcher import worker_launcher
            from taxi_platform.workers.worker import work

            launcher = worker_launcher(instance)
            if launcher is None:
                raise fail(
                    "the dagster.yaml of DAGSTER_HOME names no run_launcher of workers: take the "
                    "section from the platform's own"
                )
            code = work(instance, launcher, concurrency, queue or chosen.queue)
    except (NoInstanceError, SettingsError) as error:
        raise fail(str(error)) from error
    sys.exit(code)
