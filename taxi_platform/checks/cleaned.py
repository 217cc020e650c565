"""The checks of a month after it is cleaned and before it is stored.

Those that block keep a bad month from GCS and the tables; the others warn.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

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
from taxi_platform.landing.comparisons import (
    accept_command,
    judge_beside_neighbors,
    judge_replacement,
)
from taxi_platform.landing.expectations import EXPECTATIONS, Severity, Verdict
from taxi_platform.landing.files import MonthVersions, TripParquet
from taxi_platform.landing.zone import LandingZone
from taxi_platform.resources.landing import LandingZoneResource
from taxi_platform.settings import Settings

REPLACEMENT_CHECK = "replacement_within_limits"
NEIGHBOURS_CHECK = "rows_like_neighbours"


@dataclass(frozen=True)
class _Check:
    """A check: its name, what holds if it passes, who judges, and whether it blocks."""

    name: str
    description: str
    judge: Callable[[LandingZone, MonthVersions], Verdict]
    blocking: bool = True


def _by_itself(judge: Callable[[TripParquet], Verdict]) -> Callable[..., Verdict]:
    return lambda _zone, versions: judge(versions.latest)


_CHECKS = (
    *(
        _Check(e.name, e.description, _by_itself(e.judge), e.severity is Severity.BLOCKING)
        for e in EXPECTATIONS
    ),
    _Check(
        REPLACEMENT_CHECK,
        "The month's latest version differs from the one that was loaded by no more than the "
        "limits in the config of cleaned_trips, or was accepted.",
        lambda _zone, versions: judge_replacement(versions),
    ),
    _Check(
        NEIGHBOURS_CHECK,
        "The month has about as many rows as the months before and after it, and as this month of "
        "the years before and after. A warning: it blocks nothing.",
        judge_beside_neighbors,
        blocking=False,
    ),
)


def cleaned_trips_checks(
    context: AssetCheckExecutionContext, trips: MonthVersions, landing: LandingZoneResource
) -> Iterator[AssetCheckResult]:
    """Judges the cleaned month by its own statistics, without reading its rows."""
    selected = {key.name for key in context.selected_asset_check_keys}
    for check in _CHECKS:
        if check.name in selected:
            yield _result(check, trips, check.judge(landing.get_zone(), trips))


def cleaned_checks(chosen: Settings) -> AssetChecksDefinition:
    """The checks of ``cleaned_trips``."""
    return multi_asset_check(
        specs=[
            month_spec(chosen, check.name, CLEANED, check.description, blocking=check.blocking)
            for check in _CHECKS
        ],
        ins={"trips": AssetIn(CLEANED)},
        can_subset=True,
    )(cleaned_trips_checks)


def _result(check: _Check, trips: MonthVersions, verdict: Verdict) -> AssetCheckResult:
    metadata: dict[str, Any] = {
        name: MetadataValue.json(fact) if isinstance(fact, dict | list) else fact
        for name, fact in verdict.facts.items()
    }
    found = "; ".join(verdict.facts.get("differences", ()))
    if found and check.blocking:
        found += (
            ". The loaded month is as it was. If the new version is right, accept it: "
            f"{accept_command(trips.month)}"
        )
    return AssetCheckResult(
        asset_key=CLEANED,
        check_name=check.name,
        passed=verdict.holds,
        severity=AssetCheckSeverity.ERROR if check.blocking else AssetCheckSeverity.WARN,
        description=f"{trips.month}: {found}" if found else None,
        metadata={"partition": MetadataValue.text(trips.month.key), **metadata},
    )
