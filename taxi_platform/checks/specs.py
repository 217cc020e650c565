"""What every check of a month has in common: it is of one partition, and most of them block."""

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
    """A check of a month's asset.

    Args:
        chosen: the settings, which say what the partitions are.
        name: of the check.
        asset: what is checked.
        description: what holds if it passes.
        compared_with: other assets that it reads.
        blocking: whether it holds back what follows from the asset.
    """
    with warnings.catch_warnings():
        # Checks of partitions are in preview, and say so at every start; they do what is needed.
        warnings.simplefilter("ignore", PreviewWarning)
        return AssetCheckSpec(
            name,
            asset=asset,
            additional_deps=[*compared_with],
            description=description,
            blocking=blocking,
            partitions_def=trip_partitions(chosen),
        )
