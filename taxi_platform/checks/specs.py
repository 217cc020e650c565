"""The common part of all checks of a month: each checks one partition."""

import warnings
from collections.abc import Sequence

from dagster import AssetCheckSpec, AssetKey, PreviewWarning

from taxi_platform.partitions import trip_partitions
from taxi_platform.settings import Settings


def month_spec(
    chosen: Settings,
    name: str,
    asset: AssetKey,
    description: str,
    compared_with: Sequence[AssetKey] = (),
    *,
    blocking: bool = True,
) -> AssetCheckSpec:
    """A check of a month.

    Args:
        chosen: the settings, which define the partitions.
        name: of the check.
        asset: the asset to check.
        description: what is true if it passes.
        compared_with: other assets that it reads.
        blocking: whether downstream assets are not materialized if it fails.
    """
    with warnings.catch_warnings():
        # Checks of partitions are in preview, and would warn at every start.
        warnings.simplefilter("ignore", PreviewWarning)
        return AssetCheckSpec(
            name,
            asset=asset,
            additional_deps=[*compared_with],
            description=description,
            blocking=blocking,
            partitions_def=trip_partitions(chosen),
        )
