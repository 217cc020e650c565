"""Views of the tables: created, and replaced if they are not like they should be."""

import hashlib
from typing import TYPE_CHECKING, Any

from taxi_platform.errors import PermanentStoreError
from taxi_platform.stores.base import View
from taxi_platform.stores.bigquery.table import MARK

if TYPE_CHECKING:
    from google.cloud import bigquery


_DEFINITION = "taxi-definition"
"""The label with a checksum of the view's query. BigQuery may write the query in another way."""


def ensure_view(
    client: "bigquery.Client", name: str, view: View, location: str, patience: Any
) -> None:
    """Creates the view, or replaces it if it is not like this; readers see the old or the new one.

    Args:
        client: of BigQuery.
        name: ``project.dataset.view``.
        view: what it should be.
        location: of the dataset.
        patience: the client's retry and timeout.

    Raises:
        PermanentStoreError: a table has the name, or a view that the platform did not make.
    """
    from google.api_core.exceptions import NotFound

    definition = hashlib.sha256(f"{view.sql} {view.description}".encode()).hexdigest()[:16]
    try:
        found = client.get_table(name, **patience)
    except NotFound:
        pass
    else:
        if found.table_type != "VIEW" or not MARK.items() <= found.labels.items():
            raise PermanentStoreError(
                f"{view.name}: BigQuery, {name} is not the platform's view, and has its name: "
                "rename it"
            )
        if found.labels.get(_DEFINITION) == definition:
            return
    labels = ", ".join(
        f"({_text(key)}, {_text(value)})"
        for key, value in {**MARK, _DEFINITION: definition}.items()
    )
    options = [f"description={_text(view.description)}", f"labels=[{labels}]"]
    statement = f"CREATE OR REPLACE VIEW `{name}` OPTIONS ({', '.join(options)}) AS {view.sql}"
    client.query(statement, location=location, job_retry=None, **patience).result(
        job_retry=None, **patience
    )


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
