"""The expectations of a month, judged after it is cleaned and before it is stored.

Most of them block: a month that fails one does not reach GCS or a table. The others warn.
"""

from collections.abc import Iterator

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetIn,
    MetadataValue,
    multi_asset_check,
)

from taxi_platform.assets.keys import CLEANED
from taxi_platform.checks.specs import month_spec
from taxi_platform.landing.expectations import EXPECTATIONS, Severity
from taxi_platform.landing.files import TripParquet
from taxi_platform.settings import Settings

_SEVERITIES = {
    Severity.BLOCKING: AssetCheckSeverity.ERROR,
    Severity.WARNING: AssetCheckSeverity.WARN,
}


def cleaned_trips_checks(
    context: AssetCheckExecutionContext, trips: TripParquet
) -> Iterator[AssetCheckResult]:
    """Judges the cleaned month by its own statistics, without reading its rows."""
    selected = {key.name for key in context.selected_asset_check_keys}
    for expectation in EXPECTATIONS:
        if expectation.name in selected:
            verdict = expectation.judge(trips)
            yield AssetCheckResult(
                asset_key=CLEANED,
                check_name=expectation.name,
                passed=verdict.holds,
                severity=_SEVERITIES[expectation.severity],
                metadata={
                    "partition": MetadataValue.text(trips.month.key),
                    **{
                        name: MetadataValue.json(fact) if isinstance(fact, dict | list) else fact
                        for name, fact in verdict.facts.items()
                    },
                },
            )


def cleaned_checks(chosen: Settings) -> AssetChecksDefinition:
    """The checks of ``cleaned_trips``."""
    return multi_asset_check(
        specs=[
            month_spec(
                chosen,
                expectation.name,
                CLEANED,
                expectation.description,
                blocking=expectation.severity is Severity.BLOCKING,
            )
            for expectation in EXPECTATIONS
        ],
        ins={"trips": AssetIn(CLEANED)},
        can_subset=True,
    )(cleaned_trips_checks)
