"""The versions that materializations recorded, for the IO managers that read what they wrote."""

from dataclasses import dataclass

from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetRecordsFilter,
    DagsterInstance,
    DagsterInvariantViolationError,
    InputContext,
)

from taxi_platform.dagster_internals import DATA_VERSION_TAG
from taxi_platform.io_managers.metadata import GENERATION, VERSION_IN_PLACE
from taxi_platform.landing.versions import Expected
from taxi_platform.trips.month import TripMonth


@dataclass(frozen=True)
class Recorded:
    """What the last materialization of a month recorded; None what is not known.

    Attributes:
        latest: the version that it made.
        in_place: the version that stores are loaded from. It is an earlier one if the latest may
            not take its place, and None if there is none.
        says_in_place: whether it said so. Those of earlier versions of the platform did not.
    """

    latest: Expected | None = None
    in_place: Expected | None = None
    says_in_place: bool = False


def recorded_for(context: InputContext, month: TripMonth) -> Recorded:
    """What the last materialization of an input's asset recorded, in this run or before."""
    try:
        instance = context.instance
    except DagsterInvariantViolationError:  # a value that is loaded outside of runs
        return Recorded()
    return recorded(instance, context.asset_key, month)


def recorded(instance: DagsterInstance, asset: AssetKey, month: TripMonth) -> Recorded:
    """What the last materialization of a month's asset recorded.

    Nothing if there is none: an instance without storage has the records of its own run only.
    """
    chosen = AssetRecordsFilter(asset, asset_partitions=[month.key])
    for record in instance.fetch_materializations(chosen, limit=1).records:
        if record.asset_materialization is not None:
            return _recorded(record.asset_materialization, f"run {record.run_id[:8]}")
    return Recorded()


def _recorded(made: AssetMaterialization, by: str) -> Recorded:
    content = (made.tags or {}).get(DATA_VERSION_TAG)
    said = {name: entry.value for name, entry in made.metadata.items()}
    generation = int(str(said[GENERATION])) if GENERATION in said else None
    latest = Expected(content, by, generation) if content else None
    if VERSION_IN_PLACE not in said:
        return Recorded(latest, latest)
    in_place = str(said[VERSION_IN_PLACE])
    if latest and in_place == latest.content:
        return Recorded(latest, latest, True)
    return Recorded(latest, Expected(in_place, by) if in_place else None, True)
