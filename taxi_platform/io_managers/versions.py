"""Data versions from content, which decide whether downstream assets are stale.

By default, Dagster makes a new data version for each run. Then a file that was published again
unchanged would make everything downstream stale.
"""

from dagster import OutputContext

from taxi_platform.dagster_internals import set_data_version


def set_content_version(context: OutputContext, *content: object) -> None:
    """Derives the partition's data version from its content, and records it.

    Args:
        context: the output that was stored.
        content: checksums and sizes, which differ if and only if the content differs.
    """
    version = "-".join(str(part) for part in content)
    set_data_version(context, context.asset_key, version)
