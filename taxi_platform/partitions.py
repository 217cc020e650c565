"""The partitions: color x month, with keys such as ``green|2024-01``."""

from functools import cache

from dagster import (
    MonthlyPartitionsDefinition,
    MultiPartitionsDefinition,
    StaticPartitionsDefinition,
)

from taxi_platform.settings import Settings, load_settings


def trip_partitions(chosen: Settings | None = None) -> MultiPartitionsDefinition:
    """The partitions of every trip asset.

    Args:
        chosen: settings with the colors and the first month; by default those of the environment.

    Raises:
        SettingsError: the environment has a value that cannot be used.
    """
    chosen = chosen or load_settings()
    return _partitions(chosen.colors, chosen.first_month)


@cache
def _partitions(colors: tuple[str, ...], first_month: str) -> MultiPartitionsDefinition:
    # Dagster orders dimensions by name, color before month, and takes a range between two keys in
    # the order of the keys. So colors must be in alphabetical order, as in the settings; otherwise
    # a range silently selects nothing.
    return MultiPartitionsDefinition(
        {
            "color": StaticPartitionsDefinition(list(colors)),
            "month": MonthlyPartitionsDefinition(
                start_date=first_month, fmt="%Y-%m", timezone="America/New_York"
            ),
        }
    )
