"""The platform's own graph under Dagster's default executor, which starts a process a step."""

from dagster import Definitions

from taxi_platform.assets.trips import trip_assets
from taxi_platform.checks.reconciliation import trip_checks
from taxi_platform.definitions import build_resources
from taxi_platform.settings import load_settings

_chosen = load_settings()

defs = Definitions(
    assets=trip_assets(_chosen),
    asset_checks=trip_checks(_chosen),
    resources=build_resources(_chosen),
)
