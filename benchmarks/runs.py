"""A run of the five assets through Dagster: from the command line, and in a warm process."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.processes import Facts
from taxi_platform.trips.month import TripMonth

ASSETS = ("raw_trips", "cleaned_trips", "gcs_trips", "bigquery_trips", "postgres_trips")
PLATFORM = "taxi_platform.definitions"


def materialize_command(month: TripMonth, module: str = PLATFORM) -> Sequence[str]:
    """The command that a user types."""
    return (
        *(str(Path(sys.executable).with_name("dagster")), "asset", "materialize", "-m", module),
        *("--select", ",".join(ASSETS), "--partition", month.key),
    )


def warm_worker(warm_up: TripMonth) -> Callable[[TripMonth], None]:
    """A process that has the definitions loaded and has run a month before.

    Returns:
        What runs a month in it, and raises if the run fails.
    """
    from dagster import AssetKey, DagsterInstance

    from taxi_platform.definitions import build_defs
    from taxi_platform.settings import load_settings

    # Kept open until the process ends, as a worker's is.
    instance = DagsterInstance.get()
    job = build_defs(load_settings()).resolve_implicit_global_asset_job_def()

    def run(month: TripMonth) -> None:
        result = job.execute_in_process(
            instance=instance,
            partition_key=month.key,
            asset_selection=[AssetKey(name) for name in ASSETS],
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        assert result.success

    run(warm_up)
    return run


def publish_from(address: str, ending: str = ".csv.gz") -> None:
    """Makes a folder or a web address the source of the months, for all processes started."""
    os.environ["TAXI_SOURCE_URL"] = f"{address}/{{color}}_tripdata_{{month}}{ending}"


def asset_seconds(month: TripMonth) -> Facts:
    """How long each asset of the month's last run took, as Dagster recorded it."""
    from dagster import DagsterInstance, RunsFilter

    with DagsterInstance.get() as instance:
        chosen = RunsFilter(tags={"dagster/partition": month.key})
        (run,) = instance.get_runs(chosen, limit=1)
        steps = instance.get_run_step_stats(run.run_id, list(ASSETS))
    return {
        step.step_key: step.end_time - step.start_time
        for step in steps
        if step.start_time and step.end_time
    }
