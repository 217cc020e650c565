"""The report: pictures of all months that have marts, one HTML file."""

from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    AutomationCondition,
    MaterializeResult,
    MetadataValue,
    asset,
)

from taxi_platform.assets.keys import REPORT, mart_key, report_store
from taxi_platform.assets.records import synthetic_months
from taxi_platform.assets.retries import retried
from taxi_platform.assets.trips import OWNERS
from taxi_platform.io_managers.failures import as_failures
from taxi_platform.marts.definitions import MARTS
from taxi_platform.report.writing import NAME, make_report
from taxi_platform.resources.landing import LandingZoneResource
from taxi_platform.resources.table_store import TableStoreResource
from taxi_platform.settings import Settings

IN_METADATA = ("days", "pickups", "speeds")
"""The pictures that the asset's page shows."""

MOST_MONTHS = 24
"""How many of the last months it shows; the command shows any."""


def follows(label: str) -> AutomationCondition[Any]:
    """Requests an asset of all months when some of what it shows was replaced, and none is being.

    Not ``eager()``, which waits until no month of any color is missing.
    """
    return (
        AutomationCondition.any_deps_updated().since_last_handled()
        & ~AutomationCondition.any_deps_in_progress()
        & ~AutomationCondition.in_progress()
    ).with_label(label)


def report_assets(chosen: Settings) -> list[AssetsDefinition]:
    """The report, if a store in use has marts."""
    store = report_store(chosen)
    if store is None:
        return []

    def trips_report(context: AssetExecutionContext) -> MaterializeResult[Any]:
        """Pictures of the last 24 months, in one HTML file that opens without a network.

        It is written into the landing zone's folder, and into the bucket.
        """
        # Imported here: few runs draw pictures.
        from taxi_platform.io_managers.charts import image
        from taxi_platform.stores.gcs.client import trip_objects

        landing: LandingZoneResource = context.resources.landing
        resource: TableStoreResource = getattr(context.resources, store.name)
        with as_failures(REPORT.to_user_string(), context), resource.get_store() as opened:
            report = make_report(
                opened,
                store.label,
                chosen.colors,
                landing.get_zone(),
                synthetic=synthetic_months(context.instance),
                most_months=MOST_MONTHS,
            )
            path = chosen.data_dir / NAME
            report.write(path)
            metadata: dict[str, Any] = {
                "path": MetadataValue.path(path),
                "url": MetadataValue.url(path.as_uri()),
                "months": len(report.figures.loaded),
                "size_bytes": len(report.html.encode()),
            }
            if chosen.uses_gcs:
                uri = trip_objects(chosen.gcs).put_report(NAME, report.html)
                metadata["dagster/uri"] = MetadataValue.text(uri)
            for picture in report.pictures:
                if picture.key in IN_METADATA:
                    metadata[picture.key] = image(picture, picture.description)
        return MaterializeResult(metadata=metadata)

    made = asset(
        key=REPORT,
        deps=[mart_key(store, mart) for mart in MARTS],
        group_name="report",
        kinds={"vega", "html"},
        owners=OWNERS,
        required_resource_keys={"landing", store.name},
        automation_condition=follows("follows_the_marts"),
        **retried(chosen),
    )(trips_report)
    return [made]
