"""The platform's own graph under Dagster's default executor, which starts a process a step."""

from dagster import Definitions

from taxi_platform.assets.trips import TRIP_ASSETS
from taxi_platform.checks import TRIP_CHECKS
from taxi_platform.definitions import build_resources
from taxi_platform.settings import settings

defs = Definitions(
    assets=TRIP_ASSETS, asset_checks=TRIP_CHECKS, resources=build_resources(settings())
)
