"""Data versions from content: what makes what follows from an asset stale, and what does not.

Left to itself, Dagster takes a new version for each run, and a file that was published again
unchanged would make everything downstream look out of date.
"""

from dagster import OutputContext

from taxi_platform.dagster_internals import set_data_version


def set_content_version(context: OutputContext, *content: object) -> None:
    """Records what was stored as the partition's data version.

    Args:
        context: the output that was stored.
        content: checksums and sizes that differ if the content does, and only then.
    """
    version = "-".join(str(part) for part in content)
    set_data_version(context, context.asset_key, version)
