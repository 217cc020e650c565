"""Which partitions there are: color x month, with keys such as ``green|2024-01``."""

from dagster import (
    MonthlyPartitionsDefinition,
    MultiPartitionsDefinition,
    StaticPartitionsDefinition,
)

from taxi_platform.settings import settings
from taxi_platform.trips.types import default_colors

# Dagster orders dimensions by name, color before month, and takes a range between two keys in the
# order of the keys: colors must stay in alphabetical order, or a range silently selects nothing.
trip_partitions = MultiPartitionsDefinition(
    {
        "color": StaticPartitionsDefinition(list(default_colors())),
        "month": MonthlyPartitionsDefinition(
            start_date=settings().first_month, fmt="%Y-%m", timezone="America/New_York"
        ),
    }
)
