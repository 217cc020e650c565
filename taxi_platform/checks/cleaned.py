"""The expectations of a month, judged after it is cleaned and before it is stored.

They block: a month that fails one does not reach the lake or a table.
"""

from collections.abc import Iterator

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetIn,
    MetadataValue,
    multi_asset_check,
)

from taxi_platform.assets.trips import cleaned_trips
from taxi_platform.checks.specs import blocking_spec
from taxi_platform.landing.expectations import EXPECTATIONS
from taxi_platform.landing.files import TripParquet

CLEANED_CHECKS = [
    blocking_spec(expectation.name, cleaned_trips, expectation.description)
    for expectation in EXPECTATIONS
]


@multi_asset_check(
    name="cleaned_trips_checks",
    specs=CLEANED_CHECKS,
    ins={"trips": AssetIn(cleaned_trips.key)},
    can_subset=True,
)
def cleaned_trips_checks(
    context: AssetCheckExecutionContext, trips: TripParquet
) -> Iterator[AssetCheckResult]:
    """Judges the cleaned month by its own statistics, without reading its rows."""
    chosen = {key.name for key in context.selected_asset_check_keys}
    for expectation in EXPECTATIONS:
        if expectation.name in chosen:
            verdict = expectation.judge(trips)
            yield AssetCheckResult(
                asset_key=cleaned_trips.key,
                check_name=expectation.name,
                passed=verdict.holds,
                metadata={
                    "partition": MetadataValue.text(trips.month.key),
                    **{
                        name: MetadataValue.json(fact) if isinstance(fact, dict | list) else fact
                        for name, fact in verdict.facts.items()
                    },
                },
            )
