"""Loads months by the settings in the environment, as runs from the command line do."""

from dagster import DagsterInstance

from taxi_platform.assets.keys import trip_keys
from taxi_platform.definitions import build_defs
from taxi_platform.settings import load_settings


def load_months(*keys: str) -> None:
    """Runs the trips' assets of each month; a run may fail."""
    chosen = load_settings()
    job = build_defs(chosen).resolve_implicit_global_asset_job_def()
    with DagsterInstance.get() as instance:
        for key in keys:
            job.execute_in_process(
                instance=instance,
                partition_key=key,
                asset_selection=trip_keys(chosen),
                raise_on_error=False,
            )
