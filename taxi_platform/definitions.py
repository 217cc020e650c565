"""The code location: the platform's own assets, and users' assets in ``defs``."""

import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    AutomationConditionSensorDefinition,
    ComponentTree,
    DagsterInvalidDefinitionError,
    DefaultSensorStatus,
    Definitions,
    PreviewWarning,
    SensorDefinition,
    definitions,
)

import taxi_platform.defs
from taxi_platform.assets.keys import LOADED, REPORT, ZONES, mart_keys, trip_keys
from taxi_platform.assets.loaded_months import loaded_months_assets
from taxi_platform.assets.marts import mart_assets
from taxi_platform.assets.report import report_assets
from taxi_platform.assets.trips import trip_assets
from taxi_platform.assets.zones import zone_assets
from taxi_platform.automation.alerts.sensors import alert_sensors
from taxi_platform.automation.executor import run_executor
from taxi_platform.automation.jobs import jobs
from taxi_platform.automation.published_months import published_months
from taxi_platform.automation.schedule import monthly
from taxi_platform.checks.marts import mart_checks
from taxi_platform.checks.reconciliation import trip_checks
from taxi_platform.io_managers.landing import RawFileIOManager, TripParquetIOManager
from taxi_platform.io_managers.tables import TableIOManager, tables_of
from taxi_platform.io_managers.zones import zone_tables
from taxi_platform.resources.landing import LandingZoneResource
from taxi_platform.resources.source import TripSourceResource
from taxi_platform.resources.stores import store_resource
from taxi_platform.settings import Settings, load_settings


def build_resources(chosen: Settings) -> dict[str, object]:
    """The resources and IO managers of these settings."""
    landing = LandingZoneResource.of(chosen)
    stores = {s.name: store_resource(s, chosen.tables[s.name]) for s in chosen.table_stores}
    return {
        "source": TripSourceResource(
            url=str(chosen.source_url),
            request_seconds=chosen.request_seconds,
            download_seconds=chosen.download_seconds,
            download_bytes=chosen.download_bytes,
        ),
        "landing": landing,
        "raw_file": RawFileIOManager(landing=landing),
        "trip_parquet": TripParquetIOManager(landing=landing),
        "zone_tables": zone_tables(list(stores)),
        **stores,
        **{f"{n}_table": TableIOManager(store_name=n, store=r) for n, r in stores.items()},
        **dict(_gcs(chosen)),
    }


def _gcs(chosen: Settings) -> Iterator[tuple[str, object]]:
    # Imported only if it is used, here and below: Google's clients take half a second.
    if chosen.uses_gcs:
        from taxi_platform.io_managers.gcs import GCSObjectIOManager
        from taxi_platform.resources.gcs import TripGCSResource

        gcs = TripGCSResource(**chosen.gcs.model_dump())
        yield "gcs", gcs
        yield "gcs_object", GCSObjectIOManager(gcs=gcs)


def _gcs_sensors(chosen: Settings) -> list[SensorDefinition]:
    if not chosen.uses_gcs:
        return []
    from taxi_platform.automation.gcs_objects import gcs_sensors

    return gcs_sensors(chosen)


def build_defs(chosen: Settings) -> Definitions:
    """The code location for these settings; tests and commands pass their own.

    Raises:
        DagsterError: the definitions in ``defs`` cannot be loaded, or clash with the platform's.
    """
    platform = Definitions(
        assets=[
            *trip_assets(chosen),
            *mart_assets(chosen),
            *zone_assets(chosen),
            *report_assets(chosen),
            *loaded_months_assets(chosen),
        ],
        asset_checks=[*trip_checks(chosen), *mart_checks(chosen)],
        jobs=jobs(chosen),
        schedules=[monthly(chosen)],
        sensors=[published_months(chosen), *_gcs_sensors(chosen), *alert_sensors(chosen)],
        resources=build_resources(chosen),
        # One process per run: starting a process for each step takes four times as long as a small
        # month. Runs are executed in parallel instead.
        executor=run_executor,
    )
    users_own = _users_own()
    if users_own is None:
        return _automated(platform, chosen)
    found = Definitions.merge(platform, users_own)
    refuse_shared_tables(found, chosen)
    return _automated(found, chosen)


def _users_own() -> Definitions | None:
    """The definitions in the folder ``defs``, as `dg` lays it out; None if it is empty."""
    folder = Path(taxi_platform.defs.__path__[0])
    if {path.name for path in folder.iterdir()} <= {"__init__.py", "__pycache__"}:
        # Looking for components in every installed package takes more than a second.
        return None
    with warnings.catch_warnings():
        # This Dagster API is in preview, and would warn at every start.
        warnings.simplefilter("ignore", PreviewWarning)
        return ComponentTree.from_module(taxi_platform.defs, folder.parent.parent).build_defs()


def refuse_shared_tables(found: Definitions, chosen: Settings) -> None:
    """Refuses two assets with one table: each would replace the other's rows.

    Raises:
        DagsterInvalidDefinitionError: there are such; names them and the table.
    """
    managers = {f"{store.name}_table" for store in chosen.table_stores}
    owners: dict[tuple[str, str], AssetKey] = {}
    assets = [asset for asset in found.assets or () if isinstance(asset, AssetsDefinition)]
    for owning, spec in ((asset, spec) for asset in assets for spec in asset.specs):
        manager = owning.get_io_manager_key_for_asset_key(spec.key)
        if manager not in managers or spec.key in trip_keys(chosen):
            continue
        for table in tables_of(spec, chosen.colors):
            owner = owners.setdefault((manager, table), spec.key)
            if owner != spec.key:
                raise DagsterInvalidDefinitionError(
                    f"the assets {owner.to_user_string()} and {spec.key.to_user_string()} would "
                    f"both be written to the table {table}: rename one"
                )


def _automated(found: Definitions, chosen: Settings) -> Definitions:
    """Adds the sensor for automation conditions.

    It runs by default if an asset of the user's has a condition: the one that Dagster would add is
    stopped, so the condition would silently do nothing.
    """
    automated = {s.key for s in found.resolve_all_asset_specs() if s.automation_condition}
    if not automated:
        return found
    running = chosen.automation or not automated <= {LOADED, REPORT, ZONES, *mart_keys(chosen)}
    sensor = AutomationConditionSensorDefinition(
        "automation_conditions",
        target=AssetSelection.all(),
        description="Makes what follows from loaded months: marts, the report, the zones, and "
        "assets of your own that have an automation condition.",
        default_status=DefaultSensorStatus.RUNNING if running else DefaultSensorStatus.STOPPED,
    )
    return Definitions.merge(found, Definitions(sensors=[sensor]))


@definitions
@cache  # A run asks for them once a step.
def defs() -> Definitions:
    """The definitions that `dg` and `dagster` load, with the environment's settings."""
    return build_defs(load_settings())
